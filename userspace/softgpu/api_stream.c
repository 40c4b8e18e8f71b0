// SPDX-License-Identifier: MIT
/*
 * Streams: queues of operations, who runs them and what they wait for. The
 * calls of the API about streams are in api_stream_calls.c.
 *
 * An operation only ever depends on operations that were issued before it, so
 * the order of issue is an order in which all can run: nothing deadlocks. A
 * thread that runs an operation waits for its dependencies without running
 * others; a caller that waits for an operation runs what is in front of it.
 */
#include <signal.h>
#include <stdlib.h>

#include "softgpu/api.h"

static _Atomic uint64_t next_id = 1;

static void stream_release(struct api_object *obj)
{
	struct api_stream *s = api_container(obj, struct api_stream, obj);

	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->done);
	free(s);
}

CUresult api_stream_create(struct api_context *ctx, unsigned flags, int priority,
			   bool legacy, struct api_stream **out)
{
	struct api_stream *s = calloc(1, sizeof(*s));
	CUresult result;

	if (!s)
		return CUDA_ERROR_OUT_OF_MEMORY;
	s->flags = flags;
	s->priority = priority;
	s->legacy = legacy;
	s->id = atomic_fetch_add(&next_id, 1);
	s->tail = &s->head;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->done, NULL);
	result = api_object_init(&s->obj, API_STREAM, ctx, stream_release);
	if (result != CUDA_SUCCESS) {
		stream_release(&s->obj);
		return result;
	}
	result = api_context_adopt(ctx, &s->obj);
	if (result != CUDA_SUCCESS) {
		api_object_kill(&s->obj);
		api_stream_put(s);
		return result;
	}
	api_object_hold(&s->obj);	/* the caller's, beside the handle's */
	*out = s;
	return CUDA_SUCCESS;
}

void api_stream_put(struct api_stream *stream)
{
	api_object_put(&stream->obj);
}

/* ---- running ---- */

static void wait_finished(struct api_stream *s, uint64_t seq)
{
	if (atomic_load_explicit(&s->finished, memory_order_acquire) >= seq)
		return;
	pthread_mutex_lock(&s->lock);
	while (atomic_load(&s->finished) < seq)
		pthread_cond_wait(&s->done, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

static void settle_deps(struct api_op *op)
{
	for (unsigned i = 0; i < op->ndeps; i++) {
		wait_finished(op->deps[i].stream, op->deps[i].seq);
		api_stream_put(op->deps[i].stream);
	}
	free(op->deps);
	op->deps = NULL;
	op->ndeps = 0;
}

/* A closed stream without a thread is dry. Called and left with the lock. */
static void leave(struct api_stream *s)
{
	pthread_mutex_unlock(&s->lock);
	api_context_unlink(&s->obj);
	pthread_mutex_lock(&s->lock);
}

/* The head, which there is, with nobody running. Called and left with the lock. */
static void run_head(struct api_stream *s)
{
	struct api_op *op = s->head;
	uint64_t seq = op->seq;

	s->running = true;
	s->head = op->next;
	if (!s->head)
		s->tail = &s->head;
	pthread_mutex_unlock(&s->lock);
	settle_deps(op);
	if (op->always || (!api_stopping() && !atomic_load(&s->obj.ctx->error)))
		op->run(op, s);
	if (op->free)
		op->free(op);	/* else it may be gone as soon as it is finished */
	pthread_mutex_lock(&s->lock);
	s->running = false;
	atomic_store_explicit(&s->finished, seq, memory_order_release);
	pthread_cond_broadcast(&s->done);
	if (s->thread && (s->head || s->closing))
		pthread_cond_signal(&s->work);	/* it may have found the stream running */
	else if (s->closing && !s->head)
		leave(s);
}

/* Runs until the stream is closed and dry; it holds a reference meanwhile. */
static void *stream_thread(void *arg)
{
	struct api_stream *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		if (s->head && !s->running)
			run_head(s);
		else if (s->closing && !s->head && !s->running)
			break;
		else
			pthread_cond_wait(&s->work, &s->lock);
	}
	s->thread = false;
	pthread_mutex_unlock(&s->lock);
	api_context_unlink(&s->obj);
	api_stream_put(s);
	return NULL;
}

/* With the lock. Signals are the application's threads' business. */
static CUresult start_thread(struct api_stream *s)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	api_object_hold(&s->obj);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, &attr, stream_thread, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err) {
		api_object_put(&s->obj);
		return CUDA_ERROR_OPERATING_SYSTEM;
	}
	s->thread = true;
	return CUDA_SUCCESS;
}

/* ---- issuing ---- */

bool api_op_depend(struct api_op *op, struct api_stream *stream, uint64_t seq)
{
	struct api_dep *deps;

	if (atomic_load_explicit(&stream->finished, memory_order_acquire) >= seq)
		return true;
	deps = realloc(op->deps, (op->ndeps + 1) * sizeof(*deps));
	if (!deps)
		return false;
	api_object_hold(&stream->obj);
	deps[op->ndeps++] = (struct api_dep){ stream, seq };
	op->deps = deps;
	return true;
}

static void drop_deps(struct api_op *op)
{
	for (unsigned i = 0; i < op->ndeps; i++)
		api_stream_put(op->deps[i].stream);
	free(op->deps);
	op->deps = NULL;
	op->ndeps = 0;
}

static bool depend_on_blocking(struct api_op *op, struct api_stream *legacy)
{
	struct api_context *ctx = legacy->obj.ctx;
	bool ok = true;

	pthread_mutex_lock(&ctx->lock);
	for (struct api_list *l = ctx->streams.next; ok && l != &ctx->streams; l = l->next) {
		struct api_stream *s = api_container(l, struct api_stream, obj.link);

		if (s != legacy && !(s->flags & CU_STREAM_NON_BLOCKING))
			ok = api_op_depend(op, s, atomic_load(&s->issued));
	}
	pthread_mutex_unlock(&ctx->lock);
	return ok;
}

/*
 * The legacy stream and the blocking streams of a context wait for each other.
 * What is looked up was issued before, and this is not issued yet: two threads
 * that issue at once may both miss the other, which is as good as any order.
 */
static bool depend_on_others(struct api_op *op, struct api_stream *s)
{
	struct api_context *ctx = s->obj.ctx;
	struct api_stream *legacy;
	bool ok = true;

	if (s->flags & CU_STREAM_NON_BLOCKING)
		return true;
	if (s->legacy)
		return depend_on_blocking(op, s);
	pthread_mutex_lock(&ctx->lock);
	legacy = ctx->legacy;
	if (legacy)
		ok = api_op_depend(op, legacy, atomic_load(&legacy->issued));
	pthread_mutex_unlock(&ctx->lock);
	return ok;
}

/* With the lock. */
static void append(struct api_stream *s, struct api_op *op)
{
	op->next = NULL;
	op->seq = atomic_load(&s->issued) + 1;
	*s->tail = op;
	s->tail = &op->next;
	atomic_store_explicit(&s->issued, op->seq, memory_order_release);
}

static CUresult issue(struct api_stream *s, struct api_op *op, bool async, uint64_t *seq)
{
	CUresult result = CUDA_SUCCESS;
	bool now;

	if (!depend_on_others(op, s)) {
		drop_deps(op);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	pthread_mutex_lock(&s->lock);
	now = op->quick && !op->ndeps && !s->head && !s->running;
	if (s->closing)		/* its context ends in another thread */
		result = CUDA_ERROR_CONTEXT_IS_DESTROYED;
	else if (async && !now && !s->thread)
		result = start_thread(s);
	if (result == CUDA_SUCCESS) {
		append(s, op);
		*seq = op->seq;
		if (now)
			run_head(s);
		else if (async)
			pthread_cond_signal(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
	if (result != CUDA_SUCCESS)
		drop_deps(op);
	return result;
}

CUresult api_stream_submit(struct api_stream *stream, struct api_op *op, uint64_t *seq)
{
	uint64_t unused;
	CUresult result = issue(stream, op, true, seq ? seq : &unused);

	if (result != CUDA_SUCCESS)
		op->free(op);
	return result;
}

CUresult api_stream_run(struct api_stream *stream, struct api_op *op)
{
	uint64_t seq;
	CUresult result = issue(stream, op, false, &seq);

	if (result != CUDA_SUCCESS)
		return result;
	api_stream_wait(stream, seq);
	return api_context_check(stream->obj.ctx);
}

/* ---- waiting ---- */

void api_stream_wait(struct api_stream *s, uint64_t seq)
{
	if (atomic_load_explicit(&s->finished, memory_order_acquire) >= seq)
		return;
	pthread_mutex_lock(&s->lock);
	while (atomic_load(&s->finished) < seq) {
		if (s->head && !s->running)
			run_head(s);
		else
			pthread_cond_wait(&s->done, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
}

bool api_stream_idle(struct api_stream *s)
{
	struct api_op all = { .ndeps = 0 };
	bool idle = atomic_load(&s->finished) >= atomic_load(&s->issued);

	if (!idle || !s->legacy)
		return idle;
	idle = depend_on_blocking(&all, s) && !all.ndeps;
	drop_deps(&all);
	return idle;
}

bool api_stream_ready(struct api_stream *s)
{
	struct api_op all = { .ndeps = 0 };
	bool ready = atomic_load(&s->finished) >= atomic_load(&s->issued) &&
		     depend_on_others(&all, s) && !all.ndeps;

	drop_deps(&all);
	return ready;
}

void api_stream_drain(struct api_stream *s)
{
	struct api_op all = { .ndeps = 0 };

	if (s->legacy)
		depend_on_blocking(&all, s);
	api_stream_wait(s, atomic_load(&s->issued));
	for (unsigned i = 0; i < all.ndeps; i++)
		api_stream_wait(all.deps[i].stream, all.deps[i].seq);
	drop_deps(&all);
}

/* ---- the end ---- */

/* Whoever runs its last operation, or its thread, takes it off its context's list. */
void api_stream_close(struct api_stream *s)
{
	if (!api_object_kill(&s->obj))
		return;
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	if (s->thread)
		pthread_cond_signal(&s->work);
	else if (!s->head && !s->running)
		leave(s);
	pthread_mutex_unlock(&s->lock);
	api_stream_put(s);
}
