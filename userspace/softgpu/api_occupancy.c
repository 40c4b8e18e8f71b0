// SPDX-License-Identifier: MIT
/* How many blocks of a function are on a multiprocessor at a time. */
#include "softgpu/api.h"

static CUresult enter(CUfunction handle, struct api_function **f)
{
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	return result == CUDA_SUCCESS ? api_function_get(handle, ctx, f) : result;
}

/* Blocks that fit; 0 also for what a launch refuses. */
static unsigned fit(const struct api_function *f, int block, size_t dynamic)
{
	int most;

	api_settings_get(&f->settings, f->info, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &most);
	if (block > most || dynamic + f->info->static_shared > SG_SHARED_OPTIN)
		return 0;
	return sg_occupancy(f->sg, block, dynamic);
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction handle,
							      int block, size_t dynamic,
							      unsigned flags)
{
	struct api_function *f;
	CUresult result;

	if (!blocks || block <= 0 || flags & ~(unsigned)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)
		return CUDA_ERROR_INVALID_VALUE;
	result = enter(handle, &f);
	if (result != CUDA_SUCCESS)
		return result;
	*blocks = fit(f, block, dynamic);
	api_object_put(&f->obj);
	return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction handle, int block,
						     size_t dynamic)
{
	return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, handle, block, dynamic,
								    CU_OCCUPANCY_DEFAULT);
}

/* The largest block of those that keep most threads resident. */
static void best_block(const struct api_function *f, CUoccupancyB2DSize dynamic_of,
		       size_t dynamic, int limit, int *grid, int *block)
{
	unsigned most = 0;

	*grid = 0;
	*block = 0;
	for (int n = limit; n > 0; n = (n - 1) / SG_WARP * SG_WARP) {
		unsigned blocks = fit(f, n, dynamic_of ? dynamic_of(n) : dynamic);

		if (blocks * n <= most)
			continue;
		most = blocks * n;
		*block = n;
		*grid = blocks * SG_SMS;
	}
}

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, CUfunction handle,
						   CUoccupancyB2DSize dynamic_of, size_t dynamic,
						   int limit, unsigned flags)
{
	struct api_function *f;
	CUresult result;
	int most;

	if (!grid || !block || flags & ~(unsigned)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)
		return CUDA_ERROR_INVALID_VALUE;
	result = enter(handle, &f);
	if (result != CUDA_SUCCESS)
		return result;
	api_settings_get(&f->settings, f->info, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &most);
	best_block(f, dynamic_of, dynamic, limit > 0 && limit < most ? limit : most, grid, block);
	api_object_put(&f->obj);
	return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction handle,
					  CUoccupancyB2DSize dynamic_of, size_t dynamic, int limit)
{
	return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, handle, dynamic_of, dynamic,
							 limit, CU_OCCUPANCY_DEFAULT);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *dynamic, CUfunction handle, int blocks,
						 int block)
{
	struct api_function *f;
	size_t share;
	CUresult result;

	if (!dynamic || blocks <= 0 || block <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	result = enter(handle, &f);
	if (result != CUDA_SUCCESS)
		return result;
	share = SG_SHARED_SM / blocks & ~(size_t)255;	/* shared memory comes in 256 bytes */
	if (share > SG_SHARED_OPTIN)
		share = SG_SHARED_OPTIN;
	if (fit(f, block, 0) < (unsigned)blocks)
		result = CUDA_ERROR_INVALID_VALUE;
	else
		*dynamic = share > f->info->static_shared ? share - f->info->static_shared : 0;
	api_object_put(&f->obj);
	return result;
}

/* Clusters came with compute capability 9: one of a single block is all there is. */
CUresult cuOccupancyMaxPotentialClusterSize(int *size, CUfunction handle,
					    const CUlaunchConfig *config)
{
	CUresult result = cuFuncLoad(handle);

	if (result != CUDA_SUCCESS)
		return result;
	if (!size || !config)
		return CUDA_ERROR_INVALID_VALUE;
	*size = 1;
	return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveClusters(int *clusters, CUfunction handle,
				      const CUlaunchConfig *config)
{
	struct api_function *f;
	CUresult result;
	int block;

	if (!clusters || !config)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < config->numAttrs; i++) {
		const CUlaunchAttribute *a = &config->attrs[i];

		if (a->id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION &&
		    (a->value.clusterDim.x > 1 || a->value.clusterDim.y > 1 ||
		     a->value.clusterDim.z > 1))
			return CUDA_ERROR_INVALID_CLUSTER_SIZE;
	}
	result = enter(handle, &f);
	if (result != CUDA_SUCCESS)
		return result;
	block = config->blockDimX * config->blockDimY * config->blockDimZ;
	*clusters = block > 0 ? fit(f, block, config->sharedMemBytes) * SG_SMS : 0;
	api_object_put(&f->obj);
	return CUDA_SUCCESS;
}
