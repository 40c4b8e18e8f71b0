// SPDX-License-Identifier: MIT
// Two devices: memory of each, copies between them, events of one that a stream
// of the other waits for, and access to the other's memory where it is allowed.
#include "check.h"
#include <vector>

__global__ void step(int *p, int n, int multiply, int add)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		p[i] = p[i] * multiply + add;
}

struct side {
	cudaStream_t stream;
	cudaEvent_t done;
	int *p;
};

static side make_side(int device, size_t bytes)
{
	side s;

	CHECK(cudaSetDevice(device));
	CHECK(cudaStreamCreateWithFlags(&s.stream, cudaStreamNonBlocking));
	CHECK(cudaEventCreateWithFlags(&s.done, cudaEventDisableTiming));
	CHECK(cudaMalloc(&s.p, bytes));
	return s;
}

static void end_side(int device, side *s)
{
	CHECK(cudaSetDevice(device));
	CHECK(cudaStreamDestroy(s->stream));
	CHECK(cudaEventDestroy(s->done));
	CHECK(cudaFree(s->p));
}

// The data goes to and fro; each hop waits for an event of the other device.
static void ping_pong(side *s, int n, int rounds)
{
	size_t bytes = n * sizeof(int);
	std::vector<int> host(n);
	int expected = 1;

	CHECK(cudaSetDevice(0));
	CHECK(cudaMemsetAsync(s[0].p, 0, bytes, s[0].stream));
	step<<<(n + 127) / 128, 128, 0, s[0].stream>>>(s[0].p, n, 1, 1);
	CHECK(cudaEventRecord(s[0].done, s[0].stream));
	for (int r = 0; r < rounds; r++) {
		int from = r % 2, to = !from;

		CHECK(cudaSetDevice(to));
		CHECK(cudaStreamWaitEvent(s[to].stream, s[from].done, 0));
		CHECK(cudaMemcpyPeerAsync(s[to].p, to, s[from].p, from, bytes, s[to].stream));
		step<<<(n + 127) / 128, 128, 0, s[to].stream>>>(s[to].p, n, 3, r);
		CHECK(cudaGetLastError());
		CHECK(cudaEventRecord(s[to].done, s[to].stream));
		expected = expected * 3 + r;
	}
	CHECK(cudaStreamSynchronize(s[rounds % 2].stream));
	CHECK(cudaMemcpy(host.data(), s[rounds % 2].p, bytes, cudaMemcpyDeviceToHost));
	for (int v : host)
		EXPECT(v == expected);
	printf("%d hops between the devices\n", rounds);
}

static void attributes_and_copies(side *s, int n)
{
	size_t bytes = n * sizeof(int);
	std::vector<int> host(n, 7), back(n);
	cudaPointerAttributes a;

	for (int d = 0; d < 2; d++) {
		CHECK(cudaPointerGetAttributes(&a, s[d].p));
		EXPECT(a.type == cudaMemoryTypeDevice && a.device == d);
	}
	CHECK(cudaMemcpy(s[1].p, host.data(), bytes, cudaMemcpyHostToDevice));
	CHECK(cudaMemcpyPeer(s[0].p, 0, s[1].p, 1, bytes));
	CHECK(cudaMemcpy(back.data(), s[0].p, bytes, cudaMemcpyDefault));
	EXPECT(back == host);
	host.assign(n, 8);
	CHECK(cudaMemcpy(s[0].p, host.data(), bytes, cudaMemcpyDefault));
	CHECK(cudaMemcpy(s[1].p, s[0].p, bytes, cudaMemcpyDefault));
	CHECK(cudaMemcpy(back.data(), s[1].p, bytes, cudaMemcpyDefault));
	EXPECT(back == host);
}

static void peer_access(side *s, int n)
{
	std::vector<int> host(n);
	int can;

	CHECK(cudaDeviceCanAccessPeer(&can, 0, 1));
	printf("device 0 can%s access memory of device 1\n", can ? "" : "not");
	if (!can)
		return;
	CHECK(cudaSetDevice(0));
	CHECK(cudaDeviceEnablePeerAccess(1, 0));
	EXPECT_ERROR(cudaDeviceEnablePeerAccess(1, 0), cudaErrorPeerAccessAlreadyEnabled);
	(void)cudaGetLastError();
	CHECK(cudaMemset(s[1].p, 0, n * sizeof(int)));
	CHECK(cudaDeviceSynchronize());
	step<<<(n + 127) / 128, 128>>>(s[1].p, n, 1, 5);
	CHECK(cudaGetLastError());
	CHECK(cudaDeviceSynchronize());
	CHECK(cudaMemcpy(host.data(), s[1].p, n * sizeof(int), cudaMemcpyDeviceToHost));
	for (int v : host)
		EXPECT(v == 5);
	CHECK(cudaDeviceDisablePeerAccess(1));
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 50000), count;
	side s[2];

	CHECK(cudaGetDeviceCount(&count));
	if (count < 2)
		return skip("needs two devices");
	for (int d = 0; d < 2; d++)
		s[d] = make_side(d, n * sizeof(int));
	ping_pong(s, n, 9);
	attributes_and_copies(s, n);
	peer_access(s, n);
	for (int d = 0; d < 2; d++)
		end_side(d, &s[d]);
	return pass();
}
