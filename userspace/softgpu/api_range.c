// SPDX-License-Identifier: MIT
/*
 * Which addresses are whose: what was allocated on a device, and page-locked
 * host memory. Sorted by address; the engine has its own idea of what a kernel
 * may touch, this one is about owners, flags and what a call may be given.
 */
#include <stdlib.h>
#include <string.h>

#include "softgpu/api.h"

static struct {
	pthread_rwlock_t	lock;
	struct api_range	*items;
	size_t			count, room;
	uint64_t		last_id;
} ranges = { .lock = PTHREAD_RWLOCK_INITIALIZER };

/* The first range that ends behind @addr. */
static size_t position(uintptr_t addr)
{
	size_t low = 0, high = ranges.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct api_range *r = &ranges.items[middle];

		if (addr - r->start < r->size || addr < r->start)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static CUresult insert(const struct api_range *range)
{
	size_t at = position(range->start);

	if (at < ranges.count && ranges.items[at].start - range->start < range->size)
		return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
	if (at < ranges.count && range->start - ranges.items[at].start < ranges.items[at].size)
		return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
	if (ranges.count == ranges.room) {
		size_t room = ranges.room ? 2 * ranges.room : 64;
		void *items = realloc(ranges.items, room * sizeof(*ranges.items));

		if (!items)
			return CUDA_ERROR_OUT_OF_MEMORY;
		ranges.items = items;
		ranges.room = room;
	}
	memmove(&ranges.items[at + 1], &ranges.items[at],
		(ranges.count - at) * sizeof(*ranges.items));
	ranges.items[at] = *range;
	ranges.items[at].id = ++ranges.last_id;
	ranges.count++;
	return CUDA_SUCCESS;
}

static void take(size_t at, struct api_range *out)
{
	*out = ranges.items[at];
	ranges.count--;
	memmove(&ranges.items[at], &ranges.items[at + 1],
		(ranges.count - at) * sizeof(*ranges.items));
}

CUresult api_range_add(const struct api_range *range)
{
	CUresult result;

	pthread_rwlock_wrlock(&ranges.lock);
	result = insert(range);
	pthread_rwlock_unlock(&ranges.lock);
	return result;
}

bool api_range_find(uintptr_t addr, struct api_range *out)
{
	bool found;
	size_t at;

	pthread_rwlock_rdlock(&ranges.lock);
	at = position(addr);
	found = at < ranges.count && addr >= ranges.items[at].start;
	if (found)
		*out = ranges.items[at];
	pthread_rwlock_unlock(&ranges.lock);
	return found;
}

bool api_range_take(uintptr_t start, enum api_range_kind kind, struct api_range *out)
{
	bool found;
	size_t at;

	pthread_rwlock_wrlock(&ranges.lock);
	at = position(start);
	found = at < ranges.count && ranges.items[at].start == start &&
		ranges.items[at].kind == kind;
	if (found)
		take(at, out);
	pthread_rwlock_unlock(&ranges.lock);
	return found;
}

bool api_range_take_owned(const struct api_context *ctx, uint64_t ctx_id, struct api_range *out)
{
	bool found = false;

	pthread_rwlock_wrlock(&ranges.lock);
	for (size_t i = ranges.count; i-- > 0 && !found;) {
		found = ranges.items[i].ctx == ctx && ranges.items[i].ctx_id == ctx_id;
		if (found)
			take(i, out);
	}
	pthread_rwlock_unlock(&ranges.lock);
	return found;
}

void api_range_mark(uintptr_t addr, unsigned flags, bool set)
{
	size_t at;

	pthread_rwlock_wrlock(&ranges.lock);
	at = position(addr);
	if (at < ranges.count && addr >= ranges.items[at].start) {
		ranges.items[at].flags &= ~flags;
		ranges.items[at].flags |= set ? flags : 0;
	}
	pthread_rwlock_unlock(&ranges.lock);
}

void api_range_own(struct api_range *range, const struct api_context *ctx)
{
	range->dev = ctx->dev;
	range->ctx = ctx;
	range->ctx_id = atomic_load(&ctx->id);
	range->ctx_handle = api_handle(&ctx->obj);
}

size_t api_reach(CUdeviceptr addr)
{
	struct api_range range;
	CUdeviceptr base;
	size_t size;

	if (sg_mem_find(addr, NULL, &base, &size))	/* globals of modules too */
		return size - (addr - base);
	if (api_range_find(addr, &range) && range.kind != API_RANGE_DEVICE)
		return range.size - (addr - range.start);
	return 0;
}
