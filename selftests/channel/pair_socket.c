// SPDX-License-Identifier: MIT
/* Two ends over the socket backend. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel/relay.h"
#include "pair.h"

#define WAIT_MS	20000

int test_pair(struct vgpu_channel **app, struct vgpu_channel **peer,
	      const struct vgpu_ring_sizes *sizes)
{
	return vgpu_channel_pair(app, peer, sizes);
}

struct connection {
	struct vgpu_channel		*app;
	const struct vgpu_ring_sizes	*sizes;
	char				path[64];
	int				err;
};

static void *app_connect(void *arg)
{
	struct connection *c = arg;
	char answer[16];
	size_t len = sizeof(answer);

	c->err = vgpu_channel_connect(&c->app, c->path, c->sizes, "hello there", 11, answer, &len,
				      WAIT_MS);
	return NULL;
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	unlink(path);
	if (!bind(fd, (void *)&addr, sizeof(addr)) && !listen(fd, 4))
		return fd;
	close(fd);
	return -1;
}

int test_relay_pair(struct vgpu_channel **app, struct vgpu_channel **relay,
		    const struct vgpu_ring_sizes *sizes)
{
	struct connection c = { .sizes = sizes };
	pthread_t thread;
	int fd, err;

	snprintf(c.path, sizeof(c.path), "/tmp/vgpu-test-relay-%d.sock", getpid());
	fd = listen_at(c.path);
	if (fd < 0 || pthread_create(&thread, NULL, app_connect, &c))
		return -errno;
	err = vgpu_relay_accept(relay, accept(fd, NULL, NULL), WAIT_MS);
	if (!err)
		err = vgpu_channel_answer(*relay, "welcome", 7);
	pthread_join(thread, NULL);
	close(fd);
	unlink(c.path);
	*app = c.app;
	return err ? err : c.err;
}
