/* SPDX-License-Identifier: MIT */
/* Launches: the record's geometry, attributes and packed parameters, to the driver. */
#include <string.h>
#include "gen/calls.h"
#include "server/worker.h"

#define ATTRIBUTES_MAX	(VGPU_MAX_cuLaunchKernelEx_attributes / sizeof(CUlaunchAttribute))

/* Attributes that are numbers. Those that carry events or other handles are not here. */
static bool attribute_allowed(CUlaunchAttributeID id)
{
	switch (id) {
	case CU_LAUNCH_ATTRIBUTE_IGNORE:
	case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
	case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
	case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
	case CU_LAUNCH_ATTRIBUTE_PRIORITY:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
#if CUDA_VERSION >= 12080
	case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
#endif
	case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
		return true;
	default:
		return false;
	}
}

static CUresult attributes_copy(CUlaunchAttribute *to, unsigned *n, const void *bytes,
				uint32_t length)
{
	if (length % sizeof(*to))
		return CUDA_ERROR_INVALID_VALUE;
	*n = length / sizeof(*to);
	memcpy(to, bytes, length);
	for (unsigned i = 0; i < *n; i++)
		if (!attribute_allowed(to[i].id))
			return CUDA_ERROR_NOT_SUPPORTED;
	return CUDA_SUCCESS;
}

CUresult vgpu_hook_cuLaunchKernelEx(struct vgpu_worker *w, const struct vgpu_request *q,
				    uint64_t function, uint64_t stream, unsigned int gridX,
				    unsigned int gridY, unsigned int gridZ, unsigned int blockX,
				    unsigned int blockY, unsigned int blockZ, unsigned int shared,
				    unsigned int reserved, const void *attributes,
				    uint32_t attributes_len, const void *params,
				    uint32_t params_len)
{
	CUlaunchAttribute copies[ATTRIBUTES_MAX];
	size_t length = params_len;
	void *extra[] = {
		CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)params,
		CU_LAUNCH_PARAM_BUFFER_SIZE, &length, CU_LAUNCH_PARAM_END,
	};
	CUlaunchConfig config;
	uint32_t wanted;
	CUstream s;
	void *f;
	CUresult r = vgpu_handle_get(w, function, VGPU_KIND_FUNCTION, &f);

	if (!r)
		r = vgpu_stream_get(w, stream, &s);
	if (!r)
		r = vgpu_function_params(w, function, f, &wanted);
	if (unlikely(r))
		return r;
	if (unlikely(params_len != wanted))
		return CUDA_ERROR_INVALID_VALUE;
	if (unlikely(!atomic_load_explicit(&w->launched, memory_order_relaxed)))
		atomic_store(&w->launched, true);
	if (likely(!attributes_len))
		return w->driver->cuLaunchKernel(f, gridX, gridY, gridZ, blockX, blockY, blockZ,
						 shared, s, NULL, extra);
	config = (CUlaunchConfig){
		.gridDimX = gridX, .gridDimY = gridY, .gridDimZ = gridZ,
		.blockDimX = blockX, .blockDimY = blockY, .blockDimZ = blockZ,
		.sharedMemBytes = shared, .hStream = s, .attrs = copies,
	};
	r = attributes_copy(copies, &config.numAttrs, attributes, attributes_len);
	return r ? r : w->driver->cuLaunchKernelEx(&config, f, NULL, extra);
}
