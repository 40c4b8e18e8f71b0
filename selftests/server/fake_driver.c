/* SPDX-License-Identifier: MIT */
#include "fake_driver.h"
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fake fake;

static void *handle(void)
{
	static _Atomic uintptr_t last = 0x1000;

	return (void *)atomic_fetch_add(&last, 16);
}

static CUresult unsupported(void)
{
	return CUDA_ERROR_NOT_SUPPORTED;
}

/* ---- devices ---- */

static CUresult device_count(int *n)
{
	*n = fake.devices;
	return CUDA_SUCCESS;
}

static CUresult device_get(CUdevice *dev, int ordinal)
{
	*dev = FAKE_DEVICE + ordinal;
	return ordinal < fake.devices ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

static CUresult device_text(char *text, int room, CUdevice dev)
{
	*text = 0;
	return CUDA_SUCCESS;
}

static CUresult device_memory(size_t *bytes, CUdevice dev)
{
	*bytes = FAKE_MEMORY;
	return CUDA_SUCCESS;
}

static CUresult device_uuid(CUuuid *uuid, CUdevice dev)
{
	memset(uuid, dev, sizeof(*uuid));
	return CUDA_SUCCESS;
}

/* ---- contexts ---- */

static CUresult set_current(CUcontext ctx)
{
	return ctx ? fake.current_status : CUDA_SUCCESS;
}

static CUresult retain(CUcontext *ctx, CUdevice dev)
{
	fake.retained++;
	*ctx = handle();
	return CUDA_SUCCESS;
}

static CUresult create(CUcontext *ctx, unsigned flags, CUdevice dev)
{
	fake.created++;
	fake.created_flags = flags;
	*ctx = handle();
	return CUDA_SUCCESS;
}

static CUresult destroy(CUcontext ctx)
{
	fake.ctx_destroyed++;
	return CUDA_SUCCESS;
}

static CUresult end_primary(CUdevice dev)
{
	fake.ended++;
	fake.waited_ended += fake.waiting;
	return CUDA_SUCCESS;
}

static CUresult release(CUdevice dev)
{
	fake.released++;
	return CUDA_SUCCESS;
}

static CUresult wait_idle(void)
{
	fake.waiting++;
	while (fake.busy)
		usleep(1000);
	fake.waiting--;
	if (fake.prints && write(STDOUT_FILENO, fake.prints, strlen(fake.prints)) < 0)
		return CUDA_ERROR_UNKNOWN;
	return CUDA_SUCCESS;
}

/* ---- memory ---- */

static CUresult mem_info(size_t *free, size_t *total)
{
	*free = 1000;
	*total = 2000;
	return CUDA_SUCCESS;
}

uint8_t fake_memory[FAKE_MEMORY];

static bool inside(CUdeviceptr ptr, size_t n)
{
	return ptr >= (uintptr_t)fake_memory && n <= FAKE_MEMORY &&
	       ptr - (uintptr_t)fake_memory <= FAKE_MEMORY - n;
}

static CUresult mem_alloc(CUdeviceptr *ptr, size_t size)
{
	*ptr = (uintptr_t)fake_memory;
	return size <= FAKE_MEMORY ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult mem_free(CUdeviceptr ptr)
{
	return inside(ptr, 0) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult host_register(void *p, size_t n, unsigned flags)
{
	return fake.register_status;
}

static CUresult host_alloc(void **p, size_t n, unsigned flags)
{
	*p = malloc(n);
	return *p ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult host_free(void *p)
{
	free(p);
	return CUDA_SUCCESS;
}

static CUresult host_unregister(void *p)
{
	return CUDA_SUCCESS;
}

static CUresult to_device(CUdeviceptr dst, const void *src, size_t n, CUstream stream)
{
	fake.copied++;
	if (!inside(dst, n))
		return CUDA_ERROR_INVALID_VALUE;
	if (!fake.copy_status)
		memcpy((void *)(uintptr_t)dst, src, n);
	return fake.copy_status;
}

static CUresult to_host(void *dst, CUdeviceptr src, size_t n, CUstream stream)
{
	if (!inside(src, n))
		return CUDA_ERROR_INVALID_VALUE;
	if (!fake.copy_status)
		memcpy(dst, (void *)(uintptr_t)src, n);
	return fake.copy_status;
}

static CUresult memset8(CUdeviceptr dst, unsigned char value, size_t n, CUstream stream)
{
	return fake.memset_status;
}

/* ---- streams and events ---- */

static CUresult ready(void)
{
	return fake.busy ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}

static CUresult stream_create(CUstream *s, unsigned flags, int priority)
{
	*s = handle();
	return CUDA_SUCCESS;
}

static CUresult event_create(CUevent *e, unsigned flags)
{
	*e = handle();
	return CUDA_SUCCESS;
}

static CUresult event_record(CUevent e, CUstream s)
{
	return CUDA_SUCCESS;
}

static CUresult stream_destroy(CUstream s)
{
	fake.destroyed++;
	return CUDA_SUCCESS;
}

static CUresult stream_wait(CUstream s)
{
	return wait_idle();
}

static CUresult event_destroy(CUevent e)
{
	fake.destroyed++;
	return CUDA_SUCCESS;
}

static CUresult event_wait(CUevent e)
{
	while (fake.busy)
		usleep(1000);
	return CUDA_SUCCESS;
}

static CUresult stream_ready(CUstream s)
{
	return ready();
}

static CUresult event_ready(CUevent e)
{
	return ready();
}

struct call {
	CUhostFn	function;
	void		*data;
};

static void *call_run(void *arg)
{
	struct call *c = arg;

	c->function(c->data);
	fake.hostfns--;
	free(c);
	return NULL;
}

static CUresult launch_host(CUstream s, CUhostFn function, void *data)
{
	struct call *c = malloc(sizeof(*c));
	pthread_t thread;

	*c = (struct call){ function, data };
	fake.hostfns++;
	pthread_create(&thread, NULL, call_run, c);
	pthread_detach(thread);
	return CUDA_SUCCESS;
}

/* ---- code ---- */

static CUresult library_load(CUlibrary *lib, const void *code, CUjit_option *options, void **values,
			     unsigned n, CUlibraryOption *lib_options, void **lib_values,
			     unsigned nlib)
{
	for (unsigned i = 0; i < n; i++)
		if (options[i] == CU_JIT_INFO_LOG_BUFFER)
			strcpy(values[i], "it went well");
	fake.loaded++;
	*lib = handle();
	return CUDA_SUCCESS;
}

static CUresult library_unload(CUlibrary lib)
{
	fake.loaded--;
	return CUDA_SUCCESS;
}

static CUresult library_kernel(CUkernel *k, CUlibrary lib, const char *name)
{
	*k = handle();
	return strcmp(name, "kernel") ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}

static CUresult param_info(CUkernel k, size_t index, size_t *offset, size_t *size)
{
	*offset = 8 * index;
	*size = index ? 4 : 8;
	return index < 2 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult launch(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
		       unsigned by, unsigned bz, unsigned shared, CUstream s, void **params,
		       void **extra)
{
	while (fake.launch_waits && fake.hostfns)
		usleep(1000);
	fake.launched++;
	return CUDA_SUCCESS;
}

void fake_driver(struct vgpu_driver *d)
{
	CUresult (*none)(void) = unsupported;

	memset(&fake, 0, sizeof(fake));
	for (size_t i = 0; i < sizeof(*d); i += sizeof(none))
		memcpy((char *)d + i, &none, sizeof(none));
	d->cuDeviceGetCount = device_count;
	d->cuDeviceGet = device_get;
	d->cuDeviceGetName = device_text;
	d->cuDeviceGetPCIBusId = device_text;
	d->cuDeviceTotalMem_v2 = device_memory;
	d->cuDeviceGetUuid_v2 = device_uuid;
	d->cuCtxSetCurrent = set_current;
	d->cuCtxDestroy_v2 = destroy;
	d->cuDevicePrimaryCtxRetain = retain;
	d->cuCtxCreate_v2 = create;
	d->cuDevicePrimaryCtxReset_v2 = end_primary;
	d->cuDevicePrimaryCtxRelease_v2 = release;
	d->cuCtxSynchronize = wait_idle;
	d->cuMemGetInfo_v2 = mem_info;
	d->cuMemAlloc_v2 = mem_alloc;
	d->cuMemFree_v2 = mem_free;
	d->cuMemHostRegister_v2 = host_register;
	d->cuMemHostUnregister = host_unregister;
	d->cuMemHostAlloc = host_alloc;
	d->cuMemFreeHost = host_free;
	d->cuMemcpyHtoDAsync_v2 = to_device;
	d->cuMemcpyDtoHAsync_v2 = to_host;
	d->cuMemsetD8Async = memset8;
	d->cuStreamCreateWithPriority = stream_create;
	d->cuStreamDestroy_v2 = stream_destroy;
	d->cuStreamSynchronize = stream_wait;
	d->cuStreamQuery = stream_ready;
	d->cuEventCreate = event_create;
	d->cuEventDestroy_v2 = event_destroy;
	d->cuEventRecord = event_record;
	d->cuEventQuery = event_ready;
	d->cuEventSynchronize = event_wait;
	d->cuLaunchHostFunc = launch_host;
	d->cuLibraryLoadData = library_load;
	d->cuLibraryUnload = library_unload;
	d->cuLibraryGetKernel = library_kernel;
	d->cuKernelGetParamInfo = param_info;
	d->cuLaunchKernel = launch;
}
