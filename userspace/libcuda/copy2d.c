/* SPDX-License-Identifier: MIT */
/*
 * Copies of rectangles in linear memory: rows that lie behind each other are
 * one copy, others a copy each. Arrays are not supported yet.
 */
#include "libcuda/copy.h"

struct side {
	CUdeviceptr	start;		/* of the first byte */
	size_t		pitch;
};

static CUresult side_of(struct side *s, CUmemorytype type, const void *host, CUdeviceptr device,
			size_t pitch, size_t x, size_t y, size_t width)
{
	size_t rows;

	switch (type) {
	case CU_MEMORYTYPE_HOST:
		s->start = (uintptr_t)host;
		break;
	case CU_MEMORYTYPE_DEVICE:
	case CU_MEMORYTYPE_UNIFIED:
		s->start = device;
		break;
	case CU_MEMORYTYPE_ARRAY:
		return CUDA_ERROR_NOT_SUPPORTED;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
	s->pitch = pitch ? pitch : width;
	if (!s->start || s->pitch < width || x > s->pitch - width ||
	    __builtin_mul_overflow(y, s->pitch, &rows) ||
	    __builtin_add_overflow(s->start, rows + x, &s->start))
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult rows_copy(const struct side *dst, const struct side *src, size_t width,
			  size_t height, CUstream stream, bool sync)
{
	CUresult r = CUDA_SUCCESS;

	for (size_t y = 0; y < height && !r; y++)
		r = vgpu_copy(dst->start + y * dst->pitch, src->start + y * src->pitch, width,
			      stream, sync);
	return r;
}

static CUresult copy_2d(const CUDA_MEMCPY2D *c, CUstream stream, bool sync)
{
	struct side dst, src;
	size_t all;
	CUresult r;

	if (!c)
		return CUDA_ERROR_INVALID_VALUE;
	r = side_of(&src, c->srcMemoryType, c->srcHost, c->srcDevice, c->srcPitch,
		    c->srcXInBytes, c->srcY, c->WidthInBytes);
	if (!r)
		r = side_of(&dst, c->dstMemoryType, c->dstHost, c->dstDevice, c->dstPitch,
			    c->dstXInBytes, c->dstY, c->WidthInBytes);
	if (r || !c->WidthInBytes || !c->Height)
		return r;
	if (__builtin_mul_overflow(c->WidthInBytes, c->Height, &all))
		return CUDA_ERROR_INVALID_VALUE;
	if (src.pitch == c->WidthInBytes && dst.pitch == c->WidthInBytes)
		return vgpu_copy(dst.start, src.start, all, stream, sync);
	return rows_copy(&dst, &src, c->WidthInBytes, c->Height, stream, sync);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpy2D_v2(const CUDA_MEMCPY2D *c)
{
	return copy_2d(c, NULL, true);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpy2D_v2_ptds(const CUDA_MEMCPY2D *c)
{
	return copy_2d(c, CU_STREAM_PER_THREAD, true);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *c)
{
	return copy_2d(c, NULL, true);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpy2DUnaligned_v2_ptds(const CUDA_MEMCPY2D *c)
{
	return copy_2d(c, CU_STREAM_PER_THREAD, true);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *c, CUstream stream)
{
	return copy_2d(c, stream, false);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpy2DAsync_v2_ptsz(const CUDA_MEMCPY2D *c, CUstream stream)
{
	return copy_2d(c, stream ? stream : CU_STREAM_PER_THREAD, false);
}
