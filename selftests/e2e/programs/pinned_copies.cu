// SPDX-License-Identifier: MIT
// Asynchronous copies both ways from allocated and from registered page-locked
// memory, with a host function between them that changes what is copied next.
#include "check.h"
#include <string.h>
#include <unistd.h>

__global__ void twice(unsigned *p, size_t n)
{
	size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;

	if (i < n)
		p[i] *= 2;
}

struct buffers {
	unsigned *up, *down;
	size_t n;
	int calls;
};

// Runs after the first copies: sees their result, makes the next ones' input.
static void CUDART_CB between(void *arg)
{
	buffers *b = (buffers *)arg;

	for (size_t i = 0; i < b->n; i++)
		b->up[i] = b->down[i] + 1;
	b->calls++;
}

static void there_and_back(const char *kind, unsigned *up, unsigned *down, size_t n)
{
	buffers b = { up, down, n, 0 };
	cudaStream_t s;
	unsigned *d;

	CHECK(cudaStreamCreate(&s));
	CHECK(cudaMalloc(&d, n * sizeof(*d)));
	for (size_t i = 0; i < n; i++)
		up[i] = (unsigned)i;
	memset(down, 0xee, n * sizeof(*down));
	for (int r = 0; r < 3; r++) {
		CHECK(cudaMemcpyAsync(d, up, n * sizeof(*d), cudaMemcpyHostToDevice, s));
		twice<<<(n + 255) / 256, 256, 0, s>>>(d, n);
		CHECK(cudaMemcpyAsync(down, d, n * sizeof(*d), cudaMemcpyDeviceToHost, s));
		CHECK(cudaLaunchHostFunc(s, between, &b));
	}
	CHECK(cudaStreamSynchronize(s));
	EXPECT(b.calls == 3);
	for (size_t i = 0; i < n; i++)
		EXPECT(down[i] == 8 * (unsigned)i + 6 && up[i] == down[i] + 1);
	CHECK(cudaFree(d));
	CHECK(cudaStreamDestroy(s));
	printf("%s: 3 times %zu words there and back\n", kind, n);
}

__global__ void fill_late(unsigned *p, size_t n, unsigned value, int rounds)
{
	unsigned x = value;

	for (int r = 0; r < rounds; r++)
		x = x * 3 + 1;
	for (size_t i = threadIdx.x; i < n; i += blockDim.x)
		p[i] = value + (x == 0xdeadbeef);
}

// A copy back to the device, synchronous, of what a copy before it has yet to write.
static void back_at_once(const char *kind, unsigned *host, size_t n)
{
	unsigned *a, *b, one;

	CHECK(cudaMalloc(&a, n * sizeof(*a)));
	CHECK(cudaMalloc(&b, n * sizeof(*b)));
	for (unsigned value = 1; value <= 10; value++) {
		memset(host, 0xee, n * sizeof(*host));
		fill_late<<<1, 32>>>(a, n, value, 20000);
		CHECK(cudaMemcpyAsync(host, a, n * sizeof(*a), cudaMemcpyDeviceToHost, 0));
		CHECK(cudaMemcpy(b, host, n * sizeof(*b), cudaMemcpyHostToDevice));
		CHECK(cudaMemcpy(&one, b + n - 1, sizeof(one), cudaMemcpyDeviceToHost));
		EXPECT(one == value && host[0] == value);
	}
	CHECK(cudaFree(a));
	CHECK(cudaFree(b));
	printf("%s: back at once\n", kind);
}

int main(int argc, char **argv)
{
	size_t n = argument(argc, argv, 1, 200001), bytes = n * sizeof(unsigned);
	unsigned *up, *down, flags;
	void *both;

	CHECK(cudaMallocHost(&up, bytes));
	CHECK(cudaHostAlloc(&down, bytes, cudaHostAllocPortable));
	CHECK(cudaHostGetFlags(&flags, down));
	EXPECT(flags & cudaHostAllocPortable);
	there_and_back("allocated", up, down, n);
	// from the middle of an allocation, odd in pages
	there_and_back("inner part", up + 1234, down + 4321, n / 2);
	back_at_once("allocated", up, 5000);
	CHECK(cudaFreeHost(up));
	CHECK(cudaFreeHost(down));

	EXPECT(!posix_memalign(&both, sysconf(_SC_PAGESIZE), 2 * bytes));
	CHECK(cudaHostRegister(both, 2 * bytes, cudaHostRegisterDefault));
	EXPECT_ERROR(cudaHostRegister(both, 2 * bytes, cudaHostRegisterDefault),
		     cudaErrorHostMemoryAlreadyRegistered);
	(void)cudaGetLastError();
	there_and_back("registered", (unsigned *)both, (unsigned *)both + n, n);
	back_at_once("registered", (unsigned *)both, 5000);
	CHECK(cudaHostUnregister(both));
	EXPECT_ERROR(cudaHostUnregister(both), cudaErrorHostMemoryNotRegistered);
	free(both);
	return pass();
}
