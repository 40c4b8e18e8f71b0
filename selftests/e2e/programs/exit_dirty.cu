// SPDX-License-Identifier: MIT
// Exits with memory, streams and events left and work under way. Must end at
// once and with the right status.
#include "check.h"

__global__ void spin(int *p, int rounds)
{
	for (int i = 0; i < rounds; i++)
		p[threadIdx.x] = p[threadIdx.x] * 3 + 1;
}

int main(int argc, char **argv)
{
	int rounds = (int)argument(argc, argv, 1, 20000);
	static cudaStream_t s[3];
	static int *p;
	void *host;

	CHECK(cudaMalloc(&p, 1 << 20));
	CHECK(cudaMallocHost(&host, 1 << 20));
	for (auto &one : s) {
		cudaEvent_t e;

		CHECK(cudaStreamCreate(&one));
		CHECK(cudaEventCreate(&e));
		CHECK(cudaEventRecord(e, one));
	}
	for (int i = 0; i < 30; i++) {
		spin<<<1, 32, 0, s[i % 3]>>>(p, rounds);
		CHECK(cudaMemcpyAsync(host, p, 1 << 20, cudaMemcpyDeviceToHost, s[i % 3]));
	}
	CHECK(cudaGetLastError());
	printf("leaving\n");
	return pass();
}
