// SPDX-License-Identifier: MIT
/* Types, constant expressions, variables and their initial values. */
#include "softgpu/ptx.h"
#include "softgpu/build.h"

#include <string.h>

#define MAX_VAR_BYTES	(1ull << 40)
#define MAX_INIT_BYTES	(1ull << 30)
#define MAX_LOCAL_BYTES	(512u << 10)
#define MAX_FORMAL	(32u << 10)
#define MAX_DIMS	8
#define MAX_NESTING	64

static const struct {
	char	name[8];
	uint8_t	size;
	uint8_t	kind;		/* 'u' 's' 'f' 'b' 'p' */
} types[PT_COUNT] = {
	[PT_PRED] = { "pred", 1, 'p' },
	[PT_B8] = { "b8", 1, 'b' }, [PT_U8] = { "u8", 1, 'u' }, [PT_S8] = { "s8", 1, 's' },
	[PT_B16] = { "b16", 2, 'b' }, [PT_U16] = { "u16", 2, 'u' }, [PT_S16] = { "s16", 2, 's' },
	[PT_F16] = { "f16", 2, 'f' }, [PT_BF16] = { "bf16", 2, 'f' },
	[PT_B32] = { "b32", 4, 'b' }, [PT_U32] = { "u32", 4, 'u' }, [PT_S32] = { "s32", 4, 's' },
	[PT_F32] = { "f32", 4, 'f' }, [PT_F16X2] = { "f16x2", 4, 'f' },
	[PT_BF16X2] = { "bf16x2", 4, 'f' },
	[PT_B64] = { "b64", 8, 'b' }, [PT_U64] = { "u64", 8, 'u' }, [PT_S64] = { "s64", 8, 's' },
	[PT_F64] = { "f64", 8, 'f' }, [PT_B128] = { "b128", 16, 'b' },
};

unsigned ptx_type_size(enum ptx_type t)
{
	return types[t].size;
}

bool ptx_type_signed(enum ptx_type t)
{
	return types[t].kind == 's';
}

bool ptx_type_float(enum ptx_type t)
{
	return types[t].kind == 'f';
}

enum ptx_type sg_type_named(const char *text, unsigned len)
{
	static const char * const others[] = {
		"texref", "samplerref", "surfref", "tf32", "e4m3", "e5m2", "e4m3x2", "e5m2x2",
		"s4", "u4", "b1", "u16x2", "s16x2",
	};

	for (int t = PT_PRED; t < PT_OTHER; t++)
		if (strlen(types[t].name) == len && !memcmp(types[t].name, text, len))
			return t;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (strlen(others[i]) == len && !memcmp(others[i], text, len))
			return PT_OTHER;
	return PT_NONE;
}

enum ptx_type sg_parse_type(struct sg_parser *p)
{
	enum ptx_type t = PT_NONE;

	if (p->lex.token.tok == T_DIR)
		t = sg_type_named(p->lex.token.text, p->lex.token.len);
	if (t == PT_NONE)
		sg_parse_fail(p, "a type expected");
	sg_lex_next(&p->lex);
	return t;
}

bool sg_space_named(const struct sg_token *t, enum sg_space *space)
{
	static const struct { const char *name; enum sg_space space; } names[] = {
		{ "global", SG_GLOBAL }, { "shared", SG_SHARED }, { "local", SG_LOCAL },
		{ "const", SG_CONST }, { "param", SG_PARAM_FRAME },
	};

	if (t->tok != T_DIR)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strlen(names[i].name) == t->len && !memcmp(names[i].name, t->text, t->len)) {
			*space = names[i].space;
			return true;
		}
	}
	return false;
}

/* ---- constant expressions ---- */

static uint64_t parse_binary(struct sg_parser *p, int level, unsigned depth);

static void skip_cast(struct sg_parser *p)
{
	sg_lex_next(&p->lex);
	sg_need_punct(p, ')');
}

static uint64_t parse_unary(struct sg_parser *p, unsigned depth)
{
	uint64_t v;

	if (depth > MAX_NESTING)
		sg_parse_fail(p, "expression too deep");
	if (sg_take_punct(p, '-'))
		return -parse_unary(p, depth + 1);
	if (sg_take_punct(p, '+'))
		return parse_unary(p, depth + 1);
	if (sg_take_punct(p, '~'))
		return ~parse_unary(p, depth + 1);
	if (sg_take_punct(p, '!'))
		return !parse_unary(p, depth + 1);
	if (sg_take_punct(p, '(')) {
		if (p->lex.token.tok == T_DIR) {	/* (.s64) and (.u64) change nothing */
			skip_cast(p);
			return parse_unary(p, depth + 1);
		}
		v = parse_binary(p, 0, depth + 1);
		sg_need_punct(p, ')');
		return v;
	}
	v = p->lex.token.value;
	if (p->lex.token.tok != T_INT)
		sg_parse_fail(p, "a constant expected");
	sg_lex_next(&p->lex);
	return v;
}

/* -1: the token is no binary operator */
static int binary_level(const struct sg_token *t)
{
	if (t->tok != T_PUNCT)
		return -1;
	switch (t->punct) {
	case SG_PUNCT2('|', '|'):
		return 0;
	case SG_PUNCT2('&', '&'):
		return 1;
	case '|':
		return 2;
	case '^':
		return 3;
	case '&':
		return 4;
	case SG_PUNCT2('=', '='): case SG_PUNCT2('!', '='):
		return 5;
	case '<': case '>': case SG_PUNCT2('<', '='): case SG_PUNCT2('>', '='):
		return 6;
	case SG_PUNCT2('<', '<'): case SG_PUNCT2('>', '>'):
		return 7;
	case '+': case '-':
		return 8;
	case '*': case '/': case '%':
		return 9;
	default:
		return -1;
	}
}

static uint64_t apply(struct sg_parser *p, int op, uint64_t a, uint64_t b)
{
	switch (op) {
	case SG_PUNCT2('|', '|'): return a || b;
	case SG_PUNCT2('&', '&'): return a && b;
	case '|': return a | b;
	case '^': return a ^ b;
	case '&': return a & b;
	case SG_PUNCT2('=', '='): return a == b;
	case SG_PUNCT2('!', '='): return a != b;
	case '<': return (int64_t)a < (int64_t)b;
	case '>': return (int64_t)a > (int64_t)b;
	case SG_PUNCT2('<', '='): return (int64_t)a <= (int64_t)b;
	case SG_PUNCT2('>', '='): return (int64_t)a >= (int64_t)b;
	case SG_PUNCT2('<', '<'): return b < 64 ? a << b : 0;
	case SG_PUNCT2('>', '>'): return b < 64 ? (uint64_t)((int64_t)a >> b) : 0;
	case '+': return a + b;
	case '-': return a - b;
	case '*': return a * b;
	}
	if (!b || (b == UINT64_MAX && a == 1ull << 63))
		sg_parse_fail(p, "division without a result");
	return op == '/' ? (uint64_t)((int64_t)a / (int64_t)b)
			 : (uint64_t)((int64_t)a % (int64_t)b);
}

static uint64_t parse_binary(struct sg_parser *p, int level, unsigned depth)
{
	uint64_t v = parse_unary(p, depth);
	int at;

	while ((at = binary_level(&p->lex.token)) >= level) {
		int op = p->lex.token.punct;

		sg_lex_next(&p->lex);
		v = apply(p, op, v, parse_binary(p, at + 1, depth + 1));
	}
	return v;
}

uint64_t sg_parse_const(struct sg_parser *p)
{
	uint64_t v = parse_binary(p, 0, 0);

	if (sg_take_punct(p, '?')) {
		uint64_t yes = parse_binary(p, 0, 0), no;

		sg_need_punct(p, ':');
		no = parse_binary(p, 0, 0);
		return v ? yes : no;
	}
	return v;
}

/* ---- initial values ---- */

struct init {
	struct sg_var	*var;
	uint64_t	dims[MAX_DIMS];
	unsigned	ndims;
	unsigned	elem;		/* bytes */
};

static void init_bytes(struct sg_parser *p, struct init *in, uint64_t at, const void *bytes,
		       unsigned n)
{
	struct sg_var *v = in->var;

	if (at > v->size || v->size - at < n)
		sg_parse_fail(p, "more values than '%s' has room for", v->name);
	if (!v->init)
		v->init = sg_parse_alloc(p, v->size);
	memcpy(v->init + at, bytes, n);
}

static uint64_t float_bits(struct sg_parser *p, enum ptx_type type, bool neg)
{
	const struct sg_token *t = &p->lex.token;
	double d;
	float f;
	uint32_t w = (uint32_t)t->value;
	uint64_t bits;

	if (t->size == 4) {
		memcpy(&f, &w, 4);
		d = f;
	} else {
		memcpy(&d, &t->value, 8);
	}
	d = neg ? -d : d;
	f = (float)d;
	memcpy(&w, &f, 4);
	if (t->size == 4 && !neg)
		w = (uint32_t)t->value;		/* payloads of NaN stay */
	memcpy(&bits, &d, 8);
	sg_lex_next(&p->lex);
	return type == PT_F64 ? bits : w;
}

/* name, name + 8, generic(name), 0xFF00(name) */
static void init_symbol(struct sg_parser *p, struct init *in, uint64_t at, uint8_t shift,
			unsigned bytes)
{
	struct sg_reloc *r = sg_parse_alloc(p, sizeof(*r));
	uint8_t zero[8] = { 0 };

	r->sym = sg_scope_find(p->scope, p->lex.token.text, p->lex.token.len);
	if (!r->sym || (r->sym->kind != SYM_VAR && r->sym->kind != SYM_FUNC))
		sg_parse_fail(p, "unknown name in an initial value");
	sg_lex_next(&p->lex);
	init_bytes(p, in, at, zero, bytes);
	r->offset = at;
	r->bytes = bytes;
	r->shift = shift;
	r->next = in->var->relocs;
	in->var->relocs = r;
	if (sg_take_punct(p, '+'))
		r->addend = (int64_t)sg_parse_const(p);
	else if (sg_take_punct(p, '-'))
		r->addend = -(int64_t)sg_parse_const(p);
}

static void init_value(struct sg_parser *p, struct init *in, uint64_t at)
{
	unsigned bytes = in->elem < 8 ? in->elem : 8;
	const struct sg_token *t = &p->lex.token;
	bool neg = false;
	uint64_t v;

	if (t->tok == T_IDENT) {
		bool generic = t->len == 7 && !memcmp(t->text, "generic", 7);

		if (generic) {
			sg_lex_next(&p->lex);
			generic = sg_take_punct(p, '(');
		}
		init_symbol(p, in, at, 0, bytes);
		if (generic)
			sg_need_punct(p, ')');
		if (generic && sg_take_punct(p, '+'))
			in->var->relocs->addend += (int64_t)sg_parse_const(p);
		return;
	}
	if (ptx_type_float(in->var->type)) {
		neg = sg_take_punct(p, '-');
		if (t->tok == T_FLOAT)
			v = float_bits(p, in->var->type, neg);
		else
			v = neg ? -sg_parse_const(p) : sg_parse_const(p);
	} else {
		v = sg_parse_const(p);
	}
	if (sg_take_punct(p, '(')) {
		init_symbol(p, in, at, v ? __builtin_ctzll(v) & 56 : 0, bytes);
		sg_need_punct(p, ')');
		return;
	}
	init_bytes(p, in, at, &v, bytes);
}

static uint64_t dim_bytes(const struct init *in, unsigned dim)
{
	uint64_t n = in->elem;

	while (dim < in->ndims)
		n *= in->dims[dim++];
	return n;
}

static void init_list(struct sg_parser *p, struct init *in, uint64_t at, unsigned dim)
{
	uint64_t step = dim_bytes(in, dim + 1 < in->ndims ? dim + 1 : in->ndims);

	if (dim > MAX_DIMS)
		sg_parse_fail(p, "initial values too deep");
	while (!sg_at_punct(p, '}')) {
		if (sg_take_punct(p, '{')) {
			init_list(p, in, at, dim + 1);
			sg_need_punct(p, '}');
			at += step;
		} else {
			init_value(p, in, at);
			at += in->elem;
		}
		if (!sg_take_punct(p, ','))
			break;
	}
}

/* ---- variables ---- */

struct decl {
	enum sg_space	space;
	enum ptx_type	type;
	uint32_t	align;
	unsigned	vec;
};

static struct decl parse_decl(struct sg_parser *p)
{
	struct decl d = { .vec = 1 };

	if (!sg_space_named(&p->lex.token, &d.space))
		d.space = SG_GLOBAL;		/* .tex */
	sg_lex_next(&p->lex);
	for (;;) {
		if (sg_take_punct(p, '[')) {	/* .const[0] of old */
			sg_parse_const(p);
			sg_need_punct(p, ']');
		} else if (sg_take_dir(p, "align")) {
			uint64_t a = sg_parse_const(p);

			if (!a || a & (a - 1) || a > 65536)
				sg_parse_fail(p, "bad alignment");
			d.align = a;
		} else if (sg_take_dir(p, "v2")) {
			d.vec = 2;
		} else if (sg_take_dir(p, "v4")) {
			d.vec = 4;
		} else if (sg_at_dir(p, "ptr") || sg_at_dir(p, "global") ||
			   sg_at_dir(p, "shared") || sg_at_dir(p, "const") ||
			   sg_at_dir(p, "local") || sg_at_dir(p, "attribute")) {
			bool attribute = sg_at_dir(p, "attribute");

			sg_lex_next(&p->lex);
			if (attribute && sg_take_punct(p, '(')) {
				while (p->lex.token.tok != T_END && !sg_at_punct(p, ')'))
					sg_lex_next(&p->lex);
				sg_need_punct(p, ')');
			}
		} else if (d.type == PT_NONE) {
			d.type = sg_parse_type(p);
		} else {
			return d;
		}
	}
}

static void parse_dims(struct sg_parser *p, struct init *in, struct sg_var *v)
{
	uint64_t total = in->elem;

	while (sg_take_punct(p, '[')) {
		uint64_t n = 0;

		if (!sg_at_punct(p, ']'))
			n = sg_parse_const(p);
		else
			v->unsized = true;
		sg_need_punct(p, ']');
		if (in->ndims == MAX_DIMS || n > MAX_VAR_BYTES)
			sg_parse_fail(p, "array too large");
		in->dims[in->ndims++] = n;
		total *= n ? n : 1;
		if (total > MAX_VAR_BYTES)
			sg_parse_fail(p, "array too large");
	}
	v->size = v->unsized ? 0 : dim_bytes(in, 0);
}

/* An array without a size has as many elements as its initial value. */
static void parse_init(struct sg_parser *p, struct init *in)
{
	struct sg_var *v = in->var;

	if (v->unsized) {
		struct sg_lexer save = p->lex;
		uint64_t n = 0;
		unsigned depth = 0;

		do {
			depth += sg_at_punct(p, '{') - sg_at_punct(p, '}');
			n += sg_at_punct(p, ',');
			sg_lex_next(&p->lex);
		} while (depth && p->lex.token.tok != T_END);
		p->lex = save;
		v->size = (n + 1) * in->elem;
		in->dims[0] = n + 1;
		v->unsized = false;
	}
	if (v->size > MAX_INIT_BYTES)
		sg_parse_fail(p, "initial value too large");
	if (sg_take_punct(p, '{')) {
		init_list(p, in, 0, 0);
		sg_need_punct(p, '}');
	} else {
		init_value(p, in, 0);
	}
}

static struct sg_var *new_var(struct sg_parser *p, const struct decl *d, struct init *in)
{
	struct sg_var *v = sg_parse_alloc(p, sizeof(*v));

	if (p->lex.token.tok != T_IDENT)
		sg_parse_fail(p, "a name expected");
	v->name = sg_parse_name(p, p->lex.token.text, p->lex.token.len);
	v->space = d->space;
	v->type = d->type;
	in->var = v;
	in->elem = (d->type == PT_OTHER ? 8 : ptx_type_size(d->type)) * d->vec;
	v->align = d->align ? d->align : in->elem;
	sg_lex_next(&p->lex);
	parse_dims(p, in, v);
	return v;
}

/* A declaration and a definition of one variable may both be there. */
static struct sg_symbol *define_var(struct sg_parser *p, struct sg_scope *scope, struct sg_var *v)
{
	unsigned len = strlen(v->name);
	struct sg_symbol *sym = scope == &p->mod->scope ? sg_scope_find(scope, v->name, len) : NULL;

	if (sym && sym->kind == SYM_VAR && !sym->range &&
	    (sym->var->linkage == LINK_EXTERN || v->linkage == LINK_EXTERN ||
	     v->linkage == LINK_WEAK)) {
		if (sym->var->linkage == LINK_EXTERN && v->linkage != LINK_EXTERN)
			sym->var = v;
		return sym;
	}
	sym = sg_parse_define(p, scope, v->name, len, SYM_VAR);
	sym->var = v;
	return sym;
}

static void place_local(struct sg_parser *p, struct sg_var *v)
{
	struct sg_function *f = p->func;
	uint64_t at = (f->local_bytes + v->align - 1) & ~(uint64_t)(v->align - 1);

	if (v->size > MAX_LOCAL_BYTES || at + v->size > MAX_LOCAL_BYTES)
		sg_parse_fail(p, "too much local memory");
	v->at = at;
	f->local_bytes = at + v->size;
	if (v->align > f->local_align)
		f->local_align = v->align;
}

void sg_parse_vars(struct sg_parser *p, enum sg_linkage linkage)
{
	struct decl d = parse_decl(p);

	do {
		struct init in = { 0 };
		struct sg_var *v = new_var(p, &d, &in);
		struct sg_symbol *sym;

		v->linkage = linkage;
		if (v->space == SG_LOCAL && !p->func)
			sg_parse_fail(p, ".local outside a function");
		if (v->space == SG_PARAM_FRAME && !p->func)
			sg_parse_fail(p, ".param outside a function");
		sym = define_var(p, p->scope, v);
		if (v->space == SG_LOCAL)
			place_local(p, v);
		else if (v->space == SG_PARAM_FRAME)
			v->at = sg_build_param(p, v->size, v->align);
		if (sg_take_punct(p, '=')) {
			if (v->space != SG_GLOBAL && v->space != SG_CONST)
				sg_parse_fail(p, "only .global and .const have initial values");
			parse_init(p, &in);
		}
		if (sym->var == v && v->space != SG_LOCAL && v->space != SG_PARAM_FRAME) {
			*p->var_tail = v;
			p->var_tail = &v->next;
		}
	} while (sg_take_punct(p, ','));
	sg_need_punct(p, ';');
}

static struct sg_var *parse_reg_formal(struct sg_parser *p)
{
	struct sg_var *v = sg_parse_alloc(p, sizeof(*v));

	sg_lex_next(&p->lex);
	v->type = sg_parse_type(p);
	v->space = SG_PARAM_FRAME;
	v->size = v->type == PT_PRED ? 4 : ptx_type_size(v->type);
	if (v->type == PT_PRED || v->size > 8 || !v->size)
		sg_parse_fail(p, "this type cannot be passed in a register");
	v->align = v->size;
	if (p->lex.token.tok != T_IDENT)
		sg_parse_fail(p, "a name expected");
	v->name = sg_parse_name(p, p->lex.token.text, p->lex.token.len);
	v->reg = sg_build_regs(p, v->size == 8 ? RC_64 : RC_32, 1);
	sg_lex_next(&p->lex);
	return v;
}

struct sg_var *sg_parse_formal(struct sg_parser *p, bool entry)
{
	struct init in = { 0 };
	struct sg_var *v;
	struct decl d;

	if (!entry && p->build && sg_at_dir(p, "reg"))
		return parse_reg_formal(p);
	if (!sg_at_dir(p, "param"))
		sg_parse_fail(p, ".param expected");
	d = parse_decl(p);
	v = new_var(p, &d, &in);
	v->of_entry = entry;
	v->space = entry ? SG_PARAM_ENTRY : SG_PARAM_FRAME;
	if (v->size > MAX_FORMAL)
		sg_parse_fail(p, "parameter too large");
	return v;
}
