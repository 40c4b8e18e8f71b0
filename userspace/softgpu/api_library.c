// SPDX-License-Identifier: MIT
/*
 * Libraries and their kernels: code that belongs to no context. A context gets
 * a module of it when it first uses a kernel or a global. To know the kernels
 * the code must be read once; what comes of that is kept as the module of the
 * first context of that device that needs one.
 */
#include "softgpu/api.h"

#include <stdlib.h>
#include <string.h>

/* The library's module in one life of a context. */
struct instance {
	struct api_context	*ctx;	/* not held: it tells when it ends */
	uint64_t		ctx_id;
	struct api_module	*module;	/* held */
};

struct api_library {
	struct api_object	obj;
	struct api_list		all;
	char			*ptx;
	size_t			length;
	pthread_mutex_t		lock;	/* guards all below */
	struct sg_module	*spare;	/* read, and not yet of a context */
	struct api_device	*spare_dev;
	struct instance		*instances;
	unsigned		ninstances;
	struct api_kernel	**kernels;	/* each by its handle's reference */
	unsigned		nkernels;
};

static struct {
	pthread_mutex_t	lock;	/* taken before a library's */
	struct api_list	list;
} libraries = {
	PTHREAD_MUTEX_INITIALIZER,
	{ &libraries.list, &libraries.list },
};

/* ---- life ---- */

static void library_release(struct api_object *obj)
{
	struct api_library *lib = api_container(obj, struct api_library, obj);

	if (lib->spare)
		sg_module_unload(lib->spare);
	pthread_mutex_destroy(&lib->lock);
	free(lib->instances);
	free(lib->kernels);
	free(lib->ptx);
	free(lib);
}

static void kernel_release(struct api_object *obj)
{
	struct api_kernel *k = api_container(obj, struct api_kernel, obj);

	api_object_put(&k->library->obj);
	free((void *)k->info.params);
	free(k->name);
	free(k);
}

/* What is known of @f without a module: names and sizes are copied. */
static bool kernel_fill(struct api_kernel *k, struct sg_function *f)
{
	const struct sg_function_info *info = sg_function_info(f);
	size_t bytes = info->nparams * sizeof(*info->params);
	struct sg_param *params = malloc(bytes + 1);

	k->info = *info;
	k->name = strdup(info->name);
	k->info.name = k->name;
	k->info.params = params;
	if (!params || !k->name)
		return false;
	if (bytes)
		memcpy(params, info->params, bytes);
	for (int i = 0; i < API_MAX_DEVICES; i++)
		api_settings_init(&k->settings[i], &k->info);
	return true;
}

static CUresult kernel_create(struct api_library *lib, unsigned index, struct sg_function *f,
			      struct api_kernel **out)
{
	struct api_kernel *k = calloc(1, sizeof(*k));
	CUresult result = CUDA_ERROR_OUT_OF_MEMORY;

	if (!k)
		return result;
	k->library = lib;
	k->index = index;
	api_object_hold(&lib->obj);
	if (kernel_fill(k, f))
		result = api_object_init(&k->obj, API_KERNEL, NULL, kernel_release);
	if (result != CUDA_SUCCESS)
		kernel_release(&k->obj);
	else
		*out = k;
	return result;
}

static CUresult make_kernels(struct api_library *lib)
{
	CUresult result = CUDA_SUCCESS;
	struct sg_function *f;
	unsigned n = 0;

	while (sg_module_function_at(lib->spare, n))
		n++;
	lib->kernels = calloc(n + 1, sizeof(*lib->kernels));
	if (!lib->kernels)
		return CUDA_ERROR_OUT_OF_MEMORY;
	while (lib->nkernels < n && result == CUDA_SUCCESS) {
		f = sg_module_function_at(lib->spare, lib->nkernels);
		result = kernel_create(lib, lib->nkernels, f, &lib->kernels[lib->nkernels]);
		if (result == CUDA_SUCCESS)
			lib->nkernels++;
	}
	return result;
}

/* Handles of it, its kernels and its modules are gone. */
static void library_close(struct api_library *lib)
{
	if (!api_object_kill(&lib->obj))
		return;
	pthread_mutex_lock(&libraries.lock);
	api_list_del(&lib->all);
	pthread_mutex_unlock(&libraries.lock);
	pthread_mutex_lock(&lib->lock);
	for (unsigned i = 0; i < lib->nkernels; i++) {
		api_object_kill(&lib->kernels[i]->obj);
		api_object_put(&lib->kernels[i]->obj);
	}
	lib->nkernels = 0;
	while (lib->ninstances) {
		struct api_module *m = lib->instances[--lib->ninstances].module;

		api_module_close(m);
		api_object_put(&m->obj);
	}
	pthread_mutex_unlock(&lib->lock);
	api_object_put(&lib->obj);
}

/* Takes over @ptx, in case of failure too. */
static CUresult library_create(char *ptx, size_t length, struct api_jit *jit, CUlibrary *out)
{
	struct api_context *ctx = api_current();
	struct api_library *lib = calloc(1, sizeof(*lib));
	CUresult result;

	if (!lib) {
		free(ptx);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	lib->ptx = ptx;
	lib->length = length;
	lib->spare_dev = ctx ? ctx->dev : api_device(0);
	pthread_mutex_init(&lib->lock, NULL);
	api_list_init(&lib->all);
	result = sg_module_load(lib->spare_dev->sg, ptx, length, &jit->error, &lib->spare);
	if (result == CUDA_SUCCESS)
		result = api_object_init(&lib->obj, API_LIBRARY, NULL, library_release);
	if (result != CUDA_SUCCESS) {
		library_release(&lib->obj);
		return result;
	}
	result = make_kernels(lib);
	if (result != CUDA_SUCCESS) {
		library_close(lib);
		return result;
	}
	pthread_mutex_lock(&libraries.lock);
	api_list_add(&libraries.list, &lib->all);
	pthread_mutex_unlock(&libraries.lock);
	*out = api_handle(&lib->obj);
	return CUDA_SUCCESS;
}

void api_libraries_context_ended(struct api_context *ctx)
{
	pthread_mutex_lock(&libraries.lock);
	for (struct api_list *l = libraries.list.next; l != &libraries.list; l = l->next) {
		struct api_library *lib = api_container(l, struct api_library, all);

		pthread_mutex_lock(&lib->lock);
		for (unsigned i = lib->ninstances; i-- > 0;) {
			if (lib->instances[i].ctx != ctx)
				continue;
			api_object_put(&lib->instances[i].module->obj);
			lib->instances[i] = lib->instances[--lib->ninstances];
		}
		pthread_mutex_unlock(&lib->lock);
	}
	pthread_mutex_unlock(&libraries.lock);
}

/* ---- modules of a library ---- */

static CUresult instance_add(struct api_library *lib, struct api_context *ctx,
			     struct api_module **out)
{
	struct sg_module *sg = lib->spare;
	struct instance *instances;
	CUresult result;

	instances = realloc(lib->instances, (lib->ninstances + 1) * sizeof(*instances));
	if (!instances)
		return CUDA_ERROR_OUT_OF_MEMORY;
	lib->instances = instances;
	if (sg && lib->spare_dev == ctx->dev) {
		lib->spare = NULL;
	} else {
		result = sg_module_load(ctx->dev->sg, lib->ptx, lib->length, NULL, &sg);
		if (result != CUDA_SUCCESS)
			return result;
	}
	instances += lib->ninstances;
	instances->ctx = ctx;
	instances->ctx_id = atomic_load(&ctx->id);
	result = api_module_create(ctx, sg, &instances->module);
	if (result != CUDA_SUCCESS)
		return result;
	instances->module->of_library = true;
	lib->ninstances++;
	*out = instances->module;
	return CUDA_SUCCESS;
}

/* The module of @lib in @ctx, held. With the library's lock. */
static CUresult instance_get(struct api_library *lib, struct api_context *ctx,
			     struct api_module **out)
{
	uint64_t id = atomic_load(&ctx->id);
	CUresult result = CUDA_SUCCESS;
	unsigned i = 0;

	while (i < lib->ninstances &&
	       (lib->instances[i].ctx != ctx || lib->instances[i].ctx_id != id))
		i++;
	if (i < lib->ninstances)
		*out = lib->instances[i].module;
	else if (api_object_alive(&lib->obj))
		result = instance_add(lib, ctx, out);
	else
		result = CUDA_ERROR_INVALID_HANDLE;
	if (result == CUDA_SUCCESS)
		api_object_hold(&(*out)->obj);
	return result;
}

/* A function that is made now starts with what was set for its kernel. */
static void function_bind(struct api_function *f, struct api_kernel *k)
{
	if (f->kernel)
		return;
	api_object_hold(&k->obj);
	f->kernel = k;
	api_settings_copy(&f->settings, &k->settings[f->obj.ctx->dev->ordinal]);
}

CUresult api_kernel_function(struct api_kernel *k, struct api_context *ctx,
			     struct api_function **out)
{
	struct api_library *lib = k->library;
	struct api_module *m;
	CUresult result;

	pthread_mutex_lock(&lib->lock);
	result = instance_get(lib, ctx, &m);
	if (result == CUDA_SUCCESS) {
		result = api_module_function(m, k->index, out);
		if (result == CUDA_SUCCESS)
			function_bind(*out, k);
		api_object_put(&m->obj);
	}
	pthread_mutex_unlock(&lib->lock);
	return result;
}

void api_kernel_set(struct api_kernel *k, struct api_device *dev, CUfunction_attribute attr,
		    int value)
{
	struct api_library *lib = k->library;
	struct api_function *f;

	pthread_mutex_lock(&lib->lock);
	for (unsigned i = 0; i < lib->ninstances; i++) {
		struct api_module *m = lib->instances[i].module;

		if (m->obj.ctx->dev != dev || api_module_function(m, k->index, &f) != CUDA_SUCCESS)
			continue;
		function_bind(f, k);
		api_settings_set(&f->settings, f->info, attr, value);
		api_object_put(&f->obj);
	}
	pthread_mutex_unlock(&lib->lock);
}

/* ---- the calls ---- */

static CUresult library_get(CUlibrary handle, struct api_library **lib)
{
	struct api_object *obj;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	obj = api_object_get(handle, API_LIBRARY);
	if (!obj)
		return CUDA_ERROR_INVALID_HANDLE;
	*lib = api_container(obj, struct api_library, obj);
	return CUDA_SUCCESS;
}

/* Of the options none makes a difference: code is always copied. */
static CUresult library_load(CUlibrary *out, const void *code, unsigned njit,
			     CUjit_option *options, void **values, unsigned nlib,
			     CUlibraryOption *lib_options)
{
	struct api_jit jit;
	size_t length;
	CUresult result = api_ready();
	char *ptx;

	if (result != CUDA_SUCCESS)
		return result;
	if (!out || (nlib && !lib_options))
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < nlib; i++) {
		if ((unsigned)lib_options[i] >= CU_LIBRARY_NUM_OPTIONS)
			return CUDA_ERROR_INVALID_VALUE;
	}
	result = api_jit_open(&jit, njit, options, values);
	if (result != CUDA_SUCCESS)
		return result;
	result = api_image_ptx(code, &ptx, &length);
	if (result == CUDA_SUCCESS)
		result = library_create(ptx, length, &jit, out);
	api_jit_close(&jit);
	return result;
}

CUresult cuLibraryLoadData(CUlibrary *out, const void *code, CUjit_option *options,
			   void **values, unsigned njit, CUlibraryOption *lib_options,
			   void **lib_values, unsigned nlib)
{
	return library_load(out, code, njit, options, values, nlib, lib_options);
}

CUresult cuLibraryLoadFromFile(CUlibrary *out, const char *path, CUjit_option *options,
			       void **values, unsigned njit, CUlibraryOption *lib_options,
			       void **lib_values, unsigned nlib)
{
	char *bytes;
	size_t length;
	CUresult result = api_ready();

	if (result == CUDA_SUCCESS)
		result = api_file_read(path, &bytes, &length);
	if (result != CUDA_SUCCESS)
		return result;
	result = library_load(out, bytes, njit, options, values, nlib, lib_options);
	free(bytes);
	return result;
}

CUresult cuLibraryUnload(CUlibrary handle)
{
	struct api_library *lib;
	CUresult result = library_get(handle, &lib);

	if (result != CUDA_SUCCESS)
		return result;
	library_close(lib);
	api_object_put(&lib->obj);
	return CUDA_SUCCESS;
}

CUresult cuLibraryGetKernel(CUkernel *out, CUlibrary handle, const char *name)
{
	struct api_library *lib;
	CUresult result;

	if (!out || !name)
		return CUDA_ERROR_INVALID_VALUE;
	result = library_get(handle, &lib);
	if (result != CUDA_SUCCESS)
		return result;
	result = CUDA_ERROR_NOT_FOUND;
	pthread_mutex_lock(&lib->lock);
	for (unsigned i = 0; i < lib->nkernels && result != CUDA_SUCCESS; i++) {
		if (strcmp(lib->kernels[i]->name, name))
			continue;
		*out = api_handle(&lib->kernels[i]->obj);
		result = CUDA_SUCCESS;
	}
	pthread_mutex_unlock(&lib->lock);
	api_object_put(&lib->obj);
	return result;
}

CUresult cuLibraryGetKernelCount(unsigned *count, CUlibrary handle)
{
	struct api_library *lib;
	CUresult result;

	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	result = library_get(handle, &lib);
	if (result != CUDA_SUCCESS)
		return result;
	pthread_mutex_lock(&lib->lock);
	*count = lib->nkernels;
	pthread_mutex_unlock(&lib->lock);
	api_object_put(&lib->obj);
	return CUDA_SUCCESS;
}

CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned count, CUlibrary handle)
{
	struct api_library *lib;
	CUresult result;

	if (!kernels || !count)
		return CUDA_ERROR_INVALID_VALUE;
	result = library_get(handle, &lib);
	if (result != CUDA_SUCCESS)
		return result;
	pthread_mutex_lock(&lib->lock);
	for (unsigned i = 0; i < count && i < lib->nkernels; i++)
		kernels[i] = api_handle(&lib->kernels[i]->obj);
	pthread_mutex_unlock(&lib->lock);
	api_object_put(&lib->obj);
	return CUDA_SUCCESS;
}

/* The library's module in the current context, held. */
static CUresult current_module(CUlibrary handle, struct api_module **m)
{
	struct api_library *lib;
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	result = library_get(handle, &lib);
	if (result != CUDA_SUCCESS)
		return result;
	pthread_mutex_lock(&lib->lock);
	result = instance_get(lib, ctx, m);
	pthread_mutex_unlock(&lib->lock);
	api_object_put(&lib->obj);
	return result;
}

CUresult cuLibraryGetModule(CUmodule *out, CUlibrary handle)
{
	struct api_module *m;
	CUresult result;

	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	result = current_module(handle, &m);
	if (result != CUDA_SUCCESS)
		return result;
	*out = api_handle(&m->obj);
	api_object_put(&m->obj);
	return CUDA_SUCCESS;
}

CUresult cuLibraryGetGlobal(CUdeviceptr *ptr, size_t *size, CUlibrary handle, const char *name)
{
	struct api_module *m;
	CUresult result;

	if (!name || (!ptr && !size))
		return CUDA_ERROR_INVALID_VALUE;
	result = current_module(handle, &m);
	if (result != CUDA_SUCCESS)
		return result;
	result = cuModuleGetGlobal_v2(ptr, size, api_handle(&m->obj), name);
	api_object_put(&m->obj);
	return result;
}

/* There is no managed memory, so no managed variable either. */
CUresult cuLibraryGetManaged(CUdeviceptr *ptr, size_t *size, CUlibrary handle, const char *name)
{
	struct api_library *lib;
	CUresult result = library_get(handle, &lib);

	if (result != CUDA_SUCCESS)
		return result;
	api_object_put(&lib->obj);
	return name ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuLibraryGetUnifiedFunction(void **fptr, CUlibrary handle, const char *symbol)
{
	return cuLibraryGetManaged(NULL, NULL, handle, symbol);
}

CUresult cuKernelGetLibrary(CUlibrary *out, CUkernel handle)
{
	struct api_object *obj;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	obj = api_object_get(handle, API_KERNEL);
	if (!obj)
		return CUDA_ERROR_INVALID_HANDLE;
	if (out)
		*out = api_handle(&api_container(obj, struct api_kernel, obj)->library->obj);
	else
		result = CUDA_ERROR_INVALID_VALUE;
	api_object_put(obj);
	return result;
}
