// SPDX-License-Identifier: MIT
// Kernels of engine_kernels.c: what ordinary CUDA programs are made of.
#include <cassert>
#include <cooperative_groups.h>
#include <cstdint>
#include <cstdio>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <curand_kernel.h>

namespace cg = cooperative_groups;
typedef unsigned long long u64;

extern "C" __global__ void vector_add(const float *a, const float *b, float *c, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		c[i] = a[i] + b[i];
}

#define TILE 16
extern "C" __global__ void matmul(const float *a, const float *b, float *c, int n)
{
	__shared__ float sa[TILE][TILE], sb[TILE][TILE];
	int x = threadIdx.x % TILE, y = threadIdx.x / TILE;
	int tiles = n / TILE;
	int row = blockIdx.x / tiles * TILE + y, col = blockIdx.x % tiles * TILE + x;
	float s = 0;

	for (int k = 0; k < n; k += TILE) {
		sa[y][x] = a[row * n + k + x];
		sb[y][x] = b[(k + y) * n + col];
		__syncthreads();
		for (int i = 0; i < TILE; i++)
			s = fmaf(sa[y][i], sb[i][x], s);
		__syncthreads();
	}
	c[row * n + col] = s;
}

extern "C" __global__ void reduce(const int *in, int *out, int n)
{
	__shared__ int part[32];
	int s = 0;

	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		s += in[i];
	for (int k = 16; k; k >>= 1)
		s += __shfl_down_sync(~0u, s, k);
	if (threadIdx.x % 32 == 0)
		part[threadIdx.x / 32] = s;
	__syncthreads();
	if (threadIdx.x < 32) {
		s = threadIdx.x < blockDim.x / 32 ? part[threadIdx.x] : 0;
		for (int k = 16; k; k >>= 1)
			s += __shfl_xor_sync(~0u, s, k);
		if (!threadIdx.x)
			atomicAdd(out, s);
	}
}

extern "C" __global__ void histogram(const unsigned char *in, unsigned *out, int n)
{
	__shared__ unsigned h[256];

	h[threadIdx.x] = 0;
	__syncthreads();
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		atomicAdd(&h[in[i]], 1);
	__syncthreads();
	atomicAdd(&out[threadIdx.x], h[threadIdx.x]);
}

/* Inclusive sums of a block, in dynamic shared memory. */
extern "C" __global__ void scan(const int *in, int *out)
{
	extern __shared__ int s[];
	int t = threadIdx.x;

	s[t] = in[t];
	for (int d = 1; d < blockDim.x; d *= 2) {
		__syncthreads();
		int v = t >= d ? s[t - d] : 0;
		__syncthreads();
		s[t] += v;
	}
	out[t] = s[t];
}

extern "C" __global__ void nbody(const float4 *p, float4 *acc, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	float4 me = p[i];
	float ax = 0, ay = 0, az = 0;

	for (int k = 0; k < n; k++) {
		float4 o = p[k];
		float dx = o.x - me.x, dy = o.y - me.y, dz = o.z - me.z;
		float r = rsqrtf(dx * dx + dy * dy + dz * dz + 1e-2f);

		r = r * r * r * o.w;
		ax += dx * r;
		ay += dy * r;
		az += dz * r;
	}
	acc[i] = make_float4(ax, ay, az, 0);
}

/* Lanes leave the loop at very different times. */
extern "C" __global__ void collatz(const unsigned *in, unsigned *steps)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	u64 v = in[i];
	unsigned n = 0;

	while (v != 1) {
		if (v & 1)
			v = 3 * v + 1;
		else
			v >>= 1;
		n++;
	}
	steps[i] = n;
}

__device__ __noinline__ int fib(int n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

struct triple {
	int a[5];
	double d;
};

__device__ __noinline__ triple make_triple(int i)
{
	triple t;

	for (int k = 0; k < 5; k++)
		t.a[k] = i * k;
	t.d = i / 2.0;
	return t;
}

extern "C" __global__ void calls(int *out)
{
	int i = threadIdx.x;
	triple t = make_triple(i);

	out[i] = fib(i & 15) + t.a[i % 5] + (int)(2 * t.d);
}

struct shape {
	int k;
	__device__ virtual int area(int x) { return x + k; }
};
struct square : shape {
	__device__ int area(int x) override { return x * x + k; }
};
struct cube : shape {
	__device__ int area(int x) override { return x * x * x + k; }
};

extern "C" __global__ void virtuals(int *out)
{
	int i = threadIdx.x;
	shape *s;

	if (i % 3 == 0)
		s = new shape;
	else if (i % 3 == 1)
		s = new square;
	else
		s = new cube;

	s->k = i;
	out[i] = s->area(3);
	delete s;
}

__device__ __noinline__ int plus_one(int x) { return x + 1; }
__device__ __noinline__ int twice(int x) { return 2 * x; }
__device__ __noinline__ int negate(int x) { return -x; }
__device__ int (*table[3])(int) = { plus_one, twice, negate };
__constant__ float weights[4] = { 0.5f, -1, 2.25f, 1e10f };
__device__ const char *names[2] = { "even", "odd" };
__device__ int counter = 40;

extern "C" __global__ void pointers(int *out, float *w)
{
	int i = threadIdx.x;

	out[i] = table[i % 3](i);
	w[i] = weights[i & 3];
	if (!i)
		atomicAdd(&counter, 2);
}

extern "C" __global__ void say(int n)
{
	int i = threadIdx.x;

	if (i < n)
		printf("%d %s %5.2f %c %x %lld %%|%-4d|%04d\n", i, names[i & 1], i / 4.0, 'a' + i,
		       i * 16, (long long)i << 40, i, i);
}

extern "C" __global__ void check(int limit)
{
	assert((int)threadIdx.x < limit);
}

extern "C" __global__ void grid_wide(int *a, int *b, int rounds)
{
	cg::grid_group grid = cg::this_grid();
	int n = gridDim.x * blockDim.x, i = blockIdx.x * blockDim.x + threadIdx.x;

	for (int r = 0; r < rounds; r++) {
		b[i] = a[(i + 1) % n] + 1;
		grid.sync();
		int *t = a;
		a = b;
		b = t;
	}
}

/* Each lane takes a lock that the others of its warp want too. */
extern "C" __global__ void spin(int *lock, int *value)
{
	bool done = false;

	while (!done) {
		if (atomicCAS(lock, 0, 1) == 0) {
			*(volatile int *)value += 1;
			__threadfence();
			atomicExch(lock, 0);
			done = true;
		}
	}
}

/* A block waits for one that comes later. */
extern "C" __global__ void chain(volatile int *flag, int n)
{
	int i = n - 1 - blockIdx.x;

	if (threadIdx.x)
		return;
	while (i && !flag[i - 1])
		;
	flag[i] = 1;
}

extern "C" __global__ void atomics(int *s, unsigned *u, u64 *q, float *f, double *d)
{
	int i = threadIdx.x;

	atomicMin(&s[0], -i);
	atomicMax(&s[1], i);
	atomicSub(&s[2], i);
	atomicAnd(&u[0], ~(1u << (i & 31)));
	atomicOr(&u[1], 1u << (i & 31));
	atomicXor(&u[2], i);
	atomicInc(&u[3], 9);
	atomicDec(&u[4], 9);
	atomicAdd(&q[0], (u64)i << 32);
	atomicMax(&q[1], (u64)i * i);
	atomicAdd(f, 0.5f);
	atomicAdd(d, 0.25);
	atomicExch(&u[5], 77);
	atomicAdd((__half2 *)&u[6], __floats2half2_rn(1, 2));
	atomicAdd((__half *)&u[7], __float2half(0.5f));
	atomicCAS((unsigned short *)&u[8], 0, 5);
}

extern "C" __global__ void warp_ops(unsigned *out)
{
	unsigned i = threadIdx.x, m;
	int all;

	out[i] = __ballot_sync(~0u, i % 3 == 0);
	out[32 + i] = __any_sync(~0u, i == 5) * 4 + __all_sync(~0u, i < 32) * 2 +
		      __all_sync(~0u, i < 31);
	out[64 + i] = __match_any_sync(~0u, i % 4);
	out[96 + i] = __match_all_sync(~0u, 7, &all) + all;
	out[128 + i] = __shfl_sync(~0u, i * i, 3) + __shfl_up_sync(~0u, i, 2, 8);
	out[160 + i] = __shfl_down_sync(~0u, i, 1, 4);
	if (i & 1) {		/* two groups, each with its own mask */
		m = __activemask();
		out[192 + i] = __shfl_sync(m, i, 31) + __popc(m);
	} else {
		m = __activemask();
		out[192 + i] = __shfl_sync(m, i, 0) + __popc(m);
	}
	__syncwarp();
	out[224 + i] = __brev(i) ^ __byte_perm(i, 0x01020304, 0x5140) ^ __funnelshift_l(i, ~i, 5);
}

/* A warp that parts comes together for an operation of all lanes. */
extern "C" __global__ void meet(int *out)
{
	int i = threadIdx.x, v = 0;

	if (i < 16)
		for (int k = 0; k < 100 + i; k++)
			v += k;
	else
		v = -i;
	__syncwarp();
	out[i] = __shfl_xor_sync(~0u, v, 16);
}

extern "C" __global__ void math(const float *x, float *y, const double *dx, double *dy)
{
	int i = threadIdx.x;
	float v = x[i];
	double d = dx[i];

	y[i * 12 + 0] = sinf(v);
	y[i * 12 + 1] = expf(v / 100);
	y[i * 12 + 2] = logf(fabsf(v) + 1);
	y[i * 12 + 3] = powf(fabsf(v), 0.7f);
	y[i * 12 + 4] = v / 3.7f;
	y[i * 12 + 5] = sqrtf(fabsf(v));
	y[i * 12 + 6] = fmodf(v, 2.5f);
	y[i * 12 + 7] = tanhf(v / 50);
	y[i * 12 + 8] = floorf(v) + rintf(v) + truncf(v);
	y[i * 12 + 9] = __fdividef(v, 7) + __expf(v / 100) + __sinf(v / 50);
	y[i * 12 + 10] = erff(v / 60) + cbrtf(v);
	y[i * 12 + 11] = atan2f(v, 3);
	dy[i * 8 + 0] = sin(d);
	dy[i * 8 + 1] = exp(d / 100);
	dy[i * 8 + 2] = log(fabs(d) + 1);
	dy[i * 8 + 3] = d / 3.7;
	dy[i * 8 + 4] = sqrt(fabs(d));
	dy[i * 8 + 5] = pow(fabs(d), 1.3);
	dy[i * 8 + 6] = fmod(d, 2.5);
	dy[i * 8 + 7] = tgamma(d / 100 + 2);
}

extern "C" __global__ void randoms(unsigned *out, float *u)
{
	curandState s;
	int i = threadIdx.x;

	curand_init(1234, i, 0, &s);
	for (int k = 0; k < 4; k++)
		out[4 * i + k] = curand(&s);
	u[i] = curand_uniform(&s);
}

extern "C" __global__ void halves(const float *x, float *y)
{
	int i = threadIdx.x;
	__half a = __float2half(x[i]), b = __float2half(1.5f);
	__half2 v = __halves2half2(a, b), w = __hfma2(v, v, v);
	__nv_bfloat16 c = __float2bfloat16(x[i]);

	y[4 * i] = __half2float(__hadd(a, b));
	y[4 * i + 1] = __low2float(w) + __high2float(w);
	y[4 * i + 2] = __bfloat162float(c);
	y[4 * i + 3] = __hgt(a, b) ? 1 : 2;
}

/* Two halves of a block hand values over through two named barriers. */
extern "C" __global__ void named_barriers(int *out)
{
	__shared__ int box[32];
	int i = threadIdx.x & 31;

	for (int r = 0; r < 4; r++) {
		if (threadIdx.x < 32) {
			box[i] = r * 100 + i;
			__threadfence_block();
			asm volatile("bar.arrive 1, 64;" ::: "memory");
			asm volatile("bar.sync 2, 64;" ::: "memory");
		} else {
			asm volatile("bar.sync 1, 64;" ::: "memory");
			out[r * 32 + i] = box[31 - i];
			asm volatile("bar.arrive 2, 64;" ::: "memory");
		}
	}
}

extern "C" __global__ void barrier_votes(int *out)
{
	int i = threadIdx.x, n;

	if (i >= 60)
		return;		/* who has left counts as arrived */
	n = __syncthreads_count(i & 1);
	out[i] = n + 100 * __syncthreads_or(i == 3) + 1000 * !!__syncthreads_and(i < 60);
}

extern "C" __global__ void local_memory(int *out, int n)
{
	int a[40], s = 0;

	for (int k = 0; k < 40; k++)
		a[k] = k * threadIdx.x;
	for (int k = 0; k < n; k++)
		s += a[(k * 7) % 40];
	switch (threadIdx.x % 7) {
	case 0: s += 5; break;
	case 1: s *= 3; break;
	case 2: s -= a[n % 40]; break;
	case 3: s ^= 0x55; break;
	case 4: s = -s; break;
	case 5: s <<= 1; break;
	default: s = 1;
	}
	out[threadIdx.x] = s;
}

struct big {
	int v[30];
	double d;
};

extern "C" __global__ void by_value(const __grid_constant__ big b, int *out)
{
	const int *p = b.v;	/* a generic address of a parameter */

	out[threadIdx.x] = p[threadIdx.x % 30] + (int)b.d;
}

/* ---- faults ---- */

extern "C" __global__ void store_at(int *p, int v)
{
	p[threadIdx.x] = v;
}

extern "C" __global__ void shared_at(int i, int *out)
{
	__shared__ int s[4];

	s[0] = 1;
	*out = s[i];
}

extern "C" __global__ void trap_it(void)
{
	__trap();
}

extern "C" __global__ void forever(volatile int *p)
{
	while (!*p)
		;
}

__device__ __noinline__ int deep(int n, int *p)
{
	int a[64];

	a[n & 63] = n;
	p[0] = a[(n * 3) & 63];
	return deep(n + 1, a) + a[5];
}

extern "C" __global__ void overflow(int *out)
{
	out[0] = deep(0, out);
}

extern "C" __global__ void half_barrier(void)
{
	if (threadIdx.x < 32)
		asm volatile("bar.sync 3, 96;");
}
