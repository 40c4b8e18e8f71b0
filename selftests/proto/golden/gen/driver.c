/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* Loads the driver beneath. */
#include "gen/driver.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define REQUIRED(f)	{ #f, offsetof(struct vgpu_driver, f), false }
#define OPTIONAL(f)	{ #f, offsetof(struct vgpu_driver, f), true }

static const struct {
	const char *name;
	size_t offset;
	bool optional;
} functions[] = {
	REQUIRED(cuCtxGetCacheConfig),
	REQUIRED(cuEventCreate),
	REQUIRED(cuEventDestroy_v2),
	REQUIRED(cuEventRecord),
	REQUIRED(cuInit),
	REQUIRED(cuKernelSetAttribute),
	REQUIRED(cuLaunchHostFunc),
	OPTIONAL(cuModuleGetFunctionCount),
	REQUIRED(cuModuleGetGlobal_v2),
};

int vgpu_driver_open(struct vgpu_driver *d, const char *path, char *why, size_t room)
{
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!lib) {
		snprintf(why, room, "%s", dlerror());
		return -ENOENT;
	}
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *f = dlsym(lib, functions[i].name);

		if (!f && !functions[i].optional) {
			snprintf(why, room, "%s has no %s", path, functions[i].name);
			dlclose(lib);
			return -ENOSYS;
		}
		memcpy((char *)d + functions[i].offset, &f, sizeof(f));
	}
	return 0;
}
