// SPDX-License-Identifier: MIT
/*
 * Where registers live in a frame. Each register that is used gets a place of
 * its own; the places of one size lie together, so that two registers never
 * overlap in part and handlers may write lane i after reading lane i.
 */
#include "softgpu/build.h"

#define SCRATCH	256u	/* where operand 0, no register, is written to */

static void place(const struct sg_builder *b, uint32_t reg, enum sg_reg_class class, uint32_t *at,
		  uint32_t *top)
{
	static const uint32_t bytes[] = { [RC_PRED] = 4, [RC_32] = 128, [RC_64] = 256 };

	if (at[reg] != UINT32_MAX || b->class[reg] != class)
		return;
	at[reg] = *top;
	*top += bytes[class];
}

static void place_class(const struct sg_builder *b, enum sg_reg_class class, uint32_t *at,
			uint32_t *top)
{
	for (uint32_t pc = 0; pc < b->ncode; pc++) {
		const struct sg_insn *in = &b->code[pc];

		for (int i = 0; i < SG_OPDS; i++)
			if (in->opd[i] && !(in->opd[i] & 1))
				place(b, in->opd[i] >> 1, class, at, top);
		if (in->guard)
			place(b, in->guard >> 1, class, at, top);
	}
	*top = (*top + 63) & ~63u;
}

bool sg_regalloc(const struct sg_builder *b, uint32_t *at, uint32_t *bytes)
{
	uint32_t top = SCRATCH;

	for (uint32_t i = 0; i < b->nregs; i++)
		at[i] = UINT32_MAX;
	at[SG_REG_NONE] = 0;
	place(b, SG_REG_CC, RC_PRED, at, &top);
	place_class(b, RC_PRED, at, &top);
	place_class(b, RC_32, at, &top);
	place_class(b, RC_64, at, &top);
	*bytes = top;
	return true;
}
