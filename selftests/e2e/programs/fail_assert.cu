// SPDX-License-Identifier: MIT
// A kernel whose assertion fails: said on standard error, reported by the next
// synchronisation, and by every call from then on.
#include "capture.h"
#include <assert.h>

__global__ void check_small(int *p)
{
	assert(threadIdx.x < 40);
	p[threadIdx.x] = threadIdx.x;
}

int main(void)
{
	cudaError_t launched, done;
	std::string text;
	void *more;
	int *p, host = 0;

	CHECK(cudaMalloc(&p, 64 * sizeof(int)));
	capture c = capture_start(2);
	check_small<<<1, 64>>>(p);
	launched = cudaGetLastError();
	done = cudaDeviceSynchronize();
	text = capture_end(&c);
	printf("%s", text.c_str());
	CHECK(launched);
	EXPECT_ERROR(done, cudaErrorAssert);
	EXPECT(text.find("fail_assert.cu:9: void check_small(int *): block: [0,0,0], "
			 "thread: [40,0,0] Assertion `threadIdx.x < 40` failed.") !=
	       std::string::npos);
	EXPECT_ERROR(cudaGetLastError(), cudaErrorAssert);
	EXPECT_ERROR(cudaMalloc(&more, 16), cudaErrorAssert);
	EXPECT_ERROR(cudaMemcpy(&host, p, sizeof(host), cudaMemcpyDeviceToHost), cudaErrorAssert);
	EXPECT_ERROR(cudaDeviceSynchronize(), cudaErrorAssert);
	return pass();
}
