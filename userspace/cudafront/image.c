// SPDX-License-Identifier: MIT
/*
 * What kind of code image somebody hands over, where it starts and how long it
 * is: told by the image itself where an application gives only a pointer,
 * checked against the length where the bytes came from elsewhere.
 */
#include "fatbin.h"
#include "internal.h"

#include <elf.h>
#include <string.h>

/* A cubin longer than this is taken for garbage. */
#define ELF_MAX ((size_t)4 << 30)

/* Text as PTX is: ASCII, or UTF-8 in comments. */
static bool is_text(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = bytes[i];

		if ((c < ' ' && !(c >= '\t' && c <= '\r')) || c == 0x7f)
			return false;
	}
	return length;
}

static CUresult find_container(const void *at, struct cudafront_image *image)
{
	struct fatbin_header h;

	memcpy(&h, at, sizeof(h));
	if (h.magic != FATBIN_MAGIC || h.version != FATBIN_VERSION || h.header_size < sizeof(h) ||
	    h.size > SIZE_MAX - h.header_size)
		return CUDA_ERROR_INVALID_IMAGE;
	image->kind = CUDAFRONT_IMAGE_FATBIN;
	image->start = at;
	image->length = h.header_size + h.size;
	return CUDA_SUCCESS;
}

static CUresult find_wrapped(const void *at, struct cudafront_image *image)
{
	struct fatbin_wrapper w;

	memcpy(&w, at, sizeof(w));
	if ((w.version != 1 && w.version != 2) || !w.container)
		return CUDA_ERROR_INVALID_IMAGE;
	if (w.version == 2)
		image->parts = (const void *const *)(uintptr_t)w.more;
	return find_container((const void *)(uintptr_t)w.container, image);
}

#define PARTS_MAX	4096

static bool has_ptx(const struct cudafront_image *image)
{
	struct cudafront_entry entry;
	size_t cursor = 0;

	while (cudafront_fatbin_next(image->start, image->length, &cursor, &entry) > 0)
		if (entry.ptx)
			return true;
	return false;
}

CUresult cudafront_image_part(const struct cudafront_image *image, struct cudafront_image *part)
{
	struct cudafront_image one;
	unsigned found = 0;

	for (unsigned i = 0; image->parts && image->parts[i] && i < PARTS_MAX; i++) {
		if (cudafront_image_find(image->parts[i], &one) ||
		    one.kind != CUDAFRONT_IMAGE_FATBIN || !has_ptx(&one))
			continue;
		*part = one;
		found++;
	}
	return found == 1 ? CUDA_SUCCESS : CUDA_ERROR_NO_BINARY_FOR_GPU;
}

static CUresult find_elf(const void *at, struct cudafront_image *image)
{
	image->kind = CUDAFRONT_IMAGE_ELF;
	image->start = at;
	image->length = cudafront_elf_length(at, ELF_MAX);
	return image->length ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}

static CUresult find_text(const char *at, struct cudafront_image *image)
{
	size_t length = strlen(at);

	image->kind = CUDAFRONT_IMAGE_PTX;
	image->start = at;
	image->length = length + 1;
	return is_text(at, length) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}

/* A magic, read byte by byte: a short text may end right before unmapped memory. */
static bool starts_with(const char *at, uint32_t magic)
{
	for (int i = 0; i < 4; i++, magic >>= 8)
		if ((uint8_t)at[i] != (magic & 0xff))
			return false;
	return true;
}

CUresult cudafront_image_find(const void *code, struct cudafront_image *image)
{
	const uint32_t elf = ELFMAG0 | ELFMAG1 << 8 | ELFMAG2 << 16 | ELFMAG3 << 24;

	*image = (struct cudafront_image){ .kind = CUDAFRONT_IMAGE_NONE };
	if (!code)
		return CUDA_ERROR_INVALID_VALUE;
	if (starts_with(code, FATBIN_WRAPPER_MAGIC))
		return find_wrapped(code, image);
	if (starts_with(code, FATBIN_MAGIC))
		return find_container(code, image);
	if (starts_with(code, elf))
		return find_elf(code, image);
	return find_text(code, image);
}

/*
 * Payloads that are packed are not looked into: who unpacks one checks what
 * comes out.
 */
static bool check_fatbin(const uint8_t *bytes, size_t length)
{
	struct cudafront_entry entry;
	struct fatbin_header h;
	size_t cursor = 0;
	int r;

	while ((r = cudafront_fatbin_next(bytes, length, &cursor, &entry)) > 0)
		if (!entry.ptx && !(entry.flags & (FATBIN_LZ4 | FATBIN_ZSTD)) &&
		    !cudafront_elf_check(entry.payload, entry.payload_length))
			return false;
	if (r)
		return false;
	memcpy(&h, bytes, sizeof(h));
	return h.header_size + h.size == length;
}

static bool check_text(const char *bytes, size_t length)
{
	return length && !bytes[length - 1] && is_text(bytes, length - 1);
}

enum cudafront_image_kind cudafront_image_check(const void *bytes, size_t length)
{
	uint32_t magic = 0;

	if (length >= sizeof(magic))
		memcpy(&magic, bytes, sizeof(magic));
	if (magic == FATBIN_MAGIC)
		return check_fatbin(bytes, length) ? CUDAFRONT_IMAGE_FATBIN : CUDAFRONT_IMAGE_NONE;
	if (length >= SELFMAG && !memcmp(bytes, ELFMAG, SELFMAG))
		return cudafront_elf_check(bytes, length) ? CUDAFRONT_IMAGE_ELF :
							    CUDAFRONT_IMAGE_NONE;
	return check_text(bytes, length) ? CUDAFRONT_IMAGE_PTX : CUDAFRONT_IMAGE_NONE;
}
