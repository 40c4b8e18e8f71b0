/* SPDX-License-Identifier: MIT */
/* Which device is meant. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "vgpu.h"

static bool find_uuid(const struct vgpu_nl_device *devices, int count, struct vgpu_target *target)
{
	for (int i = 0; i < count; i++)
		if (!memcmp(devices[i].uuid, target->uuid, sizeof(target->uuid))) {
			target->number = devices[i].number;
			return true;
		}
	return false;
}

int vgpu_target_find(struct vgpu_nl *nl, struct vgpu_target *target)
{
	struct vgpu_nl_device *devices;
	bool found;
	int count;

	if (!target->by_uuid)
		return DONE;
	count = vgpu_nl_dump(nl, &devices);
	if (count < 0)
		return vgpu_refused(nl, count, target->text);
	found = find_uuid(devices, count, target);
	free(devices);
	if (found)
		return DONE;
	vgpu_complain("%s: no device has this UUID: see vgpu list -j", target->text);
	return REFUSED;
}
