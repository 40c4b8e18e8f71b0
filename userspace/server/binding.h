/* SPDX-License-Identifier: MIT */
/*
 * Virtual GPUs of this host and the GPUs of this server. A device's backend says
 * which GPU it stands for; one without a backend is given one: its number
 * modulo the number of GPUs. What names a GPU that is not here is refused.
 */
#ifndef VGPU_SERVER_BINDING_H
#define VGPU_SERVER_BINDING_H

#include "nl/nl.h"
#include "server/gpus.h"

struct vgpu_binder;

/* @gpus must live as long. -ENOENT: the module's netlink family is not there. */
int vgpu_binder_open(struct vgpu_binder **out, const struct vgpu_gpu *gpus, unsigned ngpus);
void vgpu_binder_close(struct vgpu_binder *b);

/* Give all devices that have no backend one. -errno; it was logged. */
int vgpu_binder_bind_all(struct vgpu_binder *b);

/* Readable when devices may have come or changed: then call the other one. */
int vgpu_binder_fd(const struct vgpu_binder *b);
void vgpu_binder_follow(struct vgpu_binder *b);

/*
 * The GPUs behind the devices of those numbers. -errno: one is behind none of
 * ours; @why is a line that names it.
 */
int vgpu_binder_find(struct vgpu_binder *b, const uint32_t *numbers, unsigned count,
		     struct vgpu_gpu_list *list, char *why, size_t room);

/*
 * Which GPU device @d stands for, and in *@change what it lacks for that (.has is
 * empty: nothing). -EINVAL: its backend names no GPU out of @ngpus.
 */
int vgpu_binding_decide(const struct vgpu_nl_device *d, const struct vgpu_gpu *gpus,
			unsigned ngpus, unsigned *ordinal, struct vgpu_nl_device *change);

#endif /* VGPU_SERVER_BINDING_H */
