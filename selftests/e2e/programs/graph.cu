// SPDX-License-Identifier: MIT
// Work captured from two streams into a graph that is launched many times, and
// a graph made by hand.
#include "check.h"
#include <vector>

__global__ void step(int *p, int n, int add)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		p[i] += add;
}

__global__ void join(int *p, const int *q, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		p[i] += q[i];
}

static void captured(int n, int rounds)
{
	size_t bytes = n * sizeof(int);
	cudaStreamCaptureStatus status;
	cudaGraphExec_t exec;
	cudaEvent_t forked, joined;
	cudaStream_t s, t;
	cudaGraph_t graph;
	int *p, *q, *host, blocks = (n + 127) / 128;

	CHECK(cudaStreamCreate(&s));
	CHECK(cudaStreamCreate(&t));
	CHECK(cudaEventCreate(&forked));
	CHECK(cudaEventCreate(&joined));
	CHECK(cudaMalloc(&p, bytes));
	CHECK(cudaMalloc(&q, bytes));
	CHECK(cudaMallocHost(&host, bytes));
	CHECK(cudaMemset(p, 0, bytes));
	CHECK(cudaDeviceSynchronize());
	CHECK(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
	CHECK(cudaMemsetAsync(q, 0, bytes, s));
	CHECK(cudaEventRecord(forked, s));
	CHECK(cudaStreamWaitEvent(t, forked, 0));
	step<<<blocks, 128, 0, s>>>(p, n, 1);
	step<<<blocks, 128, 0, t>>>(q, n, 10);
	CHECK(cudaEventRecord(joined, t));
	CHECK(cudaStreamWaitEvent(s, joined, 0));
	join<<<blocks, 128, 0, s>>>(p, q, n);
	CHECK(cudaMemcpyAsync(host, p, bytes, cudaMemcpyDeviceToHost, s));
	CHECK(cudaStreamIsCapturing(s, &status));
	EXPECT(status == cudaStreamCaptureStatusActive);
	CHECK(cudaStreamEndCapture(s, &graph));
	CHECK(cudaGraphInstantiate(&exec, graph, 0));
	for (int r = 1; r <= rounds; r++) {
		CHECK(cudaGraphLaunch(exec, s));
		CHECK(cudaStreamSynchronize(s));
		for (int i = 0; i < n; i++)
			EXPECT(host[i] == 11 * r);
	}
	CHECK(cudaGraphExecDestroy(exec));
	CHECK(cudaGraphDestroy(graph));
	CHECK(cudaFree(p));
	CHECK(cudaFree(q));
	CHECK(cudaFreeHost(host));
	CHECK(cudaStreamDestroy(s));
	CHECK(cudaStreamDestroy(t));
	printf("captured graph launched %d times\n", rounds);
}

static void by_hand(int n)
{
	cudaGraph_t graph;
	cudaGraphExec_t exec;
	cudaGraphNode_t set, add, copy;
	cudaMemsetParams m = {};
	cudaKernelNodeParams k = {};
	std::vector<int> host(n);
	int *p, seven = 7;
	size_t nodes;

	CHECK(cudaMalloc(&p, n * sizeof(int)));
	CHECK(cudaGraphCreate(&graph, 0));
	m.dst = p;
	m.value = 0;
	m.elementSize = 4;
	m.width = n;
	m.height = 1;
	CHECK(cudaGraphAddMemsetNode(&set, graph, NULL, 0, &m));
	void *arguments[] = { &p, &n, &seven };
	k.func = (void *)step;
	k.gridDim = (n + 127) / 128;
	k.blockDim = 128;
	k.kernelParams = arguments;
	CHECK(cudaGraphAddKernelNode(&add, graph, &set, 1, &k));
	CHECK(cudaGraphAddMemcpyNode1D(&copy, graph, &add, 1, host.data(), p, n * sizeof(int),
				       cudaMemcpyDeviceToHost));
	CHECK(cudaGraphGetNodes(graph, NULL, &nodes));
	EXPECT(nodes == 3);
	CHECK(cudaGraphInstantiate(&exec, graph, 0));
	CHECK(cudaGraphLaunch(exec, 0));
	CHECK(cudaDeviceSynchronize());
	for (int v : host)
		EXPECT(v == 7);
	CHECK(cudaGraphExecDestroy(exec));
	CHECK(cudaGraphDestroy(graph));
	CHECK(cudaFree(p));
	printf("graph of %zu nodes made by hand\n", nodes);
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 3000);

	captured(n, 5);
	by_hand(n);
	return pass();
}
