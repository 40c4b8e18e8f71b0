// SPDX-License-Identifier: MIT
// A kernel that traps: an error that is found by an event, not by a stream.
#include "check.h"

__global__ void stop_at(int n)
{
	if (blockIdx.x * blockDim.x + threadIdx.x == n)
		__trap();
}

int main(void)
{
	cudaEvent_t e;
	cudaError_t got;
	void *p;

	CHECK(cudaEventCreate(&e));
	stop_at<<<4, 64>>>(1000);
	CHECK(cudaGetLastError());
	CHECK(cudaDeviceSynchronize());
	stop_at<<<4, 64>>>(200);
	CHECK(cudaGetLastError());
	(void)cudaEventRecord(e);	// may know it already
	got = cudaEventSynchronize(e);
	printf("%s\n", cudaGetErrorName(got));
	EXPECT(got == cudaErrorLaunchFailure || got == cudaErrorIllegalInstruction);
	EXPECT_ERROR(cudaMalloc(&p, 16), got);
	return pass();
}
