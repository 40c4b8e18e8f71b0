// SPDX-License-Identifier: MIT
/*
 * Where registers live in a frame. PTX has a register for each value; those
 * that are not alive at once share a place, which keeps a warp's registers in
 * the processor's caches. Liveness is that of one thread: lanes never touch
 * each other's part of a place, however far they have parted.
 *
 * Intervals are from the first to the last instruction at which a register is
 * alive, without holes, and are given places in one sweep over the code.
 * Places of one size lie together: two registers share all of a place or
 * nothing, so that handlers may write lane i after reading lane i.
 */
#include "softgpu/build.h"

#include <stdlib.h>
#include <string.h>

#define SCRATCH		256u		/* where operand 0, no register, is written to */
/* Limits of what is spent on liveness; beyond them nothing is shared. */
#define MAX_BITS	(1ull << 26)
#define MAX_ROUNDS	48
#define NONE		UINT32_MAX

typedef uint64_t word;

struct block {
	uint32_t	first, last;	/* instructions */
};

struct alloc {
	const struct sg_builder	*b;
	uint32_t		*dense;		/* register to index, NONE: not used */
	uint32_t		*reg;		/* and back */
	uint32_t		nregs;
	uint32_t		*block_of;	/* by instruction */
	struct block		*blocks;
	uint32_t		nblocks;
	uint32_t		words;		/* a set of registers */
	word			*in;		/* alive at the beginning of blocks */
	uint32_t		*start, *end;	/* by index, in half instructions */
	uint32_t		*next;		/* lists of intervals */
	uint32_t		*starts, *ends;	/* their heads, by position */
};

/* ---- what an instruction reads and writes ---- */

struct access {
	uint32_t	use[SG_OPDS + 2], def[SG_OPDS + 1];
	unsigned	nuse, ndef;
};

static bool is_carry(const struct sg_insn *in)
{
	return in->op >= SG_OP_addc_32 && in->op <= SG_OP_madchi_s64;
}

static void get_access(const struct sg_insn *in, struct access *a)
{
	a->nuse = a->ndef = 0;
	for (int i = 0; i < SG_OPDS; i++) {
		bool def = i <= SG_D2 || (in->flags & SG_F_VWRITE && i >= SG_V);

		if (!in->opd[i] || in->opd[i] & 1)
			continue;
		if (def)
			a->def[a->ndef++] = in->opd[i] >> 1;
		if (!def || (in->guard && def))		/* a guarded write keeps lanes */
			a->use[a->nuse++] = in->opd[i] >> 1;
		if (i == SG_E && is_carry(in))
			a->def[a->ndef++] = in->opd[i] >> 1;
	}
	if (in->guard)
		a->use[a->nuse++] = in->guard >> 1;
}

static bool number_registers(struct alloc *al)
{
	struct access a;

	al->dense = malloc(al->b->nregs * sizeof(*al->dense));
	al->reg = malloc(al->b->nregs * sizeof(*al->reg));
	if (!al->dense || !al->reg)
		return false;
	memset(al->dense, 0xff, al->b->nregs * sizeof(*al->dense));
	for (uint32_t pc = 0; pc < al->b->ncode; pc++) {
		get_access(&al->b->code[pc], &a);
		for (unsigned i = 0; i < a.nuse + a.ndef; i++) {
			uint32_t r = i < a.nuse ? a.use[i] : a.def[i - a.nuse];

			if (al->dense[r] == NONE) {
				al->reg[al->nregs] = r;
				al->dense[r] = al->nregs++;
			}
		}
	}
	return true;
}

/* ---- blocks ---- */

static bool ends_block(const struct sg_insn *in)
{
	return in->kind == SG_K_BRANCH || in->kind == SG_K_SWITCH || in->kind == SG_K_RET ||
	       in->kind == SG_K_EXIT;
}

static void mark_targets(const struct sg_insn *in, uint32_t *leader)
{
	const struct sg_targets *t = (const struct sg_targets *)(intptr_t)in->imm;

	if (in->kind == SG_K_BRANCH)
		leader[in->imm] = 1;
	for (uint32_t i = 0; in->kind == SG_K_SWITCH && i < t->count; i++)
		leader[t->pc[i]] = 1;
}

static bool find_blocks(struct alloc *al)
{
	const struct sg_builder *b = al->b;

	al->block_of = calloc(b->ncode + 1, sizeof(*al->block_of));
	al->blocks = malloc((b->ncode + 1) * sizeof(*al->blocks));
	if (!al->block_of || !al->blocks)
		return false;
	for (uint32_t pc = 0; pc < b->ncode; pc++) {
		mark_targets(&b->code[pc], al->block_of);
		if (ends_block(&b->code[pc]))
			al->block_of[pc + 1] = 1;
	}
	al->block_of[0] = 1;
	for (uint32_t pc = 0; pc < b->ncode; pc++) {
		if (al->block_of[pc])
			al->blocks[al->nblocks++].first = pc;
		al->block_of[pc] = al->nblocks - 1;
		al->blocks[al->nblocks - 1].last = pc;
	}
	return true;
}

/* ---- liveness ---- */

static void join(struct alloc *al, word *set, uint32_t pc)
{
	const word *in = al->in + (size_t)al->block_of[pc] * al->words;

	for (uint32_t i = 0; i < al->words; i++)
		set[i] |= in[i];
}

/* What is alive behind the last instruction of block @k. */
static void live_out(struct alloc *al, uint32_t k, word *set)
{
	uint32_t pc = al->blocks[k].last;
	const struct sg_insn *in = &al->b->code[pc];
	const struct sg_targets *t = (const struct sg_targets *)(intptr_t)in->imm;

	memset(set, 0, al->words * sizeof(*set));
	if (in->kind == SG_K_BRANCH)
		join(al, set, in->imm);
	for (uint32_t i = 0; in->kind == SG_K_SWITCH && i < t->count; i++)
		join(al, set, t->pc[i]);
	if ((!ends_block(in) || in->guard) && pc + 1 < al->b->ncode)
		join(al, set, pc + 1);
}

static void step_back(struct alloc *al, const struct access *a, word *set)
{
	for (unsigned i = 0; i < a->ndef; i++) {
		uint32_t r = al->dense[a->def[i]];

		set[r / 64] &= ~(1ull << (r % 64));
	}
	for (unsigned i = 0; i < a->nuse; i++) {
		uint32_t r = al->dense[a->use[i]];

		set[r / 64] |= 1ull << (r % 64);
	}
}

static bool flow(struct alloc *al)
{
	word *set = malloc(al->words * sizeof(*set));
	bool changed = true;
	struct access a;

	for (int round = 0; set && changed && round < MAX_ROUNDS; round++) {
		changed = false;
		for (uint32_t k = al->nblocks; k-- > 0;) {
			word *in = al->in + (size_t)k * al->words;

			live_out(al, k, set);
			for (uint32_t pc = al->blocks[k].last + 1; pc-- > al->blocks[k].first;) {
				get_access(&al->b->code[pc], &a);
				step_back(al, &a, set);
			}
			if (memcmp(in, set, al->words * sizeof(*set))) {
				memcpy(in, set, al->words * sizeof(*set));
				changed = true;
			}
		}
	}
	free(set);
	return set && !changed;
}

/* ---- intervals ---- */

static void extend(struct alloc *al, uint32_t r, uint32_t at)
{
	if (al->start[r] > at)
		al->start[r] = at;
	if (al->end[r] < at)
		al->end[r] = at;
}

static void extend_set(struct alloc *al, const word *set, uint32_t at)
{
	for (uint32_t i = 0; i < al->words; i++)
		for (word w = set[i]; w; w &= w - 1)
			extend(al, i * 64 + (uint32_t)__builtin_ctzll(w), at);
}

static bool find_intervals(struct alloc *al)
{
	word *set = malloc(al->words * sizeof(*set));
	struct access a;

	al->start = malloc((al->nregs + 1) * sizeof(*al->start));
	al->end = calloc(al->nregs + 1, sizeof(*al->end));
	if (!set || !al->start || !al->end) {
		free(set);
		return false;
	}
	memset(al->start, 0xff, (al->nregs + 1) * sizeof(*al->start));
	for (uint32_t k = 0; k < al->nblocks; k++) {
		extend_set(al, al->in + (size_t)k * al->words, 2 * al->blocks[k].first);
		live_out(al, k, set);
		extend_set(al, set, 2 * al->blocks[k].last + 1);
	}
	for (uint32_t pc = 0; pc < al->b->ncode; pc++) {
		get_access(&al->b->code[pc], &a);
		for (unsigned i = 0; i < a.nuse; i++)
			extend(al, al->dense[a.use[i]], 2 * pc);
		for (unsigned i = 0; i < a.ndef; i++)
			extend(al, al->dense[a.def[i]], 2 * pc + 1);
	}
	free(set);
	return true;
}

static bool list_intervals(struct alloc *al)
{
	size_t n = 2 * (size_t)al->b->ncode + 2;

	al->next = malloc((2 * (size_t)al->nregs + 1) * sizeof(*al->next));
	al->starts = malloc(n * sizeof(*al->starts));
	al->ends = malloc(n * sizeof(*al->ends));
	if (!al->next || !al->starts || !al->ends)
		return false;
	memset(al->starts, 0xff, n * sizeof(*al->starts));
	memset(al->ends, 0xff, n * sizeof(*al->ends));
	for (uint32_t r = 0; r < al->nregs; r++) {
		al->next[r] = al->starts[al->start[r]];
		al->starts[al->start[r]] = r;
		al->next[al->nregs + r] = al->ends[al->end[r]];
		al->ends[al->end[r]] = r;
	}
	return true;
}

/* ---- places ---- */

static const uint32_t place_bytes[] = { [RC_PRED] = 4, [RC_32] = 128, [RC_64] = 256 };

/* Numbers places of one class; a register keeps its number in at[]. */
static uint32_t sweep(struct alloc *al, enum sg_reg_class class, uint32_t *at, uint32_t *pool)
{
	uint32_t count = 0, nfree = 0, n = 2 * al->b->ncode + 2;

	for (uint32_t pos = 0; pos < n; pos++) {
		for (uint32_t r = al->starts[pos]; r != NONE; r = al->next[r])
			if (al->b->class[al->reg[r]] == class)
				at[al->reg[r]] = nfree ? pool[--nfree] : count++;
		for (uint32_t r = al->ends[pos]; r != NONE; r = al->next[al->nregs + r])
			if (al->b->class[al->reg[r]] == class)
				pool[nfree++] = at[al->reg[r]];
	}
	return count;
}

static bool place_all(struct alloc *al, uint32_t *at, uint32_t *top)
{
	uint32_t *pool = malloc((al->nregs + 1) * sizeof(*pool));

	for (int class = RC_PRED; pool && class <= RC_64; class++) {
		uint32_t count = sweep(al, class, at, pool);

		for (uint32_t r = 0; r < al->nregs; r++)
			if (al->b->class[al->reg[r]] == class)
				at[al->reg[r]] = *top + at[al->reg[r]] * place_bytes[class];
		*top = (*top + count * place_bytes[class] + 63) & ~63u;
	}
	free(pool);
	return pool;
}

/* A place for each. */
static void place_apart(struct alloc *al, uint32_t *at, uint32_t *top)
{
	for (int class = RC_PRED; class <= RC_64; class++) {
		for (uint32_t r = 0; r < al->nregs; r++) {
			if (al->b->class[al->reg[r]] != class)
				continue;
			at[al->reg[r]] = *top;
			*top += place_bytes[class];
		}
		*top = (*top + 63) & ~63u;
	}
}

static bool place_shared(struct alloc *al, uint32_t *at, uint32_t *top)
{
	al->words = (al->nregs + 63) / 64;
	if ((uint64_t)al->words * 64 * al->nblocks > MAX_BITS)
		return false;
	al->in = calloc((size_t)al->nblocks * al->words + 1, sizeof(*al->in));
	return al->in && flow(al) && find_intervals(al) && list_intervals(al) &&
	       place_all(al, at, top);
}

bool sg_regalloc(const struct sg_builder *b, uint32_t *at, uint32_t *bytes)
{
	struct alloc al = { .b = b };
	bool ok = number_registers(&al) && find_blocks(&al);

	memset(at, 0, b->nregs * sizeof(*at));
	*bytes = SCRATCH;
	if (ok && al.nregs && !place_shared(&al, at, bytes)) {
		*bytes = SCRATCH;
		place_apart(&al, at, bytes);
	}
	free(al.dense);
	free(al.reg);
	free(al.block_of);
	free(al.blocks);
	free(al.in);
	free(al.start);
	free(al.end);
	free(al.next);
	free(al.starts);
	free(al.ends);
	return ok;
}
