/* SPDX-License-Identifier: MIT */
/*
 * The page-locked buffers of a session that vgpud reads and writes in place:
 * mapped when they are first used or, over the socket, when the program announces
 * them, until the worker says that they are not any more, or the session ends.
 */
#ifndef VGPU_VGPUD_PAGES_H
#define VGPU_VGPUD_PAGES_H

#include "channel/relay.h"

struct vgpu_page_buffer {
	uint64_t	handle, size;
	void		*at;
};

struct vgpu_pages {
	struct vgpu_page_buffer	*buffers;	/* by handle */
	unsigned		count, room;
};

/* One that was announced: 1; 0: none was; -errno. */
int vgpu_pages_take(struct vgpu_pages *p, struct vgpu_channel *ch);
/* NULL and errno. */
void *vgpu_pages_find(struct vgpu_pages *p, struct vgpu_channel *ch, uint64_t handle,
		      uint64_t size);
void vgpu_pages_forget(struct vgpu_pages *p, struct vgpu_channel *ch, uint64_t handle);
void vgpu_pages_forget_all(struct vgpu_pages *p, struct vgpu_channel *ch);

#endif /* VGPU_VGPUD_PAGES_H */
