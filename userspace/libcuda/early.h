/* SPDX-License-Identifier: MIT */
/*
 * May the source of a copy be read now, at the call, instead of when the stream
 * gets there? Then its bytes travel with the record, and a worker on another host
 * need not ask for them. What could still change them before the stream gets there
 * is kept account of here: host functions that were given out and did not return,
 * and copies from the device to page-locked memory that nobody has waited for.
 *
 * That is all there is. The app's own threads must leave the source of a copy
 * alone until the copy is done, unless one of those tells them otherwise; kernels
 * do not write to host memory (none is mapped in such a session), and streams do
 * not wait for memory (those calls are not supported). When in doubt the answer is
 * no, which costs time and nothing else.
 */
#ifndef LIBCUDA_EARLY_H
#define LIBCUDA_EARLY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VGPU_EARLY_WRITES	16

/* Where copies of one stream write to, or some bytes more. */
struct vgpu_early_write {
	uint64_t	start, end;	/* empty: not in use */
	uint64_t	ctx, stream;
	uint64_t	number;		/* of the last of them */
};

struct vgpu_early {
	_Atomic unsigned	hostfns;	/* given out, and not returned */
	_Atomic uint64_t	last;		/* number of a write */
	_Atomic unsigned	count;		/* writes in use; changed under lock */
	pthread_mutex_t		lock;		/* the writes */
	struct vgpu_early_write	writes[VGPU_EARLY_WRITES];
};

/* No host function is to come before what is called now. */
static inline bool vgpu_early_idle(const struct vgpu_early *e)
{
	return !atomic_load_explicit(&e->hostfns, memory_order_acquire);
}

bool vgpu_early_allowed(struct vgpu_early *e, uint64_t start, uint64_t n);

/*
 * After the record of an asynchronous copy to @start was sent, and before the call
 * returns: who waits for the stream and finds this number has its own record behind
 * that one, and who copies from there without knowing that the call has returned
 * may get either.
 */
void vgpu_early_write(struct vgpu_early *e, uint64_t ctx, uint64_t stream, uint64_t start,
		      uint64_t n);

/*
 * Waiting: take vgpu_early_now() before, and tell what was waited for: the stream,
 * or all of the context, or (0) all of the session.
 */
static inline uint64_t vgpu_early_now(const struct vgpu_early *e)
{
	return atomic_load(&e->last);
}
void vgpu_early_stream_done(struct vgpu_early *e, uint64_t ctx, uint64_t stream, uint64_t now);
void vgpu_early_context_done(struct vgpu_early *e, uint64_t ctx, uint64_t now);

#endif /* LIBCUDA_EARLY_H */
