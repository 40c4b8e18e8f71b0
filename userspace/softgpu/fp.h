/* SPDX-License-Identifier: MIT */
/*
 * Floating point by hand: rounding a double to a smaller format in any mode,
 * and back. For what has no instruction on every x86-64, or where two
 * roundings would be one too many.
 */
#ifndef SOFTGPU_FP_H
#define SOFTGPU_FP_H

#include "softgpu/insn.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SG_NAN_F32	0x7fffffffu	/* what a GPU makes */
#define SG_NAN_HALF	0x7fffu		/* f16 and bf16 alike */

static inline uint64_t sg_bits64(double d)
{
	uint64_t v;

	memcpy(&v, &d, sizeof(v));
	return v;
}

static inline double sg_double(uint64_t v)
{
	double d;

	memcpy(&d, &v, sizeof(d));
	return d;
}

static inline uint32_t sg_bits32(float f)
{
	uint32_t v;

	memcpy(&v, &f, sizeof(v));
	return v;
}

static inline float sg_float(uint32_t v)
{
	float f;

	memcpy(&f, &v, sizeof(f));
	return f;
}

/* Whether @kept, whose lost part is @lost of @half * 2, is rounded away from zero. */
static inline bool sg_round_up(uint64_t kept, uint64_t lost, uint64_t half, bool neg, unsigned rm)
{
	switch (rm) {
	case SG_RM_ZERO:
		return false;
	case SG_RM_DOWN:
		return neg && lost;
	case SG_RM_UP:
		return !neg && lost;
	default:
		return lost > half || (lost == half && kept & 1);
	}
}

/* A binary format with @mant bits of fraction and that exponent bias. */
struct sg_format {
	uint8_t		mant;
	int16_t		bias;
	uint32_t	nan;
};

#define SG_FORMAT_F16	((struct sg_format){ 10, 15, SG_NAN_HALF })
#define SG_FORMAT_BF16	((struct sg_format){ 7, 127, SG_NAN_HALF })
#define SG_FORMAT_F32	((struct sg_format){ 23, 127, SG_NAN_F32 })

static inline uint32_t sg_narrow(double x, struct sg_format f, unsigned rm)
{
	uint64_t v = sg_bits64(x), m = v & ((1ull << 52) - 1), kept, lost;
	unsigned sign_at = f.mant == 10 || f.mant == 7 ? 15 : 31, shift = 52u - f.mant;
	uint32_t sign = (uint32_t)(v >> 63) << sign_at, r;
	int e = (int)(v >> 52 & 0x7ff) - 1023, emin = 1 - f.bias;
	uint32_t inf = (2u * f.bias + 1) << f.mant;

	if (e == 1024)
		return m ? f.nan : sign | inf;
	if (e == -1023 && !m)
		return sign;
	m |= e == -1023 ? 0 : 1ull << 52;	/* subnormal doubles are far below */
	if (e < emin)
		shift += (unsigned)(emin - e);
	if (shift > 62)
		shift = 62;
	kept = m >> shift;
	lost = m & ((1ull << shift) - 1);
	r = (uint32_t)kept + sg_round_up(kept, lost, 1ull << (shift - 1), sign, rm);
	if (e >= emin)
		r += (uint32_t)(e + f.bias - 1) << f.mant;
	if (r >= inf) {		/* too large: infinity, or the largest number */
		bool inward = rm == SG_RM_ZERO || (rm == SG_RM_DOWN && !sign) ||
			      (rm == SG_RM_UP && sign);

		r = inward ? inf - 1 : inf;
	}
	return sign | r;
}

static inline double sg_from_half(uint32_t h, bool bf16)
{
	uint32_t sign = (h & 0x8000) << 16, m = h & 0x3ff, e = h >> 10 & 31;
	double d;

	if (bf16)
		return sg_float(h << 16);
	if (e == 31)
		return sg_float(sign | 0x7f800000 | m << 13);
	if (e)
		return sg_float(sign | (e + 112) << 23 | m << 13);
	d = m * 0x1p-24;
	return sign ? -d : d;
}

static inline uint32_t sg_to_half(double x, bool bf16, unsigned rm)
{
	return sg_narrow(x, bf16 ? SG_FORMAT_BF16 : SG_FORMAT_F16, rm);
}

/*
 * a + b rounded to odd: narrowing it to a much smaller format then rounds as
 * if the sum had been exact.
 */
static inline double sg_add_odd(double a, double b)
{
	double s = a + b, bb = s - a, err = (a - (s - bb)) + (b - bb);
	uint64_t v = sg_bits64(s);

	if (err == 0 || err != err || v & 1)
		return s;
	return sg_double((err > 0) == (s > 0) ? v | 1 : v - 1);
}

/* A magnitude as double. Rounds to odd with @odd, else by @rm. */
static inline double sg_from_u64(uint64_t mag, bool neg, unsigned rm, bool odd)
{
	unsigned shift = mag >> 53 ? 11u - (unsigned)__builtin_clzll(mag) : 0;
	uint64_t kept = mag >> shift, lost = mag & ((1ull << shift) - 1);
	double d;

	if (odd)
		kept |= lost != 0;
	else if (shift)
		kept += sg_round_up(kept, lost, 1ull << (shift - 1), neg, rm);
	d = (double)kept * (double)(1ull << shift);
	return neg ? -d : d;
}

static inline float sg_flush(float f)
{
	uint32_t v = sg_bits32(f);

	return v & 0x7f800000 ? f : sg_float(v & 0x80000000);
}

#endif /* SOFTGPU_FP_H */
