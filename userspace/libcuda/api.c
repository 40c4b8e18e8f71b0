/* SPDX-License-Identifier: MIT */
/* Where a call goes, and handles on their way to the wire. */
#include "libcuda/api.h"
#include "libcuda/stream.h"
#include "libcuda/submit.h"

static __thread CUstreamCaptureMode capture_mode;

unsigned vgpu_capture_flags(void)
{
	return (unsigned)capture_mode << VGPU_CALL_CAPTURE_SHIFT;
}

VGPU_PUBLIC CUresult CUDAAPI cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
	CUstreamCaptureMode old = capture_mode;

	if (!mode || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		return CUDA_ERROR_INVALID_VALUE;
	capture_mode = *mode;
	*mode = old;
	return CUDA_SUCCESS;
}

static CUresult session_usable(struct vgpu_session *s)
{
	return vgpu_channel_lost(s->channel) ? vgpu_submit_lost(s) : CUDA_SUCCESS;
}

CUresult vgpu_place_ctx(struct vgpu_call_place *p, CUcontext ctx)
{
	struct vgpu_object *o;
	unsigned sticky;

	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	if (!ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	o = vgpu_context_get(ctx);
	if (!o || !atomic_load_explicit(&o->context.active, memory_order_acquire))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	sticky = atomic_load_explicit(&o->context.sticky, memory_order_relaxed);
	if (sticky)
		return (CUresult)sticky;
	*p = (struct vgpu_call_place){ o->session, o, (uintptr_t)ctx, vgpu_capture_flags() };
	return session_usable(o->session);
}

CUresult vgpu_place(struct vgpu_call_place *p)
{
	return vgpu_place_ctx(p, vgpu_context_current());
}

CUresult vgpu_place_noctx(struct vgpu_call_place *p)
{
	CUcontext current = vgpu_context_current();
	struct vgpu_object *o = current ? vgpu_context_get(current) : NULL;

	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	if (o && !atomic_load_explicit(&o->context.active, memory_order_acquire))
		o = NULL;
	*p = (struct vgpu_call_place){
		o ? o->session : vgpu_device_get(0)->session, o, o ? (uintptr_t)current : 0,
		vgpu_capture_flags(),
	};
	return session_usable(p->session);
}

CUresult vgpu_place_device(struct vgpu_call_place *p, CUdevice dev, int *ordinal)
{
	struct vgpu_device *d;

	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	d = vgpu_device_get(dev);
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	*p = (struct vgpu_call_place){ d->session, NULL, 0, vgpu_capture_flags() };
	*ordinal = d->ordinal;
	return session_usable(d->session);
}

CUresult vgpu_wire_device(struct vgpu_call_place *p, CUdevice dev, int *ordinal)
{
	struct vgpu_device *d = vgpu_device_get(dev);

	if (!d || d->session != p->session)
		return CUDA_ERROR_INVALID_DEVICE;
	*ordinal = d->ordinal;
	return CUDA_SUCCESS;
}

static CUresult wire(struct vgpu_call_place *p, const void *handle, enum vgpu_kind kind,
		     uint64_t *number)
{
	struct vgpu_object *o = vgpu_object_get((uintptr_t)handle, kind);

	if (!o || o->session != p->session)
		return CUDA_ERROR_INVALID_HANDLE;
	*number = (uintptr_t)handle;
	return CUDA_SUCCESS;
}

CUresult vgpu_wire_ctx(struct vgpu_call_place *p, CUcontext ctx, uint64_t *number)
{
	return wire(p, ctx, VGPU_KIND_CONTEXT, number) ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

CUresult vgpu_wire_event(struct vgpu_call_place *p, CUevent event, uint64_t *number)
{
	return wire(p, event, VGPU_KIND_EVENT, number);
}

CUresult vgpu_wire_module(struct vgpu_call_place *p, CUmodule module, uint64_t *number)
{
	return wire(p, module, VGPU_KIND_MODULE, number);
}

CUresult vgpu_wire_library(struct vgpu_call_place *p, CUlibrary library, uint64_t *number)
{
	return wire(p, library, VGPU_KIND_LIBRARY, number);
}

CUresult vgpu_wire_kernel(struct vgpu_call_place *p, CUkernel kernel, uint64_t *number)
{
	return wire(p, kernel, VGPU_KIND_KERNEL, number);
}

CUresult vgpu_wire_function(struct vgpu_call_place *p, CUfunction function, uint64_t *number)
{
	return wire(p, function, VGPU_KIND_FUNCTION, number);
}

/* What is done on a stream is done in its context, whichever is current. */
static CUresult stream_wire(struct vgpu_call_place *p, CUstream stream, uint64_t *number)
{
	CUresult r = wire(p, stream, VGPU_KIND_STREAM, number);
	struct vgpu_object *o = r ? NULL : vgpu_object_get(*number, VGPU_KIND_STREAM);

	if (!o || o->ctx == p->ctx)
		return r;
	p->ctx = o->ctx;
	p->context = vgpu_object_get(o->ctx, VGPU_KIND_CONTEXT);
	return p->context ? (CUresult)p->context->context.sticky : CUDA_ERROR_INVALID_HANDLE;
}

CUresult vgpu_wire_stream(struct vgpu_call_place *p, CUstream stream, uint64_t *number)
{
	if (stream == NULL || stream == CU_STREAM_LEGACY) {
		*number = 0;
		return CUDA_SUCCESS;
	}
	if (stream == CU_STREAM_PER_THREAD)
		return vgpu_stream_of_thread(p, number);
	return stream_wire(p, stream, number);
}
