/* SPDX-License-Identifier: MIT */
/* Contexts: the thread's stack of them, and the errors they carry. */
#ifndef LIBCUDA_CONTEXT_H
#define LIBCUDA_CONTEXT_H

#include "libcuda/object.h"
#include "proto/proto.h"

/* The calling thread's current context, or NULL. */
CUcontext vgpu_context_current(void);

/* The live object of a context handle; NULL means the current one. */
struct vgpu_object *vgpu_context_get(CUcontext ctx);

/* Make the primary contexts of all devices (inactive); at session init. */
CUresult vgpu_contexts_init(void);

/* A notice of an error came: keep it for the context it belongs to. */
void vgpu_context_error(struct vgpu_session *s, const struct vgpu_notice_error *n);

/*
 * What a call that waited for the GPU in @ctx returns when its own status is
 * @status: a fault is remembered; an earlier error is handed out.
 */
CUresult vgpu_context_result(struct vgpu_object *ctx, CUresult status);

#endif /* LIBCUDA_CONTEXT_H */
