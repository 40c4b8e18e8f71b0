// SPDX-License-Identifier: MIT
/* Frames of called functions, recycled by size within a worker. */
#include "softgpu/exec.h"

#include <stdlib.h>

#define MAX_FRAME_BYTES	(512u << 20)	/* of a worker: calls may part and go deep */

static uint32_t size_class(size_t size)
{
	uint32_t c = 0;

	while (((size_t)256 << c) < size)
		c++;
	return c;
}

/* NULL: no memory. Lanes, parent and the like are the caller's. */
struct sg_frame *sg_frame_new(struct sg_warp *w, const struct sg_function *f)
{
	struct sg_worker *wk = w->block->worker;
	size_t head = (sizeof(struct sg_frame) + 63) & ~(size_t)63;
	size_t size = head + f->reg_bytes + (size_t)f->param_bytes * SG_LANES;
	uint32_t c = size_class(size);
	struct sg_frame *fr;

	if (c >= SG_FRAME_CLASSES)
		return NULL;
	fr = wk->free_frames[c];
	if (fr) {
		wk->free_frames[c] = fr->parent;
	} else {
		if (wk->frame_bytes + ((size_t)256 << c) > MAX_FRAME_BYTES)
			return NULL;
		fr = aligned_alloc(64, (size_t)256 << c);
		if (!fr)
			return NULL;
		wk->frame_bytes += (size_t)256 << c;
	}
	fr->func = f;
	fr->regs = (uint8_t *)fr + head;
	fr->params = fr->regs + f->reg_bytes;
	fr->size_class = c;
	return fr;
}

void sg_frame_free(struct sg_warp *w, struct sg_frame *f)
{
	struct sg_worker *wk = w->block->worker;

	f->parent = wk->free_frames[f->size_class];
	wk->free_frames[f->size_class] = f;
}

void sg_frames_drain(struct sg_worker *wk)
{
	for (int c = 0; c < SG_FRAME_CLASSES; c++) {
		while (wk->free_frames[c]) {
			struct sg_frame *f = wk->free_frames[c];

			wk->free_frames[c] = f->parent;
			free(f);
		}
	}
}
