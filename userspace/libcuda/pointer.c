/* SPDX-License-Identifier: MIT */
/* Questions about a pointer: answered from the table of known memory. */
#include <string.h>
#include "libcuda/memory.h"

struct answer {
	const struct vgpu_memory	*m;
	uint64_t			ptr;
	void				*data;
};

#define ANSWER(type, value)						\
	do {								\
		type answer_ = (type)(value);				\
									\
		memcpy(a->data, &answer_, sizeof(answer_));		\
		return CUDA_SUCCESS;					\
	} while (0)

static bool on_host(const struct vgpu_memory *m)
{
	return !vgpu_memory_on_device(m);
}

static CUresult answer_place(struct answer *a, CUpointer_attribute attribute)
{
	const struct vgpu_memory *m = a->m;

	switch (attribute) {
	case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
		if (on_host(m) && !m->mapped)
			ANSWER(CUdeviceptr, a->ptr);
		ANSWER(CUdeviceptr, on_host(m) ? m->mapped + (a->ptr - m->start) : a->ptr);
	case CU_POINTER_ATTRIBUTE_HOST_POINTER:
		if (!on_host(m))
			return CUDA_ERROR_INVALID_VALUE;
		ANSWER(void *, (uintptr_t)a->ptr);
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
	case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
		ANSWER(CUdeviceptr, m->start);
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
	case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
		ANSWER(size_t, m->size);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static CUresult answer_known(struct answer *a, CUpointer_attribute attribute)
{
	const struct vgpu_memory *m = a->m;

	switch (attribute) {
	case CU_POINTER_ATTRIBUTE_CONTEXT:
		ANSWER(CUcontext, (uintptr_t)m->ctx);
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
		ANSWER(unsigned, on_host(m) ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE);
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		ANSWER(int, m->device);
	case CU_POINTER_ATTRIBUTE_BUFFER_ID:
	case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
		ANSWER(unsigned long long, m->id);
	case CU_POINTER_ATTRIBUTE_MAPPED:
		ANSWER(int, on_host(m) ? m->mapped != 0 : 1);
	case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
		ANSWER(unsigned, CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE);
	case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
		ANSWER(unsigned long long, 0);
	case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
		ANSWER(CUmemoryPool, 0);
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
	case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
		ANSWER(unsigned, 0);
	default:
		return answer_place(a, attribute);
	}
}

/* What the list form stores for a pointer, or an attribute, that has no answer. */
static void answer_none(void *data, CUpointer_attribute attribute)
{
	switch (attribute) {
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		memcpy(data, &(int){ CU_DEVICE_INVALID }, sizeof(int));
		break;
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
	case CU_POINTER_ATTRIBUTE_MAPPED:
	case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
	case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
		memset(data, 0, sizeof(int));
		break;
	default:
		memset(data, 0, 8);
		break;
	}
}

static CUresult asked(CUdeviceptr ptr, struct vgpu_memory *m)
{
	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	vgpu_memory_find(ptr, m);
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuPointerGetAttribute(void *data, CUpointer_attribute attribute,
						   CUdeviceptr ptr)
{
	struct vgpu_memory m;
	struct answer a = { &m, ptr, data };
	CUresult r = asked(ptr, &m);

	if (r)
		return r;
	if (!data || m.kind == VGPU_MEMORY_HOST)
		return CUDA_ERROR_INVALID_VALUE;
	return answer_known(&a, attribute);
}

VGPU_PUBLIC CUresult CUDAAPI cuPointerGetAttributes(unsigned int n,
						    CUpointer_attribute *attributes, void **data,
						    CUdeviceptr ptr)
{
	struct vgpu_memory m;
	CUresult r = asked(ptr, &m);

	if (r)
		return r;
	if (!n || !attributes || !data)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < n; i++) {
		struct answer a = { &m, ptr, data[i] };

		if (!data[i])
			return CUDA_ERROR_INVALID_VALUE;
		if (m.kind == VGPU_MEMORY_HOST || answer_known(&a, attributes[i]))
			answer_none(data[i], attributes[i]);
	}
	return CUDA_SUCCESS;
}
