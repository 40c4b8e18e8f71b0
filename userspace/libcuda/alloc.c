/* SPDX-License-Identifier: MIT */
/* Device memory: allocate, free, what is left. */
#include "libcuda/memory.h"
#include "libcuda/steer.h"

#define CLASH_RETRIES	16

/*
 * The range of a new allocation may be taken in this process: then the worker
 * keeps it aside and gives another.
 */
static CUresult range_settle(struct vgpu_call_place *p, CUdeviceptr *ptr, size_t size)
{
	for (int i = 0; i < CLASH_RETRIES; i++) {
		CUresult r;

		if (vgpu_steer_reserve(*ptr, size))
			return CUDA_SUCCESS;
		r = vgpu_call_vgpu_mem_clash(p->session, p->ctx, p->flags, ptr, *ptr, size);
		if (r)
			return r;
	}
	vgpu_call_cuMemFree_v2(p->session, p->ctx, p->flags, *ptr);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult allocation_keep(struct vgpu_call_place *p, CUdeviceptr ptr, size_t size)
{
	struct vgpu_memory m = {
		.start = ptr, .size = size, .kind = VGPU_MEMORY_DEVICE,
		.device = p->context->context.device, .session = p->session, .ctx = p->ctx,
	};

	if (!vgpu_memory_add(&m))
		return CUDA_SUCCESS;
	vgpu_call_cuMemFree_v2(p->session, p->ctx, p->flags, ptr);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

VGPU_PUBLIC CUresult CUDAAPI cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)
{
	struct vgpu_call_place p;
	CUdeviceptr ptr = 0;
	CUresult r;

	r = vgpu_place(&p);
	if (r)
		return r;
	if (!dptr || !bytesize)
		return CUDA_ERROR_INVALID_VALUE;
	r = vgpu_call_cuMemAlloc_v2(p.session, p.ctx, p.flags, &ptr, bytesize);
	if (!r)
		r = range_settle(&p, &ptr, bytesize);
	if (!r)
		r = allocation_keep(&p, ptr, bytesize);
	if (!r)
		*dptr = ptr;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuMemAllocPitch_v2(CUdeviceptr *dptr, size_t *pitch, size_t width,
						size_t height, unsigned int element)
{
	struct vgpu_call_place p;
	CUdeviceptr ptr = 0;
	size_t row = 0, size;
	CUresult r;

	r = vgpu_place(&p);
	if (r)
		return r;
	if (!dptr || !pitch || !width || !height ||
	    (element != 4 && element != 8 && element != 16))
		return CUDA_ERROR_INVALID_VALUE;
	r = vgpu_call_cuMemAllocPitch_v2(p.session, p.ctx, p.flags, &ptr, &row, width, height,
					 element);
	if (r)
		return r;
	if (row < width || __builtin_mul_overflow(row, height, &size))
		return CUDA_ERROR_UNKNOWN;
	r = range_settle(&p, &ptr, size);
	if (!r)
		r = allocation_keep(&p, ptr, size);
	if (!r) {
		*dptr = ptr;
		*pitch = row;
	}
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuMemFree_v2(CUdeviceptr dptr)
{
	struct vgpu_call_place p;
	struct vgpu_memory m;
	CUresult r;

	r = vgpu_place(&p);
	if (r || !dptr)
		return r;
	if (!vgpu_memory_take(dptr, VGPU_MEMORY_DEVICE, &m))
		return CUDA_ERROR_INVALID_VALUE;
	/* In the context that it belongs to, whichever is current. */
	return vgpu_call_cuMemFree_v2(m.session, m.ctx, p.flags, dptr);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size,
						     CUdeviceptr dptr)
{
	struct vgpu_call_place p;
	struct vgpu_memory m;
	CUresult r;

	r = vgpu_place(&p);
	if (r)
		return r;
	vgpu_memory_find(dptr, &m);
	if (!vgpu_memory_on_device(&m))
		return CUDA_ERROR_NOT_FOUND;
	if (base)
		*base = m.start;
	if (size)
		*size = m.size;
	return CUDA_SUCCESS;
}
