/* SPDX-License-Identifier: MIT */
/*
 * Launches: the hot path. What the driver would refuse at the call is refused
 * here, from what is known of device and function; the rest is one record.
 */
#include <stdlib.h>
#include <string.h>
#include "proto/cuda_api.h"
#include "cudafront/cudafront.h"
#include "libcuda/code.h"

struct launch {
	struct vgpu_call_place	p;
	struct vgpu_object	*object;
	struct vgpu_function	*function;
	uint64_t		handle;
	uint64_t		stream;
	unsigned		grid[3];
	unsigned		block[3];
	unsigned		shared;
	bool			cooperative;
	const CUlaunchAttribute	*attributes;
	unsigned		nattributes;
};

static CUresult launch_begin(struct launch *l, CUfunction function, CUstream stream)
{
	struct vgpu_object *current;
	CUresult r;

	r = vgpu_place(&l->p);
	if (r)
		return r;
	current = l->p.context;
	l->handle = (uintptr_t)function;
	l->object = vgpu_object_get(l->handle, VGPU_KIND_FUNCTION);
	if (!l->object || (l->object->ctx && l->object->ctx != l->p.ctx))
		return CUDA_ERROR_INVALID_HANDLE;
	r = vgpu_wire_stream(&l->p, stream, &l->stream);
	if (r)
		return r;
	if (l->p.context != current)	/* launches alone insist on it */
		return CUDA_ERROR_INVALID_HANDLE;
	return vgpu_function_get(l->object, l->handle, l->p.context->context.device, &l->function);
}

/* ---- what is refused at the call ---- */

static CUresult geometry_check(const struct launch *l, const int *dev)
{
	uint64_t threads = (uint64_t)l->block[0] * l->block[1] * l->block[2];
	CUresult bad = cudafront_bad_geometry(vgpu_handle_kind(l->handle) == VGPU_KIND_KERNEL);

	for (int i = 0; i < 3; i++)
		if (!l->grid[i] || !l->block[i] ||
		    l->grid[i] > (unsigned)dev[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i] ||
		    l->block[i] > (unsigned)dev[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i])
			return bad;
	if (threads > (unsigned)dev[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK])
		return bad;
	/* Fewer than the device could: registers, or what the kernel was built for. */
	if (threads > (unsigned)l->function->attributes[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK])
		return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
	return CUDA_SUCCESS;
}

static CUresult shared_check(const struct launch *l, const int *dev)
{
	_Atomic int *f = l->function->attributes;
	unsigned fixed = f[CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES];
	unsigned most = dev[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK];
	unsigned dynamic = f[CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES];

	/* Above the default only as far as cuFuncSetAttribute allowed. */
	if (fixed < most && dynamic < most - fixed)
		dynamic = most - fixed;
	return l->shared > dynamic ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/*
 * Blocks on a multiprocessor; asked of the worker when the last launch was of
 * another shape. Shape and answer are one word, for other threads launch, too.
 */
static CUresult occupancy_get(const struct launch *l, unsigned threads, uint16_t *blocks)
{
	uint64_t shape = (uint64_t)threads << 48 | (uint64_t)l->shared << 16;
	uint64_t known = l->function->occupancy;
	int n;
	CUresult r;

	if (known && (known & ~(uint64_t)UINT16_MAX) == shape) {
		*blocks = (uint16_t)known;
		return CUDA_SUCCESS;
	}
	r = cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
		&n, (CUfunction)(uintptr_t)l->handle, threads, l->shared, 0);
	if (!r && (n < 0 || n > UINT16_MAX))
		r = CUDA_ERROR_UNKNOWN;
	if (r)
		return r;
	*blocks = n;
	if (threads <= UINT16_MAX)
		l->function->occupancy = shape | *blocks;
	return CUDA_SUCCESS;
}

/* All blocks of a cooperative launch must be resident at once. */
static CUresult cooperative_check(const struct launch *l, const int *dev)
{
	unsigned threads = l->block[0] * l->block[1] * l->block[2];
	uint64_t blocks;
	uint16_t per_sm;
	CUresult r;

	if (!dev[CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH])
		return CUDA_ERROR_NOT_SUPPORTED;
	r = occupancy_get(l, threads, &per_sm);
	if (r)
		return r;
	blocks = (uint64_t)per_sm * dev[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT];
	if ((uint64_t)l->grid[0] * l->grid[1] > blocks ||
	    (uint64_t)l->grid[0] * l->grid[1] * l->grid[2] > blocks)
		return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
	return CUDA_SUCCESS;
}

static CUresult launch_check(const struct launch *l)
{
	const int *dev = vgpu_device_get(l->p.context->context.device)->info.attributes;
	CUresult r;

	r = geometry_check(l, dev);
	if (!r)
		r = shared_check(l, dev);
	if (!r && l->cooperative)
		r = cooperative_check(l, dev);
	return r;
}

/* ---- parameters ---- */

/* The packed buffer that `extra` names. */
static CUresult extra_read(void **extra, const void **buffer, size_t *size)
{
	*buffer = NULL;
	*size = 0;
	for (int i = 0; i < 16 && extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
		if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER)
			*buffer = extra[i + 1];
		else if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[i + 1])
			*size = *(size_t *)extra[i + 1];
		else
			return CUDA_ERROR_INVALID_VALUE;
	}
	return *size && !*buffer ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult launch_send(const struct launch *l, const void *params, size_t size)
{
	return vgpu_call_cuLaunchKernelEx(
		l->p.session, l->p.ctx, l->p.flags, l->handle, l->stream, l->grid[0], l->grid[1],
		l->grid[2], l->block[0], l->block[1], l->block[2], l->shared, 0, l->attributes,
		l->nattributes * sizeof(*l->attributes), params, size);
}

static CUresult launch_packed(const struct launch *l, void **extra)
{
	const struct vgpu_function_info *info = &l->function->info;
	const void *buffer;
	size_t size;
	CUresult r = extra_read(extra, &buffer, &size);

	if (r)
		return r;
	/* The app's struct may be padded at its end. */
	if (size < info->param_bytes)
		return CUDA_ERROR_INVALID_VALUE;
	return launch_send(l, buffer, info->param_bytes);
}

static CUresult launch_into(const struct launch *l, void **list, uint8_t *params)
{
	const struct vgpu_function *f = l->function;

	/* Gaps between parameters are sent too: not with what lay there before. */
	memset(params, 0, f->info.param_bytes);
	for (unsigned i = 0; i < f->info.nparams; i++)
		memcpy(params + f->params[i].offset, list[i], f->params[i].size);
	return launch_send(l, params, f->info.param_bytes);
}

static CUresult launch_listed(const struct launch *l, void **list)
{
	const struct vgpu_function_info *info = &l->function->info;
	uint8_t few[4096], *many;
	CUresult r;

	if (info->nparams && !list)
		return CUDA_ERROR_INVALID_VALUE;
	if (info->param_bytes <= sizeof(few))
		return launch_into(l, list, few);
	many = malloc(info->param_bytes);
	if (!many)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = launch_into(l, list, many);
	free(many);
	return r;
}

static CUresult launch(struct launch *l, void **list, void **extra)
{
	CUresult r = launch_check(l);

	if (r)
		return r;
	if (list && extra)
		return CUDA_ERROR_INVALID_VALUE;
	return extra ? launch_packed(l, extra) : launch_listed(l, list);
}

/* ---- the API ---- */

VGPU_PUBLIC CUresult CUDAAPI cuLaunchKernel(CUfunction f, unsigned int gx, unsigned int gy,
					    unsigned int gz, unsigned int bx, unsigned int by,
					    unsigned int bz, unsigned int shared, CUstream stream,
					    void **params, void **extra)
{
	struct launch l;
	CUresult r = launch_begin(&l, f, stream);

	if (r)
		return r;
	l.grid[0] = gx;
	l.grid[1] = gy;
	l.grid[2] = gz;
	l.block[0] = bx;
	l.block[1] = by;
	l.block[2] = bz;
	l.shared = shared;
	l.cooperative = false;
	l.attributes = NULL;
	l.nattributes = 0;
	return launch(&l, params, extra);
}

VGPU_PUBLIC CUresult CUDAAPI cuLaunchKernel_ptsz(CUfunction f, unsigned int gx, unsigned int gy,
						 unsigned int gz, unsigned int bx, unsigned int by,
						 unsigned int bz, unsigned int shared,
						 CUstream stream, void **params, void **extra)
{
	return cuLaunchKernel(f, gx, gy, gz, bx, by, bz, shared,
			      stream ? stream : CU_STREAM_PER_THREAD, params, extra);
}

VGPU_PUBLIC CUresult CUDAAPI cuLaunchCooperativeKernel(CUfunction f, unsigned int gx,
						       unsigned int gy, unsigned int gz,
						       unsigned int bx, unsigned int by,
						       unsigned int bz, unsigned int shared,
						       CUstream stream, void **params)
{
	CUlaunchAttribute cooperative = {
		.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value.cooperative = 1,
	};
	CUlaunchConfig config = {
		.gridDimX = gx, .gridDimY = gy, .gridDimZ = gz, .blockDimX = bx, .blockDimY = by,
		.blockDimZ = bz, .sharedMemBytes = shared, .hStream = stream,
		.attrs = &cooperative, .numAttrs = 1,
	};

	return cuLaunchKernelEx(&config, f, params, NULL);
}

VGPU_PUBLIC CUresult CUDAAPI cuLaunchCooperativeKernel_ptsz(CUfunction f, unsigned int gx,
							    unsigned int gy, unsigned int gz,
							    unsigned int bx, unsigned int by,
							    unsigned int bz, unsigned int shared,
							    CUstream stream, void **params)
{
	return cuLaunchCooperativeKernel(f, gx, gy, gz, bx, by, bz, shared,
					 stream ? stream : CU_STREAM_PER_THREAD, params);
}

/* Attributes that are numbers; those with handles or pointers in them cannot travel. */
static CUresult attributes_check(const CUlaunchConfig *config, bool *cooperative)
{
	*cooperative = false;
	if (config->numAttrs && !config->attrs)
		return CUDA_ERROR_INVALID_VALUE;
	if (config->numAttrs * sizeof(*config->attrs) > VGPU_MAX_cuLaunchKernelEx_attributes)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < config->numAttrs; i++) {
		switch (config->attrs[i].id) {
		case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
			*cooperative = config->attrs[i].value.cooperative;
			break;
		case CU_LAUNCH_ATTRIBUTE_IGNORE:
		case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
		case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
		case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
		case CU_LAUNCH_ATTRIBUTE_PRIORITY:
		case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
		case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
		case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
		case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
			break;
		default:
			return CUDA_ERROR_NOT_SUPPORTED;
		}
	}
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f,
					      void **params, void **extra)
{
	struct launch l;
	CUresult r;

	if (!config)
		return CUDA_ERROR_INVALID_VALUE;
	r = launch_begin(&l, f, config->hStream);
	if (!r)
		r = attributes_check(config, &l.cooperative);
	if (r)
		return r;
	l.grid[0] = config->gridDimX;
	l.grid[1] = config->gridDimY;
	l.grid[2] = config->gridDimZ;
	l.block[0] = config->blockDimX;
	l.block[1] = config->blockDimY;
	l.block[2] = config->blockDimZ;
	l.shared = config->sharedMemBytes;
	l.attributes = config->attrs;
	l.nattributes = config->numAttrs;
	return launch(&l, params, extra);
}

VGPU_PUBLIC CUresult CUDAAPI cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction f,
						   void **params, void **extra)
{
	CUlaunchConfig copy;

	if (!config)
		return CUDA_ERROR_INVALID_VALUE;
	copy = *config;
	if (!copy.hStream)
		copy.hStream = CU_STREAM_PER_THREAD;
	return cuLaunchKernelEx(&copy, f, params, extra);
}
