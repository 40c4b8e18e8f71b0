// SPDX-License-Identifier: MIT
// Page-locked buffers by the hundred: many that nothing is copied from and that are
// freed, then many at once, of which the last ones are used first.
#include "check.h"
#include <vector>

int main(int argc, char **argv)
{
	int freed = (int)argument(argc, argv, 1, 600), live = (int)argument(argc, argv, 2, 300);
	const size_t n = 5000;
	std::vector<unsigned *> buffers(live);
	unsigned *d, *p;

	CHECK(cudaMalloc(&d, n * sizeof(*d)));
	for (int i = 0; i < freed; i++) {
		CHECK(cudaMallocHost(&p, n * sizeof(*p)));
		p[0] = i;
		CHECK(cudaFreeHost(p));
	}
	for (int i = 0; i < live; i++) {
		CHECK(cudaMallocHost(&buffers[i], n * sizeof(*p)));
		for (size_t k = 0; k < n; k++)
			buffers[i][k] = (unsigned)(i * n + k);
	}
	// each to its neighbour, by way of the device
	for (int i = live - 1; i > 0; i -= 2) {
		unsigned *to = buffers[i - 1];

		CHECK(cudaMemcpyAsync(d, buffers[i], n * sizeof(*d), cudaMemcpyHostToDevice, 0));
		CHECK(cudaMemcpyAsync(to, d, n * sizeof(*d), cudaMemcpyDeviceToHost, 0));
	}
	CHECK(cudaDeviceSynchronize());
	for (int i = live - 1; i > 0; i -= 2)
		for (size_t k = 0; k < n; k++)
			EXPECT(buffers[i - 1][k] == (unsigned)(i * n + k));
	for (int i = 0; i < live; i++)
		CHECK(cudaFreeHost(buffers[i]));
	CHECK(cudaFree(d));
	printf("%d buffers freed, %d used\n", freed, live);
	return pass();
}
