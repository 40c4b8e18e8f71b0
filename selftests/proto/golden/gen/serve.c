/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* The calls, as a worker serves them. */
#include "gen/driver.h"
#include "gen/serve.h"
#include "proto/marshal.h"
#include "server/worker.h"

/* The handle for a number that may be 0, which stands for @none. */
static inline CUresult handle_or(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind,
				 void *none, void **handle)
{
	*handle = none;
	return wire ? vgpu_handle_get(w, wire, kind, handle) : CUDA_SUCCESS;
}

static CUresult serve_vgpu_note(struct vgpu_worker *w, const struct vgpu_request *q,
				size_t record_len, struct vgpu_reply *p)
{
	const struct vgpu_vgpu_note_in *in = (const void *)q;
	struct vgpu_cursor cursor;
	const void *text;
	const char *s;

	if (record_len < sizeof(*in) || in->pad0 || in->pad1 || in->text_len < 1 || in->b > 7 ||
	    (in->c & ~(uint64_t)0xff))
		return CUDA_ERROR_INVALID_VALUE;
	cursor = vgpu_cursor(in, sizeof(*in), record_len);
	text = vgpu_cursor_bytes(&cursor, in->text_len, VGPU_MAX_vgpu_note_text);
	if (!text)
		return CUDA_ERROR_INVALID_VALUE;
	s = vgpu_cursor_string(&cursor, in->s_len, VGPU_MAX_vgpu_note_s);
	if (!s && in->s_len)
		return CUDA_ERROR_INVALID_VALUE;
	if (!vgpu_cursor_done(&cursor))
		return CUDA_ERROR_INVALID_VALUE;
	return vgpu_hook_vgpu_note(w, q, text, in->text_len, in->a, in->b, in->c, s);
}

static CUresult serve_vgpu_ask(struct vgpu_worker *w, const struct vgpu_request *q,
			       size_t record_len, struct vgpu_reply *p)
{
	const struct vgpu_vgpu_ask_in *in = (const void *)q;
	struct vgpu_vgpu_ask_out *out;
	unsigned short count = 0;
	struct vgpu_param answer = {};
	uint8_t text[VGPU_MAX_vgpu_ask_text];
	uint32_t text_len = 0;
	uint8_t more[VGPU_MAX_vgpu_ask_more];
	uint32_t more_len = 0;
	CUresult r;

	if (record_len != sizeof(*in) || in->pad0 || in->pad1 || in->pad2 || !in->data.length ||
	    in->data.length > VGPU_CHUNK_MAX || in->data.reserved)
		return CUDA_ERROR_INVALID_VALUE;
	r = vgpu_hook_vgpu_ask(w, q, &in->where, in->depth, &in->data, &count, &answer, text,
			       &text_len, more, &more_len);
	if (text_len > sizeof(text) || more_len > sizeof(more))
		return CUDA_ERROR_UNKNOWN;
	out = vgpu_reply_out(p, sizeof(*out));
	out->count = count;
	out->answer = answer;
	out->text_len = text_len;
	out->more_len = more_len;
	vgpu_reply_bytes(p, text, text_len);
	vgpu_reply_bytes(p, more, more_len);
	return r;
}

static CUresult serve_cuCtxGetCacheConfig(struct vgpu_worker *w, const struct vgpu_request *q,
					  size_t record_len, struct vgpu_reply *p)
{
	const struct vgpu_cuCtxGetCacheConfig_in *in = (const void *)q;
	struct vgpu_cuCtxGetCacheConfig_out *out;
	CUfunc_cache pconfig = 0;
	CUresult r;

	if (record_len != sizeof(*in))
		return CUDA_ERROR_INVALID_VALUE;
	r = w->driver->cuCtxGetCacheConfig(&pconfig);
	if (r)
		return r;
	out = vgpu_reply_out(p, sizeof(*out));
	out->pconfig = pconfig;
	return CUDA_SUCCESS;
}

static CUresult serve_cuEventRecord(struct vgpu_worker *w, const struct vgpu_request *q,
				    size_t record_len, struct vgpu_reply *p)
{
	const struct vgpu_cuEventRecord_in *in = (const void *)q;
	void *hEvent;
	void *hStream;
	CUresult r;

	if (record_len != sizeof(*in))
		return CUDA_ERROR_INVALID_VALUE;
	r = vgpu_handle_get(w, in->hEvent, VGPU_KIND_EVENT, &hEvent);
	if (r)
		return r;
	r = handle_or(w, in->hStream, VGPU_KIND_STREAM, CU_STREAM_LEGACY, &hStream);
	if (r)
		return r;
	return w->driver->cuEventRecord(hEvent, hStream);
}

static CUresult serve_cuEventCreate(struct vgpu_worker *w, const struct vgpu_request *q,
				    size_t record_len, struct vgpu_reply *p)
{
	const struct vgpu_cuEventCreate_in *in = (const void *)q;
	void *phEvent;
	CUresult r;

	if (record_len != sizeof(*in) || in->pad0 || (in->Flags & ~0x7u))
		return CUDA_ERROR_INVALID_VALUE;
	r = w->driver->cuEventCreate((CUevent *)&phEvent, in->Flags);
	if (r)
		return r;
	r = vgpu_handle_put(w, in->phEvent, VGPU_KIND_EVENT, q->ctx, phEvent);
	if (r)
		w->driver->cuEventDestroy_v2(phEvent);
	return r;
}

static CUresult serve_cuModuleGetGlobal_v2(struct vgpu_worker *w, const struct vgpu_request *q,
					   size_t record_len, struct vgpu_reply *p)
{
	const struct vgpu_cuModuleGetGlobal_v2_in *in = (const void *)q;
	struct vgpu_cuModuleGetGlobal_v2_out *out;
	struct vgpu_cursor cursor;
	CUdeviceptr dptr = 0;
	size_t bytes = 0;
	void *hmod;
	const char *name;
	CUresult r;

	if (record_len < sizeof(*in) || in->pad0)
		return CUDA_ERROR_INVALID_VALUE;
	cursor = vgpu_cursor(in, sizeof(*in), record_len);
	name = vgpu_cursor_string(&cursor, in->name_len, VGPU_MAX_cuModuleGetGlobal_v2_name);
	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	if (!vgpu_cursor_done(&cursor))
		return CUDA_ERROR_INVALID_VALUE;
	r = vgpu_handle_get(w, in->hmod, VGPU_KIND_MODULE, &hmod);
	if (r)
		return r;
	r = w->driver->cuModuleGetGlobal_v2(&dptr, &bytes, hmod, name);
	if (r)
		return r;
	out = vgpu_reply_out(p, sizeof(*out));
	out->dptr = dptr;
	out->bytes = bytes;
	return CUDA_SUCCESS;
}

static CUresult serve_cuKernelSetAttribute(struct vgpu_worker *w, const struct vgpu_request *q,
					   size_t record_len, struct vgpu_reply *p)
{
	const struct vgpu_cuKernelSetAttribute_in *in = (const void *)q;
	void *kernel;
	CUdevice dev;
	CUresult r;

	if (record_len != sizeof(*in) || in->pad0 || in->attrib > 15 || in->val < -1)
		return CUDA_ERROR_INVALID_VALUE;
	r = vgpu_handle_get(w, in->kernel, VGPU_KIND_KERNEL, &kernel);
	if (r)
		return r;
	r = vgpu_worker_device(w, in->dev, &dev);
	if (r)
		return r;
	return w->driver->cuKernelSetAttribute((CUfunction_attribute)in->attrib, in->val, kernel,
					       dev);
}

static CUresult serve_cuLaunchHostFunc(struct vgpu_worker *w, const struct vgpu_request *q,
				       size_t record_len, struct vgpu_reply *p)
{
	const struct vgpu_cuLaunchHostFunc_in *in = (const void *)q;
	void *hStream;
	CUresult r;

	if (record_len != sizeof(*in))
		return CUDA_ERROR_INVALID_VALUE;
	r = handle_or(w, in->hStream, VGPU_KIND_STREAM, CU_STREAM_LEGACY, &hStream);
	if (r)
		return r;
	return vgpu_hook_cuLaunchHostFunc(w, q, in->hStream, in->token);
}

const struct vgpu_serve_entry vgpu_serve_table[VGPU_OPCODES] = {
	[VGPU_OP_vgpu_note] = {
		.name = "vgpu_note",
		.fixed = sizeof(struct vgpu_vgpu_note_in),
		.flags = VGPU_SERVE_NOCTX | VGPU_SERVE_ASYNC,
		.serve = serve_vgpu_note,
	},
	[VGPU_OP_vgpu_ask] = {
		.name = "vgpu_ask",
		.fixed = sizeof(struct vgpu_vgpu_ask_in),
		.flags = VGPU_SERVE_BLOCK,
		.serve = serve_vgpu_ask,
	},
	[VGPU_OP_cuCtxGetCacheConfig] = {
		.name = "cuCtxGetCacheConfig",
		.fixed = sizeof(struct vgpu_cuCtxGetCacheConfig_in),
		.flags = 0,
		.serve = serve_cuCtxGetCacheConfig,
	},
	[VGPU_OP_cuEventRecord] = {
		.name = "cuEventRecord",
		.fixed = sizeof(struct vgpu_cuEventRecord_in),
		.flags = VGPU_SERVE_ASYNC,
		.serve = serve_cuEventRecord,
	},
	[VGPU_OP_cuEventCreate] = {
		.name = "cuEventCreate",
		.fixed = sizeof(struct vgpu_cuEventCreate_in),
		.flags = VGPU_SERVE_ASYNC,
		.serve = serve_cuEventCreate,
	},
	[VGPU_OP_cuModuleGetGlobal_v2] = {
		.name = "cuModuleGetGlobal_v2",
		.fixed = sizeof(struct vgpu_cuModuleGetGlobal_v2_in),
		.flags = VGPU_SERVE_BLOCK,
		.serve = serve_cuModuleGetGlobal_v2,
	},
	[VGPU_OP_cuKernelSetAttribute] = {
		.name = "cuKernelSetAttribute",
		.fixed = sizeof(struct vgpu_cuKernelSetAttribute_in),
		.flags = VGPU_SERVE_NOCTX,
		.serve = serve_cuKernelSetAttribute,
	},
	[VGPU_OP_cuLaunchHostFunc] = {
		.name = "cuLaunchHostFunc",
		.fixed = sizeof(struct vgpu_cuLaunchHostFunc_in),
		.flags = VGPU_SERVE_ASYNC,
		.serve = serve_cuLaunchHostFunc,
	},
};
