// SPDX-License-Identifier: MIT
/* Control of profilers, of which none knows this driver. */
#include "softgpu/api.h"

#pragma GCC visibility push(default)
#include <cudaProfiler.h>
#pragma GCC visibility pop

CUresult cuProfilerInitialize(const char *config, const char *output, CUoutput_mode mode)
{
	return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuProfilerStart(void)
{
	struct api_context *ctx;

	return api_enter(&ctx);
}

CUresult cuProfilerStop(void)
{
	struct api_context *ctx;

	return api_enter(&ctx);
}
