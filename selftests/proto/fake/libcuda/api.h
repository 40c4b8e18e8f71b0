/* SPDX-License-Identifier: MIT */
/* What generated public functions need of libcuda. */
#ifndef LIBCUDA_API_H
#define LIBCUDA_API_H

#include "proto/cuda_api.h"
#include "gen/client.h"

#define VGPU_PUBLIC __attribute__((visibility("default")))

struct vgpu_call_place {
	struct vgpu_session *session;
	uint64_t ctx;
	unsigned flags;
};

CUresult vgpu_place(struct vgpu_call_place *p);
CUresult vgpu_place_noctx(struct vgpu_call_place *p);
CUresult vgpu_wire_ctx(struct vgpu_call_place *p, CUcontext ctx, uint64_t *wire);
CUresult vgpu_wire_stream(struct vgpu_call_place *p, CUstream stream, uint64_t *wire);
CUresult vgpu_wire_event(struct vgpu_call_place *p, CUevent event, uint64_t *wire);
CUresult vgpu_wire_module(struct vgpu_call_place *p, CUmodule module, uint64_t *wire);
CUresult vgpu_wire_library(struct vgpu_call_place *p, CUlibrary library, uint64_t *wire);
CUresult vgpu_wire_kernel(struct vgpu_call_place *p, CUkernel kernel, uint64_t *wire);
CUresult vgpu_wire_function(struct vgpu_call_place *p, CUfunction function, uint64_t *wire);
CUresult vgpu_wire_device(struct vgpu_call_place *p, CUdevice dev, int *ordinal);

#endif /* LIBCUDA_API_H */
