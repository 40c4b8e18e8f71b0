/* SPDX-License-Identifier: MIT */
/* Modules and libraries: load, unload, look up. What a function is: function.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libcuda/code.h"
#include "libcuda/memory.h"
#include "libcuda/steer.h"

/* A variable that was looked up. */
struct vgpu_globals {
	struct vgpu_globals	*next;
	uint64_t		ctx;	/* a library's variable has a place in each */
	CUdeviceptr		ptr;
	size_t			size;
	char			name[];
};

/* Guards the lists of owners; held while the worker is asked, so each is asked once. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * Guards the lists of variables, from which a context that ends takes its own
 * while another thread looks one up in another context. Innermost.
 */
static pthread_mutex_t globals_lock = PTHREAD_MUTEX_INITIALIZER;

void vgpu_code_forget(struct vgpu_code *code, uint64_t ctx)
{
	struct vgpu_globals **p = &code->globals, *g;
	struct vgpu_memory m;

	pthread_mutex_lock(&globals_lock);
	while ((g = *p)) {
		if (ctx && g->ctx != ctx) {
			p = &g->next;
			continue;
		}
		*p = g->next;
		vgpu_memory_take(g->ptr, VGPU_MEMORY_GLOBAL, &m);
		free(g);
	}
	pthread_mutex_unlock(&globals_lock);
}

void vgpu_code_clear(struct vgpu_code *code)
{
	vgpu_code_forget(code, 0);
	for (int i = 0; code->on && i < VGPU_MAX_DEVICES; i++) {
		struct vgpu_function *f = code->on[i];

		if (f) {
			free(f->params);
			free(f->name);
			free(f);
		}
	}
	free((void *)code->on);
	free(code->name);
	memset(code, 0, sizeof(*code));
}

/* ---- load ---- */

typedef CUresult (*load_call)(struct vgpu_session *s, uint64_t ctx, unsigned flags,
			      uint64_t handle, const void *hash, size_t hash_len, uint64_t length,
			      const void *options, size_t options_len, void *info_log,
			      size_t *info_len, void *error_log, size_t *error_len);

static CUresult image_try(struct vgpu_call_place *p, load_call call, uint64_t handle,
			  const void *code, bool part, struct vgpu_jit *jit)
{
	struct vgpu_image image;
	CUresult r;

	r = vgpu_image_prepare(p->session, code, part, &image);
	if (r)
		return r;
	/* Asked again at most once: what was just sent is there, unless it was refused. */
	for (int tries = 0; tries < 2; tries++) {
		r = call(p->session, p->ctx, p->flags, handle, image.hash, sizeof(image.hash),
			 image.length, jit->pairs, jit->length, jit->info, &jit->info_length,
			 jit->error, &jit->error_length);
		if (r != (CUresult)VGPU_STATUS_NEED_IMAGE || tries)
			break;
		r = vgpu_image_upload(p->session, &image);
		if (r)
			break;
		jit->info_length = sizeof(jit->info);
		jit->error_length = sizeof(jit->error);
	}
	vgpu_image_release(&image);
	return r == (CUresult)VGPU_STATUS_NEED_IMAGE ? CUDA_ERROR_INVALID_IMAGE : r;
}

/*
 * Relocatable code was linked to machine code; where that cannot run, the PTX
 * that went into the link may.
 */
static CUresult image_load(struct vgpu_call_place *p, load_call call, uint64_t handle,
			   const void *code, struct vgpu_jit *jit)
{
	CUresult r = image_try(p, call, handle, code, false, jit);

	if (r == CUDA_ERROR_NO_BINARY_FOR_GPU)
		r = image_try(p, call, handle, code, true, jit);
	return r;
}

static CUresult owner_load(struct vgpu_call_place *p, enum vgpu_kind kind, load_call call,
			   const void *code, struct vgpu_jit *jit, uint64_t *handle)
{
	uint64_t ctx = kind == VGPU_KIND_MODULE ? p->ctx : 0;
	struct vgpu_object *o = vgpu_object_new(p->session, kind, ctx, handle);
	CUresult r;

	if (!o)
		return CUDA_ERROR_OUT_OF_MEMORY;
	vgpu_object_publish(o, *handle);
	r = image_load(p, call, *handle, code, jit);
	if (r)
		vgpu_object_free(*handle);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuModuleLoadDataEx(CUmodule *module, const void *image,
						unsigned int n, CUjit_option *options,
						void **values)
{
	struct vgpu_call_place p;
	struct vgpu_jit jit;
	uint64_t handle;
	CUresult r;

	r = vgpu_place(&p);
	if (!r && !module)
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = vgpu_jit_begin(&jit, n, options, values);
	if (r)
		return r;
	r = owner_load(&p, VGPU_KIND_MODULE, vgpu_call_cuModuleLoadDataEx, image, &jit, &handle);
	vgpu_jit_end(&jit, n, options, values);
	if (!r)
		*module = (CUmodule)(uintptr_t)handle;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuModuleLoadData(CUmodule *module, const void *image)
{
	return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

VGPU_PUBLIC CUresult CUDAAPI cuModuleLoadFatBinary(CUmodule *module, const void *image)
{
	return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

VGPU_PUBLIC CUresult CUDAAPI cuModuleLoad(CUmodule *module, const char *path)
{
	void *bytes;
	CUresult r = vgpu_file_read(path, &bytes);

	if (r)
		return r;
	r = cuModuleLoadDataEx(module, bytes, 0, NULL, NULL);
	free(bytes);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuLibraryLoadData(CUlibrary *library, const void *code,
					       CUjit_option *jit_options, void **jit_values,
					       unsigned int njit, CUlibraryOption *options,
					       void **values, unsigned int noptions)
{
	struct vgpu_call_place p;
	struct vgpu_jit jit;
	uint64_t handle;
	CUresult r;

	r = vgpu_place_noctx(&p);
	if (!r && (!library || (noptions && (!options || !values))))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = vgpu_jit_begin(&jit, njit, jit_options, jit_values);
	if (r)
		return r;
	/* Library options say what the app promises of its memory: all is copied anyway. */
	r = owner_load(&p, VGPU_KIND_LIBRARY, vgpu_call_cuLibraryLoadData, code, &jit, &handle);
	vgpu_jit_end(&jit, njit, jit_options, jit_values);
	if (!r)
		*library = (CUlibrary)(uintptr_t)handle;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuLibraryLoadFromFile(CUlibrary *library, const char *path,
						   CUjit_option *jit_options, void **jit_values,
						   unsigned int njit, CUlibraryOption *options,
						   void **values, unsigned int noptions)
{
	void *bytes;
	CUresult r = vgpu_file_read(path, &bytes);

	if (r)
		return r;
	r = cuLibraryLoadData(library, bytes, jit_options, jit_values, njit, options, values,
			      noptions);
	free(bytes);
	return r;
}

/* ---- unload ---- */

VGPU_PUBLIC CUresult CUDAAPI cuModuleUnload(CUmodule module)
{
	uint64_t handle = (uintptr_t)module;
	struct vgpu_call_place p;
	struct vgpu_object *o;
	CUresult r;

	r = vgpu_place_noctx(&p);
	if (r)
		return r;
	o = vgpu_object_get(handle, VGPU_KIND_MODULE);
	if (!o || o->code.owner)	/* a library's module goes with the library */
		return CUDA_ERROR_INVALID_HANDLE;
	r = vgpu_call_cuModuleUnload(o->session, o->ctx, p.flags, handle);
	vgpu_objects_drop_code(handle);
	vgpu_object_free(handle);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuLibraryUnload(CUlibrary library)
{
	uint64_t handle = (uintptr_t)library;
	struct vgpu_call_place p;
	struct vgpu_object *o;
	CUresult r;

	r = vgpu_place_noctx(&p);
	if (r)
		return r;
	o = vgpu_object_get(handle, VGPU_KIND_LIBRARY);
	if (!o)
		return CUDA_ERROR_INVALID_HANDLE;
	r = vgpu_call_cuLibraryUnload(o->session, p.ctx, p.flags, handle);
	vgpu_objects_drop_code(handle);
	vgpu_object_free(handle);
	return r;
}

/* ---- functions and kernels by name ---- */

static uint64_t member_by_name(struct vgpu_object *owner, const char *name)
{
	for (uint64_t h = owner->code.next; h;) {
		struct vgpu_object *o = vgpu_object_get(h, vgpu_handle_kind(h));

		if (!o)
			break;
		if (o->code.name && !strcmp(o->code.name, name))
			return h;
		h = o->code.next;
	}
	return 0;
}

/* A new member in the owner's list; lock held. @name may be NULL: not known yet. */
static struct vgpu_object *member_new(struct vgpu_object *owner, uint64_t owner_handle,
				      enum vgpu_kind kind, const char *name, uint64_t *handle)
{
	struct vgpu_object *o = vgpu_object_new(owner->session, kind, owner->ctx, handle);
	void *on;

	if (!o)
		return NULL;
	on = calloc(VGPU_MAX_DEVICES, sizeof(*o->code.on));
	o->code.on = on;
	o->code.name = name ? strdup(name) : NULL;
	o->code.owner = owner_handle;
	o->code.root = owner->code.root ? owner->code.root : owner_handle;
	vgpu_object_publish(o, *handle);
	if (!on || (name && !o->code.name)) {
		vgpu_object_free(*handle);
		return NULL;
	}
	return o;
}

static void member_link(struct vgpu_object *owner, struct vgpu_object *o, uint64_t handle)
{
	o->code.next = owner->code.next;
	owner->code.next = handle;
}

typedef CUresult (*member_call)(struct vgpu_session *s, uint64_t ctx, unsigned flags,
				uint64_t member, uint64_t owner, const char *name);

static CUresult member_find(struct vgpu_call_place *p, uint64_t owner_handle, enum vgpu_kind kind,
			    const char *name, member_call call, uint64_t *handle)
{
	enum vgpu_kind owner_kind =
		kind == VGPU_KIND_KERNEL ? VGPU_KIND_LIBRARY : VGPU_KIND_MODULE;
	struct vgpu_object *owner = vgpu_object_get(owner_handle, owner_kind), *o;
	CUresult r = CUDA_SUCCESS;

	if (!owner)
		return CUDA_ERROR_INVALID_HANDLE;
	pthread_mutex_lock(&lock);
	*handle = member_by_name(owner, name);
	if (*handle)
		goto unlock;
	r = CUDA_ERROR_OUT_OF_MEMORY;
	o = member_new(owner, owner_handle, kind, name, handle);
	if (!o)
		goto unlock;
	r = call(owner->session, p->ctx, p->flags, *handle, owner_handle, name);
	if (r)
		vgpu_object_free(*handle);
	else
		member_link(owner, o, *handle);
unlock:
	pthread_mutex_unlock(&lock);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuModuleGetFunction(CUfunction *function, CUmodule module,
						 const char *name)
{
	struct vgpu_call_place p;
	uint64_t handle;
	CUresult r;

	r = vgpu_place(&p);
	if (!r && (!function || !name || !*name))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = member_find(&p, (uintptr_t)module, VGPU_KIND_FUNCTION, name,
				vgpu_call_cuModuleGetFunction, &handle);
	if (!r)
		*function = (CUfunction)(uintptr_t)handle;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuLibraryGetKernel(CUkernel *kernel, CUlibrary library,
						const char *name)
{
	struct vgpu_call_place p;
	uint64_t handle;
	CUresult r;

	r = vgpu_place_noctx(&p);
	if (!r && (!kernel || !name || !*name))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = member_find(&p, (uintptr_t)library, VGPU_KIND_KERNEL, name,
				vgpu_call_cuLibraryGetKernel, &handle);
	if (!r)
		*kernel = (CUkernel)(uintptr_t)handle;
	return r;
}

static CUresult derived(struct vgpu_object *from, uint64_t from_handle, uint64_t ctx,
			unsigned flags, enum vgpu_kind kind, uint64_t *handle,
			CUresult (*call)(struct vgpu_session *s, uint64_t ctx, unsigned flags,
					 uint64_t made, uint64_t from))
{
	struct vgpu_object *o;
	CUresult r;

	o = member_new(from, from_handle, kind, from->code.name, handle);
	if (!o)
		return CUDA_ERROR_OUT_OF_MEMORY;
	o->ctx = ctx;
	r = call(from->session, ctx, flags, *handle, from_handle);
	if (r)
		vgpu_object_free(*handle);
	return r;
}

/* What was derived from @from in @ctx before. */
struct search {
	uint64_t	from;
	uint64_t	ctx;
	enum vgpu_kind	kind;
	uint64_t	found;
};

static void search_one(struct vgpu_object *o, void *arg)
{
	uint64_t handle = atomic_load_explicit(&o->handle, memory_order_relaxed);
	struct search *s = arg;

	if (vgpu_handle_kind(handle) == s->kind && o->code.owner == s->from && o->ctx == s->ctx)
		s->found = handle;
}

/* @made NULL is the app's mistake: it has no place for the answer. */
static CUresult derive(const void *from_app, enum vgpu_kind from_kind, void **made,
		       enum vgpu_kind kind,
		       CUresult (*call)(struct vgpu_session *s, uint64_t ctx, unsigned flags,
					uint64_t made, uint64_t from))
{
	uint64_t from_handle = (uintptr_t)from_app, handle;
	struct vgpu_object *from = vgpu_object_get(from_handle, from_kind);
	struct vgpu_call_place p;
	struct search s;
	CUresult r;

	r = vgpu_place(&p);
	if (r)
		return r;
	if (!made)
		return CUDA_ERROR_INVALID_VALUE;
	if (!from)
		return CUDA_ERROR_INVALID_HANDLE;
	s = (struct search){ from_handle, p.ctx, kind, 0 };
	pthread_mutex_lock(&lock);
	vgpu_objects_each(search_one, &s);
	handle = s.found;
	if (!handle)
		r = derived(from, from_handle, p.ctx, p.flags, kind, &handle, call);
	pthread_mutex_unlock(&lock);
	if (!r)
		*made = (void *)(uintptr_t)handle;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuKernelGetFunction(CUfunction *function, CUkernel kernel)
{
	return derive(kernel, VGPU_KIND_KERNEL, (void **)function, VGPU_KIND_FUNCTION,
		      vgpu_call_cuKernelGetFunction);
}

VGPU_PUBLIC CUresult CUDAAPI cuLibraryGetModule(CUmodule *module, CUlibrary library)
{
	return derive(library, VGPU_KIND_LIBRARY, (void **)module, VGPU_KIND_MODULE,
		      vgpu_call_cuLibraryGetModule);
}

/* ---- lists ---- */

/* What one record has room for. */
#define FUNCTIONS_MAX	(VGPU_MAX_vgpu_module_functions_handles / sizeof(uint64_t))

CUresult vgpu_code_functions(uint64_t owner_handle, uint64_t *handles, unsigned max,
			     unsigned *count)
{
	bool library = vgpu_handle_kind(owner_handle) == VGPU_KIND_LIBRARY;
	struct vgpu_object *owner = vgpu_object_get(owner_handle, vgpu_handle_kind(owner_handle));
	enum vgpu_kind kind = library ? VGPU_KIND_KERNEL : VGPU_KIND_FUNCTION;
	struct vgpu_call_place p;
	unsigned n = 0, made = 0;
	CUresult r;

	r = library ? vgpu_place_noctx(&p) : vgpu_place(&p);
	if (r || !owner)
		return r ? r : CUDA_ERROR_INVALID_HANDLE;
	if (max > FUNCTIONS_MAX)
		max = FUNCTIONS_MAX;
	while (made < max && member_new(owner, owner_handle, kind, NULL, &handles[made]))
		made++;
	r = (library ? vgpu_call_vgpu_library_kernels : vgpu_call_vgpu_module_functions)(
		p.session, p.ctx, p.flags, owner_handle, handles, made * sizeof(*handles), &n);
	if (r)
		n = 0;
	if (n > made)
		n = made;
	for (unsigned i = n; i < made; i++)
		vgpu_object_free(handles[i]);
	*count = n;
	return r;
}

static CUresult functions_list(uint64_t owner, void **out, unsigned n)
{
	uint64_t *handles = calloc(n ? n : 1, sizeof(*handles));
	unsigned count = 0;
	CUresult r;

	if (!handles)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = vgpu_code_functions(owner, handles, n, &count);
	/* Perhaps there are more: too few would be taken for all. */
	if (!r && count == FUNCTIONS_MAX && n > count)
		r = CUDA_ERROR_NOT_SUPPORTED;
	for (unsigned i = 0; i < count && !r; i++)
		out[i] = (void *)(uintptr_t)handles[i];
	free(handles);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuModuleEnumerateFunctions(CUfunction *functions, unsigned int n,
							CUmodule module)
{
	if (!functions || !n)
		return CUDA_ERROR_INVALID_VALUE;
	if (vgpu_handle_kind((uintptr_t)module) != VGPU_KIND_MODULE)
		return CUDA_ERROR_INVALID_HANDLE;
	return functions_list((uintptr_t)module, (void **)functions, n);
}

VGPU_PUBLIC CUresult CUDAAPI cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int n,
						       CUlibrary library)
{
	if (!kernels || !n)
		return CUDA_ERROR_INVALID_VALUE;
	if (vgpu_handle_kind((uintptr_t)library) != VGPU_KIND_LIBRARY)
		return CUDA_ERROR_INVALID_HANDLE;
	return functions_list((uintptr_t)library, (void **)kernels, n);
}

/* ---- variables ---- */

typedef CUresult (*global_call)(struct vgpu_session *s, uint64_t ctx, unsigned flags,
				CUdeviceptr *ptr, size_t *size, uint64_t owner, const char *name);

static bool global_known(struct vgpu_object *owner, uint64_t ctx, const char *name,
			 CUdeviceptr *ptr, size_t *size)
{
	struct vgpu_globals *g;

	pthread_mutex_lock(&globals_lock);
	for (g = owner->code.globals; g; g = g->next)
		if (g->ctx == ctx && !strcmp(g->name, name))
			break;
	if (g) {
		*ptr = g->ptr;
		*size = g->size;
	}
	pthread_mutex_unlock(&globals_lock);
	return g;
}

/* The address is the driver's choice: a clash cannot be mended here. */
static int global_keep(struct vgpu_call_place *p, struct vgpu_object *owner, const char *name,
		       CUdeviceptr ptr, size_t size)
{
	struct vgpu_memory m = {
		.start = ptr, .size = size, .kind = VGPU_MEMORY_GLOBAL,
		.device = p->context->context.device, .session = p->session, .ctx = p->ctx,
	};
	struct vgpu_globals *g = calloc(1, sizeof(*g) + strlen(name) + 1);

	if (!g)
		return -ENOMEM;
	vgpu_steer_reserve(ptr, size);
	if (vgpu_memory_add(&m)) {
		free(g);
		return -ENOMEM;
	}
	g->ctx = p->ctx;
	g->ptr = ptr;
	g->size = size;
	strcpy(g->name, name);
	pthread_mutex_lock(&globals_lock);
	g->next = owner->code.globals;
	owner->code.globals = g;
	pthread_mutex_unlock(&globals_lock);
	return 0;
}

static CUresult global_find(CUdeviceptr *ptr, size_t *size, uint64_t handle, enum vgpu_kind kind,
			    const char *name, global_call call)
{
	struct vgpu_object *owner = vgpu_object_get(handle, kind);
	struct vgpu_call_place p;
	CUdeviceptr at = 0;
	size_t length = 0;
	CUresult r;

	r = vgpu_place(&p);
	if (r)
		return r;
	if (!name || !*name || (!ptr && !size))
		return CUDA_ERROR_INVALID_VALUE;
	if (!owner)
		return CUDA_ERROR_INVALID_HANDLE;
	pthread_mutex_lock(&lock);
	if (!global_known(owner, p.ctx, name, &at, &length)) {
		r = call(p.session, p.ctx, p.flags, &at, &length, handle, name);
		if (!r && global_keep(&p, owner, name, at, length))
			r = CUDA_ERROR_OUT_OF_MEMORY;
	}
	pthread_mutex_unlock(&lock);
	if (!r && ptr)
		*ptr = at;
	if (!r && size)
		*size = length;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuModuleGetGlobal_v2(CUdeviceptr *ptr, size_t *size, CUmodule module,
						  const char *name)
{
	return global_find(ptr, size, (uintptr_t)module, VGPU_KIND_MODULE, name,
			   vgpu_call_cuModuleGetGlobal_v2);
}

VGPU_PUBLIC CUresult CUDAAPI cuLibraryGetGlobal(CUdeviceptr *ptr, size_t *size, CUlibrary library,
						const char *name)
{
	return global_find(ptr, size, (uintptr_t)library, VGPU_KIND_LIBRARY, name,
			   vgpu_call_cuLibraryGetGlobal);
}
