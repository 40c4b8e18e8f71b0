/* SPDX-License-Identifier: MIT */
/* Streams; the calls that only pass a stream on are generated. */
#include <stdlib.h>
#include "libcuda/stream.h"

static _Atomic unsigned long long next_id = 2;	/* 1 and 2 are the default streams' */

static CUresult stream_new(struct vgpu_call_place *p, unsigned flags, int priority,
			   uint64_t *handle)
{
	const struct vgpu_device_info *info = &vgpu_device_get(p->context->context.device)->info;
	struct vgpu_object *o;
	CUresult r;

	/* Out of range means the nearest, as the driver has it; lower is more urgent. */
	if (priority > info->priority_least)
		priority = info->priority_least;
	if (priority < info->priority_greatest)
		priority = info->priority_greatest;
	o = vgpu_object_new(p->session, VGPU_KIND_STREAM, p->ctx, handle);
	if (!o)
		return CUDA_ERROR_OUT_OF_MEMORY;
	o->stream.flags = flags;
	o->stream.priority = priority;
	o->stream.id = atomic_fetch_add(&next_id, 1) + 1;
	vgpu_object_publish(o, *handle);
	r = vgpu_call_cuStreamCreateWithPriority(p->session, p->ctx, p->flags, *handle, flags,
						 priority);
	if (r)
		vgpu_object_free(*handle);
	return r;
}

/* ---- per-thread default streams ---- */

struct thread_stream {
	uint64_t		ctx;
	uint64_t		stream;
	struct thread_stream	*next;
};

static __thread struct thread_stream *mine;
static pthread_key_t mine_key;
static pthread_once_t mine_once = PTHREAD_ONCE_INIT;

static void stream_end(uint64_t handle)
{
	struct vgpu_object *o = vgpu_object_get(handle, VGPU_KIND_STREAM);

	if (!o)		/* its context was reset before */
		return;
	vgpu_call_cuStreamDestroy_v2(o->session, o->ctx, 0, handle);
	vgpu_object_free(handle);
}

/* The thread ends: its streams end when their work is done. */
static void mine_end(void *list)
{
	mine = NULL;
	for (struct thread_stream *t = list, *next; t; t = next) {
		next = t->next;
		if (!vgpu_forked)
			stream_end(t->stream);
		free(t);
	}
}

static void mine_key_create(void)
{
	pthread_key_create(&mine_key, mine_end);
}

CUresult vgpu_stream_of_thread(struct vgpu_call_place *p, uint64_t *wire)
{
	struct thread_stream *t;
	CUresult r;

	for (t = mine; t; t = t->next)
		if (t->ctx == p->ctx)
			break;
	if (t && vgpu_object_get(t->stream, VGPU_KIND_STREAM)) {
		*wire = t->stream;
		return CUDA_SUCCESS;
	}
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return CUDA_ERROR_OUT_OF_MEMORY;
		t->ctx = p->ctx;
		t->next = mine;
		mine = t;
		pthread_once(&mine_once, mine_key_create);
		pthread_setspecific(mine_key, mine);
	}
	r = stream_new(p, CU_STREAM_DEFAULT, 0, &t->stream);
	*wire = t->stream;
	return r;
}

/* ---- the API ---- */

VGPU_PUBLIC CUresult CUDAAPI cuStreamCreateWithPriority(CUstream *stream, unsigned int flags,
							int priority)
{
	struct vgpu_call_place p;
	uint64_t handle;
	CUresult r;

	r = vgpu_place(&p);
	if (r)
		return r;
	if (!stream || flags & ~(unsigned)CU_STREAM_NON_BLOCKING)
		return CUDA_ERROR_INVALID_VALUE;
	r = stream_new(&p, flags, priority, &handle);
	if (!r)
		*stream = (CUstream)(uintptr_t)handle;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuStreamCreate(CUstream *stream, unsigned int flags)
{
	return cuStreamCreateWithPriority(stream, flags, 0);
}

VGPU_PUBLIC CUresult CUDAAPI cuStreamDestroy_v2(CUstream stream)
{
	struct vgpu_call_place p;
	struct vgpu_object *o;
	CUresult r;

	r = vgpu_place_noctx(&p);
	if (r)
		return r;
	o = vgpu_object_get((uintptr_t)stream, VGPU_KIND_STREAM);
	if (!o)
		return CUDA_ERROR_INVALID_HANDLE;
	r = vgpu_call_cuStreamDestroy_v2(o->session, o->ctx, p.flags, (uintptr_t)stream);
	vgpu_object_free((uintptr_t)stream);
	return r;
}

CUresult vgpu_stream_wait(struct vgpu_call_place *p, uint64_t wire)
{
	struct vgpu_early *e = &p->session->early;
	uint64_t now = vgpu_early_now(e);
	CUresult r = vgpu_call_cuStreamSynchronize(p->session, p->ctx, p->flags, wire);

	if (!r)
		vgpu_early_stream_done(e, p->ctx, wire, now);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuStreamSynchronize(CUstream stream)
{
	struct vgpu_call_place p;
	uint64_t wire;
	CUresult r;

	r = vgpu_place(&p);
	if (!r)
		r = vgpu_wire_stream(&p, stream, &wire);
	return r ? r : vgpu_stream_wait(&p, wire);
}

/*
 * What is asked of a stream that may be a default one: its object, or NULL for
 * the legacy one; the thread's own is looked up.
 */
static CUresult asked(CUstream stream, struct vgpu_call_place *p, struct vgpu_object **o)
{
	uint64_t wire;
	CUresult r;

	r = vgpu_place(p);
	if (!r)
		r = vgpu_wire_stream(p, stream, &wire);
	if (!r)
		*o = wire ? vgpu_object_get(wire, VGPU_KIND_STREAM) : NULL;
	return r;
}

static CUstream ptsz(CUstream stream)
{
	return stream ? stream : CU_STREAM_PER_THREAD;
}

#define QUESTION(name, type, legacy, value)						\
VGPU_PUBLIC CUresult CUDAAPI name(CUstream stream, type *out)				\
{											\
	struct vgpu_call_place p;							\
	struct vgpu_object *o = NULL;							\
	CUresult r = asked(stream, &p, &o);						\
											\
	if (r)										\
		return r;								\
	if (!out)									\
		return CUDA_ERROR_INVALID_VALUE;					\
	*out = o ? (value) : (legacy);							\
	return CUDA_SUCCESS;								\
}											\
VGPU_PUBLIC CUresult CUDAAPI name##_ptsz(CUstream stream, type *out)			\
{											\
	return name(ptsz(stream), out);							\
}

QUESTION(cuStreamGetFlags, unsigned int, CU_STREAM_DEFAULT, o->stream.flags)
QUESTION(cuStreamGetPriority, int, 0, o->stream.priority)
QUESTION(cuStreamGetId, unsigned long long, 1, o->stream.id)
QUESTION(cuStreamGetCtx, CUcontext, (CUcontext)(uintptr_t)p.ctx, (CUcontext)(uintptr_t)o->ctx)
QUESTION(cuStreamGetDevice, CUdevice, p.context->context.device,
	 vgpu_object_get(o->ctx, VGPU_KIND_CONTEXT)->context.device)

/* No stream captures: cuStreamBeginCapture is not supported yet. */
QUESTION(cuStreamIsCapturing, CUstreamCaptureStatus, CU_STREAM_CAPTURE_STATUS_NONE,
	 CU_STREAM_CAPTURE_STATUS_NONE)

VGPU_PUBLIC CUresult CUDAAPI cuStreamGetCaptureInfo(CUstream stream,
						    CUstreamCaptureStatus *status, cuuint64_t *id)
{
	CUresult r = cuStreamIsCapturing(stream, status);

	if (!r && id)
		*id = 0;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuStreamGetCaptureInfo_ptsz(CUstream stream,
							 CUstreamCaptureStatus *status,
							 cuuint64_t *id)
{
	return cuStreamGetCaptureInfo(ptsz(stream), status, id);
}

VGPU_PUBLIC CUresult CUDAAPI cuStreamGetCaptureInfo_v2(CUstream stream,
						       CUstreamCaptureStatus *status,
						       cuuint64_t *id, CUgraph *graph,
						       const CUgraphNode **nodes, size_t *count)
{
	if (graph)
		*graph = NULL;
	if (nodes)
		*nodes = NULL;
	if (count)
		*count = 0;
	return cuStreamGetCaptureInfo(stream, status, id);
}

VGPU_PUBLIC CUresult CUDAAPI cuStreamGetCaptureInfo_v2_ptsz(CUstream stream,
							    CUstreamCaptureStatus *status,
							    cuuint64_t *id, CUgraph *graph,
							    const CUgraphNode **nodes,
							    size_t *count)
{
	return cuStreamGetCaptureInfo_v2(ptsz(stream), status, id, graph, nodes, count);
}

VGPU_PUBLIC CUresult CUDAAPI cuStreamGetCaptureInfo_v3(CUstream stream,
						       CUstreamCaptureStatus *status,
						       cuuint64_t *id, CUgraph *graph,
						       const CUgraphNode **nodes,
						       const CUgraphEdgeData **edges,
						       size_t *count)
{
	if (edges)
		*edges = NULL;
	return cuStreamGetCaptureInfo_v2(stream, status, id, graph, nodes, count);
}

VGPU_PUBLIC CUresult CUDAAPI cuStreamGetCaptureInfo_v3_ptsz(CUstream stream,
							    CUstreamCaptureStatus *status,
							    cuuint64_t *id, CUgraph *graph,
							    const CUgraphNode **nodes,
							    const CUgraphEdgeData **edges,
							    size_t *count)
{
	return cuStreamGetCaptureInfo_v3(ptsz(stream), status, id, graph, nodes, edges, count);
}
