// SPDX-License-Identifier: MIT
/*
 * The reader of PTX at the level of a module: version and target, linking
 * directives, functions' heads. Variables are in parse_var.c, bodies in
 * parse_body.c.
 */
#include "softgpu/ptx.h"
#include "softgpu/build.h"

#include <string.h>

#define NEWEST_PTX	90
#define NEWEST_TARGET	75

bool sg_at_punct(struct sg_parser *p, int c)
{
	return p->lex.token.tok == T_PUNCT && p->lex.token.punct == c;
}

bool sg_take_punct(struct sg_parser *p, int c)
{
	if (!sg_at_punct(p, c))
		return false;
	sg_lex_next(&p->lex);
	return true;
}

void sg_need_punct(struct sg_parser *p, int c)
{
	if (!sg_take_punct(p, c))
		sg_parse_fail(p, "'%c' expected", c);
}

static bool token_is(const struct sg_token *t, const char *name)
{
	return t->len == strlen(name) && !memcmp(t->text, name, t->len);
}

bool sg_at_dir(struct sg_parser *p, const char *name)
{
	return p->lex.token.tok == T_DIR && token_is(&p->lex.token, name);
}

bool sg_take_dir(struct sg_parser *p, const char *name)
{
	if (!sg_at_dir(p, name))
		return false;
	sg_lex_next(&p->lex);
	return true;
}

static uint64_t need_int(struct sg_parser *p)
{
	uint64_t v = p->lex.token.value;

	if (p->lex.token.tok != T_INT)
		sg_parse_fail(p, "a number expected");
	sg_lex_next(&p->lex);
	return v;
}

/* .version 9.0 comes as one decimal number. */
static void parse_version(struct sg_parser *p)
{
	const struct sg_token *t = &p->lex.token;
	unsigned tenths;

	if (t->tok != T_FLOAT || t->len < 3 || t->len > 4 || t->text[t->len - 2] != '.')
		sg_parse_fail(p, "a version such as 8.0 expected");
	tenths = (unsigned)(t->text[0] - '0') * 10;
	if (t->len == 4)
		tenths = tenths * 10 + (unsigned)(t->text[1] - '0') * 10;
	tenths += (unsigned)(t->text[t->len - 1] - '0');
	if (tenths < 10 || tenths > NEWEST_PTX)
		sg_parse_stop(p, CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
			      "this .version of PTX is not known");
	sg_lex_next(&p->lex);
}

static unsigned target_number(const struct sg_token *t)
{
	unsigned v = 0;

	for (unsigned i = 3; i < t->len && i < 8; i++)
		if (t->text[i] >= '0' && t->text[i] <= '9')
			v = v * 10 + (unsigned)(t->text[i] - '0');
	return v;
}

static void parse_target(struct sg_parser *p)
{
	do {
		const struct sg_token *t = &p->lex.token;

		if (t->tok != T_IDENT)
			sg_parse_fail(p, "a target expected");
		if (t->len > 3 && !memcmp(t->text, "sm_", 3)) {
			p->target = target_number(t);
			if (p->target > NEWEST_TARGET)
				sg_parse_stop(p, CUDA_ERROR_NO_BINARY_FOR_GPU,
					      ".target is newer than sm_75");
		}
		sg_lex_next(&p->lex);
	} while (sg_take_punct(p, ','));
}

/* .section name { ... }: debug information, not looked at */
static void skip_section(struct sg_parser *p)
{
	unsigned depth = 0;

	while (p->lex.token.tok != T_END) {
		if (sg_at_punct(p, '{'))
			depth++;
		if (sg_at_punct(p, '}') && --depth == 0)
			break;
		if (p->lex.token.tok == T_BAD)
			sg_parse_fail(p, "unknown character");
		if (!depth && sg_at_punct(p, '}'))
			break;
		sg_lex_next(&p->lex);
	}
	sg_need_punct(p, '}');
}

static void skip_file(struct sg_parser *p)
{
	need_int(p);
	if (p->lex.token.tok != T_STRING)
		sg_parse_fail(p, "a file name expected");
	sg_lex_next(&p->lex);
	while (sg_take_punct(p, ','))
		need_int(p);
}

static void skip_pragma(struct sg_parser *p)
{
	while (p->lex.token.tok == T_STRING || sg_at_punct(p, ','))
		sg_lex_next(&p->lex);
	sg_need_punct(p, ';');
}

static enum sg_builtin builtin_named(const char *name)
{
	static const char * const names[] = {
		[SG_B_VPRINTF] = "vprintf", [SG_B_MALLOC] = "malloc",
		[SG_B_FREE] = "free", [SG_B_ASSERTFAIL] = "__assertfail",
	};

	for (int i = 1; i < (int)(sizeof(names) / sizeof(*names)); i++)
		if (!strcmp(name, names[i]))
			return i;
	return SG_B_NONE;
}

static struct sg_function *new_function(struct sg_parser *p, const char *name, unsigned len)
{
	struct sg_symbol *sym = sg_parse_define(p, &p->mod->scope, name, len, SYM_FUNC);
	struct sg_function *f = sg_parse_alloc(p, sizeof(*f));

	f->name = sym->name;
	f->mod = p->mod;
	f->id = p->mod->nfuncs++;
	f->max_threads = SG_MAX_THREADS;
	sym->func = f;
	*p->func_tail = f;
	p->func_tail = &f->next;
	return f;
}

/* The function of that name, declared before or now. */
static struct sg_function *get_function(struct sg_parser *p, const char *name, unsigned len,
					bool entry)
{
	struct sg_symbol *sym = sg_scope_find(&p->mod->scope, name, len);
	struct sg_function *f;

	if (!sym) {
		f = new_function(p, name, len);
		f->entry = entry;
		return f;
	}
	if (sym->kind != SYM_FUNC || sym->func->entry != entry)
		sg_parse_fail(p, "'%s' is something else already", sym->name);
	return sym->func;
}

/* The smallest of .maxntid and .reqntid counts. */
static void parse_ntid(struct sg_parser *p, struct sg_function *f)
{
	uint64_t n = 1;

	do {
		uint64_t v = need_int(p);

		if (!v || v > SG_MAX_THREADS || n * v > SG_MAX_THREADS)
			sg_parse_fail(p, "too many threads a block");
		n *= v;
	} while (sg_take_punct(p, ','));
	if (n < f->max_threads)
		f->max_threads = n;
}

static void parse_directives(struct sg_parser *p, struct sg_function *f)
{
	while (p->lex.token.tok == T_DIR) {
		if (sg_take_dir(p, "maxntid") || sg_take_dir(p, "reqntid")) {
			parse_ntid(p, f);
		} else if (sg_take_dir(p, "pragma")) {
			skip_pragma(p);
		} else {
			/* .minnctapersm, .maxnreg, .noreturn, ... and their numbers */
			sg_lex_next(&p->lex);
			while (p->lex.token.tok == T_INT || sg_at_punct(p, ','))
				sg_lex_next(&p->lex);
		}
	}
}

static void define_formals(struct sg_parser *p, struct sg_var **vars, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct sg_symbol *sym;

		if (!strcmp(vars[i]->name, "_"))
			continue;
		sym = sg_parse_define(p, p->scope, vars[i]->name, strlen(vars[i]->name),
				      vars[i]->reg ? SYM_REG : SYM_VAR);
		if (vars[i]->reg) {
			sym->reg = vars[i]->reg;
			sym->count = 1;
		} else {
			sym->var = vars[i];
		}
	}
}

static void parse_definition(struct sg_parser *p, struct sg_function *f,
			     const struct sg_proto *proto)
{
	if (f->defined)
		sg_parse_fail(p, "function '%s' is defined twice", f->name);
	f->proto = *proto;
	f->defined = true;
	define_formals(p, proto->rets, proto->nrets);
	define_formals(p, proto->params, proto->nparams);
	sg_parse_body(p);
}

static void parse_function(struct sg_parser *p, bool entry, enum sg_linkage linkage)
{
	struct sg_function *f;
	struct sg_proto proto = { 0 };
	const char *name;
	unsigned len;

	/* Formals may be registers: the builder must be there before them. */
	sg_build_start(p);
	sg_scope_push(p);
	if (!entry && sg_take_punct(p, '(')) {
		sg_parse_formals(p, false, &proto.rets, &proto.nrets);
		sg_need_punct(p, ')');
	}
	if (p->lex.token.tok != T_IDENT)
		sg_parse_fail(p, "the name of a function expected");
	name = p->lex.token.text;
	len = p->lex.token.len;
	f = get_function(p, name, len, entry);
	sg_lex_next(&p->lex);
	p->func = f;
	if (sg_take_punct(p, '(')) {
		sg_parse_formals(p, entry, &proto.params, &proto.nparams);
		sg_need_punct(p, ')');
	}
	parse_directives(p, f);
	if (linkage != LINK_EXTERN || !f->defined)
		f->linkage = linkage;
	if (sg_at_punct(p, '{')) {
		parse_definition(p, f, &proto);
	} else {
		sg_take_punct(p, ';');
		if (!f->defined)
			f->proto = proto;
		f->builtin = builtin_named(f->name);
	}
	sg_scope_pop(p);
	p->func = NULL;
	p->build = NULL;
}

static void parse_alias(struct sg_parser *p)
{
	const struct sg_token name = p->lex.token;
	struct sg_symbol *target, *alias;

	sg_lex_next(&p->lex);
	sg_need_punct(p, ',');
	target = sg_scope_find(&p->mod->scope, p->lex.token.text, p->lex.token.len);
	alias = sg_scope_find(&p->mod->scope, name.text, name.len);
	if (!target || target->kind != SYM_FUNC || !alias || alias->kind != SYM_FUNC)
		sg_parse_fail(p, ".alias of what is no function");
	alias->func = target->func;
	sg_lex_next(&p->lex);
	sg_need_punct(p, ';');
}

static enum sg_linkage parse_linkage(struct sg_parser *p)
{
	if (sg_take_dir(p, "visible"))
		return LINK_VISIBLE;
	if (sg_take_dir(p, "extern"))
		return LINK_EXTERN;
	if (sg_take_dir(p, "weak"))
		return LINK_WEAK;
	if (sg_take_dir(p, "common"))
		return LINK_COMMON;
	return LINK_STATIC;
}

static void parse_directive(struct sg_parser *p)
{
	enum sg_linkage linkage = parse_linkage(p);
	enum sg_space space;

	if (sg_take_dir(p, "version"))
		parse_version(p);
	else if (sg_take_dir(p, "target"))
		parse_target(p);
	else if (sg_take_dir(p, "address_size")) {
		if (need_int(p) != 64)
			sg_parse_fail(p, "only 64-bit addresses are supported");
	} else if (sg_take_dir(p, "entry"))
		parse_function(p, true, linkage);
	else if (sg_take_dir(p, "func"))
		parse_function(p, false, linkage);
	else if (sg_space_named(&p->lex.token, &space) || sg_at_dir(p, "tex"))
		sg_parse_vars(p, linkage);
	else if (sg_take_dir(p, "section"))
		skip_section(p);
	else if (sg_take_dir(p, "file"))
		skip_file(p);
	else if (sg_take_dir(p, "pragma"))
		skip_pragma(p);
	else if (sg_take_dir(p, "alias"))
		parse_alias(p);
	else
		sg_parse_fail(p, "unknown directive");
}

/* @@DWARF lines of old compilers end with the line. */
static void skip_dwarf(struct sg_parser *p)
{
	unsigned line = p->lex.token.line;

	while (p->lex.token.tok != T_END && p->lex.token.line == line)
		sg_lex_next(&p->lex);
}

void sg_parse_module(struct sg_parser *p)
{
	if (!sg_at_dir(p, "version"))
		sg_parse_fail(p, "PTX begins with .version");
	while (p->lex.token.tok != T_END) {
		if (sg_at_punct(p, '@'))
			skip_dwarf(p);
		else if (!sg_take_punct(p, ';'))
			parse_directive(p);
	}
	if (!p->target)
		sg_parse_fail(p, ".target is missing");
}
