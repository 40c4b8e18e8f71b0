/* SPDX-License-Identifier: MIT */
/*
 * What a function is: parameters, attributes, occupancy. Asked of the worker
 * once for each function and device, then answered here.
 */
#include <stdlib.h>
#include <string.h>
#include "libcuda/code.h"

/* Serialises the first question about a function, and attribute changes. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void function_free(struct vgpu_function *f)
{
	free(f->params);
	free(f->name);
	free(f);
}

static bool params_good(const struct vgpu_function_info *info, const struct vgpu_param *params,
			size_t length)
{
	if (info->nparams > VGPU_PARAMS_MAX || length != info->nparams * sizeof(*params) ||
	    info->param_bytes > VGPU_MAX_cuLaunchKernelEx_params)
		return false;
	for (unsigned i = 0; i < info->nparams; i++)
		if (params[i].offset > info->param_bytes ||
		    params[i].size > info->param_bytes - params[i].offset)
			return false;
	return true;
}

/* Programs have thousands of functions: keep no more than the answer. */
static void function_trim(struct vgpu_function *f, size_t params_length, size_t name_size)
{
	void *params = realloc(f->params, params_length ? params_length : 1);
	char *name = realloc(f->name, name_size);

	f->params = params ? params : f->params;
	f->name = name ? name : f->name;
}

static CUresult function_ask(struct vgpu_object *o, uint64_t handle, CUdevice dev,
			     struct vgpu_function **out)
{
	size_t params_length = VGPU_MAX_vgpu_function_info_params;
	size_t name_length = VGPU_MAX_vgpu_function_info_name;
	struct vgpu_function *f = calloc(1, sizeof(*f));
	struct vgpu_call_place p;
	int ordinal;
	CUresult r;

	r = vgpu_place_device(&p, dev, &ordinal);
	if (r || !f)
		goto fail;
	f->params = malloc(params_length);
	f->name = malloc(name_length + 1);
	r = CUDA_ERROR_OUT_OF_MEMORY;
	if (!f->params || !f->name)
		goto fail;
	r = vgpu_call_vgpu_function_info(o->session, o->ctx, 0, handle, ordinal, &f->info,
					 f->params, &params_length, f->name, &name_length);
	if (!r && !params_good(&f->info, f->params, params_length))
		r = CUDA_ERROR_UNKNOWN;
	if (r)
		goto fail;
	f->name[name_length] = 0;
	function_trim(f, params_length, name_length + 1);
	for (int i = 0; i < VGPU_FUNC_ATTRIBUTES; i++)
		f->attributes[i] = f->info.attributes[i];
	*out = f;
	return CUDA_SUCCESS;
fail:
	if (f)
		function_free(f);
	return r ? r : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult vgpu_function_get(struct vgpu_object *o, uint64_t handle, CUdevice dev,
			   struct vgpu_function **f)
{
	CUresult r = CUDA_SUCCESS;

	if (dev < 0 || dev >= VGPU_MAX_DEVICES || !o->code.on)
		return CUDA_ERROR_INVALID_HANDLE;
	*f = atomic_load_explicit(&o->code.on[dev], memory_order_acquire);
	if (*f)
		return CUDA_SUCCESS;
	pthread_mutex_lock(&lock);
	*f = o->code.on[dev];
	if (!*f)
		r = function_ask(o, handle, dev, f);
	if (!r)
		atomic_store_explicit(&o->code.on[dev], *f, memory_order_release);
	pthread_mutex_unlock(&lock);
	return r;
}

/* A function or kernel handle, on the current context's device. */
static CUresult function_here(uint64_t handle, struct vgpu_call_place *p, struct vgpu_object **o,
			      struct vgpu_function **f)
{
	CUresult r = vgpu_place(p);

	if (r)
		return r;
	*o = vgpu_object_get(handle, VGPU_KIND_FUNCTION);
	if (!*o)
		return CUDA_ERROR_INVALID_HANDLE;
	return vgpu_function_get(*o, handle, p->context->context.device, f);
}

static CUresult kernel_on(CUkernel kernel, CUdevice dev, struct vgpu_function **f)
{
	struct vgpu_object *o;

	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	o = vgpu_object_get((uintptr_t)kernel, VGPU_KIND_KERNEL);
	if (!o)
		return CUDA_ERROR_INVALID_HANDLE;
	return vgpu_function_get(o, (uintptr_t)kernel, dev, f);
}

/* ---- attributes ---- */

static CUresult attribute_get(struct vgpu_function *f, int *value, CUfunction_attribute attribute)
{
	if (!value || (unsigned)attribute >= VGPU_FUNC_ATTRIBUTES)
		return CUDA_ERROR_INVALID_VALUE;
	*value = f->attributes[attribute];
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuFuncGetAttribute(int *value, CUfunction_attribute attribute,
						CUfunction function)
{
	struct vgpu_call_place p;
	struct vgpu_function *f;
	struct vgpu_object *o;
	CUresult r = function_here((uintptr_t)function, &p, &o, &f);

	return r ? r : attribute_get(f, value, attribute);
}

VGPU_PUBLIC CUresult CUDAAPI cuKernelGetAttribute(int *value, CUfunction_attribute attribute,
						  CUkernel kernel, CUdevice dev)
{
	struct vgpu_function *f;
	CUresult r = kernel_on(kernel, dev, &f);

	return r ? r : attribute_get(f, value, attribute);
}

static bool attribute_settable(CUfunction_attribute attribute)
{
	return attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES ||
	       attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT ||
	       (attribute >= CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH &&
		attribute < VGPU_FUNC_ATTRIBUTES);
}

static void attribute_keep(struct vgpu_function *f, CUfunction_attribute attribute, int value)
{
	f->attributes[attribute] = value;
	f->occupancy = 0;
}

struct kept {
	uint64_t		kernel;
	CUdevice		dev;
	CUfunction_attribute	attribute;
	int			value;
};

/* A function that was got from the kernel has what was not set for itself from it. */
static void attribute_follow(struct vgpu_object *o, void *arg)
{
	uint64_t handle = atomic_load_explicit(&o->handle, memory_order_relaxed);
	const struct kept *k = arg;
	struct vgpu_function *f;

	if (vgpu_handle_kind(handle) != VGPU_KIND_FUNCTION || o->code.owner != k->kernel ||
	    !o->code.on)
		return;
	f = atomic_load_explicit(&o->code.on[k->dev], memory_order_acquire);
	if (f && !(f->own >> k->attribute & 1))
		attribute_keep(f, k->attribute, k->value);
}

VGPU_PUBLIC CUresult CUDAAPI cuFuncSetAttribute(CUfunction function,
						CUfunction_attribute attribute, int value)
{
	struct vgpu_call_place p;
	struct vgpu_function *f;
	struct vgpu_object *o;
	CUresult r = function_here((uintptr_t)function, &p, &o, &f);

	if (!r && !attribute_settable(attribute))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = vgpu_call_cuFuncSetAttribute(p.session, p.ctx, p.flags, (uintptr_t)function,
						 attribute, value);
	if (!r) {
		atomic_fetch_or(&f->own, 1u << attribute);
		attribute_keep(f, attribute, value);
	}
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuKernelSetAttribute(CUfunction_attribute attribute, int value,
						  CUkernel kernel, CUdevice dev)
{
	struct vgpu_call_place p;
	struct vgpu_function *f;
	CUresult r = kernel_on(kernel, dev, &f);
	int ordinal;

	if (!r && !attribute_settable(attribute))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = vgpu_place_device(&p, dev, &ordinal);
	if (!r)
		r = vgpu_call_cuKernelSetAttribute(p.session, 0, 0, attribute, value,
						   (uintptr_t)kernel, ordinal);
	if (!r) {
		attribute_keep(f, attribute, value);
		vgpu_objects_each(attribute_follow,
				  &(struct kept){ (uintptr_t)kernel, dev, attribute, value });
	}
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuKernelSetCacheConfig(CUkernel kernel, CUfunc_cache config,
						    CUdevice dev)
{
	struct vgpu_call_place p;
	int ordinal;
	CUresult r = vgpu_place_device(&p, dev, &ordinal);

	if (!r && !vgpu_object_get((uintptr_t)kernel, VGPU_KIND_KERNEL))
		r = CUDA_ERROR_INVALID_HANDLE;
	return r ? r : vgpu_call_cuKernelSetCacheConfig(p.session, 0, 0, (uintptr_t)kernel, config,
							ordinal);
}

/* ---- names, parameters, places ---- */

static CUresult param_get(struct vgpu_function *f, size_t index, size_t *offset, size_t *size)
{
	if (!offset || index >= f->info.nparams)
		return CUDA_ERROR_INVALID_VALUE;
	*offset = f->params[index].offset;
	if (size)
		*size = f->params[index].size;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuFuncGetParamInfo(CUfunction function, size_t index, size_t *offset,
						size_t *size)
{
	struct vgpu_call_place p;
	struct vgpu_function *f;
	struct vgpu_object *o;
	CUresult r = function_here((uintptr_t)function, &p, &o, &f);

	return r ? r : param_get(f, index, offset, size);
}

VGPU_PUBLIC CUresult CUDAAPI cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t *offset,
						  size_t *size)
{
	struct vgpu_function *f;
	CUresult r = kernel_on(kernel, 0, &f);

	return r ? r : param_get(f, index, offset, size);
}

VGPU_PUBLIC CUresult CUDAAPI cuFuncGetName(const char **name, CUfunction function)
{
	struct vgpu_call_place p;
	struct vgpu_function *f;
	struct vgpu_object *o;
	CUresult r;

	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	r = function_here((uintptr_t)function, &p, &o, &f);
	if (!r)
		*name = f->name;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuKernelGetName(const char **name, CUkernel kernel)
{
	struct vgpu_function *f;
	CUresult r;

	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	r = kernel_on(kernel, 0, &f);
	if (!r)
		*name = f->name;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuFuncGetModule(CUmodule *module, CUfunction function)
{
	struct vgpu_object *o;

	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	o = vgpu_object_get((uintptr_t)function, VGPU_KIND_FUNCTION);
	if (!module)
		return CUDA_ERROR_INVALID_VALUE;
	if (!o)
		return CUDA_ERROR_INVALID_HANDLE;
	/* Of a kernel's function: the module of the library in this context. */
	while (o && vgpu_handle_kind(o->code.owner) == VGPU_KIND_KERNEL)
		o = vgpu_object_get(o->code.owner, VGPU_KIND_KERNEL);
	if (!o)
		return CUDA_ERROR_INVALID_HANDLE;
	if (vgpu_handle_kind(o->code.owner) == VGPU_KIND_LIBRARY)
		return cuLibraryGetModule(module, (CUlibrary)(uintptr_t)o->code.owner);
	*module = (CUmodule)(uintptr_t)o->code.owner;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuKernelGetLibrary(CUlibrary *library, CUkernel kernel)
{
	struct vgpu_object *o = vgpu_object_get((uintptr_t)kernel, VGPU_KIND_KERNEL);

	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	if (!library)
		return CUDA_ERROR_INVALID_VALUE;
	if (!o)
		return CUDA_ERROR_INVALID_HANDLE;
	*library = (CUlibrary)(uintptr_t)o->code.owner;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction function)
{
	if (!state)
		return CUDA_ERROR_INVALID_VALUE;
	if (!vgpu_object_get((uintptr_t)function, VGPU_KIND_FUNCTION))
		return CUDA_ERROR_INVALID_HANDLE;
	*state = CU_FUNCTION_LOADING_STATE_LOADED;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuFuncLoad(CUfunction function)
{
	struct vgpu_call_place p;
	struct vgpu_function *f;
	struct vgpu_object *o;

	/* What is known of it is known because the worker has loaded it. */
	return function_here((uintptr_t)function, &p, &o, &f);
}

/* ---- occupancy ---- */

VGPU_PUBLIC CUresult CUDAAPI cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks,
									 CUfunction function,
									 int block_size,
									 size_t shared)
{
	return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, block_size,
								    shared, 0);
}

static int block_limit(struct vgpu_call_place *p, struct vgpu_function *f, int limit)
{
	int most = f->attributes[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK];
	int device = vgpu_device_get(p->context->context.device)
			     ->info.attributes[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK];

	if (most > device)
		most = device;
	return limit > 0 && limit < most ? limit : most;
}

/* The block size, in steps of a warp, that keeps most threads on a multiprocessor. */
VGPU_PUBLIC CUresult CUDAAPI cuOccupancyMaxPotentialBlockSizeWithFlags(
	int *min_grid, int *block, CUfunction function, CUoccupancyB2DSize shared_of, size_t shared,
	int limit, unsigned int flags)
{
	int best = 0, best_size = 0, best_blocks = 0, sms;
	struct vgpu_call_place p;
	struct vgpu_function *f;
	struct vgpu_object *o;
	CUresult r;

	r = function_here((uintptr_t)function, &p, &o, &f);
	if (!r && (!min_grid || !block))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r)
		return r;
	for (int size = block_limit(&p, f, limit); size > 0; size = (size - 1) / 32 * 32) {
		int blocks;

		r = cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
			&blocks, function, size, shared_of ? shared_of(size) : shared, flags);
		if (r)
			return r;
		if (blocks * size > best) {
			best = blocks * size;
			best_size = size;
			best_blocks = blocks;
		}
	}
	sms = vgpu_device_get(p.context->context.device)
		      ->info.attributes[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT];
	*block = best_size;
	*min_grid = best_blocks * sms;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuOccupancyMaxPotentialBlockSize(int *min_grid, int *block,
							      CUfunction function,
							      CUoccupancyB2DSize shared_of,
							      size_t shared, int limit)
{
	return cuOccupancyMaxPotentialBlockSizeWithFlags(min_grid, block, function, shared_of,
							 shared, limit, 0);
}
