/* SPDX-License-Identifier: MIT */
/* A look at the driver before the server is ready. */
#include "proto/cuda_api.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "gen/driver.h"
#include "server/server.h"

struct answer {
	int	version;
	int	devices;
};

static int look(const struct vgpu_options *o, struct answer *a)
{
	static struct vgpu_driver d;
	char why[512];
	CUresult r;

	if (vgpu_driver_open(&d, o->libcuda, why, sizeof(why))) {
		vgpu_log("no driver: %s", why);
		return 1;
	}
	r = d.cuInit(0);
	if (!r)
		r = d.cuDriverGetVersion(&a->version);
	if (!r)
		r = d.cuDeviceGetCount(&a->devices);
	if (!r && !a->devices)
		r = CUDA_ERROR_NO_DEVICE;
	if (r)
		vgpu_log("%s has no device for us: error %d", o->libcuda, r);
	return r != 0;
}

static void child(const struct vgpu_options *o, int fd)
{
	struct answer a = {};

	if (o->devices)
		setenv("CUDA_VISIBLE_DEVICES", o->devices, 1);
	if (look(o, &a) || write(fd, &a, sizeof(a)) != sizeof(a))
		_exit(1);
	_exit(0);
}

int vgpu_probe(const struct vgpu_options *o, int *version, int *devices)
{
	struct answer a;
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe(ends))
		return -errno;
	pid = fork();
	if (!pid)
		child(o, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -EAGAIN;
	}
	n = read(ends[0], &a, sizeof(a));
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n != sizeof(a))
		return -ENODEV;
	*version = a.version;
	*devices = a.devices;
	return 0;
}
