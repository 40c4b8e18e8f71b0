// SPDX-License-Identifier: MIT
// Inclusive prefix sums over many blocks: scan blocks, scan their totals,
// add them. The levels recurse on the device's memory.
#include "check.h"
#include <vector>

constexpr int BLOCK = 256;

__global__ void scan_blocks(unsigned *data, int n, unsigned *totals)
{
	__shared__ unsigned a[BLOCK];
	int i = blockIdx.x * BLOCK + threadIdx.x;

	a[threadIdx.x] = i < n ? data[i] : 0;
	__syncthreads();
	for (int d = 1; d < BLOCK; d *= 2) {
		unsigned v = threadIdx.x >= d ? a[threadIdx.x - d] : 0;

		__syncthreads();
		a[threadIdx.x] += v;
		__syncthreads();
	}
	if (i < n)
		data[i] = a[threadIdx.x];
	if (threadIdx.x == BLOCK - 1)
		totals[blockIdx.x] = a[threadIdx.x];
}

__global__ void add_totals(unsigned *data, int n, const unsigned *totals)
{
	int i = (blockIdx.x + 1) * BLOCK + threadIdx.x;

	if (i < n)
		data[i] += totals[blockIdx.x];
}

static void scan(unsigned *data, int n)
{
	int blocks = (n + BLOCK - 1) / BLOCK;
	unsigned *totals;

	CHECK(cudaMalloc(&totals, blocks * sizeof(*totals)));
	scan_blocks<<<blocks, BLOCK>>>(data, n, totals);
	CHECK(cudaGetLastError());
	if (blocks > 1) {
		scan(totals, blocks);
		add_totals<<<blocks - 1, BLOCK>>>(data, n, totals);
		CHECK(cudaGetLastError());
	}
	CHECK(cudaFree(totals));
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 300007);
	std::vector<unsigned> in(n), out(n);
	unsigned *d, sum = 0;

	for (int i = 0; i < n; i++)
		in[i] = i * 2654435761u >> 20;
	CHECK(cudaMalloc(&d, n * sizeof(*d)));
	CHECK(cudaMemcpy(d, in.data(), n * sizeof(*d), cudaMemcpyHostToDevice));
	scan(d, n);
	CHECK(cudaMemcpy(out.data(), d, n * sizeof(*d), cudaMemcpyDeviceToHost));
	for (int i = 0; i < n; i++) {
		sum += in[i];
		EXPECT(out[i] == sum);
	}
	CHECK(cudaFree(d));
	printf("%d prefix sums, the last is %u\n", n, sum);
	return pass();
}
