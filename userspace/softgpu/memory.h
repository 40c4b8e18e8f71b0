/* SPDX-License-Identifier: MIT */
/*
 * What the engine itself asks of memory.c beyond engine.h: spans for the
 * interpreter's cache, allocations that the user may not free, and the
 * bracket around a launch that keeps freed memory mapped.
 */
#ifndef SOFTGPU_MEMORY_H
#define SOFTGPU_MEMORY_H

#include "softgpu/engine.h"

/* Accessible bytes [base, base + size). */
struct sg_span {
	uint64_t	base;
	uint64_t	size;
};

static inline bool sg_span_holds(const struct sg_span *s, uint64_t addr, uint64_t size)
{
	uint64_t off = addr - s->base;

	return off < s->size && s->size - off >= size;
}

/* The range around @addr that kernels may touch, host memory included. */
bool sg_span_find(uint64_t addr, struct sg_span *span);

/* Moves with every change that takes a range away: cached spans are stale then. */
uint64_t sg_span_generation(void);

/* Memory of a module: found by sg_mem_find(), refused by sg_mem_free(). */
CUresult sg_mem_alloc_static(struct sg_device *dev, size_t size, CUdeviceptr *ptr);
void sg_mem_free_static(struct sg_device *dev, CUdeviceptr ptr);

/*
 * Between the two, memory freed by others stays mapped, so that a kernel that
 * races with a free reads stale bytes and does not end the process.
 */
uint64_t sg_mem_enter(void);
void sg_mem_leave(uint64_t ticket);

/* malloc() and free() of kernels; 0: no room; false: no such block. */
uint64_t sg_heap_alloc(struct sg_device *dev, uint64_t size);
bool sg_heap_free(struct sg_device *dev, uint64_t ptr);

struct sg_heap;
struct sg_heap *sg_device_heap(struct sg_device *dev);

#endif /* SOFTGPU_MEMORY_H */
