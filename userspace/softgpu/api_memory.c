// SPDX-License-Identifier: MIT
/*
 * Memory: of a device, and page-locked host memory, whose device address is
 * its host address. Questions about pointers are in api_pointer.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softgpu/api.h"

#define HOST_ALLOC_FLAGS \
	(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED)
#define HOST_REGISTER_FLAGS \
	(CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | \
	 CU_MEMHOSTREGISTER_READ_ONLY)

/* ---- of a device ---- */

static CUresult device_alloc(struct api_context *ctx, size_t size, CUdeviceptr *out)
{
	struct api_range range = { .kind = API_RANGE_DEVICE, .size = size };
	CUdeviceptr ptr;
	CUresult result = sg_mem_alloc(ctx->dev->sg, size, &ptr);

	if (result != CUDA_SUCCESS)
		return result;
	range.start = ptr;
	api_range_own(&range, ctx);
	result = api_range_add(&range);
	if (result == CUDA_SUCCESS)
		*out = ptr;
	else
		sg_mem_free(ctx->dev->sg, ptr);
	return result;
}

CUresult cuMemAlloc_v2(CUdeviceptr *ptr, size_t size)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!ptr || !size)
		return CUDA_ERROR_INVALID_VALUE;
	return device_alloc(ctx, size, ptr);
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *ptr, size_t *pitch, size_t width, size_t height,
			    unsigned element)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);
	size_t row, size;

	if (result != CUDA_SUCCESS)
		return result;
	if (!ptr || !pitch || !width || !height || width > API_MAX_PITCH)
		return CUDA_ERROR_INVALID_VALUE;
	if (element != 4 && element != 8 && element != 16)
		return CUDA_ERROR_INVALID_VALUE;
	row = (width + API_PITCH_ALIGN - 1) / API_PITCH_ALIGN * API_PITCH_ALIGN;
	if (__builtin_mul_overflow(row, height, &size))
		return CUDA_ERROR_INVALID_VALUE;
	result = device_alloc(ctx, size, ptr);
	if (result == CUDA_SUCCESS)
		*pitch = row;
	return result;
}

/* What a range stands for goes; it is out of the table already. */
void api_memory_free(const struct api_range *range)
{
	void *host = (void *)range->start;

	switch (range->kind) {
	case API_RANGE_DEVICE:
		sg_mem_free(range->dev->sg, range->start);
		break;
	case API_RANGE_HOST_ALLOC:
		sg_host_remove(host);
		munmap(host, range->size);
		break;
	case API_RANGE_HOST_REGISTERED:
		sg_host_remove(host);
		break;
	}
}

/*
 * A copy or kernel may still use it: freeing waits for all of them first, as
 * NVIDIA's driver does. The range is taken afterwards, so that a stale pointer
 * is only found out then.
 */
static CUresult range_free(uintptr_t start, enum api_range_kind kind, CUresult missing)
{
	struct api_range range;

	if (!api_range_find(start, &range) || range.start != start || range.kind != kind)
		return missing;
	api_context_quiesce(range.dev);
	if (!api_range_take(start, kind, &range))
		return missing;
	api_memory_free(&range);
	return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr ptr)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS || !ptr)
		return result;
	result = range_free(ptr, API_RANGE_DEVICE, CUDA_ERROR_INVALID_VALUE);
	return result == CUDA_SUCCESS ? api_context_check(ctx) : result;
}

CUresult cuMemGetInfo_v2(size_t *free, size_t *total)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);
	size_t f, t;

	if (result != CUDA_SUCCESS)
		return result;
	if (!free || !total)
		return CUDA_ERROR_INVALID_VALUE;
	sg_mem_info(ctx->dev->sg, &f, &t);
	*free = f;
	*total = t;
	return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr ptr)
{
	struct api_context *ctx;
	struct api_range range;
	CUdeviceptr start;
	CUresult result = api_enter(&ctx);
	size_t length;

	if (result != CUDA_SUCCESS)
		return result;
	if (api_range_find(ptr, &range)) {
		start = range.start;
		length = range.size;
	} else if (!sg_mem_find(ptr, NULL, &start, &length)) {
		return CUDA_ERROR_NOT_FOUND;
	}
	if (base)
		*base = start;
	if (size)
		*size = length;
	return CUDA_SUCCESS;
}

/* ---- page-locked ---- */

static CUresult host_add(struct api_context *ctx, void *ptr, size_t size,
			 enum api_range_kind kind, unsigned flags)
{
	struct api_range range = {
		.start = (uintptr_t)ptr,
		.size = size,
		.kind = kind,
		.flags = flags,
	}, taken;
	CUresult result;

	api_range_own(&range, ctx);
	result = api_range_add(&range);
	if (result != CUDA_SUCCESS)
		return result;
	result = sg_host_add(ptr, size);
	if (result != CUDA_SUCCESS)
		api_range_take(range.start, kind, &taken);
	return result;
}

/* Pages of its own, so that nothing else of the application lies in them. */
static CUresult host_alloc(void **out, size_t size, unsigned flags)
{
	size_t page = sysconf(_SC_PAGESIZE), length = (size + page - 1) & ~(page - 1);
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);
	void *ptr;

	if (result != CUDA_SUCCESS)
		return result;
	if (!out || !size || flags & ~(unsigned)HOST_ALLOC_FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	if (length < size)
		return CUDA_ERROR_OUT_OF_MEMORY;
	ptr = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ptr == MAP_FAILED)
		return CUDA_ERROR_OUT_OF_MEMORY;
	result = host_add(ctx, ptr, size, API_RANGE_HOST_ALLOC, flags);
	if (result != CUDA_SUCCESS)
		munmap(ptr, length);
	else
		*out = ptr;
	return result;
}

CUresult cuMemHostAlloc(void **out, size_t size, unsigned flags)
{
	return host_alloc(out, size, flags);
}

CUresult cuMemAllocHost_v2(void **out, size_t size)
{
	return host_alloc(out, size, CU_MEMHOSTALLOC_DEVICEMAP);
}

CUresult cuMemFreeHost(void *ptr)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS || !ptr)
		return result;
	return range_free((uintptr_t)ptr, API_RANGE_HOST_ALLOC, CUDA_ERROR_INVALID_VALUE);
}

/* Whether every page is mapped: the driver would fail to lock them. */
static bool pages_mapped(const void *ptr, size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)ptr & ~(page - 1);
	unsigned char in_core[256];

	while (start < (uintptr_t)ptr + size) {
		size_t length = (uintptr_t)ptr + size - start;

		if (length > sizeof(in_core) * page)
			length = sizeof(in_core) * page;
		if (mincore((void *)start, length, in_core) && errno != EAGAIN)
			return false;
		start += length;
	}
	return true;
}

CUresult cuMemHostRegister_v2(void *ptr, size_t size, unsigned flags)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (flags & CU_MEMHOSTREGISTER_IOMEMORY)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!ptr || !size || flags & ~(unsigned)HOST_REGISTER_FLAGS ||
	    (uintptr_t)ptr + size < (uintptr_t)ptr || !pages_mapped(ptr, size))
		return CUDA_ERROR_INVALID_VALUE;
	return host_add(ctx, ptr, size, API_RANGE_HOST_REGISTERED, flags);
}

CUresult cuMemHostRegister(void *ptr, size_t size, unsigned flags)
{
	return cuMemHostRegister_v2(ptr, size, flags);
}

CUresult cuMemHostUnregister(void *ptr)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!ptr)
		return CUDA_ERROR_INVALID_VALUE;
	return range_free((uintptr_t)ptr, API_RANGE_HOST_REGISTERED,
			  CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

static CUresult host_find(const void *ptr, struct api_range *range)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!ptr || !api_range_find((uintptr_t)ptr, range) || range->kind == API_RANGE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *out, void *ptr, unsigned flags)
{
	struct api_range range;
	CUresult result = host_find(ptr, &range);

	if (result != CUDA_SUCCESS)
		return result;
	if (!out || flags)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (uintptr_t)ptr;
	return CUDA_SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned *flags, void *ptr)
{
	struct api_range range;
	CUresult result = host_find(ptr, &range);

	if (result != CUDA_SUCCESS)
		return result;
	if (!flags || range.kind != API_RANGE_HOST_ALLOC)
		return CUDA_ERROR_INVALID_VALUE;
	/* With unified addressing all of it is mapped. */
	*flags = (range.flags & HOST_ALLOC_FLAGS) | CU_MEMHOSTALLOC_DEVICEMAP;
	return CUDA_SUCCESS;
}
