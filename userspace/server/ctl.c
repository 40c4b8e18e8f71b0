/* SPDX-License-Identifier: MIT */
/* Clients that come over /dev/vgpuN: their channels are accepted from /dev/vgpuctl. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "server/binding.h"
#include "server/server.h"

struct ctl {
	struct vgpu_source	source;
	struct vgpu_binder	*binder;
};

static struct ctl *to_ctl(struct vgpu_source *s)
{
	return (struct ctl *)s;		/* its first member */
}

static void name_devices(const struct vgpu_ioc_info *info, char *text, size_t room)
{
	size_t at = 0;

	for (unsigned i = 0; i < info->ndevices && i < VGPU_CHANNEL_DEVICES && at < room; i++)
		at += snprintf(text + at, room - at, "%svgpu%u", i ? "," : "", info->devices[i]);
}

/* Who is at the other end, on which devices, and which GPUs those are. */
static void describe(struct ctl *ctl, const struct vgpu_ioc_info *info, struct vgpu_client *c)
{
	struct vgpu_gpu_list list;

	c->channel = true;
	c->who = (struct ucred){ .pid = info->pid, .uid = info->uid, .gid = info->gid };
	name_devices(info, c->place, sizeof(c->place));
	if (!vgpu_binder_find(ctl->binder, info->devices, info->ndevices, &list, c->refusal,
			      sizeof(c->refusal)))
		vgpu_gpu_list_format(&list, c->gpus, sizeof(c->gpus));
}

static int accept_channel(struct vgpu_source *s, struct vgpu_client *c)
{
	int fd = ioctl(s->fd, VGPU_CTL_ACCEPT, 0), err;
	struct vgpu_ioc_info info;

	if (fd < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (ioctl(fd, VGPU_IOC_INFO, &info)) {
		err = -errno;
		close(fd);	/* which loses the channel */
		return err;
	}
	describe(to_ctl(s), &info, c);
	c->fd = fd;
	return 0;
}

static void close_ctl(struct vgpu_source *s)
{
	vgpu_binder_close(to_ctl(s)->binder);
	close(s->fd);
	free(s);
}

static const char *open_error(int err)
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

/* In this order: until the module's node is ours, another daemon binds the devices. */
static int open_all(struct ctl *ctl, const char *path, const struct vgpu_gpu *gpus, unsigned ngpus)
{
	int err;

	ctl->source.fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (ctl->source.fd < 0) {
		err = -errno;
		vgpu_log("cannot serve %s: %s", path, open_error(err));
		return err;
	}
	err = vgpu_binder_open(&ctl->binder, gpus, ngpus);
	if (err) {
		vgpu_log("cannot manage virtual GPUs: netlink: %s", strerror(-err));
		goto close_node;
	}
	err = vgpu_binder_bind_all(ctl->binder);
	if (!err)
		return 0;
	vgpu_binder_close(ctl->binder);
close_node:
	close(ctl->source.fd);
	return err;
}

int vgpu_ctl_open(struct vgpu_source **out, const char *path, const struct vgpu_gpu *gpus,
		  unsigned ngpus)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	int err;

	if (!ctl)
		return -ENOMEM;
	ctl->source.accept = accept_channel;
	ctl->source.close = close_ctl;
	err = open_all(ctl, path, gpus, ngpus);
	if (err)
		free(ctl);
	else
		*out = &ctl->source;
	return err;
}
