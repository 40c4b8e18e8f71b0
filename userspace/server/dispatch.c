/* SPDX-License-Identifier: MIT */
/*
 * The dispatcher: takes records off sq in order and issues them. It waits for
 * nothing that the client controls but the next record, and room in cq, which
 * the client makes whenever it waits itself.
 */
#include <errno.h>
#include <string.h>
#include "gen/calls.h"
#include "server/worker.h"

__thread struct vgpu_thread vgpu_thread;

/*
 * Calls that may wait, but begin in the dispatcher: those that often need not
 * wait after all, and those that take handles out of the table. Their hooks
 * leave the call, or the rest of it, to a helper if need be.
 */
static bool begins_here(unsigned opcode)
{
	switch (opcode) {
	case VGPU_OP_cuStreamSynchronize:
	case VGPU_OP_cuEventSynchronize:
	case VGPU_OP_cuCtxSynchronize:
	case VGPU_OP_vgpu_memcpy_down:
	case VGPU_OP_cuDevicePrimaryCtxRelease_v2:
	case VGPU_OP_cuDevicePrimaryCtxReset_v2:
	case VGPU_OP_cuCtxDestroy_v2:
	case VGPU_OP_cuModuleUnload:
	case VGPU_OP_cuLibraryUnload:
	case VGPU_OP_cuMemFreeHost:
	case VGPU_OP_cuMemAlloc_v2:
	case VGPU_OP_cuMemAllocPitch_v2:
	case VGPU_OP_cuMemFree_v2:
		return true;
	default:
		return false;
	}
}

static CUresult capture_mode(struct vgpu_worker *w, unsigned flags)
{
	unsigned want = (flags & VGPU_CALL_CAPTURE_MODE) >> VGPU_CALL_CAPTURE_SHIFT;
	CUstreamCaptureMode mode = want;
	CUresult r;

	if (likely(want == vgpu_thread.capture))
		return CUDA_SUCCESS;
	if (want > CU_STREAM_CAPTURE_MODE_RELAXED)
		return CUDA_ERROR_INVALID_VALUE;
	r = w->driver->cuThreadExchangeStreamCaptureMode(&mode);
	if (!r)
		vgpu_thread.capture = want;
	return r;
}

/*
 * The client gives these numbers up as it sends the call, and waits for no
 * answer: they end whatever is the matter with the context or the record's flags.
 */
static bool always_ends(unsigned opcode)
{
	return opcode == VGPU_OP_cuStreamDestroy_v2 || opcode == VGPU_OP_cuEventDestroy_v2;
}

CUresult vgpu_serve(struct vgpu_worker *w, const struct vgpu_request *q, size_t length,
		    struct vgpu_reply *p)
{
	const struct vgpu_serve_entry *e = &vgpu_serve_table[q->r.opcode];
	CUresult r = CUDA_SUCCESS;

	if (!(e->flags & VGPU_SERVE_NOCTX)) {
		r = vgpu_context_enter(w, q->ctx);
		if (!r && e->flags & VGPU_SERVE_ASYNC && vgpu_thread.dispatcher)
			vgpu_thread.context->issued++;
	}
	if (!r)
		r = capture_mode(w, q->r.flags);
	return likely(!r) || always_ends(q->r.opcode) ? e->serve(w, q, length, p) : r;
}

void vgpu_finish(struct vgpu_worker *w, const struct vgpu_request *q, CUresult status,
		 struct vgpu_reply *p)
{
	if (q->r.flags & VGPU_CALL_REPLY)
		vgpu_complete(w, q, status, p);
	else if (unlikely(status))
		vgpu_error(w, q->ctx, status, q->r.seq, q->r.opcode);
}

static const struct vgpu_serve_entry *entry_of(const struct vgpu_request *q, size_t length)
{
	const struct vgpu_serve_entry *e;

	if (length < sizeof(*q) || q->r.opcode >= VGPU_OPCODES)
		return NULL;
	e = &vgpu_serve_table[q->r.opcode];
	return e->serve ? e : NULL;
}

/* The chunk that a record names, whatever else may be wrong with it; NULL: none. */
static const struct vgpu_chunk *chunk_of(const struct vgpu_request *q, size_t length)
{
	if (q->r.opcode == VGPU_OP_vgpu_memcpy_up &&
	    length == sizeof(struct vgpu_vgpu_memcpy_up_in))
		return &((const struct vgpu_vgpu_memcpy_up_in *)q)->data;
	if (q->r.opcode == VGPU_OP_vgpu_image_put &&
	    length >= sizeof(struct vgpu_vgpu_image_put_in))
		return &((const struct vgpu_vgpu_image_put_in *)q)->data;
	return NULL;
}

/*
 * A call that was refused before its hook saw it, say because its context ended
 * meanwhile, must not keep its place in up.
 */
static void forfeit(struct vgpu_worker *w, const struct vgpu_request *q, size_t length)
{
	const struct vgpu_chunk *c = chunk_of(q, length);

	if (c && !w->up.taken && vgpu_up_chunk(w, c))
		vgpu_up_used(w, c);
}

static void dispatch_one(struct vgpu_worker *w, const struct vgpu_request *q, size_t length,
			 struct vgpu_reply *p)
{
	const struct vgpu_serve_entry *e = entry_of(q, length);
	CUresult r;

	p->length = 0;
	w->up.taken = false;
	if (w->up.open && q->r.opcode != VGPU_OP_vgpu_memcpy_up)
		vgpu_up_close(w);
	if (unlikely(!e))
		r = CUDA_ERROR_NOT_SUPPORTED;
	else if (unlikely(q->r.flags & ~VGPU_CALL_FLAGS || length < e->fixed))
		r = CUDA_ERROR_INVALID_VALUE;
	else if (e->flags & VGPU_SERVE_BLOCK && !begins_here(q->r.opcode))
		r = vgpu_helper_take(w, q, length);
	else
		r = vgpu_serve(w, q, length, p);
	if (unlikely(r))
		forfeit(w, q, length);
	if (r != VGPU_STATUS_DEFERRED)
		vgpu_finish(w, q, r, p);
}

/* ---- waiting for records ---- */

/*
 * Pieces of up that the driver is done with are given back when the client has
 * sent nothing for a moment, not between two records of one that is busy.
 */
#define LOOKS_BEFORE_RETIRE	32
#define LOOKS_BEFORE_SLEEP	64	/* at the end of the channel's first burst */
#define RETIRE_MS		1	/* where one processor leaves no time to look */

struct idle {
	struct vgpu_worker	*w;
	unsigned		looks;
};

/* A record in sq, or one that was taken off it in our place. */
static bool pending(struct vgpu_worker *w)
{
	return vgpu_record_pending(w->channel) ||
	       atomic_load_explicit(&w->relief.bytes, memory_order_relaxed);
}

static bool record_ready(void *arg)
{
	struct idle *i = arg;
	struct vgpu_worker *w = i->w;

	if (pending(w))
		return true;
	if (likely(!w->up.holds))
		return false;
	i->looks++;
	if (i->looks == LOOKS_BEFORE_RETIRE)
		vgpu_up_retire(w);
	else if (i->looks == LOOKS_BEFORE_SLEEP)
		vgpu_up_sleep(w);
	return pending(w);
}

static int wait_for_record(struct vgpu_worker *w)
{
	struct idle idle = { .w = w };
	int err = vgpu_channel_wait(w->channel, record_ready, &idle, w->up.holds ? RETIRE_MS : -1);

	if (err != -ETIMEDOUT)
		return err;
	vgpu_up_sleep(w);
	return vgpu_channel_wait(w->channel, record_ready, &idle, -1);
}

static int receive(struct vgpu_worker *w, void *buf, size_t room)
{
	if (likely(!w->relief.runs))
		return vgpu_record_receive(w->channel, buf, room);
	return vgpu_relief_receive(w, buf, room);
}

int vgpu_dispatch(struct vgpu_worker *w)
{
	static _Alignas(64) uint8_t record[VGPU_REQUEST_MAX];
	static struct vgpu_reply reply;
	int n;

	vgpu_thread.dispatcher = true;
	for (;;) {
		n = receive(w, record, sizeof(record));
		if (likely(n > 0)) {
			dispatch_one(w, (struct vgpu_request *)record, n, &reply);
			continue;
		}
		if (!n)
			n = wait_for_record(w);
		if (n)
			break;
	}
	return n == -EPIPE ? 0 : n;
}
