// SPDX-License-Identifier: MIT
// Launches that the driver refuses at the call: seen at once, not sticky, and
// nothing of them happens.
#include "check.h"

static int runtime;

__global__ void mark(int *p)
{
	atomicAdd(p, 1);
}

static void refused(const char *what, cudaError_t expected)
{
	cudaError_t e = cudaGetLastError();

	printf("%s: %s\n", what, cudaGetErrorName(e));
	// Runtimes before 12 report a bad geometry as an invalid value, too.
	EXPECT(e == expected || (runtime < 12000 && e == cudaErrorInvalidValue));
	CHECK(cudaGetLastError());
}

int main(void)
{
	int *p, host = -1;

	CHECK(cudaRuntimeGetVersion(&runtime));
	CHECK(cudaMalloc(&p, sizeof(int)));
	CHECK(cudaMemset(p, 0, sizeof(int)));
	mark<<<1, 2048>>>(p);
	refused("2048 threads a block", cudaErrorInvalidConfiguration);
	mark<<<1, dim3(1, 1, 65)>>>(p);
	refused("65 threads in z", cudaErrorInvalidConfiguration);
	mark<<<dim3(1, 65536), 1>>>(p);
	refused("65536 blocks in y", cudaErrorInvalidConfiguration);
	mark<<<0, 32>>>(p);
	refused("no blocks", cudaErrorInvalidConfiguration);
	mark<<<1, 0>>>(p);
	refused("no threads", cudaErrorInvalidConfiguration);
	mark<<<1, 32, 1 << 20>>>(p);
	refused("1 MiB of shared memory", cudaErrorInvalidValue);
	CHECK(cudaDeviceSynchronize());
	mark<<<3, 64>>>(p);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(&host, p, sizeof(host), cudaMemcpyDeviceToHost));
	EXPECT(host == 192);
	CHECK(cudaFree(p));
	return pass();
}
