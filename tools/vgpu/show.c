/* SPDX-License-Identifier: MIT */
/* list and show: what devices there are. Nothing is changed here. */
#include <stdlib.h>
#include "daemons.h"

/*
 * What the daemons say of the devices' other end. One that is not there, or makes
 * no sense, which was complained about, is no reason not to show devices.
 */
static void ask(struct vgpu_daemons *d, const struct vgpu_request *r)
{
	*d = (struct vgpu_daemons){};
	vgpu_daemons_ask_vgpud(d, r);
	vgpu_daemons_ask_server(d, r);
}

int vgpu_list(struct vgpu_nl *nl, const struct vgpu_request *r)
{
	struct vgpu_nl_device *devices;
	struct vgpu_daemons daemons;
	int count = vgpu_nl_dump(nl, &devices), err;

	if (count < 0)
		return vgpu_refused(nl, count, "list");
	ask(&daemons, r);
	if (r->json)
		err = vgpu_json_print(stdout, vgpu_devices_json(devices, count, &daemons),
				      JSON_INDENT(2));
	else
		err = vgpu_devices_print(stdout, devices, count, &daemons);
	vgpu_daemons_free(&daemons);
	free(devices);
	return vgpu_written(err);
}

static void show(const struct vgpu_nl_device *d, const struct vgpu_daemons *daemons)
{
	struct vgpu_lead lead;

	vgpu_device_print(stdout, d);
	if (vgpu_daemons_lead(daemons, d, &lead))
		vgpu_lead_print(stdout, &lead);
}

int vgpu_show(struct vgpu_nl *nl, const struct vgpu_request *r)
{
	struct vgpu_daemons daemons;
	struct vgpu_nl_device d;
	int err;

	err = vgpu_target_find(nl, r->targets);
	if (err)
		return err;
	err = vgpu_nl_get(nl, r->targets->number, &d);
	if (err)
		return vgpu_refused(nl, err, r->targets->text);
	ask(&daemons, r);
	if (r->json)
		err = vgpu_json_print(stdout, vgpu_device_json(&d, &daemons), JSON_INDENT(2));
	else
		show(&d, &daemons);
	vgpu_daemons_free(&daemons);
	return vgpu_written(err);
}
