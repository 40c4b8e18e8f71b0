// SPDX-License-Identifier: MIT
/*
 * From what an application loads to PTX text: of a container the newest PTX
 * that a device of compute capability 7.5 takes. Machine code does not run
 * here. And the options of the just-in-time compiler, as far as they ask for
 * something that there is: logs and the time.
 */
#include "softgpu/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cudafront/cudafront.h"

#define TARGET	(API_CC_MAJOR * 10 + API_CC_MINOR)

/* What a container without any entry amounts to; nvcc makes such for its linker. */
static const char empty_ptx[] = ".version 6.0\n.target sm_30\n.address_size 64\n";

static CUresult copy_text(const char *text, size_t length, char **ptx, size_t *out)
{
	while (length && !text[length - 1])
		length--;
	*ptx = malloc(length + 1);
	if (!*ptx)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memcpy(*ptx, text, length);
	(*ptx)[length] = '\0';
	*out = length;
	return CUDA_SUCCESS;
}

/* CUDA_ERROR_NO_BINARY_FOR_GPU: nothing in it can run. */
static CUresult container_ptx(const void *start, size_t length, char **ptx, size_t *out)
{
	struct cudafront_entry entry, best = { .ptx = false };
	size_t cursor = 0;
	bool any = false;
	CUresult result;
	void *text;
	int more;

	while ((more = cudafront_fatbin_next(start, length, &cursor, &entry)) == 1) {
		any = true;
		if (entry.ptx && entry.arch <= TARGET && (!best.ptx || entry.arch > best.arch))
			best = entry;
	}
	if (more < 0)
		return CUDA_ERROR_INVALID_IMAGE;
	if (!any)
		return copy_text(empty_ptx, strlen(empty_ptx), ptx, out);
	if (!best.ptx)
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	result = cudafront_entry_unpack(&best, &text, out);
	if (result != CUDA_SUCCESS)
		return result;
	*ptx = text;
	while (*out && !(*ptx)[*out - 1])
		--*out;
	return CUDA_SUCCESS;
}

CUresult api_image_ptx(const void *code, char **ptx, size_t *length)
{
	struct cudafront_image image, part;
	CUresult result;

	if (!code)
		return CUDA_ERROR_INVALID_VALUE;
	result = cudafront_image_find(code, &image);
	if (result != CUDA_SUCCESS)
		return result;
	switch (image.kind) {
	case CUDAFRONT_IMAGE_PTX:
		return copy_text(image.start, image.length, ptx, length);
	case CUDAFRONT_IMAGE_ELF:
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	case CUDAFRONT_IMAGE_FATBIN:
	case CUDAFRONT_IMAGE_WRAPPER:
		break;
	default:
		return CUDA_ERROR_INVALID_IMAGE;
	}
	result = container_ptx(image.start, image.length, ptx, length);
	if (result == CUDA_ERROR_NO_BINARY_FOR_GPU && !cudafront_image_part(&image, &part))
		result = container_ptx(part.start, part.length, ptx, length);
	return result;
}

CUresult api_image_copy_ptx(const void *data, size_t size, char **ptx, size_t *length)
{
	CUresult result = CUDA_ERROR_INVALID_IMAGE;
	char *copy = malloc(size + 1);

	if (!copy)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memcpy(copy, data, size);
	copy[size] = '\0';
	if (cudafront_image_check(copy, size) != CUDAFRONT_IMAGE_NONE ||
	    cudafront_image_check(copy, size + 1) != CUDAFRONT_IMAGE_NONE)
		result = api_image_ptx(copy, ptx, length);
	free(copy);
	return result;
}

/* A NUL is put behind, so that text is text. */
static CUresult read_all(FILE *f, char **bytes, size_t *length)
{
	size_t room = 64 << 10, used = 0, n;
	char *buf = malloc(room), *more;

	while (buf && (n = fread(buf + used, 1, room - used - 1, f)) > 0) {
		used += n;
		if (used + 1 < room)
			continue;
		room *= 2;
		more = room > CUDAFRONT_UNPACK_MAX ? NULL : realloc(buf, room);
		if (!more)
			free(buf);
		buf = more;
	}
	if (!buf)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (ferror(f)) {
		free(buf);
		return CUDA_ERROR_FILE_NOT_FOUND;
	}
	buf[used] = '\0';
	*bytes = buf;
	*length = used;
	return CUDA_SUCCESS;
}

CUresult api_file_read(const char *path, char **bytes, size_t *length)
{
	CUresult result;
	FILE *f;

	if (!path)
		return CUDA_ERROR_INVALID_VALUE;
	f = fopen(path, "re");
	if (!f)
		return CUDA_ERROR_FILE_NOT_FOUND;
	result = read_all(f, bytes, length);
	fclose(f);
	if (result != CUDA_SUCCESS)
		return result;
	/* Unlike an image in memory, a file may be cut short. */
	if (cudafront_image_check(*bytes, *length + 1) == CUDAFRONT_IMAGE_NONE &&
	    cudafront_image_check(*bytes, *length) == CUDAFRONT_IMAGE_NONE) {
		free(*bytes);
		return CUDA_ERROR_INVALID_IMAGE;
	}
	return CUDA_SUCCESS;
}

/* ---- options ---- */

static size_t value_of(const struct api_jit *jit, unsigned i)
{
	return (unsigned)(uintptr_t)jit->values[i];
}

CUresult api_jit_open(struct api_jit *jit, unsigned count, CUjit_option *options, void **values)
{
	*jit = (struct api_jit){
		.count = count,
		.options = options,
		.values = values,
		.started = api_now_ns(),
	};
	if (count && (!options || !values))
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < count; i++) {
		switch (options[i]) {
		case CU_JIT_INFO_LOG_BUFFER:
			jit->info.buf = values[i];
			break;
		case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
			jit->info.size = value_of(jit, i);
			break;
		case CU_JIT_ERROR_LOG_BUFFER:
			jit->error.buf = values[i];
			break;
		case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
			jit->error.size = value_of(jit, i);
			break;
		case CU_JIT_TARGET:
			if (value_of(jit, i) > TARGET)
				return CUDA_ERROR_NO_BINARY_FOR_GPU;
			break;
		default:
			if ((unsigned)options[i] >= CU_JIT_NUM_OPTIONS)
				return CUDA_ERROR_INVALID_VALUE;
		}
	}
	if (jit->error.buf && jit->error.size)
		jit->error.buf[0] = '\0';
	if (jit->info.buf && jit->info.size)
		jit->info.buf[0] = '\0';
	return CUDA_SUCCESS;
}

void api_jit_close(struct api_jit *jit)
{
	float ms = (api_now_ns() - jit->started) / 1e6;

	for (unsigned i = 0; i < jit->count; i++) {
		switch (jit->options[i]) {
		case CU_JIT_WALL_TIME:
			memcpy(&jit->values[i], &ms, sizeof(ms));
			break;
		case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
			jit->values[i] = (void *)(uintptr_t)jit->info.used;
			break;
		case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
			jit->values[i] = (void *)(uintptr_t)jit->error.used;
			break;
		default:
			break;
		}
	}
}
