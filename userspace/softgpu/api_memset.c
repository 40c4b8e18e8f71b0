// SPDX-License-Identifier: MIT
/* Filling memory of a device, or page-locked memory, with 1, 2 or 4 byte values. */
#include <stdlib.h>
#include <string.h>

#include "softgpu/api.h"

struct set_op {
	struct api_op	op;
	char		*dst;
	uint32_t	value;
	unsigned	size;		/* of an element: 1, 2, 4 */
	size_t		pitch, width, height;	/* width: elements */
};

static void fill_row(char *dst, const struct set_op *s)
{
	uint16_t *half = (uint16_t *)(void *)dst;
	uint32_t *word = (uint32_t *)(void *)dst;

	switch (s->size) {
	case 1:
		memset(dst, s->value, s->width);
		break;
	case 2:
		for (size_t i = 0; i < s->width; i++)
			half[i] = s->value;
		break;
	case 4:
		for (size_t i = 0; i < s->width; i++)
			word[i] = s->value;
		break;
	}
}

static void set_run(struct api_op *op, struct api_stream *stream)
{
	const struct set_op *s = api_container(op, struct set_op, op);

	for (size_t y = 0; y < s->height; y++)
		fill_row(s->dst + y * s->pitch, s);
}

static void set_free(struct api_op *op)
{
	free(api_container(op, struct set_op, op));
}

/* Arguments that do not fit the element size, or memory that does not hold it all. */
static CUresult check(const struct set_op *s)
{
	size_t row, rows, bytes;

	if ((uintptr_t)s->dst % s->size || (s->height > 1 && s->pitch % s->size))
		return CUDA_ERROR_INVALID_VALUE;
	if (__builtin_mul_overflow(s->width, s->size, &row) ||
	    __builtin_mul_overflow(s->height - 1, s->pitch, &rows) ||
	    __builtin_add_overflow(rows, row, &bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (s->height > 1 && s->pitch < row)
		return CUDA_ERROR_INVALID_VALUE;
	return api_reach((uintptr_t)s->dst) >= bytes ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult set_on(struct api_stream *stream, const struct set_op *set, bool async)
{
	CUresult result = check(set);
	struct set_op once = *set, *op;
	struct api_range range;

	if (result != CUDA_SUCCESS)
		return result;
	/* The host sees its own memory at once; a device's is set when its turn comes. */
	if (api_range_find((uintptr_t)set->dst, &range) &&
	    ((!async && range.kind != API_RANGE_DEVICE) || range.flags & API_RANGE_SYNC_MEMOPS))
		return api_stream_run(stream, &once.op);
	op = malloc(sizeof(*op));
	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*op = *set;
	op->op.free = set_free;
	op->op.quick = set->width * set->size * set->height <= API_QUICK_BYTES;
	return api_stream_submit(stream, &op->op, NULL);
}

static CUresult set(CUstream handle, bool async, CUdeviceptr dst, size_t pitch, unsigned size,
		    uint32_t value, size_t width, size_t height)
{
	struct set_op op = {
		.op = { .run = set_run },
		.dst = (char *)(uintptr_t)dst,
		.value = value,
		.size = size,
		.pitch = pitch,
		.width = width,
		.height = height,
	};
	struct api_stream *s;
	CUresult result = api_stream_get(handle, &s);

	if (result != CUDA_SUCCESS)
		return result;
	if (width && height)
		result = set_on(s, &op, async);
	api_stream_put(s);
	return result;
}

#define SET_1D(bits, type)						\
	API_TWINS(cuMemsetD##bits##_v2, _ptds, (CUdeviceptr dst, type value, size_t n), \
		  set(null_stream, false, dst, 0, bits / 8, value, n, 1)) \
	API_TWINS(cuMemsetD##bits##Async, _ptsz,			\
		  (CUdeviceptr dst, type value, size_t n, CUstream stream), \
		  set(API_ON(stream), true, dst, 0, bits / 8, value, n, 1))

#define SET_2D(bits, type)						\
	API_TWINS(cuMemsetD2D##bits##_v2, _ptds,			\
		  (CUdeviceptr dst, size_t pitch, type value, size_t width, size_t height), \
		  set(null_stream, false, dst, pitch, bits / 8, value, width, height)) \
	API_TWINS(cuMemsetD2D##bits##Async, _ptsz,			\
		  (CUdeviceptr dst, size_t pitch, type value, size_t width, size_t height, \
		   CUstream stream),					\
		  set(API_ON(stream), true, dst, pitch, bits / 8, value, width, height))

SET_1D(8, unsigned char)
SET_1D(16, unsigned short)
SET_1D(32, unsigned int)
SET_2D(8, unsigned char)
SET_2D(16, unsigned short)
SET_2D(32, unsigned int)
