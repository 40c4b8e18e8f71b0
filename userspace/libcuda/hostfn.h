/* SPDX-License-Identifier: MIT */
/* Functions of the app that a stream calls when it gets to them. */
#ifndef LIBCUDA_HOSTFN_H
#define LIBCUDA_HOSTFN_H

#include "libcuda/session.h"
#include "proto/proto.h"

/* A stream reached one. False: it was never given out, or it is running. */
bool vgpu_hostfn_due(struct vgpu_session *s, const struct vgpu_notice_hostfn *n);

/*
 * No stream of @ctx (0: of the session) will get to its functions any more: the
 * context has ended, maybe after a fault, or the channel is lost.
 */
void vgpu_hostfn_drop(struct vgpu_session *s, uint64_t ctx);

#endif /* LIBCUDA_HOSTFN_H */
