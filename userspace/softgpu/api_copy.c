// SPDX-License-Identifier: MIT
/*
 * Copies. All of them become one form: planes of rows of bytes between two
 * addresses. What differs is where the addresses may lie, and when memory of
 * the application's own, which is not page-locked, is used: before the call
 * returns, as NVIDIA's driver does and programs rely on.
 */
#include <stdlib.h>
#include <string.h>

#include "softgpu/api.h"

/* Pageable sources up to this size are put aside, so that the call need not wait. */
#define STAGE_BYTES	(64u << 10)

struct copy_op {
	struct api_op	op;
	struct api_copy	copy;
	char		stage[];	/* what a pageable source held */
};

static void copy_rows(char *dst, const char *src, const struct api_copy *c)
{
	if (c->width == c->dst_pitch && c->width == c->src_pitch) {
		memmove(dst, src, c->width * c->height);
		return;
	}
	for (size_t y = 0; y < c->height; y++)
		memmove(dst + y * c->dst_pitch, src + y * c->src_pitch, c->width);
}

static void copy_now(const struct api_copy *c)
{
	for (size_t z = 0; z < c->depth; z++)
		copy_rows(c->dst + z * c->dst_slice, c->src + z * c->src_slice, c);
}

static void copy_run(struct api_op *op, struct api_stream *stream)
{
	copy_now(&api_container(op, struct copy_op, op)->copy);
}

static void copy_free(struct api_op *op)
{
	free(api_container(op, struct copy_op, op));
}

/* Bytes from the first to behind the last; false: more than there can be. */
static bool extent(const struct api_copy *c, size_t pitch, size_t slice, size_t *bytes)
{
	size_t rows, planes, sum;

	return !(__builtin_mul_overflow(c->height - 1, pitch, &rows) ||
		 __builtin_mul_overflow(c->depth - 1, slice, &planes) ||
		 __builtin_add_overflow(rows, planes, &sum) ||
		 __builtin_add_overflow(sum, c->width, bytes));
}

/*
 * Where one side lies: whether pageable, and whether its owner wants copies to
 * be synchronous. A device's address must hold all of it.
 */
static CUresult check_side(enum api_side side, const void *ptr, size_t bytes, bool *pageable,
			   bool *async)
{
	uintptr_t addr = (uintptr_t)ptr;
	struct api_range range;
	size_t reach = api_reach(addr);

	*pageable = !reach;
	if (!reach)
		return side == API_DEVICE || !ptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
	if (reach < bytes) {
		/* Host memory may be page-locked in part; then none of it counts. */
		if (side == API_DEVICE || !api_range_find(addr, &range) ||
		    range.kind == API_RANGE_DEVICE)
			return CUDA_ERROR_INVALID_VALUE;
		*pageable = true;
		return CUDA_SUCCESS;
	}
	if (*async && api_range_find(addr, &range) && range.flags & API_RANGE_SYNC_MEMOPS)
		*async = false;
	return CUDA_SUCCESS;
}

/* With a pageable source: aside if it is small, else wait. */
static CUresult copy_staged(struct api_stream *s, const struct api_copy *c)
{
	size_t bytes = c->width * c->height * c->depth;
	struct api_copy aside = *c;
	struct copy_op *op;

	op = malloc(sizeof(*op) + bytes);
	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	aside.dst = op->stage;
	aside.dst_pitch = c->width;
	aside.dst_slice = c->width * c->height;
	copy_now(&aside);
	op->op = (struct api_op){ .run = copy_run, .free = copy_free, .quick = true };
	op->copy = *c;
	op->copy.src = op->stage;
	op->copy.src_pitch = aside.dst_pitch;
	op->copy.src_slice = aside.dst_slice;
	return api_stream_submit(s, &op->op, NULL);
}

static CUresult copy_async(struct api_stream *s, const struct api_copy *c, size_t bytes)
{
	struct copy_op *op = malloc(sizeof(*op));

	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	op->op = (struct api_op){
		.run = copy_run,
		.free = copy_free,
		.quick = bytes <= API_QUICK_BYTES,
	};
	op->copy = *c;
	return api_stream_submit(s, &op->op, NULL);
}

static CUresult copy_sync(struct api_stream *s, const struct api_copy *c)
{
	struct copy_op op = { .op = { .run = copy_run }, .copy = *c };

	return api_stream_run(s, &op.op);
}

static CUresult copy_on(struct api_stream *s, const struct api_copy *c, bool async)
{
	bool from_pageable, to_pageable;
	size_t to, from, bytes;
	CUresult result;

	if (!extent(c, c->dst_pitch, c->dst_slice, &to) ||
	    !extent(c, c->src_pitch, c->src_slice, &from))
		return CUDA_ERROR_INVALID_VALUE;
	if (atomic_load(&s->obj.ctx->flags) & CU_CTX_SYNC_MEMOPS)
		async = false;
	result = check_side(c->dst_side, c->dst, to, &to_pageable, &async);
	if (result == CUDA_SUCCESS)
		result = check_side(c->src_side, c->src, from, &from_pageable, &async);
	if (result != CUDA_SUCCESS)
		return result;
	bytes = c->width * c->height * c->depth;
	if (!async || to_pageable || (from_pageable && bytes > STAGE_BYTES))
		return copy_sync(s, c);
	if (from_pageable && !api_stream_ready(s))
		return copy_staged(s, c);
	return from_pageable ? copy_sync(s, c) : copy_async(s, c, bytes);
}

CUresult api_copy(const struct api_copy *copy, CUstream stream, bool async)
{
	struct api_stream *s;
	CUresult result = api_stream_get(stream, &s);

	if (result != CUDA_SUCCESS)
		return result;
	if (copy->width && copy->height && copy->depth)
		result = copy_on(s, copy, async);
	api_stream_put(s);
	return result;
}

/* ---- linear ---- */

static CUresult linear(CUstream stream, bool async, uintptr_t dst, enum api_side dst_side,
		       uintptr_t src, enum api_side src_side, size_t bytes)
{
	struct api_copy copy = {
		.dst = (char *)dst,
		.src = (const char *)src,
		.dst_side = dst_side,
		.src_side = src_side,
		.width = bytes,
		.height = 1,
		.depth = 1,
		.dst_pitch = bytes,
		.src_pitch = bytes,
	};

	return api_copy(&copy, stream, async);
}

API_TWINS(cuMemcpyHtoD_v2, _ptds, (CUdeviceptr dst, const void *src, size_t bytes),
	  linear(null_stream, false, dst, API_DEVICE, (uintptr_t)src, API_HOST, bytes))

API_TWINS(cuMemcpyDtoH_v2, _ptds, (void *dst, CUdeviceptr src, size_t bytes),
	  linear(null_stream, false, (uintptr_t)dst, API_HOST, src, API_DEVICE, bytes))

API_TWINS(cuMemcpyDtoD_v2, _ptds, (CUdeviceptr dst, CUdeviceptr src, size_t bytes),
	  linear(null_stream, true, dst, API_DEVICE, src, API_DEVICE, bytes))

API_TWINS(cuMemcpy, _ptds, (CUdeviceptr dst, CUdeviceptr src, size_t bytes),
	  linear(null_stream, false, dst, API_ANY, src, API_ANY, bytes))

API_TWINS(cuMemcpyHtoDAsync_v2, _ptsz,
	  (CUdeviceptr dst, const void *src, size_t bytes, CUstream stream),
	  linear(API_ON(stream), true, dst, API_DEVICE, (uintptr_t)src, API_HOST, bytes))

API_TWINS(cuMemcpyDtoHAsync_v2, _ptsz,
	  (void *dst, CUdeviceptr src, size_t bytes, CUstream stream),
	  linear(API_ON(stream), true, (uintptr_t)dst, API_HOST, src, API_DEVICE, bytes))

API_TWINS(cuMemcpyDtoDAsync_v2, _ptsz,
	  (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream),
	  linear(API_ON(stream), true, dst, API_DEVICE, src, API_DEVICE, bytes))

API_TWINS(cuMemcpyAsync, _ptsz,
	  (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream),
	  linear(API_ON(stream), true, dst, API_ANY, src, API_ANY, bytes))

/* ---- between contexts ---- */

static CUresult context_ok(CUcontext handle)
{
	struct api_context *ctx;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	if (!handle)
		return CUDA_ERROR_INVALID_CONTEXT;
	result = api_context_get(handle, &ctx);
	if (result != CUDA_SUCCESS)
		return result;
	result = api_context_check(ctx);
	api_context_put(ctx);
	return result;
}

static CUresult peer(CUstream stream, CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src,
		     CUcontext src_ctx, size_t bytes)
{
	CUresult result = context_ok(dst_ctx);

	if (result == CUDA_SUCCESS)
		result = context_ok(src_ctx);
	if (result != CUDA_SUCCESS)
		return result;
	return linear(stream, true, dst, API_DEVICE, src, API_DEVICE, bytes);
}

API_TWINS(cuMemcpyPeer, _ptds,
	  (CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx, size_t bytes),
	  peer(null_stream, dst, dst_ctx, src, src_ctx, bytes))

API_TWINS(cuMemcpyPeerAsync, _ptsz,
	  (CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx, size_t bytes,
	   CUstream stream),
	  peer(API_ON(stream), dst, dst_ctx, src, src_ctx, bytes))
