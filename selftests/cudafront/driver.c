// SPDX-License-Identifier: MIT
/*
 * The least libcuda.so.1 that NVIDIA's runtime starts on, for runtime.c: two
 * devices without memory, and all that cudafront gives.
 */
#include "cudafront/cudafront.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

#define VERSION	 13000
#define NDEVICES 2

/* Says another UUID to the runtime than to the integrity check. */
static bool lies;

static struct context {
	atomic_int users;
	CUdevice   dev;
} contexts[NDEVICES] = { { 0, 0 }, { 0, 1 } };

static __thread CUcontext current;

static CUcontext context_of(CUdevice dev)
{
	return (CUcontext)&contexts[dev];
}

static int device_count(void)
{
	return NDEVICES;
}

static CUresult device_uuid(CUuuid *uuid, CUdevice dev)
{
	memset(uuid, 0x10 + dev, sizeof(*uuid));
	return CUDA_SUCCESS;
}

static CUresult device_attribute(int *value, CUdevice_attribute attr, CUdevice dev)
{
	switch (attr) {
	case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
		*value = 3 + dev;
		break;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
		*value = 7;
		break;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
		*value = 5;
		break;
	default:
		*value = 1;
	}
	return CUDA_SUCCESS;
}

static CUresult primary_context(CUcontext *ctx, CUdevice dev)
{
	*ctx = context_of(dev);
	return CUDA_SUCCESS;
}

static CUcontext current_context(void)
{
	return current;
}

static bool context_alive(CUcontext ctx)
{
	return ((struct context *)ctx)->users;
}

static const struct cudafront_ops ops = {
	.driver_version = VERSION,
	.device_count = device_count,
	.device_uuid = device_uuid,
	.device_attribute = device_attribute,
	.primary_context = primary_context,
	.current_context = current_context,
	.context_alive = context_alive,
};

static CUresult init(unsigned flags)
{
	lies = getenv("DRIVER_LIES");
	return CUDA_SUCCESS;
}

static CUresult driver_version(int *version)
{
	*version = VERSION;
	return CUDA_SUCCESS;
}

static CUresult get_count(int *count)
{
	*count = NDEVICES;
	return CUDA_SUCCESS;
}

static CUresult get_device(CUdevice *dev, int ordinal)
{
	*dev = ordinal;
	return CUDA_SUCCESS;
}

static CUresult get_name(char *name, int length, CUdevice dev)
{
	strncpy(name, "fake", length);
	return CUDA_SUCCESS;
}

static CUresult get_uuid(CUuuid *uuid, CUdevice dev)
{
	device_uuid(uuid, dev);
	uuid->bytes[15] ^= lies;
	return CUDA_SUCCESS;
}

static CUresult total_mem(size_t *bytes, CUdevice dev)
{
	*bytes = 1 << 20;
	return CUDA_SUCCESS;
}

static CUresult get_current(CUcontext *ctx)
{
	*ctx = current;
	return CUDA_SUCCESS;
}

static CUresult set_current(CUcontext ctx)
{
	current = ctx;
	return CUDA_SUCCESS;
}

/* The runtime means the current context by NULL. */
static CUresult get_context_device_v2(CUdevice *dev, CUcontext ctx)
{
	ctx = ctx ? ctx : current;
	if (!ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	*dev = ((struct context *)ctx)->dev;
	return CUDA_SUCCESS;
}

static CUresult get_context_device(CUdevice *dev)
{
	return get_context_device_v2(dev, NULL);
}

static CUresult api_version(CUcontext ctx, unsigned *version)
{
	*version = 3020;
	return context_alive(ctx) ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

static CUresult synchronize(void)
{
	return current ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult synchronize_v2(CUcontext ctx)
{
	return ctx || current ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult retain(CUcontext *ctx, CUdevice dev)
{
	contexts[dev].users++;
	return primary_context(ctx, dev);
}

static CUresult reset(CUdevice dev)
{
	contexts[dev].users = 0;
	cudafront_context_ended(context_of(dev));
	return CUDA_SUCCESS;
}

static CUresult release(CUdevice dev)
{
	return --contexts[dev].users ? CUDA_SUCCESS : reset(dev);
}

static CUresult mem_alloc(CUdeviceptr *ptr, size_t size)
{
	*ptr = 0x700000000000;
	return current ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult mem_free(CUdeviceptr ptr)
{
	return CUDA_SUCCESS;
}

const struct cudafront_proc cudafront_procs[] = {
	{ "cuCtxGetApiVersion", 3020, 0, api_version, NULL },
	{ "cuCtxGetCurrent", 4000, 0, get_current, NULL },
	{ "cuCtxGetDevice", 2000, 0, get_context_device, NULL },
	{ "cuCtxGetDevice", 13000, 0, get_context_device_v2, NULL },
	{ "cuCtxSetCurrent", 4000, 0, set_current, NULL },
	{ "cuCtxSynchronize", 2000, 0, synchronize, NULL },
	{ "cuCtxSynchronize", 13000, 0, synchronize_v2, NULL },
	{ "cuDeviceGet", 2000, 0, get_device, NULL },
	{ "cuDeviceGetAttribute", 2000, 0, device_attribute, NULL },
	{ "cuDeviceGetCount", 2000, 0, get_count, NULL },
	{ "cuDeviceGetName", 2000, 0, get_name, NULL },
	{ "cuDeviceGetUuid", 9020, 0, get_uuid, NULL },
	{ "cuDevicePrimaryCtxRelease", 7000, 0, release, NULL },
	{ "cuDevicePrimaryCtxReset", 7000, 0, reset, NULL },
	{ "cuDevicePrimaryCtxRetain", 7000, 0, retain, NULL },
	{ "cuDeviceTotalMem", 3020, 0, total_mem, NULL },
	{ "cuDriverGetVersion", 2020, 0, driver_version, NULL },
	{ "cuGetErrorName", 6000, 0, cudafront_error_name, NULL },
	{ "cuGetErrorString", 6000, 0, cudafront_error_string, NULL },
	{ "cuGetExportTable", 3000, 0, cudafront_export_table, NULL },
	{ "cuGetProcAddress", 12000, 0, cudafront_proc_address, NULL },
	{ "cuInit", 2000, 0, init, NULL },
	{ "cuMemAlloc", 3020, 0, mem_alloc, NULL },
	{ "cuMemFree", 3020, 0, mem_free, NULL },
};
const unsigned cudafront_nprocs = sizeof(cudafront_procs) / sizeof(cudafront_procs[0]);

__attribute__((constructor)) static void start(void)
{
	cudafront_init(&ops);
}

#undef cuGetProcAddress_v2
EXPORT CUresult cuGetProcAddress_v2(const char *symbol, void **pfn, int version, cuuint64_t flags,
				    CUdriverProcAddressQueryResult *status)
{
	return cudafront_proc_address(symbol, pfn, version, flags, status);
}
