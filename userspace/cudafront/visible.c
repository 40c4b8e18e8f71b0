// SPDX-License-Identifier: MIT
/*
 * CUDA_VISIBLE_DEVICES: which devices a program sees, and in what order.
 */
#include "cudafront.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define UUID_PREFIX "GPU-"

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", as nvidia-smi shows it. */
#define UUID_TEXT 36

static void uuid_format(const CUuuid *uuid, char text[UUID_TEXT + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++) {
		uint8_t byte = (uint8_t)uuid->bytes[i];

		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[byte >> 4];
		*text++ = digits[byte & 15];
	}
	*text = '\0';
}

/* The one device whose UUID starts so; -1: none, or not only one. */
static int match_uuid(const char *prefix, size_t length, int count, const CUuuid *uuids)
{
	char text[UUID_TEXT + 1];
	int found = -1;

	if (!length || length > UUID_TEXT)
		return -1;
	for (int i = 0; i < count; i++) {
		uuid_format(&uuids[i], text);
		if (strncasecmp(text, prefix, length))
			continue;
		if (found >= 0)
			return -1;
		found = i;
	}
	return found;
}

static int match_index(const char *digits, size_t length, int count)
{
	int index = 0;

	if (!length)
		return -1;
	for (size_t i = 0; i < length; i++) {
		if (!isdigit((unsigned char)digits[i]))
			return -1;
		index = index * 10 + digits[i] - '0';
		if (index >= count)
			return -1;
	}
	return index;
}

/* The device that one entry of the list names, or -1. */
static int match(const char *entry, size_t length, int count, const CUuuid *uuids)
{
	const size_t skip = strlen(UUID_PREFIX);

	while (length && isspace((unsigned char)*entry)) {
		entry++;
		length--;
	}
	while (length && isspace((unsigned char)entry[length - 1]))
		length--;
	if (length >= skip && !strncmp(entry, UUID_PREFIX, skip))
		return match_uuid(entry + skip, length - skip, count, uuids);
	return match_index(entry, length, count);
}

int cudafront_visible_devices(const char *value, int count, const CUuuid *uuids, int *order)
{
	int n = 0;

	if (!value) {
		for (n = 0; n < count; n++)
			order[n] = n;
		return n;
	}
	for (;;) {
		size_t length = strcspn(value, ",");
		int dev = match(value, length, count, uuids);

		if (dev < 0)
			return n;
		for (int i = 0; i < n; i++)
			if (order[i] == dev)
				return 0;
		order[n++] = dev;
		if (!value[length])
			return n;
		value += length + 1;
	}
}
