/* SPDX-License-Identifier: MIT */
/* add, set and rm. */
#include <errno.h>
#include <string.h>
#include "daemons.h"

int vgpu_add(struct vgpu_nl *nl, const struct vgpu_request *r)
{
	static const struct vgpu_daemons nobody;	/* can know it already */
	struct vgpu_nl_device made;
	int err = vgpu_nl_new(nl, &r->want, &made);

	if (err)
		return vgpu_refused(nl, err, "add");
	if (r->json)
		err = vgpu_json_print(stdout, vgpu_device_json(&made, &nobody), JSON_INDENT(2));
	else
		printf("vgpu%u\n", made.number);
	if (err)
		vgpu_complain("vgpu%u is there, but cannot be printed: %s", made.number,
			      strerror(-err));
	return err ? REFUSED : DONE;
}

int vgpu_set(struct vgpu_nl *nl, const struct vgpu_request *r)
{
	struct vgpu_nl_device change = r->want;
	int err;

	err = vgpu_target_find(nl, r->targets);
	if (err)
		return err;
	change.number = r->targets->number;
	err = vgpu_nl_set(nl, &change);
	return err ? vgpu_refused(nl, err, r->targets->text) : DONE;
}

/* It may have become free since; the counts are then what they are. */
static int in_use(struct vgpu_nl *nl, uint32_t number)
{
	struct vgpu_nl_device d;
	int err = vgpu_nl_get(nl, number, &d);

	if (!err && d.channels)
		vgpu_complain("vgpu%u is in use by %llu channel%s: stop their programs first",
			      number, (unsigned long long)d.channels, d.channels > 1 ? "s" : "");
	else
		vgpu_complain("vgpu%u is open: fuser -v /dev/vgpu%u shows by whom", number, number);
	return REFUSED;
}

static int remove_one(struct vgpu_nl *nl, struct vgpu_target *target)
{
	int err = vgpu_target_find(nl, target);

	if (err)
		return err;
	err = vgpu_nl_del(nl, target->number);
	if (err == -EBUSY)
		return in_use(nl, target->number);
	return err ? vgpu_refused(nl, err, target->text) : DONE;
}

int vgpu_rm(struct vgpu_nl *nl, const struct vgpu_request *r)
{
	int result = DONE;

	for (unsigned i = 0; i < r->ntargets; i++)
		if (remove_one(nl, &r->targets[i]))
			result = REFUSED;
	return result;
}
