/* SPDX-License-Identifier: MIT */
/* The two builds of the handlers. Control operations have none. */
#ifndef SOFTGPU_OPS_TABLE_H
#define SOFTGPU_OPS_TABLE_H

#include "softgpu/insn.h"

extern sg_op_fn * const sg_ops_base[SG_OP_COUNT];
extern sg_op_fn * const sg_ops_v3[SG_OP_COUNT];

#endif /* SOFTGPU_OPS_TABLE_H */
