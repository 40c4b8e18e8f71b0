/* SPDX-License-Identifier: MIT */
/*
 * Memsets. On device memory all of them are asynchronous to the host, so the
 * synchronous ones are the others on the default stream; they wait where the
 * host could look at what it is to find.
 */
#include "libcuda/memory.h"

struct area {
	CUdeviceptr	dst;
	size_t		pitch;		/* bytes; one row: any */
	size_t		width;		/* elements */
	size_t		height;
	unsigned	element;	/* bytes: 1, 2, 4 */
	bool		sync;
	bool		host;		/* it is mapped host memory */
};

/* Bytes from the first to the last that are written; false: overflow. */
static bool area_extent(const struct area *a, size_t *extent)
{
	size_t row, rows;

	return !__builtin_mul_overflow(a->width, a->element, &row) &&
	       !__builtin_mul_overflow(a->height - 1, a->pitch, &rows) &&
	       !__builtin_add_overflow(row, rows, extent);
}

static CUresult area_begin(struct area *a, CUstream stream, struct vgpu_call_place *p,
			   uint64_t *wire)
{
	size_t extent;
	CUresult r;

	r = vgpu_place(p);
	if (!r)
		r = vgpu_wire_stream(p, stream, wire);
	if (r)
		return r;
	if (a->dst % a->element)
		return CUDA_ERROR_INVALID_VALUE;
	if (!a->width || !a->height)
		return CUDA_SUCCESS;
	if (!area_extent(a, &extent) ||
	    (a->height > 1 && (a->pitch < a->width * a->element || a->pitch % a->element)))
		return CUDA_ERROR_INVALID_VALUE;
	return vgpu_memory_within(p, a->dst, extent, &a->host);
}

static CUresult area_end(const struct area *a, const struct vgpu_call_place *p, uint64_t wire,
			 CUresult r)
{
	if (r || !a->sync || !a->host)
		return r;
	return vgpu_call_cuStreamSynchronize(p->session, p->ctx, p->flags, wire);
}

static CUresult set_linear(CUdeviceptr dst, unsigned value, size_t n, unsigned element,
			   CUstream stream, bool sync)
{
	struct area a = { dst, 0, n, 1, element, sync, false };
	struct vgpu_call_place p;
	uint64_t wire;
	CUresult r;

	r = area_begin(&a, stream, &p, &wire);
	if (r || !n)
		return r;
	switch (element) {
	case 1:
		r = vgpu_call_cuMemsetD8Async(p.session, p.ctx, p.flags, dst, value, n, wire);
		break;
	case 2:
		r = vgpu_call_cuMemsetD16Async(p.session, p.ctx, p.flags, dst, value, n, wire);
		break;
	default:
		r = vgpu_call_cuMemsetD32Async(p.session, p.ctx, p.flags, dst, value, n, wire);
		break;
	}
	return area_end(&a, &p, wire, r);
}

static CUresult set_2d(CUdeviceptr dst, size_t pitch, unsigned value, size_t width, size_t height,
		       unsigned element, CUstream stream, bool sync)
{
	struct area a = { dst, pitch, width, height, element, sync, false };
	struct vgpu_call_place p;
	uint64_t wire;
	CUresult r;

	r = area_begin(&a, stream, &p, &wire);
	if (r || !width || !height)
		return r;
	switch (element) {
	case 1:
		r = vgpu_call_cuMemsetD2D8Async(p.session, p.ctx, p.flags, dst, pitch, value,
					   width, height, wire);
		break;
	case 2:
		r = vgpu_call_cuMemsetD2D16Async(p.session, p.ctx, p.flags, dst, pitch, value,
					    width, height, wire);
		break;
	default:
		r = vgpu_call_cuMemsetD2D32Async(p.session, p.ctx, p.flags, dst, pitch, value,
					    width, height, wire);
		break;
	}
	return area_end(&a, &p, wire, r);
}

#define MEMSET(bits, type)								\
VGPU_PUBLIC CUresult CUDAAPI cuMemsetD##bits##_v2(CUdeviceptr dst, type v, size_t n)	\
{											\
	return set_linear(dst, v, n, bits / 8, NULL, true);				\
}											\
VGPU_PUBLIC CUresult CUDAAPI cuMemsetD##bits##_v2_ptds(CUdeviceptr dst, type v, size_t n) \
{											\
	return set_linear(dst, v, n, bits / 8, CU_STREAM_PER_THREAD, true);		\
}											\
VGPU_PUBLIC CUresult CUDAAPI cuMemsetD##bits##Async(CUdeviceptr dst, type v, size_t n,	\
						    CUstream stream)			\
{											\
	return set_linear(dst, v, n, bits / 8, stream, false);				\
}											\
VGPU_PUBLIC CUresult CUDAAPI cuMemsetD2D##bits##_v2(CUdeviceptr dst, size_t pitch, type v, \
						    size_t width, size_t height)	\
{											\
	return set_2d(dst, pitch, v, width, height, bits / 8, NULL, true);		\
}											\
VGPU_PUBLIC CUresult CUDAAPI cuMemsetD2D##bits##_v2_ptds(CUdeviceptr dst, size_t pitch,	\
							 type v, size_t width, size_t height) \
{											\
	return set_2d(dst, pitch, v, width, height, bits / 8, CU_STREAM_PER_THREAD, true);\
}											\
VGPU_PUBLIC CUresult CUDAAPI cuMemsetD2D##bits##Async(CUdeviceptr dst, size_t pitch, type v, \
						      size_t width, size_t height,	\
						      CUstream stream)			\
{											\
	return set_2d(dst, pitch, v, width, height, bits / 8, stream, false);		\
}

MEMSET(8, unsigned char)
MEMSET(16, unsigned short)
MEMSET(32, unsigned int)
