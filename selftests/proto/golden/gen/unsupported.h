/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* Functions that nobody wrote. */
#ifndef VGPU_GEN_UNSUPPORTED_H
#define VGPU_GEN_UNSUPPORTED_H

/*
 * Each exported function has a weak definition that counts the call and returns
 * CUDA_ERROR_NOT_SUPPORTED. With VGPU_TRACE_UNSUPPORTED=1 in the environment, the
 * first call of each is told on stderr.
 */

/* How often @name was called in vain. */
unsigned long vgpu_unsupported_count(const char *name);

#endif /* VGPU_GEN_UNSUPPORTED_H */
