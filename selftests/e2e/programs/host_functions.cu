// SPDX-License-Identifier: MIT
// Host functions and callbacks: run in the stream's order, once each, and see
// the copies before them.
#include "check.h"
#include <unistd.h>
#include <vector>

__global__ void add(int *p, int v)
{
	*p += v;
}

struct log_entry {
	int *host;
	std::vector<int> *seen;
};

static void CUDART_CB note(void *arg)
{
	log_entry *e = (log_entry *)arg;

	usleep(200);
	e->seen->push_back(*e->host);
}

static void CUDART_CB called_back(cudaStream_t, cudaError_t status, void *arg)
{
	((std::vector<int> *)arg)->push_back(-(int)status - 1);
}

int main(int argc, char **argv)
{
	int rounds = (int)argument(argc, argv, 1, 50);
	std::vector<int> seen;
	cudaStream_t s;
	int *p, *host;

	CHECK(cudaStreamCreate(&s));
	CHECK(cudaMalloc(&p, sizeof(int)));
	CHECK(cudaMallocHost(&host, sizeof(int)));
	log_entry e = { host, &seen };
	CHECK(cudaMemsetAsync(p, 0, sizeof(int), s));
	for (int r = 0; r < rounds; r++) {
		add<<<1, 1, 0, s>>>(p, r);
		CHECK(cudaMemcpyAsync(host, p, sizeof(int), cudaMemcpyDeviceToHost, s));
		CHECK(cudaLaunchHostFunc(s, note, &e));
		CHECK(cudaStreamAddCallback(s, called_back, &seen, 0));
	}
	CHECK(cudaStreamSynchronize(s));
	EXPECT(seen.size() == (size_t)(2 * rounds));
	for (int r = 0; r < rounds; r++)
		EXPECT(seen[2 * r] == r * (r + 1) / 2 && seen[2 * r + 1] == -1);
	CHECK(cudaStreamDestroy(s));
	CHECK(cudaFree(p));
	CHECK(cudaFreeHost(host));
	printf("%d host functions and as many callbacks in order\n", rounds);
	return pass();
}
