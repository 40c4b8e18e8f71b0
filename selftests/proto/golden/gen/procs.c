/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* Variants of functions, for cuGetProcAddress. */
#include "cudafront/cudafront.h"

/*
 * Addresses of symbols by their names alone: cuda.h renames some by macros, and
 * one older than the spec declares not all.
 */
#define SYMBOL(name) extern char symbol_##name[] __asm__(#name);
#define PROC(base, since, name) { #base, since, 0, symbol_##name, NULL },
#define PAIR(base, since, name, since_pt, twin) \
	{ #base, since, since_pt, symbol_##name, symbol_##twin },

SYMBOL(cuCtxGetCacheConfig)
SYMBOL(cuEventCreate)
SYMBOL(cuEventElapsedTime)
SYMBOL(cuEventElapsedTime_v2)
SYMBOL(cuEventRecord)
SYMBOL(cuEventRecord_ptsz)
SYMBOL(cuInit)
SYMBOL(cuKernelSetAttribute)
SYMBOL(cuLaunchHostFunc)
SYMBOL(cuLaunchHostFunc_ptsz)
SYMBOL(cuMemcpy)
SYMBOL(cuMemcpy_ptds)
SYMBOL(cuModuleGetGlobal_v2)

const struct cudafront_proc cudafront_procs[] = {
	PROC(cuCtxGetCacheConfig, 3020, cuCtxGetCacheConfig)
	PROC(cuEventCreate, 2000, cuEventCreate)
	PROC(cuEventElapsedTime, 2000, cuEventElapsedTime)
	PROC(cuEventElapsedTime, 12080, cuEventElapsedTime_v2)
	PAIR(cuEventRecord, 2000, cuEventRecord, 7000, cuEventRecord_ptsz)
	PROC(cuInit, 2000, cuInit)
	PROC(cuKernelSetAttribute, 12000, cuKernelSetAttribute)
	PAIR(cuLaunchHostFunc, 10000, cuLaunchHostFunc, 10000, cuLaunchHostFunc_ptsz)
	PAIR(cuMemcpy, 4000, cuMemcpy, 7000, cuMemcpy_ptds)
	PROC(cuModuleGetGlobal, 3020, cuModuleGetGlobal_v2)
};

const unsigned cudafront_nprocs =
	sizeof(cudafront_procs) / sizeof(cudafront_procs[0]);
