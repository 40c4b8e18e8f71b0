// SPDX-License-Identifier: MIT
// Host threads. One waits for a stream whose host function waits for the
// others' work: nobody may be held up by who waits. Each thread has a stream,
// an error state and a current device of its own.
#include "check.h"
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

__global__ void step(int *p, int n, int add)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		p[i] += add;
}

static std::mutex lock;
static std::condition_variable changed;
static int finished, waiting;	// both under lock

static void CUDART_CB wait_for_others(void *others)
{
	std::unique_lock<std::mutex> hold(lock);

	waiting = 1;
	changed.notify_all();
	changed.wait(hold, [&] { return finished == *(int *)others; });
	waiting = 2;
}

static void block_in_stream(int others)
{
	cudaStream_t s;

	CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
	CHECK(cudaLaunchHostFunc(s, wait_for_others, &others));
	EXPECT_ERROR(cudaStreamQuery(s), cudaErrorNotReady);
	CHECK(cudaStreamSynchronize(s));
	EXPECT(waiting == 2);
	CHECK(cudaStreamDestroy(s));
}

struct own {
	cudaStream_t stream;
	int *dev, *host;
};

static void work(own *o, int number, int n, int rounds)
{
	{
		std::unique_lock<std::mutex> hold(lock);
		changed.wait(hold, [] { return waiting == 1; });
	}
	for (int r = 0; r < rounds; r++) {
		CHECK(cudaMemcpyAsync(o->dev, o->host, n * sizeof(int), cudaMemcpyHostToDevice,
				      o->stream));
		step<<<(n + 127) / 128, 128, 0, o->stream>>>(o->dev, n, number);
		CHECK(cudaMemcpyAsync(o->host, o->dev, n * sizeof(int), cudaMemcpyDeviceToHost,
				      o->stream));
		CHECK(cudaStreamSynchronize(o->stream));
	}
	for (int i = 0; i < n; i++)
		EXPECT(o->host[i] == i + number * rounds);
	std::lock_guard<std::mutex> hold(lock);
	EXPECT(waiting == 1);
	finished++;
	changed.notify_all();
}

static void nobody_is_held_up(int others, int n, int rounds)
{
	std::vector<own> owns(others);
	std::vector<std::thread> threads;

	for (auto &o : owns) {
		CHECK(cudaStreamCreateWithFlags(&o.stream, cudaStreamNonBlocking));
		CHECK(cudaMalloc(&o.dev, n * sizeof(int)));
		CHECK(cudaMallocHost(&o.host, n * sizeof(int)));
		for (int i = 0; i < n; i++)
			o.host[i] = i;
		step<<<1, 1, 0, o.stream>>>(o.dev, 0, 0); // loads the kernel before anybody waits
	}
	CHECK(cudaDeviceSynchronize());
	threads.emplace_back(block_in_stream, others);
	for (int t = 0; t < others; t++)
		threads.emplace_back(work, &owns[t], t + 1, n, rounds);
	for (auto &t : threads)
		t.join();
	for (auto &o : owns) {
		CHECK(cudaStreamDestroy(o.stream));
		CHECK(cudaFree(o.dev));
		CHECK(cudaFreeHost(o.host));
	}
	printf("%d threads went on while one waited\n", others);
}

// An error belongs to the thread that made it; so does the stream per thread.
static void state_is_per_thread(void)
{
	std::thread([] {
		void *p;
		EXPECT_ERROR(cudaMalloc(&p, 1ull << 50), cudaErrorMemoryAllocation);
		std::thread([] { CHECK(cudaPeekAtLastError()); }).join();
		EXPECT_ERROR(cudaPeekAtLastError(), cudaErrorMemoryAllocation);
		EXPECT_ERROR(cudaGetLastError(), cudaErrorMemoryAllocation);
		CHECK(cudaGetLastError());
	}).join();
	CHECK(cudaGetLastError());
}

static void streams_per_thread(int count, int n)
{
	std::vector<std::thread> threads;

	for (int t = 0; t < count; t++)
		threads.emplace_back([=] {
			std::vector<int> host(n);
			int *d;

			CHECK(cudaMalloc(&d, n * sizeof(int)));
			CHECK(cudaMemsetAsync(d, 0, n * sizeof(int), cudaStreamPerThread));
			for (int r = 0; r < 50; r++)
				step<<<(n + 127) / 128, 128, 0, cudaStreamPerThread>>>(d, n, t + r);
			CHECK(cudaMemcpyAsync(host.data(), d, n * sizeof(int),
					      cudaMemcpyDeviceToHost, cudaStreamPerThread));
			CHECK(cudaStreamSynchronize(cudaStreamPerThread));
			for (int v : host)
				EXPECT(v == 50 * t + 49 * 25);
			CHECK(cudaFree(d));
		});
	for (auto &t : threads)
		t.join();
	printf("%d threads used streams of their own\n", count);
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 5000);

	nobody_is_held_up(3, n, 10);
	state_is_per_thread();
	streams_per_thread(4, n);
	return pass();
}
