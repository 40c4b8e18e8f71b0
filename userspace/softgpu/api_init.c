// SPDX-License-Identifier: MIT
/*
 * The process: start, fork, exit; and what of the driver API is no matter of
 * softgpu but of any libcuda: version, errors, cuGetProcAddress, private
 * export tables, which cudafront answers.
 */
#include "softgpu/api.h"

#include <stdlib.h>
#include <time.h>

#include "cudafront/cudafront.h"

enum { STATE_NEW, STATE_READY, STATE_FORKED, STATE_ENDED };

static _Atomic int state = STATE_NEW;
static _Atomic bool exiting;
static CUresult start_result;	/* guarded by start_lock */
static bool started;		/* likewise */
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;

__thread bool api_in_callback;
volatile bool api_stop;

CUresult api_ready(void)
{
	switch (atomic_load_explicit(&state, memory_order_acquire)) {
	case STATE_READY:
		return api_in_callback ? CUDA_ERROR_NOT_PERMITTED : CUDA_SUCCESS;
	case STATE_ENDED:
		return CUDA_ERROR_DEINITIALIZED;
	default:
		return CUDA_ERROR_NOT_INITIALIZED;
	}
}

bool api_exiting(void)
{
	return atomic_load(&exiting);
}

uint64_t api_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* Threads, locks and work under way do not exist in the child. */
static void after_fork(void)
{
	int ready = STATE_READY;

	atomic_compare_exchange_strong(&state, &ready, STATE_FORKED);
}

/*
 * Registered by cuInit(), so it runs before the handlers of whoever was there
 * earlier: the runtime's, which releases primary contexts, finds it has run.
 */
static void at_exit(void)
{
	atomic_store(&exiting, true);
}

/* After all exit handlers. Threads of streams go with the process. */
__attribute__((destructor)) static void end(void)
{
	int ready = STATE_READY;

	atomic_compare_exchange_strong(&state, &ready, STATE_ENDED);
}

static CUresult start(void)
{
	CUresult result = api_devices_start();

	if (result != CUDA_SUCCESS)
		return result;
	if (pthread_atfork(NULL, NULL, after_fork) || atexit(at_exit))
		return CUDA_ERROR_OPERATING_SYSTEM;
	atomic_store_explicit(&state, STATE_READY, memory_order_release);
	return CUDA_SUCCESS;
}

CUresult cuInit(unsigned int flags)
{
	int now = atomic_load(&state);
	CUresult result;

	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (now != STATE_NEW)
		return api_ready();
	pthread_mutex_lock(&start_lock);
	if (!started) {
		start_result = start();
		started = true;
	}
	result = start_result;
	pthread_mutex_unlock(&start_lock);
	return result;
}

CUresult cuDriverGetVersion(int *version)
{
	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	*version = API_DRIVER_VERSION;
	return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char **name)
{
	return name ? cudafront_error_name(error, name) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
	return text ? cudafront_error_string(error, text) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
	return table && id ? cudafront_export_table(table, id) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetProcAddress_v2(const char *symbol, void **pfn, int version, cuuint64_t flags,
			     CUdriverProcAddressQueryResult *status)
{
	if (!symbol || !pfn)
		return CUDA_ERROR_INVALID_VALUE;
	return cudafront_proc_address(symbol, pfn, version, flags, status);
}

CUresult cuGetProcAddress(const char *symbol, void **pfn, int version, cuuint64_t flags)
{
	return cuGetProcAddress_v2(symbol, pfn, version, flags, NULL);
}

/* ---- what cudafront asks ---- */

static CUcontext front_current(void)
{
	struct api_context *ctx = api_current();

	return ctx ? api_handle(&ctx->obj) : NULL;
}

static bool front_alive(CUcontext handle)
{
	struct api_context *ctx;
	bool alive;

	if (api_context_get(handle, &ctx) != CUDA_SUCCESS)
		return false;
	alive = atomic_load(&ctx->alive);
	api_context_put(ctx);
	return alive;
}

static CUresult front_id(CUcontext handle, unsigned long long *id)
{
	struct api_context *ctx;
	CUresult result = api_context_get(handle, &ctx);

	if (result != CUDA_SUCCESS)
		return result;
	*id = atomic_load(&ctx->id);
	api_context_put(ctx);
	return CUDA_SUCCESS;
}

static const struct cudafront_ops front_ops = {
	.driver_version	  = API_DRIVER_VERSION,
	.device_count	  = api_device_count,
	.device_uuid	  = api_device_uuid,
	.device_attribute = api_device_attribute,
	.primary_context  = api_context_by_device,
	.current_context  = front_current,
	.context_alive	  = front_alive,
	.context_id	  = front_id,
	.module_load	  = api_module_load_plain,
	.module_functions = api_module_functions,
};

__attribute__((constructor)) static void begin(void)
{
	cudafront_init(&front_ops);
}
