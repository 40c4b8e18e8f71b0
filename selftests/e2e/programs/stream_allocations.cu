// SPDX-License-Identifier: MIT
// Memory allocated and freed in the order of a stream.
#include "check.h"
#include <vector>

__global__ void fill(int *p, int n, int v)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		p[i] = v;
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 20000), can;
	unsigned long long used;
	std::vector<int> host(n);
	cudaMemPool_t pool;
	cudaStream_t s;
	int *p, *q;

	CHECK(cudaDeviceGetAttribute(&can, cudaDevAttrMemoryPoolsSupported, 0));
	if (!can)
		return skip("the device has no memory pools");
	CHECK(cudaStreamCreate(&s));
	for (int r = 0; r < 20; r++) {
		CHECK(cudaMallocAsync(&p, n * sizeof(int), s));
		CHECK(cudaMallocAsync(&q, n * sizeof(int), s));
		fill<<<(n + 127) / 128, 128, 0, s>>>(p, n, r);
		CHECK(cudaMemcpyAsync(q, p, n * sizeof(int), cudaMemcpyDeviceToDevice, s));
		CHECK(cudaFreeAsync(p, s));
		CHECK(cudaMemcpyAsync(host.data(), q, n * sizeof(int), cudaMemcpyDeviceToHost, s));
		CHECK(cudaFreeAsync(q, s));
		CHECK(cudaStreamSynchronize(s));
		for (int v : host)
			EXPECT(v == r);
	}
	CHECK(cudaDeviceGetDefaultMemPool(&pool, 0));
	CHECK(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used));
	EXPECT(used == 0);
	CHECK(cudaMemPoolTrimTo(pool, 0));
	CHECK(cudaStreamDestroy(s));
	printf("20 rounds of stream-ordered allocations\n");
	return pass();
}
