/* SPDX-License-Identifier: MIT */
/*
 * Streams and events: waiting for them, and ending them while somebody waits.
 * A wait that is over at once is answered by the dispatcher; for a short moment,
 * while no other record is there, it looks again; then a helper waits.
 */
#include <stdlib.h>
#include <time.h>
#include "server/worker.h"

#define LOOK_NS		20000

CUresult vgpu_stream_get(struct vgpu_worker *w, uint64_t wire, CUstream *stream)
{
	void *driver = CU_STREAM_LEGACY;
	CUresult r = wire ? vgpu_handle_get(w, wire, VGPU_KIND_STREAM, &driver) : CUDA_SUCCESS;

	*stream = driver;
	return r;
}

CUresult vgpu_stream_own(struct vgpu_worker *w, uint64_t wire, CUstream *stream)
{
	if (wire && vgpu_handle_ancestor(w, wire, VGPU_KIND_CONTEXT) != vgpu_thread.context->wire)
		return CUDA_ERROR_INVALID_HANDLE;
	return vgpu_stream_get(w, wire, stream);
}

/* ---- what is waited for is not destroyed ---- */

struct vgpu_wait {
	struct vgpu_wait	*next;
	void			*driver;	/* CUstream or CUevent */
	bool			doomed;		/* to be destroyed by its last waiter */
};

static CUresult destroy(struct vgpu_worker *w, enum vgpu_kind kind, void *driver)
{
	return kind == VGPU_KIND_STREAM ? w->driver->cuStreamDestroy_v2(driver) :
					  w->driver->cuEventDestroy_v2(driver);
}

static void wait_begin(struct vgpu_worker *w, struct vgpu_wait *wait, void *driver)
{
	wait->driver = driver;
	pthread_mutex_lock(&w->life);
	wait->next = w->waits;
	w->waits = wait;
	pthread_mutex_unlock(&w->life);
}

static void wait_end(struct vgpu_worker *w, struct vgpu_wait *wait, enum vgpu_kind kind)
{
	struct vgpu_wait **p = &w->waits;
	bool last = true;

	pthread_mutex_lock(&w->life);
	while (*p != wait)
		p = &(*p)->next;
	*p = wait->next;
	for (struct vgpu_wait *o = w->waits; o && last; o = o->next)
		last = o->driver != wait->driver;
	pthread_mutex_unlock(&w->life);
	if (wait->doomed && last)
		destroy(w, kind, wait->driver);
	free(wait);
}

/* Somebody waits for it, and has been told to destroy it. */
static bool left_to_waiters(struct vgpu_worker *w, void *driver)
{
	bool found = false;

	pthread_mutex_lock(&w->life);
	for (struct vgpu_wait *o = w->waits; o; o = o->next) {
		if (o->driver == driver)
			found = o->doomed = true;
	}
	pthread_mutex_unlock(&w->life);
	return found;
}

CUresult vgpu_hook_cuStreamDestroy_v2(struct vgpu_worker *w, const struct vgpu_request *q,
				      uint64_t hStream)
{
	struct vgpu_context *ctx = vgpu_context_of(w, hStream);
	struct vgpu_object *objects;
	void *stream;
	CUresult r = vgpu_handle_take(w, hStream, VGPU_KIND_STREAM, &stream, &objects);

	if (r)
		return r;
	if (w->driver->cuStreamQuery(stream))
		ctx->orphans++;
	return left_to_waiters(w, stream) ? CUDA_SUCCESS : w->driver->cuStreamDestroy_v2(stream);
}

CUresult vgpu_hook_cuEventDestroy_v2(struct vgpu_worker *w, const struct vgpu_request *q,
				     uint64_t hEvent)
{
	struct vgpu_object *objects;
	void *event;
	CUresult r = vgpu_handle_take(w, hEvent, VGPU_KIND_EVENT, &event, &objects);

	if (r)
		return r;
	return left_to_waiters(w, event) ? CUDA_SUCCESS : w->driver->cuEventDestroy_v2(event);
}

/* ---- waiting ---- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Something done? @query says; looked at for a moment, for as long as nobody else is served. */
static CUresult look(struct vgpu_worker *w, CUresult (*query)(struct vgpu_worker *w, void *what),
		     void *what)
{
	CUresult r = query(w, what);
	int64_t end;

	if (r != CUDA_ERROR_NOT_READY)
		return r;
	end = now_ns() + LOOK_NS;
	while (r == CUDA_ERROR_NOT_READY && !vgpu_record_pending(w->channel) && now_ns() < end)
		r = query(w, what);
	return r;
}

static CUresult query_stream(struct vgpu_worker *w, void *stream)
{
	/* The legacy stream waits for others, so it is done when they are. */
	if (stream == CU_STREAM_LEGACY)
		return vgpu_context_query(w, vgpu_thread.context);
	return w->driver->cuStreamQuery(stream);
}

bool vgpu_stream_idle(struct vgpu_worker *w, CUstream stream)
{
	return query_stream(w, stream) == CUDA_SUCCESS;
}

static CUresult query_event(struct vgpu_worker *w, void *event)
{
	return w->driver->cuEventQuery(event);
}

static CUresult query_context(struct vgpu_worker *w, void *ctx)
{
	return vgpu_context_query(w, ctx);
}

/* The driver's own wait; also where it is over, since there it hands out what kernels printed. */
static CUresult synchronize(struct vgpu_worker *w, enum vgpu_kind kind, void *driver)
{
	switch (kind) {
	case VGPU_KIND_STREAM:
		return w->driver->cuStreamSynchronize(driver);
	case VGPU_KIND_EVENT:
		return w->driver->cuEventSynchronize(driver);
	default:
		return w->driver->cuCtxSynchronize();
	}
}

static CUresult waited(struct vgpu_worker *w, struct vgpu_job *job, struct vgpu_reply *p)
{
	struct vgpu_wait *wait = job->data[0];
	struct vgpu_context *ctx = job->data[1];
	enum vgpu_kind kind = job->words[0];
	CUresult r = vgpu_context_use(w, ctx);

	if (!r)
		r = synchronize(w, kind, wait->driver);
	if (!r && kind == VGPU_KIND_CONTEXT) {
		atomic_store(&ctx->finished, job->words[1]);
		atomic_store(&ctx->orphans_over, job->words[2]);
	}
	wait_end(w, wait, kind);
	vgpu_context_unpin(w, ctx);
	vgpu_output_drain(w);
	return r;
}

/* @ctx is what @driver ends with, which need not be the call's own context. */
static CUresult wait_on_helper(struct vgpu_worker *w, const struct vgpu_request *q,
			       struct vgpu_context *ctx, enum vgpu_kind kind, void *driver)
{
	struct vgpu_job *job = vgpu_job_create(q, waited);
	struct vgpu_wait *wait = calloc(1, sizeof(*wait));

	if (!job || !wait) {
		free(job);
		free(wait);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	wait_begin(w, wait, driver);
	vgpu_context_pin(w, ctx);
	job->data[0] = wait;
	job->data[1] = ctx;
	job->words[0] = kind;
	job->words[1] = ctx->issued;
	job->words[2] = ctx->orphans;
	return vgpu_job_submit(w, job);
}

CUresult vgpu_hook_cuStreamSynchronize(struct vgpu_worker *w, const struct vgpu_request *q,
				       uint64_t hStream)
{
	struct vgpu_context *ctx;
	CUstream stream;
	CUresult r = vgpu_stream_get(w, hStream, &stream);

	if (!r)
		r = look(w, query_stream, stream);
	if (r == CUDA_ERROR_NOT_READY) {
		ctx = hStream ? vgpu_context_of(w, hStream) : vgpu_thread.context;
		return wait_on_helper(w, q, ctx, VGPU_KIND_STREAM, stream);
	}
	return r ? r : vgpu_output_first(w, q, synchronize(w, VGPU_KIND_STREAM, stream));
}

CUresult vgpu_hook_cuEventSynchronize(struct vgpu_worker *w, const struct vgpu_request *q,
				      uint64_t hEvent)
{
	void *event;
	CUresult r = vgpu_handle_get(w, hEvent, VGPU_KIND_EVENT, &event);

	if (!r)
		r = look(w, query_event, event);
	if (r == CUDA_ERROR_NOT_READY)
		return wait_on_helper(w, q, vgpu_context_of(w, hEvent), VGPU_KIND_EVENT, event);
	return r ? r : vgpu_output_first(w, q, synchronize(w, VGPU_KIND_EVENT, event));
}

CUresult vgpu_hook_cuCtxSynchronize(struct vgpu_worker *w, const struct vgpu_request *q)
{
	struct vgpu_context *ctx = vgpu_thread.context;
	CUresult r;

	/* Nothing was issued since the last time. */
	if (atomic_load(&ctx->finished) == ctx->issued)
		return CUDA_SUCCESS;
	r = look(w, query_context, ctx);
	if (r == CUDA_ERROR_NOT_READY)
		return wait_on_helper(w, q, ctx, VGPU_KIND_CONTEXT, ctx);
	if (!r)
		r = synchronize(w, VGPU_KIND_CONTEXT, ctx);
	if (!r)
		atomic_store(&ctx->finished, ctx->issued);
	return vgpu_output_first(w, q, r);
}
