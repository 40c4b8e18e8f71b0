/* SPDX-License-Identifier: MIT */
/*
 * Virtual GPUs of this host and the GPUs of servers. A device's backend says which
 * one it stands for, "NAME:K": GPU K of the server that vgpud.conf calls NAME. A
 * device of the configuration is made if it is missing and is given its backend
 * when vgpud starts; what an operator changes later counts. Others are left alone.
 */
#ifndef VGPU_VGPUD_DEVICES_H
#define VGPU_VGPUD_DEVICES_H

#include "nl/nl.h"
#include "vgpud/config.h"

struct vgpud;
struct vgpu_upstream;
struct vgpu_session_gpus;
struct vgpu_devices;

/* -ENOENT: the module's netlink family is not there. Else -errno; it was logged. */
int vgpu_devices_open(struct vgpu_devices **out, struct vgpud *d);
void vgpu_devices_close(struct vgpu_devices *v);	/* NULL is nothing */

/* Give devices what they lack of what their server says of its GPUs. NULL is nothing. */
void vgpu_devices_update(struct vgpu_devices *v);

/*
 * The GPUs behind the devices of those numbers, and their server. -errno: they are
 * none of ours, or of two; @why is a line that says what to do.
 */
int vgpu_devices_find(struct vgpu_devices *v, const uint32_t *numbers, unsigned count,
		      struct vgpu_upstream **upstream, struct vgpu_session_gpus *gpus, char *why,
		      size_t room);

/* What is known of a GPU. */
struct vgpu_device_gpu {
	const char	*name;
	uint64_t	memory;
};

/*
 * What device @d lacks (change->has is empty: nothing). @want: the backend that it
 * is to have now; NULL: the one that it has. @gpu: behind that one; NULL: unknown.
 */
void vgpu_device_decide(const struct vgpu_nl_device *d, const struct vgpu_config_gpu *want,
			const struct vgpu_device_gpu *gpu, struct vgpu_nl_device *change);

#endif /* VGPU_VGPUD_DEVICES_H */
