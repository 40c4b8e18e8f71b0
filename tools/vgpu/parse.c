/* SPDX-License-Identifier: MIT */
/* The words people use: sizes, numbers, names of devices. Options are not known here. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include "vgpu.h"

/* Decimal digits up to *@end; strtoull() would take signs and blanks, too. */
static int digits_parse(const char *text, const char **end, uint64_t *value)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++)
		if (__builtin_mul_overflow(n, 10ull, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
			return -ERANGE;
	*end = text;
	*value = n;
	return 0;
}

int vgpu_size_parse(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGTPE";
	const char *rest, *unit;
	uint64_t n;
	int err;

	err = digits_parse(text, &rest, &n);
	if (err)
		return err;
	unit = *rest ? strchr(units, toupper((unsigned char)*rest)) : NULL;
	if (unit)
		rest++;
	/* 16G, 16GB and 16GiB are the same */
	if (*rest && strcasecmp(rest, "b") && !(unit && !strcasecmp(rest, "ib")))
		return -EINVAL;
	if (unit && __builtin_mul_overflow(n, 1ull << 10 * (unit - units + 1), &n))
		return -ERANGE;
	*bytes = n;
	return 0;
}

int vgpu_number_parse(const char *text, uint32_t *number)
{
	const char *end;
	uint64_t n;
	int err;

	err = digits_parse(text, &end, &n);
	if (err)
		return err;
	if (*end)
		return -EINVAL;
	if (n > UINT32_MAX)
		return -ERANGE;
	*number = n;
	return 0;
}

int vgpu_gpu_uuid_parse(const char *text, uint8_t uuid[VGPU_UUID_BYTES])
{
	return vgpu_uuid_parse(strncmp(text, "GPU-", 4) ? text : text + 4, uuid);
}

int vgpu_target_parse(const char *text, struct vgpu_target *target)
{
	const char *number = text;

	memset(target, 0, sizeof(*target));
	target->text = text;
	target->by_uuid = !vgpu_gpu_uuid_parse(text, target->uuid);
	if (target->by_uuid)
		return 0;
	if (!strncmp(number, "/dev/", 5))
		number += 5;
	if (!strncmp(number, "vgpu", 4))
		number += 4;
	else if (number != text)
		return -EINVAL;
	return vgpu_number_parse(number, &target->number);
}
