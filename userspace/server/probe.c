/* SPDX-License-Identifier: MIT */
/* A look at the driver before the server is ready. */
#include "proto/cuda_api.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "gen/driver.h"
#include "server/server.h"

/* As the module takes a name: printable ASCII, not too long. */
static void set_name(struct vgpu_gpu *gpu, const char *name)
{
	snprintf(gpu->name, sizeof(gpu->name), "%s", name);
	for (char *c = gpu->name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static CUresult look_at(const struct vgpu_driver *d, int ordinal, struct vgpu_gpu *gpu)
{
	char name[256] = "";
	size_t memory = 0;
	CUdevice dev;
	CUresult r = d->cuDeviceGet(&dev, ordinal);

	if (!r)
		r = d->cuDeviceGetName(name, sizeof(name), dev);
	if (!r)
		r = d->cuDeviceTotalMem_v2(&memory, dev);
	set_name(gpu, name);
	gpu->memory = memory;
	return r;
}

static CUresult look_at_all(const struct vgpu_driver *d, struct vgpu_probe *p)
{
	int n = 0;
	CUresult r = d->cuInit(0);

	if (!r)
		r = d->cuDriverGetVersion(&p->version);
	if (!r)
		r = d->cuDeviceGetCount(&n);
	if (!r && n <= 0)
		r = CUDA_ERROR_NO_DEVICE;
	p->count = n < VGPU_GPUS_MAX ? n : VGPU_GPUS_MAX;
	for (unsigned i = 0; i < p->count && !r; i++)
		r = look_at(d, i, &p->gpus[i]);
	return r;
}

static int look(const struct vgpu_options *o, struct vgpu_probe *p)
{
	static struct vgpu_driver d;
	char why[512];
	CUresult r;

	if (vgpu_driver_open(&d, o->libcuda, why, sizeof(why))) {
		vgpu_log("no driver: %s", why);
		return 1;
	}
	r = look_at_all(&d, p);
	if (r)
		vgpu_log("%s has no device for us: error %d", o->libcuda, r);
	return r != 0;
}

static void child(const struct vgpu_options *o, struct vgpu_probe *p, int fd)
{
	if (o->devices)
		setenv("CUDA_VISIBLE_DEVICES", o->devices, 1);
	if (look(o, p))
		_exit(1);
	for (size_t at = 0; at < sizeof(*p);) {
		ssize_t n = write(fd, (char *)p + at, sizeof(*p) - at);

		if (n <= 0)
			_exit(1);
		at += n;
	}
	_exit(0);
}

/* All of it, or it is none. */
static bool take(int fd, struct vgpu_probe *p)
{
	size_t at = 0;
	ssize_t n;

	while (at < sizeof(*p) && (n = read(fd, (char *)p + at, sizeof(*p) - at)) > 0)
		at += n;
	return at == sizeof(*p);
}

int vgpu_probe(const struct vgpu_options *o, struct vgpu_probe *p)
{
	int ends[2], status;
	bool good;
	pid_t pid;

	if (pipe(ends))
		return -errno;
	pid = fork();
	if (!pid)
		child(o, p, ends[1]);
	close(ends[1]);
	good = pid > 0 && take(ends[0], p);
	close(ends[0]);
	if (pid < 0)
		return -EAGAIN;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return good ? 0 : -ENODEV;
}
