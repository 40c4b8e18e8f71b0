// SPDX-License-Identifier: MIT
// Pi by random points, every block printing its estimate from the device.
// What is printed must be whole, and there by the next synchronisation.
#include "capture.h"
#include <math.h>
#include <string.h>

__device__ unsigned next(unsigned *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

__global__ void throw_darts(int each, unsigned long long *inside)
{
	__shared__ unsigned hits;
	unsigned state = 2654435769u * (blockIdx.x * blockDim.x + threadIdx.x + 1), mine = 0;

	if (!threadIdx.x)
		hits = 0;
	__syncthreads();
	for (int i = 0; i < each; i++) {
		float x = next(&state) * 0x1p-32f, y = next(&state) * 0x1p-32f;

		mine += x * x + y * y < 1;
	}
	atomicAdd(&hits, mine);
	__syncthreads();
	if (threadIdx.x)
		return;
	atomicAdd(inside, hits);
	printf("block %d of %d: pi is about %.4f %s %c%%\n", blockIdx.x, gridDim.x,
	       4.0 * hits / ((double)each * blockDim.x), "here", '!');
}

static int count(const std::string &text, const char *what)
{
	int n = 0;

	for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at++)
		n++;
	return n;
}

int main(int argc, char **argv)
{
	int each = (int)argument(argc, argv, 1, 200);
	const int blocks = 20, threads = 128;
	unsigned long long inside, *d;
	std::string text;
	double pi;

	CHECK(cudaMalloc(&d, sizeof(*d)));
	CHECK(cudaMemset(d, 0, sizeof(*d)));
	capture c = capture_start(1);
	throw_darts<<<blocks, threads>>>(each, d);
	cudaError_t launched = cudaGetLastError(), done = cudaDeviceSynchronize();
	text = capture_end(&c);
	CHECK(launched);
	CHECK(done);
	fputs(text.c_str(), stdout);
	EXPECT(count(text, "\n") == blocks);
	EXPECT(count(text, " here !%\n") == blocks);
	for (int b = 0; b < blocks; b++) {
		char want[32];

		snprintf(want, sizeof(want), "block %d of %d: pi is about 3.", b, blocks);
		EXPECT(count(text, want) == 1);
	}
	CHECK(cudaMemcpy(&inside, d, sizeof(inside), cudaMemcpyDeviceToHost));
	pi = 4.0 * inside / ((double)each * blocks * threads);
	printf("all together: %.5f\n", pi);
	EXPECT(fabs(pi - 3.14159265) < 0.02);
	CHECK(cudaFree(d));
	return pass();
}
