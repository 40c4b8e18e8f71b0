/* SPDX-License-Identifier: MIT */
/*
 * Contexts. Handles, stacks and states are this process' own business; the
 * worker hears of a context when it is created, retained, reset or destroyed.
 */
#include <stdlib.h>
#include <string.h>
#include "proto/cuda_api.h"
#include "cudafront/cudafront.h"
#include "libcuda/api.h"
#include "libcuda/hostfn.h"
#include "libcuda/memory.h"
#include "libcuda/stream.h"

/* Serialises life-cycle changes of contexts; taken before the worker is asked. */
static pthread_mutex_t life = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned long long next_id;

/* The thread's stack; the current context is its top. */
static __thread struct {
	CUcontext	*entries;
	unsigned	depth;
	unsigned	room;
} stack;

static pthread_key_t stack_key;
static pthread_once_t stack_once = PTHREAD_ONCE_INIT;

/* The thread ends; a later destructor of it may still call us. */
static void stack_end(void *entries)
{
	stack.depth = stack.room = 0;
	stack.entries = NULL;
	free(entries);
}

static void stack_key_create(void)
{
	pthread_key_create(&stack_key, stack_end);
}

static bool stack_grow(void)
{
	unsigned room = stack.room ? 2 * stack.room : 8;
	CUcontext *entries = realloc(stack.entries, room * sizeof(*entries));

	if (!entries)
		return false;
	stack.entries = entries;
	stack.room = room;
	pthread_once(&stack_once, stack_key_create);
	pthread_setspecific(stack_key, entries);
	return true;
}

static bool stack_push(CUcontext ctx)
{
	if (stack.depth == stack.room && !stack_grow())
		return false;
	stack.entries[stack.depth++] = ctx;
	return true;
}

CUcontext vgpu_context_current(void)
{
	return stack.depth ? stack.entries[stack.depth - 1] : NULL;
}

struct vgpu_object *vgpu_context_get(CUcontext ctx)
{
	if (!ctx)
		ctx = vgpu_context_current();
	return vgpu_object_get((uintptr_t)ctx, VGPU_KIND_CONTEXT);
}

static struct vgpu_object *context_new(struct vgpu_device *d, CUdevice dev, bool primary,
				       uint64_t *handle)
{
	struct vgpu_object *o = vgpu_object_new(d->session, VGPU_KIND_CONTEXT, 0, handle);

	if (!o)
		return NULL;
	o->context.device = dev;
	o->context.primary = primary;
	o->context.id = atomic_fetch_add(&next_id, 1) + 1;
	return o;
}

CUresult vgpu_contexts_init(void)
{
	for (CUdevice dev = 0; dev < vgpu_device_count(); dev++) {
		struct vgpu_device *d = vgpu_device_get(dev);
		struct vgpu_object *o = context_new(d, dev, true, &d->primary);

		if (!o)
			return CUDA_ERROR_OUT_OF_MEMORY;
		vgpu_object_publish(o, d->primary);
	}
	return CUDA_SUCCESS;
}

/* ---- errors ---- */

static void error_keep(struct vgpu_context *c, CUresult status)
{
	unsigned none = 0;

	/* The first one counts, as on a GPU. */
	atomic_compare_exchange_strong(vgpu_status_sticky(status) ? &c->sticky : &c->deferred,
				       &none, (unsigned)status);
}

void vgpu_context_error(struct vgpu_session *s, const struct vgpu_notice_error *n)
{
	struct vgpu_object *o = vgpu_object_get(n->ctx, VGPU_KIND_CONTEXT);

	if (o && o->session == s && n->status)
		error_keep(&o->context, (CUresult)n->status);
}

CUresult vgpu_context_result(struct vgpu_object *o, CUresult status)
{
	unsigned kept;

	if (status) {
		if (vgpu_status_sticky(status))
			error_keep(&o->context, status);
		return status;
	}
	kept = atomic_load_explicit(&o->context.sticky, memory_order_relaxed);
	if (!kept && atomic_load_explicit(&o->context.deferred, memory_order_relaxed))
		kept = atomic_exchange(&o->context.deferred, 0);
	return (CUresult)kept;
}

/* ---- life ---- */

/* All that lived in the context is gone on the worker; life is locked. */
static void context_emptied(struct vgpu_object *o, uint64_t handle)
{
	atomic_store(&o->context.active, false);
	atomic_store(&o->context.sticky, 0);
	atomic_store(&o->context.deferred, 0);
	vgpu_hostfn_drop(o->session, handle);
	vgpu_memory_drop(o->session, handle);
	vgpu_objects_drop(handle);
}

static CUresult primary(CUdevice dev, struct vgpu_call_place *p, int *ordinal,
			struct vgpu_object **o, uint64_t *handle)
{
	CUresult r = vgpu_place_device(p, dev, ordinal);

	if (r)
		return r;
	*handle = vgpu_device_get(dev)->primary;
	*o = vgpu_object_get(*handle, VGPU_KIND_CONTEXT);
	return *o ? CUDA_SUCCESS : CUDA_ERROR_DEINITIALIZED;
}

VGPU_PUBLIC CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)
{
	struct vgpu_call_place p;
	struct vgpu_object *o;
	uint64_t handle;
	int ordinal;
	CUresult r;

	if (!pctx)
		return CUDA_ERROR_INVALID_VALUE;
	r = primary(dev, &p, &ordinal, &o, &handle);
	if (r)
		return r;
	pthread_mutex_lock(&life);
	if (!o->context.active) {
		r = vgpu_call_cuDevicePrimaryCtxRetain(p.session, 0, 0, handle, ordinal);
		if (!r)
			atomic_store(&o->context.active, true);
	}
	if (!r) {
		o->context.retained++;
		*pctx = (CUcontext)(uintptr_t)handle;
	}
	pthread_mutex_unlock(&life);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuDevicePrimaryCtxRelease_v2(CUdevice dev)
{
	struct vgpu_call_place p;
	struct vgpu_object *o;
	uint64_t handle;
	bool ended = false;
	int ordinal;
	CUresult r;

	r = primary(dev, &p, &ordinal, &o, &handle);
	if (r)
		return r;
	pthread_mutex_lock(&life);
	if (!o->context.retained) {
		r = CUDA_ERROR_INVALID_CONTEXT;
	} else if (!--o->context.retained && o->context.active) {
		r = vgpu_call_cuDevicePrimaryCtxRelease_v2(p.session, 0, 0, ordinal);
		context_emptied(o, handle);
		ended = true;
	}
	pthread_mutex_unlock(&life);
	if (ended)
		cudafront_context_ended((CUcontext)(uintptr_t)handle);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuDevicePrimaryCtxReset_v2(CUdevice dev)
{
	struct vgpu_call_place p;
	struct vgpu_object *o;
	uint64_t handle;
	bool ended;
	int ordinal;
	CUresult r;

	r = primary(dev, &p, &ordinal, &o, &handle);
	if (r)
		return r;
	pthread_mutex_lock(&life);
	ended = o->context.active;
	if (ended) {
		r = vgpu_call_cuDevicePrimaryCtxReset_v2(p.session, 0, 0, ordinal);
		context_emptied(o, handle);
	}
	pthread_mutex_unlock(&life);
	if (ended)
		cudafront_context_ended((CUcontext)(uintptr_t)handle);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuDevicePrimaryCtxRelease(CUdevice dev)
{
	return cuDevicePrimaryCtxRelease_v2(dev);
}

VGPU_PUBLIC CUresult CUDAAPI cuDevicePrimaryCtxReset(CUdevice dev)
{
	return cuDevicePrimaryCtxReset_v2(dev);
}

/* Core dumps of a GPU would be files of the worker's host: not among these. */
#define CTX_FLAGS	(CU_CTX_SCHED_MASK | CU_CTX_MAP_HOST | CU_CTX_LMEM_RESIZE_TO_MAX | \
			 CU_CTX_SYNC_MEMOPS)

VGPU_PUBLIC CUresult CUDAAPI cuDevicePrimaryCtxSetFlags_v2(CUdevice dev, unsigned int flags)
{
	struct vgpu_call_place p;
	struct vgpu_object *o;
	uint64_t handle;
	int ordinal;
	CUresult r;

	if (flags & ~CTX_FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	r = primary(dev, &p, &ordinal, &o, &handle);
	if (r)
		return r;
	r = vgpu_call_cuDevicePrimaryCtxSetFlags_v2(p.session, 0, 0, ordinal, flags);
	if (!r)
		o->context.flags = flags;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuDevicePrimaryCtxSetFlags(CUdevice dev, unsigned int flags)
{
	return cuDevicePrimaryCtxSetFlags_v2(dev, flags);
}

VGPU_PUBLIC CUresult CUDAAPI cuDevicePrimaryCtxGetState(CUdevice dev, unsigned int *flags,
							int *active)
{
	struct vgpu_call_place p;
	struct vgpu_object *o;
	uint64_t handle;
	int ordinal;
	CUresult r;

	if (!flags || !active)
		return CUDA_ERROR_INVALID_VALUE;
	r = primary(dev, &p, &ordinal, &o, &handle);
	if (r)
		return r;
	*flags = o->context.flags;
	*active = o->context.active;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev)
{
	struct vgpu_call_place p;
	struct vgpu_object *o;
	uint64_t handle;
	int ordinal;
	CUresult r;

	if (!pctx || flags & ~CTX_FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	r = vgpu_place_device(&p, dev, &ordinal);
	if (r)
		return r;
	o = context_new(vgpu_device_get(dev), dev, false, &handle);
	if (!o)
		return CUDA_ERROR_OUT_OF_MEMORY;
	o->context.flags = flags;
	r = vgpu_call_cuCtxCreate_v2(p.session, 0, 0, handle, flags, ordinal);
	vgpu_object_publish(o, handle);
	if (!r && !stack_push((CUcontext)(uintptr_t)handle)) {
		vgpu_call_cuCtxDestroy_v2(p.session, 0, 0, handle);
		r = CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (r) {
		vgpu_object_free(handle);
		return r;
	}
	atomic_store(&o->context.active, true);
	*pctx = (CUcontext)(uintptr_t)handle;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxCreate_v3(CUcontext *pctx, CUexecAffinityParam *affinity,
					    int naffinity, unsigned int flags, CUdevice dev)
{
	if (naffinity)
		return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
	return cuCtxCreate_v2(pctx, flags, dev);
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxCreate_v4(CUcontext *pctx, CUctxCreateParams *params,
					    unsigned int flags, CUdevice dev)
{
	if (params && (params->numExecAffinityParams || params->cigParams))
		return CUDA_ERROR_NOT_SUPPORTED;
	return cuCtxCreate_v2(pctx, flags, dev);
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxDestroy_v2(CUcontext ctx)
{
	uint64_t handle = (uintptr_t)ctx;
	struct vgpu_object *o;
	CUresult r;

	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	pthread_mutex_lock(&life);
	o = ctx ? vgpu_context_get(ctx) : NULL;
	if (!o || o->context.primary || !o->context.active) {
		pthread_mutex_unlock(&life);
		return CUDA_ERROR_INVALID_CONTEXT;
	}
	r = vgpu_call_cuCtxDestroy_v2(o->session, 0, 0, handle);
	context_emptied(o, handle);
	pthread_mutex_unlock(&life);
	cudafront_context_ended(ctx);
	if (vgpu_context_current() == ctx)
		stack.depth--;
	vgpu_object_free(handle);
	return r;
}

/* The oldest form of sharing: a count of users, of which the last one destroys. */
VGPU_PUBLIC CUresult CUDAAPI cuCtxAttach(CUcontext *pctx, unsigned int flags)
{
	struct vgpu_call_place p;
	CUresult r = vgpu_place(&p);

	if (r)
		return r;
	if (!pctx || flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (p.context->context.primary)
		return CUDA_ERROR_INVALID_CONTEXT;
	pthread_mutex_lock(&life);
	p.context->context.retained++;
	pthread_mutex_unlock(&life);
	*pctx = (CUcontext)(uintptr_t)p.ctx;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxDetach(CUcontext ctx)
{
	struct vgpu_call_place p;
	bool last;
	CUresult r = vgpu_place(&p);

	if (r)
		return r;
	if ((uintptr_t)ctx != p.ctx || p.context->context.primary)
		return CUDA_ERROR_INVALID_CONTEXT;
	pthread_mutex_lock(&life);
	last = !p.context->context.retained;
	if (!last)
		p.context->context.retained--;
	pthread_mutex_unlock(&life);
	return last ? cuCtxDestroy_v2(ctx) : CUDA_SUCCESS;
}

/* ---- the thread's stack ---- */

VGPU_PUBLIC CUresult CUDAAPI cuCtxGetCurrent(CUcontext *pctx)
{
	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	if (!pctx)
		return CUDA_ERROR_INVALID_VALUE;
	*pctx = vgpu_context_current();
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxPushCurrent_v2(CUcontext ctx)
{
	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	if (!ctx || !vgpu_context_get(ctx))
		return CUDA_ERROR_INVALID_CONTEXT;
	return stack_push(ctx) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxPopCurrent_v2(CUcontext *pctx)
{
	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	if (!stack.depth)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (pctx)
		*pctx = vgpu_context_current();
	stack.depth--;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxPushCurrent(CUcontext ctx)
{
	return cuCtxPushCurrent_v2(ctx);
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxPopCurrent(CUcontext *pctx)
{
	return cuCtxPopCurrent_v2(pctx);
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxSetCurrent(CUcontext ctx)
{
	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	if (ctx && !vgpu_context_get(ctx))
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!ctx) {
		if (stack.depth)
			stack.depth--;
		return CUDA_SUCCESS;
	}
	if (!stack.depth)
		return stack_push(ctx) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
	stack.entries[stack.depth - 1] = ctx;
	return CUDA_SUCCESS;
}

/* ---- questions ---- */

/* An answer about @ctx (NULL: the current one) that the object holds. */
static CUresult asked(CUcontext ctx, struct vgpu_object **o)
{
	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	*o = vgpu_context_get(ctx);
	return *o ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxGetDevice_v2(CUdevice *device, CUcontext ctx)
{
	struct vgpu_object *o;
	CUresult r = asked(ctx, &o);

	if (!device)
		return CUDA_ERROR_INVALID_VALUE;
	if (!r)
		*device = o->context.device;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxGetDevice(CUdevice *device)
{
	return cuCtxGetDevice_v2(device, NULL);
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxGetApiVersion(CUcontext ctx, unsigned int *version)
{
	struct vgpu_object *o;
	CUresult r = asked(ctx, &o);

	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	if (r)
		return r;
	/* The runtime asks this to learn whether the context still lives. */
	if (!o->context.active)
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	*version = 3020;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxGetFlags(unsigned int *flags)
{
	struct vgpu_object *o;
	CUresult r = asked(NULL, &o);

	if (!flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (!r)
		*flags = o->context.flags;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxSetFlags(unsigned int flags)
{
	struct vgpu_object *o;
	CUresult r = asked(NULL, &o);

	if (flags & ~CTX_FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	/* How a thread waits is decided by the channel; the rest is kept. */
	if (!r)
		o->context.flags = flags;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxGetId(CUcontext ctx, unsigned long long *id)
{
	struct vgpu_object *o;
	CUresult r = asked(ctx, &o);

	if (!id)
		return CUDA_ERROR_INVALID_VALUE;
	if (!r)
		*id = o->context.id;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
	struct vgpu_object *o;
	CUresult r = asked(NULL, &o);

	if (r)
		return r;
	if (least)
		*least = vgpu_device_get(o->context.device)->info.priority_least;
	if (greatest)
		*greatest = vgpu_device_get(o->context.device)->info.priority_greatest;
	return CUDA_SUCCESS;
}

static CUresult synchronize(CUcontext ctx)
{
	struct vgpu_call_place p;
	uint64_t now;
	CUresult r;

	r = vgpu_place_ctx(&p, ctx);
	if (r)
		return r;
	now = vgpu_early_now(&p.session->early);
	r = vgpu_call_cuCtxSynchronize(p.session, p.ctx, p.flags);
	if (!r)
		vgpu_early_context_done(&p.session->early, p.ctx, now);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxSynchronize(void)
{
	return synchronize(vgpu_context_current());
}

VGPU_PUBLIC CUresult CUDAAPI cuCtxSynchronize_v2(CUcontext ctx)
{
	return synchronize(ctx ? ctx : vgpu_context_current());
}
