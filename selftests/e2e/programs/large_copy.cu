// SPDX-License-Identifier: MIT
// Random bytes to the device and back, in sizes around every boundary that a
// transport may have, at odd offsets, and changed by a kernel on the way.
#include "check.h"
#include <string.h>
#include <vector>

__global__ void invert(unsigned char *p, size_t n)
{
	size_t words = n / 16, i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
	uint4 *q = (uint4 *)p;

	for (size_t k = i; k < words; k += gridDim.x * (size_t)blockDim.x)
		q[k] = make_uint4(~q[k].x, ~q[k].y, ~q[k].z, ~q[k].w);
	if (i < n % 16)
		p[words * 16 + i] = ~p[words * 16 + i];
}

static std::vector<unsigned char> random_bytes(size_t n)
{
	std::vector<unsigned char> v(n + 8);
	unsigned long long x = n;

	for (size_t i = 0; i < n; i += 8) {
		unsigned long long z = x += 0x9e3779b97f4a7c15;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z ^= z >> 27;
		memcpy(&v[i], &z, 8);
	}
	v.resize(n);
	return v;
}

static void whole(size_t n)
{
	std::vector<unsigned char> in = random_bytes(n), out(n);
	unsigned char *d, *e;

	CHECK(cudaMalloc(&d, n));
	CHECK(cudaMalloc(&e, n));
	CHECK(cudaMemcpy(d, in.data(), n, cudaMemcpyHostToDevice));
	invert<<<64, 256>>>(d, n);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(e, d, n, cudaMemcpyDeviceToDevice));
	CHECK(cudaMemcpy(out.data(), e, n, cudaMemcpyDeviceToHost));
	for (size_t i = 0; i < n; i++)
		EXPECT(out[i] == (unsigned char)~in[i]);
	CHECK(cudaFree(d));
	CHECK(cudaFree(e));
	printf("%zu bytes\n", n);
}

static void parts(size_t n)
{
	std::vector<unsigned char> in = random_bytes(n), out(n);
	unsigned char *d;

	CHECK(cudaMalloc(&d, n));
	for (size_t at = 0, part = 1; at < n; at += part, part = part * 5 / 3 + 1) {
		part = part < n - at ? part : n - at;
		CHECK(cudaMemcpy(d + at, &in[at], part, cudaMemcpyHostToDevice));
	}
	for (size_t at = 0, part = 7; at < n; at += part, part = part * 3 / 2) {
		part = part < n - at ? part : n - at;
		CHECK(cudaMemcpyAsync(&out[at], d + at, part, cudaMemcpyDeviceToHost));
	}
	CHECK(cudaDeviceSynchronize());
	EXPECT(out == in);
	CHECK(cudaFree(d));
}

// The source may be used again as soon as the call is back.
static void reused_source(size_t n)
{
	std::vector<unsigned char> buffer(n), out(n);
	unsigned char *d[8];

	for (int k = 0; k < 8; k++) {
		CHECK(cudaMalloc(&d[k], n));
		memset(buffer.data(), k + 1, n);
		if (k % 2)
			CHECK(cudaMemcpyAsync(d[k], buffer.data(), n, cudaMemcpyHostToDevice));
		else
			CHECK(cudaMemcpy(d[k], buffer.data(), n, cudaMemcpyHostToDevice));
	}
	for (int k = 0; k < 8; k++) {
		CHECK(cudaMemcpy(out.data(), d[k], n, cudaMemcpyDeviceToHost));
		for (unsigned char v : out)
			EXPECT(v == k + 1);
		CHECK(cudaFree(d[k]));
	}
}

int main(int argc, char **argv)
{
	size_t largest = argument(argc, argv, 1, (24 << 20) + 3);
	const size_t sizes[] = { 1, 15, 4095, 4096, 65535, 65537, 262143, 262144, 262145, 1 << 20 };

	for (size_t n : sizes)
		whole(n);
	whole(largest);
	parts(1000001);
	reused_source(40000);
	reused_source(300001);
	return pass();
}
