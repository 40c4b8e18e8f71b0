// SPDX-License-Identifier: MIT
/* Decoders of branches, calls, barriers and what lanes do together. */
#include "softgpu/decode.h"

#include <string.h>

void sg_decode_bra(struct sg_parser *p, const struct ptx_insn *pi)
{
	sg_need_opds(p, pi, 1, 1);
	if (pi->opd[0].kind != PO_NAME && (pi->opd[0].kind != PO_SYM))
		sg_parse_fail(p, "'%.40s': a label expected", pi->text);
	if (pi->opd[0].kind == PO_SYM)
		sg_parse_fail(p, "'%.40s' is no label", pi->opd[0].sym->name);
	sg_emit(p, pi, SG_OP_bra, SG_K_BRANCH);
	sg_build_patch(p, pi->opd[0].name, strlen(pi->opd[0].name), NULL);
}

void sg_decode_brx(struct sg_parser *p, const struct ptx_insn *pi)
{
	struct sg_insn *in;
	sg_opd a;

	sg_need_opds(p, pi, 2, 2);
	if (pi->opd[1].kind != PO_SYM || pi->opd[1].sym->kind != SYM_TARGETS)
		sg_parse_fail(p, "'%.40s': a list of targets expected", pi->text);
	a = sg_src(p, pi, 0, PT_U32);
	in = sg_emit(p, pi, SG_OP_brx, SG_K_SWITCH);
	in->opd[SG_A] = a;
	in->imm = (intptr_t)pi->opd[1].sym->targets;
}

/* ---- calls ---- */

static void emit_param_access(struct sg_parser *p, const struct ptx_insn *pi, bool load,
			      uint32_t at, uint32_t size, sg_opd reg)
{
	struct sg_insn *in = pi ? sg_emit(p, pi, load ? SG_OP_ld : SG_OP_st, SG_K_MEM)
				: sg_build_emit(p, load ? SG_OP_ld : SG_OP_st, SG_K_MEM);

	in->flags |= SG_PARAM_FRAME | size << 3 | 1u << 11 | SG_F_ADDRLESS;
	in->flags |= (size == 8 ? SG_F_WIDE : 0) | (load ? SG_F_VWRITE : 0);
	in->opd[SG_V] = reg;
	in->imm = at;
}

void sg_decode_prologue(struct sg_parser *p)
{
	const struct sg_proto *proto = &p->func->proto;

	p->build->cur_text = "ld.param";
	p->build->cur_line = p->lex.token.line;
	for (unsigned i = 0; i < proto->nparams; i++)
		if (proto->params[i]->reg)
			emit_param_access(p, NULL, true, proto->params[i]->at,
					  proto->params[i]->size, proto->params[i]->reg << 1);
}

void sg_decode_ret(struct sg_parser *p, const struct ptx_insn *pi)
{
	const struct sg_proto *proto = &p->func->proto;

	for (unsigned i = 0; i < proto->nrets; i++)
		if (proto->rets[i]->reg)
			emit_param_access(p, pi, false, proto->rets[i]->at,
					  proto->rets[i]->size, proto->rets[i]->reg << 1);
	sg_emit(p, pi, SG_OP_ret, SG_K_RET);
}

/* Arguments that are registers or constants go through .param bytes. */
static struct sg_call_arg call_arg(struct sg_parser *p, const struct ptx_insn *pi,
				   const struct ptx_opd *o, const struct sg_var *formal, bool ret)
{
	struct sg_call_arg arg;

	if (o->kind == PO_SYM && o->sym->kind == SYM_VAR && o->sym->var->space == SG_PARAM_FRAME) {
		arg.at = o->sym->var->at;
		arg.size = o->sym->var->size;
		return arg;
	}
	if (!formal || (ret && o->kind != PO_REG && o->kind != PO_SINK))
		sg_parse_fail(p, "'%.40s': bad argument", pi->text);
	arg.size = o->kind == PO_REG ? (sg_build_class(p, o->reg) == RC_64 ? 8 : 4)
				     : formal->size;
	if (arg.size != 8)
		arg.size = 4;
	arg.at = sg_build_param(p, arg.size, arg.size);
	if (!ret)
		emit_param_access(p, pi, false, arg.at, arg.size,
				  sg_src_opd(p, pi, o, arg.size == 8 ? PT_B64 : PT_B32));
	return arg;
}

static struct sg_call_arg *call_args(struct sg_parser *p, const struct ptx_insn *pi,
				     const struct ptx_opd *list, unsigned *n,
				     struct sg_var **formals, unsigned nformals, bool ret)
{
	struct sg_call_arg *args;

	*n = list ? list->count : 0;
	if (*n > nformals)
		sg_parse_fail(p, "'%.40s': too many arguments", pi->text);
	args = sg_parse_alloc(p, (*n + 1) * sizeof(*args));
	for (unsigned i = 0; i < *n; i++)
		args[i] = call_arg(p, pi, &list->sub[i], formals[i], ret);
	return args;
}

static void check_direct(struct sg_parser *p, const struct sg_call *c)
{
	const struct sg_proto *f = &c->callee->proto;

	if (c->callee->entry || c->nargs != f->nparams || c->nrets > f->nrets)
		sg_parse_fail(p, "call of '%.40s' does not fit it", c->name);
	for (unsigned i = 0; i < c->nargs; i++)
		if (c->args[i].size < f->params[i]->size)
			sg_parse_fail(p, "call of '%.40s' does not fit it", c->name);
	for (unsigned i = 0; i < c->nrets; i++)
		if (c->rets[i].size < f->rets[i]->size)
			sg_parse_fail(p, "call of '%.40s' does not fit it", c->name);
}

static void store_rets(struct sg_parser *p, const struct ptx_insn *pi, const struct sg_call *c,
		       const struct ptx_opd *list)
{
	for (unsigned i = 0; i < c->nrets; i++)
		if (list->sub[i].kind == PO_REG)
			emit_param_access(p, pi, true, c->rets[i].at, c->rets[i].size,
					  list->sub[i].reg << 1);
}

static const struct sg_proto no_proto;

/* What follows the target: arguments, and for an indirect call its prototype. */
static const struct sg_proto *call_tail(struct sg_parser *p, const struct ptx_insn *pi,
					unsigned i, const struct ptx_opd **params)
{
	const struct sg_proto *proto = NULL;

	for (; i < pi->nopds; i++) {
		const struct ptx_opd *o = &pi->opd[i];

		if (o->kind == PO_LIST && !*params)
			*params = o;
		else if (o->kind == PO_SYM && o->sym->kind == SYM_PROTO)
			proto = o->sym->proto ? o->sym->proto : &no_proto;
		else
			sg_parse_fail(p, "'%.40s': bad operand", pi->text);
	}
	return proto;
}

void sg_decode_call(struct sg_parser *p, const struct ptx_insn *pi)
{
	const struct ptx_opd *rets = NULL, *params = NULL, *target;
	struct sg_call *c = sg_parse_alloc(p, sizeof(*c));
	const struct sg_proto *proto;
	struct sg_insn *in;
	unsigned i = 0;
	sg_opd a = 0;

	if (pi->nopds && pi->opd[0].kind == PO_LIST)
		rets = &pi->opd[i++];
	if (i >= pi->nopds)
		sg_parse_fail(p, "'%.40s': a function expected", pi->text);
	target = &pi->opd[i++];
	proto = call_tail(p, pi, i, &params);
	if (target->kind == PO_SYM && target->sym->kind == SYM_FUNC) {
		c->callee = target->sym->func;
		c->name = c->callee->name;
		proto = &c->callee->proto;
	} else if (target->kind == PO_REG && proto) {
		a = sg_src_opd(p, pi, target, PT_B64);
		c->name = "function pointer";
	} else {
		sg_parse_fail(p, "'%.40s': unknown function", pi->text);
	}
	c->args = call_args(p, pi, params, &c->nargs, proto->params, proto->nparams, false);
	c->rets = call_args(p, pi, rets, &c->nrets, proto->rets, proto->nrets, true);
	if (c->callee)
		check_direct(p, c);
	in = sg_emit(p, pi, SG_OP_call, SG_K_CALL);
	in->opd[SG_A] = a;
	in->imm = (intptr_t)c;
	p->func->calls = true;
	store_rets(p, pi, c, rets);
}

/* ---- lanes together ---- */

static struct sg_insn *emit_sync(struct sg_parser *p, const struct ptx_insn *pi, unsigned op,
				 unsigned sub, unsigned mask_opd)
{
	sg_opd e = sg_src(p, pi, mask_opd, PT_B32);
	struct sg_insn *in = sg_emit(p, pi, op, SG_K_SYNC);

	in->sub = sub;
	in->opd[SG_E] = e;
	return in;
}

static sg_opd pair_opd(struct sg_parser *p, const struct ptx_insn *pi)
{
	uint32_t pair = pi->opd[0].pair;

	if (pair && sg_build_class(p, pair) != RC_PRED)
		sg_parse_fail(p, "'%.40s': a predicate expected", pi->text);
	return pair << 1;
}

static int sub_of(const struct ptx_insn *pi, enum ptx_mod first, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (ptx_has(pi, first + i))
			return i;
	return -1;
}

void sg_decode_shfl(struct sg_parser *p, const struct ptx_insn *pi)
{
	int sub = sub_of(pi, PM_UP, 4);
	struct sg_insn *in;
	sg_opd d, a, b, c;

	if (!ptx_has(pi, PM_SYNC) || sub < 0) {
		sg_emit_unsupported(p, pi);
		return;
	}
	sg_need_opds(p, pi, 5, 5);
	d = sg_dst(p, pi, 0, RC_32);
	a = sg_src(p, pi, 1, PT_B32);
	b = sg_src(p, pi, 2, PT_B32);
	c = sg_src(p, pi, 3, PT_B32);
	in = emit_sync(p, pi, SG_OP_shfl, sub, 4);
	in->opd[SG_D] = d;
	in->opd[SG_D2] = pair_opd(p, pi);
	in->opd[SG_A] = a;
	in->opd[SG_B] = b;
	in->opd[SG_C] = c;
}

void sg_decode_vote(struct sg_parser *p, const struct ptx_insn *pi)
{
	int sub = sub_of(pi, PM_ALL, 4);
	struct sg_insn *in;
	bool neg;
	sg_opd d, a;

	if (!ptx_has(pi, PM_SYNC) || sub < 0) {
		sg_emit_unsupported(p, pi);
		return;
	}
	sg_need_opds(p, pi, 3, 3);
	d = sg_dst(p, pi, 0, sub == SG_VOTE_BALLOT ? RC_32 : RC_PRED);
	a = sg_src_pred(p, pi, 1, &neg);
	in = emit_sync(p, pi, SG_OP_vote, sub, 2);
	in->opd[SG_D] = d;
	in->opd[SG_A] = a;
	in->flags |= neg ? SG_F_NEG_A : 0;
}

void sg_decode_match(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	bool all = ptx_has(pi, PM_ALL), wide = ptx_type_size(t) == 8;
	struct sg_insn *in;
	sg_opd d, a;

	sg_need_opds(p, pi, 3, 3);
	d = sg_dst(p, pi, 0, RC_32);
	a = sg_src(p, pi, 1, wide ? PT_B64 : PT_B32);
	in = emit_sync(p, pi, SG_OP_match, (all ? SG_MATCH_ALL_32 : SG_MATCH_ANY_32) + wide, 2);
	in->opd[SG_D] = d;
	in->opd[SG_D2] = pair_opd(p, pi);
	in->opd[SG_A] = a;
}

static int redux_sub(const struct ptx_insn *pi, bool is_signed)
{
	if (ptx_has(pi, PM_ADD))
		return SG_REDUX_ADD;
	if (ptx_has(pi, PM_MIN))
		return SG_REDUX_MIN_U + is_signed;
	if (ptx_has(pi, PM_MAX))
		return SG_REDUX_MAX_U + is_signed;
	if (ptx_has(pi, PM_AND))
		return SG_REDUX_AND;
	if (ptx_has(pi, PM_OR))
		return SG_REDUX_OR;
	return ptx_has(pi, PM_XOR) ? SG_REDUX_XOR : -1;
}

void sg_decode_redux(struct sg_parser *p, const struct ptx_insn *pi)
{
	enum ptx_type t = sg_need_type(p, pi, 0);
	int sub = redux_sub(pi, ptx_type_signed(t));
	struct sg_insn *in;
	sg_opd d, a;

	if (sub < 0 || ptx_type_size(t) != 4 || ptx_type_float(t)) {
		sg_emit_unsupported(p, pi);
		return;
	}
	sg_need_opds(p, pi, 3, 3);
	d = sg_dst(p, pi, 0, RC_32);
	a = sg_src(p, pi, 1, PT_B32);
	in = emit_sync(p, pi, SG_OP_redux, sub, 2);
	in->opd[SG_D] = d;
	in->opd[SG_A] = a;
}

void sg_decode_elect(struct sg_parser *p, const struct ptx_insn *pi)
{
	struct sg_insn *in;
	sg_opd d;

	sg_need_opds(p, pi, 2, 2);
	d = sg_dst(p, pi, 0, RC_32);
	in = emit_sync(p, pi, SG_OP_elect, 0, 1);
	in->opd[SG_D] = d;
	in->opd[SG_D2] = pair_opd(p, pi);
}

void sg_decode_activemask(struct sg_parser *p, const struct ptx_insn *pi)
{
	sg_opd d = sg_dst(p, pi, 0, RC_32);

	sg_emit(p, pi, SG_OP_activemask, SG_K_ALU)->opd[SG_D] = d;
}

/* ---- barriers ---- */

static void decode_bar_red(struct sg_parser *p, const struct ptx_insn *pi)
{
	int sub = ptx_has(pi, PM_POPC) ? SG_BAR_POPC : ptx_has(pi, PM_AND) ? SG_BAR_AND :
		  ptx_has(pi, PM_OR) ? SG_BAR_OR : -1;
	struct sg_insn *in;
	sg_opd d, a, b = 0, c;
	bool neg;

	sg_need_opds(p, pi, 3, 4);
	if (sub < 0)
		sg_parse_fail(p, "'%.40s': no reduction", pi->text);
	d = sg_dst(p, pi, 0, sub == SG_BAR_POPC ? RC_32 : RC_PRED);
	a = sg_src(p, pi, 1, PT_U32);
	if (pi->nopds == 4)
		b = sg_src(p, pi, 2, PT_U32);
	c = sg_src_pred(p, pi, pi->nopds - 1, &neg);
	in = sg_emit(p, pi, SG_OP_bar, SG_K_BARRIER);
	in->sub = sub;
	in->opd[SG_D] = d;
	in->opd[SG_A] = a;
	in->opd[SG_B] = b;
	in->opd[SG_C] = c;
	in->flags |= neg ? SG_F_NEG_C : 0;
}

void sg_decode_bar(struct sg_parser *p, const struct ptx_insn *pi)
{
	struct sg_insn *in;
	sg_opd a, b = 0;

	if (ptx_has(pi, PM_CLUSTER)) {
		sg_emit_unsupported(p, pi);
		return;
	}
	if (ptx_has(pi, PM_WARP)) {
		sg_need_opds(p, pi, 1, 1);
		emit_sync(p, pi, SG_OP_barwarp, 0, 0);
		return;
	}
	if (ptx_has(pi, PM_RED)) {
		decode_bar_red(p, pi);
		return;
	}
	sg_need_opds(p, pi, 1, 2);
	a = sg_src(p, pi, 0, PT_U32);
	if (pi->nopds == 2)
		b = sg_src(p, pi, 1, PT_U32);
	in = sg_emit(p, pi, SG_OP_bar, SG_K_BARRIER);
	in->sub = ptx_has(pi, PM_ARRIVE) ? SG_BAR_ARRIVE : SG_BAR_SYNC;
	in->opd[SG_A] = a;
	in->opd[SG_B] = b;
}

void sg_decode_simple(struct sg_parser *p, const struct ptx_insn *pi)
{
	static const struct { char name[12]; uint8_t kind; uint16_t op; } simple[] = {
		{ "exit", SG_K_EXIT, SG_OP_exit }, { "trap", SG_K_TRAP, SG_OP_trap },
		{ "brkpt", SG_K_TRAP, SG_OP_trap }, { "nanosleep", SG_K_YIELD, SG_OP_nanosleep },
		{ "pmevent", SG_K_ALU, SG_OP_nop },
	};

	for (size_t i = 0; i < sizeof(simple) / sizeof(*simple); i++)
		if (!strcmp(pi->op, simple[i].name))
			sg_emit(p, pi, simple[i].op, simple[i].kind);
}
