/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* The driver beneath, as a table. */
#ifndef VGPU_GEN_DRIVER_H
#define VGPU_GEN_DRIVER_H

#include "proto/cuda_api.h"
#include <stddef.h>

#define VGPU_DRIVER_FUNCTION(name) __typeof__(&name) name

/* These may be NULL: cuModuleGetFunctionCount. */
struct vgpu_driver {
	VGPU_DRIVER_FUNCTION(cuCtxGetCacheConfig);
	VGPU_DRIVER_FUNCTION(cuEventCreate);
	VGPU_DRIVER_FUNCTION(cuEventDestroy_v2);
	VGPU_DRIVER_FUNCTION(cuEventRecord);
	VGPU_DRIVER_FUNCTION(cuInit);
	VGPU_DRIVER_FUNCTION(cuKernelSetAttribute);
	VGPU_DRIVER_FUNCTION(cuLaunchHostFunc);
	VGPU_DRIVER_FUNCTION(cuModuleGetFunctionCount);
	VGPU_DRIVER_FUNCTION(cuModuleGetGlobal_v2);
};

/*
 * Load the libcuda at @path and fill @d. 0; -ENOENT: it cannot be loaded;
 * -ENOSYS: it lacks a function. Then @why (@room bytes) is a line that says
 * which. The library stays loaded.
 */
int vgpu_driver_open(struct vgpu_driver *d, const char *path, char *why, size_t room);

#endif /* VGPU_GEN_DRIVER_H */
