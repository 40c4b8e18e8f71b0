/* SPDX-License-Identifier: MIT */
/* Waiting threads as the receiver of cq sees them. */
#ifndef LIBCUDA_RECEIVE_H
#define LIBCUDA_RECEIVE_H

#include "libcuda/session.h"

struct vgpu_wait {
	struct vgpu_session	*session;
	uint64_t		seq;		/* of the call */
	uint16_t		opcode;
	void			*reply;
	size_t			room;
	size_t			length;		/* of the reply */
	_Atomic bool		done;
	struct vgpu_wait	*next;
};

void vgpu_wait_add(struct vgpu_wait *w);
void vgpu_wait_remove(struct vgpu_wait *w);

/* Pairs with the release in receive.c: the reply is there. */
static inline bool vgpu_wait_done(struct vgpu_wait *w)
{
	return atomic_load_explicit(&w->done, memory_order_acquire);
}

#endif /* LIBCUDA_RECEIVE_H */
