/* SPDX-License-Identifier: MIT */
/* Times, percentiles, sizes and bytes for the benchmarks. */
#ifndef VGPU_BENCH_STATS_H
#define VGPU_BENCH_STATS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static inline int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorts @v. @percent: 50 is the median. */
static inline uint64_t percentile(uint64_t *v, size_t n, unsigned percent)
{
	qsort(v, n, sizeof(*v), compare_u64);
	return v[(n - 1) * percent / 100];
}

/* The middle one of three measurements: one may meet a busy machine. */
static inline double median3(double a, double b, double c)
{
	double low = a < b ? a : b, high = a < b ? b : a;

	return c < low ? low : c > high ? high : c;
}

/* What no compression makes shorter. */
static inline void fill_random(uint8_t *p, size_t n)
{
	uint64_t x = 88172645463325252ull;

	for (size_t i = 0; i + 8 <= n; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(p + i, &x, 8);
	}
}

/* Sizes of copies: 4 KiB, 16 KiB, ... up to the largest, 256 MiB by default. */
#define COPY_MIN	(4ul << 10)
#define COPY_LARGEST	(256ul << 20)
#define COPY_STEP	4

/* The largest size, a number of bytes given as @text; 0 if that is none of ours. */
static inline size_t copy_largest(const char *text)
{
	size_t size = COPY_MIN, wanted = text ? strtoul(text, NULL, 10) : COPY_LARGEST;

	while (size < wanted && size < COPY_LARGEST)
		size *= COPY_STEP;
	return size == wanted ? size : 0;
}

/* How often a copy of @size is repeated: 4 to 2,000 times, and so many bytes if it can be. */
static inline unsigned copy_repeats(size_t size, size_t largest)
{
	size_t n = largest / size;

	return n < 4 ? 4 : n > 2000 ? 2000 : n;
}

#endif /* VGPU_BENCH_STATS_H */
