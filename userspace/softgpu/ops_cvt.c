// SPDX-License-Identifier: MIT
/* Conversions: common ones as loops of their own, the rest lane by lane. */
#include "softgpu/fp.h"
#include "softgpu/ops.h"

#include <limits.h>
#include <math.h>

typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;

OP1(cvt_s64_s32, s64, s32, a[i])
OP1(cvt_u64_u32, u64, u32, a[i])
OP1(cvt_32_64, u32, u64, (u32)a[i])
OP1(cvt_f32_s32, float, s32, (float)a[i])
OP1(cvt_f32_u32, float, u32, (float)a[i])
OP1(cvt_f64_s32, double, s32, a[i])
OP1(cvt_f64_u32, double, u32, a[i])
OP1(cvt_f64_f32, double, float, a[i])
OP1(sext_32, u32, u32, (u32)((s32)(a[i] << in->imm) >> in->imm))

static inline float narrow_f64(double d)
{
	return d != d ? sg_float(SG_NAN_F32) : (float)d;
}

OP1(cvt_f32_f64, float, double, narrow_f64(a[i]))

static inline s32 to_s32(float f)
{
	return f != f ? 0 : f >= 0x1p31f ? INT_MAX : f < -0x1p31f ? INT_MIN : (s32)f;
}

static inline u32 to_u32(float f)
{
	return !(f > 0) ? 0 : f >= 0x1p32f ? UINT_MAX : (u32)(s64)f;
}

OP1(cvt_s32_f32, s32, float, to_s32(a[i]))
OP1(cvt_u32_f32, u32, float, to_u32(a[i]))

/* ---- the general case ---- */

struct value {
	bool	is_float;
	bool	neg;		/* integers: sign and magnitude */
	u64	mag;
	double	d;
};

static struct value load(u64 raw, enum ptx_type t, bool ftz)
{
	unsigned bits = 8 * ptx_type_size(t);
	struct value v = { .is_float = ptx_type_float(t) };
	s64 s;

	switch (t) {
	case PT_F16:
	case PT_BF16:
		v.d = sg_from_half(raw & 0xffff, t == PT_BF16);
		return v;
	case PT_F32:
		v.d = ftz ? sg_flush(sg_float(raw)) : sg_float(raw);
		return v;
	case PT_F64:
		v.d = sg_double(raw);
		return v;
	default:
		break;
	}
	s = (s64)(raw << (64 - bits));
	v.neg = ptx_type_signed(t) && s < 0;
	v.mag = ptx_type_signed(t) ? (u64)(s >> (64 - bits)) : (u64)s >> (64 - bits);
	v.mag = v.neg ? 0 - v.mag : v.mag;
	return v;
}

static double integral(double d, unsigned rm)
{
	switch (rm & 3) {
	case SG_RM_ZERO: return trunc(d);
	case SG_RM_DOWN: return floor(d);
	case SG_RM_UP: return ceil(d);
	default: return nearbyint(d);
	}
}

static u64 max_of(enum ptx_type t)
{
	unsigned bits = 8 * ptx_type_size(t);

	return (~0ull >> (64 - bits)) >> ptx_type_signed(t);
}

/* The nearest value of type @t. */
static u64 clamp_int(bool neg, u64 mag, enum ptx_type t)
{
	u64 max = max_of(t);

	if (!neg)
		return mag > max ? max : mag;
	if (!ptx_type_signed(t))
		return 0;
	return 0 - (mag > max + 1 ? max + 1 : mag);
}

/* NaN gives 0 in the 32-bit world and the highest bit alone in the 64-bit one. */
static u64 float_to_int(double d, enum ptx_type st, enum ptx_type dt, unsigned rm)
{
	unsigned bits = 8 * ptx_type_size(dt);
	double m;

	if (d != d)
		return st == PT_F64 || bits == 64 ? 1ull << (bits - 1) : 0;
	d = integral(d, rm);
	m = fabs(d);
	return clamp_int(d < 0, m >= 0x1p64 ? UINT64_MAX : (u64)m, dt);
}

static u64 sign_extend(u64 v, enum ptx_type t)
{
	unsigned shift = 64 - 8 * ptx_type_size(t);

	return ptx_type_signed(t) ? (u64)((s64)(v << shift) >> shift) : v << shift >> shift;
}

static u64 to_int(const struct sg_insn *in, const struct value *v, enum ptx_type st,
		  enum ptx_type dt)
{
	u64 r;

	if (v->is_float)
		r = float_to_int(v->d, st, dt, in->sub);
	else if (in->flags & SG_F_SAT)
		r = clamp_int(v->neg, v->mag, dt);
	else
		r = v->neg ? 0 - v->mag : v->mag;
	return sign_extend(r, dt);
}

static u64 to_float(const struct sg_insn *in, const struct value *v, enum ptx_type st,
		    enum ptx_type dt)
{
	unsigned rm = in->sub & 3;
	double d = v->d;
	u32 r;

	if (!v->is_float)
		d = sg_from_u64(v->mag, v->neg, rm, dt != PT_F64);
	else if (in->sub & SG_CVT_INTEGRAL)
		d = integral(d, rm);
	if (in->flags & SG_F_SAT)
		d = d > 0 ? d < 1 ? d : 1 : 0;
	if (in->flags & SG_F_RELU)
		d = d < 0 ? 0 : d;
	if (dt == PT_F64)
		return sg_bits64(d);
	if (dt != PT_F32)
		return sg_to_half(d, dt == PT_BF16, rm);
	r = sg_narrow(d, SG_FORMAT_F32, rm);
	return in->flags & SG_F_FTZ ? sg_bits32(sg_flush(sg_float(r))) : r;
}

static u64 convert(const struct sg_insn *in, u64 raw)
{
	enum ptx_type dt = in->imm & 0xff, st = in->imm >> 8 & 0xff;
	struct value v = load(raw, st, in->flags & SG_F_FTZ);

	return ptx_type_float(dt) ? to_float(in, &v, st, dt) : to_int(in, &v, st, dt);
}

HANDLER(cvt)
{
	const u32 *a32 = sg_reg(w, in->opd[SG_A]);
	const u64 *a64 = (const u64 *)a32;
	u64 r[SG_LANES];
	u32 *d = sg_reg(w, in->opd[SG_D]);

	for (unsigned i = 0; i < SG_LANES; i++)
		r[i] = mask >> i & 1 ?
		       convert(in, in->flags & SG_F_A32 ? a32[i] : a64[i]) : 0;
	if (in->flags & SG_F_WIDE)
		sg_store64(w, in->opd[SG_D], mask, r);
	else
		EACH(d, (u32)r[i]);
}

static u32 narrow_half(const struct sg_insn *in, float f)
{
	double d = f;

	if (in->flags & SG_F_SAT)
		d = d > 0 ? d < 1 ? d : 1 : 0;
	if (in->flags & SG_F_RELU && d < 0)
		d = 0;
	return sg_to_half(d, in->flags & SG_F_BF16, in->sub & 3);
}

/* cvt.rn.f16x2.f32 d, a, b: a goes to the upper half */
HANDLER(cvt2)
{
	const float *a = sg_reg(w, in->opd[SG_A]), *b = sg_reg(w, in->opd[SG_B]);
	u32 r[SG_LANES];

	for (unsigned i = 0; i < SG_LANES; i++)
		r[i] = narrow_half(in, a[i]) << 16 | narrow_half(in, b[i]);
	sg_store32(w, in->opd[SG_D], mask, r);
}
