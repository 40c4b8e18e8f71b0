// SPDX-License-Identifier: MIT
/*
 * Modules: code placed in a context. A module ends when its handle is gone and
 * no function of it is held by a launch under way.
 */
#include "softgpu/api.h"

#include <stdlib.h>
#include <string.h>

static void module_release(struct api_object *obj)
{
	struct api_module *m = api_container(obj, struct api_module, obj);

	if (m->sg)
		sg_module_unload(m->sg);
	pthread_mutex_destroy(&m->lock);
	free(m->entries);
	free(m->functions);
	free(m);
}

static bool list_entries(struct api_module *m)
{
	while (sg_module_function_at(m->sg, m->count))
		m->count++;
	m->entries = calloc(m->count + 1, sizeof(*m->entries));
	m->functions = calloc(m->count + 1, sizeof(*m->functions));
	if (!m->entries || !m->functions)
		return false;
	for (unsigned i = 0; i < m->count; i++)
		m->entries[i] = sg_module_function_at(m->sg, i);
	return true;
}

CUresult api_module_create(struct api_context *ctx, struct sg_module *sg,
			   struct api_module **out)
{
	struct api_module *m = calloc(1, sizeof(*m));
	CUresult result = CUDA_ERROR_OUT_OF_MEMORY;

	if (!m) {
		sg_module_unload(sg);
		return result;
	}
	m->sg = sg;
	pthread_mutex_init(&m->lock, NULL);
	if (list_entries(m))
		result = api_object_init(&m->obj, API_MODULE, ctx, module_release);
	if (result != CUDA_SUCCESS) {
		module_release(&m->obj);
		return result;
	}
	result = api_context_adopt(ctx, &m->obj);
	if (result != CUDA_SUCCESS) {
		api_object_kill(&m->obj);
		api_object_put(&m->obj);
		return result;
	}
	api_object_hold(&m->obj);	/* the caller's, beside the handle's */
	*out = m;
	return CUDA_SUCCESS;
}

/* Handles of it and of its functions are gone. */
void api_module_close(struct api_module *m)
{
	if (!api_object_kill(&m->obj))
		return;
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < m->count; i++) {
		struct api_function *f = m->functions[i];

		m->functions[i] = NULL;
		if (f && api_object_kill(&f->obj))
			api_object_put(&f->obj);
	}
	pthread_mutex_unlock(&m->lock);
	api_context_unlink(&m->obj);
	api_object_put(&m->obj);
}

/* ---- functions of a module ---- */

static void function_release(struct api_object *obj)
{
	struct api_function *f = api_container(obj, struct api_function, obj);

	if (f->kernel)
		api_object_put(&f->kernel->obj);
	api_object_put(&f->module->obj);
	free(f);
}

static CUresult function_create(struct api_module *m, unsigned index, struct api_function **out)
{
	struct api_function *f = calloc(1, sizeof(*f));
	CUresult result;

	if (!f)
		return CUDA_ERROR_OUT_OF_MEMORY;
	f->module = m;
	f->sg = m->entries[index];
	f->info = sg_function_info(f->sg);
	api_settings_init(&f->settings, f->info);
	result = api_object_init(&f->obj, API_FUNCTION, m->obj.ctx, function_release);
	if (result != CUDA_SUCCESS) {
		free(f);
		return result;
	}
	api_object_hold(&m->obj);
	*out = f;
	return CUDA_SUCCESS;
}

CUresult api_module_function(struct api_module *m, unsigned index, struct api_function **out)
{
	CUresult result = CUDA_SUCCESS;

	if (index >= m->count)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&m->lock);
	if (!api_object_alive(&m->obj))
		result = CUDA_ERROR_INVALID_HANDLE;
	else if (!m->functions[index])
		result = function_create(m, index, &m->functions[index]);
	if (result == CUDA_SUCCESS) {
		*out = m->functions[index];
		api_object_hold(&(*out)->obj);
	}
	pthread_mutex_unlock(&m->lock);
	return result;
}

/* The module by handle, held, of a context that can be used. */
static CUresult module_get(CUmodule handle, struct api_module **module)
{
	struct api_object *obj;
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	obj = api_object_get(handle, API_MODULE);
	if (!obj)
		return CUDA_ERROR_INVALID_HANDLE;
	*module = api_container(obj, struct api_module, obj);
	return CUDA_SUCCESS;
}

static CUresult get_function(struct api_module *m, const char *name, CUfunction *out)
{
	struct sg_function *sg = sg_module_function(m->sg, name);
	struct api_function *f;
	CUresult result;
	unsigned i = 0;

	while (sg && i < m->count && m->entries[i] != sg)
		i++;
	if (!sg || i == m->count)
		return CUDA_ERROR_NOT_FOUND;
	result = api_module_function(m, i, &f);
	if (result != CUDA_SUCCESS)
		return result;
	*out = api_handle(&f->obj);
	api_object_put(&f->obj);
	return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *out, CUmodule handle, const char *name)
{
	struct api_module *m;
	CUresult result;

	if (!out || !name)
		return CUDA_ERROR_INVALID_VALUE;
	result = module_get(handle, &m);
	if (result != CUDA_SUCCESS)
		return result;
	result = get_function(m, name, out);
	api_object_put(&m->obj);
	return result;
}

CUresult cuModuleGetFunctionCount(unsigned *count, CUmodule handle)
{
	struct api_module *m;
	CUresult result;

	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	result = module_get(handle, &m);
	if (result != CUDA_SUCCESS)
		return result;
	*count = m->count;
	api_object_put(&m->obj);
	return CUDA_SUCCESS;
}

CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned count, CUmodule handle)
{
	struct api_function *f;
	struct api_module *m;
	CUresult result;

	if (!functions || !count)
		return CUDA_ERROR_INVALID_VALUE;
	result = module_get(handle, &m);
	if (result != CUDA_SUCCESS)
		return result;
	for (unsigned i = 0; i < count && i < m->count && result == CUDA_SUCCESS; i++) {
		result = api_module_function(m, i, &f);
		if (result != CUDA_SUCCESS)
			break;
		functions[i] = api_handle(&f->obj);
		api_object_put(&f->obj);
	}
	api_object_put(&m->obj);
	return result;
}

int api_module_functions(CUmodule handle, void (*cb)(void *user, CUfunction f, uint64_t extra),
			 void *user)
{
	struct api_function *f;
	struct api_module *m;
	CUresult result = module_get(handle, &m);
	unsigned i;

	if (result != CUDA_SUCCESS)
		return -(int)result;
	for (i = 0; i < m->count && result == CUDA_SUCCESS; i++) {
		result = api_module_function(m, i, &f);
		if (result != CUDA_SUCCESS)
			break;
		cb(user, api_handle(&f->obj), 0);
		api_object_put(&f->obj);
	}
	api_object_put(&m->obj);
	return result == CUDA_SUCCESS ? (int)i : -(int)result;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *ptr, size_t *size, CUmodule handle, const char *name)
{
	CUdeviceptr at;
	struct api_module *m;
	CUresult result;
	size_t bytes;

	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	result = module_get(handle, &m);
	if (result != CUDA_SUCCESS)
		return result;
	if (!sg_module_global(m->sg, name, &at, &bytes))
		result = CUDA_ERROR_NOT_FOUND;
	api_object_put(&m->obj);
	if (result != CUDA_SUCCESS)
		return result;
	if (ptr)
		*ptr = at;
	if (size)
		*size = bytes;
	return CUDA_SUCCESS;
}

/* Textures and surfaces of the old kind: no module has any. */
CUresult cuModuleGetTexRef(CUtexref *ref, CUmodule handle, const char *name)
{
	struct api_module *m;
	CUresult result = module_get(handle, &m);

	if (result != CUDA_SUCCESS)
		return result;
	api_object_put(&m->obj);
	return ref && name ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuModuleGetSurfRef(CUsurfref *ref, CUmodule handle, const char *name)
{
	return cuModuleGetTexRef((CUtexref *)ref, handle, name);
}

/* ---- loading ---- */

CUresult api_module_load(const void *code, struct api_jit *jit, CUmodule *out)
{
	struct api_context *ctx;
	struct api_module *m;
	struct sg_module *sg;
	char *ptx;
	size_t length;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	result = api_image_ptx(code, &ptx, &length);
	if (result != CUDA_SUCCESS)
		return result;
	result = sg_module_load(ctx->dev->sg, ptx, length, &jit->error, &sg);
	free(ptx);
	if (result == CUDA_SUCCESS)
		result = api_module_create(ctx, sg, &m);
	if (result != CUDA_SUCCESS)
		return result;
	*out = api_handle(&m->obj);
	api_object_put(&m->obj);
	return CUDA_SUCCESS;
}

CUresult cuModuleLoadDataEx(CUmodule *out, const void *code, unsigned count,
			    CUjit_option *options, void **values)
{
	struct api_jit jit;
	CUresult result = api_jit_open(&jit, count, options, values);

	if (result != CUDA_SUCCESS)
		return result;
	result = api_module_load(code, &jit, out);
	api_jit_close(&jit);
	return result;
}

CUresult cuModuleLoadData(CUmodule *out, const void *code)
{
	return cuModuleLoadDataEx(out, code, 0, NULL, NULL);
}

CUresult cuModuleLoadFatBinary(CUmodule *out, const void *code)
{
	return cuModuleLoadDataEx(out, code, 0, NULL, NULL);
}

CUresult api_module_load_plain(CUmodule *out, const void *code)
{
	return cuModuleLoadDataEx(out, code, 0, NULL, NULL);
}

CUresult cuModuleLoad(CUmodule *out, const char *path)
{
	char *bytes;
	size_t length;
	CUresult result = api_ready();

	if (result == CUDA_SUCCESS)
		result = api_file_read(path, &bytes, &length);
	if (result != CUDA_SUCCESS)
		return result;
	result = cuModuleLoadData(out, bytes);
	free(bytes);
	return result;
}

CUresult cuModuleUnload(CUmodule handle)
{
	struct api_module *m;
	CUresult result = module_get(handle, &m);

	if (result != CUDA_SUCCESS)
		return result;
	if (m->of_library)
		result = CUDA_ERROR_NOT_PERMITTED;	/* it goes with its library */
	else
		api_module_close(m);
	api_object_put(&m->obj);
	return result;
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
	const char *wanted = getenv("CUDA_MODULE_LOADING");
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	if (!mode)
		return CUDA_ERROR_INVALID_VALUE;
	*mode = wanted && !strcmp(wanted, "EAGER") ? CU_MODULE_EAGER_LOADING :
						     CU_MODULE_LAZY_LOADING;
	return CUDA_SUCCESS;
}
