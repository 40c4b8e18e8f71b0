// SPDX-License-Identifier: MIT
// A kernel that reads far out of bounds, after good work in the same stream.
// Only the process that did it is hurt: run it twice to see.
#include "check.h"

__global__ void copy(int *to, const int *from, unsigned long long off)
{
	to[threadIdx.x] = from[threadIdx.x + off];
}

int main(void)
{
	int *p, *q, host = 0;
	void *more;
	cudaStream_t s;

	CHECK(cudaStreamCreate(&s));
	CHECK(cudaMalloc(&p, 4096));
	CHECK(cudaMalloc(&q, 4096));
	CHECK(cudaMemset(p, 0, 4096));
	copy<<<1, 32, 0, s>>>(q, p, 0);
	CHECK(cudaStreamSynchronize(s));
	copy<<<1, 32, 0, s>>>(q, p, 1ull << 36);
	CHECK(cudaGetLastError());
	copy<<<1, 32, 0, s>>>(q, p, 0);
	EXPECT_ERROR(cudaStreamSynchronize(s), cudaErrorIllegalAddress);
	EXPECT_ERROR(cudaGetLastError(), cudaErrorIllegalAddress);
	EXPECT_ERROR(cudaMalloc(&more, 16), cudaErrorIllegalAddress);
	EXPECT_ERROR(cudaMemcpy(&host, p, sizeof(host), cudaMemcpyDeviceToHost),
		     cudaErrorIllegalAddress);
	EXPECT_ERROR(cudaStreamQuery(s), cudaErrorIllegalAddress);
	copy<<<1, 32>>>(q, p, 0);
	EXPECT_ERROR(cudaGetLastError(), cudaErrorIllegalAddress);
	printf("said at the synchronisation and by all calls after it\n");
	return pass();
}
