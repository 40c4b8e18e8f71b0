/* SPDX-License-Identifier: MIT */
/* What is told of devices as people read and write it. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include "nl/nl.h"

/* A dash comes before these bytes. */
static bool dashed(int byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void vgpu_uuid_format(const uint8_t uuid[VGPU_UUID_BYTES], char text[VGPU_UUID_TEXT])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < VGPU_UUID_BYTES; i++) {
		if (dashed(i))
			*text++ = '-';
		*text++ = digits[uuid[i] >> 4];
		*text++ = digits[uuid[i] & 15];
	}
	*text = 0;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int vgpu_uuid_parse(const char *text, uint8_t uuid[VGPU_UUID_BYTES])
{
	uint8_t bytes[VGPU_UUID_BYTES];

	if (strlen(text) != VGPU_UUID_TEXT - 1)
		return -EINVAL;
	for (int i = 0; i < VGPU_UUID_BYTES; i++) {
		if (dashed(i) && *text++ != '-')
			return -EINVAL;
		if (digit(text[0]) < 0 || digit(text[1]) < 0)
			return -EINVAL;
		bytes[i] = digit(text[0]) << 4 | digit(text[1]);
		text += 2;
	}
	memcpy(uuid, bytes, sizeof(bytes));
	return 0;
}

static const char *name_of(const char *const *names, unsigned count, uint32_t n)
{
	return n < count ? names[n] : "unknown";
}

const char *vgpu_device_state_name(uint32_t state)
{
	static const char *const names[] = {
		[VGPU_DEVICE_UNBOUND] = "unbound",
		[VGPU_DEVICE_DOWN] = "down",
		[VGPU_DEVICE_READY] = "ready",
	};

	return name_of(names, sizeof(names) / sizeof(*names), state);
}

const char *vgpu_channel_state_name(uint32_t state)
{
	static const char *const names[] = {
		[VGPU_CHANNEL_WAITING] = "waiting",
		[VGPU_CHANNEL_ACTIVE] = "active",
		[VGPU_CHANNEL_FROZEN] = "frozen",
		[VGPU_CHANNEL_LOST] = "lost",
	};

	return name_of(names, sizeof(names) / sizeof(*names), state);
}
