/* SPDX-License-Identifier: MIT */
/* Clients that come over a unix socket. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "server/server.h"

struct listener {
	struct vgpu_source	source;
	const char		*path;
};

static int accept_client(struct vgpu_source *s, struct vgpu_client *c)
{
	int fd = vgpu_socket_accept(s->fd, &c->who);

	if (fd < 0)
		return fd;
	c->fd = fd;
	return 0;
}

static void close_listener(struct vgpu_source *s)
{
	struct listener *l = (struct listener *)s;	/* its first member */

	unlink(l->path);
	close(s->fd);
	free(l);
}

int vgpu_socket_open(struct vgpu_source **out, const char *path)
{
	struct listener *l = calloc(1, sizeof(*l));
	int fd = l ? vgpu_socket_listen(path) : -ENOMEM;

	if (fd < 0) {
		free(l);
		return fd;
	}
	l->source = (struct vgpu_source){
		.fd = fd, .accept = accept_client, .close = close_listener,
	};
	l->path = path;
	*out = &l->source;
	return 0;
}
