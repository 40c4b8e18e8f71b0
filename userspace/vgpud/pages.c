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

/* There is room. */
static void insert(struct vgpu_pages *p, unsigned i, const struct vgpu_page_buffer *b)
{
	memmove(&p->buffers[i + 1], &p->buffers[i], (p->count - i) * sizeof(*p->buffers));
	p->buffers[i] = *b;
	p->count++;
	all_buffers++;
}

/* One too many is not there when it is asked for, and the program hears of it then. */
int vgpu_pages_take(struct vgpu_pages *p, struct vgpu_channel *ch)
{
	struct vgpu_page_buffer b;
	int n = vgpu_relay_hostmem(ch, &b.handle, &b.size, &b.at);
	unsigned i;

	if (n <= 0)
		return n;
	i = place(p, b.handle);
	if (is_at(p, i, b.handle) || make_room(p))
		vgpu_hostmem_unmap(ch, b.at, b.size);
	else
		insert(p, i, &b);
	return 1;
}

static int map(struct vgpu_pages *p, struct vgpu_channel *ch, unsigned i, uint64_t handle,
	       uint64_t size)
{
	struct vgpu_page_buffer b = { handle, size, NULL };
	int err = make_room(p);

	if (!err)
		err = vgpu_hostmem_map(ch, handle, size, NULL, &b.at);
	if (!err)
		insert(p, i, &b);
	return err;
}

void *vgpu_pages_find(struct vgpu_pages *p, struct vgpu_channel *ch, uint64_t handle,
		      uint64_t size)
{
	unsigned i = place(p, handle);

	if (!is_at(p, i, handle)) {
		int err = map(p, ch, i, handle, size);

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
