// SPDX-License-Identifier: MIT
/*
 * Functions and kernels: what they are made of, what can be set, and how many
 * blocks fit a multiprocessor. Wherever a CUfunction is taken, a CUkernel is
 * too, and stands for its function in the current context.
 */
#include "softgpu/api.h"

#include <stdlib.h>

/* ---- settings ---- */

void api_settings_init(struct api_settings *s, const struct sg_function_info *info)
{
	int room = (int)SG_SHARED_DEFAULT - (int)info->static_shared;

	s->max_dynamic = room > 0 ? room : 0;
	s->carveout = -1;
	s->cache_config = CU_FUNC_CACHE_PREFER_NONE;
	s->nonportable_cluster = 0;
	s->cluster_policy = 0;
}

void api_settings_copy(struct api_settings *to, const struct api_settings *from)
{
	to->max_dynamic = atomic_load(&from->max_dynamic);
	to->carveout = atomic_load(&from->carveout);
	to->cache_config = atomic_load(&from->cache_config);
	to->nonportable_cluster = atomic_load(&from->nonportable_cluster);
	to->cluster_policy = atomic_load(&from->cluster_policy);
}

/* The largest block that the registers of a multiprocessor and .maxntid allow. */
static int max_threads(const struct sg_function_info *info)
{
	unsigned by_regs = info->regs ? SG_REGS_SM / info->regs / SG_WARP * SG_WARP :
					SG_MAX_THREADS;

	return by_regs < info->max_threads ? by_regs : info->max_threads;
}

CUresult api_settings_get(const struct api_settings *s, const struct sg_function_info *info,
			  CUfunction_attribute attr, int *value)
{
	switch (attr) {
	case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
		*value = max_threads(info);
		break;
	case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
		*value = info->static_shared;
		break;
	case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
		*value = info->constant;
		break;
	case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
		*value = info->local;
		break;
	case CU_FUNC_ATTRIBUTE_NUM_REGS:
		*value = info->regs;
		break;
	case CU_FUNC_ATTRIBUTE_PTX_VERSION:
	case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
		*value = API_CC_MAJOR * 10 + API_CC_MINOR;
		break;
	case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
		*value = atomic_load(&s->max_dynamic);
		break;
	case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
		*value = atomic_load(&s->carveout);
		break;
	case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
		*value = atomic_load(&s->nonportable_cluster);
		break;
	case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
		*value = atomic_load(&s->cluster_policy);
		break;
	default:
		if ((unsigned)attr >= CU_FUNC_ATTRIBUTE_MAX)
			return CUDA_ERROR_INVALID_VALUE;
		*value = 0;	/* no clusters, no cache of global loads */
	}
	return CUDA_SUCCESS;
}

CUresult api_settings_set(struct api_settings *s, const struct sg_function_info *info,
			  CUfunction_attribute attr, int value)
{
	switch (attr) {
	case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
		if (value < 0 || (unsigned)value + info->static_shared > SG_SHARED_OPTIN)
			return CUDA_ERROR_INVALID_VALUE;
		atomic_store(&s->max_dynamic, value);
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
		if (value < -1 || value > 100)
			return CUDA_ERROR_INVALID_VALUE;
		atomic_store(&s->carveout, value);
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
		atomic_store(&s->nonportable_cluster, value != 0);
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
		atomic_store(&s->cluster_policy, value);
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

/* ---- functions ---- */

CUresult api_function_get(CUfunction handle, struct api_context *ctx, struct api_function **out)
{
	struct api_object *obj = api_object_get(handle, API_NONE);
	CUresult result = CUDA_ERROR_INVALID_HANDLE;

	if (!obj)
		return result;
	if (obj->kind == API_FUNCTION) {
		*out = api_container(obj, struct api_function, obj);
		return CUDA_SUCCESS;
	}
	if (obj->kind == API_KERNEL) {
		if (!ctx)
			ctx = api_current();
		result = ctx ? api_kernel_function(api_container(obj, struct api_kernel, obj),
						   ctx, out) :
			       CUDA_ERROR_INVALID_CONTEXT;
	}
	api_object_put(obj);
	return result;
}

/* The function that a call names, held, of a context in order. */
static CUresult enter(CUfunction handle, struct api_function **f)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	return result == CUDA_SUCCESS ? api_function_get(handle, ctx, f) : result;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attr, CUfunction handle)
{
	struct api_function *f;
	CUresult result;

	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	result = enter(handle, &f);
	if (result != CUDA_SUCCESS)
		return result;
	result = api_settings_get(&f->settings, f->info, attr, value);
	api_object_put(&f->obj);
	return result;
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attr, int value)
{
	struct api_function *f;
	CUresult result = enter(handle, &f);

	if (result != CUDA_SUCCESS)
		return result;
	result = api_settings_set(&f->settings, f->info, attr, value);
	api_object_put(&f->obj);
	return result;
}

CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config)
{
	struct api_function *f;
	CUresult result = enter(handle, &f);

	if (result != CUDA_SUCCESS)
		return result;
	if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
		result = CUDA_ERROR_INVALID_VALUE;
	else
		atomic_store(&f->settings.cache_config, config);
	api_object_put(&f->obj);
	return result;
}

CUresult cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig config)
{
	struct api_function *f;
	CUresult result = enter(handle, &f);

	if (result != CUDA_SUCCESS)
		return result;
	if ((unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
		result = CUDA_ERROR_INVALID_VALUE;
	api_object_put(&f->obj);
	return result;
}

CUresult cuFuncGetModule(CUmodule *out, CUfunction handle)
{
	struct api_function *f;
	CUresult result;

	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	result = enter(handle, &f);
	if (result != CUDA_SUCCESS)
		return result;
	*out = api_handle(&f->module->obj);
	api_object_put(&f->obj);
	return CUDA_SUCCESS;
}

CUresult cuFuncGetName(const char **name, CUfunction handle)
{
	struct api_function *f;
	CUresult result;

	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	result = enter(handle, &f);
	if (result != CUDA_SUCCESS)
		return result;
	*name = f->info->name;
	api_object_put(&f->obj);
	return CUDA_SUCCESS;
}

static CUresult param_info(const struct sg_function_info *info, size_t index, size_t *offset,
			   size_t *size)
{
	if (!offset || index >= info->nparams)
		return CUDA_ERROR_INVALID_VALUE;
	*offset = info->params[index].offset;
	if (size)
		*size = info->params[index].size;
	return CUDA_SUCCESS;
}

CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *offset, size_t *size)
{
	struct api_function *f;
	CUresult result = enter(handle, &f);

	if (result != CUDA_SUCCESS)
		return result;
	result = param_info(f->info, index, offset, size);
	api_object_put(&f->obj);
	return result;
}

/* To name a function is to load it, so all are. */
CUresult cuFuncLoad(CUfunction handle)
{
	struct api_function *f;
	CUresult result = enter(handle, &f);

	if (result == CUDA_SUCCESS)
		api_object_put(&f->obj);
	return result;
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction handle)
{
	CUresult result = cuFuncLoad(handle);

	if (result != CUDA_SUCCESS)
		return result;
	if (!state)
		return CUDA_ERROR_INVALID_VALUE;
	*state = CU_FUNCTION_LOADING_STATE_LOADED;
	return CUDA_SUCCESS;
}

/* ---- kernels ---- */

static CUresult kernel_get(CUkernel handle, struct api_kernel **k)
{
	struct api_object *obj;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	obj = api_object_get(handle, API_KERNEL);
	if (!obj)
		return CUDA_ERROR_INVALID_HANDLE;
	*k = api_container(obj, struct api_kernel, obj);
	return CUDA_SUCCESS;
}

CUresult cuKernelGetFunction(CUfunction *out, CUkernel handle)
{
	struct api_function *f;
	struct api_kernel *k;
	CUresult result;

	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	result = kernel_get(handle, &k);
	if (result != CUDA_SUCCESS)
		return result;
	api_object_put(&k->obj);
	result = enter((CUfunction)handle, &f);
	if (result != CUDA_SUCCESS)
		return result;
	*out = api_handle(&f->obj);
	api_object_put(&f->obj);
	return CUDA_SUCCESS;
}

static CUresult kernel_attribute(struct api_kernel *k, CUdevice device,
				 CUfunction_attribute attr, int *value)
{
	return api_settings_get(&k->settings[device], &k->info, attr, value);
}

CUresult cuKernelGetAttribute(int *value, CUfunction_attribute attr, CUkernel handle,
			      CUdevice device)
{
	struct api_kernel *k;
	CUresult result;

	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	result = kernel_get(handle, &k);
	if (result != CUDA_SUCCESS)
		return result;
	result = api_device(device) ? kernel_attribute(k, device, attr, value) :
				      CUDA_ERROR_INVALID_DEVICE;
	api_object_put(&k->obj);
	return result;
}

CUresult cuKernelSetAttribute(CUfunction_attribute attr, int value, CUkernel handle,
			      CUdevice device)
{
	struct api_device *dev = api_device(device);
	struct api_kernel *k;
	CUresult result = kernel_get(handle, &k);

	if (result != CUDA_SUCCESS)
		return result;
	result = dev ? api_settings_set(&k->settings[device], &k->info, attr, value) :
		       CUDA_ERROR_INVALID_DEVICE;
	if (result == CUDA_SUCCESS)
		api_kernel_set(k, dev, attr, value);
	api_object_put(&k->obj);
	return result;
}

CUresult cuKernelSetCacheConfig(CUkernel handle, CUfunc_cache config, CUdevice device)
{
	struct api_kernel *k;
	CUresult result = kernel_get(handle, &k);

	if (result != CUDA_SUCCESS)
		return result;
	if (!api_device(device))
		result = CUDA_ERROR_INVALID_DEVICE;
	else if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
		result = CUDA_ERROR_INVALID_VALUE;
	else
		atomic_store(&k->settings[device].cache_config, config);
	api_object_put(&k->obj);
	return result;
}

CUresult cuKernelGetName(const char **name, CUkernel handle)
{
	struct api_kernel *k;
	CUresult result;

	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	result = kernel_get(handle, &k);
	if (result != CUDA_SUCCESS)
		return result;
	*name = k->name;
	api_object_put(&k->obj);
	return CUDA_SUCCESS;
}

CUresult cuKernelGetParamInfo(CUkernel handle, size_t index, size_t *offset, size_t *size)
{
	struct api_kernel *k;
	CUresult result = kernel_get(handle, &k);

	if (result != CUDA_SUCCESS)
		return result;
	result = param_info(&k->info, index, offset, size);
	api_object_put(&k->obj);
	return result;
}
