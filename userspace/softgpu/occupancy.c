// SPDX-License-Identifier: MIT
/* How many blocks a multiprocessor holds: limits of compute capability 7.5. */
#include "softgpu/ptx.h"

#define REG_UNIT	256	/* registers are given to warps in such pieces */
#define SHARED_UNIT	256

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned sg_occupancy(const struct sg_function *f, unsigned block_threads, size_t dynamic_shared)
{
	unsigned warps = (block_threads + SG_WARP - 1) / SG_WARP, n, per_warp;
	size_t shared = f->info.static_shared + dynamic_shared;

	if (!warps || block_threads > f->max_threads || dynamic_shared > SG_SHARED_SM ||
	    shared > SG_SHARED_SM)
		return 0;
	per_warp = (f->info.regs * SG_WARP + REG_UNIT - 1) / REG_UNIT * REG_UNIT;
	n = min(SG_BLOCKS_SM, SG_THREADS_SM / (warps * SG_WARP));
	n = min(n, SG_REGS_SM / per_warp / warps);
	shared = (shared + SHARED_UNIT - 1) / SHARED_UNIT * SHARED_UNIT;
	if (shared)
		n = min(n, SG_SHARED_SM / shared);
	return n;
}
