/* SPDX-License-Identifier: MIT */
/*
 * How a GPU of this server is named in text: "local:K" as a device's backend,
 * and "N=K:UUID,N=K:UUID" on the command line of a worker, N that of /dev/vgpuN.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "nl/nl.h"
#include "server/gpus.h"

#define LOCAL	"local:"

/* Digits alone, without a zero before them; where they end, or NULL. */
static const char *number_parse(const char *text, unsigned *number)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9' || (*text == '0' && text[1] >= '0' && text[1] <= '9'))
		return NULL;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || n > INT_MAX)
		return NULL;
	*number = n;
	return end;
}

int vgpu_backend_parse(const char *backend, unsigned *ordinal)
{
	const char *end;

	if (strncmp(backend, LOCAL, strlen(LOCAL)))
		return -EINVAL;
	end = number_parse(backend + strlen(LOCAL), ordinal);
	return end && !*end ? 0 : -EINVAL;
}

void vgpu_backend_format(unsigned ordinal, char *backend, size_t room)
{
	snprintf(backend, room, LOCAL "%u", ordinal);
}

void vgpu_gpu_list_format(const struct vgpu_gpu_list *list, char *text, size_t room)
{
	char uuid[VGPU_UUID_TEXT];
	size_t at = 0;

	*text = 0;
	for (unsigned i = 0; i < list->count && at < room; i++) {
		vgpu_uuid_format(list->gpus[i].uuid, uuid);
		at += snprintf(text + at, room - at, "%s%u=%u:%s", i ? "," : "",
			       list->gpus[i].number, list->gpus[i].ordinal, uuid);
	}
}

/* "N=K:UUID"; where it ends, or NULL. */
static const char *entry_parse(const char *text, unsigned *number, unsigned *ordinal,
			       uint8_t *bytes)
{
	const size_t length = VGPU_UUID_TEXT - 1;
	const char *at = number_parse(text, number);
	char uuid[VGPU_UUID_TEXT];

	if (!at || *at++ != '=')
		return NULL;
	at = number_parse(at, ordinal);
	if (!at || *at++ != ':' || strnlen(at, length) < length)
		return NULL;
	memcpy(uuid, at, length);
	uuid[length] = 0;
	return vgpu_uuid_parse(uuid, bytes) ? NULL : at + length;
}

int vgpu_gpu_list_parse(const char *text, struct vgpu_gpu_list *list)
{
	list->count = 0;
	do {
		unsigned i = list->count++;

		if (i == VGPU_CHANNEL_DEVICES)
			return -EINVAL;
		text = entry_parse(text, &list->gpus[i].number, &list->gpus[i].ordinal,
				   list->gpus[i].uuid);
	} while (text && *text++ == ',');
	return text && !text[-1] ? 0 : -EINVAL;
}
