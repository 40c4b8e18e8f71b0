/* SPDX-License-Identifier: MIT */
/*
 * What runs kernels: PTX text in, memory changed. The driver API of softgpu
 * (contexts, streams, events, handles) stands on this and on nothing else.
 * The engine knows no CUDA handle, the API no PTX.
 *
 * Functions return CUDA_SUCCESS or the CUresult that a driver would give.
 * All may be called by several threads at once unless said otherwise.
 */
#ifndef SOFTGPU_ENGINE_H
#define SOFTGPU_ENGINE_H

#include <cuda.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SG_WARP			32
#define SG_MAX_THREADS		1024	/* a block */
#define SG_MAX_PARAM_BYTES	4096
#define SG_SHARED_DEFAULT	(48u << 10)
#define SG_SHARED_OPTIN		(64u << 10)
#define SG_SHARED_SM		(64u << 10)
#define SG_REGS_SM		65536
#define SG_THREADS_SM		1024
#define SG_BLOCKS_SM		16
#define SG_SMS			8	/* multiprocessors of a device */

/* ---- memory of a device (memory.c) ---- */

struct sg_device;	/* memory and execution slots of one ordinal */

/*
 * Ordinal 0..n-1. @total: bytes of memory it pretends to have. Made once a
 * process by the API; never freed.
 */
struct sg_device *sg_device_create(int ordinal, size_t total);
int sg_device_ordinal(const struct sg_device *dev);

/*
 * Zeroed memory, 512-byte aligned, mapped in the process' mmap area, so that
 * it can meet somebody's address range there. CUDA_ERROR_OUT_OF_MEMORY.
 */
CUresult sg_mem_alloc(struct sg_device *dev, size_t size, CUdeviceptr *ptr);
CUresult sg_mem_free(struct sg_device *dev, CUdeviceptr ptr);
/* The allocation that holds @ptr; false: none. dev, base and size may be NULL. */
bool sg_mem_find(CUdeviceptr ptr, struct sg_device **dev, CUdeviceptr *base,
		 size_t *size);
void sg_mem_info(struct sg_device *dev, size_t *free, size_t *total);

/* Host memory that kernels may use (page-locked, mapped): accesses to it pass. */
CUresult sg_host_add(void *ptr, size_t size);
CUresult sg_host_remove(void *ptr);

/* ---- modules ---- */

struct sg_module;	/* globals placed on one device, code predecoded */
struct sg_function;	/* one .entry of a module */

/* A JIT log as CU_JIT_ERROR_LOG_BUFFER wants it; buf may be NULL. */
struct sg_log {
	char	*buf;
	size_t	size;
	size_t	used;		/* without the final NUL */
};

/*
 * @ptx: @len bytes, untrusted, need not end in NUL. Globals are allocated on
 * @dev and initialised. A syntax error is CUDA_ERROR_INVALID_PTX with line and
 * token in @log; a .target above sm_75: CUDA_ERROR_NO_BINARY_FOR_GPU, unless
 * it cannot matter, is CUDA_ERROR_INVALID_PTX; an .version that is not known:
 * CUDA_ERROR_UNSUPPORTED_PTX_VERSION. An instruction that is parsed but not
 * supported does not fail here but in sg_launch().
 */
CUresult sg_module_load(struct sg_device *dev, const char *ptx, size_t len,
			struct sg_log *log, struct sg_module **out);
/* No kernel of it may be running. */
void sg_module_unload(struct sg_module *mod);

struct sg_function *sg_module_function(struct sg_module *mod, const char *name);
/* The index-th .entry; NULL past the last. */
struct sg_function *sg_module_function_at(struct sg_module *mod, unsigned index);
bool sg_module_global(struct sg_module *mod, const char *name,
		      CUdeviceptr *ptr, size_t *size);

struct sg_param {
	uint32_t offset;
	uint32_t size;
};

struct sg_function_info {
	const char		*name;
	const struct sg_param	*params;
	unsigned		nparams;
	unsigned		param_bytes;
	unsigned		static_shared;	/* bytes */
	unsigned		local;		/* bytes a thread */
	unsigned		constant;	/* bytes of user .const */
	unsigned		regs;		/* a thread, as a driver would report */
	unsigned		max_threads;	/* a block: .maxntid or SG_MAX_THREADS */
};
const struct sg_function_info *sg_function_info(const struct sg_function *f);

/* ---- launches ---- */

struct sg_launch {
	struct sg_function	*function;
	unsigned		grid[3];
	unsigned		block[3];
	unsigned		dynamic_shared;	/* bytes */
	bool			cooperative;
	const void		*params;	/* packed as info->params says */
	size_t			param_bytes;
	const volatile bool	*stop;		/* may be NULL; true: end soon */
};

/* What went wrong, for the one-line report and the sticky error. */
struct sg_fault {
	CUresult	error;
	char		text[256];	/* kernel, block, thread, instruction, address */
};

/*
 * Run it to its end on the pool of host threads (SOFTGPU_THREADS, default: the
 * number of processors); the calling thread is one of them. Several launches
 * run at once when called from several threads. Geometry was checked by the
 * caller. Device printf and assert text go to stdout and stderr of the
 * process, whole lines at a time, before this returns.
 * CUDA_ERROR_ILLEGAL_ADDRESS, _MISALIGNED_ADDRESS, _ASSERT, _ILLEGAL_INSTRUCTION
 * (trap), _HARDWARE_STACK_ERROR, _LAUNCH_TIMEOUT (stop), _NOT_SUPPORTED (names the
 * instruction), ... and @fault is filled; blocks that ran have had their effect.
 */
CUresult sg_launch(const struct sg_launch *l, struct sg_fault *fault);

/* Blocks of @f that fit one multiprocessor with that block size and memory. */
unsigned sg_occupancy(const struct sg_function *f, unsigned block_threads,
		      size_t dynamic_shared);

#endif /* SOFTGPU_ENGINE_H */
