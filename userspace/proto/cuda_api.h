/* SPDX-License-Identifier: MIT */
/*
 * cuda.h for code that goes by the exported names of a driver. For applications
 * cuda.h renames functions by macros to their newest variants (cuMemAlloc to
 * cuMemAlloc_v2); here each name means the symbol of that name. Include this
 * before any other header that includes cuda.h.
 */
#ifndef VGPU_CUDA_API_H
#define VGPU_CUDA_API_H

#if defined(__cuda_cuda_h__) && !defined(__CUDA_API_VERSION_INTERNAL)
#error "cuda.h was included before proto/cuda_api.h: include cuda_api.h first"
#endif
#ifndef __CUDA_API_VERSION_INTERNAL
#define __CUDA_API_VERSION_INTERNAL
#endif
#include <cuda.h>
#include <cudaProfiler.h>

/* Forms that cuda.h no longer declares; programs built before CUDA 13 use them. */
CUresult CUDAAPI cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev);
CUresult CUDAAPI cuCtxCreate_v3(CUcontext *pctx, CUexecAffinityParam *paramsArray, int numParams,
				unsigned int flags, CUdevice dev);

#endif /* VGPU_CUDA_API_H */
