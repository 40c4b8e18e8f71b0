// SPDX-License-Identifier: MIT
// Sorting, scanning and selecting with the toolkit's own templates (CUB through
// Thrust): large kernels full of what compilers can emit.
#include "check.h"
#include <algorithm>
#include <thrust/device_vector.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/sort.h>
#include <vector>

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 20000);
	std::vector<unsigned> host(n), sums(n);
	unsigned x = 3, sum = 0;

	for (auto &v : host)
		v = x = x * 1664525 + 1013904223;
	thrust::device_vector<unsigned> d(host.begin(), host.end());
	std::sort(host.begin(), host.end());
	thrust::sort(d.begin(), d.end());
	std::vector<unsigned> got(n);
	thrust::copy(d.begin(), d.end(), got.begin());
	EXPECT(got == host);
	EXPECT(thrust::reduce(d.begin(), d.end()) == [&] {
		unsigned s = 0;
		for (unsigned v : host)
			s += v;
		return s;
	}());
	thrust::inclusive_scan(d.begin(), d.end(), d.begin());
	thrust::copy(d.begin(), d.end(), got.begin());
	for (int i = 0; i < n; i++)
		EXPECT(got[i] == (sum += host[i]));
	printf("%d numbers sorted, summed and scanned\n", n);
	return pass();
}
