/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* Hooks and a driver for tests. */
#include "gen/driver.h"
#include "gen/serve.h"
#include <string.h>
#include "fake.h"

CUresult vgpu_hook_vgpu_note(struct vgpu_worker *w, const struct vgpu_request *q, const void *text,
			     uint32_t text_len, unsigned char a, unsigned short b, uint64_t c,
			     const char *s)
{
	fake_begin("vgpu_note");
	fake_see(text, text_len);
	fake_see_number((uint64_t)a);
	fake_see_number((uint64_t)b);
	fake_see_number((uint64_t)c);
	if (s)
		fake_see(s, strlen(s) + 1);
	return fake_status;
}

CUresult vgpu_hook_vgpu_ask(struct vgpu_worker *w, const struct vgpu_request *q,
			    const struct vgpu_param *where, unsigned char depth,
			    const struct vgpu_chunk *data, unsigned short *count,
			    struct vgpu_param *answer, void *text, uint32_t *text_len, void *more,
			    uint32_t *more_len)
{
	fake_begin("vgpu_ask");
	fake_see(where, sizeof(*where));
	fake_see_number((uint64_t)depth);
	fake_see(data, sizeof(*data));
	fake_fill(count, sizeof(*count));
	fake_fill(answer, sizeof(*answer));
	*text_len = fake_fill(text, FAKE_BYTES);
	*more_len = fake_fill(more, FAKE_BYTES);
	return fake_status;
}

static CUresult fake_cuCtxGetCacheConfig(CUfunc_cache *pconfig)
{
	fake_begin("cuCtxGetCacheConfig");
	fake_fill(pconfig, sizeof(*pconfig));
	return fake_status;
}

static CUresult fake_cuEventRecord(CUevent hEvent, CUstream hStream)
{
	fake_begin("cuEventRecord");
	fake_see_handle(hEvent);
	fake_see_handle(hStream);
	return fake_status;
}

static CUresult fake_cuEventCreate(CUevent *phEvent, unsigned int Flags)
{
	fake_begin("cuEventCreate");
	*phEvent = fake_handle();
	fake_see_number((uint64_t)Flags);
	return fake_status;
}

static CUresult fake_cuModuleGetGlobal_v2(CUdeviceptr *dptr, size_t *bytes, CUmodule hmod,
					  const char *name)
{
	fake_begin("cuModuleGetGlobal_v2");
	fake_fill(dptr, sizeof(*dptr));
	fake_fill(bytes, sizeof(*bytes));
	fake_see_handle(hmod);
	if (name)
		fake_see(name, strlen(name) + 1);
	return fake_status;
}

static CUresult fake_cuKernelSetAttribute(CUfunction_attribute attrib, int val, CUkernel kernel,
					  CUdevice dev)
{
	fake_begin("cuKernelSetAttribute");
	fake_see_number((uint32_t)attrib);
	fake_see_number((uint64_t)val);
	fake_see_handle(kernel);
	fake_see_number((uint64_t)dev);
	return fake_status;
}

CUresult vgpu_hook_cuLaunchHostFunc(struct vgpu_worker *w, const struct vgpu_request *q,
				    uint64_t hStream, uint64_t token)
{
	fake_begin("cuLaunchHostFunc");
	fake_see_number((uint64_t)hStream);
	fake_see_number((uint64_t)token);
	return fake_status;
}

static CUresult fake_cuEventDestroy_v2(CUevent handle)
{
	fake_ends++;
	return CUDA_SUCCESS;
}

struct vgpu_driver fake_driver = {
	.cuCtxGetCacheConfig = fake_cuCtxGetCacheConfig,
	.cuEventRecord = fake_cuEventRecord,
	.cuEventCreate = fake_cuEventCreate,
	.cuModuleGetGlobal_v2 = fake_cuModuleGetGlobal_v2,
	.cuKernelSetAttribute = fake_cuKernelSetAttribute,
	.cuEventDestroy_v2 = fake_cuEventDestroy_v2,
};
