/* SPDX-License-Identifier: MIT */
/* See binding.h. The module keeps what is decided here; this server keeps nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/binding.h"
#include "server/server.h"

struct vgpu_binder {
	struct vgpu_nl		*nl;
	struct vgpu_nl		*events;
	const struct vgpu_gpu	*gpus;
	unsigned		ngpus;
};

int vgpu_binder_open(struct vgpu_binder **out, const struct vgpu_gpu *gpus, unsigned ngpus)
{
	struct vgpu_binder *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	b->gpus = gpus;
	b->ngpus = ngpus;
	err = vgpu_nl_open(&b->nl);
	/* Before the first look at the devices: no change is missed. */
	if (!err)
		err = vgpu_nl_events_open(&b->events);
	if (err)
		vgpu_binder_close(b);
	else
		*out = b;
	return err;
}

void vgpu_binder_close(struct vgpu_binder *b)
{
	vgpu_nl_close(b->events);
	vgpu_nl_close(b->nl);
	free(b);
}

int vgpu_binding_decide(const struct vgpu_nl_device *d, const struct vgpu_gpu *gpus,
			unsigned ngpus, unsigned *ordinal, struct vgpu_nl_device *change)
{
	const struct vgpu_gpu *gpu;

	*change = (struct vgpu_nl_device){ .number = d->number };
	if (!*d->backend) {
		*ordinal = d->number % ngpus;
		vgpu_backend_format(*ordinal, change->backend, sizeof(change->backend));
		change->has |= VGPU_NL_HAS(VGPU_ATTR_BACKEND);
	} else if (vgpu_backend_parse(d->backend, ordinal) || *ordinal >= ngpus) {
		return -EINVAL;
	}
	gpu = &gpus[*ordinal];
	if (!*d->name && *gpu->name) {
		strcpy(change->name, gpu->name);
		change->has |= VGPU_NL_HAS(VGPU_ATTR_NAME);
	}
	if (!d->memory) {
		change->memory = gpu->memory;
		change->has |= VGPU_NL_HAS(VGPU_ATTR_MEMORY);
	}
	return 0;
}

/*
 * An operator may set a backend between the look at @d and the change: then the
 * later one stays, as with any two who set the same thing at once.
 */
static int bind_device(struct vgpu_binder *b, const struct vgpu_nl_device *d, unsigned *ordinal,
		       char *why, size_t room)
{
	struct vgpu_nl_device change;
	int err;

	if (vgpu_binding_decide(d, b->gpus, b->ngpus, ordinal, &change)) {
		snprintf(why, room, "the backend of /dev/vgpu%u, \"%s\", is no GPU of this server",
			 d->number, d->backend);
		return -EINVAL;
	}
	err = change.has ? vgpu_nl_set(b->nl, &change) : 0;
	if (err)
		snprintf(why, room, "/dev/vgpu%u cannot be bound to local:%u: %s", d->number,
			 *ordinal, vgpu_nl_error(b->nl));
	return err;
}

int vgpu_binder_bind_all(struct vgpu_binder *b)
{
	struct vgpu_nl_device *devices;
	int n = vgpu_nl_dump(b->nl, &devices);
	char why[256];
	unsigned ordinal;

	if (n < 0) {
		vgpu_log("cannot list the virtual GPUs: %s", vgpu_nl_error(b->nl));
		return n;
	}
	/* One that cannot be had is in nobody's way: who opens it is told. */
	for (int i = 0; i < n; i++)
		if (bind_device(b, &devices[i], &ordinal, why, sizeof(why)))
			vgpu_log("%s", why);
	free(devices);
	return 0;
}

int vgpu_binder_fd(const struct vgpu_binder *b)
{
	return vgpu_nl_fd(b->events);
}

/* Many events are read for one look: what they say may be old already. */
void vgpu_binder_follow(struct vgpu_binder *b)
{
	struct vgpu_nl_event e;
	bool look = false;
	int n;

	while ((n = vgpu_nl_event(b->events, &e)) > 0 || n == -EPROTO)
		look |= n > 0 && !*e.device.backend &&
			(e.cmd == VGPU_CMD_DEVICE_NEW_NTF || e.cmd == VGPU_CMD_DEVICE_SET_NTF);
	if (look || n == -ENOBUFS)
		vgpu_binder_bind_all(b);
}

static int find_one(struct vgpu_binder *b, uint32_t number, struct vgpu_gpu_list *list, char *why,
		    size_t room)
{
	struct vgpu_nl_device d;
	int err = vgpu_nl_get(b->nl, number, &d);

	if (err) {
		snprintf(why, room, "/dev/vgpu%u cannot be asked for its backend: %s", number,
			 vgpu_nl_error(b->nl));
		return err;
	}
	list->gpus[list->count].number = number;
	memcpy(list->gpus[list->count].uuid, d.uuid, sizeof(d.uuid));
	return bind_device(b, &d, &list->gpus[list->count++].ordinal, why, room);
}

int vgpu_binder_find(struct vgpu_binder *b, const uint32_t *numbers, unsigned count,
		     struct vgpu_gpu_list *list, char *why, size_t room)
{
	int err = 0;

	list->count = 0;
	for (unsigned i = 0; i < count && i < VGPU_CHANNEL_DEVICES && !err; i++)
		err = find_one(b, numbers[i], list, why, room);
	return err;
}
