/* SPDX-License-Identifier: MIT */
/*
 * A session's data connection: to where the control connection leads, with the
 * next epoch, proved by the session's secret; and again after a pause when that
 * fails, until session.c's deadline ends it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "vgpud/vgpud.h"

#define BACKOFF_FIRST	20	/* ms between tries, doubled up to */
#define BACKOFF_LAST	2000
/* From the first step to the other side's RESUME. */
#define ATTEMPT_MS	8000

static bool is_under_way(const struct vgpu_client *s)
{
	return s->socket >= 0 || s->stream || vgpu_mirror_attached(s->mirror);
}

void vgpu_attach_drop(struct vgpu_client *s)
{
	vgpu_timer_cancel(&s->attempt);
	vgpu_flow_stop(s);
	vgpu_watch_remove(&s->data);
	if (s->socket >= 0)
		close(s->socket);
	s->socket = -1;
	if (s->stream)
		vgpu_stream_close(s->stream);
	s->stream = NULL;
	if (s->tls)
		vgpu_tls_close(s->tls);
	s->tls = NULL;
	if (s->mirror)
		vgpu_mirror_detach(s->mirror);
}

void vgpu_attach_again(struct vgpu_client *s, const char *why)
{
	snprintf(s->trouble, sizeof(s->trouble), "%s", why);	/* it may be the stream's */
	vgpu_attach_drop(s);
	if (vgpu_session_faulty(s))
		return;
	vgpu_timer_set(&s->vgpud->loop, &s->attempt, s->backoff);
	s->backoff = s->backoff * 2 < BACKOFF_LAST ? s->backoff * 2 : BACKOFF_LAST;
}

/* ---- step by step ---- */

/* Of a program over the socket: auto. */
static enum vgpu_config_link link_wanted(const struct vgpu_client *s)
{
	enum vgpu_config_link link = VGPU_LINK_AUTO, of;

	for (unsigned i = 0; s->module >= 0 && i < s->gpus.count; i++) {
		of = vgpu_config_link(s->vgpud->config, s->gpus.gpus[i].number);
		if (of > link)
			link = of;
	}
	return link;
}

static void attach(struct vgpu_client *s)
{
	struct vgpu_stream *stream = s->stream;
	int fd = vgpu_stream_fd(stream), err;

	vgpu_watch_remove(&s->data);
	s->stream = NULL;
	if (s->tls)
		vgpu_tls_close(s->tls);
	s->tls = NULL;
	err = vgpu_mirror_attach(s->mirror, stream, s->epoch);
	if (!err)
		err = vgpu_flow_attached(s, fd);
	if (err)
		vgpu_attach_again(s, strerror(-err));
}

static const char *no_verbs(const struct vgpu_stream *s)
{
	const char *note = vgpu_stream_note(s);

	return *note ? note : "link = verbs, but no verbs device of this host has the address of "
			      "its connections to the server";
}

static void shake(struct vgpu_client *s)
{
	int err = vgpu_stream_handshake(s->stream);

	if (!err && link_wanted(s) == VGPU_LINK_VERBS && !vgpu_stream_by_verbs(s->stream))
		vgpu_attach_again(s, no_verbs(s->stream));
	else if (!err)
		attach(s);
	else if (err == -EAGAIN)
		vgpu_watch_change(&s->data, (uint32_t)vgpu_stream_events(s->stream));
	else
		vgpu_attach_again(s, vgpu_stream_error(s->stream));
}

static void on_handshake(struct vgpu_watch *w, uint32_t events)
{
	shake(vgpu_container(w, struct vgpu_client, data));
}

static int send_preface(struct vgpu_client *s)
{
	unsigned flags = s->upstream->config->plain ? VGPU_PREFACE_PLAIN : 0;
	struct vgpu_preface p;

	s->verbs = link_wanted(s) != VGPU_LINK_TCP && vgpu_stream_verbs_here(s->socket);
	if (s->verbs)
		flags |= VGPU_PREFACE_VERBS;
	s->epoch = vgpu_mirror_next_epoch(s->mirror);
	vgpu_preface_session(&p, s->id, s->secret, s->epoch, flags);
	/* The first bytes of a connection always have room. */
	return send(s->socket, &p, sizeof(p), MSG_NOSIGNAL) == sizeof(p) ? 0 : -EPIPE;
}

/* The socket becomes the stream's, also when this fails. */
static int make_socket_stream(struct vgpu_client *s)
{
	int fd = s->socket, err;

	if (s->upstream->config->plain) {
		s->socket = -1;
		return vgpu_stream_plain(&s->stream, fd);
	}
	err = vgpu_tls_session(&s->tls, s->id, s->secret, false);
	if (err)
		return err;
	s->socket = -1;
	err = vgpu_stream_tls(&s->stream, fd, s->tls, NULL);
	if (err)
		s->stream = NULL;
	return err;
}

static int make_stream(struct vgpu_client *s)
{
	int err = make_socket_stream(s);

	return err || !s->verbs ? err : vgpu_stream_offer_verbs(s->stream);
}

static int begin_stream(struct vgpu_client *s)
{
	int err = vgpu_connected(s->socket);

	if (err)
		return err;
	vgpu_watch_remove(&s->data);
	err = send_preface(s);
	if (!err)
		err = make_stream(s);
	if (err)
		return err;
	s->data.ready = on_handshake;
	return vgpu_watch_add(&s->vgpud->loop, &s->data, vgpu_stream_fd(s->stream),
			      EPOLLIN | EPOLLOUT);
}

static void on_connected(struct vgpu_watch *w, uint32_t events)
{
	struct vgpu_client *s = vgpu_container(w, struct vgpu_client, data);
	int err = begin_stream(s);

	if (err == -EAGAIN)
		return;
	if (err)
		vgpu_attach_again(s, strerror(-err));
	else
		shake(s);
}

void vgpu_attach_begin(struct vgpu_client *s)
{
	char why[256];
	int err;

	/* Without an address: when the server's control connection is there. */
	if (is_under_way(s) || !s->upstream->peer[0])
		return;
	s->socket = vgpu_address_connect(s->upstream->peer, why, sizeof(why));
	if (s->socket < 0) {
		s->socket = -1;
		vgpu_attach_again(s, why);
		return;
	}
	s->data.ready = on_connected;
	err = vgpu_watch_add(&s->vgpud->loop, &s->data, s->socket, EPOLLOUT);
	if (err)
		vgpu_attach_again(s, strerror(-err));
	else
		vgpu_timer_set(&s->vgpud->loop, &s->attempt, ATTEMPT_MS);
}

/* An attempt takes too long, or it is time for one. */
static void on_attempt(struct vgpu_timer *t)
{
	struct vgpu_client *s = vgpu_container(t, struct vgpu_client, attempt);

	if (is_under_way(s))
		vgpu_attach_again(s, "the server does not answer on a data connection");
	else
		vgpu_attach_begin(s);
}

void vgpu_attach_init(struct vgpu_client *s)
{
	s->socket = -1;
	s->backoff = BACKOFF_FIRST;
	s->attempt.due = on_attempt;
}

void vgpu_attach_done(struct vgpu_client *s)
{
	vgpu_timer_cancel(&s->attempt);
	s->backoff = BACKOFF_FIRST;
}
