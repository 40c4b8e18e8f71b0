// SPDX-License-Identifier: MIT
/*
 * From addresses of a kernel to memory of the host. Nothing is touched that
 * was not looked up: an address is in an allocation, in page-locked host
 * memory, or in the window of shared, local or parameter memory.
 */
#include "softgpu/exec.h"

static struct sg_span *tlb_slot(struct sg_worker *wk, const struct sg_insn *in)
{
	return &wk->tlb[((uintptr_t)in / sizeof(*in)) % SG_TLB];
}

/* Fills the instruction's slot; false: nothing accessible there. */
bool sg_span_load(struct sg_worker *wk, const struct sg_insn *in, uint64_t addr, uint64_t size)
{
	struct sg_span span;

	if (!sg_span_find(addr, &span))
		return false;
	*tlb_slot(wk, in) = span;
	return sg_span_holds(&span, addr, size);
}

/* Where @addr's memory is, and how much of it follows. */
uint64_t sg_access_room(struct sg_warp *w, const struct sg_insn *in, unsigned lane,
			uint64_t addr, const void **p)
{
	struct sg_block *b = w->block;
	struct sg_worker *wk = b->worker;
	uint64_t off = addr & ((1ull << SG_WINDOW_SHIFT) - 1), size;
	uint8_t *base;

	switch (addr >> SG_WINDOW_SHIFT) {
	case 0:
		if (!sg_span_holds(tlb_slot(wk, in), addr, 1) && !sg_span_load(wk, in, addr, 1))
			return 0;
		*p = (void *)(uintptr_t)addr;
		return tlb_slot(wk, in)->base + tlb_slot(wk, in)->size - addr;
	case SG_WINDOW_SHARED >> SG_WINDOW_SHIFT:
		base = b->shared;
		size = b->shared_bytes;
		break;
	case SG_WINDOW_LOCAL >> SG_WINDOW_SHIFT:
		size = wk->job->stack_bytes;
		base = b->locals + (uint64_t)(w->index * SG_WARP + lane) * size;
		break;
	case SG_WINDOW_PARAM >> SG_WINDOW_SHIFT:
		base = wk->job->params;
		size = wk->job->func->info.param_bytes;
		break;
	default:
		return 0;
	}
	if (off >= size)
		return 0;
	*p = base + off;
	return size - off;
}

void *sg_access(struct sg_warp *w, const struct sg_insn *in, unsigned lane, uint64_t addr,
		uint64_t size)
{
	const void *p;

	return sg_access_room(w, in, lane, addr, &p) >= size ? (void *)(uintptr_t)p : NULL;
}
