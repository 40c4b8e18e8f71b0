// SPDX-License-Identifier: MIT
/* Names of special registers. */
#include "softgpu/decode.h"

#include <string.h>

static const struct { char name[24]; uint8_t sreg; bool axes; } names[] = {
	{ "%tid", SG_SREG_TID, true }, { "%ntid", SG_SREG_NTID, true },
	{ "%ctaid", SG_SREG_CTAID, true }, { "%nctaid", SG_SREG_NCTAID, true },
	{ "%laneid", SG_SREG_LANEID, false }, { "%warpid", SG_SREG_WARPID, false },
	{ "%nwarpid", SG_SREG_NWARPID, false }, { "%smid", SG_SREG_SMID, false },
	{ "%nsmid", SG_SREG_NSMID, false }, { "%gridid", SG_SREG_GRIDID, false },
	{ "%lanemask_eq", SG_SREG_LANEMASK_EQ, false },
	{ "%lanemask_le", SG_SREG_LANEMASK_LE, false },
	{ "%lanemask_lt", SG_SREG_LANEMASK_LT, false },
	{ "%lanemask_ge", SG_SREG_LANEMASK_GE, false },
	{ "%lanemask_gt", SG_SREG_LANEMASK_GT, false },
	{ "%clock", SG_SREG_CLOCK, false }, { "%clock_hi", SG_SREG_CLOCK_HI, false },
	{ "%clock64", SG_SREG_CLOCK64, false }, { "%globaltimer", SG_SREG_GLOBALTIMER, false },
	{ "%globaltimer_lo", SG_SREG_GLOBALTIMER_LO, false },
	{ "%globaltimer_hi", SG_SREG_GLOBALTIMER_HI, false },
	{ "%total_smem_size", SG_SREG_TOTAL_SMEM, false },
	{ "%dynamic_smem_size", SG_SREG_DYNAMIC_SMEM, false },
	{ "%envreg1", SG_SREG_ENVREG1, false }, { "%envreg2", SG_SREG_ENVREG2, false },
};

/* @axis: 1, 2, 3 for .x, .y, .z; 0: none. -1: no such register. */
int sg_sreg_named(const char *text, unsigned len, unsigned axis)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strlen(names[i].name) != len || memcmp(names[i].name, text, len))
			continue;
		if (names[i].axes != (axis != 0))
			return -1;
		return names[i].sreg + (int)(axis ? axis - 1 : 0);
	}
	if ((len > 7 && !memcmp(text, "%envreg", 7)) || (len > 3 && !memcmp(text, "%pm", 3)))
		return SG_SREG_ZERO;
	return -1;
}
