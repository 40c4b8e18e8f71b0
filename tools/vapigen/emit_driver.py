# SPDX-License-Identifier: MIT
"""gen/driver.h and gen/driver.c: the functions of the libcuda beneath a worker."""
from text import banner


def names(spec):
    """(name, optional), sorted."""
    calls = [(c.name, False) for c in spec.calls if not c.internal]
    return sorted(calls + [(d.name, d.optional) for d in spec.drivers])


def optional_note(spec):
    optional = [name for name, is_optional in names(spec) if is_optional]
    return [f"/* These may be NULL: {', '.join(optional)}. */"] if optional else []


def header(spec):
    lines = banner(spec, "The driver beneath, as a table.")
    lines += ["#ifndef VGPU_GEN_DRIVER_H", "#define VGPU_GEN_DRIVER_H", "",
              '#include "proto/cuda_api.h"', "#include <stddef.h>", "",
              "#define VGPU_DRIVER_FUNCTION(name) __typeof__(&name) name", ""]
    lines += optional_note(spec) + ["struct vgpu_driver {"]
    lines += [f"\tVGPU_DRIVER_FUNCTION({n});" for n, _ in names(spec)]
    return lines + ["};", "", "/*",
                    " * Load the libcuda at @path and fill @d. 0; -ENOENT: it cannot be loaded;",
                    " * -ENOSYS: it lacks a function. Then @why (@room bytes) is a line that says",
                    " * which. The library stays loaded.", " */",
                    "int vgpu_driver_open(struct vgpu_driver *d, const char *path, char *why,"
                    " size_t room);", "", "#endif /* VGPU_GEN_DRIVER_H */"]


def source(spec):
    lines = banner(spec, "Loads the driver beneath.")
    lines += ['#include "gen/driver.h"', "#include <dlfcn.h>", "#include <errno.h>",
              "#include <stdbool.h>", "#include <stdio.h>", "#include <string.h>", "",
              "#define REQUIRED(f)\t{ #f, offsetof(struct vgpu_driver, f), false }",
              "#define OPTIONAL(f)\t{ #f, offsetof(struct vgpu_driver, f), true }", "",
              "static const struct {",
              "\tconst char *name;", "\tsize_t offset;", "\tbool optional;", "} functions[] = {"]
    lines += [f"\t{'OPTIONAL' if optional else 'REQUIRED'}({name}),"
              for name, optional in names(spec)]
    return lines + OPEN.split("\n")


OPEN = """};

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
}"""
