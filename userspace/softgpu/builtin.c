// SPDX-License-Identifier: MIT
/* Functions that a driver provides to kernels: vprintf, malloc, free, __assertfail. */
#include "softgpu/exec.h"

#include <stdio.h>
#include <string.h>

static uint64_t arg(const struct sg_warp *w, const struct sg_call *c, unsigned k, unsigned lane)
{
	const struct sg_frame *f = w->frame;
	uint64_t v = 0;

	if (k < c->nargs)
		memcpy(&v, f->params + (size_t)lane * f->func->param_bytes + c->args[k].at,
		       c->args[k].size < 8 ? c->args[k].size : 8);
	return v;
}

static void give(const struct sg_warp *w, const struct sg_call *c, unsigned lane, uint64_t v)
{
	const struct sg_frame *f = w->frame;

	if (c->nrets)
		memcpy(f->params + (size_t)lane * f->func->param_bytes + c->rets[0].at, &v,
		       c->rets[0].size < 8 ? c->rets[0].size : 8);
}

static bool call_printf(struct sg_warp *w, const struct sg_insn *in, const struct sg_call *c,
			unsigned lane)
{
	int32_t result;

	if (!sg_printf(w, in, lane, arg(w, c, 0, lane), arg(w, c, 1, lane), &result))
		return false;
	give(w, c, lane, (uint32_t)result);
	return true;
}

static bool call_free(struct sg_warp *w, const struct sg_insn *in, const struct sg_call *c,
		      unsigned lane)
{
	uint64_t ptr = arg(w, c, 0, lane);

	if (sg_heap_free(w->block->worker->job->dev, ptr))
		return true;
	return sg_warp_fault(w, in, lane, CUDA_ERROR_ILLEGAL_ADDRESS, "free() of a bad pointer",
			     ptr);
}

/* The text is NVIDIA's, word for word: tools look for it. */
static bool call_assert(struct sg_warp *w, const struct sg_insn *in, const struct sg_call *c,
			unsigned lane)
{
	const struct sg_block *b = w->block;
	const unsigned *n = b->worker->job->launch->block;
	uint32_t t = w->index * SG_WARP + lane;
	char expr[512], file[512], func[512];

	if (!sg_read_string(w, in, lane, arg(w, c, 0, lane), expr, sizeof(expr)) ||
	    !sg_read_string(w, in, lane, arg(w, c, 1, lane), file, sizeof(file)) ||
	    !sg_read_string(w, in, lane, arg(w, c, 3, lane), func, sizeof(func)))
		return false;
	fprintf(stderr,
		"%s:%u: %s: block: [%u,%u,%u], thread: [%u,%u,%u] Assertion `%s` failed.\n",
		file, (unsigned)arg(w, c, 2, lane), func, b->id[0], b->id[1], b->id[2],
		t % n[0], t / n[0] % n[1], t / n[0] / n[1], expr);
	return true;
}

static bool call_lane(struct sg_warp *w, const struct sg_insn *in, unsigned lane)
{
	const struct sg_call *c = (const struct sg_call *)(intptr_t)in->imm;

	switch (c->callee->builtin) {
	case SG_B_VPRINTF:
		return call_printf(w, in, c, lane);
	case SG_B_MALLOC:
		give(w, c, lane, sg_heap_alloc(w->block->worker->job->dev, arg(w, c, 0, lane)));
		return true;
	case SG_B_FREE:
		return call_free(w, in, c, lane);
	default:
		return call_assert(w, in, c, lane);
	}
}

bool sg_builtin_call(struct sg_warp *w, const struct sg_insn *in, uint32_t mask)
{
	const struct sg_call *c = (const struct sg_call *)(intptr_t)in->imm;

	/* The address of a builtin was taken: no compiler does that. */
	if (!c->callee)
		return sg_warp_fault(w, in, __builtin_ctz(mask), CUDA_ERROR_NOT_SUPPORTED,
				     "indirect call of a builtin function", 0);
	for (uint32_t m = mask; m; m &= m - 1)
		if (!call_lane(w, in, __builtin_ctz(m)))
			return false;
	if (c->callee->builtin == SG_B_ASSERTFAIL)
		return sg_warp_fault(w, in, __builtin_ctz(mask), CUDA_ERROR_ASSERT,
				     "assertion failed", 0);
	return true;
}
