/* SPDX-License-Identifier: MIT */
/* What kernels printed, on its way to the app's stdout and stderr. */
#ifndef LIBCUDA_OUTPUT_H
#define LIBCUDA_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/* Keep @length bytes for @fd (1 or 2) until the next vgpu_output_write(). */
void vgpu_output_keep(unsigned fd, const void *bytes, size_t length);

/* So much is kept that nothing more should be received before it is written. */
bool vgpu_output_full(void);

/*
 * Write what is kept, in order. Called without the locks of a session: a full
 * pipe holds up the thread that writes, not those that wait for the worker.
 */
void vgpu_output_write(void);

#endif /* LIBCUDA_OUTPUT_H */
