/* SPDX-License-Identifier: MIT */
/* What generated stubs need of libcuda. */
#ifndef LIBCUDA_SUBMIT_H
#define LIBCUDA_SUBMIT_H

#include "gen/client.h"

void *vgpu_submit_begin(struct vgpu_session *s, size_t length);
CUresult vgpu_submit_end(struct vgpu_session *s, uint64_t ctx, uint16_t opcode, unsigned flags);
CUresult vgpu_submit_wait(struct vgpu_session *s, uint64_t ctx, uint16_t opcode, unsigned flags,
			  void *reply, size_t room, size_t *length);
CUresult vgpu_submit_lost(struct vgpu_session *s);
CUresult vgpu_submit_broken(struct vgpu_session *s);

#endif /* LIBCUDA_SUBMIT_H */
