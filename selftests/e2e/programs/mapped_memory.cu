// SPDX-License-Identifier: MIT
// Host memory that kernels read and write in place.
#include "check.h"
#include <vector>

__global__ void twice(const int *in, int *out, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		out[i] = 2 * in[i];
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 10000), can;
	int *in, *out, *din, *dout;

	CHECK(cudaDeviceGetAttribute(&can, cudaDevAttrCanMapHostMemory, 0));
	if (!can)
		return skip("the device cannot map host memory");
	CHECK(cudaHostAlloc(&in, n * sizeof(int), cudaHostAllocMapped));
	CHECK(cudaHostAlloc(&out, n * sizeof(int), cudaHostAllocMapped));
	CHECK(cudaHostGetDevicePointer(&din, in, 0));
	CHECK(cudaHostGetDevicePointer(&dout, out, 0));
	for (int i = 0; i < n; i++)
		in[i] = i;
	twice<<<(n + 127) / 128, 128>>>(din, dout, n);
	CHECK(cudaGetLastError());
	CHECK(cudaDeviceSynchronize());
	for (int i = 0; i < n; i++)
		EXPECT(out[i] == 2 * i);
	CHECK(cudaFreeHost(in));
	CHECK(cudaFreeHost(out));
	printf("%d words read and written in the host's memory\n", n);
	return pass();
}
