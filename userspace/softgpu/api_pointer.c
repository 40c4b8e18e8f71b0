// SPDX-License-Identifier: MIT
/* What a pointer is: the attributes of the range that holds it. */
#include <string.h>

#include "softgpu/api.h"

/* A global of a module is in no range of ours: its allocation stands for it. */
static bool find(CUdeviceptr ptr, struct api_range *range)
{
	struct api_context *ctx = api_current();
	CUdeviceptr base;

	if (api_range_find(ptr, range))
		return true;
	*range = (struct api_range){ .kind = API_RANGE_DEVICE };
	if (!ctx || !sg_mem_find(ptr, NULL, &base, &range->size))
		return false;
	range->start = base;
	api_range_own(range, ctx);
	return true;
}

static CUresult store(void *data, const void *value, size_t size)
{
	memcpy(data, value, size);
	return CUDA_SUCCESS;
}

#define STORE(data, type, value) store(data, &(type){ value }, sizeof(type))

/* @range: NULL if the pointer is not known: what is told then is nothing at all. */
static CUresult attribute(void *data, CUpointer_attribute attr, CUdeviceptr ptr,
			  const struct api_range *range)
{
	bool device = range && range->kind == API_RANGE_DEVICE;

	switch (attr) {
	case CU_POINTER_ATTRIBUTE_CONTEXT:
		return STORE(data, void *, range ? range->ctx_handle : NULL);
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
		return STORE(data, unsigned, device ? CU_MEMORYTYPE_DEVICE :
				   range ? CU_MEMORYTYPE_HOST : 0);
	case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
		return STORE(data, CUdeviceptr, range ? ptr : 0);
	case CU_POINTER_ATTRIBUTE_HOST_POINTER:
		return STORE(data, uint64_t, range && !device ? ptr : 0);
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
		return STORE(data, unsigned, range && range->flags & API_RANGE_SYNC_MEMOPS);
	case CU_POINTER_ATTRIBUTE_BUFFER_ID:
	case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
		return STORE(data, uint64_t, range ? range->id : 0);
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		return STORE(data, int, range ? range->dev->ordinal : (int)CU_DEVICE_INVALID);
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
	case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
		return STORE(data, uint64_t, range ? range->start : 0);
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
	case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
		return STORE(data, size_t, range ? range->size : 0);
	case CU_POINTER_ATTRIBUTE_MAPPED:
		return STORE(data, unsigned, range != NULL);
	case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
		return STORE(data, unsigned, range ? CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE :
						     CU_POINTER_ATTRIBUTE_ACCESS_FLAG_NONE);
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
	case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
		return STORE(data, unsigned, 0);
	case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
	case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
		return STORE(data, uint64_t, 0);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attr, CUdeviceptr ptr)
{
	struct api_context *ctx;
	struct api_range range;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!data || !find(ptr, &range))
		return CUDA_ERROR_INVALID_VALUE;
	if (attr == CU_POINTER_ATTRIBUTE_HOST_POINTER && range.kind == API_RANGE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	return attribute(data, attr, ptr, &range);
}

CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute *attrs, void **data,
				CUdeviceptr ptr)
{
	struct api_context *ctx;
	struct api_range range;
	CUresult result = api_enter(&ctx);
	bool known;

	if (result != CUDA_SUCCESS)
		return result;
	if (!count || !attrs || !data)
		return CUDA_ERROR_INVALID_VALUE;
	known = find(ptr, &range);
	for (unsigned i = 0; i < count && result == CUDA_SUCCESS; i++) {
		if (!data[i])
			return CUDA_ERROR_INVALID_VALUE;
		result = attribute(data[i], attrs[i], ptr, known ? &range : NULL);
	}
	return result;
}

CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute attr, CUdeviceptr ptr)
{
	struct api_context *ctx;
	struct api_range range;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!value || attr != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS ||
	    !api_range_find(ptr, &range) || range.kind != API_RANGE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	api_range_mark(ptr, API_RANGE_SYNC_MEMOPS, *(const unsigned *)value);
	return CUDA_SUCCESS;
}
