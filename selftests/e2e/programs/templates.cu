// SPDX-License-Identifier: MIT
// What C++ brings: kernels from templates, lambdas, objects with virtual
// functions, function pointers, recursion, and memory allocated by threads.
#include "check.h"

template <typename T, int N> struct polynomial {
	T c[N];

	__host__ __device__ T operator()(T x) const
	{
		T sum = 0;

		for (int i = N - 1; i >= 0; i--)
			sum = sum * x + c[i];
		return sum;
	}
};

template <typename T, typename F> __global__ void apply(T *data, int n, F f)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		data[i] = f(data[i]);
}

template <typename T, typename F> static void check_apply(const char *name, F f)
{
	const int n = 777;
	T host[n], *d;

	for (int i = 0; i < n; i++)
		host[i] = (T)(i % 50);
	CHECK(cudaMalloc(&d, sizeof(host)));
	CHECK(cudaMemcpy(d, host, sizeof(host), cudaMemcpyHostToDevice));
	apply<<<(n + 63) / 64, 64>>>(d, n, f);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(host, d, sizeof(host), cudaMemcpyDeviceToHost));
	CHECK(cudaFree(d));
	for (int i = 0; i < n; i++)
		EXPECT(host[i] == f((T)(i % 50)));
	printf("%s: right\n", name);
}

struct shape {
	__device__ virtual ~shape() {}
	__device__ virtual int area() const = 0;
	__device__ virtual int corners() const { return 4; }
};

struct square : shape {
	int a;

	__device__ square(int a) : a(a) {}
	__device__ int area() const override { return a * a; }
};

struct triangle : shape {
	int a, b;

	__device__ triangle(int a, int b) : a(a), b(b) {}
	__device__ int area() const override { return a * b / 2; }
	__device__ int corners() const override { return 3; }
};

__device__ int fibonacci(int n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

__device__ int triple(int n)
{
	return 3 * n;
}

__device__ int (*const functions[2])(int) = { fibonacci, triple };

__global__ void objects(int *out)
{
	int i = threadIdx.x;
	shape *s = i % 2 ? (shape *)new square(i) : (shape *)new triangle(i, 6);

	if (!s) {
		out[i] = -1;
		return;
	}
	out[i] = s->area() * 10 + s->corners() + 100000 * functions[i % 2](i % 12);
	delete s;
}

static void check_objects(void)
{
	const int fib[12] = { 0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89 };
	int host[64], *d;

	CHECK(cudaMalloc(&d, sizeof(host)));
	objects<<<1, 64>>>(d);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(host, d, sizeof(host), cudaMemcpyDeviceToHost));
	CHECK(cudaFree(d));
	for (int i = 0; i < 64; i++) {
		int object = i % 2 ? i * i * 10 + 4 : i * 6 / 2 * 10 + 3;
		int called = i % 2 ? 3 * (i % 12) : fib[i % 12];

		EXPECT(host[i] == object + 100000 * called);
	}
	printf("virtual functions, function pointers, recursion, new: right\n");
}

int main(void)
{
	check_apply<int>("polynomial<int>", polynomial<int, 4>{ { 5, -3, 0, 2 } });
	check_apply<long long>("polynomial<long long>",
			       polynomial<long long, 7>{ { 1, 2, 3, 4, 5, 6, 7 } });
	check_apply<double>("polynomial<double>", polynomial<double, 3>{ { 0.5, 8, -0.25 } });
	check_apply<short>("polynomial<short>", polynomial<short, 2>{ { 7, 11 } });
	check_objects();
	return pass();
}
