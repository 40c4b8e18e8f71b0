/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* Functions that nobody wrote. */
#include "gen/unsupported.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cuda.h is not included: its prototypes are not those of these definitions. */
#define NOT_SUPPORTED 801 /* CUDA_ERROR_NOT_SUPPORTED */

static const char *const names[] = {
	"cuCtxGetCacheConfig",
	"cuEventCreate",
	"cuEventElapsedTime",
	"cuEventElapsedTime_v2",
	"cuEventRecord",
	"cuEventRecord_ptsz",
	"cuInit",
	"cuKernelSetAttribute",
	"cuLaunchHostFunc",
	"cuLaunchHostFunc_ptsz",
	"cuMemcpy",
	"cuMemcpy_ptds",
	"cuModuleGetGlobal_v2",
};

#define NAMES (sizeof(names) / sizeof(names[0]))

static unsigned long counts[NAMES];

static int unsupported(unsigned n)
{
	const char *trace;

	if (__atomic_fetch_add(&counts[n], 1, __ATOMIC_RELAXED))
		return NOT_SUPPORTED;
	trace = getenv("VGPU_TRACE_UNSUPPORTED");
	if (trace && !strcmp(trace, "1"))
		fprintf(stderr, "vgpu: %s is not supported\n", names[n]);
	return NOT_SUPPORTED;
}

unsigned long vgpu_unsupported_count(const char *name)
{
	for (unsigned n = 0; n < NAMES; n++)
		if (!strcmp(names[n], name))
			return __atomic_load_n(&counts[n], __ATOMIC_RELAXED);
	return 0;
}

#define UNSUPPORTED(n, name)                                                   \
	int name(void);                                                        \
	__attribute__((weak, visibility("default"))) int name(void)            \
	{                                                                      \
		return unsupported(n);                                         \
	}

UNSUPPORTED(0, cuCtxGetCacheConfig)
UNSUPPORTED(1, cuEventCreate)
UNSUPPORTED(2, cuEventElapsedTime)
UNSUPPORTED(3, cuEventElapsedTime_v2)
UNSUPPORTED(4, cuEventRecord)
UNSUPPORTED(5, cuEventRecord_ptsz)
UNSUPPORTED(6, cuInit)
UNSUPPORTED(7, cuKernelSetAttribute)
UNSUPPORTED(8, cuLaunchHostFunc)
UNSUPPORTED(9, cuLaunchHostFunc_ptsz)
UNSUPPORTED(10, cuMemcpy)
UNSUPPORTED(11, cuMemcpy_ptds)
UNSUPPORTED(12, cuModuleGetGlobal_v2)
