/* SPDX-License-Identifier: MIT */
/* Records into sq and bytes into up; waiting for completions. See receive.c for the way back. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "gen/calls.h"
#include "libcuda/context.h"
#include "libcuda/output.h"
#include "libcuda/receive.h"
#include "libcuda/submit.h"

struct room {
	struct vgpu_session	*s;
	size_t			length;
	bool			(*has)(struct vgpu_channel *ch, size_t length);
};

static bool room_ready(void *arg)
{
	struct room *r = arg;

	/* A worker that waits for room in cq must not wait for us for ever. */
	vgpu_receive(r->s);
	return r->has(r->s->channel, r->length);
}

static int room_wait(struct vgpu_session *s, size_t length,
		     bool (*has)(struct vgpu_channel *ch, size_t length), int ms)
{
	struct room r = { s, length, has };

	return vgpu_channel_wait(s->channel, room_ready, &r, ms);
}

void *vgpu_submit_begin(struct vgpu_session *s, size_t length)
{
	pthread_mutex_lock(&s->submit);
	while (!(s->building = vgpu_record_reserve(s->channel, length))) {
		if (length > vgpu_record_max(s->channel) ||
		    room_wait(s, length, vgpu_record_room, -1)) {
			pthread_mutex_unlock(&s->submit);
			return NULL;
		}
	}
	return s->building;
}

static void commit(struct vgpu_session *s, uint64_t ctx, uint16_t opcode, unsigned flags)
{
	((struct vgpu_request *)s->building)->ctx = ctx;
	vgpu_record_commit(s->channel, opcode, flags);
}

CUresult vgpu_submit_end(struct vgpu_session *s, uint64_t ctx, uint16_t opcode, unsigned flags)
{
	commit(s, ctx, opcode, flags);
	pthread_mutex_unlock(&s->submit);
	if (vgpu_record_pending(s->channel))
		vgpu_receive(s);
	return CUDA_SUCCESS;
}

static bool wait_ready(void *arg)
{
	struct vgpu_wait *w = arg;

	if (vgpu_wait_done(w))
		return true;
	if (!vgpu_record_pending(w->session->channel))
		return false;
	vgpu_receive(w->session);
	return vgpu_wait_done(w);
}

/* Calls that wait for the GPU hand out what asynchronous calls failed with. */
static bool reports(uint16_t opcode)
{
	switch (opcode) {
	case VGPU_OP_cuCtxSynchronize:
	case VGPU_OP_cuStreamSynchronize:
	case VGPU_OP_cuStreamQuery:
	case VGPU_OP_cuEventSynchronize:
	case VGPU_OP_cuEventQuery:
	case VGPU_OP_vgpu_memcpy_down:
		return true;
	default:
		return false;
	}
}

static CUresult result(uint64_t ctx, uint16_t opcode, CUresult status)
{
	struct vgpu_object *o = ctx ? vgpu_object_get(ctx, VGPU_KIND_CONTEXT) : NULL;

	if (!o || (!status && !reports(opcode)))
		return status;
	return vgpu_context_result(o, status);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void note_time(struct vgpu_session *s, uint64_t took)
{
	uint64_t nearest = atomic_load_explicit(&s->nearest, memory_order_relaxed);

	while (took < nearest && !atomic_compare_exchange_weak_explicit(&s->nearest, &nearest, took,
					memory_order_relaxed, memory_order_relaxed))
		;
}

CUresult vgpu_submit_wait(struct vgpu_session *s, uint64_t ctx, uint16_t opcode, unsigned flags,
			  void *reply, size_t room, size_t *length)
{
	struct vgpu_wait w = {
		.session = s, .opcode = opcode, .reply = reply, .room = room,
		.seq = vgpu_record_next_seq(s->channel),
	};
	uint64_t start;

	start = now_ns();
	vgpu_wait_add(&w);
	commit(s, ctx, opcode, flags | VGPU_CALL_REPLY);
	pthread_mutex_unlock(&s->submit);
	vgpu_channel_wait(s->channel, wait_ready, &w, -1);
	note_time(s, now_ns() - start);
	vgpu_wait_remove(&w);
	vgpu_output_write();
	if (vgpu_record_pending(s->channel))	/* left by who found too much kept */
		vgpu_receive(s);
	if (!vgpu_wait_done(&w))
		return vgpu_submit_lost(s);
	*length = w.length;
	return result(ctx, opcode, (CUresult)((struct vgpu_completion *)reply)->status);
}

/*
 * The worker is gone, or broke the protocol and is as good as gone. What it
 * held for this process cannot come back: as with a device that fell off the
 * bus, every call fails from here on.
 */
static void mourn(struct vgpu_session *s)
{
	const char *fault = s->channel ? vgpu_channel_fault(s->channel) : NULL;

	if (atomic_exchange(&s->mourned, true))
		return;
	fprintf(stderr, "vgpu: the session on the GPU host is over: %s\n",
		fault ?: "the host was out of reach for too long or ended it: see vgpud's log");
}

CUresult vgpu_submit_lost(struct vgpu_session *s)
{
	if (s->remote && !vgpu_forked)
		mourn(s);
	return vgpu_forked ? CUDA_ERROR_NOT_INITIALIZED : CUDA_ERROR_DEVICE_UNAVAILABLE;
}

CUresult vgpu_submit_broken(struct vgpu_session *s)
{
	vgpu_channel_shutdown(s->channel);
	return vgpu_submit_lost(s);
}

CUresult vgpu_upload(struct vgpu_session *s, const void *bytes, size_t length, uint64_t *pos)
{
	void *place;

	while (!(place = vgpu_bytes_reserve(s->channel, length, pos)))
		if (room_wait(s, length, vgpu_bytes_room, -1))
			return vgpu_submit_lost(s);
	memcpy(place, bytes, length);
	vgpu_bytes_publish(s->channel, *pos, length);
	return CUDA_SUCCESS;
}

bool vgpu_upload_room(struct vgpu_session *s, size_t length, int ms)
{
	return vgpu_bytes_room(s->channel, length) ||
	       !room_wait(s, length, vgpu_bytes_room, ms);
}
