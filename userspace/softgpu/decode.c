// SPDX-License-Identifier: MIT
/*
 * The table of opcodes and what decoders share: modifiers, operands,
 * addresses. An opcode that is not in the table, or a modifier that is not
 * known, makes an instruction that faults by name when it is run.
 */
#include "softgpu/decode.h"

#include <stdlib.h>
#include <string.h>

static const struct { char name[16]; uint8_t mod; } mods[] = {
	{ "NaN", PM_NANPROP }, { "abs", PM_ABS }, { "acq_rel", PM_ACQ_REL },
	{ "acquire", PM_ACQUIRE }, { "add", PM_ADD }, { "aligned", PM_ALIGNED },
	{ "all", PM_ALL }, { "and", PM_AND }, { "any", PM_ANY }, { "approx", PM_APPROX },
	{ "arrive", PM_ARRIVE }, { "b4e", PM_B4E }, { "ballot", PM_BALLOT },
	{ "bfly", PM_BFLY }, { "ca", PM_HINT }, { "cas", PM_CAS }, { "cc", PM_CC },
	{ "cg", PM_HINT }, { "clamp", PM_CLAMP }, { "cluster", PM_CLUSTER },
	{ "const", PM_CONST }, { "cs", PM_HINT }, { "cta", PM_CTA }, { "cv", PM_VOLATILE },
	{ "dec", PM_DEC }, { "down", PM_DOWN }, { "ecl", PM_ECL }, { "ecr", PM_ECR },
	{ "eq", PM_EQ }, { "equ", PM_EQU }, { "exch", PM_EXCH }, { "f4e", PM_F4E },
	{ "finite", PM_FINITE }, { "ftz", PM_FTZ }, { "full", PM_FULL }, { "ge", PM_GE },
	{ "geu", PM_GEU }, { "gl", PM_GL }, { "global", PM_GLOBAL }, { "gpu", PM_GPU },
	{ "gt", PM_GT }, { "gtu", PM_GTU }, { "hi", PM_HI }, { "hs", PM_HS },
	{ "idx", PM_IDX }, { "inc", PM_INC }, { "infinite", PM_INFINITE }, { "l", PM_L },
	{ "le", PM_LE }, { "leu", PM_LEU }, { "lo", PM_LO }, { "local", PM_LOCAL },
	{ "ls", PM_LS }, { "lt", PM_LT }, { "ltu", PM_LTU }, { "lu", PM_HINT },
	{ "max", PM_MAX }, { "min", PM_MIN }, { "mmio", PM_MMIO }, { "nan", PM_NAN },
	{ "nc", PM_HINT }, { "ne", PM_NE }, { "neu", PM_NEU }, { "noftz", PM_NOFTZ },
	{ "normal", PM_NORMAL }, { "notanumber", PM_NOTANUMBER }, { "num", PM_NUM },
	{ "number", PM_NUMBER }, { "or", PM_OR }, { "param", PM_PARAM }, { "popc", PM_POPC },
	{ "r", PM_R }, { "rc16", PM_RC16 }, { "rc8", PM_RC8 }, { "red", PM_RED },
	{ "relaxed", PM_RELAXED }, { "release", PM_RELEASE }, { "relu", PM_RELU },
	{ "rm", PM_RM }, { "rmi", PM_RMI }, { "rn", PM_RN }, { "rni", PM_RNI },
	{ "rp", PM_RP }, { "rpi", PM_RPI }, { "rz", PM_RZ }, { "rzi", PM_RZI },
	{ "sat", PM_SAT }, { "sc", PM_SC }, { "shared", PM_SHARED },
	{ "shiftamt", PM_SHIFTAMT }, { "subnormal", PM_SUBNORMAL }, { "sync", PM_SYNC },
	{ "sys", PM_SYS }, { "to", PM_TO }, { "uni", PM_UNI }, { "up", PM_UP },
	{ "v2", PM_V2 }, { "v4", PM_V4 }, { "volatile", PM_VOLATILE }, { "warp", PM_WARP },
	{ "wb", PM_HINT }, { "weak", PM_WEAK }, { "wide", PM_WIDE }, { "wrap", PM_WRAP },
	{ "wt", PM_HINT }, { "xor", PM_XOR }, { "xorsign", PM_XORSIGN },
};

/* In order of strcmp. */
static const struct opcode { char name[16]; sg_decode_fn *decode; } opcodes[] = {
	{ "abs", sg_decode_alu }, { "activemask", sg_decode_activemask },
	{ "add", sg_decode_alu }, { "addc", sg_decode_carry }, { "and", sg_decode_logic },
	{ "atom", sg_decode_atom }, { "bar", sg_decode_bar }, { "barrier", sg_decode_bar },
	{ "bfe", sg_decode_bfe }, { "bfi", sg_decode_bfi }, { "bfind", sg_decode_bfind },
	{ "bmsk", sg_decode_bfe }, { "bra", sg_decode_bra }, { "brev", sg_decode_bit },
	{ "brkpt", sg_decode_simple }, { "brx", sg_decode_brx }, { "call", sg_decode_call },
	{ "clz", sg_decode_bit }, { "cnot", sg_decode_logic }, { "copysign", sg_decode_float },
	{ "cos", sg_decode_float }, { "cvt", sg_decode_cvt }, { "cvta", sg_decode_cvta },
	{ "discard", sg_decode_prefetch }, { "div", sg_decode_alu }, { "dp2a", sg_decode_dp },
	{ "dp4a", sg_decode_dp }, { "elect", sg_decode_elect }, { "ex2", sg_decode_float },
	{ "exit", sg_decode_simple }, { "fence", sg_decode_membar }, { "fma", sg_decode_float },
	{ "fns", sg_decode_bfe }, { "isspacep", sg_decode_isspacep }, { "ld", sg_decode_ld },
	{ "ldu", sg_decode_ld }, { "lg2", sg_decode_float }, { "lop3", sg_decode_lop3 },
	{ "mad", sg_decode_mad }, { "mad24", sg_decode_mad }, { "madc", sg_decode_mad },
	{ "match", sg_decode_match }, { "max", sg_decode_alu }, { "membar", sg_decode_membar },
	{ "min", sg_decode_alu }, { "mov", sg_decode_mov }, { "mul", sg_decode_mul },
	{ "mul24", sg_decode_mul }, { "nanosleep", sg_decode_simple }, { "neg", sg_decode_alu },
	{ "not", sg_decode_logic }, { "or", sg_decode_logic }, { "pmevent", sg_decode_simple },
	{ "popc", sg_decode_bit }, { "prefetch", sg_decode_prefetch },
	{ "prefetchu", sg_decode_prefetch }, { "prmt", sg_decode_prmt },
	{ "rcp", sg_decode_float }, { "red", sg_decode_atom }, { "redux", sg_decode_redux },
	{ "rem", sg_decode_alu }, { "ret", sg_decode_ret }, { "rsqrt", sg_decode_float },
	{ "sad", sg_decode_alu }, { "selp", sg_decode_selp }, { "set", sg_decode_set },
	{ "setp", sg_decode_setp }, { "shf", sg_decode_shf }, { "shfl", sg_decode_shfl },
	{ "shl", sg_decode_shift }, { "shr", sg_decode_shift }, { "sin", sg_decode_float },
	{ "slct", sg_decode_slct }, { "sqrt", sg_decode_float }, { "st", sg_decode_st },
	{ "sub", sg_decode_alu }, { "subc", sg_decode_carry }, { "szext", sg_decode_bfe },
	{ "tanh", sg_decode_float }, { "testp", sg_decode_testp }, { "trap", sg_decode_simple },
	{ "vabsdiff4", sg_decode_vabsdiff }, { "vote", sg_decode_vote },
	{ "xor", sg_decode_logic },
};

static int compare_name(const char *text, unsigned len, const char *name)
{
	int c = strncmp(text, name, len);

	return c ? c : name[len] ? -1 : 0;
}

enum ptx_mod sg_mod_named(const char *text, unsigned len)
{
	size_t lo = 0, hi = sizeof(mods) / sizeof(*mods);

	if (len > 3 && text[0] == 'L' && (text[1] == '1' || text[1] == '2') && text[2] == ':')
		return PM_HINT;
	if (len > 2) {		/* .shared::cta, .param::entry */
		const char *colon = memchr(text, ':', len);

		if (colon && (!strncmp(text, "shared::cta", len) || !strncmp(text, "param::", 7)))
			len = colon - text;
	}
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = len < sizeof(mods->name) ? compare_name(text, len, mods[mid].name) : 1;

		if (!c)
			return mods[mid].mod;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return PM_UNKNOWN;
}

static const struct opcode *find_opcode(const char *name)
{
	return bsearch(name, opcodes, sizeof(opcodes) / sizeof(*opcodes), sizeof(*opcodes),
		       (int (*)(const void *, const void *))strcmp);
}

bool sg_opcode_known(const struct ptx_insn *pi)
{
	return !ptx_has(pi, PM_UNKNOWN) && find_opcode(pi->op);
}

void sg_emit_unsupported(struct sg_parser *p, const struct ptx_insn *pi)
{
	sg_emit(p, pi, SG_OP_unsupported, SG_K_UNSUPPORTED);
}

void sg_decode(struct sg_parser *p, const struct ptx_insn *pi)
{
	p->build->cur_text = pi->text;
	p->build->cur_line = pi->line;
	if (sg_opcode_known(pi))
		find_opcode(pi->op)->decode(p, pi);
	else
		sg_emit_unsupported(p, pi);
}

struct sg_insn *sg_emit(struct sg_parser *p, const struct ptx_insn *pi, unsigned op,
			enum sg_kind kind)
{
	struct sg_insn *in = sg_build_emit(p, op, kind);

	in->guard = pi->guard << 1 | (pi->guard && pi->guard_neg);
	return in;
}

/* ---- operands ---- */

enum sg_reg_class sg_type_class(enum ptx_type t)
{
	return t == PT_PRED ? RC_PRED : ptx_type_size(t) == 8 ? RC_64 : RC_32;
}

enum ptx_type sg_need_type(struct sg_parser *p, const struct ptx_insn *pi, unsigned i)
{
	if (i >= pi->ntypes)
		sg_parse_fail(p, "'%.40s' needs a type", pi->text);
	return pi->type[i];
}

void sg_need_opds(struct sg_parser *p, const struct ptx_insn *pi, unsigned min, unsigned max)
{
	if (pi->nopds < min || pi->nopds > max)
		sg_parse_fail(p, "'%.40s' has %u operands", pi->text, pi->nopds);
}

sg_opd sg_temp(struct sg_parser *p, enum sg_reg_class class)
{
	return sg_build_regs(p, class, 1) << 1;
}

static const struct ptx_opd *need_opd(struct sg_parser *p, const struct ptx_insn *pi, unsigned i)
{
	if (i >= pi->nopds)
		sg_parse_fail(p, "'%.40s' lacks an operand", pi->text);
	return &pi->opd[i];
}

static sg_opd register_opd(struct sg_parser *p, const struct ptx_insn *pi, uint32_t reg,
			   enum sg_reg_class class)
{
	if (sg_build_class(p, reg) != class)
		sg_parse_fail(p, "'%.40s': operand of another size", pi->text);
	return reg << 1;
}

sg_opd sg_dst(struct sg_parser *p, const struct ptx_insn *pi, unsigned i,
	      enum sg_reg_class class)
{
	const struct ptx_opd *o = need_opd(p, pi, i);

	if (o->kind == PO_SINK)
		return 0;
	if (o->kind != PO_REG)
		sg_parse_fail(p, "'%.40s': the destination is no register", pi->text);
	return register_opd(p, pi, o->reg, class);
}

static uint64_t float_value(const struct ptx_opd *o, enum ptx_type type)
{
	uint32_t w = (uint32_t)o->imm;
	uint64_t bits = o->imm;
	double d;
	float f;

	if (o->size == 4) {
		if (ptx_type_size(type) <= 4)
			return w;
		memcpy(&f, &w, 4);
		d = f;
		memcpy(&bits, &d, 8);
		return type == PT_F64 ? bits : w;
	}
	if (ptx_type_size(type) == 8)
		return bits;
	memcpy(&d, &bits, 8);
	f = (float)d;
	memcpy(&w, &f, 4);
	return w;
}

/* sreg or symbol: its value goes through a temporary. */
static sg_opd value_temp(struct sg_parser *p, const struct ptx_insn *pi, const struct ptx_opd *o,
			 enum ptx_type type)
{
	bool wide = ptx_type_size(type) == 8;
	sg_opd d = sg_temp(p, wide ? RC_64 : RC_32);
	struct sg_insn *in;

	if (o->kind == PO_SREG) {
		in = sg_build_emit(p, wide ? SG_OP_sreg_64 : SG_OP_sreg_32, SG_K_ALU);
		in->sub = o->imm;
	} else if (o->sym->kind == SYM_VAR && o->sym->var->space == SG_SHARED &&
		   o->sym->var->unsized) {
		in = sg_build_emit(p, wide ? SG_OP_dyn_64 : SG_OP_dyn_32, SG_K_ALU);
		in->imm = (int64_t)o->imm;
	} else if (o->sym->kind == SYM_VAR && o->sym->var->space == SG_LOCAL) {
		in = sg_build_emit(p, wide ? SG_OP_local_64 : SG_OP_local_32, SG_K_ALU);
		in->imm = (int64_t)(o->sym->var->at + o->imm);
	} else if (o->sym->kind == SYM_VAR || o->sym->kind == SYM_FUNC) {
		in = sg_build_emit(p, wide ? SG_OP_movi_64 : SG_OP_movi_32, SG_K_ALU);
		sg_build_reloc(p, o->sym, (int64_t)o->imm);
	} else {
		sg_parse_fail(p, "'%.40s': bad operand", pi->text);
	}
	in->opd[SG_D] = d;
	return d;
}

sg_opd sg_src_opd(struct sg_parser *p, const struct ptx_insn *pi, const struct ptx_opd *o,
		  enum ptx_type type)
{
	bool wide = ptx_type_size(type) == 8;

	switch (o->kind) {
	case PO_REG:
		if (o->neg)
			sg_parse_fail(p, "'%.40s': negated operand", pi->text);
		return register_opd(p, pi, o->reg, sg_type_class(type));
	case PO_IMM:
		return sg_build_const(p, wide ? o->imm : (uint32_t)o->imm, wide);
	case PO_FLOAT:
		return sg_build_const(p, float_value(o, type), wide);
	case PO_SREG:
	case PO_SYM:
		if (ptx_type_size(type) < 4)
			sg_parse_fail(p, "'%.40s': operand of another size", pi->text);
		return value_temp(p, pi, o, type);
	case PO_NAME:
		sg_parse_fail(p, "unknown name '%.40s'", o->name);
	default:
		sg_parse_fail(p, "'%.40s': bad operand", pi->text);
	}
}

sg_opd sg_src(struct sg_parser *p, const struct ptx_insn *pi, unsigned i, enum ptx_type type)
{
	return sg_src_opd(p, pi, need_opd(p, pi, i), type);
}

sg_opd sg_src_pred(struct sg_parser *p, const struct ptx_insn *pi, unsigned i, bool *neg)
{
	const struct ptx_opd *o = need_opd(p, pi, i);

	*neg = o->neg;
	if (o->kind == PO_IMM)
		return sg_build_const(p, o->imm ? SG_ALL : 0, false);
	if (o->kind != PO_REG)
		sg_parse_fail(p, "'%.40s': a predicate expected", pi->text);
	return register_opd(p, pi, o->reg, RC_PRED);
}

uint32_t sg_float_flags(const struct ptx_insn *pi)
{
	uint32_t f = 0;

	f |= ptx_has(pi, PM_FTZ) ? SG_F_FTZ : 0;
	f |= ptx_has(pi, PM_SAT) ? SG_F_SAT : 0;
	f |= ptx_has(pi, PM_RELU) ? SG_F_RELU : 0;
	f |= ptx_has(pi, PM_NANPROP) ? SG_F_NAN : 0;
	f |= ptx_has(pi, PM_XORSIGN) ? SG_F_XORSIGN : 0;
	if (ptx_has(pi, PM_RZ))
		f |= SG_RM_ZERO << 2;
	else if (ptx_has(pi, PM_RM))
		f |= SG_RM_DOWN << 2;
	else if (ptx_has(pi, PM_RP))
		f |= SG_RM_UP << 2;
	return f;
}

/* ---- addresses ---- */

struct sg_addr sg_address(struct sg_parser *p, const struct ptx_insn *pi, unsigned i)
{
	const struct ptx_opd *o = need_opd(p, pi, i);
	struct sg_addr a = { .imm = (int64_t)o->imm, .flags = SG_F_ADDRLESS };
	const struct sg_var *v;

	if (o->kind != PO_MEM)
		sg_parse_fail(p, "'%.40s': an address expected", pi->text);
	if (o->reg) {
		if (sg_build_class(p, o->reg) == RC_PRED)
			sg_parse_fail(p, "'%.40s': the address is a predicate", pi->text);
		a.a = o->reg << 1;
		a.flags = sg_build_class(p, o->reg) == RC_32 ? SG_F_A32 : 0;
		return a;
	}
	if (!o->sym)
		return a;
	if (o->sym->kind != SYM_VAR)
		sg_parse_fail(p, "'%.40s': '%.40s' is no variable", pi->text, o->sym->name);
	v = o->sym->var;
	a.symbol = true;
	a.space = v->space;
	if (v->space == SG_SHARED && v->unsized) {
		a.a = value_temp(p, pi, &(struct ptx_opd){ .kind = PO_SYM, .sym = o->sym },
				 PT_B32);
		a.flags = SG_F_A32;
	} else if (v->space == SG_LOCAL) {
		a.flags |= SG_F_FRAME;
		a.imm += (int64_t)v->at;
	} else if (v->space == SG_PARAM_ENTRY || v->space == SG_PARAM_FRAME) {
		a.imm += (int64_t)v->at;
	} else {
		a.reloc = o->sym;
	}
	return a;
}

void sg_set_address(struct sg_parser *p, struct sg_insn *in, const struct sg_addr *a)
{
	in->opd[SG_A] = a->a;
	in->imm = a->imm;
	in->flags |= a->flags;
	if (a->reloc)
		sg_build_reloc(p, a->reloc, a->imm);
}
