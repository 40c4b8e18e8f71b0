// SPDX-License-Identifier: MIT
/*
 * Floating point. The plain forms of add, sub, mul and fma have handlers of
 * their own; all others (.ftz, .sat, directed rounding, rcp, sqrt, ...) go
 * through one handler a type, which works on copies of its operands.
 *
 * This file is compiled without contraction, and directed rounding sets the
 * mode of the processor around a function that is not inlined, so that no
 * operation can move out of it.
 */
#include "softgpu/fp.h"
#include "softgpu/ops.h"

#include <math.h>

typedef uint32_t u32;
typedef uint64_t u64;

/* ---- rounding mode of the processor ---- */

#define MXCSR_RC	(3u << 13)

static inline u32 get_mxcsr(void)
{
	u32 v;

	__asm__ volatile("stmxcsr %0" : "=m"(v));
	return v;
}

static inline void set_mxcsr(u32 v)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(v) : "memory");
}

static u32 enter_rounding(unsigned rm)
{
	static const u32 rc[] = { 0, 3u << 13, 1u << 13, 2u << 13 };
	u32 old = get_mxcsr();

	set_mxcsr((old & ~MXCSR_RC) | rc[rm]);
	return old;
}

/* ---- f32 ---- */

static inline float canon(float f)
{
	return f != f ? sg_float(SG_NAN_F32) : f;
}

OP2(add_f32, float, float, canon(a[i] + b[i]))
OP2(sub_f32, float, float, canon(a[i] - b[i]))
OP2(mul_f32, float, float, canon(a[i] * b[i]))
OP3(fma_f32, float, float, canon(__builtin_fmaf(a[i], b[i], c[i])))
OP2(add_f64, double, double, a[i] + b[i])
OP2(sub_f64, double, double, a[i] - b[i])
OP2(mul_f64, double, double, a[i] * b[i])
OP3(fma_f64, double, double, __builtin_fma(a[i], b[i], c[i]))

/* -0 is below +0; a NaN loses against a number unless @nan. */
#define MINMAX(T, name, is_min)							\
	static inline T name(T a, T b, bool nan)				\
	{									\
		if (a != a || b != b)						\
			return nan || (a != a && b != b) ? a + b : a != a ? b : a; \
		if (a == b)							\
			return (is_min) == !!signbit(a) ? a : b;		\
		return (a < b) == (is_min) ? a : b;				\
	}
MINMAX(float, min32, true)
MINMAX(float, max32, false)
MINMAX(double, min64, true)
MINMAX(double, max64, false)

static inline float signed_like(float magnitude, u32 sign)
{
	return sg_float((sg_bits32(magnitude) & 0x7fffffff) | (sign & 0x80000000));
}

static inline float minmax_f32(float a, float b, u32 flags, bool is_min)
{
	bool nan = flags & SG_F_NAN;
	u32 sign = sg_bits32(a) ^ sg_bits32(b);
	float r;

	if (!(flags & SG_F_XORSIGN))
		return is_min ? min32(a, b, nan) : max32(a, b, nan);
	r = is_min ? min32(fabsf(a), fabsf(b), nan) : max32(fabsf(a), fabsf(b), nan);
	return r != r ? r : signed_like(r, sign);
}

/* Approximations: done in double, so that rounding is the only error. */
static inline float lane_f32(unsigned fx, float a, float b, u32 flags)
{
	switch (fx) {
	case SG_FX_MIN: return minmax_f32(a, b, flags, true);
	case SG_FX_MAX: return minmax_f32(a, b, flags, false);
	case SG_FX_EX2: return (float)exp2(a);
	case SG_FX_LG2: return (float)log2(a);
	case SG_FX_SIN: return (float)sin(a);
	case SG_FX_COS: return (float)cos(a);
	default: return (float)tanh(a);
	}
}

#define IN_LANES(expr)	LANES d[i] = (expr); break

__attribute__((noinline))
static void lanes_f32(unsigned fx, u32 flags, float *d, const float *a, const float *b,
		      const float *c)
{
	switch (fx) {
	case SG_FX_ADD: IN_LANES(a[i] + b[i]);
	case SG_FX_SUB: IN_LANES(a[i] - b[i]);
	case SG_FX_MUL: IN_LANES(a[i] * b[i]);
	case SG_FX_FMA: IN_LANES(__builtin_fmaf(a[i], b[i], c[i]));
	case SG_FX_DIV: IN_LANES(a[i] / b[i]);
	case SG_FX_RCP: IN_LANES(1.0f / a[i]);
	case SG_FX_SQRT: IN_LANES(__builtin_sqrtf(a[i]));
	case SG_FX_RSQRT: IN_LANES((float)(1.0 / __builtin_sqrt((double)a[i])));
	case SG_FX_ABS: IN_LANES(sg_float(sg_bits32(a[i]) & 0x7fffffff));
	case SG_FX_NEG: IN_LANES(sg_float(sg_bits32(a[i]) ^ 0x80000000));
	case SG_FX_COPYSIGN: IN_LANES(signed_like(b[i], sg_bits32(a[i])));
	default:
		for (unsigned i = 0; i < SG_LANES; i++)
			d[i] = lane_f32(fx, a[i], b[i], flags);
	}
}

static inline float clamp01(float f)
{
	return f > 0 ? f < 1 ? f : 1 : 0;	/* NaN becomes +0 */
}

static bool keeps_nan(unsigned fx)
{
	return fx == SG_FX_ABS || fx == SG_FX_NEG || fx == SG_FX_COPYSIGN;
}

static void finish_f32(struct sg_warp *w, const struct sg_insn *in, u32 mask, float *r)
{
	float *d = sg_reg(w, in->opd[SG_D]);

	if (!keeps_nan(in->sub))
		LANES r[i] = canon(r[i]);
	if (in->flags & SG_F_FTZ)
		LANES r[i] = sg_flush(r[i]);
	if (in->flags & SG_F_SAT)
		LANES r[i] = clamp01(r[i]);
	EACH(d, r[i]);
}

HANDLER(f32x)
{
	const float *a = sg_reg(w, in->opd[SG_A]), *b = sg_reg(w, in->opd[SG_B]);
	const float *c = sg_reg(w, in->opd[SG_C]);
	float fa[SG_LANES], fb[SG_LANES], fc[SG_LANES], r[SG_LANES];
	unsigned rm = (in->flags & SG_F_ROUND) >> 2;
	u32 old;

	if (in->flags & SG_F_FTZ) {
		LANES fa[i] = sg_flush(a[i]);
		LANES fb[i] = sg_flush(b[i]);
		LANES fc[i] = sg_flush(c[i]);
		a = fa;
		b = fb;
		c = fc;
	}
	if (rm) {
		old = enter_rounding(rm);
		lanes_f32(in->sub, in->flags, r, a, b, c);
		set_mxcsr(old);
	} else {
		lanes_f32(in->sub, in->flags, r, a, b, c);
	}
	finish_f32(w, in, mask, r);
}

/* ---- f64 ---- */

/* The hardware's first guess: the upper half of the result, without subnormals. */
static inline double upper_half(double x, bool root)
{
	u64 v = sg_bits64(x);
	double r;

	if (!(v & 0x7ff0000000000000))
		v &= 1ull << 63;
	r = root ? 1.0 / __builtin_sqrt(sg_double(v)) : 1.0 / sg_double(v);
	v = sg_bits64(r);
	if (r != r)
		return sg_double(0x7fffffff00000000);
	if (!(v & 0x7ff0000000000000))
		v &= 1ull << 63;
	return sg_double(v & 0xffffffff00000000);
}

static inline double lane_f64(unsigned fx, double a, double b)
{
	switch (fx) {
	case SG_FX_MIN: return min64(a, b, false);
	case SG_FX_MAX: return max64(a, b, false);
	case SG_FX_RCP64H: return upper_half(a, false);
	case SG_FX_RSQRT64H: return upper_half(a, true);
	case SG_FX_COPYSIGN: return copysign(b, a);
	case SG_FX_EX2: return exp2(a);
	case SG_FX_LG2: return log2(a);
	case SG_FX_SIN: return sin(a);
	case SG_FX_COS: return cos(a);
	default: return tanh(a);
	}
}

__attribute__((noinline))
static void lanes_f64(unsigned fx, double *d, const double *a, const double *b, const double *c)
{
	switch (fx) {
	case SG_FX_ADD: IN_LANES(a[i] + b[i]);
	case SG_FX_SUB: IN_LANES(a[i] - b[i]);
	case SG_FX_MUL: IN_LANES(a[i] * b[i]);
	case SG_FX_FMA: IN_LANES(__builtin_fma(a[i], b[i], c[i]));
	case SG_FX_DIV: IN_LANES(a[i] / b[i]);
	case SG_FX_RCP: IN_LANES(1.0 / a[i]);
	case SG_FX_SQRT: IN_LANES(__builtin_sqrt(a[i]));
	case SG_FX_RSQRT: IN_LANES(1.0 / __builtin_sqrt(a[i]));
	case SG_FX_ABS: IN_LANES(sg_double(sg_bits64(a[i]) & ~(1ull << 63)));
	case SG_FX_NEG: IN_LANES(sg_double(sg_bits64(a[i]) ^ 1ull << 63));
	default:
		for (unsigned i = 0; i < SG_LANES; i++)
			d[i] = lane_f64(fx, a[i], b[i]);
	}
}

HANDLER(f64x)
{
	const double *a = sg_reg(w, in->opd[SG_A]), *b = sg_reg(w, in->opd[SG_B]);
	const double *c = sg_reg(w, in->opd[SG_C]);
	double *d = sg_reg(w, in->opd[SG_D]), r[SG_LANES];
	unsigned rm = (in->flags & SG_F_ROUND) >> 2;
	u32 old;

	if (rm) {
		old = enter_rounding(rm);
		lanes_f64(in->sub, r, a, b, c);
		set_mxcsr(old);
	} else {
		lanes_f64(in->sub, r, a, b, c);
	}
	EACH(d, r[i]);
}

/* ---- f16, bf16 ---- */

static inline u32 flush_half(u32 h, bool bf16)
{
	u32 exponent = bf16 ? 0x7f80 : 0x7c00;

	return h & exponent ? h : h & 0x8000;
}

static double half_value(unsigned fx, u32 ha, double a, double b, double c, u32 flags)
{
	switch (fx) {
	case SG_FX_ADD: return sg_add_odd(a, b);
	case SG_FX_SUB: return sg_add_odd(a, -b);
	case SG_FX_MUL: return a * b;
	case SG_FX_FMA: return isfinite(a * b) && isfinite(c) ? sg_add_odd(a * b, c) : a * b + c;
	case SG_FX_MIN: return minmax_f32((float)a, (float)b, flags, true);
	case SG_FX_MAX: return minmax_f32((float)a, (float)b, flags, false);
	case SG_FX_EX2: return exp2(a);
	case SG_FX_TANH: return tanh(a);
	case SG_FX_RCP: return 1 / a;
	case SG_FX_SQRT: return sqrt(a);
	case SG_FX_RSQRT: return 1 / sqrt(a);
	case SG_FX_LG2: return log2(a);
	case SG_FX_SIN: return sin(a);
	default: return cos(a);
	}
}

static u32 half_lane(const struct sg_insn *in, u32 a, u32 b, u32 c)
{
	bool bf16 = in->flags & SG_F_BF16;
	double r;
	u32 h;

	if (in->flags & SG_F_FTZ) {
		a = flush_half(a, bf16);
		b = flush_half(b, bf16);
		c = flush_half(c, bf16);
	}
	if (in->sub == SG_FX_ABS)
		return a & 0x7fff;
	if (in->sub == SG_FX_NEG)
		return a ^ 0x8000;
	r = half_value(in->sub, a, sg_from_half(a, bf16), sg_from_half(b, bf16),
		       sg_from_half(c, bf16), in->flags);
	if (in->flags & SG_F_SAT)
		r = r > 0 ? r < 1 ? r : 1 : 0;
	if (in->flags & SG_F_RELU && r < 0)
		r = 0;
	h = sg_to_half(r, bf16, (in->flags & SG_F_ROUND) >> 2);
	return in->flags & SG_F_FTZ ? flush_half(h, bf16) : h;
}

HANDLER(half)
{
	const u32 *a = sg_reg(w, in->opd[SG_A]), *b = sg_reg(w, in->opd[SG_B]);
	const u32 *c = sg_reg(w, in->opd[SG_C]);
	u32 r[SG_LANES];

	for (unsigned i = 0; i < SG_LANES; i++)
		r[i] = half_lane(in, a[i] & 0xffff, b[i] & 0xffff, c[i] & 0xffff);
	sg_store32(w, in->opd[SG_D], mask, r);
}

HANDLER(half2)
{
	const u32 *a = sg_reg(w, in->opd[SG_A]), *b = sg_reg(w, in->opd[SG_B]);
	const u32 *c = sg_reg(w, in->opd[SG_C]);
	u32 r[SG_LANES];

	for (unsigned i = 0; i < SG_LANES; i++)
		r[i] = half_lane(in, a[i] & 0xffff, b[i] & 0xffff, c[i] & 0xffff) |
		       half_lane(in, a[i] >> 16, b[i] >> 16, c[i] >> 16) << 16;
	sg_store32(w, in->opd[SG_D], mask, r);
}

/* ---- comparison ---- */

static inline u32 from_table(u32 flags, u32 less, u32 equal, u32 greater)
{
	u32 table = (flags & SG_F_CMP) >> 8;

	return (table & SG_TT_LT ? less : 0) | (table & SG_TT_EQ ? equal : 0) |
	       (table & SG_TT_GT ? greater : 0) |
	       (table & SG_TT_UN ? ~(less | equal | greater) : 0);
}

/*
 * The lanes whose comparison the table says is true. Half of the tables are
 * complements of the other half: those that are true of NaN.
 */
#define BITS(cond)	LANES bits |= (cond) ? 1u << i : 0; break

#define COMPARE(name, T)							\
	static u32 name(const T *a, const T *b, u32 table)			\
	{									\
		u32 flip = table & SG_TT_UN ? SG_ALL : 0, bits = 0;		\
										\
		switch (flip ? table ^ 15 : table) {				\
		case SG_TT_LT: BITS(a[i] < b[i]);				\
		case SG_TT_GT: BITS(a[i] > b[i]);				\
		case SG_TT_EQ: BITS(a[i] == b[i]);				\
		case SG_TT_LT | SG_TT_EQ: BITS(a[i] <= b[i]);			\
		case SG_TT_GT | SG_TT_EQ: BITS(a[i] >= b[i]);			\
		case SG_TT_LT | SG_TT_GT: BITS((a[i] < b[i]) | (a[i] > b[i]));	\
		case SG_TT_LT | SG_TT_GT | SG_TT_EQ:				\
			BITS((a[i] == a[i]) & (b[i] == b[i]));			\
		}								\
		return bits ^ flip;						\
	}
COMPARE(compare_f32, float)
COMPARE(compare_f64, double)

HANDLER(setp_f32)
{
	const float *a = sg_reg(w, in->opd[SG_A]), *b = sg_reg(w, in->opd[SG_B]);
	float fa[SG_LANES], fb[SG_LANES];

	if (in->flags & SG_F_FTZ) {
		LANES fa[i] = sg_flush(a[i]);
		LANES fb[i] = sg_flush(b[i]);
		a = fa;
		b = fb;
	}
	sg_finish_setp(w, in, mask, compare_f32(a, b, (in->flags & SG_F_CMP) >> 8));
}

HANDLER(setp_f64)
{
	const double *a = sg_reg(w, in->opd[SG_A]), *b = sg_reg(w, in->opd[SG_B]);

	sg_finish_setp(w, in, mask, compare_f64(a, b, (in->flags & SG_F_CMP) >> 8));
}

static u32 compare_halves(const struct sg_insn *in, const u32 *a, const u32 *b, unsigned shift)
{
	bool bf16 = in->flags & SG_F_BF16, ftz = in->flags & SG_F_FTZ;
	u32 less = 0, equal = 0, greater = 0;

	for (unsigned i = 0; i < SG_LANES; i++) {
		u32 x = a[i] >> shift & 0xffff, y = b[i] >> shift & 0xffff;
		double dx = sg_from_half(ftz ? flush_half(x, bf16) : x, bf16);
		double dy = sg_from_half(ftz ? flush_half(y, bf16) : y, bf16);

		less |= (u32)(dx < dy) << i;
		equal |= (u32)(dx == dy) << i;
		greater |= (u32)(dx > dy) << i;
	}
	return from_table(in->flags, less, equal, greater);
}

HANDLER(setp_half)
{
	sg_finish_setp(w, in, mask,
		       compare_halves(in, sg_reg(w, in->opd[SG_A]), sg_reg(w, in->opd[SG_B]), 0));
}

/* Here the second predicate is that of the upper halves. */
HANDLER(setp_half2)
{
	const u32 *a = sg_reg(w, in->opd[SG_A]), *b = sg_reg(w, in->opd[SG_B]);
	u32 lo = compare_halves(in, a, b, 0), hi = compare_halves(in, a, b, 16);
	u32 how = (in->flags & SG_F_BOOL) >> 12, c = 0;

	if (how) {
		c = sg_pred(w, in->opd[SG_C]);
		c = in->flags & SG_F_NEG_C ? ~c : c;
	}
	sg_set_pred(w, in->opd[SG_D], mask, sg_combine(lo, c, how));
	sg_set_pred(w, in->opd[SG_D2], mask, sg_combine(hi, c, how));
}

static bool has_property(double x, bool subnormal, unsigned which)
{
	switch (which) {
	case SG_TESTP_FINITE: return isfinite(x);
	case SG_TESTP_INFINITE: return isinf(x);
	case SG_TESTP_NUMBER: return x == x;
	case SG_TESTP_NAN: return x != x;
	case SG_TESTP_NORMAL: return isfinite(x) && !subnormal && x != 0;
	default: return subnormal;
	}
}

HANDLER(testp_f32)
{
	const float *a = sg_reg(w, in->opd[SG_A]);
	u32 bits = 0;

	for (unsigned i = 0; i < SG_LANES; i++)
		bits |= (u32)has_property(a[i], fpclassify(a[i]) == FP_SUBNORMAL, in->sub) << i;
	sg_set_pred(w, in->opd[SG_D], mask, bits);
}

HANDLER(testp_f64)
{
	const double *a = sg_reg(w, in->opd[SG_A]);
	u32 bits = 0;

	for (unsigned i = 0; i < SG_LANES; i++)
		bits |= (u32)has_property(a[i], fpclassify(a[i]) == FP_SUBNORMAL, in->sub) << i;
	sg_set_pred(w, in->opd[SG_D], mask, bits);
}
