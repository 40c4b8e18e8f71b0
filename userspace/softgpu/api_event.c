// SPDX-License-Identifier: MIT
/*
 * Events. A record is a place in a stream: an operation that stores the time,
 * known by its number. To wait for an event is to wait for the latest such
 * operation; a later record does not move those who wait already.
 */
#include <stdlib.h>

#include "softgpu/api.h"

#define EVENT_FLAGS \
	(CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)

struct event {
	struct api_object	obj;
	unsigned		flags;
	pthread_mutex_t		lock;		/* guards all below; taken before a stream's */
	struct api_stream	*stream;	/* of the latest record, held; or NULL */
	uint64_t		seq;
	uint64_t		records;
	uint64_t		time_ns;	/* of the latest record, once it is done */
};

struct record_op {
	struct api_op	op;
	struct event	*event;		/* held */
	uint64_t	record;
};

static void event_release(struct api_object *obj)
{
	struct event *e = api_container(obj, struct event, obj);

	if (e->stream)
		api_stream_put(e->stream);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

/* Held; its context is alive and without error. */
static CUresult event_get(CUevent handle, struct event **event)
{
	struct api_object *obj;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	obj = api_object_get(handle, API_EVENT);
	if (!obj)
		return CUDA_ERROR_INVALID_HANDLE;
	*event = api_container(obj, struct event, obj);
	result = api_context_check(obj->ctx);
	if (result != CUDA_SUCCESS)
		api_object_put(obj);
	return result;
}

/* Place of the latest record, the stream held; NULL: never recorded. */
static struct api_stream *event_place(struct event *e, uint64_t *seq)
{
	struct api_stream *s;

	pthread_mutex_lock(&e->lock);
	s = e->stream;
	if (s)
		api_object_hold(&s->obj);
	*seq = e->seq;
	pthread_mutex_unlock(&e->lock);
	return s;
}

CUresult cuEventCreate(CUevent *out, unsigned flags)
{
	struct api_context *ctx;
	struct event *e;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!out || flags & ~(unsigned)EVENT_FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	if (flags & CU_EVENT_INTERPROCESS)
		return flags & CU_EVENT_DISABLE_TIMING ? CUDA_ERROR_NOT_SUPPORTED :
							 CUDA_ERROR_INVALID_VALUE;
	e = calloc(1, sizeof(*e));
	if (!e)
		return CUDA_ERROR_OUT_OF_MEMORY;
	e->flags = flags;
	pthread_mutex_init(&e->lock, NULL);
	result = api_object_init(&e->obj, API_EVENT, ctx, event_release);
	if (result != CUDA_SUCCESS) {
		event_release(&e->obj);
		return result;
	}
	result = api_context_adopt(ctx, &e->obj);
	if (result == CUDA_SUCCESS) {
		*out = api_handle(&e->obj);
	} else {
		api_object_kill(&e->obj);
		api_object_put(&e->obj);
	}
	return result;
}

CUresult cuEventDestroy_v2(CUevent handle)
{
	struct api_object *obj;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	obj = api_object_get(handle, API_EVENT);
	if (!obj)
		return CUDA_ERROR_INVALID_HANDLE;
	result = api_context_check(obj->ctx);
	if (api_object_kill(obj)) {
		api_context_unlink(obj);
		api_object_put(obj);
	}
	api_object_put(obj);
	return result;
}

CUresult cuEventDestroy(CUevent handle)
{
	return cuEventDestroy_v2(handle);
}

/* ---- recording ---- */

static void record_run(struct api_op *op, struct api_stream *stream)
{
	struct record_op *r = api_container(op, struct record_op, op);
	struct event *e = r->event;

	pthread_mutex_lock(&e->lock);
	if (r->record == e->records)	/* none came after it */
		e->time_ns = api_now_ns();
	pthread_mutex_unlock(&e->lock);
}

static void record_free(struct api_op *op)
{
	struct record_op *r = api_container(op, struct record_op, op);

	api_object_put(&r->event->obj);
	free(r);
}

/* Nothing is in front of it on the stream: it happens here and now. */
static void record_now(struct event *e, struct api_stream *s)
{
	struct api_stream *old;

	api_object_hold(&s->obj);
	pthread_mutex_lock(&e->lock);
	old = e->stream;
	e->stream = s;
	e->seq = 0;
	e->time_ns = api_now_ns();
	e->records++;
	pthread_mutex_unlock(&e->lock);
	if (old)
		api_stream_put(old);
}

/*
 * The event's lock is held while the operation is issued: who waits for the
 * event sees either the old place or the new one.
 */
static CUresult record_behind(struct event *e, struct api_stream *s)
{
	struct record_op *r = calloc(1, sizeof(*r));
	struct api_stream *old = s;
	CUresult result;
	uint64_t seq;

	if (!r)
		return CUDA_ERROR_OUT_OF_MEMORY;
	api_object_hold(&e->obj);
	*r = (struct record_op){
		.op = { .run = record_run, .free = record_free },
		.event = e,
	};
	api_object_hold(&s->obj);
	pthread_mutex_lock(&e->lock);
	r->record = e->records + 1;
	result = api_stream_submit(s, &r->op, &seq);
	if (result == CUDA_SUCCESS) {
		old = e->stream;
		e->stream = s;
		e->seq = seq;
		e->records++;
	}
	pthread_mutex_unlock(&e->lock);
	if (old)
		api_stream_put(old);
	return result;
}

static CUresult record(CUevent event, CUstream stream, unsigned flags)
{
	struct api_stream *s;
	struct event *e;
	CUresult result = event_get(event, &e);

	if (result != CUDA_SUCCESS)
		return result;
	/* CU_EVENT_RECORD_EXTERNAL only means something in a capture. */
	if (flags & ~(unsigned)CU_EVENT_RECORD_EXTERNAL)
		result = CUDA_ERROR_INVALID_VALUE;
	else if (flags)
		result = CUDA_ERROR_ILLEGAL_STATE;
	else
		result = api_stream_get(stream, &s);
	if (result == CUDA_SUCCESS) {
		if (s->obj.ctx != e->obj.ctx)
			result = CUDA_ERROR_INVALID_HANDLE;
		else if (api_stream_ready(s))
			record_now(e, s);
		else
			result = record_behind(e, s);
		api_stream_put(s);
	}
	api_object_put(&e->obj);
	return result;
}

API_TWINS(cuEventRecord, _ptsz, (CUevent event, CUstream stream),
	  record(event, API_ON(stream), CU_EVENT_RECORD_DEFAULT))

API_TWINS(cuEventRecordWithFlags, _ptsz, (CUevent event, CUstream stream, unsigned flags),
	  record(event, API_ON(stream), flags))

/* ---- waiting ---- */

CUresult cuEventQuery(CUevent event)
{
	struct api_stream *s;
	struct event *e;
	uint64_t seq;
	CUresult result = event_get(event, &e);

	if (result != CUDA_SUCCESS)
		return result;
	s = event_place(e, &seq);
	if (s && atomic_load(&s->finished) < seq)
		result = CUDA_ERROR_NOT_READY;
	else
		result = api_context_check(e->obj.ctx);
	if (s)
		api_stream_put(s);
	api_object_put(&e->obj);
	return result;
}

CUresult cuEventSynchronize(CUevent event)
{
	struct api_stream *s;
	struct event *e;
	uint64_t seq;
	CUresult result = event_get(event, &e);

	if (result != CUDA_SUCCESS)
		return result;
	s = event_place(e, &seq);
	if (s) {
		api_stream_wait(s, seq);
		api_stream_put(s);
	}
	result = api_context_check(e->obj.ctx);
	api_object_put(&e->obj);
	return result;
}

static void wait_run(struct api_op *op, struct api_stream *stream)
{
	/* All that there is to do was to wait for its dependencies. */
}

static void wait_free(struct api_op *op)
{
	free(op);
}

static CUresult wait_for(struct api_stream *s, struct event *e)
{
	struct api_stream *place;
	struct api_op *op;
	uint64_t seq;
	bool ok;

	place = event_place(e, &seq);
	if (!place)
		return CUDA_SUCCESS;
	op = calloc(1, sizeof(*op));
	if (op) {
		op->run = wait_run;
		op->free = wait_free;
	}
	ok = op && api_op_depend(op, place, seq);
	api_stream_put(place);
	if (!ok || !op->ndeps) {	/* done already: nothing to wait for */
		free(op);
		return ok ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
	}
	return api_stream_submit(s, op, NULL);
}

static CUresult wait_event(CUstream stream, CUevent event, unsigned flags)
{
	struct api_stream *s;
	struct event *e;
	CUresult result = event_get(event, &e);

	if (result != CUDA_SUCCESS)
		return result;
	if (flags & ~(unsigned)CU_EVENT_WAIT_EXTERNAL)
		result = CUDA_ERROR_INVALID_VALUE;
	else if (flags)
		result = CUDA_ERROR_ILLEGAL_STATE;
	else
		result = api_stream_get(stream, &s);
	if (result == CUDA_SUCCESS) {
		result = wait_for(s, e);
		api_stream_put(s);
	}
	api_object_put(&e->obj);
	return result;
}

API_TWINS(cuStreamWaitEvent, _ptsz, (CUstream stream, CUevent event, unsigned flags),
	  wait_event(API_ON(stream), event, flags))

/* ---- time ---- */

static CUresult event_time(struct event *e, uint64_t *ns)
{
	CUresult result = CUDA_SUCCESS;

	pthread_mutex_lock(&e->lock);
	if (e->flags & CU_EVENT_DISABLE_TIMING || !e->stream)
		result = CUDA_ERROR_INVALID_HANDLE;
	else if (atomic_load(&e->stream->finished) < e->seq)
		result = CUDA_ERROR_NOT_READY;
	*ns = e->time_ns;
	pthread_mutex_unlock(&e->lock);
	return result;
}

static CUresult elapsed(float *ms, struct event *start, struct event *end)
{
	uint64_t from, to;
	CUresult first = event_time(start, &from), second = event_time(end, &to);

	if (!ms)
		return CUDA_ERROR_INVALID_VALUE;
	if (first == CUDA_ERROR_INVALID_HANDLE || second == CUDA_ERROR_INVALID_HANDLE)
		return CUDA_ERROR_INVALID_HANDLE;
	if (start->obj.ctx != end->obj.ctx)
		return CUDA_ERROR_INVALID_HANDLE;
	if (first != CUDA_SUCCESS || second != CUDA_SUCCESS)
		return CUDA_ERROR_NOT_READY;
	*ms = (double)(int64_t)(to - from) / 1e6;
	return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime_v2(float *ms, CUevent start, CUevent end)
{
	struct event *a, *b;
	CUresult result = event_get(start, &a);

	if (result != CUDA_SUCCESS)
		return result;
	result = event_get(end, &b);
	if (result == CUDA_SUCCESS) {
		result = elapsed(ms, a, b);
		api_object_put(&b->obj);
	}
	api_object_put(&a->obj);
	return result;
}

CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end)
{
	return cuEventElapsedTime_v2(ms, start, end);
}
