// SPDX-License-Identifier: MIT
// Shared memory whose size is given at the launch; above 48 KiB only after it
// was asked for.
#include "check.h"
#include <vector>

__global__ void reverse(int *data, int n)
{
	extern __shared__ int room[];

	for (int i = threadIdx.x; i < n; i += blockDim.x)
		room[i] = data[blockIdx.x * n + i];
	__syncthreads();
	for (int i = threadIdx.x; i < n; i += blockDim.x)
		data[blockIdx.x * n + i] = room[n - 1 - i];
}

static void check_reverse(size_t bytes)
{
	const int blocks = 3;
	int n = bytes / sizeof(int), *d;
	std::vector<int> host(blocks * n);

	for (int i = 0; i < blocks * n; i++)
		host[i] = i;
	CHECK(cudaMalloc(&d, blocks * bytes));
	CHECK(cudaMemcpy(d, host.data(), blocks * bytes, cudaMemcpyHostToDevice));
	reverse<<<blocks, 192, bytes>>>(d, n);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(host.data(), d, blocks * bytes, cudaMemcpyDeviceToHost));
	for (int i = 0; i < blocks * n; i++)
		EXPECT(host[i] == i / n * n + n - 1 - i % n);
	CHECK(cudaFree(d));
	printf("%zu bytes of shared memory\n", bytes);
}

int main(void)
{
	int most;

	CHECK(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
	check_reverse(4);
	check_reverse(1000);
	check_reverse(48 << 10);
	reverse<<<1, 32, (48 << 10) + 4>>>(NULL, 0);
	EXPECT_ERROR(cudaGetLastError(), cudaErrorInvalidValue);
	EXPECT_ERROR(cudaFuncSetAttribute(reverse, cudaFuncAttributeMaxDynamicSharedMemorySize,
					  most + 4),
		     cudaErrorInvalidValue);
	(void)cudaGetLastError();
	if (most > 48 << 10) {
		CHECK(cudaFuncSetAttribute(reverse, cudaFuncAttributeMaxDynamicSharedMemorySize,
					   most));
		check_reverse(most);
	}
	return pass();
}
