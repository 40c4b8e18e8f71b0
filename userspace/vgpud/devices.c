/* SPDX-License-Identifier: MIT */
/* See devices.h. The module keeps what is decided here; vgpud keeps nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "vgpud/vgpud.h"

#define HAS(attr)	VGPU_NL_HAS(VGPU_ATTR_##attr)

struct vgpu_devices {
	struct vgpud		*vgpud;
	struct vgpu_nl		*nl, *events;
	struct vgpu_watch	watch;
};

/* ---- what is decided ---- */

static void set_name(struct vgpu_nl_device *change, const char *name)
{
	snprintf(change->name, sizeof(change->name), "%s", name);
	change->has |= HAS(NAME);
}

static void set_memory(struct vgpu_nl_device *change, uint64_t memory)
{
	change->memory = memory;
	change->has |= HAS(MEMORY);
}

void vgpu_device_decide(const struct vgpu_nl_device *d, const struct vgpu_config_gpu *want,
			const struct vgpu_device_gpu *gpu, struct vgpu_nl_device *change)
{
	char backend[VGPU_BACKEND_MAX + 1];
	bool another = false;

	*change = (struct vgpu_nl_device){ .number = d->number };
	if (want) {
		snprintf(backend, sizeof(backend), "%s:%u", want->server, want->ordinal);
		another = strcmp(backend, d->backend);
	}
	if (another) {
		strcpy(change->backend, backend);
		change->has |= HAS(BACKEND);
	}
	/* Name and memory of the one before do not fit; they come when they are known. */
	if (another && *d->name && !gpu)
		set_name(change, "");
	if (another && d->memory && !gpu)
		set_memory(change, 0);
	if (!gpu)
		return;
	if (*gpu->name && (!*d->name || another))
		set_name(change, gpu->name);
	if (gpu->memory != d->memory && (!d->memory || another))
		set_memory(change, gpu->memory);
}

/* ---- what is done about it ---- */

/* The server of a backend; NULL: it is none of ours. */
static struct vgpu_upstream *upstream_of(struct vgpu_devices *v, const char *backend,
					 unsigned *ordinal)
{
	struct vgpu_config_gpu gpu;
	int i = vgpu_config_gpu_parse(backend, &gpu) ? -1 :
		vgpu_config_find(v->vgpud->config, gpu.server);

	if (i < 0)
		return NULL;
	*ordinal = gpu.ordinal;
	return &v->vgpud->upstreams[i];
}

static const struct vgpu_device_gpu *gpu_of(const struct vgpu_upstream *u, unsigned ordinal,
					    struct vgpu_device_gpu *gpu)
{
	if (!u || !u->known || ordinal >= u->ngpus)
		return NULL;
	*gpu = (struct vgpu_device_gpu){ u->gpus[ordinal].name, u->gpus[ordinal].memory };
	return gpu;
}

static void change_device(struct vgpu_devices *v, const struct vgpu_nl_device *change)
{
	if (change->has && vgpu_nl_set(v->nl, change))
		vgpu_log("/dev/vgpu%u cannot be changed: %s", change->number,
			 vgpu_nl_error(v->nl));
}

static void complete(struct vgpu_devices *v, const struct vgpu_nl_device *d)
{
	struct vgpu_device_gpu gpu;
	struct vgpu_nl_device change;
	unsigned ordinal = 0;
	struct vgpu_upstream *u = upstream_of(v, d->backend, &ordinal);

	vgpu_device_decide(d, NULL, gpu_of(u, ordinal, &gpu), &change);
	change_device(v, &change);
}

void vgpu_devices_update(struct vgpu_devices *v)
{
	struct vgpu_nl_device *devices;
	int n = v ? vgpu_nl_dump(v->nl, &devices) : 0;

	if (n < 0)
		vgpu_log("cannot list the virtual GPUs: %s", vgpu_nl_error(v->nl));
	for (int i = 0; i < n; i++)
		complete(v, &devices[i]);
	if (n >= 0 && v)
		free(devices);
}

/* A device of the configuration: there, with that backend. */
static int provide(struct vgpu_devices *v, const struct vgpu_config_device *c)
{
	struct vgpu_nl_device d = { .number = c->number, .has = HAS(DEVICE) }, change;
	int err = vgpu_nl_get(v->nl, c->number, &d);

	if (err == -ENODEV) {
		d = (struct vgpu_nl_device){ .number = c->number, .has = HAS(DEVICE) };
		vgpu_device_decide(&d, &c->gpu, NULL, &change);
		change.has |= HAS(DEVICE);
		err = vgpu_nl_new(v->nl, &change, &d);
	} else if (!err) {
		vgpu_device_decide(&d, &c->gpu, NULL, &change);
		err = change.has ? vgpu_nl_set(v->nl, &change) : 0;
	}
	if (err)
		vgpu_log("/dev/vgpu%u cannot be had: %s", c->number, vgpu_nl_error(v->nl));
	return err;
}

/* Many events are read for one look: what they say may be old already. */
static void on_event(struct vgpu_watch *w, uint32_t events)
{
	struct vgpu_devices *v = vgpu_container(w, struct vgpu_devices, watch);
	struct vgpu_nl_event e;
	bool look = false;
	int n;

	while ((n = vgpu_nl_event(v->events, &e)) > 0 || n == -EPROTO)
		look |= n > 0 && (!*e.device.name || !e.device.memory) &&
			(e.cmd == VGPU_CMD_DEVICE_NEW_NTF || e.cmd == VGPU_CMD_DEVICE_SET_NTF);
	if (look || n == -ENOBUFS)
		vgpu_devices_update(v);
	if (n == -ENODEV)
		vgpu_watch_remove(w);
}

/* ---- a program's ---- */

static int find_one(struct vgpu_devices *v, uint32_t number, struct vgpu_upstream **upstream,
		    struct vgpu_session_gpus *gpus, char *why, size_t room)
{
	struct vgpu_nl_device d;
	unsigned ordinal = 0;
	int err = vgpu_nl_get(v->nl, number, &d);

	if (err) {
		snprintf(why, room, "/dev/vgpu%u cannot be asked for its backend: %s", number,
			 vgpu_nl_error(v->nl));
		return err;
	}
	*upstream = upstream_of(v, d.backend, &ordinal);
	if (!*d.backend)
		snprintf(why, room, "/dev/vgpu%u has no backend: vgpud.conf has no [device %u], "
			 "and `vgpu set %u --backend SERVER:K` was not run", number, number,
			 number);
	else if (!*upstream)
		snprintf(why, room, "the backend of /dev/vgpu%u, \"%s\", is no GPU of a server in "
			 "vgpud.conf", number, d.backend);
	else if ((*upstream)->known && ordinal >= (*upstream)->ngpus)
		snprintf(why, room, "the backend of /dev/vgpu%u is \"%s\", and server %s has %u "
			 "GPU%s", number, d.backend, (*upstream)->config->name,
			 (*upstream)->ngpus, (*upstream)->ngpus == 1 ? "" : "s");
	else
		goto found;
	return -EINVAL;
found:
	gpus->gpus[gpus->count].number = number;
	gpus->gpus[gpus->count].ordinal = ordinal;
	memcpy(gpus->gpus[gpus->count++].uuid, d.uuid, sizeof(d.uuid));
	return 0;
}

int vgpu_devices_find(struct vgpu_devices *v, const uint32_t *numbers, unsigned count,
		      struct vgpu_upstream **upstream, struct vgpu_session_gpus *gpus, char *why,
		      size_t room)
{
	struct vgpu_upstream *first = NULL, *u;

	gpus->count = 0;
	for (unsigned i = 0; i < count && i < VGPU_CHANNEL_DEVICES; i++) {
		int err = find_one(v, numbers[i], &u, gpus, why, room);

		if (err)
			return err;
		first = first ?: u;
		if (u == first)
			continue;
		snprintf(why, room, "/dev/vgpu%u is of server %s and /dev/vgpu%u of server %s: a "
			 "program can have one server; choose by VGPU_DEVICES", numbers[0],
			 first->config->name, numbers[i], u->config->name);
		return -EXDEV;
	}
	*upstream = first;
	return first ? 0 : -EINVAL;
}

/* ---- life ---- */

static int open_netlink(struct vgpu_devices *v)
{
	int err = vgpu_nl_open(&v->nl);

	/* Before the first look at the devices: no change is missed. */
	if (!err)
		err = vgpu_nl_events_open(&v->events);
	if (!err) {
		v->watch.ready = on_event;
		err = vgpu_watch_add(&v->vgpud->loop, &v->watch, vgpu_nl_fd(v->events), EPOLLIN);
	}
	if (err && err != -ENOENT)
		vgpu_log("cannot manage virtual GPUs: netlink: %s", strerror(-err));
	return err;
}

int vgpu_devices_open(struct vgpu_devices **out, struct vgpud *d)
{
	struct vgpu_devices *v = calloc(1, sizeof(*v));
	int err;

	if (!v)
		return -ENOMEM;
	v->vgpud = d;
	err = open_netlink(v);
	/* One that cannot be had is in nobody's way: it was logged. */
	for (unsigned i = 0; i < d->config->ndevices && !err; i++)
		provide(v, &d->config->devices[i]);
	if (err)
		vgpu_devices_close(v);
	else
		*out = v;
	return err;
}

void vgpu_devices_close(struct vgpu_devices *v)
{
	if (!v)
		return;
	vgpu_watch_remove(&v->watch);
	vgpu_nl_close(v->events);
	vgpu_nl_close(v->nl);
	free(v);
}
