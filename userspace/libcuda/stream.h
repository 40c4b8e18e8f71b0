/* SPDX-License-Identifier: MIT */
/* Streams: made here, told to the worker without waiting. */
#ifndef LIBCUDA_STREAM_H
#define LIBCUDA_STREAM_H

#include "libcuda/api.h"

/* This thread's own default stream in @p's context, made at first use. */
CUresult vgpu_stream_of_thread(struct vgpu_call_place *p, uint64_t *wire);

/* Wait for all that the stream was given. */
CUresult vgpu_stream_wait(struct vgpu_call_place *p, uint64_t wire);

#endif /* LIBCUDA_STREAM_H */
