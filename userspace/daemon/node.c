/* SPDX-License-Identifier: MIT */
/* The module's node for daemons. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include "daemon/daemon.h"

#define BUSY_MS	50	/* between tries */

static const char *node_error(int err)
{
	switch (err) {
	case -EBUSY:
		return "another daemon has it";
	case -EPERM:
	case -EACCES:
		return "only root may have it";
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return "there is none: is the module vgpu loaded?";
	default:
		return strerror(-err);
	}
}

int vgpu_node_open(const char *path, int busy_ms)
{
	int fd, err;

	for (;;) {
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0)
			return fd;
		err = -errno;
		if (err != -EBUSY || busy_ms <= 0)
			break;
		poll(NULL, 0, BUSY_MS);
		busy_ms -= BUSY_MS;
	}
	vgpu_log("cannot serve %s: %s", path, node_error(err));
	return err;
}
