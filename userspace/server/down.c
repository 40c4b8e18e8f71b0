/* SPDX-License-Identifier: MIT */
/*
 * Device memory to the client. Behind what the stream had been given when the
 * record came, an event; when it has happened, the bytes are copied straight
 * into the down ring by a stream of the worker's own, a few pieces at a time,
 * and each is announced when it is there.
 */
#include <errno.h>
#include <stdlib.h>
#include "server/worker.h"

#define PIECES		4u		/* under way at once */
#define TURN_BYTES	(4u << 20)	/* then another transfer may have the lane */
#define SMALL		(256u << 10)	/* worth no helper when the stream is idle */

struct room {
	struct vgpu_channel	*channel;
	size_t			length;
};

static bool room_ready(void *arg)
{
	struct room *r = arg;

	return vgpu_bytes_room(r->channel, r->length);
}

void *vgpu_down_reserve(struct vgpu_worker *w, size_t length, uint64_t *pos)
{
	struct room room = { w->channel, length };
	void *at;

	while (!(at = vgpu_bytes_reserve(w->channel, length, pos))) {
		if (errno != EAGAIN || vgpu_channel_wait(w->channel, room_ready, &room, -1))
			return NULL;
	}
	return at;
}

struct piece {
	uint64_t	offset;
	uint64_t	pos;
	uint32_t	length;
	CUevent		event;
};

struct transfer {
	struct vgpu_worker	*w;
	struct vgpu_context	*ctx;
	CUstream		copies;
	CUdeviceptr		src;
	uint64_t		length;
	uint64_t		id;
	uint64_t		issued;
	uint64_t		turn;		/* bytes issued since the lane was entered */
	bool			whole;		/* in one piece: there is room for it */
	struct piece		pieces[PIECES];
	unsigned		first, count;
	CUresult		r;
};

static size_t piece_size(struct transfer *t)
{
	size_t most = vgpu_bytes_max(t->w->channel), eighth = t->w->rings.down_size / 8;
	uint64_t left = t->length - t->issued;

	if (eighth < most && !t->whole)
		most = eighth;
	return left < most ? left : most;
}

static void *piece_room(struct transfer *t, size_t length, uint64_t *pos)
{
	/* With pieces under way: they first, their room may be what is missing. */
	if (t->count)
		return vgpu_bytes_reserve(t->w->channel, length, pos);
	return vgpu_down_reserve(t->w, length, pos);
}

/* Begin the next piece; false: no room now, or none ever (then t->r says so). */
static bool piece_issue(struct transfer *t)
{
	struct piece *p = &t->pieces[(t->first + t->count) % PIECES];
	struct vgpu_worker *w = t->w;
	void *at;

	*p = (struct piece){ .offset = t->issued, .length = piece_size(t) };
	at = piece_room(t, p->length, &p->pos);
	if (!at) {
		if (!t->count)
			t->r = CUDA_ERROR_UNKNOWN;
		return false;
	}
	t->count++;
	t->issued += p->length;
	t->turn += p->length;
	t->r = vgpu_event_get(w, t->ctx, VGPU_EVENT_SPIN, &p->event);
	if (!t->r)
		t->r = w->driver->cuMemcpyDtoHAsync_v2(at, t->src + p->offset, p->length,
						       t->copies);
	if (!t->r)
		t->r = w->driver->cuEventRecord(p->event, t->copies);
	return !t->r;
}

/*
 * Wait for the oldest piece and announce it. After a failure as well: the client
 * must give its place back, and the status tells what the bytes are worth.
 */
static void piece_finish(struct transfer *t)
{
	struct piece *p = &t->pieces[t->first];
	struct vgpu_notice_data n = {
		.transfer = t->id, .offset = p->offset,
		.chunk = { .pos = p->pos, .length = p->length },
	};
	CUresult r = CUDA_SUCCESS;

	if (t->r)
		t->w->driver->cuStreamSynchronize(t->copies);
	else
		r = t->w->driver->cuEventSynchronize(p->event);
	if (!t->r)
		t->r = r;
	if (p->event)
		vgpu_event_put(t->w, t->ctx, VGPU_EVENT_SPIN, p->event);
	t->first = (t->first + 1) % PIECES;
	t->count--;
	/* Without those behind it, which the device has yet to write. */
	vgpu_bytes_publish(t->w->channel, p->pos, p->length);
	vgpu_notify(t->w, VGPU_NOTICE_DATA, &n, sizeof(n));
}

static bool may_issue(struct transfer *t)
{
	if (t->r || t->issued == t->length || t->count == PIECES)
		return false;
	return t->turn < TURN_BYTES || !vgpu_lane_wanted(&t->w->down);
}

/* The lane is entered; it is when this returns, too. */
static CUresult transfer_run(struct transfer *t)
{
	t->r = vgpu_context_copies(t->w, t->ctx, &t->copies);
	while (t->count || (!t->r && t->issued < t->length)) {
		while (may_issue(t) && piece_issue(t))
			;
		if (t->count) {
			piece_finish(t);
		} else if (!t->r) {
			vgpu_lane_leave(&t->w->down);
			vgpu_lane_enter(&t->w->down);
			t->turn = 0;
		}
	}
	return t->r;
}

/* ---- the call ---- */

static CUresult transferred(struct vgpu_worker *w, struct vgpu_job *job, struct vgpu_reply *p)
{
	struct transfer t = {
		.w = w, .ctx = job->data[0], .src = job->words[0], .length = job->words[1],
		.id = job->words[2],
	};
	CUevent before = job->data[1];
	CUresult r = vgpu_context_use(w, t.ctx);

	if (!r)
		r = w->driver->cuEventSynchronize(before);
	vgpu_event_put(w, t.ctx, VGPU_EVENT_SLEEP, before);
	if (!r) {
		vgpu_lane_enter(&w->down);
		r = transfer_run(&t);
		vgpu_lane_leave(&w->down);
	}
	vgpu_context_unpin(w, t.ctx);
	vgpu_output_drain(w);
	return r;
}

static CUresult transfer_later(struct vgpu_worker *w, const struct vgpu_request *q,
			       const struct transfer *t, CUevent before)
{
	struct vgpu_job *job = vgpu_job_create(q, transferred);

	if (!job) {
		vgpu_event_put(w, t->ctx, VGPU_EVENT_SLEEP, before);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	vgpu_context_pin(w, t->ctx);
	job->data[0] = t->ctx;
	job->data[1] = before;
	job->words[0] = t->src;
	job->words[1] = t->length;
	job->words[2] = t->id;
	return vgpu_job_submit(w, job);
}

/* In the dispatcher, if nothing of it can wait for the client or for kernels. */
static bool transfer_now(struct transfer *t)
{
	struct vgpu_worker *w = t->w;
	bool now;

	if (t->length > SMALL || t->length > vgpu_bytes_max(w->channel) ||
	    !atomic_load(&w->rings.down_locked) || !vgpu_lane_try(&w->down))
		return false;
	now = vgpu_bytes_room(w->channel, t->length);
	if (now) {
		t->whole = true;
		transfer_run(t);
	}
	vgpu_lane_leave(&w->down);
	return now;
}

CUresult vgpu_hook_vgpu_memcpy_down(struct vgpu_worker *w, const struct vgpu_request *q,
				    CUdeviceptr src, size_t length, uint64_t transfer,
				    uint64_t stream)
{
	struct transfer t = {
		.w = w, .ctx = vgpu_thread.context, .src = src, .length = length, .id = transfer,
	};
	CUstream s;
	CUevent before;
	CUresult r;

	if (src + length < src)
		return CUDA_ERROR_INVALID_VALUE;
	r = vgpu_stream_get(w, stream, &s);
	if (!r)
		r = vgpu_event_get(w, t.ctx, VGPU_EVENT_SLEEP, &before);
	if (r)
		return r;
	r = w->driver->cuEventRecord(before, s);
	if (!r)
		r = w->driver->cuEventQuery(before);
	if (r == CUDA_ERROR_NOT_READY)
		return transfer_later(w, q, &t, before);
	if (!r && !transfer_now(&t))
		return transfer_later(w, q, &t, before);
	vgpu_event_put(w, t.ctx, VGPU_EVENT_SLEEP, before);
	return r ? r : vgpu_output_first(w, q, t.r);
}
