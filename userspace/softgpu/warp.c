// SPDX-License-Identifier: MIT
/*
 * How a warp runs: which split goes next, how splits part at branches and
 * meet again, calls and returns, and waiting for lanes.
 *
 * The next split is the one in the deepest frame and there the one with the
 * lowest pc, so that those who are behind catch up with those who wait at a
 * join; it runs until it reaches the pc of another one, with which it merges.
 * That order alone would starve the owner of a lock that others spin on, so
 * now and then the split that is farthest ahead has its turn.
 */
#include "softgpu/exec.h"

#include <stdio.h>
#include <string.h>

#define SPLIT_SLICE	4096	/* instructions while there are other splits */
#define POLL_COST	64	/* what waits for others costs more */
#define FAIR_TURNS	8

bool sg_warp_fault(struct sg_warp *w, const struct sg_insn *in, unsigned lane, CUresult error,
		   const char *what, uint64_t addr)
{
	struct sg_job *job = w->block->worker->job;
	const struct sg_function *f = w->frame->func;
	uint32_t pc = in - f->code, t = w->index * SG_WARP + lane;
	const unsigned *n = job->launch->block;
	bool expected = false;

	w->fault = true;
	if (!__atomic_compare_exchange_n(&job->failed, &expected, true, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return false;
	job->fault.error = error;
	snprintf(job->fault.text, sizeof(job->fault.text),
		 "kernel %.60s, block (%u,%u,%u), thread (%u,%u,%u): %s at 0x%llx, "
		 "'%.40s' in %.40s, line %u of the PTX", job->func->name, w->block->id[0],
		 w->block->id[1], w->block->id[2], t % n[0], t / n[0] % n[1], t / n[0] / n[1],
		 what, (unsigned long long)addr, f->text[pc], f->name, f->line[pc]);
	return false;
}

void sg_warp_start(struct sg_warp *w)
{
	uint32_t live = ~w->exited;

	w->fault = false;
	w->turn = 0;
	w->nsplits = 1;
	w->root.lanes = live;
	w->split[0] = (struct sg_split){ .frame = &w->root, .mask = live };
}

/* ---- splits ---- */

/* Lanes @mask leave split @i for a new one at @pc. */
static void part(struct sg_warp *w, unsigned i, uint32_t mask, uint32_t pc)
{
	struct sg_split *s = &w->split[i];

	w->split[w->nsplits++] = (struct sg_split){ .frame = s->frame, .mask = mask, .pc = pc };
	s->mask &= ~mask;
}

static void merge_equal(struct sg_warp *w)
{
	for (unsigned i = 0; i < w->nsplits; i++) {
		struct sg_split *s = &w->split[i];

		if (s->state != SG_READY)
			continue;
		for (unsigned k = i + 1; k < w->nsplits;) {
			struct sg_split *o = &w->split[k];

			if (o->state != SG_READY || o->pc != s->pc || o->frame != s->frame) {
				k++;
				continue;
			}
			s->mask |= o->mask;
			*o = w->split[--w->nsplits];
		}
	}
}

static bool runs_before(const struct sg_split *a, const struct sg_split *b)
{
	if (a->frame->depth != b->frame->depth)
		return a->frame->depth > b->frame->depth;
	return a->pc < b->pc;
}

/* The split to run next; -1: all wait. */
static int choose(struct sg_warp *w)
{
	int first = -1, last = -1;

	if (w->nsplits == 1)
		return w->split[0].state == SG_READY ? 0 : -1;
	merge_equal(w);
	for (unsigned i = 0; i < w->nsplits; i++) {
		if (w->split[i].state != SG_READY)
			continue;
		if (first < 0 || runs_before(&w->split[i], &w->split[first]))
			first = i;
		if (last < 0 || runs_before(&w->split[last], &w->split[i]))
			last = i;
	}
	return w->turn >= FAIR_TURNS ? last : first;
}

/* The next pc at which another split of the same frame is. */
static uint32_t next_join(const struct sg_warp *w, unsigned i)
{
	const struct sg_split *s = &w->split[i];
	uint32_t limit = UINT32_MAX;

	for (unsigned k = 0; k < w->nsplits; k++) {
		const struct sg_split *o = &w->split[k];

		if (o->frame == s->frame && o->state == SG_READY && o->pc > s->pc &&
		    o->pc < limit)
			limit = o->pc;
	}
	return limit;
}

static void enter(struct sg_warp *w, const struct sg_split *s)
{
	w->frame = s->frame;
	w->base[0] = s->frame->regs;
	w->base[1] = s->frame->func->consts;
	w->active = s->mask;
}

/* ---- leaving ---- */

static void leave_frames(struct sg_warp *w, struct sg_frame *f, uint32_t mask)
{
	while (f != &w->root) {
		struct sg_frame *parent = f->parent;

		f->lanes &= ~mask;
		if (!f->lanes)
			sg_frame_free(w, f);
		f = parent;
	}
}

void sg_warp_drop(struct sg_warp *w)
{
	for (unsigned i = 0; i < w->nsplits; i++)
		leave_frames(w, w->split[i].frame, w->split[i].mask);
	w->nsplits = 0;
}

/* ---- lanes that wait for lanes ---- */

static bool same_wait(const struct sg_split *a, const struct sg_split *b)
{
	return b->state == SG_WAIT_LANES && a->member == b->member &&
	       a->frame->func->code[a->pc].op == b->frame->func->code[b->pc].op;
}

/* Carries the operation out for every split that waits together with @s. */
static void finish_wait(struct sg_warp *w, const struct sg_split *first, uint32_t arrived)
{
	struct sg_split like = *first;

	for (unsigned i = 0; i < w->nsplits; i++) {
		struct sg_split *s = &w->split[i];
		const struct sg_insn *in;

		if (!same_wait(&like, s))
			continue;
		in = &s->frame->func->code[s->pc];
		enter(w, s);
		w->member = arrived & like.member;
		in->fn(w, in, s->mask);
		s->state = SG_READY;
		s->pc++;
	}
}

/* Are all that are waited for there? With @force, those who came will do. */
static bool try_finish(struct sg_warp *w, unsigned i, bool force)
{
	const struct sg_split *s = &w->split[i];
	uint32_t arrived = 0;

	for (unsigned k = 0; k < w->nsplits; k++)
		if (same_wait(s, &w->split[k]))
			arrived |= w->split[k].mask;
	if (s->member & ~w->exited & ~arrived && !force)
		return false;
	finish_wait(w, s, arrived);
	return true;
}

bool sg_warp_wake(struct sg_warp *w, bool force)
{
	bool any = false;

	for (unsigned i = 0; i < w->nsplits; i++)
		if (w->split[i].state == SG_WAIT_LANES)
			any |= try_finish(w, i, force);
	return any;
}

static void bring_value(struct sg_warp *w, const struct sg_insn *in, uint32_t mask)
{
	const void *a = sg_reg(w, in->opd[SG_A]);
	bool wide = in->op == SG_OP_match &&
		    (in->sub == SG_MATCH_ANY_64 || in->sub == SG_MATCH_ALL_64);

	for (unsigned i = 0; i < SG_LANES; i++) {
		if (!(mask >> i & 1))
			continue;
		if (in->op == SG_OP_vote)
			w->xchg[i] = *(const uint32_t *)a >> i & 1;
		else
			w->xchg[i] = wide ? ((const uint64_t *)a)[i] : ((const uint32_t *)a)[i];
	}
}

/* Lanes of @m whose operand is the first one's go on; the rest comes later. */
static uint32_t peel(struct sg_warp *w, unsigned i, const struct sg_insn *in, uint32_t m,
		     sg_opd opd)
{
	const uint32_t *v = sg_reg(w, opd);
	uint32_t same = 0, want = v[__builtin_ctz(m)];

	for (unsigned lane = 0; lane < SG_LANES; lane++)
		same |= (uint32_t)(v[lane] == want) << lane;
	same &= m;
	if (same != m)
		part(w, i, m & ~same, w->split[i].pc);
	return same;
}

/* Lanes that a false guard keeps out go on behind the instruction. */
static void part_unguarded(struct sg_warp *w, unsigned i, uint32_t m)
{
	if (w->split[i].mask & ~m)
		part(w, i, w->split[i].mask & ~m, w->split[i].pc + 1);
}

static void sync_lanes(struct sg_warp *w, unsigned i, const struct sg_insn *in, uint32_t m)
{
	struct sg_split *s = &w->split[i];

	part_unguarded(w, i, m);
	m = peel(w, i, in, m, in->opd[SG_E]);
	s->member = ((const uint32_t *)sg_reg(w, in->opd[SG_E]))[__builtin_ctz(m)] | m;
	bring_value(w, in, m);
	s->state = SG_WAIT_LANES;
	try_finish(w, i, false);
}

/* The usual case: everybody named is here. */
static bool sync_at_once(struct sg_warp *w, const struct sg_insn *in, uint32_t m)
{
	const uint32_t *e = sg_reg(w, in->opd[SG_E]);
	uint32_t want = e[__builtin_ctz(m)] & ~w->exited, differ = 0;

	for (unsigned i = 0; i < SG_LANES; i++)
		differ |= (uint32_t)((e[i] & ~w->exited) != want) << i;
	if (differ & m || want != m)
		return false;
	w->member = m;
	in->fn(w, in, m);
	return true;
}

/* ---- control ---- */

static void do_exit(struct sg_warp *w, unsigned i, uint32_t m)
{
	struct sg_split *s = &w->split[i];

	w->exited |= m;
	w->block->live -= __builtin_popcount(m);
	leave_frames(w, s->frame, m);
	s->mask &= ~m;
	s->pc++;
	if (!s->mask)
		*s = w->split[--w->nsplits];
	sg_warp_wake(w, false);
	sg_barrier_check(w->block);
}

static void copy_args(const struct sg_frame *from, struct sg_frame *to, uint32_t mask,
		      const struct sg_call_arg *args, unsigned n, struct sg_var **formals,
		      bool back)
{
	for (unsigned k = 0; k < n; k++) {
		uint32_t at = back ? formals[k]->at : args[k].at;
		uint32_t dst = back ? args[k].at : formals[k]->at;

		for (uint32_t m = mask; m; m &= m - 1) {
			unsigned lane = __builtin_ctz(m);

			memcpy(to->params + (size_t)lane * to->func->param_bytes + dst,
			       from->params + (size_t)lane * from->func->param_bytes + at,
			       formals[k]->size);
		}
	}
}

static void do_return(struct sg_warp *w, unsigned i, uint32_t m)
{
	struct sg_split *s = &w->split[i];
	struct sg_frame *f = s->frame;

	if (f == &w->root) {
		do_exit(w, i, m);
		return;
	}
	part_unguarded(w, i, m);
	copy_args(f, f->parent, m, f->call->rets, f->call->nrets, f->func->proto.rets, true);
	s->frame = f->parent;
	s->pc = f->ret_pc;
	f->lanes &= ~m;
	if (!f->lanes)
		sg_frame_free(w, f);
}

/* The function that a pointer means, if the call fits it. */
static const struct sg_function *pointed(const struct sg_warp *w, const struct sg_call *c,
					 uint64_t addr)
{
	const struct sg_module *mod = w->frame->func->mod;
	uint64_t id = (addr & UINT32_MAX) >> 4;
	const struct sg_function *f;

	if (addr >> 32 != (SG_WINDOW_CODE >> 32 | (mod->serial & 0xffffff)) ||
	    id >= mod->nfuncs || addr & 15)
		return NULL;
	f = mod->table[id];
	if (f->entry || f->proto.nparams != c->nargs || f->proto.nrets < c->nrets)
		return NULL;
	for (unsigned k = 0; k < c->nargs; k++)
		if (c->args[k].size < f->proto.params[k]->size)
			return NULL;
	for (unsigned k = 0; k < c->nrets; k++)
		if (c->rets[k].size < f->proto.rets[k]->size)
			return NULL;
	return f;
}

/* Finds the callee of lanes @m; lanes that call another one are put aside. */
static const struct sg_function *callee_of(struct sg_warp *w, unsigned i,
					   const struct sg_insn *in, uint32_t *m)
{
	const struct sg_call *c = (const struct sg_call *)(intptr_t)in->imm;
	const uint64_t *a = sg_reg(w, in->opd[SG_A]);
	unsigned lane = __builtin_ctz(*m);
	const struct sg_function *f;
	uint32_t same = 0;

	if (c->callee)
		return c->callee;
	for (unsigned k = 0; k < SG_LANES; k++)
		same |= (uint32_t)(a[k] == a[lane]) << k;
	if (*m & ~same)
		part(w, i, *m & ~same, w->split[i].pc);
	*m &= same;
	f = pointed(w, c, a[lane]);
	if (!f)
		sg_warp_fault(w, in, lane, CUDA_ERROR_INVALID_PC, "call through a bad pointer",
			      a[lane]);
	return f;
}

static bool push_frame(struct sg_warp *w, struct sg_split *s, const struct sg_insn *in,
		       const struct sg_function *f)
{
	const struct sg_call *c = (const struct sg_call *)(intptr_t)in->imm;
	struct sg_frame *up = s->frame, *fr;
	uint32_t align = f->local_align > 16 ? f->local_align : 16;
	uint64_t local = (uint64_t)up->local + up->func->local_bytes;

	local = (local + align - 1) & -(uint64_t)align;
	if (up->depth >= SG_MAX_DEPTH ||
	    local + f->local_bytes > w->block->worker->job->stack_bytes)
		return sg_warp_fault(w, in, __builtin_ctz(s->mask),
				     CUDA_ERROR_HARDWARE_STACK_ERROR, "stack overflow", local);
	fr = sg_frame_new(w, f);
	if (!fr)
		return sg_warp_fault(w, in, __builtin_ctz(s->mask), CUDA_ERROR_OUT_OF_MEMORY,
				     "no memory for a call", 0);
	fr->parent = up;
	fr->call = c;
	fr->ret_pc = s->pc + 1;
	fr->lanes = s->mask;
	fr->depth = up->depth + 1;
	fr->local = local;
	copy_args(up, fr, s->mask, c->args, c->nargs, f->proto.params, false);
	s->frame = fr;
	s->pc = 0;
	return true;
}

static void do_call(struct sg_warp *w, unsigned i, const struct sg_insn *in, uint32_t m)
{
	const struct sg_function *f;
	char what[100];

	part_unguarded(w, i, m);
	f = callee_of(w, i, in, &m);
	if (!f)
		return;
	if (f->defined) {
		push_frame(w, &w->split[i], in, f);
	} else if (f->builtin) {
		if (sg_builtin_call(w, in, m))
			w->split[i].pc++;
	} else {
		snprintf(what, sizeof(what), "call of '%.60s', which is not defined,", f->name);
		sg_warp_fault(w, in, __builtin_ctz(m), CUDA_ERROR_NOT_SUPPORTED, what, 0);
	}
}

static void do_switch(struct sg_warp *w, unsigned i, const struct sg_insn *in, uint32_t m)
{
	const struct sg_targets *t = (const struct sg_targets *)(intptr_t)in->imm;
	uint32_t index;

	part_unguarded(w, i, m);
	m = peel(w, i, in, m, in->opd[SG_A]);
	index = ((const uint32_t *)sg_reg(w, in->opd[SG_A]))[__builtin_ctz(m)];
	if (index >= t->count)
		sg_warp_fault(w, in, __builtin_ctz(m), CUDA_ERROR_ILLEGAL_INSTRUCTION,
			      "branch beyond its targets", index);
	else
		w->split[i].pc = t->pc[index];
}

static void do_barrier(struct sg_warp *w, unsigned i, const struct sg_insn *in, uint32_t m)
{
	part_unguarded(w, i, m);
	m = peel(w, i, in, m, in->opd[SG_A]);
	sg_barrier_arrive(w, in, m, &w->split[i]);
}

/* The rarer kinds; all end the run of the split. */
static void control(struct sg_warp *w, unsigned i, const struct sg_insn *in, uint32_t m)
{
	char what[100];

	switch (in->kind) {
	case SG_K_SYNC:
		sync_lanes(w, i, in, m);
		break;
	case SG_K_BARRIER:
		do_barrier(w, i, in, m);
		break;
	case SG_K_SWITCH:
		do_switch(w, i, in, m);
		break;
	case SG_K_CALL:
		do_call(w, i, in, m);
		break;
	case SG_K_RET:
		do_return(w, i, m);
		break;
	case SG_K_EXIT:
		do_exit(w, i, m);
		break;
	case SG_K_TRAP:
		sg_warp_fault(w, in, __builtin_ctz(m), CUDA_ERROR_ILLEGAL_INSTRUCTION, "trap", 0);
		break;
	default:
		snprintf(what, sizeof(what), "instruction '%.60s' is not supported,",
			 w->frame->func->text[in - w->frame->func->code]);
		sg_warp_fault(w, in, __builtin_ctz(m), CUDA_ERROR_NOT_SUPPORTED, what, 0);
	}
}

/*
 * Runs split @i until it meets another one, parts, waits, ends or has used
 * @left up. This loop is where time goes: what is not needed for plain code
 * is in control().
 */
static long run_split(struct sg_warp *w, unsigned i, long left)
{
	struct sg_split *s = &w->split[i];
	const struct sg_insn *code = s->frame->func->code;
	uint32_t limit = w->nsplits > 1 ? next_join(w, i) : UINT32_MAX;
	uint32_t pc = s->pc, mask = s->mask;

	enter(w, s);
	while (--left >= 0 && pc < limit) {
		const struct sg_insn *in = &code[pc];
		uint32_t m = mask;

		if (in->guard) {
			uint32_t g = *(const uint32_t *)(w->base[0] + (in->guard & ~1u));

			m &= in->guard & 1 ? ~g : g;
			if (!m) {
				pc++;
				continue;
			}
		}
		switch (in->kind) {
		case SG_K_POLL:
			left -= POLL_COST;
			/* fallthrough */
		case SG_K_MEM:
			in->fn(w, in, m);
			if (__builtin_expect(w->fault, 0))
				return left;
			pc++;
			continue;
		case SG_K_ALU:
			in->fn(w, in, m);
			pc++;
			continue;
		case SG_K_BRANCH:
			if (m == mask) {
				pc = in->imm;
				continue;
			}
			s->pc = pc + 1;
			part(w, i, m, in->imm);
			return left;
		case SG_K_YIELD:
			w->block->worker->yielded = true;
			s->pc = pc + 1;
			return 0;
		case SG_K_SYNC:
			if (sync_at_once(w, in, m)) {
				pc++;
				continue;
			}
			/* fallthrough */
		default:
			s->pc = pc;
			control(w, i, in, m);
			return left;
		}
	}
	s->pc = pc;
	return left;
}

enum sg_run sg_warp_run(struct sg_warp *w, long budget)
{
	bool ran = false;

	while (budget > 0) {
		long slice = w->nsplits > 1 && budget > SPLIT_SLICE ? SPLIT_SLICE : budget, left;
		int i;

		if (!w->nsplits)
			return SG_RUN_DONE;
		i = choose(w);
		if (i < 0)
			return ran ? SG_RUN_SLICE : SG_RUN_BLOCKED;
		ran = true;
		if (w->turn >= FAIR_TURNS)
			w->turn = 0;
		left = run_split(w, i, slice);
		if (w->fault)
			return SG_RUN_FAULT;
		if (left <= 0) {	/* used up while others wait for their turn */
			w->turn++;
			left = left < 0 ? 0 : left;
			if (w->block->worker->yielded)
				return SG_RUN_SLICE;
		}
		budget -= slice - left;
	}
	return w->nsplits ? SG_RUN_SLICE : SG_RUN_DONE;
}
