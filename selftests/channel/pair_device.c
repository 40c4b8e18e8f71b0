// SPDX-License-Identifier: MIT
/* Two ends over the module: the test is the app and the daemon in one. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "channel/relay.h"
#include "pair.h"

#define WAIT_MS	20000

static int ctl = -1;

int device_listen(void)
{
	if (ctl < 0)
		ctl = open("/dev/vgpuctl", O_RDWR | O_CLOEXEC);
	return ctl < 0 ? -errno : ctl;
}

void device_listen_no_more(void)
{
	close(ctl);
	ctl = -1;
}

int device_accept(int timeout_ms)
{
	struct pollfd p = { .fd = ctl, .events = POLLIN };
	int fd;

	if (poll(&p, 1, timeout_ms) != 1)
		return -ETIMEDOUT;
	fd = ioctl(ctl, VGPU_CTL_ACCEPT, 0);
	return fd < 0 ? -errno : fd;
}

int device_open(struct vgpu_channel **app, const struct vgpu_ring_sizes *sizes)
{
	char answer[16];
	size_t len = sizeof(answer);
	int fd, err = vgpu_nodes_open(NULL, &fd, 1);

	if (err < 0)
		return err;
	err = vgpu_channel_open(app, &fd, 1, sizes, "hello there", 11, answer, &len,
				WAIT_MS);
	if (err)
		return err;
	return len == 7 && !memcmp(answer, "welcome", 7) ? 0 : -EBADMSG;
}

int device_adopt(struct vgpu_channel **peer)
{
	char hello[16];
	size_t len = sizeof(hello);
	int fd = device_accept(WAIT_MS), err;

	if (fd < 0)
		return fd;
	err = vgpu_channel_adopt(peer, fd, hello, &len, WAIT_MS);
	if (err)
		return err;
	if (len != 11 || memcmp(hello, "hello there", 11))
		return -EBADMSG;
	return vgpu_channel_answer(*peer, "welcome", 7);
}

/* Without looking at what the app said first: that is for whom it is relayed to. */
static int device_relay(struct vgpu_channel **relay)
{
	int fd = device_accept(WAIT_MS), err;

	if (fd < 0)
		return fd;
	err = vgpu_relay_adopt(relay, fd);
	return err ? err : vgpu_channel_answer(*relay, "welcome", 7);
}

struct adoption {
	int			(*adopt)(struct vgpu_channel **peer);
	struct vgpu_channel	*peer;
	int			err;
};

static void *adopt(void *arg)
{
	struct adoption *a = arg;

	a->err = a->adopt(&a->peer);
	return NULL;
}

static int make_pair(struct vgpu_channel **app, struct vgpu_channel **peer,
		     const struct vgpu_ring_sizes *sizes,
		     int (*adopt_peer)(struct vgpu_channel **peer))
{
	struct adoption a = { .adopt = adopt_peer };
	pthread_t thread;
	int err = device_listen();

	if (err < 0)
		return err;
	err = -pthread_create(&thread, NULL, adopt, &a);
	if (err)
		return err;
	err = device_open(app, sizes);
	pthread_join(thread, NULL);
	*peer = a.peer;
	return err ? err : a.err;
}

int test_pair(struct vgpu_channel **app, struct vgpu_channel **peer,
	      const struct vgpu_ring_sizes *sizes)
{
	return make_pair(app, peer, sizes, device_adopt);
}

int test_relay_pair(struct vgpu_channel **app, struct vgpu_channel **relay,
		    const struct vgpu_ring_sizes *sizes)
{
	return make_pair(app, relay, sizes, device_relay);
}
