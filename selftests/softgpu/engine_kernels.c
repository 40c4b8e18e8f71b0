// SPDX-License-Identifier: MIT
/* Kernels that nvcc compiled, against what the host computes. */
#include "engine_test.h"

#include <math.h>
#include <unistd.h>

static struct sg_module *kernels(void)
{
	static struct sg_module *mod;
	char *text;

	if (mod)
		return mod;
	text = read_file(ENGINE_PTX "/kernels.ptx");
	if (!text || load_text(text, &mod) != CUDA_SUCCESS) {
		printf("# kernels.ptx: %s\n", text ? test_log : "not there");
		exit(1);
	}
	free(text);
	return mod;
}

#define RUN(name, r, n, ...) do {						\
		struct sg_fault f_;						\
		CUresult res_ = run_kernel(kernels(), name, r, &f_, n, __VA_ARGS__); \
										\
		if (res_ != CUDA_SUCCESS)					\
			printf("# %s: %s\n", name, f_.text);			\
		CHECK_EQ(res_, CUDA_SUCCESS);					\
	} while (0)
#define SHAPE(...)	((struct run){ __VA_ARGS__ })
#define PTR(p)		ARG((uintptr_t)(p))

TEST(vector_add)
{
	enum { N = 10000 };
	float *a = dev_alloc(N * 4), *b = dev_alloc(N * 4), *c = dev_alloc(N * 4);
	int bad = 0;

	for (int i = 0; i < N; i++) {
		a[i] = i * 0.25f;
		b[i] = 1.0f / (i + 1);
	}
	RUN("vector_add", SHAPE(.grid = (N + 127) / 128, .block = 128), 4, PTR(a), PTR(b), PTR(c),
	    ARG(N));
	for (int i = 0; i < N; i++)
		bad += c[i] != a[i] + b[i];
	CHECK_EQ(bad, 0);
	dev_free(a);
	dev_free(b);
	dev_free(c);
}

TEST(matmul)
{
	enum { N = 64 };
	float *a = dev_alloc(N * N * 4), *b = dev_alloc(N * N * 4), *c = dev_alloc(N * N * 4);
	int bad = 0;

	for (int i = 0; i < N * N; i++) {
		a[i] = (i * 7919 % 101) / 10.0f;
		b[i] = (i * 104729 % 97) / 7.0f;
	}
	RUN("matmul", SHAPE(.grid = 16, .block = 256), 4, PTR(a), PTR(b), PTR(c), ARG(N));
	for (int i = 0; i < N; i++) {
		for (int j = 0; j < N; j++) {
			float s = 0;

			for (int k = 0; k < N; k++)
				s = fmaf(a[i * N + k], b[k * N + j], s);
			bad += s != c[i * N + j];
		}
	}
	CHECK_EQ(bad, 0);
	dev_free(a);
	dev_free(b);
	dev_free(c);
}

TEST(reduce_and_histogram)
{
	enum { N = 50000 };
	int *in = dev_alloc(N * 4), *out = dev_alloc(4);
	unsigned *h = dev_alloc(1024), want[256] = { 0 };
	long sum = 0;

	for (int i = 0; i < N; i++) {
		in[i] = i * 2654435761u >> 8;
		sum += in[i];
	}
	RUN("reduce", SHAPE(.grid = 7, .block = 256), 3, PTR(in), PTR(out), ARG(N));
	CHECK_EQ(*out, (int)sum);
	for (int i = 0; i < N; i++)
		want[((unsigned char *)in)[i]]++;
	RUN("histogram", SHAPE(.grid = 5, .block = 256), 3, PTR(in), PTR(h), ARG(N));
	CHECK(!memcmp(h, want, sizeof(want)));
	dev_free(in);
	dev_free(out);
	dev_free(h);
}

TEST(scan)
{
	int *in = dev_alloc(4096), *out = dev_alloc(4096), sum = 0, bad = 0;

	for (int i = 0; i < 1000; i++)
		in[i] = i % 13 - 4;
	RUN("scan", SHAPE(.block = 1000, .shared = 4000), 2, PTR(in), PTR(out));
	for (int i = 0; i < 1000; i++)
		bad += out[i] != (sum += in[i]);
	CHECK_EQ(bad, 0);
	dev_free(in);
	dev_free(out);
}

TEST(nbody)
{
	enum { N = 128 };
	float *p = dev_alloc(N * 16), *acc = dev_alloc(N * 16);
	int bad = 0;

	for (int i = 0; i < 4 * N; i++)
		p[i] = (i * 7919 % 1009) / 1009.0f;
	RUN("nbody", SHAPE(.grid = 2, .block = 64), 3, PTR(p), PTR(acc), ARG(N));
	for (int i = 0; i < N; i++) {
		double ax = 0;

		for (int k = 0; k < N; k++) {
			double dx = p[4 * k] - p[4 * i], dy = p[4 * k + 1] - p[4 * i + 1];
			double dz = p[4 * k + 2] - p[4 * i + 2];
			double r = 1 / sqrt(dx * dx + dy * dy + dz * dz + 1e-2);

			ax += dx * r * r * r * p[4 * k + 3];
		}
		bad += fabs(ax - acc[4 * i]) > 1e-3 * (1 + fabs(ax));
	}
	CHECK_EQ(bad, 0);
	dev_free(p);
	dev_free(acc);
}

TEST(divergence)
{
	unsigned *in = dev_alloc(4096), *out = dev_alloc(4096);
	int bad = 0;

	for (unsigned i = 0; i < 1024; i++)
		in[i] = i * 37 + 1;
	RUN("collatz", SHAPE(.grid = 4, .block = 256), 2, PTR(in), PTR(out));
	for (unsigned i = 0; i < 1024; i++) {
		unsigned n = 0;

		for (unsigned long v = in[i]; v != 1; n++)
			v = v & 1 ? 3 * v + 1 : v / 2;
		bad += n != out[i];
	}
	CHECK_EQ(bad, 0);
	dev_free(in);
	dev_free(out);
}

static int fib(int n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

TEST(calls)
{
	int *out = dev_alloc(1024), bad = 0;
	float *w = dev_alloc(1024);
	static const float weights[] = { 0.5f, -1, 2.25f, 1e10f };
	CUdeviceptr counter;
	size_t size;

	RUN("calls", SHAPE(.block = 50), 1, PTR(out));
	for (int i = 0; i < 50; i++)
		bad += out[i] != fib(i & 15) + i * (i % 5) + i;
	CHECK_EQ(bad, 0);
	RUN("virtuals", SHAPE(.block = 50), 1, PTR(out));
	for (int i = 0; i < 50; i++)
		bad += out[i] != i + (i % 3 == 0 ? 3 : i % 3 == 1 ? 9 : 27);
	CHECK_EQ(bad, 0);
	RUN("pointers", SHAPE(.block = 50), 2, PTR(out), PTR(w));
	for (int i = 0; i < 50; i++) {
		bad += out[i] != (i % 3 == 0 ? i + 1 : i % 3 == 1 ? 2 * i : -i);
		bad += w[i] != weights[i & 3];
	}
	CHECK_EQ(bad, 0);
	REQUIRE(sg_module_global(kernels(), "counter", &counter, &size));
	CHECK_EQ(size, 4);
	CHECK_EQ(*(int *)(uintptr_t)counter, 42);
	dev_free(out);
	dev_free(w);
}

/* What is written to @fd while @kernel runs. */
static CUresult captured(int fd, const char *kernel, int arg, char *text, size_t room)
{
	FILE *to = tmpfile(), *stream = fd == 1 ? stdout : stderr;
	int save = dup(fd);
	ssize_t n;
	CUresult res;

	fflush(stream);
	dup2(fileno(to), fd);
	res = run_kernel(kernels(), kernel, SHAPE(.block = 32), NULL, 1, ARG(arg));
	fflush(stream);
	dup2(save, fd);
	close(save);
	n = pread(fileno(to), text, room - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	fclose(to);
	return res;
}

TEST(printf_and_assert)
{
	char text[4096];

	CHECK_EQ(captured(1, "say", 2, text, sizeof(text)), CUDA_SUCCESS);
	CHECK(!strcmp(text, "0 even  0.00 a 0 0 %|0   |0000\n"
			    "1 odd  0.25 b 10 1099511627776 %|1   |0001\n"));
	CHECK_EQ(captured(2, "check", 32, text, sizeof(text)), CUDA_SUCCESS);
	CHECK_EQ(captured(2, "check", 31, text, sizeof(text)), CUDA_ERROR_ASSERT);
	CHECK(strstr(text, "kernels.cu:"));
	CHECK(strstr(text, ": block: [0,0,0], thread: [31,0,0] Assertion "
			   "`(int)threadIdx.x < limit` failed.\n"));
}

TEST(grid_sync)
{
	enum { N = 16 * 64, ROUNDS = 6 };
	int *a = dev_alloc(N * 4), *b = dev_alloc(N * 4), bad = 0;
	struct sg_fault fault;

	for (int i = 0; i < N; i++)
		a[i] = i;
	RUN("grid_wide", SHAPE(.grid = 16, .block = 64, .cooperative = true), 3, PTR(a), PTR(b),
	    ARG(ROUNDS));
	for (int i = 0; i < N; i++)
		bad += a[i] != (i + ROUNDS) % N + ROUNDS;
	CHECK_EQ(bad, 0);
	CHECK_EQ(run_kernel(kernels(), "grid_wide", SHAPE(.grid = 2, .block = 32), &fault, 3,
			    PTR(a), PTR(b), ARG(1)), CUDA_ERROR_ILLEGAL_INSTRUCTION);
	dev_free(a);
	dev_free(b);
}

TEST(waiting_for_others)
{
	int *lock = dev_alloc(8), *flag = dev_alloc(4 * 200), bad = 0;

	RUN("spin", SHAPE(.grid = 3, .block = 64), 2, PTR(lock), PTR(lock + 1));
	CHECK_EQ(lock[1], 192);
	RUN("chain", SHAPE(.grid = 20, .block = 32), 2, PTR(flag), ARG(20));
	for (int i = 0; i < 20; i++)
		bad += !flag[i];
	CHECK_EQ(bad, 0);
	dev_free(lock);
	dev_free(flag);
}

TEST(atomics)
{
	unsigned *u = dev_alloc(64), x = 0, inc = 0, dec = 3;
	int *s = dev_alloc(64);
	unsigned long long *q = dev_alloc(64);
	float *f = dev_alloc(4);
	double *d = dev_alloc(8);

	u[0] = u[5] = ~0u;
	u[4] = 3;
	RUN("atomics", SHAPE(.block = 100), 5, PTR(s), PTR(u), PTR(q), PTR(f), PTR(d));
	for (unsigned i = 0; i < 100; i++) {
		x ^= i;
		inc = inc >= 9 ? 0 : inc + 1;
		dec = dec == 0 || dec > 9 ? 9 : dec - 1;
	}
	CHECK_EQ(s[0], -99);
	CHECK_EQ(s[1], 99);
	CHECK_EQ(s[2], -4950);
	CHECK_EQ(u[0], 0);
	CHECK_EQ(u[1], ~0u);
	CHECK_EQ(u[2], x);
	CHECK_EQ(u[3], inc);
	CHECK_EQ(u[4], dec);
	CHECK_EQ(u[5], 77);
	CHECK_EQ(u[6], 0x5a405640);	/* 200, 100 */
	CHECK_EQ(u[7], 0x5240);		/* 50 */
	CHECK_EQ(u[8], 5);
	CHECK_EQ(q[0], 4950ull << 32);
	CHECK_EQ(q[1], 9801);
	CHECK(*f == 50);
	CHECK(*d == 25);
	dev_free(u);
	dev_free(s);
	dev_free(q);
	dev_free(f);
	dev_free(d);
}

static unsigned brev(unsigned v)
{
	unsigned r = 0;

	for (int i = 0; i < 32; i++)
		r |= (v >> i & 1) << (31 - i);
	return r;
}

TEST(warp_ops)
{
	unsigned *o = dev_alloc(256 * 4), bad = 0;

	RUN("warp_ops", SHAPE(.block = 32), 1, PTR(o));
	for (unsigned i = 0; i < 32; i++) {
		unsigned perm = (i & 0xff) | 0x04 << 8 | (i >> 8 & 0xff) << 16 | 0x03 << 24;
		unsigned funnel = ~i << 5 | i >> 27;

		bad += o[i] != 0x49249249;
		bad += o[32 + i] != 6;
		bad += o[64 + i] != 0x11111111u << (i % 4);
		bad += o[96 + i] != 0;		/* all ones, and one */
		bad += o[128 + i] != 9 + (i % 8 < 2 ? i : i - 2);
		bad += o[160 + i] != (i % 4 == 3 ? i : i + 1);
		bad += o[192 + i] != (i & 1 ? 31 : 0) + 16;
		bad += o[224 + i] != (brev(i) ^ perm ^ funnel);
	}
	CHECK_EQ(bad, 0);
	RUN("meet", SHAPE(.block = 32), 1, PTR(o));
	for (int i = 0; i < 16; i++) {
		int sum = (99 + i) * (100 + i) / 2;

		CHECK_EQ((int)o[16 + i], sum);
		CHECK_EQ((int)o[i], -(i + 16));
	}
	dev_free(o);
}

static bool near(double got, double want, double ulps, double eps)
{
	return got == want || fabs(got - want) <= ulps * eps * fmax(fabs(want), 1e-30) ||
	       (got != got && want != want);
}

TEST(math_library)
{
	enum { N = 96 };
	float *x = dev_alloc(N * 4), *y = dev_alloc(N * 12 * 4);
	double *dx = dev_alloc(N * 8), *dy = dev_alloc(N * 8 * 8);
	int bad = 0;

	for (int i = 0; i < N; i++)
		dx[i] = x[i] = (i - 48) * 2.375f + i / 64.0f;
	x[3] = 1e6f;		/* a long reduction of the argument */
	RUN("math", SHAPE(.block = N), 4, PTR(x), PTR(y), PTR(dx), PTR(dy));
	for (int i = 0; i < N; i++) {
		double v = x[i], d = dx[i];
		double want[12] = {
			sin(v), exp(x[i] / 100), log((double)(fabsf(x[i]) + 1)),
			pow(fabs(v), 0.7f), x[i] / 3.7f, sqrtf(fabsf(x[i])), fmodf(x[i], 2.5f),
			tanh(x[i] / 50), floorf(x[i]) + rintf(x[i]) + truncf(x[i]),
			v / 7 + exp(v / 100) + sin(v / 50), erf(x[i] / 60) + cbrt(v), atan2(v, 3),
		};
		double wantd[8] = {
			sin(d), exp(d / 100), log(fabs(d) + 1), d / 3.7, sqrt(fabs(d)),
			pow(fabs(d), 1.3), fmod(d, 2.5), tgamma(d / 100 + 2),
		};

		for (int k = 0; k < 12; k++) {
			double ulps = k == 9 ? 64 : k == 4 || k == 5 ? 0 : 8;
			bool ok = near(y[12 * i + k], want[k], ulps, 0x1p-23);

			if (!ok)
				printf("# f32 %d of %g: %.9g, not %.9g\n", k, v, y[12 * i + k],
				       want[k]);
			bad += !ok;
		}
		for (int k = 0; k < 8; k++) {
			bool ok = near(dy[8 * i + k], wantd[k], k == 3 || k == 4 ? 0 : 16, 0x1p-52);

			if (!ok)
				printf("# f64 %d of %g: %.17g, not %.17g\n", k, d, dy[8 * i + k],
				       wantd[k]);
			bad += !ok;
		}
	}
	CHECK_EQ(bad, 0);
	dev_free(x);
	dev_free(y);
	dev_free(dx);
	dev_free(dy);
}

/* XORWOW as curand_init() seeds it for subsequence 0. */
struct xorwow {
	unsigned	v[5], d;
};

static struct xorwow xorwow_seed(unsigned long long seed)
{
	unsigned t0 = 1099087573u * ((unsigned)seed ^ 0xaad26b49u);
	unsigned t1 = 2591861531u * ((unsigned)(seed >> 32) ^ 0xf7dcefddu);

	return (struct xorwow){
		{ 123456789u + t0, 362436069u ^ t0, 521288629u + t1, 88675123u ^ t1,
		  5783321u + t0 },
		6615241u + t1 + t0,
	};
}

static unsigned xorwow_next(struct xorwow *x)
{
	unsigned t = x->v[0] ^ x->v[0] >> 2;

	memmove(x->v, x->v + 1, 4 * sizeof(x->v[0]));
	x->v[4] ^= x->v[4] << 4 ^ t ^ t << 1;
	x->d += 362437;
	return x->v[4] + x->d;
}

TEST(randoms)
{
	struct xorwow x = xorwow_seed(1234);
	unsigned *out = dev_alloc(32 * 16), same = 0;
	float *u = dev_alloc(32 * 4);

	RUN("randoms", SHAPE(.block = 32), 2, PTR(out), PTR(u));
	for (int k = 0; k < 4; k++)
		CHECK_EQ(out[k], xorwow_next(&x));
	for (int i = 1; i < 32; i++)
		same += out[4 * i] == out[0];
	CHECK_EQ(same, 0);
	for (int i = 0; i < 32; i++)
		CHECK(u[i] > 0 && u[i] <= 1);
	dev_free(out);
	dev_free(u);
}

TEST(halves)
{
	float *x = dev_alloc(64), *y = dev_alloc(256);

	for (int i = 0; i < 16; i++)
		x[i] = i * 0.25f;
	RUN("halves", SHAPE(.block = 16), 2, PTR(x), PTR(y));
	for (int i = 0; i < 16; i++) {
		CHECK(y[4 * i] == x[i] + 1.5f);
		CHECK(y[4 * i + 1] == x[i] * x[i] + x[i] + 3.75f);
		CHECK(y[4 * i + 2] == x[i]);
		CHECK(y[4 * i + 3] == (x[i] > 1.5f ? 1 : 2));
	}
	dev_free(x);
	dev_free(y);
}

TEST(barriers)
{
	int *out = dev_alloc(512), bad = 0;

	RUN("named_barriers", SHAPE(.block = 64), 1, PTR(out));
	for (int i = 0; i < 128; i++)
		bad += out[i] != i / 32 * 100 + 31 - i % 32;
	CHECK_EQ(bad, 0);
	RUN("barrier_votes", SHAPE(.block = 100), 1, PTR(out));
	for (int i = 0; i < 60; i++)
		bad += out[i] != 30 + 100 + 1000;
	CHECK_EQ(bad, 0);
	dev_free(out);
}

TEST(local_memory)
{
	int *out = dev_alloc(256), params[64] = { 0 };
	struct sg_function *f = sg_module_function(kernels(), "by_value");
	struct sg_fault fault;
	struct sg_launch l = { .function = f, .grid = { 1, 1, 1 }, .block = { 40, 1, 1 },
			       .params = params };
	double d = 7.5;

	RUN("local_memory", SHAPE(.block = 40), 2, PTR(out), ARG(33));
	for (int t = 0; t < 40; t++) {
		int s = 0;

		for (int k = 0; k < 33; k++)
			s += k * 7 % 40 * t;
		switch (t % 7) {
		case 0: s += 5; break;
		case 1: s *= 3; break;
		case 2: s -= 33 * t; break;
		case 3: s ^= 0x55; break;
		case 4: s = -s; break;
		case 5: s <<= 1; break;
		default: s = 1;
		}
		CHECK_EQ(out[t], s);
	}
	REQUIRE(f);
	for (int i = 0; i < 30; i++)
		params[i] = i * i;
	memcpy(params + 30, &d, 8);
	memcpy(params + 32, &out, 8);
	CHECK_EQ(sg_function_info(f)->nparams, 2);
	CHECK_EQ(sg_function_info(f)->params[1].offset, 128);
	l.param_bytes = sg_function_info(f)->param_bytes;
	CHECK_EQ(sg_launch(&l, &fault), CUDA_SUCCESS);
	for (int i = 0; i < 40; i++)
		CHECK_EQ(out[i], i % 30 * (i % 30) + 7);
	dev_free(out);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
