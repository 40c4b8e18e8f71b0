/* SPDX-License-Identifier: MIT */
/*
 * What every public function begins with: where does this call go, in which
 * context, are its handles alive. Used by gen/public.c and the hand-written
 * functions alike.
 */
#ifndef LIBCUDA_API_H
#define LIBCUDA_API_H

#include "proto/cuda_api.h"
#include "gen/client.h"
#include "libcuda/context.h"
#include "libcuda/object.h"
#include "libcuda/session.h"

#define VGPU_PUBLIC __attribute__((visibility("default")))

struct vgpu_call_place {
	struct vgpu_session	*session;
	struct vgpu_object	*context;	/* NULL without a context */
	uint64_t		ctx;		/* its handle, or 0 */
	unsigned		flags;		/* of the record: the thread's capture mode */
};

/*
 * CUDA_ERROR_NOT_INITIALIZED before cuInit() and in a fork child, _INVALID_CONTEXT
 * without a current context, _CONTEXT_IS_DESTROYED, the context's sticky error.
 */
CUresult vgpu_place(struct vgpu_call_place *p);

/* The same for a call on a context that it names. */
CUresult vgpu_place_ctx(struct vgpu_call_place *p, CUcontext ctx);

/* The same for calls that need none; goes to the first session, or the context's. */
CUresult vgpu_place_noctx(struct vgpu_call_place *p);

/* The same for a call on a device: goes to its session. _INVALID_DEVICE. */
CUresult vgpu_place_device(struct vgpu_call_place *p, CUdevice dev, int *ordinal);

/* A live handle of this session as a number for the wire. CUDA_ERROR_INVALID_HANDLE. */
CUresult vgpu_wire_ctx(struct vgpu_call_place *p, CUcontext ctx, uint64_t *wire);
CUresult vgpu_wire_event(struct vgpu_call_place *p, CUevent event, uint64_t *wire);
CUresult vgpu_wire_module(struct vgpu_call_place *p, CUmodule module, uint64_t *wire);
CUresult vgpu_wire_library(struct vgpu_call_place *p, CUlibrary library, uint64_t *wire);
CUresult vgpu_wire_kernel(struct vgpu_call_place *p, CUkernel kernel, uint64_t *wire);
CUresult vgpu_wire_function(struct vgpu_call_place *p, CUfunction function, uint64_t *wire);
CUresult vgpu_wire_device(struct vgpu_call_place *p, CUdevice dev, int *ordinal);

/*
 * NULL and CU_STREAM_LEGACY are 0; CU_STREAM_PER_THREAD is a stream of this
 * thread's. The place becomes that of the stream's context.
 */
CUresult vgpu_wire_stream(struct vgpu_call_place *p, CUstream stream, uint64_t *wire);

/* The capture mode of the calling thread, as flags of a record. */
unsigned vgpu_capture_flags(void);

#endif /* LIBCUDA_API_H */
