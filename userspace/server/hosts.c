/* SPDX-License-Identifier: MIT */
/*
 * Control connections: one for each client host. A host that has not said hello
 * is a stranger, whoever it claims to be by its certificate: bounded in number
 * and time. What it asks of sessions is done by remote_sessions.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include "server/serve.h"

#define STRANGERS_MAX	256
#define HOSTS_MAX	1024
#define HOSTS_PER_KEY	64		/* of one certificate, or of one address */
#define HELLO_MS	10000
#define TURN		16		/* messages, then others have a turn */

/* ---- life ---- */

static void host_free(struct vgpu_host *h)
{
	struct vgpu_server *s = h->server;

	vgpu_loop_remove(s->loop, &h->watch);
	TAILQ_REMOVE(h->greeted ? &s->hosts : &s->strangers, h, link);
	s->nhosts -= h->greeted;
	s->nstrangers -= !h->greeted;
	vgpu_control_channel_close(h->channel);
	vgpu_certificate_put(h->certificate);
	free(h);
}

static void host_drop(struct vgpu_host *h, const char *why)
{
	unsigned sessions = vgpu_remote_orphan(h);

	if (!h->greeted)
		vgpu_complain_of(h->server, h->watch.fd, why);
	else if (sessions)
		vgpu_log("control connection of %s lost: %s; its %u sessions wait %u s for another",
			 h->name, why, sessions, h->server->o->grace);
	else
		vgpu_log("control connection of %s ended: %s", h->name, why);
	host_free(h);
}

static int stream_open(struct vgpu_server *s, int fd, bool plain, struct vgpu_stream **stream)
{
	return plain ? vgpu_stream_plain(stream, fd) : vgpu_stream_tls(stream, fd, s->tls, NULL);
}

static void ready(struct vgpu_watch *w);

static int host_create(struct vgpu_server *s, int fd, bool plain, struct vgpu_host **out)
{
	struct vgpu_host *h = calloc(1, sizeof(*h));
	struct vgpu_stream *stream;
	int err;

	if (!h) {
		close(fd);
		return -ENOMEM;
	}
	vgpu_address_peer(fd, h->address, sizeof(h->address));
	err = stream_open(s, fd, plain, &stream);
	if (!err)
		err = vgpu_control_channel_create(&h->channel, stream);
	if (!err && getrandom(h->nonce, sizeof(h->nonce), 0) != sizeof(h->nonce))
		err = -EIO;
	if (err) {
		vgpu_control_channel_close(h->channel);
		free(h);
		return err;
	}
	h->watch = (struct vgpu_watch){ .fd = vgpu_stream_fd(stream), .ready = ready };
	h->server = s;
	h->plain = plain;
	h->deadline = vgpu_now() + HELLO_MS;
	*out = h;
	return 0;
}

void vgpu_host_welcome(struct vgpu_server *s, int fd, bool plain)
{
	struct vgpu_host *h;
	int err = host_create(s, fd, plain, &h);

	if (err) {
		vgpu_log("no control connection for a host: %s", strerror(-err));
		return;
	}
	if (s->nstrangers == STRANGERS_MAX)
		host_drop(TAILQ_FIRST(&s->strangers), "others have come since, without a hello");
	TAILQ_INSERT_TAIL(&s->strangers, h, link);
	s->nstrangers++;
	err = vgpu_loop_add(s->loop, &h->watch, vgpu_control_channel_events(h->channel));
	if (err)
		host_drop(h, strerror(-err));
}

/* ---- hello ---- */

static void say_hello(struct vgpu_host *h)
{
	const struct vgpu_server *s = h->server;
	struct vgpu_control m = { .type = VGPU_CONTROL_HELLO };

	m.hello.version = VGPU_WIRE_VERSION;
	strcpy(m.hello.host, s->name);
	m.hello.grace = s->o->grace;
	memcpy(m.hello.nonce, h->nonce, sizeof(h->nonce));
	m.hello.ngpus = s->probe.count;
	for (unsigned i = 0; i < s->probe.count; i++) {
		strcpy(m.hello.gpus[i].name, s->probe.gpus[i].name);
		m.hello.gpus[i].memory = s->probe.gpus[i].memory;
	}
	vgpu_host_send(h, &m);
}

/* A certificate counts, wherever it is used; without one, the address. */
static bool identify(struct vgpu_host *h)
{
	const struct vgpu_stream *stream = vgpu_control_channel_stream(h->channel);
	char *port = strrchr(h->address, ':');

	vgpu_stream_identity(stream, &h->identity);
	h->certificate = vgpu_stream_certificate(stream);
	if (*h->identity.fingerprint)
		snprintf(h->key, sizeof(h->key), "%s", h->identity.fingerprint);
	else
		snprintf(h->key, sizeof(h->key), "%.*s",
			 port ? (int)(port - h->address) : (int)sizeof(h->address), h->address);
	return h->plain || h->certificate;
}

static unsigned hosts_of(const struct vgpu_server *s, const char *key, struct vgpu_host **oldest)
{
	struct vgpu_host *h;
	unsigned n = 0;

	TAILQ_FOREACH(h, &s->hosts, link) {
		if (strcmp(h->key, key))
			continue;
		if (!n++)
			*oldest = h;
	}
	return n;
}

/*
 * One host too many: of the same client the oldest goes, which is likely to be
 * one whose end nobody has noticed; else the newcomer.
 */
static const char *make_place(struct vgpu_host *h)
{
	struct vgpu_server *s = h->server;
	struct vgpu_host *oldest = NULL;

	if (hosts_of(s, h->key, &oldest) >= HOSTS_PER_KEY)
		host_drop(oldest, "the same client has too many others");
	return s->nhosts < HOSTS_MAX ? NULL : "all control connections of this server are taken";
}

/* NULL, or why it goes. */
static const char *greet(struct vgpu_host *h, const struct vgpu_control *m)
{
	struct vgpu_server *s = h->server;
	const char *wrong;

	if (m->type != VGPU_CONTROL_HELLO)
		return "its first message was no hello";
	if (!identify(h))
		return strerror(ENOMEM);
	say_hello(h);
	if (m->hello.version != VGPU_WIRE_VERSION)
		return "the two hosts have versions of vgpu that do not go together";
	wrong = make_place(h);
	if (wrong)
		return wrong;
	snprintf(h->name, sizeof(h->name), "%s (%s)", m->hello.host, h->address);
	TAILQ_REMOVE(&s->strangers, h, link);
	s->nstrangers--;
	h->greeted = true;
	TAILQ_INSERT_TAIL(&s->hosts, h, link);
	s->nhosts++;
	vgpu_log("control connection of %s, %s%s%s", h->name,
		 vgpu_stream_kind(vgpu_control_channel_stream(h->channel)),
		 *h->identity.name ? ", certificate of " : "", h->identity.name);
	return NULL;
}

/* ---- messages ---- */

void vgpu_host_send(struct vgpu_host *h, const struct vgpu_control *m)
{
	int err = vgpu_control_channel_send(h->channel, m);

	if (!err) {
		vgpu_loop_change(h->server->loop, &h->watch,
				 vgpu_control_channel_events(h->channel));
		return;
	}
	/* Others may be going through a list with it: its end is an event like any. */
	h->wrong = err == -ENOBUFS ? "it does not read what it is sent" : strerror(-err);
	shutdown(h->watch.fd, SHUT_RDWR);
}

static void pong(struct vgpu_host *h, const struct vgpu_control *m)
{
	const struct vgpu_control answer = { .type = VGPU_CONTROL_PONG, .request = m->request };

	vgpu_host_send(h, &answer);
}

/* NULL, or why it goes. */
static const char *answer(struct vgpu_host *h, const struct vgpu_control *m)
{
	struct vgpu_control a = { .request = m->request };

	switch (m->type) {
	case VGPU_CONTROL_OPEN:
		a.type = VGPU_CONTROL_OPENED;
		vgpu_remote_open(h, m, &a);
		vgpu_host_send(h, &a);
		explicit_bzero(&a, sizeof(a));
		return NULL;
	case VGPU_CONTROL_ADOPT:
		a.type = VGPU_CONTROL_ADOPTED;
		vgpu_remote_adopt(h, m, &a);
		vgpu_host_send(h, &a);
		return NULL;
	case VGPU_CONTROL_CLOSE:
		vgpu_remote_close(h, m->session);
		return NULL;
	case VGPU_CONTROL_PING:
		pong(h, m);
		return NULL;
	default:
		return "it sent what only a server says";
	}
}

static void take(struct vgpu_host *h, const struct vgpu_control *m)
{
	const char *wrong = h->greeted ? answer(h, m) : greet(h, m);

	if (!h->wrong)
		h->wrong = wrong;
}

static void ready(struct vgpu_watch *w)
{
	struct vgpu_host *h = (struct vgpu_host *)w;	/* its first member */
	int turn = TURN, got = 0;
	struct vgpu_control m;

	while (!h->wrong && turn-- && (got = vgpu_control_channel_step(h->channel, &m)) > 0)
		take(h, &m);
	if (h->wrong || got < 0) {
		host_drop(h, h->wrong ?: vgpu_control_channel_error(h->channel));
		return;
	}
	/* What has been read already makes no event: there is one when it can be answered. */
	vgpu_loop_change(h->server->loop, w,
			 vgpu_control_channel_events(h->channel) | (got ? POLLOUT : 0));
}

/* ---- all of them ---- */

void vgpu_hosts_recheck(struct vgpu_server *s)
{
	struct vgpu_host *h, *next;

	vgpu_remote_recheck(s);
	for (h = TAILQ_FIRST(&s->hosts); h; h = next) {
		const char *why = h->certificate ? vgpu_tls_recheck(s->tls, h->certificate) : NULL;

		next = TAILQ_NEXT(h, link);
		if (why)
			host_drop(h, why);
	}
	/* They may have shown theirs already, to what was read before. Honest ones come again. */
	while (!TAILQ_EMPTY(&s->strangers))
		host_drop(TAILQ_FIRST(&s->strangers), "the certificates were read again");
}

int64_t vgpu_hosts_tick(struct vgpu_server *s, int64_t now)
{
	struct vgpu_host *h;

	while ((h = TAILQ_FIRST(&s->strangers)) && h->deadline <= now)
		host_drop(h, "it did not say hello in time");
	return h ? h->deadline : VGPU_NEVER;
}

void vgpu_hosts_close(struct vgpu_server *s)
{
	while (!TAILQ_EMPTY(&s->strangers))
		host_free(TAILQ_FIRST(&s->strangers));
	while (!TAILQ_EMPTY(&s->hosts))
		host_free(TAILQ_FIRST(&s->hosts));
}
