// SPDX-License-Identifier: MIT
// A grid that synchronises as a whole: a cellular automaton over many blocks,
// and groups of threads smaller than a warp.
#include "check.h"
#include <cooperative_groups.h>
#include <vector>

namespace cg = cooperative_groups;

__global__ void automaton(unsigned *a, unsigned *b, int n, int steps)
{
	cg::grid_group grid = cg::this_grid();

	for (int s = 0; s < steps; s++) {
		for (int i = grid.thread_rank(); i < n; i += grid.size()) {
			unsigned left = a[(i + n - 1) % n], right = a[(i + 1) % n];

			b[i] = (left << 1) ^ (right >> 1) ^ a[i] ^ s;
		}
		grid.sync();
		unsigned *t = a;
		a = b;
		b = t;
	}
}

__global__ void groups(int *out)
{
	cg::thread_block block = cg::this_thread_block();
	auto eight = cg::tiled_partition<8>(block);
	int v = eight.thread_rank();

	for (int d = 4; d; d /= 2)
		v += eight.shfl_xor(v, d);
	out[block.thread_rank()] = v * 100 + eight.meta_group_rank();
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 20000), steps = 6, blocks, can, multiprocessors,
	    out[64], *d;
	std::vector<unsigned> host(n), next(n), got(n);
	unsigned *a, *b;

	CHECK(cudaDeviceGetAttribute(&can, cudaDevAttrCooperativeLaunch, 0));
	if (!can)
		return skip("the device has no cooperative launches");
	CHECK(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
	CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, automaton, 128, 0));
	EXPECT(blocks >= 1);
	blocks *= multiprocessors;
	CHECK(cudaMalloc(&a, n * sizeof(*a)));
	CHECK(cudaMalloc(&b, n * sizeof(*b)));
	for (int i = 0; i < n; i++)
		host[i] = i * 2654435761u;
	CHECK(cudaMemcpy(a, host.data(), n * sizeof(*a), cudaMemcpyHostToDevice));
	void *arguments[] = { &a, &b, &n, &steps };
	EXPECT_ERROR(cudaLaunchCooperativeKernel(automaton, blocks + 1, 128, arguments, 0, NULL),
		     cudaErrorCooperativeLaunchTooLarge);
	(void)cudaGetLastError();
	blocks = blocks < 24 ? blocks : 24;
	CHECK(cudaLaunchCooperativeKernel(automaton, blocks, 128, arguments, 0, NULL));
	CHECK(cudaMemcpy(got.data(), a, n * sizeof(*a), cudaMemcpyDeviceToHost));
	for (int s = 0; s < steps; s++) {
		for (int i = 0; i < n; i++)
			next[i] = (host[(i + n - 1) % n] << 1) ^ (host[(i + 1) % n] >> 1) ^
				  host[i] ^ s;
		host.swap(next);
	}
	EXPECT(got == host);
	printf("%d steps of %d blocks in step\n", steps, blocks);

	CHECK(cudaMalloc(&d, sizeof(out)));
	groups<<<1, 64>>>(d);
	CHECK(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
	for (int i = 0; i < 64; i++)
		EXPECT(out[i] == 2800 + i / 8);
	CHECK(cudaFree(a));
	CHECK(cudaFree(b));
	CHECK(cudaFree(d));
	return pass();
}
