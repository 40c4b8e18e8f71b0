// SPDX-License-Identifier: MIT
/*
 * cuLink*: of one piece of PTX, which is what programs that compile at run
 * time hand in. There is no machine code to link with; what comes out is the
 * PTX, which loads like any image.
 */
#include "softgpu/api.h"

#include <stdlib.h>

struct link {
	struct api_object	obj;
	pthread_mutex_t		lock;	/* guards all below */
	struct api_jit		jit;	/* the application keeps its arrays */
	char			*ptx;
	size_t			length;
};

static void link_release(struct api_object *obj)
{
	struct link *l = api_container(obj, struct link, obj);

	pthread_mutex_destroy(&l->lock);
	free(l->ptx);
	free(l);
}

static CUresult link_get(CUlinkState handle, struct link **link)
{
	struct api_object *obj;
	struct api_context *ctx;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	obj = api_object_get(handle, API_LINK);
	if (!obj)
		return CUDA_ERROR_INVALID_HANDLE;
	*link = api_container(obj, struct link, obj);
	return CUDA_SUCCESS;
}

CUresult cuLinkCreate_v2(unsigned count, CUjit_option *options, void **values, CUlinkState *out)
{
	struct api_context *ctx;
	struct link *l;
	CUresult result = api_enter(&ctx);

	if (result != CUDA_SUCCESS)
		return result;
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	l = calloc(1, sizeof(*l));
	if (!l)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_init(&l->lock, NULL);
	result = api_jit_open(&l->jit, count, options, values);
	if (result == CUDA_SUCCESS)
		result = api_object_init(&l->obj, API_LINK, ctx, link_release);
	if (result != CUDA_SUCCESS) {
		link_release(&l->obj);
		return result;
	}
	result = api_context_adopt(ctx, &l->obj);
	if (result == CUDA_SUCCESS) {
		*out = api_handle(&l->obj);
		return CUDA_SUCCESS;
	}
	api_object_kill(&l->obj);
	api_object_put(&l->obj);
	return result;
}

CUresult cuLinkCreate(unsigned count, CUjit_option *options, void **values, CUlinkState *out)
{
	return cuLinkCreate_v2(count, options, values, out);
}

/* Errors are found, and logged, when the input is added. Takes over @ptx. */
static CUresult add_ptx(struct link *l, char *ptx, size_t length)
{
	struct sg_module *trial;
	CUresult result;

	pthread_mutex_lock(&l->lock);
	result = sg_module_load(l->obj.ctx->dev->sg, ptx, length, &l->jit.error, &trial);
	if (result == CUDA_SUCCESS)
		sg_module_unload(trial);
	else
		api_jit_close(&l->jit);
	if (result == CUDA_SUCCESS && l->ptx)
		result = CUDA_ERROR_NOT_SUPPORTED;	/* a second one */
	if (result == CUDA_SUCCESS) {
		l->ptx = ptx;
		l->length = length;
	} else {
		free(ptx);
	}
	pthread_mutex_unlock(&l->lock);
	return result;
}

static CUresult input_ptx(CUjitInputType type, const void *data, size_t size, char **ptx,
			  size_t *length)
{
	switch (type) {
	case CU_JIT_INPUT_PTX:
	case CU_JIT_INPUT_FATBINARY:
		return data && size ? api_image_copy_ptx(data, size, ptx, length) :
				      CUDA_ERROR_INVALID_VALUE;
	case CU_JIT_INPUT_CUBIN:
	case CU_JIT_INPUT_OBJECT:
	case CU_JIT_INPUT_LIBRARY:
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult cuLinkAddData_v2(CUlinkState handle, CUjitInputType type, void *data, size_t size,
			  const char *name, unsigned count, CUjit_option *options, void **values)
{
	struct link *l;
	size_t length;
	char *ptx;
	CUresult result = link_get(handle, &l);

	if (result != CUDA_SUCCESS)
		return result;
	result = input_ptx(type, data, size, &ptx, &length);
	if (result == CUDA_SUCCESS)
		result = add_ptx(l, ptx, length);
	api_object_put(&l->obj);
	return result;
}

CUresult cuLinkAddData(CUlinkState handle, CUjitInputType type, void *data, size_t size,
		       const char *name, unsigned count, CUjit_option *options, void **values)
{
	return cuLinkAddData_v2(handle, type, data, size, name, count, options, values);
}

CUresult cuLinkAddFile_v2(CUlinkState handle, CUjitInputType type, const char *path,
			  unsigned count, CUjit_option *options, void **values)
{
	size_t length;
	char *bytes;
	CUresult result = api_ready();

	if (result == CUDA_SUCCESS)
		result = api_file_read(path, &bytes, &length);
	if (result != CUDA_SUCCESS)
		return result;
	result = cuLinkAddData_v2(handle, type, bytes, length, path, count, options, values);
	free(bytes);
	return result;
}

CUresult cuLinkAddFile(CUlinkState handle, CUjitInputType type, const char *path,
		       unsigned count, CUjit_option *options, void **values)
{
	return cuLinkAddFile_v2(handle, type, path, count, options, values);
}

/* The image is the state's, until it is destroyed. */
CUresult cuLinkComplete(CUlinkState handle, void **image, size_t *size)
{
	struct link *l;
	CUresult result = link_get(handle, &l);

	if (result != CUDA_SUCCESS)
		return result;
	pthread_mutex_lock(&l->lock);
	if (!image) {
		result = CUDA_ERROR_INVALID_VALUE;
	} else if (!l->ptx) {
		result = CUDA_ERROR_NO_BINARY_FOR_GPU;
	} else {
		*image = l->ptx;
		if (size)
			*size = l->length + 1;
		api_jit_close(&l->jit);
	}
	pthread_mutex_unlock(&l->lock);
	api_object_put(&l->obj);
	return result;
}

CUresult cuLinkDestroy(CUlinkState handle)
{
	struct link *l;
	CUresult result = link_get(handle, &l);

	if (result != CUDA_SUCCESS)
		return result;
	if (api_object_kill(&l->obj)) {
		api_context_unlink(&l->obj);
		api_object_put(&l->obj);
	}
	api_object_put(&l->obj);
	return CUDA_SUCCESS;
}
