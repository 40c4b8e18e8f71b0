// SPDX-License-Identifier: MIT
// Keeps copies, launches and synchronisations in flight from several threads
// for some seconds; with 0 for ever, to be killed. With a second argument it
// first leaves a sleeping child behind. Says READY once everything runs.
#include "check.h"
#include <atomic>
#include <chrono>
#include <thread>
#include <unistd.h>
#include <vector>

__global__ void work(int *p, int n, int rounds)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	for (int r = 0; r < rounds && i < n; r++)
		p[i] = p[i] * 5 + r;
}

static std::atomic<bool> stop(false);
static std::atomic<long> done(0);

static void loop(size_t bytes)
{
	int n = (int)(bytes / sizeof(int)), *d;
	std::vector<int> pageable(n);
	cudaStream_t s;
	void *pinned;

	CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
	CHECK(cudaMalloc(&d, bytes));
	CHECK(cudaMallocHost(&pinned, bytes));
	while (!stop) {
		CHECK(cudaMemcpyAsync(d, pinned, bytes, cudaMemcpyHostToDevice, s));
		for (int k = 0; k < 10; k++)
			work<<<(n + 255) / 256, 256, 0, s>>>(d, n, 20);
		CHECK(cudaMemcpyAsync(pinned, d, bytes, cudaMemcpyDeviceToHost, s));
		CHECK(cudaMemcpyAsync(d, pageable.data(), bytes, cudaMemcpyHostToDevice, s));
		CHECK(cudaStreamSynchronize(s));
		done++;
	}
	CHECK(cudaFree(d));
	CHECK(cudaFreeHost(pinned));
	CHECK(cudaStreamDestroy(s));
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0.3;
	std::vector<std::thread> threads;

	for (int t = 0; t < 3; t++)
		threads.emplace_back(loop, (size_t)200000 << t);
	while (done < 6)
		usleep(1000);
	if (argc > 2 && !fork()) {
		sleep(600);
		_exit(0);
	}
	printf("READY\n");
	fflush(stdout);
	if (seconds > 0)
		usleep((useconds_t)(seconds * 1e6));
	else
		pause();
	stop = true;
	for (auto &t : threads)
		t.join();
	printf("%ld rounds\n", done.load());
	return pass();
}
