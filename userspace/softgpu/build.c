// SPDX-License-Identifier: MIT
/* The code of a function while it is read, and its freezing at the end. */
#include "softgpu/build.h"

#include <string.h>

#define LANE_BYTES_32	(4u * SG_LANES)
#define LANE_BYTES_64	(8u * SG_LANES)
#define MAX_FRAME_PARAM	(256u << 10)

void sg_build_start(struct sg_parser *p)
{
	struct sg_builder *b = sg_parse_alloc(p, sizeof(*b));

	p->build = b;
	sg_build_regs(p, RC_32, 1);		/* SG_REG_NONE */
	sg_build_regs(p, RC_PRED, 1);		/* SG_REG_CC */
}

/* @items of @size with room for @need more; the old place stays in the arena. */
static void *grow(struct sg_parser *p, void *items, uint32_t n, uint32_t *room, uint32_t need,
		  size_t size)
{
	uint32_t more = *room ? *room : 64;
	void *m;

	if (n + need <= *room)
		return items;
	while (more < n + need)
		more *= 2;
	if (more == *room)
		more *= 2;
	m = sg_parse_alloc(p, more * size);
	if (n)
		memcpy(m, items, n * size);
	*room = more;
	return m;
}

uint32_t sg_build_regs(struct sg_parser *p, enum sg_reg_class class, uint32_t count)
{
	struct sg_builder *b = p->build;
	uint32_t first = b->nregs;

	if (count > SG_MAX_REGS || first + count > SG_MAX_REGS)
		sg_parse_fail(p, "too many registers");
	b->class = grow(p, b->class, b->nregs, &b->regs_room, count, 1);
	memset(b->class + first, class, count);
	b->nregs += count;
	return first;
}

enum sg_reg_class sg_build_class(struct sg_parser *p, uint32_t reg)
{
	return p->build->class[reg];
}

struct sg_insn *sg_build_emit(struct sg_parser *p, enum sg_op op, enum sg_kind kind)
{
	struct sg_builder *b = p->build;
	uint32_t room = b->code_room;
	struct sg_insn *in;

	if (b->ncode == SG_MAX_CODE)
		sg_parse_fail(p, "function too long");
	b->code = grow(p, b->code, b->ncode, &b->code_room, 1, sizeof(*b->code));
	if (b->code_room != room) {
		uint32_t text_room = room, line_room = room;

		b->text = grow(p, b->text, b->ncode, &text_room, 1, sizeof(*b->text));
		b->line = grow(p, b->line, b->ncode, &line_room, 1, sizeof(*b->line));
	}
	in = &b->code[b->ncode];
	in->op = op;
	in->kind = kind;
	b->text[b->ncode] = b->cur_text;
	b->line[b->ncode] = b->cur_line;
	b->ncode++;
	return in;
}

sg_opd sg_build_const(struct sg_parser *p, uint64_t value, bool wide)
{
	struct sg_builder *b = p->build;
	uint32_t h = (uint32_t)((value * 0x9e3779b97f4a7c15ull) >> 54) ^ wide;
	struct sg_const *c;

	for (uint32_t i = b->hash[h]; i; i = b->consts[i - 1].next)
		if (b->consts[i - 1].value == value && b->consts[i - 1].wide == wide)
			return (i - 1) << 1 | 1;
	b->consts = grow(p, b->consts, b->nconsts, &b->const_room, 1, sizeof(*b->consts));
	c = &b->consts[b->nconsts++];
	*c = (struct sg_const){ value, b->hash[h], wide };
	b->hash[h] = b->nconsts;
	return (b->nconsts - 1) << 1 | 1;
}

void sg_build_patch(struct sg_parser *p, const char *name, unsigned len, uint32_t *slot)
{
	struct sg_patch *patch = sg_parse_alloc(p, sizeof(*patch));

	patch->name = name;
	patch->len = len;
	patch->line = p->lex.token.line;
	patch->slot = slot;
	patch->pc = p->build->ncode - 1;
	patch->scope = p->scope;
	patch->next = p->build->patches;
	p->build->patches = patch;
}

void sg_build_reloc(struct sg_parser *p, const struct sg_symbol *sym, int64_t addend)
{
	struct sg_reloc *r = sg_parse_alloc(p, sizeof(*r));

	r->sym = sym;
	r->addend = addend;
	r->pc = p->build->ncode - 1;
	r->next = p->func->relocs;
	p->func->relocs = r;
	if (sym->kind == SYM_VAR && sym->var->space == SG_SHARED && !p->func->entry)
		sym->var->common = true;
}

uint32_t sg_build_param(struct sg_parser *p, uint64_t size, uint32_t align)
{
	struct sg_builder *b = p->build;
	uint64_t at = (b->param_top + (uint64_t)align - 1) & ~((uint64_t)align - 1);

	if (size > MAX_FRAME_PARAM || at + size > MAX_FRAME_PARAM)
		sg_parse_fail(p, "too many bytes of parameters");
	b->param_top = at + size;
	if (b->param_top > p->func->param_bytes)
		p->func->param_bytes = b->param_top;
	return at;
}

static void resolve_labels(struct sg_parser *p)
{
	struct sg_builder *b = p->build;

	for (struct sg_patch *patch = b->patches; patch; patch = patch->next) {
		struct sg_symbol *sym = sg_scope_find(patch->scope, patch->name, patch->len);

		if (!sym || sym->kind != SYM_LABEL)
			sg_parse_fail(p, "line %u: no label '%.*s'", patch->line,
				      patch->len < 60 ? (int)patch->len : 60, patch->name);
		if (patch->slot)
			*patch->slot = sym->pc;
		else
			b->code[patch->pc].imm = sym->pc;
	}
}

/* Offsets of the constants in their pool; fills the pool. */
static uint32_t *place_consts(struct sg_parser *p)
{
	struct sg_builder *b = p->build;
	uint32_t *at = sg_parse_alloc(p, (b->nconsts + 1) * sizeof(*at)), bytes = 0;

	for (uint32_t i = 0; i < b->nconsts; i++) {
		at[i] = bytes;
		bytes += b->consts[i].wide ? LANE_BYTES_64 : LANE_BYTES_32;
	}
	p->func->consts = sg_parse_alloc(p, bytes + 64);
	for (uint32_t i = 0; i < b->nconsts; i++) {
		uint8_t *c = p->func->consts + at[i];
		unsigned size = b->consts[i].wide ? 8 : 4;

		for (unsigned lane = 0; lane < SG_LANES; lane++)
			memcpy(c + lane * size, &b->consts[i].value, size);
	}
	return at;
}

static void place_operands(struct sg_builder *b, const uint32_t *regs, const uint32_t *consts)
{
	for (uint32_t pc = 0; pc < b->ncode; pc++) {
		struct sg_insn *in = &b->code[pc];

		for (int i = 0; i < SG_OPDS; i++) {
			sg_opd o = in->opd[i];

			if (o)
				in->opd[i] = o & 1 ? consts[o >> 1] | 1 : regs[o >> 1];
		}
		if (in->guard)
			in->guard = regs[in->guard >> 1] | (in->guard & 1);
	}
}

void sg_build_finish(struct sg_parser *p)
{
	struct sg_builder *b = p->build;
	struct sg_function *f = p->func;
	uint32_t *regs, *consts;

	/* Running off the end returns. */
	b->cur_text = "ret";
	b->cur_line = p->lex.token.line;
	sg_build_emit(p, SG_OP_ret, SG_K_RET);
	resolve_labels(p);
	regs = sg_parse_alloc(p, b->nregs * sizeof(*regs));
	if (!sg_regalloc(b, regs, &f->reg_bytes))
		sg_parse_stop(p, CUDA_ERROR_OUT_OF_MEMORY, "out of memory");
	consts = place_consts(p);
	place_operands(b, regs, consts);
	f->code = b->code;
	f->ncode = b->ncode;
	f->text = b->text;
	f->line = b->line;
	f->cc = regs[SG_REG_CC];
	f->regs = f->reg_bytes / LANE_BYTES_32;
	f->param_bytes = (f->param_bytes + 15) & ~15u;	/* so that lanes are aligned */
}
