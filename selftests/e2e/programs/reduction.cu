// SPDX-License-Identifier: MIT
// Sum and maximum by shuffles within warps, votes, and shared memory between
// the warps of a block.
#include "check.h"
#include <vector>

__device__ unsigned long long warp_sum(unsigned long long v)
{
	for (int d = 16; d; d /= 2)
		v += __shfl_down_sync(~0u, v, d);
	return v;
}

__device__ int warp_max(int v)
{
	for (int d = 16; d; d /= 2)
		v = max(v, __shfl_xor_sync(~0u, v, d));
	return v;
}

__global__ void reduce(const int *in, int n, unsigned long long *sum, int *most, int *odd)
{
	__shared__ unsigned long long sums[32];
	__shared__ int mosts[32];
	int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
	unsigned long long s = 0;
	int m = 0, odds = 0;

	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i - lane < n;
	     i += gridDim.x * blockDim.x) {
		int v = i < n ? in[i] : 0;

		s += v;
		m = max(m, v);
		odds += __popc(__ballot_sync(~0u, v & 1));
	}
	s = warp_sum(s);
	m = warp_max(m);
	if (!lane) {
		sums[warp] = s;
		mosts[warp] = m;
		atomicAdd(odd, odds);
	}
	__syncthreads();
	if (warp)
		return;
	s = warp_sum(lane < blockDim.x / 32 ? sums[lane] : 0);
	m = warp_max(lane < blockDim.x / 32 ? mosts[lane] : 0);
	if (!lane) {
		atomicAdd(sum, s);
		atomicMax(most, m);
	}
}

struct result {
	unsigned long long sum;
	int most, odd;
};

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 1000001);
	std::vector<int> in(n);
	result expected = {}, got, *out;
	unsigned x = 1;
	int *din;

	for (int i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		in[i] = x >> 1;
		expected.sum += in[i];
		expected.most = in[i] > expected.most ? in[i] : expected.most;
		expected.odd += in[i] & 1;
	}
	CHECK(cudaMalloc(&din, n * sizeof(int)));
	CHECK(cudaMalloc(&out, sizeof(*out)));
	CHECK(cudaMemset(out, 0, sizeof(*out)));
	CHECK(cudaMemcpy(din, in.data(), n * sizeof(int), cudaMemcpyHostToDevice));
	reduce<<<40, 256>>>(din, n, &out->sum, &out->most, &out->odd);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(&got, out, sizeof(got), cudaMemcpyDeviceToHost));
	printf("sum %llu, maximum %d, %d are odd\n", got.sum, got.most, got.odd);
	EXPECT(got.sum == expected.sum);
	EXPECT(got.most == expected.most);
	EXPECT(got.odd == expected.odd);
	CHECK(cudaFree(din));
	CHECK(cudaFree(out));
	return pass();
}
