/* SPDX-License-Identifier: MIT */
/* monitor: what happens, as it happens, until somebody stops it. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include "vgpu.h"

/* Newer kernels may tell of more. */
static bool is_known(enum vgpu_cmd cmd)
{
	return cmd >= VGPU_CMD_DEVICE_NEW_NTF && cmd <= VGPU_CMD_CHANNEL_CLOSE_NTF;
}

static int print(const struct vgpu_nl_event *e, bool json)
{
	int err = 0;

	if (!is_known(e->cmd))
		return 0;
	if (json)
		err = vgpu_json_print(stdout, vgpu_event_json(e), JSON_COMPACT);
	else
		vgpu_event_print(stdout, e);
	/* whoever reads wants to know now */
	if (!err && (fflush(stdout) || ferror(stdout)))
		err = -EIO;
	return err;
}

/* All events that are there. */
static int drain(struct vgpu_nl *events, bool json)
{
	struct vgpu_nl_event e;
	int got, err = 0;

	while (!err && (got = vgpu_nl_event(events, &e)) != 0) {
		if (got == -ENOBUFS)
			vgpu_complain("events were lost: they came faster than they were read");
		else
			err = got < 0 ? got : print(&e, json);
	}
	return err;
}

static int watch(struct vgpu_nl *events, bool json)
{
	struct pollfd p = { .fd = vgpu_nl_fd(events), .events = POLLIN };
	int err = 0;

	while (!err)
		if (poll(&p, 1, -1) < 0)
			err = errno == EINTR ? 0 : -errno;
		else
			err = drain(events, json);
	return err;
}

int vgpu_monitor(struct vgpu_nl *nl, const struct vgpu_request *r)
{
	struct vgpu_nl *events;
	int err = vgpu_nl_events_open(&events);

	if (err)
		return vgpu_unreachable(err);
	err = watch(events, r->json);
	vgpu_nl_close(events);
	vgpu_complain("monitor: %s", err == -ENODEV ? "the module was unloaded" : strerror(-err));
	return REFUSED;
}
