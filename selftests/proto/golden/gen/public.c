/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* Public functions that do no more than their call. */
#include "proto/cuda_api.h"
#include "libcuda/api.h"

VGPU_PUBLIC CUresult CUDAAPI cuCtxGetCacheConfig(CUfunc_cache *pconfig)
{
	struct vgpu_call_place place;
	CUresult r;

	r = vgpu_place(&place);
	if (r)
		return r;
	if (!pconfig)
		return CUDA_ERROR_INVALID_VALUE;
	return vgpu_call_cuCtxGetCacheConfig(place.session, place.ctx, place.flags, pconfig);
}

VGPU_PUBLIC CUresult CUDAAPI cuEventRecord(CUevent hEvent, CUstream hStream)
{
	struct vgpu_call_place place;
	uint64_t wire_hEvent;
	uint64_t wire_hStream;
	CUresult r;

	r = vgpu_place(&place);
	if (r)
		return r;
	r = vgpu_wire_event(&place, hEvent, &wire_hEvent);
	if (r)
		return r;
	r = vgpu_wire_stream(&place, hStream, &wire_hStream);
	if (r)
		return r;
	return vgpu_call_cuEventRecord(place.session, place.ctx, place.flags, wire_hEvent,
				       wire_hStream);
}

VGPU_PUBLIC CUresult CUDAAPI cuEventRecord_ptsz(CUevent hEvent, CUstream hStream)
{
	if (!hStream)
		hStream = CU_STREAM_PER_THREAD;
	return cuEventRecord(hEvent, hStream);
}

VGPU_PUBLIC CUresult CUDAAPI cuModuleGetGlobal_v2(CUdeviceptr *dptr, size_t *bytes, CUmodule hmod,
						  const char *name)
{
	struct vgpu_call_place place;
	uint64_t wire_hmod;
	CUresult r;

	r = vgpu_place(&place);
	if (r)
		return r;
	if (!dptr)
		return CUDA_ERROR_INVALID_VALUE;
	r = vgpu_wire_module(&place, hmod, &wire_hmod);
	if (r)
		return r;
	return vgpu_call_cuModuleGetGlobal_v2(place.session, place.ctx, place.flags, dptr, bytes,
					      wire_hmod, name);
}

VGPU_PUBLIC CUresult CUDAAPI cuKernelSetAttribute(CUfunction_attribute attrib, int val,
						  CUkernel kernel, CUdevice dev)
{
	struct vgpu_call_place place;
	uint64_t wire_kernel;
	int wire_dev;
	CUresult r;

	r = vgpu_place_noctx(&place);
	if (r)
		return r;
	r = vgpu_wire_kernel(&place, kernel, &wire_kernel);
	if (r)
		return r;
	r = vgpu_wire_device(&place, dev, &wire_dev);
	if (r)
		return r;
	return vgpu_call_cuKernelSetAttribute(place.session, place.ctx, place.flags, attrib, val,
					      wire_kernel, wire_dev);
}

VGPU_PUBLIC CUresult CUDAAPI cuLaunchHostFunc_ptsz(CUstream hStream, CUhostFn fn, void *userData)
{
	if (!hStream)
		hStream = CU_STREAM_PER_THREAD;
	return cuLaunchHostFunc(hStream, fn, userData);
}
