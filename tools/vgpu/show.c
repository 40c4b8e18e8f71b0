/* SPDX-License-Identifier: MIT */
/* list and show: what devices there are. Nothing is changed here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "vgpu.h"

/* The document was written, or why not. */
static int written(int err)
{
	if (!err)
		return DONE;
	vgpu_complain("cannot print: %s", strerror(-err));
	return REFUSED;
}

int vgpu_list(struct vgpu_nl *nl, const struct vgpu_request *r)
{
	struct vgpu_nl_device *devices;
	int count = vgpu_nl_dump(nl, &devices), err = 0;

	if (count < 0)
		return vgpu_refused(nl, count, "list");
	if (r->json)
		err = vgpu_json_print(stdout, vgpu_devices_json(devices, count), JSON_INDENT(2));
	else
		vgpu_devices_print(stdout, devices, count);
	free(devices);
	return written(err);
}

int vgpu_show(struct vgpu_nl *nl, const struct vgpu_request *r)
{
	struct vgpu_nl_device d;
	int err;

	err = vgpu_target_find(nl, r->targets);
	if (err)
		return err;
	err = vgpu_nl_get(nl, r->targets->number, &d);
	if (err)
		return vgpu_refused(nl, err, r->targets->text);
	if (r->json)
		err = vgpu_json_print(stdout, vgpu_device_json(&d), JSON_INDENT(2));
	else
		vgpu_device_print(stdout, &d);
	return written(err);
}
