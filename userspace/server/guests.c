/* SPDX-License-Identifier: MIT */
/*
 * Connections of the network that have not said yet what they are: the first
 * bytes, the preface, say it. Anybody may connect, so these are bounded in
 * number and time.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "server/serve.h"

#define GUESTS_MAX	256
#define PREFACE_MS	5000

struct vgpu_guest {
	struct vgpu_watch	watch;
	TAILQ_ENTRY(vgpu_guest)	link;
	struct vgpu_server	*server;
	int64_t			deadline;
	bool			plain;		/* it may be without TLS */
	size_t			have;		/* bytes of the preface */
	struct vgpu_preface	preface;
};

/* ---- life ---- */

/* Its descriptor is the caller's from here on. */
static int dismiss(struct vgpu_guest *g)
{
	int fd = g->watch.fd;

	vgpu_loop_remove(g->server->loop, &g->watch);
	TAILQ_REMOVE(&g->server->guests, g, link);
	g->server->nguests--;
	free(g);
	return fd;
}

static void refuse(struct vgpu_guest *g, const char *why)
{
	struct vgpu_server *s = g->server;
	int fd = dismiss(g);

	vgpu_complain_of(s, fd, why);
	close(fd);
}

static void receive(struct vgpu_watch *w);

void vgpu_guest_welcome(struct vgpu_server *s, int fd, bool plain)
{
	struct vgpu_guest *g;

	if (s->nguests == GUESTS_MAX)
		refuse(TAILQ_FIRST(&s->guests), "others have come since, and it said nothing");
	vgpu_address_tune(fd);
	g = calloc(1, sizeof(*g));
	if (!g) {
		close(fd);
		return;
	}
	g->watch = (struct vgpu_watch){ .fd = fd, .ready = receive };
	g->server = s;
	g->deadline = vgpu_now() + PREFACE_MS;
	g->plain = plain;
	if (vgpu_loop_add(s->loop, &g->watch, POLLIN)) {
		free(g);
		close(fd);
		return;
	}
	TAILQ_INSERT_TAIL(&s->guests, g, link);
	s->nguests++;
}

/* ---- what it is ---- */

/* NULL, or why it may not come in. */
static const char *check(const struct vgpu_guest *g)
{
	const char *wrong = vgpu_preface_check(&g->preface);
	bool plain = g->preface.flags & VGPU_PREFACE_PLAIN;

	if (wrong)
		return wrong;
	if (plain && !g->plain)
		return "it would be without TLS, which is not allowed here";
	if (!plain && !g->server->tls)
		return "it would be with TLS, but this server has no certificate";
	return NULL;
}

static void come_in(struct vgpu_guest *g)
{
	const struct vgpu_preface preface = g->preface;
	struct vgpu_server *s = g->server;
	const char *wrong = check(g);
	int fd;

	if (wrong) {
		refuse(g, wrong);
		return;
	}
	fd = dismiss(g);
	if (preface.kind == VGPU_PREFACE_CONTROL) {
		vgpu_host_welcome(s, fd, preface.flags & VGPU_PREFACE_PLAIN);
		return;
	}
	wrong = vgpu_remote_attach(s, &preface, fd);
	if (wrong)
		vgpu_complain_of(s, fd, wrong);
	/* The worker has a descriptor of its own. */
	close(fd);
}

/* No byte behind the preface is read: those are for TLS or for the worker. */
static void receive(struct vgpu_watch *w)
{
	struct vgpu_guest *g = (struct vgpu_guest *)w;	/* its first member */
	ssize_t n = recv(w->fd, (char *)&g->preface + g->have, sizeof(g->preface) - g->have,
			 MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		refuse(g, "it ended before it said what it was");
		return;
	}
	g->have += n;
	if (g->have == sizeof(g->preface))
		come_in(g);
}

int64_t vgpu_guests_tick(struct vgpu_server *s, int64_t now)
{
	struct vgpu_guest *g;

	while ((g = TAILQ_FIRST(&s->guests)) && g->deadline <= now)
		refuse(g, "it did not say in time what it was");
	return g ? g->deadline : VGPU_NEVER;
}

void vgpu_guests_close(struct vgpu_server *s)
{
	while (!TAILQ_EMPTY(&s->guests))
		close(dismiss(TAILQ_FIRST(&s->guests)));
}
