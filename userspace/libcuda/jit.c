/* SPDX-License-Identifier: MIT */
/* Options of the JIT compiler: a pair of arrays in the API, a list of pairs on the wire. */
#include <string.h>
#include "libcuda/code.h"

static bool log_option(CUjit_option o)
{
	return o == CU_JIT_INFO_LOG_BUFFER || o == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES ||
	       o == CU_JIT_ERROR_LOG_BUFFER || o == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES;
}

CUresult vgpu_jit_begin(struct vgpu_jit *jit, unsigned n, const CUjit_option *options,
			void *const *values)
{
	unsigned used = 0;

	/* What was never compiled has empty logs. */
	jit->info[0] = jit->error[0] = 0;
	jit->info_length = sizeof(jit->info);
	jit->error_length = sizeof(jit->error);
	jit->length = 0;
	if (n && (!options || !values))
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < n; i++) {
		if (log_option(options[i]) || options[i] == CU_JIT_WALL_TIME)
			continue;
		if (!vgpu_jit_option_travels(options[i]))
			return CUDA_ERROR_NOT_SUPPORTED;
		if (used == 32)
			return CUDA_ERROR_INVALID_VALUE;
		jit->pairs[2 * used] = options[i];
		jit->pairs[2 * used + 1] = (uint32_t)(uintptr_t)values[i];
		used++;
	}
	jit->length = used * 8;
	return CUDA_SUCCESS;
}

static void log_give(const char *log, size_t length, unsigned n, const CUjit_option *options,
		     void **values, CUjit_option buffer_option, CUjit_option size_option)
{
	char *buffer = NULL;
	size_t room = 0;
	unsigned size_at = n;

	for (unsigned i = 0; i < n; i++) {
		if (options[i] == buffer_option)
			buffer = values[i];
		if (options[i] == size_option) {
			room = (uint32_t)(uintptr_t)values[i];
			size_at = i;
		}
	}
	if (!buffer || !room)
		return;
	length = strnlen(log, length);
	if (length > room - 1)
		length = room - 1;
	memcpy(buffer, log, length);
	buffer[length] = 0;
	values[size_at] = (void *)(uintptr_t)length;
}

void vgpu_jit_end(struct vgpu_jit *jit, unsigned n, const CUjit_option *options, void **values)
{
	log_give(jit->info, jit->info_length, n, options, values, CU_JIT_INFO_LOG_BUFFER,
		 CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES);
	log_give(jit->error, jit->error_length, n, options, values, CU_JIT_ERROR_LOG_BUFFER,
		 CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
	for (unsigned i = 0; i < n; i++)
		if (options[i] == CU_JIT_WALL_TIME)
			values[i] = NULL;	/* 0.0f: compiled elsewhere, or cached */
}
