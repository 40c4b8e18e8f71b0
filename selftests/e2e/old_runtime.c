/* SPDX-License-Identifier: MIT */
/*
 * Lets objects that nvcc 13 made link with a runtime library of CUDA 11 or
 * 12.0 to 12.4: the two entry points that its launch stubs use beyond those.
 * Linked into the programs that test old runtimes, and into nothing else.
 */
#include <cuda_runtime_api.h>

cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *function);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **args,
			       size_t shared, cudaStream_t stream);

cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *function)
{
	*kernel = (cudaKernel_t)function;
	return cudaSuccess;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **args,
			       size_t shared, cudaStream_t stream)
{
	return cudaLaunchKernel((const void *)kernel, grid, block, args, shared, stream);
}
