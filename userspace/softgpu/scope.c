// SPDX-License-Identifier: MIT
/* Symbols and their scopes, the log, and memory of the reader. */
#include "softgpu/ptx.h"
#include "softgpu/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_SCOPES	128

void sg_log_add(struct sg_log *log, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!log || !log->buf || log->used + 1 >= log->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(log->buf + log->used, log->size - log->used, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	log->used += n;
	if (log->used >= log->size)
		log->used = log->size - 1;
}

static int printable(const char *text, unsigned len)
{
	int n = 0;

	while (n < (int)len && n < 40 && text[n] >= ' ' && text[n] <= '~')
		n++;
	return n;
}

void sg_parse_fail(struct sg_parser *p, const char *fmt, ...)
{
	const struct sg_token *t = &p->lex.token;
	char what[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (t->tok == T_END)
		sg_log_add(p->log, "ptx line %u: %s, at the end of the text\n", t->line, what);
	else
		sg_log_add(p->log, "ptx line %u: %s, near '%.*s'\n", t->line, what,
			   printable(t->text, t->len), t->text);
	p->error = CUDA_ERROR_INVALID_PTX;
	longjmp(p->fail, 1);
}

void sg_parse_stop(struct sg_parser *p, CUresult error, const char *text)
{
	sg_log_add(p->log, "ptx line %u: %s\n", p->lex.token.line, text);
	p->error = error;
	longjmp(p->fail, 1);
}

void *sg_parse_alloc(struct sg_parser *p, size_t size)
{
	void *m = sg_arena_alloc(&p->mod->arena, size);

	if (!m)
		sg_parse_stop(p, CUDA_ERROR_OUT_OF_MEMORY, "out of memory");
	return m;
}

char *sg_parse_name(struct sg_parser *p, const char *text, unsigned len)
{
	char *s = sg_parse_alloc(p, (size_t)len + 1);

	memcpy(s, text, len);
	return s;
}

static uint32_t hash_name(const char *name, unsigned len)
{
	uint32_t h = 2166136261u;

	for (unsigned i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619u;
	return h ^ h >> 15;
}

static struct sg_symbol *find_exact(const struct sg_scope *s, const char *name, unsigned len,
				    uint32_t hash)
{
	struct sg_symbol *sym;

	if (!s->nbuckets)
		return NULL;
	for (sym = s->buckets[hash & (s->nbuckets - 1)]; sym; sym = sym->next)
		if (sym->hash == hash && sym->len == len && !memcmp(sym->name, name, len))
			return sym;
	return NULL;
}

/* %r17 as member 17 of %r<n>: the length of "%r", and the number. */
static unsigned split_number(const char *name, unsigned len, uint32_t *number)
{
	unsigned at = len;
	uint64_t v = 0;

	while (at > 1 && name[at - 1] >= '0' && name[at - 1] <= '9')
		at--;
	if (at == len || len - at > 9 || (name[at] == '0' && len - at > 1))
		return 0;
	for (unsigned i = at; i < len; i++)
		v = v * 10 + (unsigned)(name[i] - '0');
	*number = v;
	return at;
}

struct sg_symbol *sg_scope_find(const struct sg_scope *s, const char *name, unsigned len)
{
	uint32_t hash = hash_name(name, len), number = 0, stem_hash = 0;
	unsigned stem = split_number(name, len, &number);
	struct sg_symbol *sym;

	if (stem)
		stem_hash = hash_name(name, stem);
	for (; s; s = s->parent) {
		sym = find_exact(s, name, len, hash);
		if (sym && !sym->range)
			return sym;
		sym = stem ? find_exact(s, name, stem, stem_hash) : NULL;
		if (sym && sym->range && number < sym->count)
			return sym;
	}
	return NULL;
}

static void scope_grow(struct sg_parser *p, struct sg_scope *s)
{
	unsigned n = s->nbuckets ? 4 * s->nbuckets : 16;
	struct sg_symbol **buckets = sg_parse_alloc(p, n * sizeof(*buckets));

	for (unsigned i = 0; i < s->nbuckets; i++) {
		while (s->buckets[i]) {
			struct sg_symbol *sym = s->buckets[i];

			s->buckets[i] = sym->next;
			sym->next = buckets[sym->hash & (n - 1)];
			buckets[sym->hash & (n - 1)] = sym;
		}
	}
	s->buckets = buckets;
	s->nbuckets = n;
}

struct sg_symbol *sg_parse_define(struct sg_parser *p, struct sg_scope *scope,
				  const char *text, unsigned len, enum sg_symbol_kind kind)
{
	uint32_t hash = hash_name(text, len);
	struct sg_symbol *sym;

	if (find_exact(scope, text, len, hash))
		sg_parse_fail(p, "'%.*s' is defined twice", printable(text, len), text);
	if (scope->count >= scope->nbuckets)
		scope_grow(p, scope);
	sym = sg_parse_alloc(p, sizeof(*sym));
	sym->name = sg_parse_name(p, text, len);
	sym->len = len;
	sym->kind = kind;
	sym->hash = hash;
	sym->next = scope->buckets[hash & (scope->nbuckets - 1)];
	scope->buckets[hash & (scope->nbuckets - 1)] = sym;
	scope->count++;
	return sym;
}

struct sg_scope *sg_scope_push(struct sg_parser *p)
{
	struct sg_scope *s = sg_parse_alloc(p, sizeof(*s));

	if (p->build && ++p->build->depth > MAX_SCOPES)
		sg_parse_fail(p, "too many nested blocks");
	s->parent = p->scope;
	s->param_top = p->build ? p->build->param_top : 0;
	p->scope = s;
	return s;
}

void sg_scope_pop(struct sg_parser *p)
{
	if (p->build) {
		p->build->depth--;
		p->build->param_top = p->scope->param_top;
	}
	p->scope = p->scope->parent;
}
