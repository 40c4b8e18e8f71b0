// SPDX-License-Identifier: MIT
/* Decoders of loads, stores, atomics and fences. */
#include "softgpu/decode.h"

#include <string.h>

static enum sg_space space_of(struct sg_parser *p, const struct ptx_insn *pi)
{
	if (ptx_has(pi, PM_GLOBAL))
		return SG_GLOBAL;
	if (ptx_has(pi, PM_SHARED))
		return SG_SHARED;
	if (ptx_has(pi, PM_LOCAL))
		return SG_LOCAL;
	if (ptx_has(pi, PM_CONST))
		return SG_CONST;
	if (ptx_has(pi, PM_PARAM))
		return p->func->entry ? SG_PARAM_ENTRY : SG_PARAM_FRAME;
	return SG_GENERIC;
}

static bool is_strong(const struct ptx_insn *pi)
{
	return ptx_has(pi, PM_VOLATILE) || ptx_has(pi, PM_RELAXED) || ptx_has(pi, PM_ACQUIRE) ||
	       ptx_has(pi, PM_RELEASE) || ptx_has(pi, PM_MMIO);
}

static uint32_t access_flags(const struct ptx_insn *pi, enum ptx_type t, enum sg_space space)
{
	uint32_t f = space | ptx_type_size(t) << 3 | pi->vec << 11;

	f |= ptx_type_signed(t) ? SG_F_SIGNED : 0;
	f |= is_strong(pi) ? SG_F_STRONG : 0;
	f |= ptx_has(pi, PM_ACQUIRE) || ptx_has(pi, PM_RELEASE) ? SG_F_ACQREL : 0;
	return f;
}

/*
 * The space of parameters is told by the symbol where there is one; then the
 * access must be inside of it.
 */
static enum sg_space param_space(struct sg_parser *p, const struct ptx_insn *pi,
				 const struct sg_addr *a, enum sg_space space, unsigned opd,
				 unsigned bytes)
{
	const struct sg_var *v;
	int64_t off;

	if (!a->symbol || (space != SG_PARAM_ENTRY && space != SG_PARAM_FRAME))
		return space;
	if (a->space != SG_PARAM_ENTRY && a->space != SG_PARAM_FRAME)
		sg_parse_fail(p, "'%.40s': no parameter", pi->text);
	v = pi->opd[opd].sym->var;
	off = a->imm - (int64_t)v->at;
	if (off < 0 || (uint64_t)off > v->size || v->size - (uint64_t)off < bytes)
		sg_parse_fail(p, "'%.40s': outside of the parameter", pi->text);
	return a->space;
}

static const struct ptx_opd *data_opds(struct sg_parser *p, const struct ptx_insn *pi, unsigned i)
{
	const struct ptx_opd *o = &pi->opd[i];

	if (pi->vec == 1)
		return o;
	if (o->kind != PO_VEC || o->count != pi->vec)
		sg_parse_fail(p, "'%.40s': a vector of %u expected", pi->text, pi->vec);
	return o->sub;
}

/* All registers of one access have one size; it is the first one's. */
static bool data_wide(struct sg_parser *p, const struct ptx_insn *pi, const struct ptx_opd *o,
		      enum ptx_type t)
{
	for (unsigned i = 0; i < pi->vec; i++)
		if (o[i].kind == PO_REG)
			return sg_build_class(p, o[i].reg) == RC_64;
	return ptx_type_size(t) == 8;
}

static bool access_ok(const struct ptx_insn *pi, enum ptx_type t)
{
	return t != PT_PRED && t != PT_OTHER && ptx_type_size(t) <= 8 &&
	       ptx_type_size(t) * pi->vec <= 16 && !ptx_has(pi, PM_CLUSTER);
}

static unsigned load_op(enum sg_space space, uint32_t flags, const struct ptx_insn *pi, bool wide)
{
	unsigned size = (flags & SG_F_SIZE) >> 3;

	if (space == SG_PARAM_ENTRY && flags & SG_F_ADDRLESS)
		return SG_OP_ld_entry;
	if (pi->vec != 1 || flags & (SG_F_STRONG | SG_F_A32 | SG_F_ADDRLESS))
		return space == SG_SHARED && size == 4 && !wide && pi->vec == 1 &&
		       !(flags & (SG_F_STRONG | SG_F_ADDRLESS)) ? SG_OP_ld_shared_32 : SG_OP_ld;
	if (space == SG_GLOBAL || space == SG_GENERIC)
		return size == 4 && !wide ? SG_OP_ld_32 : size == 8 ? SG_OP_ld_64 : SG_OP_ld;
	return space == SG_SHARED && size == 4 && !wide ? SG_OP_ld_shared_32 : SG_OP_ld;
}

void sg_decode_ld(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	enum sg_space space = space_of(p, pi);
	const struct ptx_opd *o;
	struct sg_addr a;
	struct sg_insn *in;
	uint32_t flags;
	sg_opd v[4];
	bool wide;

	sg_need_opds(p, pi, 2, 3);		/* a third is a cache policy */
	if (!access_ok(pi, t) || pi->nopds == 3) {
		sg_emit_unsupported(p, pi);
		return;
	}
	o = data_opds(p, pi, 0);
	wide = data_wide(p, pi, o, t);
	for (unsigned i = 0; i < pi->vec; i++) {
		v[i] = 0;
		if (o[i].kind == PO_SINK)
			continue;
		if (o[i].kind != PO_REG || sg_build_class(p, o[i].reg) != (wide ? RC_64 : RC_32))
			sg_parse_fail(p, "'%.40s': wrong destination", pi->text);
		v[i] = o[i].reg << 1;
	}
	if (ptx_type_size(t) == 8 && !wide)
		sg_parse_fail(p, "'%.40s': operand of another size", pi->text);
	a = sg_address(p, pi, 1);
	space = param_space(p, pi, &a, space, 1, ptx_type_size(t) * pi->vec);
	flags = access_flags(pi, t, space) | (wide ? SG_F_WIDE : 0) | SG_F_VWRITE;
	in = sg_emit(p, pi, load_op(space, flags | a.flags, pi, wide),
		     flags & SG_F_STRONG ? SG_K_POLL : SG_K_MEM);
	in->flags |= flags;
	for (unsigned i = 0; i < pi->vec; i++)
		in->opd[SG_V + i] = v[i];
	sg_set_address(p, in, &a);
}

static unsigned store_op(enum sg_space space, uint32_t flags, const struct ptx_insn *pi, bool wide)
{
	unsigned size = (flags & SG_F_SIZE) >> 3;

	if (pi->vec != 1 || flags & (SG_F_STRONG | SG_F_ADDRLESS))
		return SG_OP_st;
	if (space == SG_SHARED && size == 4 && !wide)
		return SG_OP_st_shared_32;
	if ((space != SG_GLOBAL && space != SG_GENERIC) || flags & SG_F_A32)
		return SG_OP_st;
	return size == 4 && !wide ? SG_OP_st_32 : size == 8 ? SG_OP_st_64 : SG_OP_st;
}

void sg_decode_st(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	enum sg_space space = space_of(p, pi);
	const struct ptx_opd *o;
	struct sg_addr a;
	struct sg_insn *in;
	uint32_t flags;
	sg_opd v[4];
	bool wide;

	sg_need_opds(p, pi, 2, 3);
	if (!access_ok(pi, t) || pi->nopds == 3) {
		sg_emit_unsupported(p, pi);
		return;
	}
	o = data_opds(p, pi, 1);
	wide = data_wide(p, pi, o, t);
	if (ptx_type_size(t) == 8 && !wide)
		sg_parse_fail(p, "'%.40s': operand of another size", pi->text);
	for (unsigned i = 0; i < pi->vec; i++) {
		if (o[i].kind == PO_FLOAT)
			v[i] = sg_src_opd(p, pi, &o[i], t);
		else
			v[i] = sg_src_opd(p, pi, &o[i], wide ? PT_B64 : PT_B32);
	}
	a = sg_address(p, pi, 0);
	space = param_space(p, pi, &a, space, 0, ptx_type_size(t) * pi->vec);
	if (space == SG_PARAM_ENTRY || space == SG_CONST)
		sg_parse_fail(p, "'%.40s': this space cannot be written", pi->text);
	flags = access_flags(pi, t, space) | (wide ? SG_F_WIDE : 0);
	in = sg_emit(p, pi, store_op(space, flags | a.flags, pi, wide), SG_K_MEM);
	in->flags |= flags;
	for (unsigned i = 0; i < pi->vec; i++)
		in->opd[SG_V + i] = v[i];
	sg_set_address(p, in, &a);
}

static int atom_sub(const struct ptx_insn *pi)
{
	static const struct { uint8_t mod, sub; } subs[] = {
		{ PM_ADD, SG_ATOM_ADD }, { PM_AND, SG_ATOM_AND }, { PM_OR, SG_ATOM_OR },
		{ PM_XOR, SG_ATOM_XOR }, { PM_EXCH, SG_ATOM_EXCH }, { PM_CAS, SG_ATOM_CAS },
		{ PM_MIN, SG_ATOM_MIN }, { PM_MAX, SG_ATOM_MAX }, { PM_INC, SG_ATOM_INC },
		{ PM_DEC, SG_ATOM_DEC },
	};

	for (size_t i = 0; i < sizeof(subs) / sizeof(*subs); i++)
		if (ptx_has(pi, subs[i].mod))
			return subs[i].sub;
	return -1;
}

static bool atom_ok(const struct ptx_insn *pi, enum ptx_type t, int sub)
{
	bool is_float = ptx_type_float(t);

	if (sub < 0 || pi->vec != 1 || t == PT_PRED || t == PT_OTHER || ptx_type_size(t) > 8 ||
	    ptx_type_size(t) < 2 || ptx_has(pi, PM_CLUSTER))
		return false;
	if (sub == SG_ATOM_INC || sub == SG_ATOM_DEC)
		return t == PT_U32;
	if (ptx_type_size(t) == 2 && !is_float)
		return sub == SG_ATOM_CAS || sub == SG_ATOM_EXCH;
	if (is_float)
		return sub == SG_ATOM_ADD ||
		       ((sub == SG_ATOM_MIN || sub == SG_ATOM_MAX) && t != PT_F32 && t != PT_F64);
	return true;
}

void sg_decode_atom(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	unsigned red = pi->op[0] == 'r';	/* no destination */
	enum sg_space space = space_of(p, pi);
	int sub = atom_sub(pi);
	unsigned n = 3 - red + (sub == SG_ATOM_CAS);
	sg_opd d = 0, b, c = 0;
	struct sg_insn *in;
	struct sg_addr a;

	if (!atom_ok(pi, t, sub) || pi->nopds != n) {
		sg_emit_unsupported(p, pi);
		return;
	}
	if (space != SG_GENERIC && space != SG_GLOBAL && space != SG_SHARED)
		sg_parse_fail(p, "'%.40s': wrong space", pi->text);
	if (!red)
		d = sg_dst(p, pi, 0, sg_type_class(t));
	a = sg_address(p, pi, 1 - red);
	b = sg_src(p, pi, 2 - red, t);
	if (sub == SG_ATOM_CAS)
		c = sg_src(p, pi, 3 - red, t);
	in = sg_emit(p, pi, SG_OP_atom, SG_K_POLL);
	in->sub = sub;
	in->flags |= space | ptx_type_size(t) << 3 | (uint32_t)t << SG_F_TYPE_SHIFT;
	in->opd[SG_D] = d;
	in->opd[SG_B] = b;
	in->opd[SG_C] = c;
	sg_set_address(p, in, &a);
}

/* A hint: nothing is done. */
void sg_decode_prefetch(struct sg_parser *p, const struct ptx_insn *pi)
{
	sg_emit(p, pi, SG_OP_nop, SG_K_ALU);
}

void sg_decode_isspacep(struct sg_parser *p, const struct ptx_insn *pi)
{
	sg_opd d = sg_dst(p, pi, 0, RC_PRED), a = sg_src(p, pi, 1, PT_B64);
	struct sg_insn *in;

	if (ptx_has(pi, PM_CLUSTER)) {
		sg_emit_unsupported(p, pi);
		return;
	}
	in = sg_emit(p, pi, SG_OP_isspacep, SG_K_ALU);
	in->opd[SG_D] = d;
	in->opd[SG_A] = a;
	in->sub = space_of(p, pi);
	if (in->sub == SG_PARAM_FRAME)
		in->sub = SG_PARAM_ENTRY;
}

void sg_decode_membar(struct sg_parser *p, const struct ptx_insn *pi)
{
	sg_emit(p, pi, SG_OP_fence, SG_K_MEM);
}
