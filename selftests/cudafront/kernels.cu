// SPDX-License-Identifier: MIT
// Kernels whose parameters images.c knows by heart.

struct bytes32 {
	char b[32];
};

extern "C" __global__ void none()
{
}

extern "C" __global__ void mixed(char a, short b, bytes32 c, int *out)
{
	*out = a + b + c.b[1];
}

extern "C" __global__ void aligned(char a, float4 v, double d, bool e, int *out)
{
	*out = a + v.x + d + e;
}

template <typename T> __global__ void add(const T *a, const T *b, T *c, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		c[i] = a[i] + b[i];
}
template __global__ void add(const float *, const float *, float *, int);

#ifdef LARGE
struct bytes4000 {
	char b[4000];
};

struct bytes30000 {
	char b[30000];
};

extern "C" __global__ void large(bytes4000 a, int *out)
{
	*out = a.b[3999];
}

extern "C" __global__ void huge(char a, bytes30000 b, int *out)
{
	*out = a + b.b[29999];
}
#endif
