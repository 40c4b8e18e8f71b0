// SPDX-License-Identifier: MIT
/*
 * malloc() and free() of kernels. Blocks are powers of two from a region of
 * 8 MiB, CUDA's default limit. What is allocated is noted outside the region,
 * where a kernel that writes over its blocks cannot reach.
 */
#include "softgpu/heap.h"
#include "softgpu/memory.h"

#include <pthread.h>
#include <stdlib.h>

#define HEAP_BYTES	(8u << 20)
#define UNIT_SHIFT	4
#define CLASSES		20		/* 16 bytes .. 8 MiB */
#define UNITS		(HEAP_BYTES >> UNIT_SHIFT)
#define IN_USE		0x80u

struct sg_heap {
	pthread_mutex_t		lock;		/* guards all below */
	struct sg_device	*dev;
	CUdeviceptr		base;
	uint32_t		top;		/* first unit never given out */
	uint32_t		*next;		/* free lists, as unit + 1 */
	uint8_t			*class;		/* of blocks, by first unit */
	uint32_t		free[CLASSES];	/* unit + 1 */
};

struct sg_heap *sg_heap_create(struct sg_device *dev)
{
	struct sg_heap *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	pthread_mutex_init(&h->lock, NULL);
	h->dev = dev;
	return h;
}

static bool heap_open(struct sg_heap *h)
{
	if (h->base)
		return true;
	if (!h->next)
		h->next = calloc(UNITS, sizeof(*h->next));
	if (!h->class)
		h->class = calloc(UNITS, 1);
	return h->next && h->class &&
	       sg_mem_alloc_static(h->dev, HEAP_BYTES, &h->base) == CUDA_SUCCESS;
}

static unsigned size_class(uint64_t size)
{
	unsigned c = 0;

	while (c < CLASSES && (1ull << (c + UNIT_SHIFT)) < size)
		c++;
	return c;
}

/* A block of class @c as unit + 1; larger free ones are halved. 0: none. */
static uint32_t take_block(struct sg_heap *h, unsigned c)
{
	uint32_t u;

	if (h->free[c]) {
		u = h->free[c];
		h->free[c] = h->next[u - 1];
		return u;
	}
	if (UNITS - h->top >= 1u << c) {
		u = h->top + 1;
		h->top += 1u << c;
		return u;
	}
	if (c + 1 >= CLASSES)
		return 0;
	u = take_block(h, c + 1);
	if (!u)
		return 0;
	h->next[u - 1 + (1u << c)] = h->free[c];
	h->free[c] = u + (1u << c);
	return u;
}

uint64_t sg_heap_alloc(struct sg_device *dev, uint64_t size)
{
	struct sg_heap *h = sg_device_heap(dev);
	unsigned c = size_class(size);
	uint64_t ptr = 0;
	uint32_t u;

	if (c >= CLASSES || !size)
		return 0;
	pthread_mutex_lock(&h->lock);
	if (heap_open(h)) {
		u = take_block(h, c);
		if (u) {
			h->class[u - 1] = IN_USE | c;
			ptr = h->base + ((uint64_t)(u - 1) << UNIT_SHIFT);
		}
	}
	pthread_mutex_unlock(&h->lock);
	return ptr;
}

bool sg_heap_free(struct sg_device *dev, uint64_t ptr)
{
	struct sg_heap *h = sg_device_heap(dev);
	bool ok = false;
	uint64_t off;
	uint32_t u;

	if (!ptr)
		return true;
	pthread_mutex_lock(&h->lock);
	off = ptr - h->base;
	u = off >> UNIT_SHIFT;
	if (h->base && off < HEAP_BYTES && !(off & 15) && h->class[u] & IN_USE) {
		unsigned c = h->class[u] & ~IN_USE;

		h->class[u] = 0;
		h->next[u] = h->free[c];
		h->free[c] = u + 1;
		ok = true;
	}
	pthread_mutex_unlock(&h->lock);
	return ok;
}
