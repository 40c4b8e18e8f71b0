// SPDX-License-Identifier: MIT
/*
 * Barriers of a block: bar.sync, bar.arrive and bar.red. A barrier without a
 * count waits for all threads of the block, and threads that exited count as
 * arrived. One with a count waits for that many; there, as on hardware, a warp
 * that arrives counts whole, whatever lanes of it exited.
 */
#include "softgpu/exec.h"

#include <string.h>

static bool complete(const struct sg_block *b, const struct sg_barrier *bar)
{
	uint32_t total = bar->extra;

	if (!bar->expected)
		return bar->waiting >= b->live;
	for (unsigned i = 0; i < b->nwarps; i++)
		if (bar->arrived[i])
			total += __builtin_popcount(bar->arrived[i] | b->warp[i].exited);
	return total >= bar->expected;
}

static void give_result(const struct sg_barrier *bar, const struct sg_split *s,
			const struct sg_insn *in)
{
	void *d = s->frame->regs + in->opd[SG_D];
	uint32_t *words = d;
	bool yes;

	if (in->sub == SG_BAR_POPC) {
		for (unsigned i = 0; i < SG_LANES; i++)
			words[i] = s->mask >> i & 1 ? bar->votes : words[i];
	} else if (in->sub == SG_BAR_AND || in->sub == SG_BAR_OR) {
		yes = in->sub == SG_BAR_AND ? bar->votes == bar->voters : bar->votes;
		*words = (*words & ~s->mask) | (yes ? s->mask : 0);
	}
}

static void release(struct sg_block *b, unsigned id)
{
	struct sg_barrier *bar = &b->barrier[id];

	for (unsigned i = 0; i < b->nwarps; i++) {
		struct sg_warp *w = &b->warp[i];

		for (unsigned k = 0; k < w->nsplits; k++) {
			struct sg_split *s = &w->split[k];

			if (s->state != SG_WAIT_BARRIER || s->barrier != id)
				continue;
			give_result(bar, s, &s->frame->func->code[s->pc]);
			s->state = SG_READY;
			s->pc++;
		}
	}
	memset(bar, 0, sizeof(*bar));
}

void sg_barrier_check(struct sg_block *b)
{
	for (unsigned id = 0; id < SG_BARRIERS; id++)
		if (b->barrier[id].busy && complete(b, &b->barrier[id]))
			release(b, id);
}

bool sg_barrier_arrive(struct sg_warp *w, const struct sg_insn *in, uint32_t mask,
		       struct sg_split *s)
{
	unsigned lane = __builtin_ctz(mask);
	uint32_t id = ((const uint32_t *)sg_reg(w, in->opd[SG_A]))[lane];
	uint32_t count = in->opd[SG_B] ? ((const uint32_t *)sg_reg(w, in->opd[SG_B]))[lane] : 0;
	struct sg_block *b = w->block;
	struct sg_barrier *bar;
	uint32_t votes;

	if (id >= SG_BARRIERS)
		return sg_warp_fault(w, in, lane, CUDA_ERROR_ILLEGAL_INSTRUCTION,
				     "no such barrier", id);
	bar = &b->barrier[id];
	bar->busy = true;
	bar->expected = count;
	if (in->sub == SG_BAR_ARRIVE) {
		bar->extra += __builtin_popcount(mask | w->exited);
	} else {
		bar->arrived[w->index] |= mask;
		bar->waiting += __builtin_popcount(mask);
		s->state = SG_WAIT_BARRIER;
		s->barrier = id;
	}
	if (in->sub >= SG_BAR_POPC) {
		votes = sg_pred(w, in->opd[SG_C]);
		votes = (in->flags & SG_F_NEG_C ? ~votes : votes) & mask;
		bar->votes += __builtin_popcount(votes);
		bar->voters += __builtin_popcount(mask);
	}
	if (in->sub == SG_BAR_ARRIVE)
		s->pc++;
	if (complete(b, bar))
		release(b, id);
	return true;
}
