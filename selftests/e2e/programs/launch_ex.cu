// SPDX-License-Identifier: MIT
// cudaLaunchKernelEx with attributes, the large parameter block, and launches
// by a function's address.
#include "check.h"
#include <cooperative_groups.h>
#include <string.h>
#include <vector>

struct large {
	int a[500];
	double b;
};

__global__ void sum_large(int *out, const __grid_constant__ large p, int scale)
{
	int sum = 0;

	for (int i = threadIdx.x; i < 500; i += blockDim.x)
		sum += p.a[i];
	atomicAdd(out, sum * scale);
	if (!threadIdx.x)
		atomicAdd(out, (int)p.b);
}

__global__ void in_step(int *out, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	out[i] = i;
	cooperative_groups::this_grid().sync();
	out[n + i] = out[n - 1 - i];
}

static void attributes(cudaStream_t s)
{
	const int blocks = 4, n = blocks * 64;
	std::vector<int> host(2 * n);
	cudaLaunchConfig_t c = {};
	cudaLaunchAttribute a[2];
	int *d;

	memset(a, 0, sizeof(a));
	CHECK(cudaMalloc(&d, host.size() * sizeof(int)));
	a[0].id = cudaLaunchAttributeCooperative;
	a[0].val.cooperative = 1;
	a[1].id = cudaLaunchAttributePriority;
	a[1].val.priority = 0;
	c.gridDim = blocks;
	c.blockDim = 64;
	c.stream = s;
	c.attrs = a;
	c.numAttrs = 2;
	CHECK(cudaLaunchKernelEx(&c, in_step, d, n));
	CHECK(cudaStreamSynchronize(s));
	CHECK(cudaMemcpy(host.data(), d, host.size() * sizeof(int), cudaMemcpyDeviceToHost));
	for (int i = 0; i < n; i++)
		EXPECT(host[n + i] == n - 1 - i);
	CHECK(cudaFree(d));
	printf("cooperative launch through attributes\n");
}

static void parameters(cudaStream_t s)
{
	int *d, got, expected = 0, scale = 3;
	large p;

	for (int i = 0; i < 500; i++)
		expected += p.a[i] = i * i % 97;
	expected *= scale;
	p.b = 0.25e6;
	expected += 250000;
	CHECK(cudaMalloc(&d, sizeof(int)));
	CHECK(cudaMemsetAsync(d, 0, sizeof(int), s));
	void *pointers[] = { &d, &p, &scale };
	CHECK(cudaLaunchKernel((const void *)sum_large, dim3(1), dim3(96), pointers, 0, s));
	memset(&p, 0xff, sizeof(p));	// the launch has its own copy
	CHECK(cudaStreamSynchronize(s));
	CHECK(cudaMemcpy(&got, d, sizeof(got), cudaMemcpyDeviceToHost));
	EXPECT(got == expected);
	CHECK(cudaFree(d));
	printf("%zu bytes of parameters\n", sizeof(p) + 12);
}

int main(void)
{
	cudaStream_t s;
	int can;

	CHECK(cudaStreamCreate(&s));
	CHECK(cudaDeviceGetAttribute(&can, cudaDevAttrCooperativeLaunch, 0));
	if (can)
		attributes(s);
	parameters(s);
	CHECK(cudaStreamDestroy(s));
	return pass();
}
