// SPDX-License-Identifier: MIT
// Launches that the driver refuses at the call: seen at once, not sticky, and
// nothing of them happens.
#include "check.h"

__global__ void mark(int *p)
{
	atomicAdd(p, 1);
}

static void refused(const char *what)
{
	cudaError_t e = cudaGetLastError();

	printf("%s: %s\n", what, cudaGetErrorName(e));
	EXPECT(e == cudaErrorInvalidConfiguration || e == cudaErrorInvalidValue);
	CHECK(cudaGetLastError());
}

int main(void)
{
	int *p, host = -1;

	CHECK(cudaMalloc(&p, sizeof(int)));
	CHECK(cudaMemset(p, 0, sizeof(int)));
	mark<<<1, 2048>>>(p);
	refused("2048 threads a block");
	mark<<<1, dim3(1, 1, 65)>>>(p);
	refused("65 threads in z");
	mark<<<dim3(1, 65536), 1>>>(p);
	refused("65536 blocks in y");
	mark<<<0, 32>>>(p);
	refused("no blocks");
	mark<<<1, 0>>>(p);
	refused("no threads");
	mark<<<1, 32, 1 << 20>>>(p);
	refused("1 MiB of shared memory");
	CHECK(cudaDeviceSynchronize());
	mark<<<3, 64>>>(p);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(&host, p, sizeof(host), cudaMemcpyDeviceToHost));
	EXPECT(host == 192);
	CHECK(cudaFree(p));
	return pass();
}
