/* SPDX-License-Identifier: MIT */
/* Modules, libraries, functions and kernels: loading, looking up, what is known of them. */
#include <stdlib.h>
#include <string.h>
#include "proto/marshal.h"
#include "server/cache.h"
#include "server/worker.h"

/* ---- objects ---- */

/* Of a module or library that was loaded here: its image is kept as long as it lives. */
struct vgpu_code {
	struct vgpu_object	object;
	struct vgpu_image	*image;
};

/* Of a function or kernel. */
struct vgpu_function {
	struct vgpu_object	object;
	uint32_t		param_bytes;
};

static void code_end(struct vgpu_worker *w, struct vgpu_object *o)
{
	vgpu_image_put(w, ((struct vgpu_code *)o)->image);
	free(o);
}

static void function_end(struct vgpu_worker *w, struct vgpu_object *o)
{
	free(o);
}

/* ---- options of the JIT ---- */

#define LOG_BYTES	VGPU_MAX_cuLibraryLoadData_info_log
#define PAIRS_MAX	(VGPU_MAX_cuLibraryLoadData_options / 8)

_Static_assert(VGPU_MAX_cuModuleLoadDataEx_options == VGPU_MAX_cuLibraryLoadData_options, "same");
_Static_assert(VGPU_MAX_cuModuleLoadDataEx_info_log == LOG_BYTES, "same");
_Static_assert(VGPU_MAX_cuModuleLoadDataEx_error_log == LOG_BYTES, "same");
_Static_assert(VGPU_MAX_cuLibraryLoadData_error_log == LOG_BYTES, "same");

struct load {
	struct vgpu_code	*code;
	unsigned		n;
	CUjit_option		options[PAIRS_MAX + 4];
	void			*values[PAIRS_MAX + 4];
};

static void option_add(struct load *l, CUjit_option option, void *value)
{
	l->options[l->n] = option;
	l->values[l->n++] = value;
}

static CUresult options_read(struct load *l, const void *pairs, uint32_t length)
{
	const uint32_t *pair = pairs;

	if (length % 8)
		return CUDA_ERROR_INVALID_VALUE;
	for (; length; length -= 8, pair += 2) {
		if (!vgpu_jit_option_travels(pair[0]))
			return CUDA_ERROR_NOT_SUPPORTED;
		option_add(l, (CUjit_option)pair[0], (void *)(uintptr_t)pair[1]);
	}
	return CUDA_SUCCESS;
}

static void logs_add(struct load *l, char *info, char *error)
{
	info[0] = error[0] = 0;
	option_add(l, CU_JIT_INFO_LOG_BUFFER, info);
	option_add(l, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, (void *)(uintptr_t)LOG_BYTES);
	option_add(l, CU_JIT_ERROR_LOG_BUFFER, error);
	option_add(l, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, (void *)(uintptr_t)LOG_BYTES);
}

/* ---- loading ---- */

static CUresult load_begin(struct vgpu_worker *w, struct load *l, const void *hash,
			   uint32_t hash_len, uint64_t length, const void *options,
			   uint32_t options_len)
{
	CUresult r;

	l->n = 0;
	if (hash_len != VGPU_HASH_BYTES)
		return CUDA_ERROR_INVALID_VALUE;
	r = options_read(l, options, options_len);
	if (r)
		return r;
	l->code = calloc(1, sizeof(*l->code));
	if (!l->code)
		return CUDA_ERROR_OUT_OF_MEMORY;
	l->code->object.end = code_end;
	r = vgpu_image_get(w, hash, length, &l->code->image);
	if (r)
		free(l->code);
	return r;
}

CUresult vgpu_hook_cuModuleLoadDataEx(struct vgpu_worker *w, const struct vgpu_request *q,
				      uint64_t module, const void *hash, uint32_t hash_len,
				      uint64_t length, const void *options, uint32_t options_len,
				      void *info_log, uint32_t *info_log_len, void *error_log,
				      uint32_t *error_log_len)
{
	struct load l;
	CUmodule m;
	CUresult r = load_begin(w, &l, hash, hash_len, length, options, options_len);

	if (r)
		return r;
	logs_add(&l, info_log, error_log);
	r = w->driver->cuModuleLoadDataEx(&m, vgpu_image_bytes(l.code->image), l.n, l.options,
					  l.values);
	*info_log_len = strnlen(info_log, LOG_BYTES);
	*error_log_len = strnlen(error_log, LOG_BYTES);
	if (r)
		goto fail;
	r = vgpu_handle_add(w, module, VGPU_KIND_MODULE, q->ctx, 0, m, &l.code->object);
	if (!r)
		return CUDA_SUCCESS;
	w->driver->cuModuleUnload(m);
fail:
	code_end(w, &l.code->object);
	return r;
}

CUresult vgpu_hook_cuLibraryLoadData(struct vgpu_worker *w, const struct vgpu_request *q,
				     uint64_t library, const void *hash, uint32_t hash_len,
				     uint64_t length, const void *options, uint32_t options_len,
				     void *info_log, uint32_t *info_log_len, void *error_log,
				     uint32_t *error_log_len)
{
	struct load l;
	CUlibrary lib;
	CUresult r = load_begin(w, &l, hash, hash_len, length, options, options_len);

	if (r)
		return r;
	logs_add(&l, info_log, error_log);
	r = w->driver->cuLibraryLoadData(&lib, vgpu_image_bytes(l.code->image), l.options, l.values,
					 l.n, NULL, NULL, 0);
	*info_log_len = strnlen(info_log, LOG_BYTES);
	*error_log_len = strnlen(error_log, LOG_BYTES);
	if (r)
		goto fail;
	r = vgpu_handle_add(w, library, VGPU_KIND_LIBRARY, 0, 0, lib, &l.code->object);
	if (!r)
		return CUDA_SUCCESS;
	w->driver->cuLibraryUnload(lib);
fail:
	code_end(w, &l.code->object);
	return r;
}

/* ---- unloading: the dispatcher takes the handle, a helper unloads ---- */

static CUresult module_unloaded(struct vgpu_worker *w, struct vgpu_job *job, struct vgpu_reply *p)
{
	struct vgpu_context *ctx = job->data[2];
	CUresult r;

	vgpu_helpers_quiesce(w);
	r = vgpu_context_use(w, ctx);
	if (!r)
		r = w->driver->cuModuleUnload(job->data[0]);
	vgpu_objects_end(w, job->data[1]);
	vgpu_context_unpin(w, ctx);
	vgpu_output_drain(w);
	return r;
}

CUresult vgpu_hook_cuModuleUnload(struct vgpu_worker *w, const struct vgpu_request *q,
				  uint64_t hmod)
{
	struct vgpu_object *objects;
	struct vgpu_job *job;

	/* One that belongs to a library ends with that. */
	if (!vgpu_handle_object(w, hmod) ||
	    vgpu_handle_ancestor(w, hmod, VGPU_KIND_CONTEXT) != q->ctx)
		return CUDA_ERROR_INVALID_HANDLE;
	job = vgpu_job_create(q, module_unloaded);
	if (!job)
		return CUDA_ERROR_OUT_OF_MEMORY;
	vgpu_handle_take(w, hmod, VGPU_KIND_MODULE, &job->data[0], &objects);
	vgpu_context_pin(w, vgpu_thread.context);
	job->data[1] = objects;
	job->data[2] = vgpu_thread.context;
	return vgpu_job_submit(w, job);
}

static CUresult library_unloaded(struct vgpu_worker *w, struct vgpu_job *job, struct vgpu_reply *p)
{
	CUresult r;

	vgpu_helpers_quiesce(w);
	r = w->driver->cuLibraryUnload(job->data[0]);
	vgpu_objects_end(w, job->data[1]);
	vgpu_output_drain(w);
	return r;
}

CUresult vgpu_hook_cuLibraryUnload(struct vgpu_worker *w, const struct vgpu_request *q,
				   uint64_t library)
{
	struct vgpu_job *job = vgpu_job_create(q, library_unloaded);
	struct vgpu_object *objects;

	if (!job)
		return CUDA_ERROR_OUT_OF_MEMORY;
	vgpu_handle_take(w, library, VGPU_KIND_LIBRARY, &job->data[0], &objects);
	job->data[1] = objects;
	return vgpu_job_submit(w, job);
}

/* ---- looking up ---- */

CUresult vgpu_hook_cuModuleGetFunction(struct vgpu_worker *w, const struct vgpu_request *q,
				       uint64_t hfunc, uint64_t hmod, const char *name)
{
	CUfunction f;
	void *m;
	CUresult r = vgpu_handle_get(w, hmod, VGPU_KIND_MODULE, &m);

	if (!r)
		r = w->driver->cuModuleGetFunction(&f, m, name);
	return r ? r : vgpu_handle_add(w, hfunc, VGPU_KIND_FUNCTION, hmod, 0, f, NULL);
}

CUresult vgpu_hook_cuLibraryGetKernel(struct vgpu_worker *w, const struct vgpu_request *q,
				      uint64_t pKernel, uint64_t library, const char *name)
{
	CUkernel k;
	void *lib;
	CUresult r = vgpu_handle_get(w, library, VGPU_KIND_LIBRARY, &lib);

	if (!r)
		r = w->driver->cuLibraryGetKernel(&k, lib, name);
	return r ? r : vgpu_handle_add(w, pKernel, VGPU_KIND_KERNEL, library, 0, k, NULL);
}

CUresult vgpu_hook_cuLibraryGetModule(struct vgpu_worker *w, const struct vgpu_request *q,
				      uint64_t pMod, uint64_t library)
{
	CUmodule m;
	void *lib;
	CUresult r = vgpu_handle_get(w, library, VGPU_KIND_LIBRARY, &lib);

	if (!r)
		r = w->driver->cuLibraryGetModule(&m, lib);
	return r ? r : vgpu_handle_add(w, pMod, VGPU_KIND_MODULE, q->ctx, library, m, NULL);
}

CUresult vgpu_hook_cuKernelGetFunction(struct vgpu_worker *w, const struct vgpu_request *q,
				       uint64_t pFunc, uint64_t kernel)
{
	uint64_t library = vgpu_handle_ancestor(w, kernel, VGPU_KIND_LIBRARY);
	CUfunction f;
	void *k;
	CUresult r = CUDA_ERROR_INVALID_HANDLE;

	if (library)
		r = vgpu_handle_get(w, kernel, VGPU_KIND_KERNEL, &k);
	if (!r)
		r = w->driver->cuKernelGetFunction(&f, k);
	/* Looked up before: a library that was unloaded meanwhile gets no function. */
	return r ? r : vgpu_handle_add(w, pFunc, VGPU_KIND_FUNCTION, q->ctx, library, f, NULL);
}

/* ---- all functions of a module, all kernels of a library ---- */

/* Give the client's numbers to what was enumerated, in order; all of them or none. */
static CUresult handles_add(struct vgpu_worker *w, const uint64_t *numbers, unsigned n,
			    enum vgpu_kind kind, uint64_t parent, void *const *drivers)
{
	CUresult r = CUDA_SUCCESS;

	for (unsigned i = 0; i < n && !r; i++)
		r = vgpu_handle_free(w, numbers[i], kind);
	for (unsigned i = 0; i < n && !r; i++)
		r = vgpu_handle_add(w, numbers[i], kind, parent, 0, drivers[i], NULL);
	return r;
}

CUresult vgpu_hook_vgpu_module_functions(struct vgpu_worker *w, const struct vgpu_request *q,
					 uint64_t mod, const void *handles, uint32_t handles_len,
					 unsigned int *count)
{
	CUfunction functions[VGPU_MAX_vgpu_module_functions_handles / 8];
	unsigned n = handles_len / 8;
	void *m;
	CUresult r = vgpu_handle_get(w, mod, VGPU_KIND_MODULE, &m);

	if (handles_len % 8)
		return CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = w->driver->cuModuleGetFunctionCount(count, m);
	if (r)
		return r;
	n = n < *count ? n : *count;
	if (!n)
		return CUDA_SUCCESS;
	r = w->driver->cuModuleEnumerateFunctions(functions, n, m);
	return r ? r : handles_add(w, handles, n, VGPU_KIND_FUNCTION, mod, (void **)functions);
}

CUresult vgpu_hook_vgpu_library_kernels(struct vgpu_worker *w, const struct vgpu_request *q,
					uint64_t lib, const void *handles, uint32_t handles_len,
					unsigned int *count)
{
	CUkernel kernels[VGPU_MAX_vgpu_library_kernels_handles / 8];
	unsigned n = handles_len / 8;
	void *l;
	CUresult r = vgpu_handle_get(w, lib, VGPU_KIND_LIBRARY, &l);

	if (handles_len % 8)
		return CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = w->driver->cuLibraryGetKernelCount(count, l);
	if (r)
		return r;
	n = n < *count ? n : *count;
	if (!n)
		return CUDA_SUCCESS;
	r = w->driver->cuLibraryEnumerateKernels(kernels, n, l);
	return r ? r : handles_add(w, handles, n, VGPU_KIND_KERNEL, lib, (void **)kernels);
}

/* ---- what a function is ---- */

static bool is_kernel(uint64_t wire)
{
	return vgpu_handle_kind(wire) == VGPU_KIND_KERNEL;
}

/* False: no parameter of that index. */
static bool param_at(struct vgpu_worker *w, uint64_t wire, void *function, size_t index,
		     size_t *offset, size_t *size)
{
	if (is_kernel(wire))
		return !w->driver->cuKernelGetParamInfo(function, index, offset, size);
	return !w->driver->cuFuncGetParamInfo(function, index, offset, size);
}

/* @params has room for VGPU_PARAMS_MAX, or is NULL. */
static CUresult params_read(struct vgpu_worker *w, uint64_t wire, void *function,
			    struct vgpu_param *params, uint32_t *count, uint32_t *bytes)
{
	size_t offset, size;
	uint32_t n = 0;

	*bytes = 0;
	while (param_at(w, wire, function, n, &offset, &size)) {
		if (n == VGPU_PARAMS_MAX || offset + size > VGPU_MAX_cuLaunchKernelEx_params)
			return CUDA_ERROR_NOT_SUPPORTED;
		if (params)
			params[n] = (struct vgpu_param){ offset, size };
		if (*bytes < offset + size)
			*bytes = offset + size;
		n++;
	}
	*count = n;
	return CUDA_SUCCESS;
}

static void params_keep(struct vgpu_worker *w, uint64_t wire, uint32_t bytes)
{
	struct vgpu_function *f = calloc(1, sizeof(*f));

	if (!f)
		return;
	f->object.end = function_end;
	f->param_bytes = bytes;
	if (!vgpu_handle_attach(w, wire, &f->object))
		free(f);
}

CUresult vgpu_function_params(struct vgpu_worker *w, uint64_t wire, void *function,
			      uint32_t *bytes)
{
	struct vgpu_object *o = vgpu_handle_object(w, wire);
	uint32_t count;
	CUresult r;

	if (likely(o)) {
		*bytes = ((struct vgpu_function *)o)->param_bytes;
		return CUDA_SUCCESS;
	}
	r = params_read(w, wire, function, NULL, &count, bytes);
	if (!r)
		params_keep(w, wire, *bytes);
	return r;
}

static CUresult attribute_read(struct vgpu_worker *w, uint64_t wire, void *function, int *value,
			       CUfunction_attribute attribute, CUdevice dev)
{
	if (is_kernel(wire))
		return w->driver->cuKernelGetAttribute(value, attribute, function, dev);
	return w->driver->cuFuncGetAttribute(value, attribute, function);
}

static CUresult attributes_read(struct vgpu_worker *w, uint64_t wire, void *function, CUdevice dev,
				int32_t *values)
{
	for (int i = 0; i < VGPU_FUNC_ATTRIBUTES; i++) {
		CUresult r = attribute_read(w, wire, function, &values[i], i, dev);

		/* The first every driver knows: what it says is about the function. */
		if (r && !i)
			return r;
		if (r)
			values[i] = 0;
	}
	return CUDA_SUCCESS;
}

static void name_read(struct vgpu_worker *w, uint64_t wire, void *function, void *name,
		      uint32_t *length)
{
	const char *s = NULL;
	CUresult r = is_kernel(wire) ? w->driver->cuKernelGetName(&s, function) :
				       w->driver->cuFuncGetName(&s, function);

	if (r || !s)
		return;
	*length = strnlen(s, VGPU_MAX_vgpu_function_info_name);
	memcpy(name, s, *length);
}

/* Some answers need a context: that of the function, or the client's. */
static void context_for(struct vgpu_worker *w, const struct vgpu_request *q, uint64_t wire)
{
	uint64_t ctx = vgpu_handle_ancestor(w, wire, VGPU_KIND_CONTEXT);

	vgpu_context_enter(w, ctx ? ctx : q->ctx);
}

CUresult vgpu_hook_vgpu_function_info(struct vgpu_worker *w, const struct vgpu_request *q,
				      uint64_t function, int dev, struct vgpu_function_info *info,
				      void *params, uint32_t *params_len, void *name,
				      uint32_t *name_len)
{
	void *f;
	CUresult r = vgpu_handle_get(w, function, VGPU_KIND_FUNCTION, &f);

	if (r)
		return r;
	context_for(w, q, function);
	r = attributes_read(w, function, f, w->devices[dev].driver, info->attributes);
	if (!r)
		r = params_read(w, function, f, params, &info->nparams, &info->param_bytes);
	if (r)
		return r;
	*params_len = info->nparams * sizeof(struct vgpu_param);
	name_read(w, function, f, name, name_len);
	params_keep(w, function, info->param_bytes);
	return CUDA_SUCCESS;
}
