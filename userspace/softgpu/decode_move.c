// SPDX-License-Identifier: MIT
/* Decoders of moves, conversions, comparisons and selections. */
#include "softgpu/decode.h"

#include <string.h>

static void emit_mov(struct sg_parser *p, const struct ptx_insn *pi, sg_opd d, sg_opd s,
		     enum sg_reg_class class)
{
	static const uint16_t ops[] = { [RC_PRED] = SG_OP_mov_p, [RC_32] = SG_OP_mov_32,
					[RC_64] = SG_OP_mov_64 };
	struct sg_insn *in = sg_emit(p, pi, ops[class], SG_K_ALU);

	in->opd[SG_D] = d;
	in->opd[SG_A] = s;
}

static enum ptx_type bits_of_size(unsigned size)
{
	return size == 2 ? PT_B16 : size == 4 ? PT_B32 : size == 8 ? PT_B64 : PT_NONE;
}

static unsigned pack_op(struct sg_parser *p, const struct ptx_insn *pi, unsigned n, enum ptx_type t,
			bool unpack)
{
	if (n == 2 && ptx_type_size(t) == 4)
		return unpack ? SG_OP_unpack_2x16 : SG_OP_pack_2x16;
	if (n == 2 && ptx_type_size(t) == 8)
		return unpack ? SG_OP_unpack_2x32 : SG_OP_pack_2x32;
	if (n == 4 && ptx_type_size(t) == 8)
		return unpack ? SG_OP_unpack_4x16 : SG_OP_pack_4x16;
	sg_parse_fail(p, "'%.40s': wrong vector", pi->text);
}

static void decode_pack(struct sg_parser *p, const struct ptx_insn *pi, enum ptx_type t)
{
	const struct ptx_opd *v = &pi->opd[1];
	unsigned op = pack_op(p, pi, v->count, t, false);
	enum ptx_type part = bits_of_size(ptx_type_size(t) / v->count);
	sg_opd d = sg_dst(p, pi, 0, sg_type_class(t)), o[4];
	struct sg_insn *in;

	for (unsigned i = 0; i < v->count; i++)
		o[i] = sg_src_opd(p, pi, &v->sub[i], part);
	in = sg_emit(p, pi, op, SG_K_ALU);
	in->opd[SG_D] = d;
	for (unsigned i = 0; i < v->count; i++)
		in->opd[SG_V + i] = o[i];
}

static void decode_unpack(struct sg_parser *p, const struct ptx_insn *pi, enum ptx_type t)
{
	const struct ptx_opd *v = &pi->opd[0];
	unsigned op = pack_op(p, pi, v->count, t, true);
	sg_opd a = sg_src(p, pi, 1, t), o[4] = { 0 };
	struct sg_insn *in;

	for (unsigned i = 0; i < v->count; i++) {
		if (v->sub[i].kind == PO_SINK)
			continue;
		if (v->sub[i].kind != PO_REG || sg_build_class(p, v->sub[i].reg) != RC_32)
			sg_parse_fail(p, "'%.40s': wrong vector", pi->text);
		o[i] = v->sub[i].reg << 1;
	}
	in = sg_emit(p, pi, op, SG_K_ALU);
	in->opd[SG_A] = a;
	in->flags |= SG_F_VWRITE;
	for (unsigned i = 0; i < v->count; i++)
		in->opd[SG_V + i] = o[i];
}

void sg_decode_mov(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	bool neg;
	sg_opd d, s;

	sg_need_opds(p, pi, 2, 2);
	if (ptx_type_size(t) > 8 || t == PT_OTHER) {
		sg_emit_unsupported(p, pi);
	} else if (pi->opd[0].kind == PO_VEC) {
		decode_unpack(p, pi, t);
	} else if (pi->opd[1].kind == PO_VEC) {
		decode_pack(p, pi, t);
	} else if (t == PT_PRED) {
		d = sg_dst(p, pi, 0, RC_PRED);
		s = sg_src_pred(p, pi, 1, &neg);
		emit_mov(p, pi, d, s, RC_PRED);
	} else {
		d = sg_dst(p, pi, 0, sg_type_class(t));
		s = sg_src(p, pi, 1, t);
		emit_mov(p, pi, d, s, sg_type_class(t));
	}
}

static uint64_t window_of(const struct ptx_insn *pi)
{
	if (ptx_has(pi, PM_SHARED))
		return SG_WINDOW_SHARED;
	if (ptx_has(pi, PM_LOCAL))
		return SG_WINDOW_LOCAL;
	if (ptx_has(pi, PM_PARAM))
		return SG_WINDOW_PARAM;
	return 0;
}

void sg_decode_cvta(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	uint64_t window = window_of(pi);
	struct sg_insn *in;
	sg_opd d, a, k;

	sg_need_opds(p, pi, 2, 2);
	if (ptx_type_size(t) != 8)
		sg_parse_fail(p, "'%.40s': only 64-bit addresses are supported", pi->text);
	d = sg_dst(p, pi, 0, RC_64);
	a = sg_src(p, pi, 1, t);
	if (!window) {
		emit_mov(p, pi, d, a, RC_64);
		return;
	}
	k = sg_build_const(p, ptx_has(pi, PM_TO) ? -window : window, true);
	in = sg_emit(p, pi, SG_OP_add_64, SG_K_ALU);
	in->opd[SG_D] = d;
	in->opd[SG_A] = a;
	in->opd[SG_B] = k;
}

/* ---- conversions ---- */

static unsigned cvt_rounding(const struct ptx_insn *pi)
{
	static const uint8_t mods[][2] = {
		{ PM_RN, SG_RM_NEAREST }, { PM_RZ, SG_RM_ZERO }, { PM_RM, SG_RM_DOWN },
		{ PM_RP, SG_RM_UP },
		{ PM_RNI, SG_CVT_INTEGRAL | SG_RM_NEAREST },
		{ PM_RZI, SG_CVT_INTEGRAL | SG_RM_ZERO },
		{ PM_RMI, SG_CVT_INTEGRAL | SG_RM_DOWN },
		{ PM_RPI, SG_CVT_INTEGRAL | SG_RM_UP },
	};

	for (size_t i = 0; i < sizeof(mods) / sizeof(*mods); i++)
		if (ptx_has(pi, mods[i][0]))
			return mods[i][1];
	return SG_RM_NEAREST;
}

static enum ptx_type plain(enum ptx_type t)
{
	switch (t) {
	case PT_B8: return PT_U8;
	case PT_B16: return PT_U16;
	case PT_B32: return PT_U32;
	case PT_B64: return PT_U64;
	default: return t;
	}
}

/* The common conversions have operations of their own. */
static unsigned fast_cvt(enum ptx_type d, enum ptx_type s, unsigned rnd)
{
	static const struct { uint8_t d, s, rnd; uint16_t op; } fast[] = {
		{ PT_S64, PT_S32, 0, SG_OP_cvt_s64_s32 }, { PT_U64, PT_S32, 0, SG_OP_cvt_s64_s32 },
		{ PT_U64, PT_U32, 0, SG_OP_cvt_u64_u32 }, { PT_S64, PT_U32, 0, SG_OP_cvt_u64_u32 },
		{ PT_U32, PT_U64, 0, SG_OP_cvt_32_64 }, { PT_U32, PT_S64, 0, SG_OP_cvt_32_64 },
		{ PT_S32, PT_U64, 0, SG_OP_cvt_32_64 }, { PT_S32, PT_S64, 0, SG_OP_cvt_32_64 },
		{ PT_U16, PT_U32, 0, SG_OP_mov_32 }, { PT_U16, PT_S32, 0, SG_OP_mov_32 },
		{ PT_S16, PT_U32, 0, SG_OP_mov_32 }, { PT_S16, PT_S32, 0, SG_OP_mov_32 },
		{ PT_F32, PT_S32, 0, SG_OP_cvt_f32_s32 }, { PT_F32, PT_U32, 0, SG_OP_cvt_f32_u32 },
		{ PT_F64, PT_S32, 0, SG_OP_cvt_f64_s32 }, { PT_F64, PT_U32, 0, SG_OP_cvt_f64_u32 },
		{ PT_F64, PT_F32, 0, SG_OP_cvt_f64_f32 }, { PT_F32, PT_F64, 0, SG_OP_cvt_f32_f64 },
		{ PT_S32, PT_F32, SG_CVT_INTEGRAL | SG_RM_ZERO, SG_OP_cvt_s32_f32 },
		{ PT_U32, PT_F32, SG_CVT_INTEGRAL | SG_RM_ZERO, SG_OP_cvt_u32_f32 },
	};

	for (size_t i = 0; i < sizeof(fast) / sizeof(*fast); i++)
		if (fast[i].d == d && fast[i].s == s && fast[i].rnd == rnd)
			return fast[i].op;
	return SG_OP_cvt;
}

static enum sg_reg_class cvt_class(struct sg_parser *p, const struct ptx_insn *pi, unsigned i,
				   enum ptx_type t)
{
	enum sg_reg_class class;

	if (pi->opd[i].kind != PO_REG)
		return sg_type_class(t);
	class = sg_build_class(p, pi->opd[i].reg);
	if (class == RC_PRED || (class == RC_32 && ptx_type_size(t) == 8))
		sg_parse_fail(p, "'%.40s': operand of another size", pi->text);
	return class;
}

/* cvt.rn.f16x2.f32 d, a, b */
static void decode_cvt2(struct sg_parser *p, const struct ptx_insn *pi, enum ptx_type t)
{
	sg_opd d, a, b;
	struct sg_insn *in;

	sg_need_opds(p, pi, 3, 3);
	d = sg_dst(p, pi, 0, RC_32);
	a = sg_src(p, pi, 1, PT_F32);
	b = sg_src(p, pi, 2, PT_F32);
	in = sg_emit(p, pi, SG_OP_cvt2, SG_K_ALU);
	in->opd[SG_D] = d;
	in->opd[SG_A] = a;
	in->opd[SG_B] = b;
	in->sub = cvt_rounding(pi);
	in->flags |= sg_float_flags(pi) & ~SG_F_ROUND;
	in->flags |= t == PT_BF16X2 ? SG_F_BF16 : 0;
}

void sg_decode_cvt(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type dt = plain(sg_need_type(p, pi, 0)), st = plain(sg_need_type(p, pi, 1));
	enum sg_reg_class dc, sc;
	uint32_t flags = sg_float_flags(pi) & ~SG_F_ROUND;
	unsigned rnd = cvt_rounding(pi), op = SG_OP_cvt;
	struct sg_insn *in;
	sg_opd d, a;

	if (pi->ntypes == 2 && (dt == PT_F16X2 || dt == PT_BF16X2) && st == PT_F32) {
		decode_cvt2(p, pi, dt);
		return;
	}
	if (pi->ntypes != 2 || dt == PT_OTHER || st == PT_OTHER || dt == PT_PRED ||
	    st == PT_PRED || dt == PT_F16X2 || st == PT_F16X2 || dt == PT_BF16X2 ||
	    st == PT_BF16X2 || ptx_type_size(dt) > 8 || ptx_type_size(st) > 8) {
		sg_emit_unsupported(p, pi);
		return;
	}
	sg_need_opds(p, pi, 2, 2);
	dc = cvt_class(p, pi, 0, dt);
	sc = cvt_class(p, pi, 1, st);
	d = sg_dst(p, pi, 0, dc);
	a = sg_src(p, pi, 1, sc == RC_64 ? PT_B64 : PT_B32);
	if (pi->opd[1].kind != PO_REG)
		a = sg_src(p, pi, 1, st);
	if (!flags && dc == sg_type_class(dt) && sc == sg_type_class(st))
		op = fast_cvt(dt, st, rnd);
	in = sg_emit(p, pi, op, SG_K_ALU);
	in->opd[SG_D] = d;
	in->opd[SG_A] = a;
	in->sub = rnd;
	in->imm = dt | st << 8;
	in->flags |= flags | (dc == RC_64 ? SG_F_WIDE : 0) | (sc == RC_64 ? 0 : SG_F_A32);
}

/* ---- comparisons ---- */

static const struct { uint8_t mod, cmp, table; } compares[] = {
	{ PM_EQ, SG_CMP_EQ, SG_TT_EQ }, { PM_NE, SG_CMP_NE, SG_TT_LT | SG_TT_GT },
	{ PM_LT, SG_CMP_LT, SG_TT_LT }, { PM_LE, SG_CMP_LE, SG_TT_LT | SG_TT_EQ },
	{ PM_GT, SG_CMP_GT, SG_TT_GT }, { PM_GE, SG_CMP_GE, SG_TT_GT | SG_TT_EQ },
	{ PM_LO, SG_CMP_LT, 0 }, { PM_LS, SG_CMP_LE, 0 },
	{ PM_HI, SG_CMP_GT, 0 }, { PM_HS, SG_CMP_GE, 0 },
	{ PM_EQU, 0, SG_TT_EQ | SG_TT_UN }, { PM_NEU, 0, SG_TT_LT | SG_TT_GT | SG_TT_UN },
	{ PM_LTU, 0, SG_TT_LT | SG_TT_UN }, { PM_LEU, 0, SG_TT_LT | SG_TT_EQ | SG_TT_UN },
	{ PM_GTU, 0, SG_TT_GT | SG_TT_UN }, { PM_GEU, 0, SG_TT_GT | SG_TT_EQ | SG_TT_UN },
	{ PM_NUM, 0, SG_TT_LT | SG_TT_EQ | SG_TT_GT }, { PM_NAN, 0, SG_TT_UN },
};

static void set_compare(struct sg_parser *p, const struct ptx_insn *pi, struct sg_insn *in)
{
	for (unsigned i = 0; i < pi->nmods; i++) {
		for (size_t k = 0; k < sizeof(compares) / sizeof(*compares); k++) {
			if (compares[k].mod != pi->order[i])
				continue;
			in->sub = compares[k].cmp;
			in->flags |= (uint32_t)compares[k].table << 8;
			return;
		}
	}
	sg_parse_fail(p, "'%.40s': no comparison", pi->text);
}

static unsigned setp_op(struct sg_parser *p, const struct ptx_insn *pi, enum ptx_type t)
{
	switch (t) {
	case PT_U16: case PT_B16: return SG_OP_setp_u16;
	case PT_S16: return SG_OP_setp_s16;
	case PT_U32: case PT_B32: return SG_OP_setp_u32;
	case PT_S32: return SG_OP_setp_s32;
	case PT_U64: case PT_B64: return SG_OP_setp_u64;
	case PT_S64: return SG_OP_setp_s64;
	case PT_F32: return SG_OP_setp_f32;
	case PT_F64: return SG_OP_setp_f64;
	case PT_F16: case PT_BF16: return SG_OP_setp_half;
	case PT_F16X2: case PT_BF16X2: return SG_OP_setp_half2;
	default: sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	}
}

/* Compares operands 1 and 2 into predicates @d and @d2. */
static void emit_setp(struct sg_parser *p, const struct ptx_insn *pi, enum ptx_type t, sg_opd d,
		      sg_opd d2)
{
	unsigned bool_op = ptx_has(pi, PM_AND) ? 1 : ptx_has(pi, PM_OR) ? 2 :
			   ptx_has(pi, PM_XOR) ? 3 : 0;
	unsigned op = setp_op(p, pi, t);
	bool neg = false;
	sg_opd a, b, c = 0;
	struct sg_insn *in;

	sg_need_opds(p, pi, 3 + !!bool_op, 3 + !!bool_op);
	a = sg_src(p, pi, 1, t);
	b = sg_src(p, pi, 2, t);
	if (bool_op)
		c = sg_src_pred(p, pi, 3, &neg);
	in = sg_emit(p, pi, op, SG_K_ALU);
	set_compare(p, pi, in);
	in->opd[SG_D] = d;
	in->opd[SG_D2] = d2;
	in->opd[SG_A] = a;
	in->opd[SG_B] = b;
	in->opd[SG_C] = c;
	in->flags |= bool_op << 12 | (neg ? SG_F_NEG_C : 0);
	in->flags |= ptx_has(pi, PM_FTZ) ? SG_F_FTZ : 0;
	in->flags |= t == PT_BF16 || t == PT_BF16X2 ? SG_F_BF16 : 0;
}

void sg_decode_setp(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	sg_opd d = sg_dst(p, pi, 0, RC_PRED);
	uint32_t pair = pi->opd[0].pair;

	if (pair && sg_build_class(p, pair) != RC_PRED)
		sg_parse_fail(p, "'%.40s': a predicate expected", pi->text);
	emit_setp(p, pi, t, d, pair << 1);
}

/* The value that stands for true: all bits, or 1.0 */
static uint32_t true_value(enum ptx_type t)
{
	switch (t) {
	case PT_F32: return 0x3f800000;
	case PT_F16: case PT_F16X2: return 0x3c00;
	case PT_BF16: case PT_BF16X2: return 0x3f80;
	default: return t == PT_U16 || t == PT_S16 ? 0xffff : SG_ALL;
	}
}

void sg_decode_set(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type dt = sg_need_type(p, pi, 0), st = sg_need_type(p, pi, 1);
	bool x2 = st == PT_F16X2 || st == PT_BF16X2;
	sg_opd lo = sg_temp(p, RC_PRED), hi = x2 ? sg_temp(p, RC_PRED) : 0, d;
	struct sg_insn *in;
	sg_opd yes, no;

	d = sg_dst(p, pi, 0, sg_type_class(dt));
	if (sg_type_class(dt) != RC_32)
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	emit_setp(p, pi, st, lo, hi);
	if (x2) {
		uint32_t half = dt == PT_U32 || dt == PT_S32 ? 0xffff : true_value(dt);

		in = sg_emit(p, pi, SG_OP_selp2, SG_K_ALU);
		in->imm = half;
		in->opd[SG_B] = hi;
		in->opd[SG_A] = lo;
	} else {
		yes = sg_build_const(p, true_value(dt), false);
		no = sg_build_const(p, 0, false);
		in = sg_emit(p, pi, SG_OP_selp_32, SG_K_ALU);
		in->opd[SG_A] = yes;
		in->opd[SG_B] = no;
		in->opd[SG_C] = lo;
	}
	in->opd[SG_D] = d;
}

void sg_decode_selp(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	bool neg, wide = ptx_type_size(t) == 8;
	struct sg_insn *in;
	sg_opd d, a, b, c;

	sg_need_opds(p, pi, 4, 4);
	if (t == PT_PRED || ptx_type_size(t) > 8)
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	d = sg_dst(p, pi, 0, sg_type_class(t));
	a = sg_src(p, pi, 1, t);
	b = sg_src(p, pi, 2, t);
	c = sg_src_pred(p, pi, 3, &neg);
	in = sg_emit(p, pi, wide ? SG_OP_selp_64 : SG_OP_selp_32, SG_K_ALU);
	in->opd[SG_D] = d;
	in->opd[SG_A] = neg ? b : a;
	in->opd[SG_B] = neg ? a : b;
	in->opd[SG_C] = c;
}

void sg_decode_slct(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0), ct = sg_need_type(p, pi, 1);
	bool wide = ptx_type_size(t) == 8;
	struct sg_insn *in;
	sg_opd d, a, b, c;

	sg_need_opds(p, pi, 4, 4);
	if (t == PT_PRED || ptx_type_size(t) > 8 || (ct != PT_S32 && ct != PT_F32))
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	d = sg_dst(p, pi, 0, sg_type_class(t));
	a = sg_src(p, pi, 1, t);
	b = sg_src(p, pi, 2, t);
	c = sg_src(p, pi, 3, ct);
	in = sg_emit(p, pi, (ct == PT_F32 ? SG_OP_slct_32_f32 : SG_OP_slct_32_s32) + wide,
		     SG_K_ALU);
	in->opd[SG_D] = d;
	in->opd[SG_A] = a;
	in->opd[SG_B] = b;
	in->opd[SG_C] = c;
	in->flags |= ptx_has(pi, PM_FTZ) ? SG_F_FTZ : 0;
}
