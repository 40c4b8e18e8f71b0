// SPDX-License-Identifier: MIT
// Mathematical functions against the host's, within the errors that the
// programming guide allows; integers and bits exactly; half precision.
#include "check.h"
#include <cuda_fp16.h>
#include <limits.h>
#include <math.h>
#include <string.h>

constexpr int N = 512;

__global__ void functions(const double *x, double *d, float *f)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	double v = x[i];
	float w = (float)v;

	d[0 * N + i] = sqrt(v);
	d[1 * N + i] = exp(-v);
	d[2 * N + i] = log(v);
	d[3 * N + i] = sin(v);
	d[4 * N + i] = pow(v, 1.7);
	d[5 * N + i] = 1 / v;
	f[0 * N + i] = sqrtf(w);
	f[1 * N + i] = expf(-w);
	f[2 * N + i] = logf(w);
	f[3 * N + i] = cosf(w);
	f[4 * N + i] = powf(w, 1.7f);
	f[5 * N + i] = __half2float(__hmul(__float2half(w), __float2half(0.5f)));
}

static void check_functions(void)
{
	static double x[N], d[6 * N];
	static float f[6 * N];
	double *dx, *dd, worst_d = 0, worst_f = 0;
	float *df;

	for (int i = 0; i < N; i++)
		x[i] = 0.01 + i * 0.0371;
	CHECK(cudaMalloc(&dx, sizeof(x)));
	CHECK(cudaMalloc(&dd, sizeof(d)));
	CHECK(cudaMalloc(&df, sizeof(f)));
	CHECK(cudaMemcpy(dx, x, sizeof(x), cudaMemcpyHostToDevice));
	functions<<<N / 128, 128>>>(dx, dd, df);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(d, dd, sizeof(d), cudaMemcpyDeviceToHost));
	CHECK(cudaMemcpy(f, df, sizeof(f), cudaMemcpyDeviceToHost));
	for (int i = 0; i < N; i++) {
		double v = x[i], w = (float)v;
		double exact[] = { sqrt(v), exp(-v), log(v), sin(v), pow(v, 1.7), 1 / v };
		double single[] = { sqrt(w), exp(-w), log(w), cos(w), pow(w, 1.7) };

		for (int k = 0; k < 6; k++)
			worst_d = fmax(worst_d,
				       fabs(d[k * N + i] - exact[k]) / (1e-3 + fabs(exact[k])));
		for (int k = 0; k < 5; k++)
			worst_f = fmax(worst_f,
				       fabs(f[k * N + i] - single[k]) / (1e-1 + fabs(single[k])));
		EXPECT(d[i] == exact[0] && d[5 * N + i] == exact[5] && f[i] == sqrtf((float)v));
		EXPECT(fabs(f[5 * N + i] - w / 2) <= w / 2 * 0x1p-10);
	}
	printf("largest relative errors: double %.2g, float %.2g\n", worst_d, worst_f);
	EXPECT(worst_d < 1e-12 && worst_f < 2e-6);
	CHECK(cudaFree(dx));
	CHECK(cudaFree(dd));
	CHECK(cudaFree(df));
}

struct bits {
	int popc, clz, ffs, brev, perm, divided, rest, shifted, saturated;
	long long wide, high;
	unsigned long long udiv, umod;
};

__global__ void integers(int a, int b, long long c, bits *o)
{
	o->popc = __popc(a);
	o->clz = __clz(b);
	o->ffs = __ffsll(c);
	o->brev = __brev(a);
	o->perm = __byte_perm(a, b, 0x5260);
	o->divided = a / b;
	o->rest = a % b;
	o->shifted = __funnelshift_l(a, b, 13);
	o->saturated = (int)(float)c;
	o->wide = (long long)a * b;
	o->high = __mul64hi(c, c);
	o->udiv = (unsigned long long)c / 1000003;
	o->umod = (unsigned long long)c % 1000003;
}

static void check_integers(void)
{
	int a = (int)0x9e3779b9, b = 0x1234567;
	long long c = 0x7123456789abcde0;
	bits o, *d;

	CHECK(cudaMalloc(&d, sizeof(o)));
	integers<<<1, 1>>>(a, b, c, d);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(&o, d, sizeof(o), cudaMemcpyDeviceToHost));
	CHECK(cudaFree(d));
	EXPECT(o.popc == __builtin_popcount(a) && o.clz == __builtin_clz(b));
	EXPECT(o.ffs == __builtin_ffsll(c) && (unsigned)o.brev == 0x9d9eec79u);
	EXPECT((unsigned)o.perm == 0x453723b9u);
	EXPECT(o.divided == a / b && o.rest == a % b && o.wide == (long long)a * b);
	EXPECT((unsigned)o.shifted == ((unsigned)b << 13 | (unsigned)a >> 19));
	EXPECT(o.saturated == INT_MAX);
	EXPECT(o.high == (long long)(((__int128)c * c) >> 64));
	EXPECT(o.udiv == (unsigned long long)c / 1000003 &&
	       o.umod == (unsigned long long)c % 1000003);
	printf("integers and bits are exact\n");
}

int main(void)
{
	check_functions();
	check_integers();
	return pass();
}
