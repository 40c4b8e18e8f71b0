/* SPDX-License-Identifier: MIT */
/* See dial.h. A resolver that takes minutes is left alone: who ends last frees. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "link/stream.h"
#include "vgpud/dial.h"

struct vgpu_dial {
	int	users;		/* atomic: the thread and who started it */
	int	event;		/* what is below is written before it is */
	int	socket;
	char	why[256];
	char	address[];
};

/* @d may be gone afterwards. */
static void put(struct vgpu_dial *d)
{
	if (__atomic_sub_fetch(&d->users, 1, __ATOMIC_ACQ_REL))
		return;
	if (d->socket >= 0)
		close(d->socket);
	close(d->event);
	free(d);
}

static void *resolve(void *arg)
{
	struct vgpu_dial *d = arg;

	d->socket = vgpu_address_connect(d->address, d->why, sizeof(d->why));
	eventfd_write(d->event, 1);
	put(d);
	return NULL;
}

static int start_thread(struct vgpu_dial *d)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = -pthread_create(&thread, &attr, resolve, d);
	pthread_attr_destroy(&attr);
	return err;
}

int vgpu_dial_start(struct vgpu_dial **out, const char *address)
{
	struct vgpu_dial *d = calloc(1, sizeof(*d) + strlen(address) + 1);
	int err;

	if (!d)
		return -ENOMEM;
	strcpy(d->address, address);
	d->socket = -1;
	d->users = 2;
	d->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = d->event < 0 ? -errno : start_thread(d);
	if (!err) {
		*out = d;
		return 0;
	}
	if (d->event >= 0)
		close(d->event);
	free(d);
	return err;
}

int vgpu_dial_fd(const struct vgpu_dial *d)
{
	return d->event;
}

int vgpu_dial_take(struct vgpu_dial *d, char *why, size_t room)
{
	eventfd_t count;
	int fd;

	/* Which orders what the thread wrote before what is read here. */
	if (eventfd_read(d->event, &count)) {
		snprintf(why, room, "%s", strerror(EINPROGRESS));
		vgpu_dial_drop(d);
		return -EINPROGRESS;
	}
	fd = d->socket;
	d->socket = -1;
	snprintf(why, room, "%s", d->why);
	put(d);
	return fd;
}

void vgpu_dial_drop(struct vgpu_dial *d)
{
	if (d)
		put(d);
}
