// SPDX-License-Identifier: MIT
/*
 * cuGetProcAddress(): which variant of a driver function a caller means who
 * gives a base name, the version of CUDA whose prototype he knows, and whether
 * the default stream is to be his thread's own.
 */
#include "internal.h"

#include <string.h>

#define FLAGS (CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)

/* The first entry of @name or, if there is none, of what comes after it. */
static unsigned lower_bound(const char *name)
{
	unsigned low = 0, high = cudafront_nprocs;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (strcmp(cudafront_procs[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The newest variant that @version has; NULL: none. *@known: the name exists. */
static const struct cudafront_proc *find(const char *name, int version, bool *known)
{
	const struct cudafront_proc *found = NULL;

	*known = false;
	for (unsigned i = lower_bound(name);
	     i < cudafront_nprocs && !strcmp(cudafront_procs[i].name, name); i++) {
		*known = true;
		if (cudafront_procs[i].since <= version)
			found = &cudafront_procs[i];
	}
	return found;
}

static void *choose(const struct cudafront_proc *proc, int version, cuuint64_t flags)
{
	if (flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM && proc->since_pt &&
	    proc->since_pt <= version)
		return proc->function_pt;
	return proc->function;
}

CUresult cudafront_proc_address(const char *symbol, void **pfn, int version, cuuint64_t flags,
				CUdriverProcAddressQueryResult *status)
{
	const struct cudafront_proc *proc;
	CUdriverProcAddressQueryResult result = CU_GET_PROC_ADDRESS_SUCCESS;
	bool known;

	if (!pfn)
		return CUDA_ERROR_INVALID_VALUE;
	*pfn = NULL;
	if (!symbol || version > cudafront_ops->driver_version)
		return CUDA_ERROR_INVALID_VALUE;
	if (flags & ~(cuuint64_t)FLAGS || flags == FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	proc = find(symbol, version, &known);
	if (proc)
		*pfn = choose(proc, version, flags);
	else
		result = known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT :
				 CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
	if (status)
		*status = result;
	return proc ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
