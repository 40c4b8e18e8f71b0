/* SPDX-License-Identifier: MIT */
/* See session.h: how states follow each other. */
#include "proto/cuda_api.h"
#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "proto/proto.h"
#include "vgpud/cookie.h"
#include "vgpud/vgpud.h"

#define OPEN_MS		10000	/* until a program is told that there is no session */
#define NS		1000000000ll
/* A connection over which something came lately is not given up with its server's. */
#define SILENT_NS	(2 * NS)

/* ---- who it is, for the log ---- */

void vgpu_session_devices(const struct vgpu_client *s, char *text, size_t room)
{
	size_t at = 0;

	*text = 0;
	for (unsigned i = 0; s->module >= 0 && i < s->gpus.count && at < room; i++)
		at += snprintf(text + at, room - at, "%svgpu%u", i ? "," : "",
			       s->gpus.gpus[i].number);
}

static void session_log(const struct vgpu_client *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void session_log(const struct vgpu_client *s, const char *format, ...)
{
	char what[400], devices[160];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	vgpu_session_devices(s, devices, sizeof(devices));
	vgpu_log("session of pid %u, uid %u, %s%s%s: %s", s->pid, s->uid, s->program,
		 *devices ? ", on " : "", devices, what);
}

static void read_program(struct vgpu_client *s)
{
	char path[64], exe[512];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%u/exe", s->pid);
	n = s->pid ? readlink(path, exe, sizeof(exe) - 1) : -1;
	if (n <= 0) {
		strcpy(s->program, "?");
		return;
	}
	exe[n] = 0;
	snprintf(s->program, sizeof(s->program), "%s", basename(exe));
	for (char *c = s->program; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

/* ---- the end ---- */

/* What it has goes when nobody is at it any more: vgpu_sessions_bury(). */
static void over(struct vgpu_client *s)
{
	struct vgpud *d = s->vgpud;

	s->state = SESSION_OVER;
	vgpu_attach_drop(s);
	vgpu_flow_stop(s);
	vgpu_timer_cancel(&s->deadline);
	vgpu_watch_remove(&s->bell);
	TAILQ_REMOVE(&d->sessions, s, all);
	TAILQ_INSERT_TAIL(&d->over, s, all);
	/* At once, also when a copy is under way: the program is not to wait for it. */
	if (s->module >= 0)
		ioctl(s->module, VGPU_IOC_LOSE, 0);
	if (s->upstream)
		vgpu_upstream_watched(s->upstream);
}

static void bury(struct vgpu_client *s)
{
	vgpu_flow_free(s);
	vgpu_pages_forget_all(&s->pages, s->channel);
	vgpu_channel_close(s->channel);
	explicit_bzero(s->secret, sizeof(s->secret));
	free(s);
}

void vgpu_sessions_bury(struct vgpud *d)
{
	struct vgpu_client *s, *next;

	for (s = TAILQ_FIRST(&d->over); s; s = next) {
		next = TAILQ_NEXT(s, all);
		if (vgpu_flow_busy(s))
			continue;
		TAILQ_REMOVE(&d->over, s, all);
		d->nsessions--;
		bury(s);
	}
}

/* The server need not keep it. */
static void close_at_server(struct vgpu_upstream *u, const uint8_t *id)
{
	struct vgpu_control m = { .type = VGPU_CONTROL_CLOSE };

	memcpy(m.session, id, sizeof(m.session));
	vgpu_upstream_send(u, &m);
}

static void say_goodbye(struct vgpu_client *s, const char *text)
{
	if (s->mirror && vgpu_mirror_attached(s->mirror))
		vgpu_mirror_say_bye(s->mirror, text);
	if (s->opened)
		close_at_server(s->upstream, s->id);
}

static void log_end(const struct vgpu_client *s, const char *why)
{
	session_log(s, "ended after %lld s: %s", (long long)((vgpu_now() - s->since) / NS), why);
}

void vgpu_session_end(struct vgpu_client *s, const char *why)
{
	if (s->state == SESSION_OVER)
		return;
	log_end(s, why);
	say_goodbye(s, "the client's daemon ended the session");
	over(s);
}

void vgpu_session_left(struct vgpu_client *s)
{
	if (s->state == SESSION_OVER)
		return;
	log_end(s, "the program left");
	say_goodbye(s, "the program left");
	over(s);
}

/* It has not begun: the program is told why, which it still finds when this is closed. */
static void refuse(struct vgpu_client *s, uint32_t status, const char *text)
{
	struct vgpu_answer a = {
		.magic = VGPU_HELLO_MAGIC, .version = VGPU_HELLO_VERSION, .status = status,
	};

	session_log(s, "refused: %s", text);
	snprintf(a.text, sizeof(a.text), "%s", text);
	vgpu_channel_answer(s->channel, &a, sizeof(a));
	over(s);
}

/* ---- waiting for the server, and for the time that is too long ---- */

static void refuse_unreached(struct vgpu_client *s)
{
	const struct vgpu_upstream *u = s->upstream;
	char text[1024];

	if (s->state == SESSION_OPENING)
		snprintf(text, sizeof(text), "server %s (%s) does not answer", u->config->name,
			 u->config->address);
	else
		snprintf(text, sizeof(text), "server %s (%s) %s: %s", u->config->name,
			 u->config->address, u->refused ? "cannot be used" : "cannot be reached",
			 u->error[0] ? u->error : "it does not answer");
	refuse(s, u->refused ? CUDA_ERROR_NOT_PERMITTED : CUDA_ERROR_SYSTEM_NOT_READY, text);
}

static void on_deadline(struct vgpu_timer *t)
{
	struct vgpu_client *s = vgpu_container(t, struct vgpu_client, deadline);
	char why[1024];

	if (s->state < SESSION_CONNECTING) {
		refuse_unreached(s);
		return;
	}
	snprintf(why, sizeof(why), "server %s was not reached again within the grace period: %s",
		 s->upstream->config->name,
		 s->trouble[0] ? s->trouble : s->upstream->error);
	vgpu_session_end(s, why);
}

/* ---- opening ---- */

/*
 * The module gives its devices a UUID. Programs over the socket see one that is the
 * same each time for GPU @i of theirs, and no other GPU's of this server.
 */
static void make_uuid(const struct vgpu_client *s, unsigned i, uint8_t uuid[16])
{
	char name[VGPU_CONFIG_NAME + 32];
	uint64_t half[2];

	for (int k = 0; k < 2; k++) {
		snprintf(name, sizeof(name), "%d.%u.%u.%s", k, i, s->gpus.gpus[i].ordinal,
			 s->upstream->config->name);
		half[k] = vgpu_name_hash(name);
	}
	memcpy(uuid, half, 16);
	uuid[6] = (uuid[6] & 0x0f) | 0x80;	/* version 8: made as its maker likes */
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

static void ask(struct vgpu_client *s)
{
	struct vgpu_control m = { .type = VGPU_CONTROL_OPEN };
	struct vgpu_channel_view view;

	vgpu_channel_view(s->channel, &view);
	m.request = s->request = vgpu_upstream_request(s->upstream);
	m.open.sizes = view.sizes;
	m.open.pid = s->pid;
	m.open.uid = s->uid;
	strcpy(m.open.program, s->program);
	m.open.ngpus = s->gpus.count;
	for (unsigned i = 0; i < s->gpus.count; i++) {
		m.open.gpus[i].ordinal = s->gpus.gpus[i].ordinal;
		m.open.gpus[i].number = s->gpus.gpus[i].number;
		if (s->module < 0)
			make_uuid(s, i, s->gpus.gpus[i].uuid);
		memcpy(m.open.gpus[i].uuid, s->gpus.gpus[i].uuid, 16);
	}
	s->generation = s->upstream->generation;
	s->state = SESSION_OPENING;
	vgpu_upstream_send(s->upstream, &m);
}

/* Programs over the socket have all GPUs of their server, unless they are listed. */
static int all_gpus(struct vgpu_client *s)
{
	struct vgpu_session_gpus *g = &s->gpus;

	if (g->count)
		return 0;
	for (unsigned i = 0; i < s->upstream->ngpus && i < VGPU_CHANNEL_DEVICES; i++) {
		g->gpus[i].ordinal = g->gpus[i].number = i;
		g->count++;
	}
	return g->count ? 0 : -ENODEV;
}

static void open_session(struct vgpu_client *s)
{
	char text[128];

	if (!all_gpus(s)) {
		ask(s);
		return;
	}
	snprintf(text, sizeof(text), "server %s has no GPU", s->upstream->config->name);
	refuse(s, CUDA_ERROR_NO_DEVICE, text);
}

/* Whoever comes after this process, if it ends, goes on with the session. */
static int leave_cookie(const struct vgpu_client *s)
{
	struct vgpu_session_cookie session = {
		.server = vgpu_name_hash(s->upstream->config->name),
	};
	struct vgpu_cookie cookie;
	int err;

	if (s->module < 0)
		return 0;
	memcpy(session.id, s->id, sizeof(s->id));
	memcpy(session.secret, s->secret, sizeof(s->secret));
	vgpu_cookie_make(&cookie, &session);
	err = ioctl(s->module, VGPU_IOC_COOKIE, &cookie) ? -errno : 0;
	explicit_bzero(&session, sizeof(session));
	explicit_bzero(&cookie, sizeof(cookie));
	return err;
}

static int64_t grace_ms(const struct vgpu_client *s)
{
	return s->vgpud->config->grace * 1000ll;
}

static void connect_session(struct vgpu_client *s)
{
	int err = vgpu_flow_init(s);

	if (err) {
		vgpu_session_end(s, err == -EPROTO ? "the program's channel is not in order" :
				 strerror(-err));
		return;
	}
	s->state = SESSION_CONNECTING;
	vgpu_timer_set(&s->vgpud->loop, &s->deadline, grace_ms(s));
	vgpu_attach_begin(s);
}

static void take_opened(struct vgpu_client *s, const struct vgpu_control *m)
{
	char text[VGPU_CONTROL_TEXT + 64];
	int err;

	s->request = 0;
	if (m->status) {
		snprintf(text, sizeof(text), "server %s: %s", s->upstream->config->name,
			 m->text[0] ? m->text : "it gives no reason");
		refuse(s, m->status, text);
		return;
	}
	memcpy(s->id, m->session, sizeof(s->id));
	memcpy(s->secret, m->opened.secret, sizeof(s->secret));
	s->opened = true;
	err = leave_cookie(s);
	if (err)
		vgpu_session_end(s, strerror(-err));
	else
		connect_session(s);
}

/* ---- going on after a control connection, or a daemon, was lost ---- */

static void adopt(struct vgpu_client *s)
{
	struct vgpu_control m = { .type = VGPU_CONTROL_ADOPT };

	m.request = s->request = vgpu_upstream_request(s->upstream);
	memcpy(m.session, s->id, sizeof(m.session));
	vgpu_control_proof(s->id, s->secret, s->upstream->nonce, m.adopt.proof);
	s->generation = s->upstream->generation;
	vgpu_upstream_send(s->upstream, &m);
}

static void take_adopted(struct vgpu_client *s, const struct vgpu_control *m)
{
	char why[VGPU_CONTROL_TEXT + 128];

	s->request = 0;
	if (!m->status)
		return;
	snprintf(why, sizeof(why), "server %s does not go on with it: %s",
		 s->upstream->config->name, m->text);
	s->opened = false;	/* there is nothing to close */
	vgpu_session_end(s, why);
}

/* The control connection is up, and does not know of the session yet. */
static void introduce(struct vgpu_client *s)
{
	if (s->state == SESSION_WAITING) {
		open_session(s);
		return;
	}
	if (!s->opened || s->generation == s->upstream->generation)
		return;
	adopt(s);
	if (s->state == SESSION_CONNECTING || s->state == SESSION_LOST)
		vgpu_attach_begin(s);
}

/* ---- servers ---- */

void vgpu_sessions_up(struct vgpu_upstream *u)
{
	struct vgpu_client *s, *next;

	for (s = TAILQ_FIRST(&u->vgpud->sessions); s; s = next) {
		next = TAILQ_NEXT(s, all);
		if (s->upstream == u)
			introduce(s);
	}
}

void vgpu_sessions_down(struct vgpu_upstream *u, bool silent)
{
	struct vgpu_client *s, *next;

	for (s = TAILQ_FIRST(&u->vgpud->sessions); s; s = next) {
		next = TAILQ_NEXT(s, all);
		if (s->upstream != u)
			continue;
		s->request = 0;
		if (s->state == SESSION_OPENING)
			s->state = SESSION_WAITING;	/* it is asked for again */
		if (s->state == SESSION_WAITING && u->refused)
			refuse_unreached(s);
		else if (s->state == SESSION_RUNNING && silent &&
			 vgpu_now() - s->heard > SILENT_NS)
			vgpu_session_lost(s, "the server's host does not answer");
	}
}

void vgpu_sessions_end(struct vgpu_upstream *u, const char *why)
{
	struct vgpu_client *s, *next;

	for (s = TAILQ_FIRST(&u->vgpud->sessions); s; s = next) {
		next = TAILQ_NEXT(s, all);
		if (s->upstream == u && s->state >= SESSION_CONNECTING)
			vgpu_session_end(s, why);
	}
}

static struct vgpu_client *find_request(struct vgpu_upstream *u, uint64_t request)
{
	struct vgpu_client *s;

	TAILQ_FOREACH(s, &u->vgpud->sessions, all)
		if (s->upstream == u && s->request && s->request == request)
			return s;
	return NULL;
}

static struct vgpu_client *find_id(struct vgpu_upstream *u, const uint8_t *id)
{
	struct vgpu_client *s;

	TAILQ_FOREACH(s, &u->vgpud->sessions, all)
		if (s->upstream == u && s->opened && !memcmp(s->id, id, sizeof(s->id)))
			return s;
	return NULL;
}

static void take_ended(struct vgpu_client *s, const struct vgpu_control *m)
{
	char why[VGPU_CONTROL_TEXT + 128];

	snprintf(why, sizeof(why), "server %s ended it: %s", s->upstream->config->name, m->text);
	s->opened = false;
	vgpu_session_end(s, why);
}

void vgpu_sessions_message(struct vgpu_upstream *u, const struct vgpu_control *m)
{
	struct vgpu_client *s = m->type == VGPU_CONTROL_ENDED ? find_id(u, m->session) :
							       find_request(u, m->request);

	if (m->type == VGPU_CONTROL_ENDED) {
		if (s)
			take_ended(s, m);
	} else if (m->type == VGPU_CONTROL_OPENED) {
		if (s && s->state == SESSION_OPENING)
			take_opened(s, m);
		else if (!m->status)
			close_at_server(u, m->session);	/* the program did not wait */
	} else if (s && s->opened) {
		take_adopted(s, m);
	}
}

unsigned vgpu_sessions_of(const struct vgpu_upstream *u)
{
	const struct vgpu_client *s;
	unsigned n = 0;

	TAILQ_FOREACH(s, &u->vgpud->sessions, all)
		n += s->upstream == u;
	return n;
}

/* ---- the data connection ---- */

void vgpu_session_resumed(struct vgpu_client *s)
{
	const struct vgpu_stream *stream = vgpu_mirror_stream(s->mirror);
	const char *link = vgpu_stream_kind(stream);

	if (!vgpu_stream_by_verbs(stream) && vgpu_stream_note(stream)[0])
		session_log(s, "link %s instead of verbs: %s", link, vgpu_stream_note(stream));
	vgpu_attach_done(s);
	vgpu_timer_cancel(&s->deadline);
	if (s->state == SESSION_LOST)
		session_log(s, "link to server %s restored after %.1f s (%s)",
			    s->upstream->config->name,
			    (double)(vgpu_now() - s->lost_since) / NS, link);
	else
		session_log(s, "server %s, link %s", s->upstream->config->name, link);
	s->state = SESSION_RUNNING;
	s->trouble[0] = 0;
}

bool vgpu_session_faulty(struct vgpu_client *s)
{
	const char *fault = s->mirror ? vgpu_mirror_fault(s->mirror) : NULL;

	if (fault)
		vgpu_session_end(s, fault);
	return fault;
}

void vgpu_session_lost(struct vgpu_client *s, const char *why)
{
	if (s->state != SESSION_RUNNING) {
		vgpu_attach_again(s, why);
		return;
	}
	session_log(s, "link to server %s lost: %s", s->upstream->config->name, why);
	snprintf(s->trouble, sizeof(s->trouble), "%s", why);
	s->state = SESSION_LOST;
	s->lost_since = vgpu_now();
	vgpu_timer_set(&s->vgpud->loop, &s->deadline, grace_ms(s));
	vgpu_attach_drop(s);
	if (!vgpu_session_faulty(s))
		vgpu_attach_begin(s);
}

/* ---- the beginning ---- */

static void on_bell(struct vgpu_watch *w, uint32_t events)
{
	struct vgpu_client *s = vgpu_container(w, struct vgpu_client, bell);

	int said = vgpu_relay_take_bells(s->channel);

	if (said < 0) {
		vgpu_session_left(s);
		return;
	}
	if (said)
		vgpu_flow_take_announced(s);
	vgpu_flow_wake(s);
}

static struct vgpu_client *make(struct vgpud *d, const struct vgpu_arrival *a)
{
	struct vgpu_client *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->vgpud = d;
	s->upstream = a->upstream;
	s->channel = a->channel;
	s->module = a->module;
	s->pid = a->pid;
	s->uid = a->uid;
	s->gpus = a->gpus;
	s->since = vgpu_now();
	s->deadline.due = on_deadline;
	s->bell.ready = on_bell;
	vgpu_attach_init(s);
	vgpu_spin_reset(&s->spin);
	read_program(s);
	TAILQ_INSERT_TAIL(&d->sessions, s, all);
	d->nsessions++;
	return s;
}

static void begin_anew(struct vgpu_client *s)
{
	vgpu_timer_set(&s->vgpud->loop, &s->deadline, OPEN_MS);
	if (vgpu_upstream_up(s->upstream))
		open_session(s);
	else
		vgpu_upstream_hurry(s->upstream);
}

/* Another vgpud was here, and the program has been waiting since. */
static void begin_again(struct vgpu_client *s, const struct vgpu_arrival *a)
{
	memcpy(s->id, a->id, sizeof(s->id));
	memcpy(s->secret, a->secret, sizeof(s->secret));
	s->opened = true;
	s->lost_since = s->since;
	session_log(s, "taken over, server %s", s->upstream->config->name);
	/* The one before may have moved something and not come to ring for it. */
	vgpu_relay_announce(s->channel, false);
	vgpu_upstream_hurry(s->upstream);
	connect_session(s);
	if (s->state != SESSION_OVER && vgpu_upstream_up(s->upstream))
		introduce(s);
}

void vgpu_session_begin(struct vgpud *d, const struct vgpu_arrival *a)
{
	struct vgpu_client *s = make(d, a);
	int err;

	if (!s) {
		vgpu_channel_close(a->channel);
		return;
	}
	if (a->refusal[0]) {
		if (a->resumed)
			vgpu_session_end(s, a->refusal);
		else
			refuse(s, a->status, a->refusal);
		return;
	}
	err = vgpu_watch_add(&d->loop, &s->bell, vgpu_relay_fd(s->channel), EPOLLIN);
	if (err) {
		vgpu_session_end(s, strerror(-err));
		return;
	}
	vgpu_upstream_watched(s->upstream);
	if (a->resumed)
		begin_again(s, a);
	else
		begin_anew(s);
}
