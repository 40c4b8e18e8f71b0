/* SPDX-License-Identifier: MIT */
/* See upstream.h. Down -> dialing -> connecting -> greeting -> up, and from each to down. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/daemon.h"
#include "vgpud/vgpud.h"

#define MS		1000000ll	/* in ns */
#define BACKOFF_FIRST	100		/* ms between tries, doubled up to */
#define BACKOFF_LAST	5000
#define CONNECT_MS	5000
#define GREETING_MS	10000
/*
 * A server whose host is gone says nothing: it is asked, and has this long. Both
 * together are what the end of a session may come later than its grace period.
 */
#define PING_MS		1000
#define PONG_MS		3000
#define PING_IDLE_MS	15000		/* with no session */

/* ---- down ---- */

/* It goes into logs and documents, and may be in the words of who is at the other end. */
static void set_error(struct vgpu_upstream *u, const char *why)
{
	snprintf(u->error, sizeof(u->error), "%s", why);
	for (char *c = u->error; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	/* Once, and not for every try. */
	if (strcmp(u->error, u->logged))
		vgpu_log("server %s (%s): %s", u->config->name, u->config->address, u->error);
	strcpy(u->logged, u->error);
}

static void release(struct vgpu_upstream *u)
{
	vgpu_watch_remove(&u->watch);
	vgpu_dial_drop(u->dial);
	u->dial = NULL;
	if (u->socket >= 0)
		close(u->socket);
	u->socket = -1;
	if (u->control)
		vgpu_control_channel_close(u->control);
	u->control = NULL;
	u->broken = false;
	vgpu_timer_cancel(&u->timer);
	vgpu_timer_cancel(&u->ping);
	u->pinged = 0;
}

/* @refused: there is a server, and it, or we, do not want this. */
static void fall(struct vgpu_upstream *u, const char *why, bool refused)
{
	enum upstream_state before = u->state;
	bool silent = before < UPSTREAM_GREETING || u->pinged;

	set_error(u, why);	/* which may be the connection's */
	release(u);
	u->state = UPSTREAM_IDLE;
	u->refused = refused;
	vgpu_timer_set(&u->vgpud->loop, &u->timer, u->backoff);
	if (!vgpu_timer_is_set(&u->missed))
		vgpu_timer_set(&u->vgpud->loop, &u->missed, u->vgpud->config->grace * 1000ll);
	u->backoff = u->backoff * 2 < BACKOFF_LAST ? u->backoff * 2 : BACKOFF_LAST;
	vgpu_sessions_down(u, silent && vgpu_now() - u->heard > PONG_MS * MS);
}

/* ---- up ---- */

static void say_hello(struct vgpu_upstream *u)
{
	struct vgpu_control m = { .type = VGPU_CONTROL_HELLO };

	m.hello.version = VGPU_WIRE_VERSION;
	snprintf(m.hello.host, sizeof(m.hello.host), "%s", u->vgpud->hostname);
	vgpu_upstream_send(u, &m);
}

static void rise(struct vgpu_upstream *u, const struct vgpu_control *m)
{
	vgpu_address_peer(u->watch.fd, u->peer, sizeof(u->peer));
	u->known = true;
	u->grace = m->hello.grace;
	memcpy(u->nonce, m->hello.nonce, sizeof(u->nonce));
	u->ngpus = m->hello.ngpus;
	memset(u->gpus, 0, sizeof(u->gpus));
	for (unsigned i = 0; i < u->ngpus; i++) {
		strcpy(u->gpus[i].name, m->hello.gpus[i].name);
		u->gpus[i].memory = m->hello.gpus[i].memory;
	}
	u->state = UPSTREAM_UP;
	u->generation++;
	u->backoff = BACKOFF_FIRST;
	u->error[0] = u->logged[0] = 0;
	vgpu_timer_cancel(&u->timer);
	vgpu_timer_cancel(&u->missed);
	vgpu_log("server %s (%s): connected by %s to %s, %u GPU%s", u->config->name,
		 u->config->address, vgpu_upstream_link(u), m->hello.host[0] ? m->hello.host : "?",
		 u->ngpus, u->ngpus == 1 ? "" : "s");
	vgpu_upstream_watched(u);
	vgpu_devices_update(u->vgpud->devices);
	vgpu_sessions_up(u);
}

static unsigned ping_pause(const struct vgpu_upstream *u)
{
	return vgpu_sessions_of(u) ? PING_MS : PING_IDLE_MS;
}

static void take(struct vgpu_upstream *u, const struct vgpu_control *m)
{
	u->heard = vgpu_now();
	if (u->state == UPSTREAM_GREETING) {
		if (m->type == VGPU_CONTROL_HELLO && m->hello.version == VGPU_WIRE_VERSION)
			rise(u, m);
		else
			fall(u, m->type == VGPU_CONTROL_HELLO ?
			     "it speaks another version" : "it does not begin with hello", true);
		return;
	}
	switch (m->type) {
	case VGPU_CONTROL_PONG:
		if (u->pinged)
			u->rtt = u->heard - u->pinged;
		u->pinged = 0;
		vgpu_timer_set(&u->vgpud->loop, &u->ping, ping_pause(u));
		break;
	case VGPU_CONTROL_OPENED:
	case VGPU_CONTROL_ADOPTED:
	case VGPU_CONTROL_ENDED:
		vgpu_sessions_message(u, m);
		break;
	default:
		break;		/* nothing that a server says */
	}
}

static void on_control(struct vgpu_watch *w, uint32_t events)
{
	struct vgpu_upstream *u = vgpu_container(w, struct vgpu_upstream, watch);
	struct vgpu_control m;
	int n = 0;

	while (u->control && (n = vgpu_control_channel_step(u->control, &m)) > 0)
		take(u, &m);
	if (!u->control)
		return;
	if (n < 0)
		fall(u, vgpu_control_channel_error(u->control), n == -EPROTO);
	else
		vgpu_watch_change(w, (uint32_t)vgpu_control_channel_events(u->control));
}

/* ---- connecting ---- */

static int send_preface(int fd, bool plain)
{
	const struct vgpu_preface p = {
		.magic = VGPU_PREFACE_MAGIC, .version = VGPU_WIRE_VERSION,
		.kind = VGPU_PREFACE_CONTROL, .flags = plain ? VGPU_PREFACE_PLAIN : 0,
	};

	/* The first bytes of a connection always have room. */
	return send(fd, &p, sizeof(p), MSG_NOSIGNAL) == sizeof(p) ? 0 : -EPIPE;
}

/* u->socket is nobody's any more when this is done. */
static int make_control(struct vgpu_upstream *u)
{
	struct vgpu_stream *s;
	int fd = u->socket, err;

	u->socket = -1;
	err = u->config->plain ? vgpu_stream_plain(&s, fd) :
				 vgpu_stream_tls(&s, fd, u->vgpud->tls, u->host);
	if (err)
		return err;
	u->control = NULL;
	return vgpu_control_channel_create(&u->control, s);
}

static void begin_greeting(struct vgpu_upstream *u)
{
	int fd = u->socket, err;

	vgpu_watch_remove(&u->watch);
	err = send_preface(fd, u->config->plain);
	if (!err)
		err = make_control(u);
	if (!err) {
		u->watch.ready = on_control;
		err = vgpu_watch_add(&u->vgpud->loop, &u->watch, fd, EPOLLIN);
	}
	if (err) {
		fall(u, strerror(-err), false);
		return;
	}
	u->state = UPSTREAM_GREETING;
	vgpu_timer_set(&u->vgpud->loop, &u->timer, GREETING_MS);
	say_hello(u);
	on_control(&u->watch, 0);
}

int vgpu_connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t length = sizeof(int);
	int err = 0;

	if (!poll(&p, 1, 0))
		return -EAGAIN;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) ? -errno : -err;
}

static void on_connected(struct vgpu_watch *w, uint32_t events)
{
	struct vgpu_upstream *u = vgpu_container(w, struct vgpu_upstream, watch);
	int err = vgpu_connected(u->socket);

	if (err == -EAGAIN)
		return;
	if (err)
		fall(u, strerror(-err), false);
	else
		begin_greeting(u);
}

static void on_dialed(struct vgpu_watch *w, uint32_t events)
{
	struct vgpu_upstream *u = vgpu_container(w, struct vgpu_upstream, watch);
	struct vgpu_dial *dial = u->dial;
	char why[256];
	int err;

	vgpu_watch_remove(w);
	u->dial = NULL;
	u->socket = vgpu_dial_take(dial, why, sizeof(why));
	if (u->socket < 0) {
		fall(u, why, false);
		return;
	}
	w->ready = on_connected;
	err = vgpu_watch_add(&u->vgpud->loop, w, u->socket, EPOLLOUT);
	if (err) {
		fall(u, strerror(-err), false);
		return;
	}
	u->state = UPSTREAM_CONNECTING;
	vgpu_timer_set(&u->vgpud->loop, &u->timer, CONNECT_MS);
}

static void begin(struct vgpu_upstream *u)
{
	int err = vgpu_dial_start(&u->dial, u->config->address);

	u->state = UPSTREAM_DIALING;
	if (!err) {
		u->watch.ready = on_dialed;
		err = vgpu_watch_add(&u->vgpud->loop, &u->watch, vgpu_dial_fd(u->dial), EPOLLIN);
	}
	if (err)
		fall(u, strerror(-err), false);
	else
		vgpu_timer_set(&u->vgpud->loop, &u->timer, GREETING_MS);
}

static void on_timer(struct vgpu_timer *t)
{
	struct vgpu_upstream *u = vgpu_container(t, struct vgpu_upstream, timer);

	switch (u->state) {
	case UPSTREAM_IDLE:
		begin(u);
		break;
	case UPSTREAM_DIALING:
		fall(u, "its name is not resolved in time", false);
		break;
	case UPSTREAM_CONNECTING:
		fall(u, strerror(ETIMEDOUT), false);
		break;
	case UPSTREAM_GREETING:
		fall(u, "it does not answer in time", false);
		break;
	case UPSTREAM_UP:
		fall(u, "the connection takes no more", false);	/* see vgpu_upstream_send() */
		break;
	}
}

/*
 * A session can do without the control connection, and whom it is with cannot be
 * known then. The server gives it up as well.
 */
static void on_missed(struct vgpu_timer *t)
{
	struct vgpu_upstream *u = vgpu_container(t, struct vgpu_upstream, missed);
	char why[sizeof(u->error) + 160];

	snprintf(why, sizeof(why), "server %s was not reached again within the grace period: %s",
		 u->config->name, u->error);
	vgpu_sessions_end(u, why);
}

/* ---- alive? ---- */

static void on_ping(struct vgpu_timer *t)
{
	struct vgpu_upstream *u = vgpu_container(t, struct vgpu_upstream, ping);
	struct vgpu_control m = { .type = VGPU_CONTROL_PING };
	int64_t now = vgpu_now();

	if (u->pinged && now - u->pinged >= PONG_MS * MS) {
		fall(u, "it does not answer any more", false);
		return;
	}
	if (!u->pinged) {
		u->pinged = now;
		vgpu_upstream_send(u, &m);
	}
	vgpu_timer_set(&u->vgpud->loop, t, PING_MS / 2);
}

void vgpu_upstream_watched(struct vgpu_upstream *u)
{
	int64_t pause = ping_pause(u);

	if (u->state != UPSTREAM_UP)
		return;
	if (!vgpu_timer_is_set(&u->ping) || u->ping.at > vgpu_now() + pause * MS)
		vgpu_timer_set(&u->vgpud->loop, &u->ping, pause);
}

/* ---- for others ---- */

void vgpu_upstream_start(struct vgpu_upstream *u, struct vgpud *d, unsigned index)
{
	char port[8];

	u->vgpud = d;
	u->index = index;
	u->config = &d->config->servers[index];
	u->socket = -1;
	u->backoff = BACKOFF_FIRST;
	u->timer.due = on_timer;
	u->ping.due = on_ping;
	u->missed.due = on_missed;
	if (u->config->certificate[0])
		strcpy(u->host, u->config->certificate);
	else
		vgpu_address_parse(u->config->address, u->host, sizeof(u->host), port);
	begin(u);
}

void vgpu_upstream_stop(struct vgpu_upstream *u)
{
	/* It may never have been started. */
	if (!u->vgpud)
		return;
	release(u);
	vgpu_timer_cancel(&u->missed);
}

void vgpu_upstream_hurry(struct vgpu_upstream *u)
{
	if (u->state == UPSTREAM_IDLE)
		vgpu_timer_set(&u->vgpud->loop, &u->timer, 0);
}

void vgpu_upstream_send(struct vgpu_upstream *u, const struct vgpu_control *m)
{
	if (!u->control || u->broken)
		return;
	if (vgpu_control_channel_send(u->control, m)) {
		/* The caller is in the midst of something: the end comes later. */
		u->broken = true;
		vgpu_timer_set(&u->vgpud->loop, &u->timer, 0);
		return;
	}
	vgpu_watch_change(&u->watch, (uint32_t)vgpu_control_channel_events(u->control));
}

void vgpu_upstream_recheck(struct vgpu_upstream *u)
{
	struct vgpu_certificate *shown;
	const char *why;

	if (u->config->plain)
		return;
	/* It may have been checked already, by what was read before. */
	if (u->state == UPSTREAM_GREETING)
		fall(u, "the certificates were read again", false);
	if (u->state != UPSTREAM_UP)
		return;
	shown = vgpu_stream_certificate(vgpu_control_channel_stream(u->control));
	why = shown ? vgpu_tls_recheck(u->vgpud->tls, shown) : strerror(ENOMEM);
	vgpu_certificate_put(shown);
	if (!why)
		return;
	vgpu_sessions_end(u, why);
	fall(u, why, true);
}

uint64_t vgpu_upstream_request(struct vgpu_upstream *u)
{
	return ++u->requests;
}

const char *vgpu_upstream_link(const struct vgpu_upstream *u)
{
	return u->control && u->state >= UPSTREAM_GREETING ?
		vgpu_stream_kind(vgpu_control_channel_stream(u->control)) : "";
}
