// SPDX-License-Identifier: MIT
// Copies and kernels in several streams; events that time them and that one
// stream waits for in another.
#include "check.h"
#include <vector>

constexpr int STREAMS = 4;

__global__ void fill(int *p, int n, int v)
{
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		p[i] = v;
}

__global__ void step(int *p, int n)
{
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		p[i] = p[i] * 3 + 1;
}

__global__ void add(int *to, const int *from, int n)
{
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		to[i] += from[i];
}

// Each stream does its own chain and nothing of another's.
static void overlap(int n)
{
	cudaStream_t s[STREAMS];
	int *host[STREAMS], *dev[STREAMS];

	for (int k = 0; k < STREAMS; k++) {
		CHECK(cudaStreamCreate(&s[k]));
		CHECK(cudaMallocHost(&host[k], n * sizeof(int)));
		CHECK(cudaMalloc(&dev[k], n * sizeof(int)));
		for (int i = 0; i < n; i++)
			host[k][i] = i + k;
	}
	for (int k = 0; k < STREAMS; k++) {
		CHECK(cudaMemcpyAsync(dev[k], host[k], n * sizeof(int), cudaMemcpyHostToDevice,
				      s[k]));
		for (int r = 0; r < 3; r++)
			step<<<8, 128, 0, s[k]>>>(dev[k], n);
		CHECK(cudaMemcpyAsync(host[k], dev[k], n * sizeof(int), cudaMemcpyDeviceToHost,
				      s[k]));
	}
	for (int k = 0; k < STREAMS; k++) {
		CHECK(cudaStreamSynchronize(s[k]));
		EXPECT_ERROR(cudaStreamQuery(s[k]), cudaSuccess);
		for (int i = 0; i < n; i++)
			EXPECT(host[k][i] == (i + k) * 27 + 13);
		CHECK(cudaStreamDestroy(s[k]));
		CHECK(cudaFree(dev[k]));
		CHECK(cudaFreeHost(host[k]));
	}
}

// b may add only after a has filled, over and over.
static void wait_across(int n)
{
	cudaStream_t a, b;
	cudaEvent_t filled, added;
	int *from, *to;
	std::vector<int> out(n);

	CHECK(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
	CHECK(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
	CHECK(cudaEventCreateWithFlags(&filled, cudaEventDisableTiming));
	CHECK(cudaEventCreateWithFlags(&added, cudaEventDisableTiming));
	CHECK(cudaMalloc(&from, n * sizeof(int)));
	CHECK(cudaMalloc(&to, n * sizeof(int)));
	CHECK(cudaMemsetAsync(to, 0, n * sizeof(int), b));
	for (int r = 1; r <= 10; r++) {
		fill<<<8, 128, 0, a>>>(from, n, r);
		CHECK(cudaEventRecord(filled, a));
		CHECK(cudaStreamWaitEvent(b, filled, 0));
		add<<<8, 128, 0, b>>>(to, from, n);
		CHECK(cudaEventRecord(added, b));
		CHECK(cudaStreamWaitEvent(a, added, 0));
	}
	CHECK(cudaMemcpyAsync(out.data(), to, n * sizeof(int), cudaMemcpyDeviceToHost, b));
	CHECK(cudaStreamSynchronize(b));
	for (int i = 0; i < n; i++)
		EXPECT(out[i] == 55);
	CHECK(cudaEventDestroy(filled));
	CHECK(cudaEventDestroy(added));
	CHECK(cudaStreamDestroy(a));
	CHECK(cudaStreamDestroy(b));
	CHECK(cudaFree(from));
	CHECK(cudaFree(to));
}

static void timing(int n)
{
	cudaEvent_t start, end, never;
	float ms = -1;
	int *p;

	CHECK(cudaEventCreate(&start));
	CHECK(cudaEventCreate(&end));
	CHECK(cudaEventCreateWithFlags(&never, cudaEventDisableTiming));
	CHECK(cudaMalloc(&p, n * sizeof(int)));
	CHECK(cudaEventRecord(start));
	for (int r = 0; r < 20; r++)
		fill<<<8, 128>>>(p, n, r);
	CHECK(cudaEventRecord(end));
	CHECK(cudaEventRecord(never));
	CHECK(cudaEventSynchronize(end));
	CHECK(cudaEventQuery(end));
	CHECK(cudaEventElapsedTime(&ms, start, end));
	printf("20 kernels in %.3f ms\n", ms);
	EXPECT(ms > 0 && ms < 60000);
	CHECK(cudaEventSynchronize(never));
	EXPECT_ERROR(cudaEventElapsedTime(&ms, start, never), cudaErrorInvalidResourceHandle);
	(void)cudaGetLastError();
	CHECK(cudaEventDestroy(start));
	CHECK(cudaEventDestroy(end));
	CHECK(cudaEventDestroy(never));
	CHECK(cudaFree(p));
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 100000);
	int least, greatest;
	cudaStream_t urgent;

	overlap(n);
	wait_across(n);
	timing(n);
	CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
	EXPECT(greatest <= least);
	CHECK(cudaStreamCreateWithPriority(&urgent, cudaStreamNonBlocking, greatest));
	CHECK(cudaStreamSynchronize(urgent));
	CHECK(cudaStreamDestroy(urgent));
	return pass();
}
