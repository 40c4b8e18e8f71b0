// SPDX-License-Identifier: MIT
/* Which build of the handlers this processor can run. */
#include "softgpu/exec.h"
#include "softgpu/ops_table.h"

#include <stdlib.h>
#include <string.h>

/* SOFTGPU_ISA=base forces the plain build: for tests. */
sg_op_fn * const *sg_op_table(void)
{
	const char *isa = getenv("SOFTGPU_ISA");

	if (isa && !strcmp(isa, "base"))
		return sg_ops_base;
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
	    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("f16c"))
		return sg_ops_v3;
	return sg_ops_base;
}
