/* SPDX-License-Identifier: MIT */
/*
 * What tests of the driver API share: the driver's prototypes by the names of
 * the symbols, a few kernels, and a context.
 */
#ifndef SELFTESTS_SOFTGPU_API_TEST_H
#define SELFTESTS_SOFTGPU_API_TEST_H

#define __CUDA_API_VERSION_INTERNAL
#include <cuda.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

/*
 * fill(p, value, n), spin(flag) until it is not 0, stray() writes to nowhere,
 * heavy() needs most registers of a multiprocessor if a block is large.
 */
static const char kernels[] __attribute__((unused)) =
	".version 6.4\n"
	".target sm_75\n"
	".address_size 64\n"
	".visible .global .align 4 .u32 counter = 7;\n"
	".visible .entry fill(.param .u64 fill_p, .param .u32 fill_v, .param .u32 fill_n)\n"
	"{\n"
	"	.reg .pred %p<2>;\n"
	"	.reg .b32 %r<7>;\n"
	"	.reg .b64 %d<5>;\n"
	"	ld.param.u64 %d1, [fill_p];\n"
	"	ld.param.u32 %r1, [fill_v];\n"
	"	ld.param.u32 %r2, [fill_n];\n"
	"	mov.u32 %r3, %ctaid.x;\n"
	"	mov.u32 %r4, %ntid.x;\n"
	"	mov.u32 %r5, %tid.x;\n"
	"	mad.lo.s32 %r6, %r3, %r4, %r5;\n"
	"	setp.ge.u32 %p1, %r6, %r2;\n"
	"	@%p1 bra $done;\n"
	"	cvta.to.global.u64 %d2, %d1;\n"
	"	mul.wide.u32 %d3, %r6, 4;\n"
	"	add.s64 %d4, %d2, %d3;\n"
	"	st.global.u32 [%d4], %r1;\n"
	"$done:\n"
	"	ret;\n"
	"}\n"
	".visible .entry spin(.param .u64 spin_p)\n"
	"{\n"
	"	.reg .pred %p<2>;\n"
	"	.reg .b32 %r<2>;\n"
	"	.reg .b64 %d<2>;\n"
	"	ld.param.u64 %d1, [spin_p];\n"
	"$again:\n"
	"	ld.volatile.u32 %r1, [%d1];\n"
	"	setp.eq.u32 %p1, %r1, 0;\n"
	"	@%p1 bra $again;\n"
	"	ret;\n"
	"}\n"
	".visible .entry stray()\n"
	"{\n"
	"	.reg .b64 %d<2>;\n"
	"	mov.u64 %d1, 64;\n"
	"	st.global.u32 [%d1], 1;\n"
	"	ret;\n"
	"}\n"
	".visible .entry limited() .maxntid 64, 1, 1\n"
	"{\n"
	"	ret;\n"
	"}\n";

#define OK(call) CHECK_EQ((call), CUDA_SUCCESS)

struct fixture {
	CUcontext	ctx;
	CUmodule	module;
	CUfunction	fill, spin, stray;
	unsigned	*flag;		/* for spin; page-locked */
};

/* A context of its own, current, with the kernels; false: leave the test. */
static inline bool fixture_open(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	return cuInit(0) == CUDA_SUCCESS && cuCtxCreate_v2(&f->ctx, 0, 0) == CUDA_SUCCESS &&
	       cuModuleLoadData(&f->module, kernels) == CUDA_SUCCESS &&
	       cuModuleGetFunction(&f->fill, f->module, "fill") == CUDA_SUCCESS &&
	       cuModuleGetFunction(&f->spin, f->module, "spin") == CUDA_SUCCESS &&
	       cuModuleGetFunction(&f->stray, f->module, "stray") == CUDA_SUCCESS &&
	       cuMemHostAlloc((void **)&f->flag, 64, 0) == CUDA_SUCCESS;
}

static inline void fixture_close(struct fixture *f)
{
	OK(cuCtxDestroy_v2(f->ctx));
}

static inline CUresult launch_fill(struct fixture *f, CUstream stream, CUdeviceptr p,
				   unsigned value, unsigned n)
{
	void *params[] = { &p, &value, &n };

	return cuLaunchKernel(f->fill, (n + 255) / 256, 1, 1, 256, 1, 1, 0, stream, params, NULL);
}

/* Holds @stream up until the flag is set. */
static inline CUresult launch_spin(struct fixture *f, CUstream stream)
{
	CUdeviceptr p = (uintptr_t)f->flag;
	void *params[] = { &p };

	__atomic_store_n(f->flag, 0, __ATOMIC_RELEASE);
	return cuLaunchKernel(f->spin, 1, 1, 1, 1, 1, 1, 0, stream, params, NULL);
}

static inline void let_go(struct fixture *f)
{
	__atomic_store_n(f->flag, 1, __ATOMIC_RELEASE);
}

#endif /* SELFTESTS_SOFTGPU_API_TEST_H */
