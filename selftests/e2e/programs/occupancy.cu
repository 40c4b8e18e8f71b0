// SPDX-License-Identifier: MIT
// What a kernel needs and how many blocks of it fit, and that both agree.
#include "check.h"

__constant__ int unused_constants[100];

__global__ void __launch_bounds__(256) bounded(float *p)
{
	__shared__ float s[1000];

	s[threadIdx.x] = p[threadIdx.x];
	__syncthreads();
	p[threadIdx.x] = s[255 - threadIdx.x] + unused_constants[threadIdx.x % 100];
}

__global__ void with_local(int *p, int n)
{
	int a[64];

	for (int i = 0; i < 64; i++)
		a[i] = p[i];
	for (int i = 0; i < n; i++)
		a[p[i] % 64] += a[i % 64];
	for (int i = 0; i < 64; i++)
		p[i] = a[i];
}

int main(void)
{
	cudaFuncAttributes a;
	cudaDeviceProp prop;
	int blocks, few, grid, block;
	size_t dynamic;

	CHECK(cudaGetDeviceProperties(&prop, 0));
	CHECK(cudaFuncGetAttributes(&a, bounded));
	printf("bounded: %d registers, %zu shared, %zu local, %zu constant, %d threads, PTX %d\n",
	       a.numRegs, a.sharedSizeBytes, a.localSizeBytes, a.constSizeBytes,
	       a.maxThreadsPerBlock, a.ptxVersion);
	EXPECT(a.sharedSizeBytes >= 4000 && a.sharedSizeBytes < 6000);
	EXPECT(a.constSizeBytes >= 400);
	EXPECT(a.maxThreadsPerBlock >= 256 && a.numRegs > 0 && a.numRegs <= 255);
	EXPECT(a.maxDynamicSharedSizeBytes > 0);
	EXPECT(a.ptxVersion >= 50 && a.binaryVersion >= 50);
	CHECK(cudaFuncGetAttributes(&a, with_local));
	EXPECT(a.localSizeBytes >= 256 && a.sharedSizeBytes < 2000);

	CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, bounded, 256, 0));
	CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&few, bounded, 256, 40 << 10));
	printf("%d blocks fit, %d with 40 KiB of shared memory more\n", blocks, few);
	EXPECT(blocks >= 1 && blocks * 256 <= prop.maxThreadsPerMultiProcessor);
	EXPECT(few >= 1 && few <= blocks);
	EXPECT((few + 1) * (size_t)(44000 + 1024) > prop.sharedMemPerMultiprocessor ||
	       few == blocks);

	CHECK(cudaOccupancyMaxPotentialBlockSize(&grid, &block, with_local));
	printf("best: %d blocks of %d\n", grid, block);
	EXPECT(grid >= 1 && block >= 32 && block <= prop.maxThreadsPerBlock);
	CHECK(cudaOccupancyAvailableDynamicSMemPerBlock(&dynamic, bounded, 1, 256));
	EXPECT(dynamic > 0 && dynamic < prop.sharedMemPerMultiprocessor);

	CHECK(cudaFuncSetAttribute(bounded, cudaFuncAttributeMaxDynamicSharedMemorySize, 20000));
	CHECK(cudaFuncGetAttributes(&a, bounded));
	EXPECT(a.maxDynamicSharedSizeBytes == 20000);
	CHECK(cudaFuncSetCacheConfig(bounded, cudaFuncCachePreferL1));
	return pass();
}
