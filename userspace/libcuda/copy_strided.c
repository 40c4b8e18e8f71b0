/* SPDX-License-Identifier: MIT */
/*
 * Copies of rectangles and boxes in linear memory: what lies behind each other
 * is one copy, the rest a copy each row. Arrays are not supported yet.
 */
#include "libcuda/copy.h"

struct box {
	size_t	width, height, depth;
};

/* One side of a copy, from the words of CUDA_MEMCPY3D. */
struct side {
	CUdeviceptr	start;		/* of the first byte */
	size_t		row;		/* bytes from a row to the next */
	size_t		plane;		/* bytes from a plane to the next */
};

struct place {
	CUmemorytype	type;
	const void	*host;
	CUdeviceptr	device;
	size_t		pitch, height, x, y, z;
};

static CUresult side_start(const struct place *p, CUdeviceptr *start)
{
	switch (p->type) {
	case CU_MEMORYTYPE_HOST:
		*start = (uintptr_t)p->host;
		break;
	case CU_MEMORYTYPE_DEVICE:
	case CU_MEMORYTYPE_UNIFIED:
		*start = p->device;
		break;
	case CU_MEMORYTYPE_ARRAY:
		return CUDA_ERROR_NOT_SUPPORTED;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
	return *start ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult side_of(struct side *s, const struct place *p, const struct box *b)
{
	size_t y, z, most;
	CUresult r = side_start(p, &s->start);

	if (r)
		return r;
	s->row = p->pitch ? p->pitch : p->x + b->width;
	if (s->row < b->width || p->x > s->row - b->width ||
	    __builtin_mul_overflow(s->row, p->height ? p->height : p->y + b->height, &s->plane) ||
	    (b->depth > 1 && p->height && p->height < b->height) ||
	    __builtin_mul_overflow(p->y, s->row, &y) ||
	    __builtin_mul_overflow(p->z, s->plane, &z) ||
	    __builtin_mul_overflow(b->depth, s->plane, &most) ||
	    __builtin_add_overflow(s->start, p->x, &s->start) ||
	    __builtin_add_overflow(s->start, y, &s->start) ||
	    __builtin_add_overflow(s->start, z, &s->start))
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult plane_copy(CUdeviceptr dst, CUdeviceptr src, const struct side *to,
			   const struct side *from, const struct box *b, CUstream stream, bool sync)
{
	CUresult r = CUDA_SUCCESS;

	if (to->row == b->width && from->row == b->width)
		return vgpu_copy(dst, src, b->width * b->height, stream, sync);
	for (size_t y = 0; y < b->height && !r; y++)
		r = vgpu_copy(dst + y * to->row, src + y * from->row, b->width, stream, sync);
	return r;
}

static CUresult box_copy(const struct place *dst, const struct place *src, const struct box *b,
			 CUstream stream, bool sync)
{
	struct side to, from;
	CUresult r;

	r = side_of(&from, src, b);
	if (!r)
		r = side_of(&to, dst, b);
	if (r || !b->width || !b->height)
		return r;
	for (size_t z = 0; z < b->depth && !r; z++)
		r = plane_copy(to.start + z * to.plane, from.start + z * from.plane, &to, &from, b,
			       stream, sync);
	return r;
}

static CUresult copy_2d(const CUDA_MEMCPY2D *c, CUstream stream, bool sync)
{
	struct place dst, src;
	struct box b;

	if (!c)
		return CUDA_ERROR_INVALID_VALUE;
	dst = (struct place){ c->dstMemoryType, c->dstHost, c->dstDevice, c->dstPitch, 0,
			      c->dstXInBytes, c->dstY, 0 };
	src = (struct place){ c->srcMemoryType, c->srcHost, c->srcDevice, c->srcPitch, 0,
			      c->srcXInBytes, c->srcY, 0 };
	b = (struct box){ c->WidthInBytes, c->Height, 1 };
	return box_copy(&dst, &src, &b, stream, sync);
}

static CUresult copy_3d(const CUDA_MEMCPY3D *c, CUstream stream, bool sync)
{
	struct place dst, src;
	struct box b;

	if (!c || c->srcLOD || c->dstLOD)
		return CUDA_ERROR_INVALID_VALUE;
	dst = (struct place){ c->dstMemoryType, c->dstHost, c->dstDevice, c->dstPitch,
			      c->dstHeight, c->dstXInBytes, c->dstY, c->dstZ };
	src = (struct place){ c->srcMemoryType, c->srcHost, c->srcDevice, c->srcPitch,
			      c->srcHeight, c->srcXInBytes, c->srcY, c->srcZ };
	b = (struct box){ c->WidthInBytes, c->Height, c->Depth };
	return box_copy(&dst, &src, &b, stream, sync);
}

/* Each with its twin for a default stream per thread. */
#define COPY(name, words, function)							\
VGPU_PUBLIC CUresult CUDAAPI name(const words *c)					\
{											\
	return function(c, NULL, true);							\
}											\
VGPU_PUBLIC CUresult CUDAAPI name##_ptds(const words *c)				\
{											\
	return function(c, CU_STREAM_PER_THREAD, true);					\
}

#define COPY_ASYNC(name, words, function)						\
VGPU_PUBLIC CUresult CUDAAPI name(const words *c, CUstream stream)			\
{											\
	return function(c, stream, false);						\
}											\
VGPU_PUBLIC CUresult CUDAAPI name##_ptsz(const words *c, CUstream stream)		\
{											\
	return function(c, stream ? stream : CU_STREAM_PER_THREAD, false);		\
}

COPY(cuMemcpy2D_v2, CUDA_MEMCPY2D, copy_2d)
COPY(cuMemcpy2DUnaligned_v2, CUDA_MEMCPY2D, copy_2d)
COPY(cuMemcpy3D_v2, CUDA_MEMCPY3D, copy_3d)
COPY_ASYNC(cuMemcpy2DAsync_v2, CUDA_MEMCPY2D, copy_2d)
COPY_ASYNC(cuMemcpy3DAsync_v2, CUDA_MEMCPY3D, copy_3d)
