// SPDX-License-Identifier: MIT
// Histograms by atomics in global and in shared memory; compare-and-swap,
// minimum, 64-bit and floating-point atomics.
#include "check.h"
#include <string.h>
#include <vector>

constexpr int BINS = 256;

__global__ void count_global(const unsigned char *in, int n, unsigned *bins)
{
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		atomicAdd(&bins[in[i]], 1);
}

__global__ void count_shared(const unsigned char *in, int n, unsigned *bins)
{
	__shared__ unsigned mine[BINS];

	for (int b = threadIdx.x; b < BINS; b += blockDim.x)
		mine[b] = 0;
	__syncthreads();
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		atomicAdd(&mine[in[i]], 1);
	__syncthreads();
	for (int b = threadIdx.x; b < BINS; b += blockDim.x)
		atomicAdd(&bins[b], mine[b]);
}

struct others {
	unsigned swapped;	// counted by compare-and-swap
	int least;
	unsigned long long bits;
	float halves;
	double quarters;
	unsigned ring;		// counts up to 9, then from 0
};

__global__ void many_kinds(others *o)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	unsigned old = o->swapped, seen;

	while ((seen = atomicCAS(&o->swapped, old, old + 1)) != old)
		old = seen;
	atomicMin(&o->least, 1000 - i);
	atomicOr(&o->bits, 1ull << (i % 64));
	atomicAdd(&o->halves, 0.5f);
	atomicAdd(&o->quarters, 0.25);
	atomicInc(&o->ring, 9);
}

static void check_others(void)
{
	others o = { 0, 1 << 30, 0, 0, 0, 0 }, *d;

	CHECK(cudaMalloc(&d, sizeof(o)));
	CHECK(cudaMemcpy(d, &o, sizeof(o), cudaMemcpyHostToDevice));
	many_kinds<<<7, 96>>>(d);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(&o, d, sizeof(o), cudaMemcpyDeviceToHost));
	CHECK(cudaFree(d));
	EXPECT(o.swapped == 672);
	EXPECT(o.least == 1000 - 671);
	EXPECT(o.bits == ~0ull);
	EXPECT(o.halves == 336);
	EXPECT(o.quarters == 168);
	EXPECT(o.ring == 672 % 10);
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 500000);
	std::vector<unsigned char> in(n);
	unsigned expected[BINS] = {}, got[2][BINS], *bins, x = 7;
	unsigned char *din;

	for (int i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		in[i] = (x >> 24) & (x >> 16);
		expected[in[i]]++;
	}
	CHECK(cudaMalloc(&din, n));
	CHECK(cudaMalloc(&bins, sizeof(got)));
	CHECK(cudaMemset(bins, 0, sizeof(got)));
	CHECK(cudaMemcpy(din, in.data(), n, cudaMemcpyHostToDevice));
	count_global<<<32, 256>>>(din, n, bins);
	count_shared<<<32, 256>>>(din, n, bins + BINS);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(got, bins, sizeof(got), cudaMemcpyDeviceToHost));
	EXPECT(!memcmp(got[0], expected, sizeof(expected)));
	EXPECT(!memcmp(got[1], expected, sizeof(expected)));
	CHECK(cudaFree(din));
	CHECK(cudaFree(bins));
	printf("%d bytes counted twice, %u of them zero\n", n, got[0][0]);
	check_others();
	return pass();
}
