// SPDX-License-Identifier: MIT
/*
 * Containers of code images: walking one, leaving out what a device cannot
 * use, and unpacking. Every function may be given any bytes.
 */
#include "fatbin.h"
#include "internal.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define FATBIN_PACKED (FATBIN_LZ4 | FATBIN_ZSTD)

/* A byte of LZ4 unpacks to no more than this many. */
#define LZ4_MAX_RATIO 255

/* Where the entries of a container start and end. */
static int read_header(const void *fatbin, size_t length, size_t *start, size_t *end)
{
	struct fatbin_header h;

	if (length < sizeof(h))
		return -EINVAL;
	memcpy(&h, fatbin, sizeof(h));
	if (h.magic != FATBIN_MAGIC || h.version != FATBIN_VERSION || h.header_size < sizeof(h))
		return -EINVAL;
	if (!cudafront_inside(h.header_size, h.size, length))
		return -EINVAL;
	*start = h.header_size;
	*end = h.header_size + h.size;
	return 0;
}

/* The texts that a header refers to lie in it. */
static bool texts_inside(const struct fatbin_entry *e, const uint8_t *bytes)
{
	struct fatbin_options options;

	if (!cudafront_inside(e->name, e->name_length, e->header_size))
		return false;
	if (!e->options)
		return true;
	if (!cudafront_inside(e->options, sizeof(options), e->header_size))
		return false;
	memcpy(&options, bytes + e->options, sizeof(options));
	return cudafront_inside(options.offset, options.length, e->header_size);
}

static bool sizes_sane(const struct fatbin_entry *e)
{
	switch (e->flags & FATBIN_PACKED) {
	case 0:
		return true;
	case FATBIN_LZ4:
	case FATBIN_ZSTD:
		return e->compressed_size && e->compressed_size <= e->payload_size &&
		       e->unpacked_size && e->unpacked_size <= SIZE_MAX;
	default:
		return false;
	}
}

static int read_entry(const uint8_t *bytes, size_t left, struct fatbin_entry *e)
{
	if (left < sizeof(*e))
		return -EINVAL;
	memcpy(e, bytes, sizeof(*e));
	if (e->header_size < sizeof(*e) || e->header_size > left ||
	    !cudafront_inside(e->header_size, e->payload_size, left))
		return -EINVAL;
	return texts_inside(e, bytes) && sizes_sane(e) ? 0 : -EINVAL;
}

static void describe(const uint8_t *bytes, const struct fatbin_entry *e,
		     struct cudafront_entry *entry)
{
	bool packed = e->flags & FATBIN_PACKED;

	*entry = (struct cudafront_entry){
		.ptx = e->kind == FATBIN_PTX,
		.arch = e->arch,
		.flags = e->flags,
		.start = bytes,
		.header_length = e->header_size,
		.payload = bytes + e->header_size,
		.payload_length = packed ? e->compressed_size : e->payload_size,
		.length = packed ? e->unpacked_size : e->payload_size,
	};
}

/* As cudafront_fatbin_next(), and says how many bytes the whole entry takes. */
static int next(const uint8_t *bytes, size_t length, size_t *cursor,
		struct cudafront_entry *entry, size_t *taken)
{
	size_t start, end;

	if (read_header(bytes, length, &start, &end))
		return -EINVAL;
	if (!*cursor)
		*cursor = start;
	if (*cursor < start || *cursor > end)
		return -EINVAL;
	while (*cursor < end) {
		struct fatbin_entry e;
		const uint8_t *at = bytes + *cursor;

		if (read_entry(at, end - *cursor, &e))
			return -EINVAL;
		*taken = e.header_size + e.payload_size;
		*cursor += *taken;
		if (e.kind == FATBIN_PTX || e.kind == FATBIN_ELF) {
			describe(at, &e, entry);
			return 1;
		}
	}
	return 0;
}

int cudafront_fatbin_next(const void *fatbin, size_t length, size_t *cursor,
			  struct cudafront_entry *entry)
{
	size_t taken;

	return next(fatbin, length, cursor, entry, &taken);
}

static bool usable(const struct cudafront_entry *entry, unsigned major, unsigned minor)
{
	unsigned arch = major * 10 + minor;
	bool lower = entry->arch / 10 == major && entry->arch % 10 <= minor;

	if (entry->flags & FATBIN_ARCH_SPECIFIC)
		return entry->arch == arch;
	if (entry->ptx && !(entry->flags & FATBIN_FAMILY_SPECIFIC))
		return entry->arch <= arch;
	return lower;
}

/* Copy what is usable to @out, if given; the bytes that it takes, or -EINVAL. */
static ssize_t copy_usable(const uint8_t *bytes, size_t length, int major, int minor, uint8_t *out)
{
	struct cudafront_entry entry;
	size_t cursor = 0, taken, used = 0;
	int r;

	while ((r = next(bytes, length, &cursor, &entry, &taken)) > 0) {
		if (!usable(&entry, major, minor))
			continue;
		if (out)
			memcpy(out + used, entry.start, taken);
		used += taken;
	}
	return r ? r : (ssize_t)used;
}

CUresult cudafront_fatbin_trim(const void *fatbin, size_t length, int major, int minor, void **out,
			       size_t *out_length)
{
	struct fatbin_header h = {
		.magic = FATBIN_MAGIC,
		.version = FATBIN_VERSION,
		.header_size = sizeof(h),
	};
	ssize_t size = copy_usable(fatbin, length, major, minor, NULL);
	uint8_t *trimmed;

	if (size < 0)
		return CUDA_ERROR_INVALID_IMAGE;
	if (!size)
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	trimmed = malloc(sizeof(h) + size);
	if (!trimmed)
		return CUDA_ERROR_OUT_OF_MEMORY;
	h.size = size;
	memcpy(trimmed, &h, sizeof(h));
	copy_usable(fatbin, length, major, minor, trimmed + sizeof(h));
	*out = trimmed;
	*out_length = sizeof(h) + size;
	return CUDA_SUCCESS;
}

/* Does the payload unpack to exactly as many bytes as its header says? */
static bool unpack(const struct cudafront_entry *e, char *out)
{
	size_t n;

	switch (e->flags & FATBIN_PACKED) {
	case FATBIN_LZ4:
		return LZ4_decompress_safe((const char *)e->payload, out, e->payload_length,
					   e->length) == (int)e->length;
	case FATBIN_ZSTD:
		n = ZSTD_decompress(out, e->length, e->payload, e->payload_length);
		return !ZSTD_isError(n) && n == e->length;
	default:
		memcpy(out, e->payload, e->length);
		return true;
	}
}

static bool believable(const struct cudafront_entry *e)
{
	if (e->length > CUDAFRONT_UNPACK_MAX || e->payload_length > CUDAFRONT_UNPACK_MAX)
		return false;
	return !(e->flags & FATBIN_LZ4) || e->length / LZ4_MAX_RATIO <= e->payload_length;
}

/* Containers hold PTX with its NUL and padding; text is what comes before. */
static size_t without_padding(const struct cudafront_entry *e, const char *bytes)
{
	return e->ptx ? strnlen(bytes, e->length) : e->length;
}

CUresult cudafront_entry_unpack(const struct cudafront_entry *entry, void **out,
				size_t *out_length)
{
	char *bytes;

	if (!believable(entry))
		return CUDA_ERROR_INVALID_IMAGE;
	bytes = malloc(entry->length + 1);
	if (!bytes)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (!unpack(entry, bytes)) {
		free(bytes);
		return CUDA_ERROR_INVALID_IMAGE;
	}
	bytes[entry->length] = '\0';
	*out = bytes;
	*out_length = without_padding(entry, bytes);
	return CUDA_SUCCESS;
}
