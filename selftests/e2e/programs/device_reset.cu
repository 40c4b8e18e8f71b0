// SPDX-License-Identifier: MIT
// cudaDeviceReset in the middle: what was there is gone, variables have their
// initial values again, and everything works anew.
#include "check.h"

__device__ int counter = 5;

__global__ void count(int *out)
{
	*out = ++counter;
}

static int count_once(void)
{
	int *p, host;

	CHECK(cudaMalloc(&p, 1 << 20));
	count<<<1, 1>>>(p);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(&host, p, sizeof(host), cudaMemcpyDeviceToHost));
	return host;
}

// The registration is left to the reset: without that the next one would fail.
static void copy_from_registered(void)
{
	static char bytes[1 << 20];
	void *p;

	CHECK(cudaHostRegister(bytes, sizeof(bytes), cudaHostRegisterDefault));
	EXPECT_ERROR(cudaHostRegister(bytes, sizeof(bytes), cudaHostRegisterDefault),
		     cudaErrorHostMemoryAlreadyRegistered);
	(void)cudaGetLastError();
	CHECK(cudaMalloc(&p, sizeof(bytes)));
	CHECK(cudaMemcpyAsync(p, bytes, sizeof(bytes), cudaMemcpyHostToDevice, NULL));
}

int main(void)
{
	size_t before, after, total;
	cudaStream_t s;
	void *left;

	CHECK(cudaFree(NULL));
	CHECK(cudaMemGetInfo(&before, &total));
	for (int round = 0; round < 3; round++) {
		CHECK(cudaStreamCreate(&s));
		CHECK(cudaMalloc(&left, 64 << 20));
		CHECK(cudaMallocHost(&left, 1 << 20));
		EXPECT(count_once() == 6);
		EXPECT(count_once() == 7);
		copy_from_registered();
		CHECK(cudaDeviceReset());
	}
	CHECK(cudaMemGetInfo(&after, &total));
	printf("free: %zu MiB before, %zu MiB after\n", before >> 20, after >> 20);
	EXPECT(after + (64 << 20) > before);
	EXPECT(count_once() == 6);
	return pass();
}
