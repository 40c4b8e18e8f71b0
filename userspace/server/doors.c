/* SPDX-License-Identifier: MIT */
/*
 * Where clients come in: the sources of this host, and sockets of the network.
 * When this process is out of descriptors, or of something else that comes back,
 * nobody is let in for a moment, and who waits keeps waiting.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "server/serve.h"

#define BREAK_MS	100

static void take_break(struct vgpu_server *s)
{
	if (!s->closed_until)
		for (unsigned i = 0; i < s->ndoors; i++)
			vgpu_loop_change(s->loop, &s->doors[i].watch, 0);
	s->closed_until = vgpu_now() + BREAK_MS;
}

int64_t vgpu_doors_tick(struct vgpu_server *s, int64_t now)
{
	if (s->closed_until && s->closed_until <= now) {
		s->closed_until = 0;
		for (unsigned i = 0; i < s->ndoors; i++)
			vgpu_loop_change(s->loop, &s->doors[i].watch, POLLIN);
	}
	return s->closed_until ?: VGPU_NEVER;
}

/* ---- letting in ---- */

static void accept_local(struct vgpu_watch *w)
{
	struct vgpu_door *d = (struct vgpu_door *)w;	/* its first member */
	struct vgpu_client c = {};
	int err = d->source->accept(d->source, &c);

	if (err) {
		if (err != -EAGAIN)
			take_break(d->server);
		return;
	}
	err = vgpu_session_start(d->server, &c);
	if (err) {
		vgpu_log("no worker for a client: %s", strerror(-err));
		if (err != -EBUSY)
			take_break(d->server);
	}
	close(c.fd);
}

/* Errors of the network that was to bring a client: the next one may be well. */
static bool is_scarcity(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void accept_guest(struct vgpu_watch *w)
{
	struct vgpu_door *d = (struct vgpu_door *)w;	/* its first member */
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		vgpu_guest_welcome(d->server, fd, d->plain);
	else if (is_scarcity(errno))
		take_break(d->server);
}

/* ---- opening ---- */

static int add_door(struct vgpu_server *s, const struct vgpu_door *door)
{
	struct vgpu_door *d = &s->doors[s->ndoors];
	int err;

	*d = *door;
	err = vgpu_loop_add(s->loop, &d->watch, POLLIN);
	if (err)
		return err;
	s->ndoors++;
	return 0;
}

static int add_source(struct vgpu_server *s, struct vgpu_source *source)
{
	const struct vgpu_door d = {
		.watch = { .fd = source->fd, .ready = accept_local }, .server = s,
		.source = source,
	};
	int err = add_door(s, &d);

	if (err)
		source->close(source);
	return err;
}

/*
 * The module's devices: as told; else if there is a module, we are root, and no
 * other daemon serves them.
 */
static int open_ctl(struct vgpu_server *s)
{
	const char *path = s->o->ctl ?: VGPU_CTL_NODE;
	struct vgpu_source *source;
	int err;

	if (!strcmp(path, "none") || (!s->o->ctl && (geteuid() || access(path, F_OK))))
		return 0;
	err = vgpu_ctl_open(&source, path, s->probe.gpus, s->probe.count);
	if (!err)
		return add_source(s, source);
	return s->o->ctl ? err : 0;
}

static int open_socket(struct vgpu_server *s)
{
	struct vgpu_source *source;
	int err = vgpu_socket_open(&source, s->o->socket);

	return err ? err : add_source(s, source);
}

/* Whoever comes to such an address is on this host. */
static bool is_loopback(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

	if (a->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return a->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static void name_door(struct vgpu_door *d, const struct sockaddr_storage *a, socklen_t length)
{
	char host[64] = "?", port[8] = "?";

	getnameinfo((const struct sockaddr *)a, length, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(d->name, sizeof(d->name), a->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
		 port);
}

static int add_listener(struct vgpu_server *s, int fd)
{
	struct vgpu_door d = { .watch = { .fd = fd, .ready = accept_guest }, .server = s };
	struct sockaddr_storage a = {};
	socklen_t length = sizeof(a);
	int err = getsockname(fd, (struct sockaddr *)&a, &length) ? -errno : 0;

	/* Who names certificates wants them, on this host as well. */
	d.plain = s->o->plain || (!s->o->tls && is_loopback(&a));
	name_door(&d, &a, length);
	if (!err)
		err = add_door(s, &d);
	if (err)
		close(fd);
	return err;
}

static int listen_at(struct vgpu_server *s, const char *address)
{
	int fds[VGPU_DOORS_MAX], n, err = 0;
	char why[256];

	n = vgpu_address_listen(address, fds, VGPU_DOORS_MAX - s->ndoors, why, sizeof(why));
	if (n < 0) {
		vgpu_log("cannot listen: %s", why);
		return n;
	}
	for (int i = 0; i < n; i++) {
		if (!err)
			err = add_listener(s, fds[i]);
		else
			close(fds[i]);
	}
	if (err)
		vgpu_log("cannot listen on %s: %s", address, strerror(-err));
	return err;
}

int vgpu_doors_open(struct vgpu_server *s)
{
	int err = open_socket(s);

	if (!err)
		err = open_ctl(s);
	for (unsigned i = 0; i < s->o->nlisten && !err; i++)
		err = listen_at(s, s->o->listen[i]);
	if (err)
		vgpu_doors_close(s);
	return err;
}

void vgpu_doors_close(struct vgpu_server *s)
{
	while (s->ndoors) {
		struct vgpu_door *d = &s->doors[--s->ndoors];

		vgpu_loop_remove(s->loop, &d->watch);
		if (d->source)
			d->source->close(d->source);
		else
			close(d->watch.fd);
	}
}
