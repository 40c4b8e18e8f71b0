// SPDX-License-Identifier: GPL-2.0-only
/* Loading and unloading; nothing else lives here. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "internal.h"

static unsigned int ndevices = 1;
module_param(ndevices, uint, 0444);
MODULE_PARM_DESC(ndevices, "virtual GPUs to start with (default 1)");

/* From the first one on somebody may have one open: loading must not fail now. */
static void __init make_devices(void)
{
	const struct vgpu_device_config none = {};
	unsigned int i;

	for (i = 0; i < ndevices; i++) {
		struct vgpu_device *device = vgpu_device_create(&none);

		if (IS_ERR(device)) {
			pr_err("%u of %u devices: error %ld\n", i, ndevices, PTR_ERR(device));
			return;
		}
		vgpu_device_put(device);
	}
}

static int __init vgpu_init(void)
{
	int err;

	if (ndevices > VGPU_MINORS) {
		pr_err("ndevices=%u: there can be %u\n", ndevices, VGPU_MINORS);
		return -EINVAL;
	}
	err = vgpu_devices_init();
	if (err)
		return err;
	err = vgpu_netlink_init();
	if (err)
		goto exit_devices;
	err = vgpu_ctl_init();
	if (err)
		goto exit_netlink;
	make_devices();
	return 0;

exit_netlink:
	vgpu_netlink_exit();
exit_devices:
	vgpu_devices_exit();
	return err;
}

/*
 * Nothing is open any more: every open file of ours, and each mapping has one,
 * holds the module. Netlink goes first, so that no device appears.
 */
static void __exit vgpu_exit(void)
{
	vgpu_netlink_exit();
	vgpu_ctl_exit();
	vgpu_devices_exit();
}

module_init(vgpu_init);
module_exit(vgpu_exit);

MODULE_DESCRIPTION("Virtual GPUs whose channels a daemon carries to real ones");
MODULE_LICENSE("GPL");
