/* SPDX-License-Identifier: MIT */
/*
 * Clients that come over /dev/vgpuN: their channels are accepted from
 * /dev/vgpuctl. Devices that are made meanwhile are bound when they appear.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "server/binding.h"
#include "server/server.h"

struct ctl {
	struct vgpu_source	source;		/* its fd: of an epoll of the two below */
	int			node;
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
	struct ctl *ctl = to_ctl(s);
	struct vgpu_ioc_info info;
	int fd, err;

	vgpu_binder_follow(ctl->binder);
	fd = ioctl(ctl->node, VGPU_CTL_ACCEPT, 0);
	if (fd < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (ioctl(fd, VGPU_IOC_INFO, &info)) {
		err = -errno;
		close(fd);	/* which loses the channel */
		return err;
	}
	describe(ctl, &info, c);
	c->fd = fd;
	return 0;
}

static void close_ctl(struct vgpu_source *s)
{
	struct ctl *ctl = to_ctl(s);

	close(s->fd);
	vgpu_binder_close(ctl->binder);
	close(ctl->node);
	free(ctl);
}

static int watch(const struct ctl *ctl)
{
	const int fds[] = { ctl->node, vgpu_binder_fd(ctl->binder) };
	int both = epoll_create1(EPOLL_CLOEXEC), err = both < 0 ? -errno : 0;

	for (int i = 0; i < 2 && !err; i++) {
		struct epoll_event e = { .events = EPOLLIN };

		err = epoll_ctl(both, EPOLL_CTL_ADD, fds[i], &e) ? -errno : 0;
	}
	if (!err)
		return both;
	vgpu_log("cannot watch the module: %s", strerror(-err));
	if (both >= 0)
		close(both);
	return err;
}

/* Until the module's node is ours, another daemon binds the devices. */
static int open_all(struct ctl *ctl, const char *path, const struct vgpu_gpu *gpus, unsigned ngpus)
{
	int err = ctl->node = vgpu_node_open(path, 0);

	if (err < 0)
		return err;
	err = vgpu_binder_open(&ctl->binder, gpus, ngpus);
	if (err) {
		vgpu_log("cannot manage virtual GPUs: netlink: %s", strerror(-err));
		goto close_node;
	}
	err = vgpu_binder_bind_all(ctl->binder);
	if (err)
		goto close_binder;
	err = ctl->source.fd = watch(ctl);
	if (err >= 0)
		return 0;
close_binder:
	vgpu_binder_close(ctl->binder);
close_node:
	close(ctl->node);
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
