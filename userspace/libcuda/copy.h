/* SPDX-License-Identifier: MIT */
/* Copies of linear memory, for whoever makes larger ones of them. */
#ifndef LIBCUDA_COPY_H
#define LIBCUDA_COPY_H

#include "libcuda/api.h"

/*
 * @n bytes from @src to @dst, each of which says by its address whether it is
 * device or host memory. @sync: as cuMemcpy, else as cuMemcpyAsync.
 */
CUresult vgpu_copy(CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream stream, bool sync);

#endif /* LIBCUDA_COPY_H */
