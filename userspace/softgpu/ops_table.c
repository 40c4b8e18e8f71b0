// SPDX-License-Identifier: MIT
/* The handlers of one build of the ops_*.c files, by operation. */
#include "softgpu/ops.h"
#include "softgpu/ops_table.h"

sg_op_fn * const SG_PASTE(sg_ops_, SG_ISA)[SG_OP_COUNT] = {
#define X(name) [SG_OP_##name] = OP(name),
	SG_OPLIST_INT(X) SG_OPLIST_BIT(X) SG_OPLIST_FLOAT(X) SG_OPLIST_CVT(X)
	SG_OPLIST_MEM(X) SG_OPLIST_SYNC(X)
#undef X
};
