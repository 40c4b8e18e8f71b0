// SPDX-License-Identifier: MIT
/*
 * Two- and three-dimensional copies between linear memory. There are no CUDA
 * arrays here, so a handle of one is never valid.
 */
#include "softgpu/api.h"

/* One side of the parameters of any of the calls. */
struct side {
	CUmemorytype	type;
	uintptr_t	host, device;
	size_t		x, y, z;
	size_t		pitch, height;
};

/*
 * @plane: bytes from plane to plane. A pitch of 0 stands for rows without a
 * gap, and a height of 0 for planes without.
 */
static CUresult side_resolve(const struct side *s, const struct api_copy *c, uintptr_t *start,
			     enum api_side *kind, size_t *pitch, size_t *plane)
{
	size_t row, rows = s->height ? s->height : s->y + c->height;
	size_t skip_rows, skip_planes;

	switch (s->type) {
	case CU_MEMORYTYPE_HOST:
		*start = s->host;
		*kind = API_HOST;
		break;
	case CU_MEMORYTYPE_DEVICE:
		*start = s->device;
		*kind = API_DEVICE;
		break;
	case CU_MEMORYTYPE_UNIFIED:
		*start = s->device;
		*kind = API_ANY;
		break;
	case CU_MEMORYTYPE_ARRAY:
		return CUDA_ERROR_INVALID_HANDLE;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
	if (!*start || __builtin_add_overflow(s->x, c->width, &row))
		return CUDA_ERROR_INVALID_VALUE;
	*pitch = s->pitch ? s->pitch : row;
	if (*pitch < row || *pitch > API_MAX_PITCH ||
	    (c->depth > 1 && rows < s->y + c->height))
		return CUDA_ERROR_INVALID_VALUE;
	if (__builtin_mul_overflow(*pitch, rows, plane) ||
	    __builtin_mul_overflow(s->y, *pitch, &skip_rows) ||
	    __builtin_mul_overflow(s->z, *plane, &skip_planes) ||
	    __builtin_add_overflow(*start, skip_rows, start) ||
	    __builtin_add_overflow(*start, skip_planes, start) ||
	    __builtin_add_overflow(*start, s->x, start))
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult strided(CUstream stream, bool async, const struct side *dst,
			const struct side *src, size_t width, size_t height, size_t depth)
{
	struct api_copy copy = { .width = width, .height = height, .depth = depth };
	uintptr_t to, from;
	CUresult result;

	if (!width || !height || !depth)
		return api_copy(&copy, stream, async);
	result = side_resolve(dst, &copy, &to, &copy.dst_side, &copy.dst_pitch, &copy.dst_slice);
	if (result == CUDA_SUCCESS)
		result = side_resolve(src, &copy, &from, &copy.src_side, &copy.src_pitch,
				      &copy.src_slice);
	if (result != CUDA_SUCCESS)
		return result;
	copy.dst = (char *)to;
	copy.src = (const char *)from;
	return api_copy(&copy, stream, async);
}

#define SIDE_2D(c, side)						\
	{								\
		.type = (c)->side##MemoryType,				\
		.host = (uintptr_t)(c)->side##Host,			\
		.device = (c)->side##Device,				\
		.x = (c)->side##XInBytes, .y = (c)->side##Y,		\
		.pitch = (c)->side##Pitch,				\
	}

#define SIDE_3D(c, side)						\
	{								\
		.type = (c)->side##MemoryType,				\
		.host = (uintptr_t)(c)->side##Host,			\
		.device = (c)->side##Device,				\
		.x = (c)->side##XInBytes, .y = (c)->side##Y, .z = (c)->side##Z, \
		.pitch = (c)->side##Pitch, .height = (c)->side##Height,	\
	}

static CUresult copy_2d(CUstream stream, bool async, const CUDA_MEMCPY2D *c)
{
	if (!c)
		return CUDA_ERROR_INVALID_VALUE;
	return strided(stream, async, &(struct side)SIDE_2D(c, dst), &(struct side)SIDE_2D(c, src),
		       c->WidthInBytes, c->Height, 1);
}

static CUresult copy_3d(CUstream stream, bool async, const CUDA_MEMCPY3D *c)
{
	if (!c || c->srcLOD || c->dstLOD)
		return CUDA_ERROR_INVALID_VALUE;
	return strided(stream, async, &(struct side)SIDE_3D(c, dst), &(struct side)SIDE_3D(c, src),
		       c->WidthInBytes, c->Height, c->Depth);
}

static CUresult copy_3d_peer(CUstream stream, const CUDA_MEMCPY3D_PEER *c)
{
	struct api_context *ctx;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	if (!c || c->srcLOD || c->dstLOD)
		return CUDA_ERROR_INVALID_VALUE;
	for (int i = 0; i < 2; i++) {
		result = api_context_get(i ? c->dstContext : c->srcContext, &ctx);
		if (result != CUDA_SUCCESS)
			return result;
		result = api_context_check(ctx);
		api_context_put(ctx);
		if (result != CUDA_SUCCESS)
			return result;
	}
	return strided(stream, true, &(struct side)SIDE_3D(c, dst), &(struct side)SIDE_3D(c, src),
		       c->WidthInBytes, c->Height, c->Depth);
}

API_TWINS(cuMemcpy2D_v2, _ptds, (const CUDA_MEMCPY2D *copy), copy_2d(null_stream, false, copy))

API_TWINS(cuMemcpy2DUnaligned_v2, _ptds, (const CUDA_MEMCPY2D *copy),
	  copy_2d(null_stream, false, copy))

API_TWINS(cuMemcpy2DAsync_v2, _ptsz, (const CUDA_MEMCPY2D *copy, CUstream stream),
	  copy_2d(API_ON(stream), true, copy))

API_TWINS(cuMemcpy3D_v2, _ptds, (const CUDA_MEMCPY3D *copy), copy_3d(null_stream, false, copy))

API_TWINS(cuMemcpy3DAsync_v2, _ptsz, (const CUDA_MEMCPY3D *copy, CUstream stream),
	  copy_3d(API_ON(stream), true, copy))

API_TWINS(cuMemcpy3DPeer, _ptds, (const CUDA_MEMCPY3D_PEER *copy),
	  copy_3d_peer(null_stream, copy))

API_TWINS(cuMemcpy3DPeerAsync, _ptsz, (const CUDA_MEMCPY3D_PEER *copy, CUstream stream),
	  copy_3d_peer(API_ON(stream), copy))
