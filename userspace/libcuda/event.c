/* SPDX-License-Identifier: MIT */
/* Events; recording, waiting and asking are generated. */
#include "libcuda/api.h"

#define EVENT_FLAGS	(CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING)

VGPU_PUBLIC CUresult CUDAAPI cuEventCreate(CUevent *event, unsigned int flags)
{
	struct vgpu_call_place p;
	struct vgpu_object *o;
	uint64_t handle;
	CUresult r;

	r = vgpu_place(&p);
	if (r)
		return r;
	if (!event || flags & ~(unsigned)(EVENT_FLAGS | CU_EVENT_INTERPROCESS))
		return CUDA_ERROR_INVALID_VALUE;
	if (flags & CU_EVENT_INTERPROCESS)
		return CUDA_ERROR_NOT_SUPPORTED;
	o = vgpu_object_new(p.session, VGPU_KIND_EVENT, p.ctx, &handle);
	if (!o)
		return CUDA_ERROR_OUT_OF_MEMORY;
	o->event.flags = flags;
	vgpu_object_publish(o, handle);
	r = vgpu_call_cuEventCreate(p.session, p.ctx, p.flags, handle, flags);
	if (r)
		vgpu_object_free(handle);
	else
		*event = (CUevent)(uintptr_t)handle;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuEventDestroy_v2(CUevent event)
{
	struct vgpu_call_place p;
	struct vgpu_object *o;
	CUresult r;

	r = vgpu_place_noctx(&p);
	if (r)
		return r;
	o = vgpu_object_get((uintptr_t)event, VGPU_KIND_EVENT);
	if (!o)
		return CUDA_ERROR_INVALID_HANDLE;
	r = vgpu_call_cuEventDestroy_v2(o->session, o->ctx, p.flags, (uintptr_t)event);
	vgpu_object_free((uintptr_t)event);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end)
{
	return cuEventElapsedTime(milliseconds, start, end);
}
