// SPDX-License-Identifier: MIT
/* A block: its memory, and turns for its warps. */
#include "softgpu/exec.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WARP_SLICE	8192

static bool block_alloc(struct sg_block *b, const struct sg_job *job)
{
	const struct sg_function *f = job->func;

	b->shared = aligned_alloc(64, ((size_t)job->shared_bytes + 127) & ~(size_t)63);
	b->regs = aligned_alloc(64, (size_t)f->reg_bytes * job->nwarps + 64);
	b->params = malloc((size_t)f->param_bytes * SG_LANES * job->nwarps + 1);
	if (!b->shared || !b->regs || !b->params)
		return false;
	b->locals_size = (size_t)job->stack_bytes * job->nwarps * SG_LANES;
	if (!b->locals_size)
		return true;
	b->locals = mmap(NULL, b->locals_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->locals == MAP_FAILED)
		b->locals = NULL;
	return b->locals;
}

void sg_block_free(struct sg_worker *wk, struct sg_block *b)
{
	if (b->locals)
		munmap(b->locals, b->locals_size);
	free(b->shared);
	free(b->regs);
	free(b->params);
	free(b);
}

/* A block that is done is used again as it is: all have one shape. */
struct sg_block *sg_block_new(struct sg_worker *wk)
{
	const struct sg_job *job = wk->job;
	struct sg_block *b = wk->free_blocks;

	if (b) {
		wk->free_blocks = b->next;
		return b;
	}
	b = calloc(1, sizeof(*b) + job->nwarps * sizeof(b->warp[0]));
	if (!b)
		return NULL;
	b->worker = wk;
	b->nwarps = job->nwarps;
	b->nthreads = job->nthreads;
	b->shared_bytes = job->shared_bytes;
	if (!block_alloc(b, job)) {
		sg_block_free(wk, b);
		return NULL;
	}
	return b;
}

static void start_warp(struct sg_block *b, unsigned i)
{
	const struct sg_function *f = b->worker->job->func;
	struct sg_warp *w = &b->warp[i];
	unsigned threads = b->nthreads - i * SG_WARP;

	w->block = b;
	w->index = i;
	w->exited = threads >= SG_WARP ? 0 : ~0u << threads;
	w->root = (struct sg_frame){ .func = f };
	w->root.regs = b->regs + (size_t)i * f->reg_bytes;
	w->root.params = b->params + (size_t)i * f->param_bytes * SG_LANES;
	sg_warp_start(w);
}

void sg_block_start(struct sg_block *b, uint64_t number)
{
	const unsigned *grid = b->worker->job->launch->grid;

	b->number = number;
	b->id[0] = number % grid[0];
	b->id[1] = number / grid[0] % grid[1];
	b->id[2] = number / grid[0] / grid[1];
	b->done = 0;
	b->live = b->nthreads;
	memset(b->barrier, 0, sizeof(b->barrier));
	memset(b->shared, 0, b->shared_bytes);
	for (unsigned i = 0; i < b->nwarps; i++)
		start_warp(b, i);
}

/* Nobody can go on. Lanes that wait for lanes that will not come are let go. */
static enum sg_run unblock(struct sg_block *b)
{
	bool any = false;

	for (unsigned i = 0; i < b->nwarps; i++)
		any |= sg_warp_wake(&b->warp[i], true);
	if (any)
		return SG_RUN_SLICE;
	for (unsigned i = 0; i < b->nwarps; i++) {
		struct sg_warp *w = &b->warp[i];
		struct sg_split *s = &w->split[0];

		if (!w->nsplits)
			continue;
		w->frame = s->frame;
		sg_warp_fault(w, &s->frame->func->code[s->pc], __builtin_ctz(s->mask),
			      CUDA_ERROR_LAUNCH_TIMEOUT,
			      "threads wait at a barrier to which others never come,", s->barrier);
		break;
	}
	return SG_RUN_FAULT;
}

static bool must_stop(const struct sg_job *job)
{
	return __atomic_load_n(&job->failed, __ATOMIC_ACQUIRE) ||
	       (job->launch->stop &&
		__atomic_load_n(job->launch->stop, __ATOMIC_RELAXED));
}

static enum sg_run run_pass(struct sg_block *b, long *budget)
{
	enum sg_run all = SG_RUN_BLOCKED;

	for (unsigned i = 0; i < b->nwarps; i++) {
		enum sg_run r;

		if (!b->warp[i].nsplits)
			continue;
		r = sg_warp_run(&b->warp[i], WARP_SLICE);
		if (r == SG_RUN_FAULT)
			return r;
		if (r == SG_RUN_DONE)
			b->done++;
		if (r != SG_RUN_BLOCKED) {
			all = SG_RUN_SLICE;
			*budget -= WARP_SLICE;
		}
	}
	return b->done == b->nwarps ? SG_RUN_DONE : all;
}

/* SG_RUN_SLICE: the budget is spent or its warps sleep. */
enum sg_run sg_block_run(struct sg_block *b, long budget)
{
	struct sg_worker *wk = b->worker;
	uint64_t gen = sg_span_generation();

	if (wk->generation != gen) {
		wk->generation = gen;
		memset(wk->tlb, 0, sizeof(wk->tlb));
	}
	wk->yielded = false;
	while (budget > 0) {
		enum sg_run r;

		if (must_stop(wk->job))
			return SG_RUN_FAULT;
		r = run_pass(b, &budget);
		if (r == SG_RUN_BLOCKED)
			r = unblock(b);
		if (r != SG_RUN_SLICE || wk->yielded)
			return r;
	}
	return SG_RUN_SLICE;
}
