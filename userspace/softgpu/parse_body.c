// SPDX-License-Identifier: MIT
/* The reader of PTX inside of functions: declarations, labels, instructions. */
#include "softgpu/ptx.h"
#include "softgpu/build.h"
#include "softgpu/decode.h"

#include <string.h>

#define MAX_FORMALS	512
#define POOL		600	/* operands in lists of one instruction */

struct opd_pool {
	struct ptx_opd	opd[POOL];
	unsigned	used;
};

void sg_parse_formals(struct sg_parser *p, bool entry, struct sg_var ***vars, unsigned *n)
{
	struct sg_var *v[MAX_FORMALS];

	*n = 0;
	while (!sg_at_punct(p, ')')) {
		if (*n == MAX_FORMALS)
			sg_parse_fail(p, "too many parameters");
		v[(*n)++] = sg_parse_formal(p, entry);
		if (!sg_take_punct(p, ','))
			break;
	}
	*vars = sg_parse_alloc(p, (*n + 1) * sizeof(**vars));
	memcpy(*vars, v, *n * sizeof(**vars));
}

/* Offsets of formals: first what is returned, then what is passed. */
static void place_formals(struct sg_parser *p, struct sg_var **vars, unsigned n, uint64_t *at,
			  uint64_t limit)
{
	for (unsigned i = 0; i < n; i++) {
		*at = (*at + vars[i]->align - 1) & ~(uint64_t)(vars[i]->align - 1);
		vars[i]->at = *at;
		*at += vars[i]->size;
		if (*at > limit)
			sg_parse_fail(p, "too many bytes of parameters");
	}
}

static void parse_prototype(struct sg_parser *p, struct sg_symbol *sym)
{
	struct sg_proto *proto = sg_parse_alloc(p, sizeof(*proto));

	if (sg_take_punct(p, '(')) {
		sg_parse_formals(p, false, &proto->rets, &proto->nrets);
		sg_need_punct(p, ')');
	}
	if (p->lex.token.tok != T_IDENT)
		sg_parse_fail(p, "a name or _ expected");
	sg_lex_next(&p->lex);
	if (sg_take_punct(p, '(')) {
		sg_parse_formals(p, false, &proto->params, &proto->nparams);
		sg_need_punct(p, ')');
	}
	while (p->lex.token.tok == T_DIR || p->lex.token.tok == T_INT)
		sg_lex_next(&p->lex);		/* .noreturn, .abi_preserve */
	sg_need_punct(p, ';');
	sym->proto = proto;
}

static unsigned count_names(struct sg_parser *p)
{
	struct sg_lexer save = p->lex;
	unsigned n = 0;

	while (p->lex.token.tok == T_IDENT || sg_at_punct(p, ',')) {
		n += p->lex.token.tok == T_IDENT;
		sg_lex_next(&p->lex);
	}
	p->lex = save;
	return n;
}

static void parse_branchtargets(struct sg_parser *p, struct sg_symbol *sym)
{
	unsigned n = count_names(p);
	struct sg_targets *t = sg_parse_alloc(p, sizeof(*t) + n * sizeof(*t->pc));

	sym->targets = t;
	while (p->lex.token.tok == T_IDENT) {
		sg_build_patch(p, p->lex.token.text, p->lex.token.len, &t->pc[t->count++]);
		sg_lex_next(&p->lex);
		if (!sg_take_punct(p, ','))
			break;
	}
	sg_need_punct(p, ';');
}

static void parse_label(struct sg_parser *p, const struct sg_token *name)
{
	struct sg_symbol *sym;

	if (sg_take_dir(p, "callprototype")) {
		sym = sg_parse_define(p, p->scope, name->text, name->len, SYM_PROTO);
		parse_prototype(p, sym);
	} else if (sg_take_dir(p, "branchtargets")) {
		sym = sg_parse_define(p, p->scope, name->text, name->len, SYM_TARGETS);
		parse_branchtargets(p, sym);
	} else if (sg_take_dir(p, "calltargets")) {
		sym = sg_parse_define(p, p->scope, name->text, name->len, SYM_PROTO);
		while (p->lex.token.tok == T_IDENT || sg_at_punct(p, ','))
			sg_lex_next(&p->lex);
		sg_need_punct(p, ';');
	} else {
		sym = sg_parse_define(p, p->scope, name->text, name->len, SYM_LABEL);
		sym->pc = p->build->ncode;
	}
}

static void define_register(struct sg_parser *p, const struct sg_token *name,
			    enum sg_reg_class class)
{
	struct sg_symbol *sym = sg_parse_define(p, p->scope, name->text, name->len, SYM_REG);
	uint64_t count = 1;

	if (sg_take_punct(p, '<')) {
		count = p->lex.token.value;
		if (p->lex.token.tok != T_INT || count > SG_MAX_REGS)
			sg_parse_fail(p, "bad number of registers");
		sg_lex_next(&p->lex);
		sg_need_punct(p, '>');
		sym->range = true;
	}
	sym->count = count;
	sym->reg = sg_build_regs(p, class, count);
}

static void parse_reg(struct sg_parser *p)
{
	enum ptx_type t;

	sg_lex_next(&p->lex);
	if (sg_at_dir(p, "v2") || sg_at_dir(p, "v4"))
		sg_parse_fail(p, "vector registers are not supported");
	t = sg_parse_type(p);
	if (ptx_type_size(t) > 8)
		t = PT_B64;	/* .b128: only instructions that are not supported use it */
	do {
		struct sg_token name = p->lex.token;

		if (name.tok != T_IDENT)
			sg_parse_fail(p, "the name of a register expected");
		sg_lex_next(&p->lex);
		define_register(p, &name,
				t == PT_PRED ? RC_PRED : ptx_type_size(t) == 8 ? RC_64 : RC_32);
	} while (sg_take_punct(p, ','));
	sg_need_punct(p, ';');
}

/* ---- operands ---- */

static void parse_operand(struct sg_parser *p, struct ptx_opd *o, struct opd_pool *pool,
			  unsigned depth);

static void parse_items(struct sg_parser *p, struct ptx_opd *o, struct opd_pool *pool,
			unsigned depth, int end)
{
	struct ptx_opd *first = &pool->opd[pool->used];
	unsigned n = 0, room = depth ? 0 : 256;

	/* Lists do not nest; their items lie side by side in the pool. */
	if (!room)
		sg_parse_fail(p, "a list inside of a list");
	while (!sg_at_punct(p, end)) {
		if (n == room - 1 || pool->used == POOL)
			sg_parse_fail(p, "too many operands");
		n++;
		parse_operand(p, &pool->opd[pool->used++], pool, depth + 1);
		if (!sg_take_punct(p, ','))
			break;
	}
	sg_need_punct(p, end);
	o->sub = first;
	o->count = n;
}

static void operand_offset(struct sg_parser *p, struct ptx_opd *o)
{
	if (sg_take_punct(p, '+'))
		o->imm = sg_parse_const(p);
	else if (sg_at_punct(p, '-'))
		o->imm = sg_parse_const(p);
}

static bool operand_sreg(struct sg_parser *p, struct ptx_opd *o, const struct sg_token *name)
{
	const struct sg_token *t = &p->lex.token;
	unsigned axis = 0;
	int sreg;

	if (t->tok == T_DIR && t->len == 1 && t->text[0] >= 'x' && t->text[0] <= 'z')
		axis = 1 + (unsigned)(t->text[0] - 'x');
	sreg = sg_sreg_named(name->text, name->len, axis);
	if (sreg < 0)
		return false;
	if (axis)
		sg_lex_next(&p->lex);
	o->kind = PO_SREG;
	o->imm = (unsigned)sreg;
	return true;
}

static uint32_t symbol_register(const struct sg_symbol *sym, const struct sg_token *name)
{
	uint32_t n = 0;

	if (!sym->range)
		return sym->reg;
	for (unsigned i = sym->len; i < name->len; i++)
		n = n * 10 + (unsigned)(name->text[i] - '0');
	return sym->reg + n;
}

/* The token at hand is a T_IDENT. */
static void operand_name(struct sg_parser *p, struct ptx_opd *o)
{
	struct sg_token name = p->lex.token;
	const struct sg_symbol *sym = sg_scope_find(p->scope, name.text, name.len);

	sg_lex_next(&p->lex);
	if (sym && sym->kind == SYM_REG) {
		o->kind = PO_REG;
		o->reg = symbol_register(sym, &name);
	} else if (sym && sym->kind != SYM_LABEL) {
		o->kind = PO_SYM;
		o->sym = sym;
	} else if (name.len == 1 && name.text[0] == '_') {
		o->kind = PO_SINK;
	} else if (name.len == 7 && !memcmp(name.text, "WARP_SZ", 7)) {
		o->kind = PO_IMM;
		o->imm = SG_WARP;
	} else if (name.text[0] != '%' || !operand_sreg(p, o, &name)) {
		o->kind = PO_NAME;
		o->name = sg_parse_name(p, name.text, name.len);
	}
}

static void operand_pair(struct sg_parser *p, struct ptx_opd *o)
{
	struct ptx_opd second = { 0 };

	if (p->lex.token.tok == T_IDENT)
		operand_name(p, &second);
	if (second.kind == PO_SINK)
		o->pair_sink = true;
	else if (second.kind == PO_REG)
		o->pair = second.reg;
	else
		sg_parse_fail(p, "a predicate expected");
}

static void operand_memory(struct sg_parser *p, struct ptx_opd *o)
{
	if (p->lex.token.tok == T_IDENT) {
		operand_name(p, o);
		if (o->kind == PO_NAME)
			sg_parse_fail(p, "unknown name '%.40s'", o->name);
		if (o->kind != PO_REG && o->kind != PO_SYM)
			sg_parse_fail(p, "bad address");
		operand_offset(p, o);
	} else {
		o->imm = sg_parse_const(p);
	}
	o->kind = PO_MEM;
	sg_need_punct(p, ']');
}

static void operand_float(struct sg_parser *p, struct ptx_opd *o, bool neg)
{
	o->kind = PO_FLOAT;
	o->size = p->lex.token.size;
	o->imm = p->lex.token.value;
	if (neg)
		o->imm ^= o->size == 4 ? 1ull << 31 : 1ull << 63;
	sg_lex_next(&p->lex);
}

static void operand_minus(struct sg_parser *p, struct ptx_opd *o)
{
	struct sg_lexer save = p->lex;

	sg_lex_next(&p->lex);
	if (p->lex.token.tok == T_FLOAT) {
		operand_float(p, o, true);
		return;
	}
	p->lex = save;
	o->kind = PO_IMM;
	o->imm = sg_parse_const(p);
}

static void parse_operand(struct sg_parser *p, struct ptx_opd *o, struct opd_pool *pool,
			  unsigned depth)
{
	*o = (struct ptx_opd){ 0 };
	if (sg_take_punct(p, '{')) {
		o->kind = PO_VEC;
		parse_items(p, o, pool, depth, '}');
	} else if (sg_at_punct(p, '(') && !depth) {
		sg_lex_next(&p->lex);
		o->kind = PO_LIST;
		parse_items(p, o, pool, depth, ')');
	} else if (sg_take_punct(p, '[')) {
		operand_memory(p, o);
	} else if (sg_take_punct(p, '!')) {
		if (p->lex.token.tok == T_IDENT)
			operand_name(p, o);
		else
			sg_parse_fail(p, "a predicate expected");
		o->neg = true;
	} else if (p->lex.token.tok == T_IDENT) {
		operand_name(p, o);
		if (sg_take_punct(p, '|'))
			operand_pair(p, o);
		else if (o->kind == PO_SYM)
			operand_offset(p, o);
	} else if (p->lex.token.tok == T_FLOAT) {
		operand_float(p, o, false);
	} else if (sg_at_punct(p, '-')) {
		operand_minus(p, o);
	} else {
		o->kind = PO_IMM;
		o->imm = sg_parse_const(p);
	}
}

/* ---- instructions ---- */

static void add_modifier(struct ptx_insn *pi, const struct sg_token *t)
{
	enum ptx_type type = sg_type_named(t->text, t->len);
	enum ptx_mod m;

	if (type != PT_NONE) {
		if (pi->ntypes < 4)
			pi->type[pi->ntypes++] = type;
		return;
	}
	m = sg_mod_named(t->text, t->len);
	if (m == PM_V2 || m == PM_V4)
		pi->vec = m == PM_V2 ? 2 : 4;
	pi->mods[m / 64] |= 1ull << (m % 64);
	if (pi->nmods < PTX_MAX_MODS)
		pi->order[pi->nmods++] = m;
}

static void parse_opcode(struct sg_parser *p, struct ptx_insn *pi)
{
	const char *start = p->lex.token.text, *end = start + p->lex.token.len;

	pi->line = p->lex.token.line;
	pi->op = sg_parse_name(p, start, p->lex.token.len);
	sg_lex_next(&p->lex);
	while (p->lex.token.tok == T_DIR) {
		add_modifier(pi, &p->lex.token);
		end = p->lex.token.text + p->lex.token.len;
		sg_lex_next(&p->lex);
	}
	pi->text = end - start < 128 && !memchr(start, '\n', end - start) ?
		   sg_parse_name(p, start, end - start) : pi->op;
}

/* What is not known is kept by name and fails only if it is run. */
static void skip_operands(struct sg_parser *p)
{
	while (!sg_at_punct(p, ';')) {
		if (p->lex.token.tok == T_END || p->lex.token.tok == T_BAD)
			sg_parse_fail(p, "';' expected");
		sg_lex_next(&p->lex);
	}
}

static void parse_guard(struct sg_parser *p, struct ptx_insn *pi)
{
	struct ptx_opd o = { 0 };

	if (!sg_take_punct(p, '@'))
		return;
	pi->guard_neg = sg_take_punct(p, '!');
	if (p->lex.token.tok == T_IDENT)
		operand_name(p, &o);
	if (o.kind != PO_REG || sg_build_class(p, o.reg) != RC_PRED)
		sg_parse_fail(p, "a predicate expected");
	pi->guard = o.reg;
}

static void parse_insn(struct sg_parser *p)
{
	struct ptx_insn pi = { .vec = 1 };
	struct opd_pool pool;

	pool.used = 0;
	parse_guard(p, &pi);
	if (p->lex.token.tok != T_IDENT)
		sg_parse_fail(p, "an instruction expected");
	parse_opcode(p, &pi);
	if (!sg_opcode_known(&pi)) {
		skip_operands(p);
	} else {
		while (!sg_at_punct(p, ';')) {
			if (pi.nopds == PTX_MAX_OPDS)
				sg_parse_fail(p, "too many operands");
			parse_operand(p, &pi.opd[pi.nopds++], &pool, 0);
			if (!sg_take_punct(p, ','))
				break;
		}
	}
	if (!sg_at_punct(p, ';'))
		sg_parse_fail(p, "';' expected");
	sg_decode(p, &pi);
	sg_lex_next(&p->lex);
}

static void skip_line(struct sg_parser *p)
{
	unsigned line = p->lex.token.line;

	while (p->lex.token.tok != T_END && p->lex.token.line == line)
		sg_lex_next(&p->lex);
}

static void parse_body_dir(struct sg_parser *p)
{
	enum sg_space space;

	if (sg_at_dir(p, "reg"))
		parse_reg(p);
	else if (sg_space_named(&p->lex.token, &space))
		sg_parse_vars(p, LINK_STATIC);
	else if (sg_at_dir(p, "loc") || sg_at_dir(p, "file"))
		skip_line(p);
	else if (sg_take_dir(p, "pragma"))
		skip_operands(p);
	else
		sg_parse_fail(p, "unknown directive");
}

static void parse_statement(struct sg_parser *p)
{
	struct sg_token name = p->lex.token;
	struct sg_lexer save;

	if (name.tok == T_DIR) {
		parse_body_dir(p);
		return;
	}
	if (name.tok == T_IDENT) {
		save = p->lex;
		sg_lex_next(&p->lex);
		if (sg_take_punct(p, ':')) {
			parse_label(p, &name);
			return;
		}
		p->lex = save;
	}
	parse_insn(p);
}

void sg_parse_body(struct sg_parser *p)
{
	unsigned depth = 0;
	uint64_t at = 0;

	if (p->func->entry) {
		place_formals(p, p->func->proto.params, p->func->proto.nparams, &at,
			      SG_MAX_PARAM_BYTES);
		at = 0;
	} else {
		place_formals(p, p->func->proto.rets, p->func->proto.nrets, &at, 1u << 20);
		place_formals(p, p->func->proto.params, p->func->proto.nparams, &at, 1u << 20);
	}
	sg_build_param(p, at, 1);
	sg_decode_prologue(p);
	sg_need_punct(p, '{');
	for (;;) {
		if (sg_take_punct(p, '{')) {
			sg_scope_push(p);
			depth++;
		} else if (sg_take_punct(p, '}')) {
			if (!depth--)
				break;
			sg_scope_pop(p);
		} else if (!sg_take_punct(p, ';')) {
			parse_statement(p);
		}
	}
	sg_build_finish(p);
}
