/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* The calls, as libcuda makes them. */
#ifndef VGPU_GEN_CLIENT_H
#define VGPU_GEN_CLIENT_H

#include "gen/calls.h"
#include "proto/cuda_api.h"

struct vgpu_session;

/*
 * Each sends a call to the worker on behalf of the context that is current (a
 * wire number). A call of flow async waits for its status only if VGPU_CALL_REPLY
 * is in call_flags. Out pointers may be NULL. *NAME_len of out bytes is the room
 * in and their number out; more is cut. Out bytes are stored also if the call
 * failed in the worker. Handles are wire numbers that the caller has checked;
 * those to be made are the caller's choice.
 */
CUresult vgpu_call_vgpu_note(struct vgpu_session *session, uint64_t current, unsigned call_flags,
			     const void *text, size_t text_len, unsigned char a, unsigned short b,
			     uint64_t c, const char *s);
CUresult vgpu_call_vgpu_ask(struct vgpu_session *session, uint64_t current, unsigned call_flags,
			    const struct vgpu_param *where, unsigned char depth, uint64_t data_pos,
			    uint32_t data_len, unsigned short *count, struct vgpu_param *answer,
			    void *text, size_t *text_len, void *more, size_t *more_len);
CUresult vgpu_call_cuCtxGetCacheConfig(struct vgpu_session *session, uint64_t current,
				       unsigned call_flags, CUfunc_cache *pconfig);
CUresult vgpu_call_cuEventRecord(struct vgpu_session *session, uint64_t current,
				 unsigned call_flags, uint64_t hEvent, uint64_t hStream);
CUresult vgpu_call_cuEventCreate(struct vgpu_session *session, uint64_t current,
				 unsigned call_flags, uint64_t phEvent, unsigned int Flags);
CUresult vgpu_call_cuModuleGetGlobal_v2(struct vgpu_session *session, uint64_t current,
					unsigned call_flags, CUdeviceptr *dptr, size_t *bytes,
					uint64_t hmod, const char *name);
CUresult vgpu_call_cuKernelSetAttribute(struct vgpu_session *session, uint64_t current,
					unsigned call_flags, CUfunction_attribute attrib, int val,
					uint64_t kernel, int dev);
CUresult vgpu_call_cuLaunchHostFunc(struct vgpu_session *session, uint64_t current,
				    unsigned call_flags, uint64_t hStream, uint64_t token);

#endif /* VGPU_GEN_CLIENT_H */
