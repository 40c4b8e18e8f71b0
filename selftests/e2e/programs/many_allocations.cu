// SPDX-License-Identifier: MIT
// Thousands of small allocations, freed in another order: no two overlap, each
// keeps its content, and all of the memory comes back.
#include "check.h"
#include <algorithm>
#include <vector>

__global__ void fill(unsigned *p, unsigned words, unsigned v)
{
	for (unsigned i = threadIdx.x; i < words; i += blockDim.x)
		p[i] = v;
}

struct piece {
	unsigned *p, words;
};

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 1500);
	std::vector<piece> pieces(n);
	std::vector<unsigned> host;
	size_t before, after, total;
	unsigned x = 1;

	fill<<<1, 32>>>(NULL, 0, 0);
	CHECK(cudaDeviceSynchronize());
	CHECK(cudaMemGetInfo(&before, &total));
	for (auto &a : pieces) {
		x = x * 1664525 + 1013904223;
		a.words = 1 + (x >> 20) % 2000;
		CHECK(cudaMalloc(&a.p, a.words * sizeof(unsigned)));
		EXPECT((size_t)a.p % 256 == 0);
		fill<<<1, 64>>>(a.p, a.words, &a - &pieces[0]);
	}
	CHECK(cudaGetLastError());
	for (int i = 0; i < n; i++) {
		host.assign(pieces[i].words, ~0u);
		CHECK(cudaMemcpy(host.data(), pieces[i].p, host.size() * sizeof(unsigned),
				 cudaMemcpyDeviceToHost));
		for (unsigned v : host)
			EXPECT(v == (unsigned)i);
	}
	for (int i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		std::swap(pieces[i], pieces[i + (x >> 8) % (n - i)]);
		CHECK(cudaFree(pieces[i].p));
	}
	CHECK(cudaMemGetInfo(&after, &total));
	printf("%d allocations; free before %zu KiB, after %zu KiB\n", n, before >> 10,
	       after >> 10);
	EXPECT(after + (8 << 20) > before);
	return pass();
}
