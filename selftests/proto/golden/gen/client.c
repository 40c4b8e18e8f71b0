/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* The calls, as libcuda makes them. */
#include "gen/client.h"
#include "libcuda/submit.h"
#include "proto/marshal.h"

static CUresult wait_status(struct vgpu_session *session, uint64_t current, uint16_t opcode,
			    unsigned call_flags)
{
	struct vgpu_completion c;
	size_t got = 0;

	return vgpu_submit_wait(session, current, opcode, call_flags | VGPU_CALL_REPLY, &c,
				sizeof(c), &got);
}

static CUresult finish(struct vgpu_session *session, uint64_t current, uint16_t opcode,
		       unsigned call_flags)
{
	if (call_flags & VGPU_CALL_REPLY)
		return wait_status(session, current, opcode, call_flags);
	return vgpu_submit_end(session, current, opcode, call_flags);
}

CUresult vgpu_call_vgpu_note(struct vgpu_session *session, uint64_t current, unsigned call_flags,
			     const void *text, size_t text_len, unsigned char a, unsigned short b,
			     uint64_t c, const char *s)
{
	struct vgpu_vgpu_note_in *in;
	size_t s_len = vgpu_string_len(s, VGPU_MAX_vgpu_note_s);
	void *at;

	if (text_len < 1 || text_len > VGPU_MAX_vgpu_note_text || (!text && text_len) || b > 7 ||
	    (c & ~(uint64_t)0xff) || (s && !s_len))
		return CUDA_ERROR_INVALID_VALUE;
	in = vgpu_submit_begin(session, sizeof(*in) + vgpu_pad8(text_len) + vgpu_pad8(s_len));
	if (!in)
		return vgpu_submit_lost(session);
	*in = (struct vgpu_vgpu_note_in){
		.text_len = text_len,
		.a = a,
		.b = b,
		.c = c,
		.s_len = s_len,
	};
	at = vgpu_put_bytes(in + 1, text, text_len);
	vgpu_put_bytes(at, s, s_len);
	return finish(session, current, VGPU_OP_vgpu_note, call_flags);
}

CUresult vgpu_call_vgpu_ask(struct vgpu_session *session, uint64_t current, unsigned call_flags,
			    const struct vgpu_param *where, unsigned char depth, uint64_t data_pos,
			    uint32_t data_len, unsigned short *count, struct vgpu_param *answer,
			    void *text, size_t *text_len, void *more, size_t *more_len)
{
	struct vgpu_vgpu_ask_in *in;
	struct {
		struct vgpu_vgpu_ask_out out;
		uint8_t text[vgpu_pad8(VGPU_MAX_vgpu_ask_text)];
		uint8_t more[vgpu_pad8(VGPU_MAX_vgpu_ask_more)];
	} reply;
	struct vgpu_vgpu_ask_out *out = &reply.out;
	struct vgpu_cursor cursor;
	size_t got = 0;
	CUresult r;

	if (!where || !data_len || data_len > VGPU_CHUNK_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	in = vgpu_submit_begin(session, sizeof(*in));
	if (!in)
		return vgpu_submit_lost(session);
	*in = (struct vgpu_vgpu_ask_in){
		.where = *where,
		.depth = depth,
		.data = { .pos = data_pos, .length = data_len },
	};
	r = vgpu_submit_wait(session, current, VGPU_OP_vgpu_ask, call_flags | VGPU_CALL_REPLY,
			     &reply, sizeof(reply), &got);
	if (got < sizeof(*out))
		return r ? r : vgpu_submit_broken(session);
	cursor = vgpu_cursor(out, sizeof(*out), got);
	if (!vgpu_cursor_copy(&cursor, out->text_len, sizeof(reply.text), text, text_len))
		return vgpu_submit_broken(session);
	if (!vgpu_cursor_copy(&cursor, out->more_len, sizeof(reply.more), more, more_len))
		return vgpu_submit_broken(session);
	if (!vgpu_cursor_done(&cursor))
		return vgpu_submit_broken(session);
	if (r)
		return r;
	if (count)
		*count = out->count;
	if (answer)
		*answer = out->answer;
	return CUDA_SUCCESS;
}

CUresult vgpu_call_cuCtxGetCacheConfig(struct vgpu_session *session, uint64_t current,
				       unsigned call_flags, CUfunc_cache *pconfig)
{
	struct vgpu_cuCtxGetCacheConfig_in *in;
	struct vgpu_cuCtxGetCacheConfig_out reply, *out = &reply;
	size_t got = 0;
	CUresult r;

	in = vgpu_submit_begin(session, sizeof(*in));
	if (!in)
		return vgpu_submit_lost(session);
	*in = (struct vgpu_cuCtxGetCacheConfig_in){};
	r = vgpu_submit_wait(session, current, VGPU_OP_cuCtxGetCacheConfig,
			     call_flags | VGPU_CALL_REPLY, out, sizeof(*out), &got);
	if (r)
		return r;
	if (got != sizeof(*out))
		return vgpu_submit_broken(session);
	if (pconfig)
		*pconfig = (CUfunc_cache)out->pconfig;
	return CUDA_SUCCESS;
}

CUresult vgpu_call_cuEventRecord(struct vgpu_session *session, uint64_t current,
				 unsigned call_flags, uint64_t hEvent, uint64_t hStream)
{
	struct vgpu_cuEventRecord_in *in;

	in = vgpu_submit_begin(session, sizeof(*in));
	if (!in)
		return vgpu_submit_lost(session);
	*in = (struct vgpu_cuEventRecord_in){
		.hEvent = hEvent,
		.hStream = hStream,
	};
	return finish(session, current, VGPU_OP_cuEventRecord, call_flags);
}

CUresult vgpu_call_cuEventCreate(struct vgpu_session *session, uint64_t current,
				 unsigned call_flags, uint64_t phEvent, unsigned int Flags)
{
	struct vgpu_cuEventCreate_in *in;

	if (Flags & ~0x7u)
		return CUDA_ERROR_INVALID_VALUE;
	in = vgpu_submit_begin(session, sizeof(*in));
	if (!in)
		return vgpu_submit_lost(session);
	*in = (struct vgpu_cuEventCreate_in){
		.phEvent = phEvent,
		.Flags = Flags,
	};
	return finish(session, current, VGPU_OP_cuEventCreate, call_flags);
}

CUresult vgpu_call_cuModuleGetGlobal_v2(struct vgpu_session *session, uint64_t current,
					unsigned call_flags, CUdeviceptr *dptr, size_t *bytes,
					uint64_t hmod, const char *name)
{
	struct vgpu_cuModuleGetGlobal_v2_in *in;
	size_t name_len = vgpu_string_len(name, VGPU_MAX_cuModuleGetGlobal_v2_name);
	struct vgpu_cuModuleGetGlobal_v2_out reply, *out = &reply;
	size_t got = 0;
	CUresult r;

	if (!name_len)
		return CUDA_ERROR_INVALID_VALUE;
	in = vgpu_submit_begin(session, sizeof(*in) + vgpu_pad8(name_len));
	if (!in)
		return vgpu_submit_lost(session);
	*in = (struct vgpu_cuModuleGetGlobal_v2_in){
		.hmod = hmod,
		.name_len = name_len,
	};
	vgpu_put_bytes(in + 1, name, name_len);
	r = vgpu_submit_wait(session, current, VGPU_OP_cuModuleGetGlobal_v2,
			     call_flags | VGPU_CALL_REPLY, out, sizeof(*out), &got);
	if (r)
		return r;
	if (got != sizeof(*out))
		return vgpu_submit_broken(session);
	if (dptr)
		*dptr = out->dptr;
	if (bytes)
		*bytes = out->bytes;
	return CUDA_SUCCESS;
}

CUresult vgpu_call_cuKernelSetAttribute(struct vgpu_session *session, uint64_t current,
					unsigned call_flags, CUfunction_attribute attrib, int val,
					uint64_t kernel, int dev)
{
	struct vgpu_cuKernelSetAttribute_in *in;

	if ((uint32_t)attrib > 15 || val < -1 || dev < 0)
		return CUDA_ERROR_INVALID_VALUE;
	in = vgpu_submit_begin(session, sizeof(*in));
	if (!in)
		return vgpu_submit_lost(session);
	*in = (struct vgpu_cuKernelSetAttribute_in){
		.attrib = attrib,
		.val = val,
		.kernel = kernel,
		.dev = dev,
	};
	return wait_status(session, current, VGPU_OP_cuKernelSetAttribute, call_flags);
}

CUresult vgpu_call_cuLaunchHostFunc(struct vgpu_session *session, uint64_t current,
				    unsigned call_flags, uint64_t hStream, uint64_t token)
{
	struct vgpu_cuLaunchHostFunc_in *in;

	in = vgpu_submit_begin(session, sizeof(*in));
	if (!in)
		return vgpu_submit_lost(session);
	*in = (struct vgpu_cuLaunchHostFunc_in){
		.hStream = hStream,
		.token = token,
	};
	return finish(session, current, VGPU_OP_cuLaunchHostFunc, call_flags);
}
