// SPDX-License-Identifier: MIT
/*
 * The calls of the API about streams: handles to streams, making and asking
 * them, host functions, and capture, of which there is none.
 */
#include <stdlib.h>

#include "softgpu/api.h"

static CUresult legacy_stream(struct api_context *ctx, struct api_stream **out)
{
	struct api_stream *made;
	CUresult result;

	pthread_mutex_lock(&ctx->lock);
	*out = ctx->legacy;
	if (*out)
		api_object_hold(&(*out)->obj);
	pthread_mutex_unlock(&ctx->lock);
	if (*out)
		return CUDA_SUCCESS;
	result = api_stream_create(ctx, CU_STREAM_DEFAULT, 0, true, &made);
	if (result != CUDA_SUCCESS)
		return result;
	pthread_mutex_lock(&ctx->lock);
	if (!ctx->legacy && atomic_load(&ctx->alive))
		ctx->legacy = made;	/* the list of streams keeps it */
	*out = ctx->legacy;
	if (*out)
		api_object_hold(&(*out)->obj);
	pthread_mutex_unlock(&ctx->lock);
	if (*out != made)
		api_stream_close(made);
	api_stream_put(made);
	return *out ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

CUresult api_stream_of_context(struct api_context *ctx, CUstream handle,
			       struct api_stream **stream)
{
	struct api_object *obj;

	if (handle == CU_STREAM_LEGACY || !handle)
		return legacy_stream(ctx, stream);
	if (handle == CU_STREAM_PER_THREAD)
		return api_thread_stream(ctx, stream);
	obj = api_object_get(handle, API_STREAM);
	if (!obj)
		return CUDA_ERROR_INVALID_HANDLE;
	*stream = api_container(obj, struct api_stream, obj);
	return CUDA_SUCCESS;
}

CUresult api_stream_get(CUstream handle, struct api_stream **stream)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result == CUDA_SUCCESS)
		result = api_stream_of_context(ctx, handle, stream);
	if (result != CUDA_SUCCESS)
		return result;
	result = api_context_check((*stream)->obj.ctx);
	if (result != CUDA_SUCCESS)
		api_stream_put(*stream);
	return result;
}

/* ---- making ---- */

CUresult cuStreamCreateWithPriority(CUstream *out, unsigned flags, int priority)
{
	struct api_stream *s;
	struct api_context *ctx;
	int least, greatest;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!out || flags & ~(unsigned)CU_STREAM_NON_BLOCKING)
		return CUDA_ERROR_INVALID_VALUE;
	cuCtxGetStreamPriorityRange(&least, &greatest);
	priority = priority > least ? least : priority < greatest ? greatest : priority;
	result = api_stream_create(ctx, flags, priority, false, &s);
	if (result != CUDA_SUCCESS)
		return result;
	*out = api_handle(&s->obj);
	api_stream_put(s);
	return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *out, unsigned flags)
{
	return cuStreamCreateWithPriority(out, flags, 0);
}

CUresult cuStreamDestroy_v2(CUstream handle)
{
	struct api_object *obj;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	obj = api_object_get(handle, API_STREAM);
	if (!obj)
		return CUDA_ERROR_INVALID_HANDLE;
	result = api_context_check(obj->ctx);
	api_stream_close(api_container(obj, struct api_stream, obj));
	api_object_put(obj);
	return result;
}

CUresult cuStreamDestroy(CUstream handle)
{
	return cuStreamDestroy_v2(handle);
}

/* ---- asking and waiting ---- */

static CUresult query(CUstream handle)
{
	struct api_stream *s;
	CUresult result = api_stream_get(handle, &s);

	if (result != CUDA_SUCCESS)
		return result;
	result = api_stream_idle(s) ? api_context_check(s->obj.ctx) : CUDA_ERROR_NOT_READY;
	api_stream_put(s);
	return result;
}
API_TWINS(cuStreamQuery, _ptsz, (CUstream stream), query(API_ON(stream)))

static CUresult synchronize(CUstream handle)
{
	struct api_stream *s;
	CUresult result = api_stream_get(handle, &s);

	if (result != CUDA_SUCCESS)
		return result;
	api_stream_drain(s);
	result = api_context_check(s->obj.ctx);
	api_stream_put(s);
	return result;
}
API_TWINS(cuStreamSynchronize, _ptsz, (CUstream stream), synchronize(API_ON(stream)))

static CUresult get_flags(CUstream handle, unsigned *flags)
{
	struct api_stream *s;
	CUresult result = api_stream_get(handle, &s);

	if (result != CUDA_SUCCESS)
		return result;
	if (flags)
		*flags = s->flags;
	else
		result = CUDA_ERROR_INVALID_VALUE;
	api_stream_put(s);
	return result;
}
API_TWINS(cuStreamGetFlags, _ptsz, (CUstream stream, unsigned *flags),
	  get_flags(API_ON(stream), flags))

static CUresult get_priority(CUstream handle, int *priority)
{
	struct api_stream *s;
	CUresult result = api_stream_get(handle, &s);

	if (result != CUDA_SUCCESS)
		return result;
	if (priority)
		*priority = s->priority;
	else
		result = CUDA_ERROR_INVALID_VALUE;
	api_stream_put(s);
	return result;
}
API_TWINS(cuStreamGetPriority, _ptsz, (CUstream stream, int *priority),
	  get_priority(API_ON(stream), priority))

static CUresult get_id(CUstream handle, unsigned long long *id)
{
	struct api_stream *s;
	CUresult result = api_stream_get(handle, &s);

	if (result != CUDA_SUCCESS)
		return result;
	if (id)
		*id = s->id;
	else
		result = CUDA_ERROR_INVALID_VALUE;
	api_stream_put(s);
	return result;
}
API_TWINS(cuStreamGetId, _ptsz, (CUstream stream, unsigned long long *id),
	  get_id(API_ON(stream), id))

static CUresult get_device(CUstream handle, CUdevice *dev)
{
	struct api_stream *s;
	CUresult result = api_stream_get(handle, &s);

	if (result != CUDA_SUCCESS)
		return result;
	if (dev)
		*dev = s->obj.ctx->dev->ordinal;
	else
		result = CUDA_ERROR_INVALID_VALUE;
	api_stream_put(s);
	return result;
}
API_TWINS(cuStreamGetDevice, _ptsz, (CUstream stream, CUdevice *dev),
	  get_device(API_ON(stream), dev))

static CUresult get_ctx(CUstream handle, CUcontext *ctx)
{
	struct api_stream *s;
	CUresult result = api_stream_get(handle, &s);

	if (result != CUDA_SUCCESS)
		return result;
	if (ctx)
		*ctx = api_handle(&s->obj.ctx->obj);
	else
		result = CUDA_ERROR_INVALID_VALUE;
	api_stream_put(s);
	return result;
}
API_TWINS(cuStreamGetCtx, _ptsz, (CUstream stream, CUcontext *ctx),
	  get_ctx(API_ON(stream), ctx))

static CUresult get_ctx_v2(CUstream handle, CUcontext *ctx, CUgreenCtx *green)
{
	if (green)
		*green = NULL;
	return get_ctx(handle, ctx);
}
API_TWINS(cuStreamGetCtx_v2, _ptsz, (CUstream stream, CUcontext *ctx, CUgreenCtx *green),
	  get_ctx_v2(API_ON(stream), ctx, green))

/* ---- attributes ---- */

static CUresult get_attribute(CUstream handle, CUstreamAttrID attr, CUstreamAttrValue *value)
{
	struct api_stream *s;
	CUresult result = api_stream_get(handle, &s);

	if (result != CUDA_SUCCESS)
		return result;
	if (!value) {
		result = CUDA_ERROR_INVALID_VALUE;
	} else {
		*value = (CUstreamAttrValue){ .pad = { 0 } };
		if (attr == CU_LAUNCH_ATTRIBUTE_PRIORITY)
			value->priority = s->priority;
		else if (attr == CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY)
			value->syncPolicy = CU_SYNC_POLICY_AUTO;
		else if (attr != CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW)
			result = CUDA_ERROR_INVALID_VALUE;
	}
	api_stream_put(s);
	return result;
}
API_TWINS(cuStreamGetAttribute, _ptsz,
	  (CUstream stream, CUstreamAttrID attr, CUstreamAttrValue *value),
	  get_attribute(API_ON(stream), attr, value))

/* What can be set are hints, and all are without effect here. */
static CUresult set_attribute(CUstream handle, CUstreamAttrID attr, const CUstreamAttrValue *value)
{
	struct api_stream *s;
	CUresult result = api_stream_get(handle, &s);

	if (result != CUDA_SUCCESS)
		return result;
	api_stream_put(s);
	switch (attr) {
	case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
	case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
	case CU_LAUNCH_ATTRIBUTE_PRIORITY:
		return value ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}
API_TWINS(cuStreamSetAttribute, _ptsz,
	  (CUstream stream, CUstreamAttrID attr, const CUstreamAttrValue *value),
	  set_attribute(API_ON(stream), attr, value))

static CUresult copy_attributes(CUstream dst, CUstream src)
{
	CUresult result = query(dst);

	if (result == CUDA_SUCCESS || result == CUDA_ERROR_NOT_READY)
		result = query(src);
	return result == CUDA_ERROR_NOT_READY ? CUDA_SUCCESS : result;
}
API_TWINS(cuStreamCopyAttributes, _ptsz, (CUstream dst, CUstream src),
	  copy_attributes(API_ON(dst), API_ON(src)))

/* ---- host functions ---- */

struct host_op {
	struct api_op		op;
	CUhostFn		fn;
	CUstreamCallback	callback;
	CUstream		handle;	/* as the application named it */
	void			*user;
};

static void host_run(struct api_op *op, struct api_stream *stream)
{
	struct host_op *h = api_container(op, struct host_op, op);

	api_in_callback = true;
	if (h->fn)
		h->fn(h->user);
	else
		h->callback(h->handle, atomic_load(&stream->obj.ctx->error), h->user);
	api_in_callback = false;
}

static void host_free(struct api_op *op)
{
	free(api_container(op, struct host_op, op));
}

static CUresult host_submit(CUstream handle, CUhostFn fn, CUstreamCallback callback, void *user)
{
	struct host_op *h;
	struct api_stream *s;
	CUresult result = api_stream_get(handle, &s);

	if (result != CUDA_SUCCESS)
		return result;
	h = calloc(1, sizeof(*h));
	if (h) {
		*h = (struct host_op){
			.op = { .run = host_run, .free = host_free, .always = !fn },
			.fn = fn,
			.callback = callback,
			.handle = handle,
			.user = user,
		};
		result = api_stream_submit(s, &h->op, NULL);
	} else {
		result = CUDA_ERROR_OUT_OF_MEMORY;
	}
	api_stream_put(s);
	return result;
}

API_TWINS(cuLaunchHostFunc, _ptsz, (CUstream stream, CUhostFn fn, void *user),
	  fn ? host_submit(API_ON(stream), fn, NULL, user) : CUDA_ERROR_INVALID_VALUE)

/* A callback, unlike a host function, also runs, and is told, after a fault. */
API_TWINS(cuStreamAddCallback, _ptsz,
	  (CUstream stream, CUstreamCallback callback, void *user, unsigned flags),
	  callback && !flags ? host_submit(API_ON(stream), NULL, callback, user) :
			       CUDA_ERROR_INVALID_VALUE)

/* ---- capture: no stream ever captures ---- */

static CUresult capture_none(CUstream handle, CUstreamCaptureStatus *status)
{
	struct api_stream *s;
	CUresult result = api_stream_get(handle, &s);

	if (result != CUDA_SUCCESS)
		return result;
	api_stream_put(s);
	if (!status)
		return CUDA_ERROR_INVALID_VALUE;
	*status = CU_STREAM_CAPTURE_STATUS_NONE;
	return CUDA_SUCCESS;
}

API_TWINS(cuStreamIsCapturing, _ptsz, (CUstream stream, CUstreamCaptureStatus *status),
	  capture_none(API_ON(stream), status))

API_TWINS(cuStreamGetCaptureInfo, _ptsz,
	  (CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id),
	  capture_none(API_ON(stream), status))

API_TWINS(cuStreamGetCaptureInfo_v2, _ptsz,
	  (CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
	   const CUgraphNode **nodes, size_t *count),
	  capture_none(API_ON(stream), status))

API_TWINS(cuStreamGetCaptureInfo_v3, _ptsz,
	  (CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
	   const CUgraphNode **nodes, const CUgraphEdgeData **edges, size_t *count),
	  capture_none(API_ON(stream), status))
