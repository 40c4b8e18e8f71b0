/* SPDX-License-Identifier: MIT */
/* Devices and events for programs. The members are promised by vgpu(8). */
#include <errno.h>
#include <string.h>
#include "daemons.h"

/* Numbers of jansson have a sign; the upper half of ours become reals. */
static json_t *number(uint64_t n)
{
	return n <= INT64_MAX ? json_integer(n) : json_real(n);
}

static json_t *string(const char *in)
{
	char text[VGPU_CLEAN_TEXT(VGPU_BACKEND_MAX)];

	return json_string(vgpu_text_clean(in, text, sizeof(text)));
}

/* Add members of a device to @to; -1: no memory, @to is incomplete. */
static int add_identity(json_t *to, const struct vgpu_nl_device *d)
{
	char node[32], uuid[VGPU_UUID_TEXT];

	snprintf(node, sizeof(node), "/dev/vgpu%u", d->number);
	vgpu_uuid_format(d->uuid, uuid);
	return json_object_set_new(to, "device", number(d->number)) ||
	       json_object_set_new(to, "node", string(node)) ||
	       json_object_set_new(to, "name", string(d->name)) ||
	       json_object_set_new(to, "uuid", string(uuid)) ||
	       json_object_set_new(to, "state", string(vgpu_device_state_name(d->state))) ||
	       json_object_set_new(to, "backend", string(d->backend)) ? -1 : 0;
}

static int add_quantities(json_t *to, const struct vgpu_nl_device *d)
{
	const struct {
		const char	*name;
		uint64_t	value;
	} members[] = {
		{ "memory", d->memory },
		{ "budget", d->budget },
		{ "channel_budget", d->channel_budget },
		{ "charged", d->charged },
		{ "channels", d->channels },
		{ "channels_total", d->channels_total },
		{ "channels_lost", d->channels_lost },
		{ "copied", d->copied },
	};

	for (unsigned i = 0; i < sizeof(members) / sizeof(*members); i++)
		if (json_object_set_new(to, members[i].name, number(members[i].value)))
			return -1;
	return 0;
}

static json_t *complete(json_t *json, int err)
{
	if (!err)
		return json;
	json_decref(json);
	return NULL;
}

json_t *vgpu_device_json(const struct vgpu_nl_device *d, const struct vgpu_daemons *daemons)
{
	json_t *json = json_object();
	struct vgpu_lead lead;
	int err = add_identity(json, d) || add_quantities(json, d);

	if (!err)
		err = json_object_set_new(json, "server", vgpu_daemons_lead(daemons, d, &lead) ?
					  vgpu_lead_json(&lead) : json_null());
	return complete(json, err);
}

json_t *vgpu_devices_json(const struct vgpu_nl_device *devices, unsigned count,
			  const struct vgpu_daemons *daemons)
{
	json_t *array = json_array();
	int err = 0;

	for (unsigned i = 0; i < count && !err; i++)
		err = json_array_append_new(array, vgpu_device_json(&devices[i], daemons));
	array = complete(array, err);
	return array ? json_pack("{so}", "devices", array) : NULL;
}

static const char *event_name(enum vgpu_cmd cmd)
{
	switch (cmd) {
	case VGPU_CMD_DEVICE_NEW_NTF: return "device_add";
	case VGPU_CMD_DEVICE_SET_NTF: return "device_set";
	case VGPU_CMD_DEVICE_DEL_NTF: return "device_rm";
	case VGPU_CMD_CHANNEL_OPEN_NTF: return "channel_open";
	case VGPU_CMD_CHANNEL_CHANGE_NTF: return "channel_change";
	case VGPU_CMD_CHANNEL_CLOSE_NTF: return "channel_close";
	default: return "unknown";
	}
}

static bool is_of_device(enum vgpu_cmd cmd)
{
	return cmd == VGPU_CMD_DEVICE_NEW_NTF || cmd == VGPU_CMD_DEVICE_SET_NTF ||
	       cmd == VGPU_CMD_DEVICE_DEL_NTF;
}

static int add_channel(json_t *to, const struct vgpu_nl_event *e)
{
	return json_object_set_new(to, "device", number(e->device.number)) ||
	       json_object_set_new(to, "channel", number(e->channel)) ||
	       json_object_set_new(to, "channel_state",
				   string(vgpu_channel_state_name(e->channel_state))) ? -1 : 0;
}

json_t *vgpu_event_json(const struct vgpu_nl_event *e)
{
	json_t *json = json_object();
	int err = json_object_set_new(json, "event", string(event_name(e->cmd)));

	if (!err && is_of_device(e->cmd))
		err = add_identity(json, &e->device) || add_quantities(json, &e->device);
	else if (!err)
		err = add_channel(json, e);
	return complete(json, err);
}

int vgpu_json_print(FILE *out, json_t *json, size_t flags)
{
	int err;

	if (!json)
		return -ENOMEM;
	err = json_dumpf(json, out, flags) || fputc('\n', out) == EOF ? -EIO : 0;
	json_decref(json);
	return err;
}
