/* SPDX-License-Identifier: MIT */
/* The door: cuInit, and what NVIDIA's runtime asks of a libcuda besides the API. */
#include <stdlib.h>
#include <string.h>
#include "proto/cuda_api.h"
#include "cudafront/cudafront.h"
#include "libcuda/api.h"
#include "libcuda/code.h"

/* The newest CUDA whose driver API is exported here. */
#define DRIVER_VERSION	CUDA_VERSION

static CUresult device_uuid(CUuuid *uuid, CUdevice dev)
{
	return cuDeviceGetUuid_v2(uuid, dev);
}

static CUresult device_attribute(int *value, CUdevice_attribute attribute, CUdevice dev)
{
	return cuDeviceGetAttribute(value, attribute, dev);
}

static CUresult primary_context(CUcontext *ctx, CUdevice dev)
{
	struct vgpu_device *d = vgpu_device_get(dev);

	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	*ctx = (CUcontext)(uintptr_t)d->primary;
	return CUDA_SUCCESS;
}

static bool context_alive(CUcontext ctx)
{
	return ctx && vgpu_context_get(ctx);
}

/* TOOLS_MODULE's count: a function of the module after the other. */
static int module_functions(CUmodule module,
			    void (*cb)(void *user, CUfunction f, uint64_t extra), void *user)
{
	uint64_t *handles;
	unsigned n = 0, count = 0;
	CUresult r = cuModuleGetFunctionCount(&n, module);

	if (r)
		return -(int)r;
	handles = calloc(n ? n : 1, sizeof(*handles));
	if (!handles)
		return -(int)CUDA_ERROR_OUT_OF_MEMORY;
	r = vgpu_code_functions((uintptr_t)module, handles, n, &count);
	for (unsigned i = 0; i < count; i++)
		cb(user, (CUfunction)(uintptr_t)handles[i], 0);
	free(handles);
	return r ? -(int)r : (int)count;
}

static struct cudafront_ops ops = {
	.driver_version = DRIVER_VERSION,
	.device_count = vgpu_device_count,
	.device_uuid = device_uuid,
	.device_attribute = device_attribute,
	.primary_context = primary_context,
	.current_context = vgpu_context_current,
	.context_alive = context_alive,
	.context_id = cuCtxGetId,
	.module_load = cuModuleLoadData,
	.module_functions = module_functions,
};

/* Before any look-up: the runtime asks for addresses and tables before cuInit(). */
__attribute__((constructor)) static void front_init(void)
{
	cudafront_init(&ops);
}

VGPU_PUBLIC CUresult CUDAAPI cuInit(unsigned int flags)
{
	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	return vgpu_session_init();
}

/*
 * Of this library, not of the driver behind the worker: what that one cannot
 * do its errors say, and the runtime asks before there is a session.
 */
VGPU_PUBLIC CUresult CUDAAPI cuDriverGetVersion(int *version)
{
	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	*version = DRIVER_VERSION;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuGetErrorName(CUresult error, const char **name)
{
	return name ? cudafront_error_name(error, name) : CUDA_ERROR_INVALID_VALUE;
}

VGPU_PUBLIC CUresult CUDAAPI cuGetErrorString(CUresult error, const char **text)
{
	return text ? cudafront_error_string(error, text) : CUDA_ERROR_INVALID_VALUE;
}

VGPU_PUBLIC CUresult CUDAAPI cuGetExportTable(const void **table, const CUuuid *id)
{
	if (!table || !id)
		return CUDA_ERROR_INVALID_VALUE;
	return cudafront_export_table(table, id);
}

VGPU_PUBLIC CUresult CUDAAPI cuGetProcAddress_v2(const char *symbol, void **pfn, int version,
						 cuuint64_t flags,
						 CUdriverProcAddressQueryResult *status)
{
	return cudafront_proc_address(symbol, pfn, version, flags, status);
}

VGPU_PUBLIC CUresult CUDAAPI cuGetProcAddress(const char *symbol, void **pfn, int version,
					      cuuint64_t flags)
{
	return cudafront_proc_address(symbol, pfn, version, flags, NULL);
}

/* Images are loaded when the app loads them; lazily is how its runtime should ask. */
VGPU_PUBLIC CUresult CUDAAPI cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
	const char *eager = getenv("CUDA_MODULE_LOADING");

	if (!mode)
		return CUDA_ERROR_INVALID_VALUE;
	*mode = eager && !strcmp(eager, "EAGER") ? CU_MODULE_EAGER_LOADING : CU_MODULE_LAZY_LOADING;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuProfilerInitialize(const char *config, const char *output,
						  CUoutput_mode mode)
{
	/* As NVIDIA's driver since CUDA 12. */
	return CUDA_ERROR_NOT_SUPPORTED;
}
