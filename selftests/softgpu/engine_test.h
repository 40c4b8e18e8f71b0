/* SPDX-License-Identifier: MIT */
/* For the engine's tests: a device, modules from text or from files, launches. */
#ifndef SELFTESTS_SOFTGPU_ENGINE_TEST_H
#define SELFTESTS_SOFTGPU_ENGINE_TEST_H

#include "softgpu/engine.h"
#include "test.h"

#include <stdarg.h>
#include <stdlib.h>

#define DEVICE_BYTES	(1ull << 30)

__attribute__((unused))
static struct sg_device *device(void)
{
	static struct sg_device *dev;

	if (!dev)
		dev = sg_device_create(0, DEVICE_BYTES);
	return dev;
}

static char test_log[512];

/* The result of loading @text; the module is in *mod if it worked. */
__attribute__((unused))
static CUresult load_text(const char *text, struct sg_module **mod)
{
	struct sg_log log = { test_log, sizeof(test_log), 0 };

	test_log[0] = '\0';
	*mod = NULL;
	return sg_module_load(device(), text, strlen(text), &log, mod);
}

__attribute__((unused))
static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	long n;

	if (!f)
		return NULL;
	if (!fseek(f, 0, SEEK_END) && (n = ftell(f)) >= 0) {
		rewind(f);
		text = calloc(1, n + 1);
		if (text && fread(text, 1, n, f) != (size_t)n)
			text[0] = '\0';
	}
	fclose(f);
	return text;
}

/* A launch of which only the shape is said; arguments follow as 64-bit words. */
struct run {
	unsigned	grid, block, shared;
	bool		cooperative;
	bool		*stop;
};

__attribute__((unused))
static CUresult run_kernel(struct sg_module *mod, const char *name, struct run r,
			   struct sg_fault *fault, unsigned nargs, ...)
{
	struct sg_function *f = sg_module_function(mod, name);
	const struct sg_function_info *info;
	unsigned char params[4096] = { 0 };
	struct sg_fault local;
	struct sg_launch l = {
		.function = f,
		.grid = { r.grid ? r.grid : 1, 1, 1 },
		.block = { r.block ? r.block : 1, 1, 1 },
		.dynamic_shared = r.shared, .cooperative = r.cooperative,
		.params = params, .stop = r.stop,
	};
	va_list ap;

	if (!f)
		return CUDA_ERROR_NOT_FOUND;
	info = sg_function_info(f);
	va_start(ap, nargs);
	for (unsigned i = 0; i < nargs && i < info->nparams; i++) {
		unsigned long long v = va_arg(ap, unsigned long long);

		memcpy(params + info->params[i].offset, &v,
		       info->params[i].size < 8 ? info->params[i].size : 8);
	}
	va_end(ap);
	l.param_bytes = info->param_bytes;
	return sg_launch(&l, fault ? fault : &local);
}

#define ARG(x)	((unsigned long long)(x))

/* Memory of the device, which is memory of the process as well. */
__attribute__((unused))
static void *dev_alloc(size_t size)
{
	CUdeviceptr p;

	if (sg_mem_alloc(device(), size, &p) != CUDA_SUCCESS)
		abort();
	return (void *)(uintptr_t)p;
}

__attribute__((unused))
static void dev_free(void *p)
{
	if (sg_mem_free(device(), (uintptr_t)p) != CUDA_SUCCESS)
		abort();
}

#endif /* SELFTESTS_SOFTGPU_ENGINE_TEST_H */
