// SPDX-License-Identifier: MIT
/* Which build of the handlers this processor can run. */
#include "softgpu/exec.h"
#include "softgpu/ops_table.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

/* Of x86-64-v3, those that not every compiler knows by name. */
static bool has_the_rest(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_F16C) || !(c & bit_MOVBE))
		return false;
	return __get_cpuid(0x80000001, &a, &b, &c, &d) && c & bit_LZCNT;
}

/* SOFTGPU_ISA=base forces the plain build: for tests. */
sg_op_fn * const *sg_op_table(void)
{
	const char *isa = getenv("SOFTGPU_ISA");

	if (isa && !strcmp(isa, "base"))
		return sg_ops_base;
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
	    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && has_the_rest())
		return sg_ops_v3;
	return sg_ops_base;
}
