// SPDX-License-Identifier: MIT
/* The calls that make, end, question and tune contexts, primary ones included. */
#include <stdlib.h>

#include "softgpu/api.h"

/* A T4's: 0 is the lowest priority. */
#define PRIORITY_GREATEST	(-5)

static bool flags_valid(unsigned flags)
{
	unsigned sched = flags & CU_CTX_SCHED_MASK;

	return !(flags & ~(unsigned)CU_CTX_FLAGS_MASK) && (sched & (sched - 1)) == 0;
}

/* A context that a call names or the current one, alive and held; its error is not asked. */
static CUresult live(CUcontext handle, struct api_context **ctx)
{
	CUresult result = api_ready();

	if (result == CUDA_SUCCESS)
		result = api_context_get(handle, ctx);
	if (result != CUDA_SUCCESS || atomic_load(&(*ctx)->alive))
		return result;
	api_context_put(*ctx);
	return CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

/* ---- contexts of the application's own ---- */

static CUresult create(CUcontext *out, unsigned flags, CUdevice device)
{
	struct api_device *dev;
	struct api_context *ctx;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	if (!out || !flags_valid(flags))
		return CUDA_ERROR_INVALID_VALUE;
	dev = api_device(device);
	if (!dev)
		return CUDA_ERROR_INVALID_DEVICE;
	result = api_context_create(dev, flags, false, &ctx);
	if (result != CUDA_SUCCESS)
		return result;
	api_context_start(ctx);
	*out = api_handle(&ctx->obj);
	result = cuCtxPushCurrent_v2(*out);
	if (result != CUDA_SUCCESS)
		cuCtxDestroy_v2(*out);
	return result;
}

CUresult cuCtxCreate_v2(CUcontext *ctx, unsigned flags, CUdevice dev)
{
	return create(ctx, flags, dev);
}

CUresult cuCtxCreate(CUcontext *ctx, unsigned flags, CUdevice dev)
{
	return create(ctx, flags, dev);
}

CUresult cuCtxCreate_v3(CUcontext *ctx, CUexecAffinityParam *params, int count, unsigned flags,
			CUdevice dev)
{
	return count ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : create(ctx, flags, dev);
}

CUresult cuCtxCreate_v4(CUcontext *ctx, CUctxCreateParams *params, unsigned flags, CUdevice dev)
{
	if (params && params->numExecAffinityParams)
		return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
	if (params && params->cigParams)
		return CUDA_ERROR_NOT_SUPPORTED;
	return create(ctx, flags, dev);
}

CUresult cuCtxDestroy_v2(CUcontext handle)
{
	struct api_context *ctx;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	if (!handle)
		return CUDA_ERROR_INVALID_CONTEXT;
	result = api_context_get(handle, &ctx);
	if (result != CUDA_SUCCESS)
		return result;
	if (ctx->primary) {
		api_context_put(ctx);
		return CUDA_ERROR_INVALID_CONTEXT;
	}
	api_context_end(ctx, true);
	api_current_pop_dead(ctx);
	if (api_object_kill(&ctx->obj))
		api_context_put(ctx);
	api_context_put(ctx);
	return CUDA_SUCCESS;
}

CUresult cuCtxDestroy(CUcontext handle)
{
	return cuCtxDestroy_v2(handle);
}

/* The oldest way to share a context: counted, and the last one destroys it. */
CUresult cuCtxAttach(CUcontext *out, unsigned flags)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!out || flags)
		return CUDA_ERROR_INVALID_VALUE;
	atomic_fetch_add(&ctx->attached, 1);
	*out = api_handle(&ctx->obj);
	return CUDA_SUCCESS;
}

CUresult cuCtxDetach(CUcontext handle)
{
	struct api_context *ctx;
	CUresult result = live(handle, &ctx);
	bool last;

	if (result != CUDA_SUCCESS)
		return result;
	if (ctx != api_current() || ctx->primary)
		result = CUDA_ERROR_INVALID_CONTEXT;
	last = result == CUDA_SUCCESS && atomic_fetch_sub(&ctx->attached, 1) == 1;
	api_context_put(ctx);
	return last ? cuCtxDestroy_v2(handle) : result;
}

/* ---- primary contexts ---- */

CUresult api_context_by_device(CUcontext *ctx, CUdevice device)
{
	struct api_device *dev = api_device(device);

	if (!dev)
		return CUDA_ERROR_INVALID_DEVICE;
	*ctx = api_handle(&dev->primary->obj);
	return CUDA_SUCCESS;
}

static CUresult device_get(CUdevice device, struct api_device **dev)
{
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	*dev = api_device(device);
	return *dev ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice device)
{
	struct api_device *dev;
	CUresult result = device_get(device, &dev);

	if (result != CUDA_SUCCESS)
		return result;
	if (!ctx)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&dev->lock);
	if (!atomic_load(&dev->primary->alive))
		api_context_start(dev->primary);
	dev->retained++;
	pthread_mutex_unlock(&dev->lock);
	*ctx = api_handle(&dev->primary->obj);
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
	struct api_device *dev;
	CUresult result = device_get(device, &dev);
	bool last;

	if (result != CUDA_SUCCESS)
		return result;
	pthread_mutex_lock(&dev->lock);
	if (!dev->retained)
		result = CUDA_ERROR_INVALID_CONTEXT;
	else
		dev->retained--;
	last = result == CUDA_SUCCESS && !dev->retained;
	pthread_mutex_unlock(&dev->lock);
	if (last)
		api_context_end(dev->primary, false);
	return result;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
	return cuDevicePrimaryCtxRelease_v2(device);
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device)
{
	struct api_device *dev;
	CUresult result = device_get(device, &dev);

	if (result != CUDA_SUCCESS)
		return result;
	api_context_end(dev->primary, true);
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset(CUdevice device)
{
	return cuDevicePrimaryCtxReset_v2(device);
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags)
{
	struct api_device *dev;
	CUresult result = device_get(device, &dev);

	if (result != CUDA_SUCCESS)
		return result;
	if (!flags_valid(flags))
		return CUDA_ERROR_INVALID_VALUE;
	atomic_store(&dev->primary->flags, flags);
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags)
{
	return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active)
{
	struct api_device *dev;
	CUresult result = device_get(device, &dev);

	if (result != CUDA_SUCCESS)
		return result;
	if (!flags || !active)
		return CUDA_ERROR_INVALID_VALUE;
	*flags = atomic_load(&dev->primary->flags);
	*active = atomic_load(&dev->primary->alive);
	return CUDA_SUCCESS;
}

/* ---- questions ---- */

CUresult cuCtxGetDevice_v2(CUdevice *dev, CUcontext handle)
{
	struct api_context *ctx;
	CUresult result = live(handle, &ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (dev)
		*dev = ctx->dev->ordinal;
	else
		result = CUDA_ERROR_INVALID_VALUE;
	api_context_put(ctx);
	return result;
}

CUresult cuCtxGetDevice(CUdevice *dev)
{
	return cuCtxGetDevice_v2(dev, NULL);
}

CUresult cuCtxGetApiVersion(CUcontext handle, unsigned *version)
{
	struct api_context *ctx;
	CUresult result = live(handle, &ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (version)
		*version = 3020;
	else
		result = CUDA_ERROR_INVALID_VALUE;
	api_context_put(ctx);
	return result;
}

CUresult cuCtxGetId(CUcontext handle, unsigned long long *id)
{
	struct api_context *ctx;
	CUresult result = live(handle, &ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (id)
		*id = atomic_load(&ctx->id);
	else
		result = CUDA_ERROR_INVALID_VALUE;
	api_context_put(ctx);
	return result;
}

CUresult cuCtxSynchronize_v2(CUcontext handle)
{
	struct api_context *ctx;
	CUresult result = live(handle, &ctx);

	if (result != CUDA_SUCCESS)
		return result;
	result = api_context_sync(ctx);
	api_context_put(ctx);
	return result;
}

CUresult cuCtxSynchronize(void)
{
	return cuCtxSynchronize_v2(NULL);
}

CUresult cuCtxGetFlags(unsigned *flags)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!flags)
		return CUDA_ERROR_INVALID_VALUE;
	*flags = atomic_load(&ctx->flags);
	return CUDA_SUCCESS;
}

CUresult cuCtxSetFlags(unsigned flags)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!flags_valid(flags))
		return CUDA_ERROR_INVALID_VALUE;
	atomic_store(&ctx->flags, flags);
	return CUDA_SUCCESS;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (least)
		*least = 0;
	if (greatest)
		*greatest = PRIORITY_GREATEST;
	return CUDA_SUCCESS;
}

CUresult cuCtxGetExecAffinity(CUexecAffinityParam *param, CUexecAffinityType type)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	return result == CUDA_SUCCESS ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : result;
}

/* ---- knobs: kept and told, since nothing depends on them here ---- */

static bool limit_supported(CUlimit limit)
{
	return limit <= CU_LIMIT_MAX_L2_FETCH_GRANULARITY;
}

CUresult cuCtxGetLimit(size_t *value, CUlimit limit)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	if (!limit_supported(limit))
		return CUDA_ERROR_UNSUPPORTED_LIMIT;
	*value = atomic_load(&ctx->limits[limit]);
	return CUDA_SUCCESS;
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!limit_supported(limit))
		return CUDA_ERROR_UNSUPPORTED_LIMIT;
	if (limit == CU_LIMIT_STACK_SIZE && value > 512 << 10)
		return CUDA_ERROR_INVALID_VALUE;
	if (limit == CU_LIMIT_MAX_L2_FETCH_GRANULARITY && value > 128)
		return CUDA_ERROR_INVALID_VALUE;
	atomic_store(&ctx->limits[limit], value);
	return CUDA_SUCCESS;
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *config)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!config)
		return CUDA_ERROR_INVALID_VALUE;
	*config = atomic_load(&ctx->cache_config);
	return CUDA_SUCCESS;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
		return CUDA_ERROR_INVALID_VALUE;
	atomic_store(&ctx->cache_config, config);
	return CUDA_SUCCESS;
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig *config)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!config)
		return CUDA_ERROR_INVALID_VALUE;
	*config = atomic_load(&ctx->shared_config);
	return CUDA_SUCCESS;
}

/* The width of banks is fixed since compute capability 5: accepted, no effect. */
CUresult cuCtxSetSharedMemConfig(CUsharedconfig config)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if ((unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

CUresult cuCtxResetPersistingL2Cache(void)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	return result == CUDA_SUCCESS ? CUDA_ERROR_NOT_SUPPORTED : result;
}

/* ---- peers ---- */

static CUresult peer_get(CUcontext handle, struct api_context **peer)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!handle)
		return CUDA_ERROR_INVALID_CONTEXT;
	return live(handle, peer);
}

CUresult cuCtxEnablePeerAccess(CUcontext handle, unsigned flags)
{
	struct api_context *ctx = api_current(), *peer;
	CUresult result = peer_get(handle, &peer);
	uint64_t bit;

	if (result != CUDA_SUCCESS)
		return result;
	bit = 1ull << peer->dev->ordinal;
	if (flags)
		result = CUDA_ERROR_INVALID_VALUE;
	else if (peer->dev == ctx->dev)
		result = CUDA_ERROR_INVALID_DEVICE;
	else if (atomic_fetch_or(&ctx->peers, bit) & bit)
		result = CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
	api_context_put(peer);
	return result;
}

CUresult cuCtxDisablePeerAccess(CUcontext handle)
{
	struct api_context *ctx = api_current(), *peer;
	CUresult result = peer_get(handle, &peer);
	uint64_t bit;

	if (result != CUDA_SUCCESS)
		return result;
	bit = 1ull << peer->dev->ordinal;
	if (!(atomic_fetch_and(&ctx->peers, ~bit) & bit))
		result = CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
	api_context_put(peer);
	return result;
}
