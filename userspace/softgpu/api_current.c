// SPDX-License-Identifier: MIT
/*
 * What belongs to a thread: its stack of contexts, its default streams, its
 * mode of capture; and the calls about the current context.
 */
#include <stdlib.h>

#include "softgpu/api.h"

struct thread {
	struct api_context	**stack;	/* each held */
	unsigned		depth, room;
	struct api_stream	**streams;	/* each held, one a context */
	unsigned		nstreams;
	CUstreamCaptureMode	capture_mode;
};

static __thread struct thread *self;
static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

/* The thread ends. Its default streams run dry by themselves. */
static void thread_end(void *arg)
{
	struct thread *t = arg;

	self = NULL;
	if (api_ready() == CUDA_SUCCESS) {
		while (t->depth)
			api_context_put(t->stack[--t->depth]);
		while (t->nstreams) {
			struct api_stream *s = t->streams[--t->nstreams];

			api_stream_close(s);
			api_stream_put(s);
		}
	}
	free(t->stack);
	free(t->streams);
	free(t);
}

static void make_key(void)
{
	pthread_key_create(&key, thread_end);
}

static struct thread *this_thread(void)
{
	if (self)
		return self;
	pthread_once(&key_once, make_key);
	self = calloc(1, sizeof(*self));
	if (self && pthread_setspecific(key, self)) {
		free(self);
		self = NULL;
	}
	return self;
}

struct api_context *api_current(void)
{
	return self && self->depth ? self->stack[self->depth - 1] : NULL;
}

CUresult api_enter(struct api_context **ctx)
{
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	*ctx = api_current();
	return *ctx ? api_context_check(*ctx) : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult push(struct api_context *ctx)
{
	struct thread *t = this_thread();

	if (!t)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (t->depth == t->room) {
		unsigned room = t->room ? 2 * t->room : 8;
		void *stack = realloc(t->stack, room * sizeof(ctx));

		if (!stack)
			return CUDA_ERROR_OUT_OF_MEMORY;
		t->stack = stack;
		t->room = room;
	}
	api_object_hold(&ctx->obj);
	t->stack[t->depth++] = ctx;
	return CUDA_SUCCESS;
}

static void pop(void)
{
	api_context_put(self->stack[--self->depth]);
}

CUresult api_current_set(struct api_context *ctx)
{
	struct api_context *old = api_current();

	if (old == ctx)
		return CUDA_SUCCESS;
	if (old)
		pop();
	return ctx ? push(ctx) : CUDA_SUCCESS;
}

void api_current_pop_dead(struct api_context *ctx)
{
	if (api_current() == ctx)
		pop();
}

CUresult api_thread_stream(struct api_context *ctx, struct api_stream **out)
{
	struct thread *t = this_thread();
	CUresult result;
	void *streams;

	if (!t)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (unsigned i = t->nstreams; i-- > 0;) {
		struct api_stream *s = t->streams[i];

		if (!api_object_alive(&s->obj)) {	/* its context ended */
			t->streams[i] = t->streams[--t->nstreams];
			api_stream_put(s);
		} else if (s->obj.ctx == ctx) {
			api_object_hold(&s->obj);
			*out = s;
			return CUDA_SUCCESS;
		}
	}
	streams = realloc(t->streams, (t->nstreams + 1) * sizeof(*t->streams));
	if (!streams)
		return CUDA_ERROR_OUT_OF_MEMORY;
	t->streams = streams;
	result = api_stream_create(ctx, CU_STREAM_DEFAULT, 0, false, out);
	if (result != CUDA_SUCCESS)
		return result;
	api_object_hold(&(*out)->obj);
	t->streams[t->nstreams++] = *out;
	return CUDA_SUCCESS;
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
	CUresult result = api_ready();
	struct thread *t = this_thread();
	CUstreamCaptureMode old;

	if (result != CUDA_SUCCESS)
		return result;
	if (!mode || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		return CUDA_ERROR_INVALID_VALUE;
	if (!t)
		return CUDA_ERROR_OUT_OF_MEMORY;
	old = t->capture_mode;
	t->capture_mode = *mode;
	*mode = old;
	return CUDA_SUCCESS;
}

/* ---- the stack ---- */

CUresult cuCtxGetCurrent(CUcontext *ctx)
{
	CUresult result = api_ready();
	struct api_context *now;

	if (result != CUDA_SUCCESS)
		return result;
	if (!ctx)
		return CUDA_ERROR_INVALID_VALUE;
	now = api_current();
	*ctx = now ? api_handle(&now->obj) : NULL;
	return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext handle)
{
	struct api_context *ctx;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	if (!handle)
		return api_current_set(NULL);
	result = api_context_get(handle, &ctx);
	if (result != CUDA_SUCCESS)
		return result;
	result = api_current_set(ctx);
	api_context_put(ctx);
	return result;
}

CUresult cuCtxPushCurrent_v2(CUcontext handle)
{
	struct api_context *ctx;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	if (!handle)
		return CUDA_ERROR_INVALID_CONTEXT;
	result = api_context_get(handle, &ctx);
	if (result != CUDA_SUCCESS)
		return result;
	result = push(ctx);
	api_context_put(ctx);
	return result;
}

CUresult cuCtxPushCurrent(CUcontext handle)
{
	return cuCtxPushCurrent_v2(handle);
}

CUresult cuCtxPopCurrent_v2(CUcontext *handle)
{
	CUresult result = api_ready();
	struct api_context *ctx = api_current();

	if (result != CUDA_SUCCESS)
		return result;
	if (!ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (handle)
		*handle = api_handle(&ctx->obj);
	pop();
	return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *handle)
{
	return cuCtxPopCurrent_v2(handle);
}
