// SPDX-License-Identifier: MIT
/*
 * Any bytes as a code image: checked, walked, unpacked and trimmed. Beyond
 * what the sanitizers see, what was checked must stay readable, and what is
 * left of a good container is a good container.
 */
#include "cudafront/cudafront.h"

#include <stdlib.h>
#include <string.h>

/* More would only measure malloc(). */
#define UNPACK_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void unpack(const struct cudafront_entry *entry)
{
	size_t length;
	void *out;

	if (entry->length > UNPACK_MAX || cudafront_entry_unpack(entry, &out, &length))
		return;
	require(length <= entry->length);
	require(!((char *)out)[length]);
	cudafront_image_check(out, length);
	free(out);
}

static int walk(const uint8_t *data, size_t size)
{
	struct cudafront_entry entry;
	size_t cursor = 0;
	int r;

	while ((r = cudafront_fatbin_next(data, size, &cursor, &entry)) > 0) {
		require(cursor <= size);
		require(entry.start >= data && entry.payload >= entry.start);
		require(entry.payload + entry.payload_length <= data + size);
		unpack(&entry);
	}
	return r;
}

static void trim(const uint8_t *data, size_t size, int major, int minor, bool good)
{
	size_t length;
	void *out;

	if (cudafront_fatbin_trim(data, size, major, minor, &out, &length))
		return;
	require(length <= size);
	require(!walk(out, length));
	require(!good || cudafront_image_check(out, length) == CUDAFRONT_IMAGE_FATBIN);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum cudafront_image_kind kind = cudafront_image_check(data, size);
	bool good = kind == CUDAFRONT_IMAGE_FATBIN;

	require(kind != CUDAFRONT_IMAGE_WRAPPER);
	require(kind != CUDAFRONT_IMAGE_PTX || strlen((const char *)data) == size - 1);
	require(!walk(data, size) || !good);
	trim(data, size, 7, 5, good);
	trim(data, size, 9, 0, good);
	return 0;
}
