/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* The calls, as a worker serves them. */
#ifndef VGPU_GEN_SERVE_H
#define VGPU_GEN_SERVE_H

#include "proto/cuda_api.h"
#include "gen/calls.h"

struct vgpu_worker;
struct vgpu_reply;

#define VGPU_SERVE_BLOCK	1	/* may wait: runs on a helper */
#define VGPU_SERVE_ASYNC	2	/* no completion unless VGPU_CALL_REPLY is set */
#define VGPU_SERVE_NOCTX	4	/* needs no current context */

/*
 * serve() is given a private copy of a record, record_len bytes long (aligned to
 * 8, head included), and returns the status of its completion. Whatever was
 * wrong with the record: CUDA_ERROR_INVALID_VALUE, or what the functions below say.
 */
struct vgpu_serve_entry {
	const char *name;
	uint32_t fixed;			/* least record_len */
	uint32_t flags;			/* VGPU_SERVE_ */
	CUresult (*serve)(struct vgpu_worker *w, const struct vgpu_request *q, size_t record_len,
			  struct vgpu_reply *p);
};

/* By opcode; serve is NULL where there is no such call. */
extern const struct vgpu_serve_entry vgpu_serve_table[VGPU_OPCODES];

/* ---- what the decoders need, written by hand in userspace/server ---- */

/* Device of the session's @ordinal; CUDA_ERROR_INVALID_DEVICE. */
CUresult vgpu_worker_device(struct vgpu_worker *w, unsigned ordinal, CUdevice *dev);

/* What the client's number stands for; one that is not live, or of another kind, is refused. */
CUresult vgpu_handle_get(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind,
			 void **driver_handle);

/* Let a number that the client made stand for @driver_handle; one that is in use is refused. */
CUresult vgpu_handle_put(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind, uint64_t ctx,
			 void *driver_handle);

/* The reply's fixed part of @fixed bytes, completion included, zeroed; bytes go behind it. */
void *vgpu_reply_out(struct vgpu_reply *p, size_t fixed);
/* Append @length bytes, filled up with zeros to a multiple of 8. */
void vgpu_reply_bytes(struct vgpu_reply *p, const void *bytes, size_t length);

/*
 * ---- hooks, written by hand in userspace/server ----
 *
 * All arguments have been checked against the spec. A handle is a wire number
 * that is live and of its kind (or 0 where the spec says null); one that the
 * client made is put by the hook. A device is an ordinal. Out arguments are
 * zero before; *NAME_len of out bytes is, too, and the room is VGPU_MAX_<call>_NAME.
 */
CUresult vgpu_hook_vgpu_note(struct vgpu_worker *w, const struct vgpu_request *q, const void *text,
			     uint32_t text_len, unsigned char a, unsigned short b, uint64_t c,
			     const char *s);
CUresult vgpu_hook_vgpu_ask(struct vgpu_worker *w, const struct vgpu_request *q,
			    const struct vgpu_param *where, unsigned char depth,
			    const struct vgpu_chunk *data, unsigned short *count,
			    struct vgpu_param *answer, void *text, uint32_t *text_len, void *more,
			    uint32_t *more_len);
CUresult vgpu_hook_cuLaunchHostFunc(struct vgpu_worker *w, const struct vgpu_request *q,
				    uint64_t hStream, uint64_t token);

#endif /* VGPU_GEN_SERVE_H */
