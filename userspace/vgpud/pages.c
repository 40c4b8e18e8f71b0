/* SPDX-License-Identifier: MIT */
/* See pages.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "vgpud/pages.h"

/*
 * A process has some 65000 mappings, and they are for all sessions: a program
 * that makes buffers without end gets an error before others do.
 */
#define BUFFERS_MAX	8192u		/* of one session */
#define BUFFERS_ALL	49152u

static unsigned all_buffers;		/* of this process, whose one thread this is */

/* Where @handle is, or belongs. */
static unsigned place(const struct vgpu_pages *p, uint64_t handle)
{
	unsigned low = 0, high = p->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (p->buffers[middle].handle < handle)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct vgpu_pages *p, unsigned i, uint64_t handle)
{
	return i < p->count && p->buffers[i].handle == handle;
}

static int make_room(struct vgpu_pages *p)
{
	unsigned room = p->room ? p->room * 2 : 16;
	struct vgpu_page_buffer *buffers;

	if (p->count == BUFFERS_MAX || all_buffers == BUFFERS_ALL)
		return -ENOSPC;
	if (p->count < p->room)
		return 0;
	buffers = reallocarray(p->buffers, room, sizeof(*buffers));
	if (!buffers)
		return -ENOMEM;
	p->buffers = buffers;
	p->room = room;
	return 0;
}

static int insert(struct vgpu_pages *p, struct vgpu_channel *ch, unsigned i, uint64_t handle,
		  uint64_t size)
{
	int err = make_room(p);
	void *at;

	if (!err)
		err = vgpu_hostmem_map(ch, handle, size, NULL, &at);
	if (err)
		return err;
	memmove(&p->buffers[i + 1], &p->buffers[i], (p->count - i) * sizeof(*p->buffers));
	p->buffers[i] = (struct vgpu_page_buffer){ handle, size, at };
	p->count++;
	all_buffers++;
	return 0;
}

void *vgpu_pages_find(struct vgpu_pages *p, struct vgpu_channel *ch, uint64_t handle,
		      uint64_t size)
{
	unsigned i = place(p, handle);

	if (!is_at(p, i, handle)) {
		int err = insert(p, ch, i, handle, size);

		if (err) {
			errno = -err;
			return NULL;
		}
	}
	/* A buffer has one size: the module and the seals of a memfd see to it. */
	if (p->buffers[i].size != size) {
		errno = EINVAL;
		return NULL;
	}
	return p->buffers[i].at;
}

void vgpu_pages_forget(struct vgpu_pages *p, struct vgpu_channel *ch, uint64_t handle)
{
	unsigned i = place(p, handle);

	if (!is_at(p, i, handle))
		return;
	vgpu_hostmem_unmap(ch, p->buffers[i].at, p->buffers[i].size);
	p->count--;
	all_buffers--;
	memmove(&p->buffers[i], &p->buffers[i + 1], (p->count - i) * sizeof(*p->buffers));
}

void vgpu_pages_forget_all(struct vgpu_pages *p, struct vgpu_channel *ch)
{
	while (p->count)
		vgpu_pages_forget(p, ch, p->buffers[p->count - 1].handle);
	free(p->buffers);
	*p = (struct vgpu_pages){};
}
