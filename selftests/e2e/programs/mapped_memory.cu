// SPDX-License-Identifier: MIT
// Host memory that kernels read and write in place, or cannot.
#include "check.h"
#include <vector>

__global__ void twice(const int *in, int *out, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		out[i] = 2 * in[i];
}

static int blocks(int n)
{
	return (n + 127) / 128;
}

static void in_place(int *in, int *out, int n)
{
	int *din, *dout;

	CHECK(cudaHostGetDevicePointer(&din, in, 0));
	CHECK(cudaHostGetDevicePointer(&dout, out, 0));
	twice<<<blocks(n), 128>>>(din, dout, n);
	CHECK(cudaGetLastError());
	CHECK(cudaDeviceSynchronize());
}

// A device that cannot: it is allocated all the same, since another device might,
// and to ask for its place on this one is an error that nothing else suffers from.
static void by_copies(int *in, int *out, int n)
{
	int *din, *dout;

	EXPECT_ERROR(cudaHostGetDevicePointer(&din, in, 0), cudaErrorInvalidValue);
	EXPECT_ERROR(cudaGetLastError(), cudaErrorInvalidValue);
	CHECK(cudaGetLastError());
	CHECK(cudaMalloc(&din, n * sizeof(int)));
	CHECK(cudaMalloc(&dout, n * sizeof(int)));
	CHECK(cudaMemcpyAsync(din, in, n * sizeof(int), cudaMemcpyDefault));
	twice<<<blocks(n), 128>>>(din, dout, n);
	CHECK(cudaMemcpyAsync(out, dout, n * sizeof(int), cudaMemcpyDefault));
	CHECK(cudaDeviceSynchronize());
	CHECK(cudaFree(din));
	CHECK(cudaFree(dout));
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 10000), can;
	int *in, *out;

	CHECK(cudaDeviceGetAttribute(&can, cudaDevAttrCanMapHostMemory, 0));
	CHECK(cudaHostAlloc(&in, n * sizeof(int), cudaHostAllocMapped));
	CHECK(cudaHostAlloc(&out, n * sizeof(int), cudaHostAllocMapped));
	for (int i = 0; i < n; i++)
		in[i] = i;
	if (can)
		in_place(in, out, n);
	else
		by_copies(in, out, n);
	for (int i = 0; i < n; i++)
		EXPECT(out[i] == 2 * i);
	CHECK(cudaFreeHost(in));
	CHECK(cudaFreeHost(out));
	printf("%d words read and written in the host's memory%s\n", n, can ? "" : " by copies");
	return pass();
}
