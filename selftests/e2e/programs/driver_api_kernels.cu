// SPDX-License-Identifier: MIT
// Kernels that driver_api.cu loads from files beside it.

struct mixed {
	char a;
	short b;
	double c[3];
};

__device__ int calls = 3;
__constant__ int offset = 10;

extern "C" __global__ void combine(int *out, char a, mixed m, long long b, float c)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	out[i] = i + a + m.a + m.b + (int)(m.c[0] + m.c[1] + m.c[2]) + (int)b + (int)c + offset;
	if (!i)
		calls++;
}

extern "C" __global__ void with_shared(int *out)
{
	extern __shared__ int s[];

	s[threadIdx.x] = threadIdx.x;
	__syncthreads();
	out[threadIdx.x] = s[blockDim.x - 1 - threadIdx.x];
}
