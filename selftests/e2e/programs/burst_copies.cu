// SPDX-License-Identifier: MIT
// Bursts of asynchronous copies to and from page-locked memory, of sizes from a word
// to some hundred KiB, with things between them that must come between them: a kernel
// that changes the source or the target, a host function that looks at what came or
// writes what goes, another stream.
#include "check.h"
#include <string.h>
#include <unistd.h>

#define COPIES	150

__global__ void late(unsigned *p, size_t n, unsigned value, int rounds)
{
	unsigned x = value;

	for (int r = 0; r < rounds; r++)
		x = x * 3 + 1;
	for (size_t i = threadIdx.x; i < n; i += blockDim.x)
		p[i] = value + (x == 0xdeadbeef);
}

static size_t size_of(int i)
{
	static const size_t sizes[] = { 4, 64, 4096, 20000, 4, 65536, 100, 300000, 8192 };

	return sizes[i % (sizeof(sizes) / sizeof(*sizes))];
}

static size_t all_of(int copies)
{
	size_t n = 0;

	for (int i = 0; i < copies; i++)
		n += size_of(i);
	return n;
}

struct look {
	const unsigned *at;
	unsigned value, seen;
};

static void CUDART_CB look_at(void *arg)
{
	look *l = (look *)arg;

	l->seen = *l->at;
}

// Every copy has the value that the kernel before it left, first word and last.
static void check_all(const char *host, const unsigned *values)
{
	for (int i = 0; i < COPIES; i++) {
		const unsigned *words = (const unsigned *)host;
		size_t n = size_of(i) / 4;

		EXPECT(words[0] == values[i] && words[n - 1] == values[i]);
		host += size_of(i);
	}
}

static void burst(const char *kind, char *host, cudaStream_t s, cudaStream_t other)
{
	unsigned values[COPIES], value = 7, *d;
	const size_t words = 300000 / 4;
	look looks[COPIES] = {};
	char *at = host;
	int nlooks = 0;

	CHECK(cudaMalloc(&d, words * 4));
	memset(host, 0xee, all_of(COPIES));
	late<<<1, 32, 0, s>>>(d, words, value, 20000);
	for (int i = 0; i < COPIES; i++) {
		if (i % 17 == 16)
			late<<<1, 32, 0, s>>>(d, words, ++value, 2000);
		// blocking streams and the default stream wait for each other
		if (i % 41 == 40)
			late<<<1, 32, 0, other>>>(d, words, ++value, 2000);
		CHECK(cudaMemcpyAsync(at, d, size_of(i), cudaMemcpyDeviceToHost, s));
		values[i] = value;
		if (i % 23 == 22) {
			looks[nlooks] = { (unsigned *)at, value, 0 };
			CHECK(cudaLaunchHostFunc(s, look_at, &looks[nlooks++]));
		}
		at += size_of(i);
	}
	CHECK(cudaStreamSynchronize(s));
	check_all(host, values);
	for (int i = 0; i < nlooks; i++)
		EXPECT(looks[i].seen == looks[i].value);
	CHECK(cudaFree(d));
	printf("%s: %d copies\n", kind, COPIES);
}

struct fill {
	unsigned *at;
	size_t words;
	unsigned value;
};

static void CUDART_CB fill_at(void *arg)
{
	fill *f = (fill *)arg;

	for (size_t i = 0; i < f->words; i++)
		f->at[i] = f->value;
}

// To the device, behind a kernel that takes its time: some copies go where a kernel
// wrote just before, some take what a host function or a copy before them writes.
static void burst_up(const char *kind, char *host, cudaStream_t s)
{
	const size_t bytes = all_of(COPIES);
	unsigned values[COPIES];
	fill fills[COPIES];
	size_t offset = 0;
	char *d;

	CHECK(cudaMalloc(&d, bytes));
	late<<<1, 32, 0, s>>>((unsigned *)d, bytes / 4, 3, 20000);
	for (int i = 0; i < COPIES; i++) {
		unsigned *from = (unsigned *)(host + offset), *to = (unsigned *)(d + offset);
		size_t words = size_of(i) / 4;

		values[i] = 1000 + i;
		fills[i] = { from, words, values[i] };
		fill_at(&fills[i]);
		if (i % 17 == 16)
			late<<<1, 32, 0, s>>>(to, words, 5, 2000);
		if (i % 23 == 22) {
			fills[i].value = values[i] = 5000 + i;
			CHECK(cudaLaunchHostFunc(s, fill_at, &fills[i]));
		}
		if (i % 29 == 28) {
			values[i] = 3;
			CHECK(cudaMemcpyAsync(from, to, words * 4, cudaMemcpyDeviceToHost, s));
			late<<<1, 32, 0, s>>>(to, words, 9, 1);
		}
		CHECK(cudaMemcpyAsync(to, from, words * 4, cudaMemcpyHostToDevice, s));
		offset += words * 4;
	}
	CHECK(cudaStreamSynchronize(s));
	memset(host, 0xee, bytes);
	CHECK(cudaMemcpy(host, d, bytes, cudaMemcpyDeviceToHost));
	check_all(host, values);
	CHECK(cudaFree(d));
	printf("%s, to the device: %d copies\n", kind, COPIES);
}

int main(int argc, char **argv)
{
	size_t bytes = all_of(COPIES);
	cudaStream_t s;
	char *host;
	void *own;

	CHECK(cudaStreamCreate(&s));
	CHECK(cudaMallocHost(&host, bytes));
	for (int i = 0; i < 3; i++) {
		burst("allocated", host, s, cudaStreamLegacy);
		burst("allocated, default stream", host, cudaStreamLegacy, s);
		burst_up("allocated", host, s);
	}
	CHECK(cudaFreeHost(host));
	EXPECT(!posix_memalign(&own, sysconf(_SC_PAGESIZE), bytes));
	CHECK(cudaHostRegister(own, bytes, cudaHostRegisterDefault));
	for (int i = 0; i < 3; i++) {
		burst("registered", (char *)own, s, cudaStreamLegacy);
		burst_up("registered", (char *)own, s);
	}
	CHECK(cudaHostUnregister(own));
	free(own);
	CHECK(cudaStreamDestroy(s));
	return pass();
}
