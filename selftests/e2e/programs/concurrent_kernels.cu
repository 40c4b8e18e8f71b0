// SPDX-License-Identifier: MIT
// A kernel that waits for a flag that a later kernel of another stream sets.
// Hangs where streams are served one after the other.
#include "check.h"

__global__ void wait_for(volatile int *flag, int *seen)
{
	while (!*flag)
		__nanosleep(1000);
	*seen = *flag;
}

__global__ void raise_flag(volatile int *flag, int v)
{
	*flag = v;
}

int main(void)
{
	cudaStream_t a, b;
	int can, *p, seen = 0;

	CHECK(cudaDeviceGetAttribute(&can, cudaDevAttrConcurrentKernels, 0));
	if (!can)
		return skip("the device runs one kernel at a time");
	CHECK(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
	CHECK(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
	CHECK(cudaMalloc(&p, 2 * sizeof(int)));
	for (int r = 1; r <= 5; r++) {
		CHECK(cudaMemset(p, 0, 2 * sizeof(int)));
		raise_flag<<<1, 1, 0, b>>>(p + 1, 0);	// both kernels are loaded before one waits
		CHECK(cudaDeviceSynchronize());
		wait_for<<<1, 1, 0, a>>>(p, p + 1);
		EXPECT_ERROR(cudaStreamQuery(a), cudaErrorNotReady);
		raise_flag<<<1, 1, 0, b>>>(p, r);
		CHECK(cudaStreamSynchronize(a));
		CHECK(cudaMemcpy(&seen, p + 1, sizeof(seen), cudaMemcpyDeviceToHost));
		EXPECT(seen == r);
	}
	CHECK(cudaStreamDestroy(a));
	CHECK(cudaStreamDestroy(b));
	CHECK(cudaFree(p));
	printf("a kernel waited for another stream's 5 times\n");
	return pass();
}
