/* SPDX-License-Identifier: MIT */
/*
 * See ahead.h. Large buffers are kept for the next copy; all together are bounded in
 * bytes, so that many small copies are asked for at once as well as a few large ones.
 */
#include <stdlib.h>
#include "server/ahead.h"
#include "server/remote.h"
#include "server/worker.h"

#define BUFFERS		8u	/* of a worker that are large */
#define BYTES_MAX	(BUFFERS * (size_t)VGPU_AHEAD_PIECE)
#define PIECES		2u	/* of one copy: the others are asked for while these come */

struct piece {
	struct vgpu_pull	pull;
	void			*bytes;
	size_t			room;
	bool			finished;
	int			err;
};

struct vgpu_ahead {
	struct vgpu_far		*far;
	unsigned int		count;
	struct piece		pieces[PIECES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* all below */
static void *spare[BUFFERS];
static unsigned int nspare;
static size_t used;		/* bytes of those that are given out */

static void *buffer_get(size_t room)
{
	void *bytes = NULL;

	pthread_mutex_lock(&lock);
	if (used + room <= BYTES_MAX)
		bytes = room == VGPU_AHEAD_PIECE && nspare ? spare[--nspare] : malloc(room);
	if (bytes)
		used += room;
	pthread_mutex_unlock(&lock);
	return bytes;
}

static void buffer_put(void *bytes, size_t room)
{
	pthread_mutex_lock(&lock);
	used -= room;
	if (room == VGPU_AHEAD_PIECE && nspare < BUFFERS)
		spare[nspare++] = bytes;
	else
		free(bytes);
	pthread_mutex_unlock(&lock);
}

static void begin_piece(struct vgpu_ahead *a, struct piece *p, const struct vgpu_place *from,
			uint64_t at, size_t length)
{
	p->pull = (struct vgpu_pull){
		.from = { from->hostmem, from->size, from->at + at },
		.to = p->bytes, .length = length,
	};
	vgpu_far_read_begin(a->far, &p->pull);
}

struct vgpu_ahead *vgpu_ahead_begin(struct vgpu_far *r, const struct vgpu_place *from,
				    size_t length)
{
	struct vgpu_ahead *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->far = r;
	for (uint64_t at = 0; at < length && a->count < PIECES; at += VGPU_AHEAD_PIECE) {
		struct piece *p = &a->pieces[a->count];
		size_t left = length - at;

		p->room = left < VGPU_AHEAD_PIECE ? left : VGPU_AHEAD_PIECE;
		p->bytes = buffer_get(p->room);
		if (!p->bytes)
			break;
		a->count++;
		begin_piece(a, p, from, at, p->room);
	}
	if (a->count)
		return a;
	free(a);
	return NULL;
}

unsigned int vgpu_ahead_pieces(const struct vgpu_ahead *a)
{
	return a ? a->count : 0;
}

int vgpu_ahead_finish(struct vgpu_ahead *a, unsigned int k, const void **bytes)
{
	struct piece *p = &a->pieces[k];

	if (!p->finished)
		p->err = vgpu_far_read_finish(a->far, &p->pull);
	p->finished = true;
	*bytes = p->bytes;
	return p->err;
}

void vgpu_ahead_end(struct vgpu_ahead *a)
{
	const void *bytes;

	for (unsigned int k = 0; k < vgpu_ahead_pieces(a); k++) {
		vgpu_ahead_finish(a, k, &bytes);
		buffer_put(a->pieces[k].bytes, a->pieces[k].room);
	}
	free(a);
}
