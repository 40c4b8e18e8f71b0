// SPDX-License-Identifier: MIT
/*
 * Launches. What can be refused is refused by the call and leaves no trace;
 * what goes wrong when the stream reaches the kernel is the context's fault.
 */
#include "softgpu/api.h"
#include "cudafront/cudafront.h"

#include <stdlib.h>
#include <string.h>

struct launch_op {
	struct api_op		op;
	struct api_function	*function;	/* held */
	struct sg_launch	launch;
	_Alignas(16) unsigned char params[];
};

/* What a launch asks for beyond its geometry. */
struct wishes {
	bool	cooperative;
	CUevent	event;		/* to be recorded behind it, or NULL */
};

static void launch_run(struct api_op *op, struct api_stream *stream)
{
	struct launch_op *l = api_container(op, struct launch_op, op);
	struct sg_fault fault = { .text = "" };
	CUresult result = sg_launch(&l->launch, &fault);

	if (result != CUDA_SUCCESS)
		api_context_fault(stream->obj.ctx, result, fault.text);
}

static void launch_free(struct api_op *op)
{
	struct launch_op *l = api_container(op, struct launch_op, op);

	api_object_put(&l->function->obj);
	free(l);
}

/* ---- checks ---- */

static CUresult check_block(const CUlaunchConfig *c, const struct sg_function_info *info,
			    CUresult bad)
{
	uint64_t threads = (uint64_t)c->blockDimX * c->blockDimY * c->blockDimZ;

	if (!threads || c->blockDimX > SG_MAX_THREADS || c->blockDimY > SG_MAX_THREADS ||
	    c->blockDimZ > API_MAX_BLOCK_Z || threads > SG_MAX_THREADS)
		return bad;
	if (threads > info->max_threads)	/* .maxntid */
		return CUDA_ERROR_INVALID_VALUE;
	if (threads * info->regs > SG_REGS_SM)
		return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
	return CUDA_SUCCESS;
}

static CUresult check_geometry(const CUlaunchConfig *c, const struct api_function *f)
{
	const struct sg_function_info *info = f->info;
	CUresult bad = cudafront_bad_geometry(f->kernel);

	if (!c->gridDimX || !c->gridDimY || !c->gridDimZ || c->gridDimX > API_MAX_GRID_X ||
	    c->gridDimY > API_MAX_GRID_YZ || c->gridDimZ > API_MAX_GRID_YZ)
		return bad;
	if (c->sharedMemBytes > (unsigned)atomic_load(&f->settings.max_dynamic) ||
	    c->sharedMemBytes + info->static_shared > SG_SHARED_OPTIN)
		return CUDA_ERROR_INVALID_VALUE;
	return check_block(c, info, bad);
}

/* All blocks of a cooperative launch are resident at a time. */
static CUresult check_cooperative(const CUlaunchConfig *c, const struct api_function *f)
{
	unsigned threads = c->blockDimX * c->blockDimY * c->blockDimZ;
	uint64_t room = (uint64_t)sg_occupancy(f->sg, threads, c->sharedMemBytes) * SG_SMS;
	uint64_t plane = (uint64_t)c->gridDimX * c->gridDimY;

	return plane > room || plane * c->gridDimZ > room ?
		CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE : CUDA_SUCCESS;
}

static CUresult read_attribute(const CUlaunchAttribute *a, struct wishes *w)
{
	switch (a->id) {
	case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
		w->cooperative = a->value.cooperative != 0;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
		return a->value.clusterDim.x == 1 && a->value.clusterDim.y == 1 &&
		       a->value.clusterDim.z == 1 ?
			CUDA_SUCCESS : CUDA_ERROR_INVALID_CLUSTER_SIZE;
	case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
		w->event = a->value.programmaticEvent.event;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
		w->event = a->value.launchCompletionEvent.event;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
		return CUDA_ERROR_INVALID_VALUE;	/* is for graphs */
	default:	/* hints */
		return (unsigned)a->id <= 16 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	}
}

static CUresult read_attributes(const CUlaunchConfig *c, struct wishes *w)
{
	CUresult result = CUDA_SUCCESS;

	if (c->numAttrs && !c->attrs)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < c->numAttrs && result == CUDA_SUCCESS; i++)
		result = read_attribute(&c->attrs[i], w);
	return result;
}

/* ---- parameters ---- */

static CUresult pack_each(unsigned char *to, const struct sg_function_info *info, void **from)
{
	for (unsigned i = 0; i < info->nparams; i++) {
		if (!from[i])
			return CUDA_ERROR_INVALID_VALUE;
		memcpy(to + info->params[i].offset, from[i], info->params[i].size);
	}
	return CUDA_SUCCESS;
}

static CUresult pack_buffer(unsigned char *to, const struct sg_function_info *info, void **extra)
{
	const void *buffer = NULL;
	size_t size = 0;

	for (int i = 0; extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
		if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER)
			buffer = extra[i + 1];
		else if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[i + 1])
			size = *(size_t *)extra[i + 1];
		else
			return CUDA_ERROR_INVALID_VALUE;
	}
	if (size < info->param_bytes || (info->param_bytes && !buffer))
		return CUDA_ERROR_INVALID_VALUE;
	if (info->param_bytes)
		memcpy(to, buffer, info->param_bytes);
	return CUDA_SUCCESS;
}

static CUresult pack(unsigned char *to, const struct sg_function_info *info, void **params,
		     void **extra)
{
	if (params && extra)
		return CUDA_ERROR_INVALID_VALUE;
	if (extra)
		return pack_buffer(to, info, extra);
	if (params)
		return pack_each(to, info, params);
	return info->nparams ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/* ---- the launch ---- */

static CUresult launch_submit(const CUlaunchConfig *c, struct api_stream *s,
			      struct api_function *f, bool cooperative, void **params,
			      void **extra)
{
	struct launch_op *l = aligned_alloc(16, (sizeof(*l) + f->info->param_bytes + 15) & ~15ul);
	CUresult result;

	if (!l)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memset(l, 0, sizeof(*l) + f->info->param_bytes);
	l->op.run = launch_run;
	l->op.free = launch_free;
	l->function = f;
	l->launch = (struct sg_launch){
		.function = f->sg,
		.grid = { c->gridDimX, c->gridDimY, c->gridDimZ },
		.block = { c->blockDimX, c->blockDimY, c->blockDimZ },
		.dynamic_shared = c->sharedMemBytes,
		.cooperative = cooperative,
		.params = l->params,
		.param_bytes = f->info->param_bytes,
		.stop = &api_stop,
	};
	result = pack(l->params, f->info, params, extra);
	if (result != CUDA_SUCCESS) {
		free(l);
		return result;
	}
	api_object_hold(&f->obj);
	return api_stream_submit(s, &l->op, NULL);
}

static CUresult launch_on(const CUlaunchConfig *c, struct api_stream *s, CUfunction handle,
			  struct wishes *wishes, void **params, void **extra)
{
	struct api_function *f;
	CUresult result = api_function_get(handle, s->obj.ctx, &f);

	if (result != CUDA_SUCCESS)
		return result;
	if (f->obj.ctx != s->obj.ctx)
		result = CUDA_ERROR_INVALID_HANDLE;
	else
		result = check_geometry(c, f);
	if (result == CUDA_SUCCESS && wishes->cooperative)
		result = check_cooperative(c, f);
	if (result == CUDA_SUCCESS)
		result = launch_submit(c, s, f, wishes->cooperative, params, extra);
	api_object_put(&f->obj);
	return result;
}

static CUresult launch(const CUlaunchConfig *c, CUstream handle, CUfunction f,
		       struct wishes *wishes, void **params, void **extra)
{
	struct api_context *current;
	struct api_stream *s;
	CUresult result = api_enter(&current);

	if (result == CUDA_SUCCESS)
		result = api_stream_get(handle, &s);
	if (result != CUDA_SUCCESS)
		return result;
	/* Other operations go to a stream wherever it is; launches insist. */
	if (s->obj.ctx != current)
		result = CUDA_ERROR_INVALID_HANDLE;
	else
		result = launch_on(c, s, f, wishes, params, extra);
	api_stream_put(s);
	if (result == CUDA_SUCCESS && wishes->event)
		result = cuEventRecord(wishes->event, handle);
	return result;
}

static CUresult launch_ex(CUstream null_stream, const CUlaunchConfig *c, CUfunction f,
			  void **params, void **extra)
{
	struct wishes wishes = { .cooperative = false };
	CUresult result;

	if (!c)
		return CUDA_ERROR_INVALID_VALUE;
	result = read_attributes(c, &wishes);
	if (result != CUDA_SUCCESS)
		return result;
	return launch(c, API_ON(c->hStream), f, &wishes, params, extra);
}

#define CONFIG								\
	&(CUlaunchConfig){						\
		.gridDimX = gx, .gridDimY = gy, .gridDimZ = gz,		\
		.blockDimX = bx, .blockDimY = by, .blockDimZ = bz,	\
		.sharedMemBytes = shared,				\
	}

API_TWINS(cuLaunchKernel, _ptsz,
	  (CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
	   unsigned bz, unsigned shared, CUstream stream, void **params, void **extra),
	  launch(CONFIG, API_ON(stream), f, &(struct wishes){ .cooperative = false }, params,
		 extra))

API_TWINS(cuLaunchCooperativeKernel, _ptsz,
	  (CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
	   unsigned bz, unsigned shared, CUstream stream, void **params),
	  launch(CONFIG, API_ON(stream), f, &(struct wishes){ .cooperative = true }, params, NULL))

API_TWINS(cuLaunchKernelEx, _ptsz,
	  (const CUlaunchConfig *config, CUfunction f, void **params, void **extra),
	  launch_ex(null_stream, config, f, params, extra))
