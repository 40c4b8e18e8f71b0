/* SPDX-License-Identifier: MIT */
/* A code image: only what the GPU can use, named by its hash, sent when it is not known. */
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "proto/cuda_api.h"
#include "cudafront/cudafront.h"
#include "libcuda/code.h"
#include "libcuda/submit.h"

/* The compute capability that all devices of the session share; false: they differ. */
static bool capability(struct vgpu_session *s, int *major, int *minor)
{
	*major = -1;
	for (CUdevice dev = 0; dev < vgpu_device_count(); dev++) {
		struct vgpu_device *d = vgpu_device_get(dev);
		int a = d->info.attributes[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR];
		int i = d->info.attributes[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR];

		if (d->session != s)
			continue;
		if (*major >= 0 && (*major != a || *minor != i))
			return false;
		*major = a;
		*minor = i;
	}
	return *major >= 0;
}

/*
 * The bytes are copied before they are hashed: what is sent must be what was
 * hashed, whatever another thread of the app does to its memory.
 */
CUresult vgpu_image_prepare(struct vgpu_session *s, const void *code, bool part,
			    struct vgpu_image *image)
{
	struct cudafront_image found, one;
	int major, minor;
	SHA256_CTX sha;
	CUresult r;

	if (!code)
		return CUDA_ERROR_INVALID_VALUE;
	r = cudafront_image_find(code, &found);
	if (!r && part) {
		r = cudafront_image_part(&found, &one);
		found = one;
	}
	if (r)
		return r;
	image->own = NULL;
	if (found.kind == CUDAFRONT_IMAGE_FATBIN && capability(s, &major, &minor)) {
		r = cudafront_fatbin_trim(found.start, found.length, major, minor, &image->own,
					  &image->length);
		if (r)
			return r;
	} else {
		image->own = malloc(found.length);
		if (!image->own)
			return CUDA_ERROR_OUT_OF_MEMORY;
		memcpy(image->own, found.start, found.length);
		image->length = found.length;
	}
	image->bytes = image->own;
	if (image->length > VGPU_IMAGE_MAX) {
		vgpu_image_release(image);
		return CUDA_ERROR_INVALID_IMAGE;
	}
	SHA256_Init(&sha);
	SHA256_Update(&sha, image->bytes, image->length);
	SHA256_Final(image->hash, &sha);
	return CUDA_SUCCESS;
}

CUresult vgpu_image_upload(struct vgpu_session *s, const struct vgpu_image *image)
{
	const uint8_t *bytes = image->bytes;
	CUresult r = CUDA_SUCCESS;

	for (size_t at = 0; at < image->length && !r;) {
		size_t part = image->length - at;
		uint64_t pos;

		if (part > VGPU_CHUNK_MAX)
			part = VGPU_CHUNK_MAX;
		pthread_mutex_lock(&s->upload);
		r = vgpu_upload(s, bytes + at, part, &pos);
		if (!r)
			r = vgpu_call_vgpu_image_put(s, 0, 0, image->hash, sizeof(image->hash),
						     image->length, at, pos, part);
		pthread_mutex_unlock(&s->upload);
		at += part;
	}
	return r;
}

void vgpu_image_release(struct vgpu_image *image)
{
	free(image->own);
	image->own = NULL;
}

CUresult vgpu_file_read(const char *path, void **bytes)
{
	FILE *f = path ? fopen(path, "re") : NULL;
	struct stat st;
	char *b = NULL;

	if (!f)
		return path ? CUDA_ERROR_FILE_NOT_FOUND : CUDA_ERROR_INVALID_VALUE;
	if (!fstat(fileno(f), &st) && S_ISREG(st.st_mode) && st.st_size < VGPU_IMAGE_MAX)
		b = calloc(1, st.st_size + 64);	/* readers of headers may look past the end */
	if (b && fread(b, 1, st.st_size, f) != (size_t)st.st_size) {
		free(b);
		b = NULL;
	}
	fclose(f);
	*bytes = b;
	return b ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}
