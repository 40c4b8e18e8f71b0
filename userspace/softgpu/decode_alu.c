// SPDX-License-Identifier: MIT
/* Decoders of arithmetic: integers, bits, floating point. */
#include "softgpu/decode.h"

#include <string.h>

/* 0, 1, 2 for 16, 32, 64 bits: the order of SG_OPS_ANY */
static int size_index(enum ptx_type t)
{
	switch (ptx_type_size(t)) {
	case 2: return 0;
	case 4: return 1;
	case 8: return 2;
	default: return -1;
	}
}

/* the order of SG_OPS_US */
static int us_index(enum ptx_type t)
{
	int i = size_index(t);

	return i < 0 ? -1 : 2 * i + ptx_type_signed(t);
}

static struct sg_insn *emit_types(struct sg_parser *p, const struct ptx_insn *pi, unsigned op,
				  enum ptx_type dst, const enum ptx_type *src, unsigned n)
{
	static const uint8_t place[] = { SG_A, SG_B, SG_C, SG_E };
	sg_opd o[4] = { 0 }, d;
	struct sg_insn *in;

	sg_need_opds(p, pi, n + 1, n + 1);
	d = sg_dst(p, pi, 0, sg_type_class(dst));
	for (unsigned i = 0; i < n; i++)
		o[i] = sg_src(p, pi, i + 1, src[i]);
	in = sg_emit(p, pi, op, SG_K_ALU);
	in->opd[SG_D] = d;
	for (unsigned i = 0; i < n; i++)
		in->opd[place[i]] = o[i];
	return in;
}

static struct sg_insn *emit_same(struct sg_parser *p, const struct ptx_insn *pi, unsigned op,
				 enum ptx_type t, unsigned n)
{
	const enum ptx_type src[4] = { t, t, t, t };

	return emit_types(p, pi, op, t, src, n);
}

/* ---- floating point ---- */

static void emit_float(struct sg_parser *p, const struct ptx_insn *pi, enum sg_fx fx, unsigned n)
{
	static const uint16_t fast32[] = { SG_OP_add_f32, SG_OP_sub_f32, SG_OP_mul_f32,
					   SG_OP_fma_f32 };
	static const uint16_t fast64[] = { SG_OP_add_f64, SG_OP_sub_f64, SG_OP_mul_f64,
					   SG_OP_fma_f64 };
	enum ptx_type t = sg_need_type(p, pi, 0);
	uint32_t flags = sg_float_flags(pi);
	struct sg_insn *in;
	unsigned op;

	if (pi->ntypes != 1) {
		sg_emit_unsupported(p, pi);
		return;
	}
	switch (t) {
	case PT_F32:
		op = fx <= SG_FX_FMA && !flags ? fast32[fx] : SG_OP_f32x;
		break;
	case PT_F64:
		flags &= ~(SG_F_FTZ | SG_F_SAT);
		op = fx <= SG_FX_FMA && !flags ? fast64[fx] : SG_OP_f64x;
		break;
	case PT_F16: case PT_BF16:
		op = SG_OP_half;
		break;
	case PT_F16X2: case PT_BF16X2:
		op = SG_OP_half2;
		break;
	default:
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	}
	if (t == PT_BF16 || t == PT_BF16X2)
		flags |= SG_F_BF16;
	in = emit_same(p, pi, op, t, n);
	in->sub = fx;
	in->flags |= flags;
}

static const struct { char name[12]; uint8_t fx, n; } float_ops[] = {
	{ "rcp", SG_FX_RCP, 1 }, { "sqrt", SG_FX_SQRT, 1 }, { "rsqrt", SG_FX_RSQRT, 1 },
	{ "ex2", SG_FX_EX2, 1 }, { "lg2", SG_FX_LG2, 1 }, { "sin", SG_FX_SIN, 1 },
	{ "cos", SG_FX_COS, 1 }, { "tanh", SG_FX_TANH, 1 },
	{ "copysign", SG_FX_COPYSIGN, 2 }, { "fma", SG_FX_FMA, 3 },
};

void sg_decode_float(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);

	if (t == PT_F64 && ptx_has(pi, PM_APPROX) && ptx_has(pi, PM_FTZ)) {
		bool root = !strcmp(pi->op, "rsqrt");

		emit_float(p, pi, root ? SG_FX_RSQRT64H : SG_FX_RCP64H, 1);
		return;
	}
	for (size_t i = 0; i < sizeof(float_ops) / sizeof(*float_ops); i++)
		if (!strcmp(pi->op, float_ops[i].name))
			emit_float(p, pi, float_ops[i].fx, float_ops[i].n);
}

void sg_decode_testp(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	struct sg_insn *in;
	int sub = -1;

	for (unsigned i = 0; i < pi->nmods; i++)
		if (pi->order[i] >= PM_FINITE && pi->order[i] <= PM_SUBNORMAL)
			sub = pi->order[i] - PM_FINITE + SG_TESTP_FINITE;
	if (sub < 0 || (t != PT_F32 && t != PT_F64))
		sg_parse_fail(p, "'%.40s': wrong modifiers", pi->text);
	in = emit_types(p, pi, t == PT_F32 ? SG_OP_testp_f32 : SG_OP_testp_f64, PT_PRED, &t, 1);
	in->sub = sub;
}

/* ---- integers ---- */

static const struct { char name[8]; uint8_t n, fx; uint16_t any, us; } alu_ops[] = {
	{ "add", 2, SG_FX_ADD, SG_OP_add_16, 0 }, { "sub", 2, SG_FX_SUB, SG_OP_sub_16, 0 },
	{ "div", 2, SG_FX_DIV, 0, SG_OP_div_u16 }, { "rem", 2, 0, 0, SG_OP_rem_u16 },
	{ "min", 2, SG_FX_MIN, 0, SG_OP_min_u16 }, { "max", 2, SG_FX_MAX, 0, SG_OP_max_u16 },
	{ "abs", 1, SG_FX_ABS, SG_OP_abs_s16, 0 }, { "neg", 1, SG_FX_NEG, SG_OP_neg_16, 0 },
	{ "sad", 3, 0, 0, SG_OP_sad_u16 },
};

void sg_decode_alu(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	bool x2 = t == PT_F16X2 || t == PT_BF16X2;
	unsigned i = 0;

	if (ptx_has(pi, PM_CC)) {
		sg_decode_carry(p, pi);
		return;
	}
	while (strcmp(pi->op, alu_ops[i].name))
		i++;
	if (ptx_type_float(t) || x2) {
		if (alu_ops[i].us && !alu_ops[i].fx)
			sg_parse_fail(p, "'%.40s': wrong type", pi->text);
		emit_float(p, pi, alu_ops[i].fx, alu_ops[i].n);
		return;
	}
	if (size_index(t) < 0 || pi->ntypes != 1) {
		sg_emit_unsupported(p, pi);
		return;
	}
	if (ptx_has(pi, PM_SAT))
		emit_same(p, pi, alu_ops[i].fx == SG_FX_SUB ? SG_OP_subsat_s32 : SG_OP_addsat_s32,
			  PT_S32, 2);
	else if (alu_ops[i].any)
		emit_same(p, pi, alu_ops[i].any + size_index(t), t, alu_ops[i].n);
	else
		emit_same(p, pi, alu_ops[i].us + us_index(t), t, alu_ops[i].n);
}

static enum ptx_type wide_type(enum ptx_type t)
{
	return ptx_type_size(t) == 2 ? PT_B32 : PT_B64;
}

static void emit_wide(struct sg_parser *p, const struct ptx_insn *pi, unsigned op,
		      enum ptx_type t, unsigned n)
{
	const enum ptx_type src[] = { t, t, wide_type(t) };

	if (us_index(t) > 3)
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	emit_types(p, pi, op + us_index(t), wide_type(t), src, n);
}

void sg_decode_mul(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);

	if (ptx_type_float(t)) {
		emit_float(p, pi, SG_FX_MUL, 2);
		return;
	}
	if (size_index(t) < 0)
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	if (!strcmp(pi->op, "mul24"))
		emit_same(p, pi, (ptx_has(pi, PM_HI) ? SG_OP_mul24hi_u32 : SG_OP_mul24lo_u32) +
			  ptx_type_signed(t), PT_B32, 2);
	else if (ptx_has(pi, PM_WIDE))
		emit_wide(p, pi, SG_OP_mulw_u16, t, 2);
	else if (ptx_has(pi, PM_HI))
		emit_same(p, pi, SG_OP_mulhi_u16 + us_index(t), t, 2);
	else
		emit_same(p, pi, SG_OP_mul_16 + size_index(t), t, 2);
}

static void emit_carry(struct sg_parser *p, const struct ptx_insn *pi, unsigned op,
		       enum ptx_type t, unsigned n, bool in_too)
{
	struct sg_insn *in = emit_same(p, pi, op, t, n);

	in->opd[SG_E] = SG_REG_CC << 1;
	in->flags |= ptx_has(pi, PM_CC) ? SG_F_CC_OUT : 0;
	in->flags |= in_too ? SG_F_CC_IN : 0;
}

/* mad24 has no operation of its own: the product goes through a temporary. */
static void decode_mad24(struct sg_parser *p, const struct ptx_insn *pi, enum ptx_type t)
{
	struct ptx_insn mul = *pi;
	sg_opd temp = sg_temp(p, RC_32), d, c;
	struct sg_insn *in;

	sg_need_opds(p, pi, 4, 4);
	d = sg_dst(p, pi, 0, RC_32);
	c = sg_src(p, pi, 3, PT_B32);
	mul.nopds = 3;
	in = emit_same(p, &mul, (ptx_has(pi, PM_HI) ? SG_OP_mul24hi_u32 : SG_OP_mul24lo_u32) +
		       ptx_type_signed(t), PT_B32, 2);
	in->opd[SG_D] = temp;
	in = sg_emit(p, pi, SG_OP_add_32, SG_K_ALU);
	in->opd[SG_D] = d;
	in->opd[SG_A] = temp;
	in->opd[SG_B] = c;
}

void sg_decode_mad(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	bool carry = ptx_has(pi, PM_CC) || !strcmp(pi->op, "madc");

	if (ptx_type_float(t)) {
		emit_float(p, pi, SG_FX_FMA, 3);
		return;
	}
	if (size_index(t) < 0 || (carry && ptx_type_size(t) < 4))
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	if (ptx_has(pi, PM_SAT))
		sg_emit_unsupported(p, pi);
	else if (!strcmp(pi->op, "mad24"))
		decode_mad24(p, pi, t);
	else if (ptx_has(pi, PM_WIDE))
		emit_wide(p, pi, SG_OP_madw_u16, t, 3);
	else if (carry)
		emit_carry(p, pi, ptx_has(pi, PM_HI) ? SG_OP_madchi_u32 + us_index(t) - 2 :
			   SG_OP_madclo_32 + size_index(t) - 1, t, 3, !strcmp(pi->op, "madc"));
	else if (ptx_has(pi, PM_HI))
		emit_same(p, pi, SG_OP_madhi_u16 + us_index(t), t, 3);
	else
		emit_same(p, pi, SG_OP_mad_16 + size_index(t), t, 3);
}

void sg_decode_carry(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	unsigned op = pi->op[0] == 's' ? SG_OP_subc_32 : SG_OP_addc_32;

	if (size_index(t) < 1 || ptx_type_float(t))
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	emit_carry(p, pi, op + (ptx_type_size(t) == 8), t, 2, pi->op[3] == 'c');
}

/* ---- logic and bits ---- */

static const struct { char name[8]; uint16_t bits, pred; uint8_t n; } logic_ops[] = {
	{ "and", SG_OP_and_32, SG_OP_and_p, 2 }, { "or", SG_OP_or_32, SG_OP_or_p, 2 },
	{ "xor", SG_OP_xor_32, SG_OP_xor_p, 2 }, { "not", SG_OP_not_32, SG_OP_not_p, 1 },
};

static void decode_logic_pred(struct sg_parser *p, const struct ptx_insn *pi, unsigned op,
			      unsigned n)
{
	bool neg_a = false, neg_b = false;
	sg_opd d, a, b = 0;
	struct sg_insn *in;

	sg_need_opds(p, pi, n + 1, n + 1);
	d = sg_dst(p, pi, 0, RC_PRED);
	a = sg_src_pred(p, pi, 1, &neg_a);
	if (n == 2)
		b = sg_src_pred(p, pi, 2, &neg_b);
	in = sg_emit(p, pi, op, SG_K_ALU);
	in->opd[SG_D] = d;
	in->opd[SG_A] = a;
	in->opd[SG_B] = b;
	in->flags |= (neg_a ? SG_F_NEG_A : 0) | (neg_b ? SG_F_NEG_B : 0);
}

void sg_decode_logic(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	unsigned i = 0;

	if (t != PT_PRED && size_index(t) < 0)
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	if (!strcmp(pi->op, "cnot")) {
		emit_same(p, pi, SG_OP_cnot_16 + size_index(t == PT_PRED ? PT_B32 : t), t, 1);
		return;
	}
	while (strcmp(pi->op, logic_ops[i].name))
		i++;
	if (t == PT_PRED)
		decode_logic_pred(p, pi, logic_ops[i].pred, logic_ops[i].n);
	else
		emit_same(p, pi, logic_ops[i].bits + (ptx_type_size(t) == 8), t, logic_ops[i].n);
}

static int64_t need_imm(struct sg_parser *p, const struct ptx_insn *pi, unsigned i)
{
	if (i >= pi->nopds || pi->opd[i].kind != PO_IMM)
		sg_parse_fail(p, "'%.40s': a constant expected", pi->text);
	return (int64_t)pi->opd[i].imm;
}

void sg_decode_lop3(struct sg_parser *p, const struct ptx_insn *pi)
{
	bool pred = ptx_has(pi, PM_OR) || ptx_has(pi, PM_AND), neg = false;
	struct ptx_insn body = *pi;
	sg_opd q = 0;
	struct sg_insn *in;
	int64_t table = need_imm(p, pi, 4);

	sg_need_opds(p, pi, 5 + pred, 5 + pred);
	if (pred)
		q = sg_src_pred(p, pi, 5, &neg);
	if (pi->opd[0].pair && sg_build_class(p, pi->opd[0].pair) != RC_PRED)
		sg_parse_fail(p, "'%.40s': a predicate expected", pi->text);
	body.nopds = 4;
	in = emit_same(p, &body, pred ? SG_OP_lop3_p : SG_OP_lop3, PT_B32, 3);
	in->imm = table & 0xff;
	if (pred) {
		in->opd[SG_D2] = pi->opd[0].pair << 1;
		in->opd[SG_E] = q;
		in->sub = ptx_has(pi, PM_AND);
		in->flags |= neg ? SG_F_NEG_C : 0;
	}
}

void sg_decode_prmt(struct sg_parser *p, const struct ptx_insn *pi)
{
	struct sg_insn *in = emit_same(p, pi, SG_OP_prmt, PT_B32, 3);

	for (unsigned m = PM_B4E; m <= PM_RC16; m++)
		if (ptx_has(pi, m))
			in->sub = m - PM_B4E + 1;
}

void sg_decode_shf(struct sg_parser *p, const struct ptx_insn *pi)
{
	struct sg_insn *in = emit_same(p, pi, SG_OP_shf, PT_B32, 3);

	in->sub = ptx_has(pi, PM_R) | ptx_has(pi, PM_WRAP) << 1;
}

void sg_decode_shift(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	const enum ptx_type src[] = { t, PT_U32 };

	if (size_index(t) < 0)
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	emit_types(p, pi, pi->op[2] == 'l' ? SG_OP_shl_16 + size_index(t)
					   : SG_OP_shr_u16 + us_index(t), t, src, 2);
}

void sg_decode_bit(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	unsigned op = pi->op[0] == 'p' ? SG_OP_popc_32 : pi->op[0] == 'c' ? SG_OP_clz_32 :
		      SG_OP_brev_32;

	if (size_index(t) < 1)
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	emit_types(p, pi, op + (ptx_type_size(t) == 8), op == SG_OP_brev_32 ? t : PT_U32, &t, 1);
}

void sg_decode_bfind(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	struct sg_insn *in;

	if (us_index(t) < 2)
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	in = emit_types(p, pi, SG_OP_bfind_u32 + us_index(t) - 2, PT_U32, &t, 1);
	in->sub = ptx_has(pi, PM_SHIFTAMT);
}

void sg_decode_bfe(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	const enum ptx_type src[] = { t, PT_U32, PT_U32 };
	struct sg_insn *in;

	if (us_index(t) < 2)
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	if (pi->op[0] == 'b' && pi->op[1] == 'f') {
		emit_types(p, pi, SG_OP_bfe_u32 + us_index(t) - 2, t, src, 3);
		return;
	}
	if (pi->op[0] == 'f') {
		emit_same(p, pi, SG_OP_fns, PT_B32, 3);
		return;
	}
	in = emit_same(p, pi, pi->op[0] == 'b' ? SG_OP_bmsk :
		       SG_OP_szext_u32 + ptx_type_signed(t), PT_B32, 2);
	in->sub = ptx_has(pi, PM_WRAP);
}

void sg_decode_bfi(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	const enum ptx_type src[] = { t, t, PT_U32, PT_U32 };

	if (us_index(t) < 2)
		sg_parse_fail(p, "'%.40s': wrong type", pi->text);
	emit_types(p, pi, SG_OP_bfi_32 + (ptx_type_size(t) == 8), t, src, 4);
}

void sg_decode_dp(struct sg_parser *p, const struct ptx_insn *pi)
{
	bool a = ptx_type_signed(sg_need_type(p, pi, 0));
	bool b = ptx_type_signed(sg_need_type(p, pi, 1));
	struct sg_insn *in;

	in = emit_same(p, pi, pi->op[2] == '4' ? SG_OP_dp4a : SG_OP_dp2a, PT_B32, 3);
	in->sub = a | b << 1 | ptx_has(pi, PM_HI) << 2;
}

void sg_decode_vabsdiff(struct sg_parser *p, const struct ptx_insn *pi)
{
	struct sg_insn *in;

	sg_need_type(p, pi, 2);
	if (ptx_has(pi, PM_SAT)) {
		sg_emit_unsupported(p, pi);
		return;
	}
	in = emit_same(p, pi, SG_OP_vabsdiff4, PT_B32, 3);
	in->sub = ptx_type_signed(pi->type[1]) | ptx_type_signed(pi->type[2]) << 1 |
		  ptx_has(pi, PM_ADD) << 2;
}
