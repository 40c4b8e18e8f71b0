/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a message of a control connection: what is taken for good is so
 * within the bounds of the struct, and says the same when it is written again.
 */
#include "link/control.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vgpu_control c, again;
	const char *wrong = vgpu_control_parse((const char *)data, size, &c);
	char *text;

	if (wrong) {
		require(*wrong);
		return 0;
	}
	require(size <= VGPU_CONTROL_MAX);
	require(memchr(c.text, 0, sizeof(c.text)));
	text = vgpu_control_format(&c);
	require(text && strlen(text) <= VGPU_CONTROL_MAX);
	require(!vgpu_control_parse(text, strlen(text), &again));
	require(!memcmp(&c, &again, sizeof(c)));
	free(text);
	return 0;
}
