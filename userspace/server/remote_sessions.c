/* SPDX-License-Identifier: MIT */
/*
 * Sessions whose client is on another host: opened, adopted and closed by what a
 * control connection says, their workers told by messages (session.h). A worker
 * that does not read its messages holds up nobody: what cannot be sent at once is
 * not sent.
 */
#include "proto/cuda_api.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "server/serve.h"

#define END_MS		5000	/* for a worker that was told to end */

/* ---- messages to workers ---- */

/* @fd goes with it unless it is -1. */
static int tell(int link, const struct vgpu_session_message *m, int fd)
{
	char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(sizeof(size_t)))) = {};
	struct iovec v = { (void *)m, sizeof(*m) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (fd >= 0) {
		h.msg_control = room;
		h.msg_controllen = sizeof(room);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(link, &h, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/*
 * A group for each client, by its certificate and so the same tomorrow: its
 * sessions share the images that they keep. Should two have the same, each still
 * has a folder of its own.
 */
static gid_t group_of(const struct vgpu_server *s, const struct vgpu_remote_session *r)
{
	const gid_t first = s->o->uid_base + VGPU_SESSIONS_MAX;
	char digits[8];

	snprintf(digits, sizeof(digits), "%.7s", r->identity.fingerprint);
	return first + strtoul(digits, NULL, 16) % (VGPU_UID_END - first);
}

/* Its own user, so that no worker can signal or trace another. */
static void set_user(const struct vgpu_server *s, const struct vgpu_remote_session *r,
		     struct vgpu_session_message *m)
{
	const bool root = !geteuid();

	m->uid = root ? s->o->uid_base + r->slot : geteuid();
	m->gid = root ? group_of(s, r) : getegid();
}

static int tell_start(const struct vgpu_server *s, const struct vgpu_remote_session *r,
		      const struct vgpu_ring_sizes *sizes)
{
	struct vgpu_session_message m = {
		.kind = VGPU_SESSION_START, .grace = s->o->grace, .sizes = *sizes,
	};
	int err;

	memcpy(m.session, r->id, sizeof(m.session));
	memcpy(m.secret, r->secret, sizeof(m.secret));
	set_user(s, r, &m);
	strcpy(m.tenant, r->plain ? "plain" : r->identity.fingerprint);
	err = tell(r->link, &m, -1);
	explicit_bzero(&m, sizeof(m));
	return err;
}

/* Should there be no room for END, the end of the socket says the same. */
static void tell_end(struct vgpu_remote_session *r)
{
	struct vgpu_session_message m = { .kind = VGPU_SESSION_END };

	strcpy(m.text, r->end);
	tell(r->link, &m, -1);
	close(r->link);
	r->link = -1;
}

/* ---- opening ---- */

static unsigned sessions_of(const struct vgpu_server *s, const char *key)
{
	const struct vgpu_session *p;
	unsigned n = 0;

	LIST_FOREACH(p, &s->sessions, link)
		n += p->remote && !strcmp(p->remote->key, key);
	return n;
}

/* CUDA_SUCCESS, or why it gets no session. */
static CUresult admit(const struct vgpu_host *h, const struct vgpu_control *m, char *why,
		      size_t room)
{
	const struct vgpu_server *s = h->server;

	for (uint32_t i = 0; i < m->open.ngpus; i++) {
		if (m->open.gpus[i].ordinal < s->probe.count)
			continue;
		snprintf(why, room, "the server %s has %u GPUs, but no GPU %u", s->name,
			 s->probe.count, m->open.gpus[i].ordinal);
		return CUDA_ERROR_INVALID_DEVICE;
	}
	if (s->count >= s->o->max_sessions)
		snprintf(why, room, "all %u sessions of the server %s are taken",
			 s->o->max_sessions, s->name);
	else if (sessions_of(s, h->key) >= s->o->max_client_sessions)
		snprintf(why, room, "the server %s has %u sessions for one client, all are taken",
			 s->name, s->o->max_client_sessions);
	else
		return CUDA_SUCCESS;
	return CUDA_ERROR_DEVICE_UNAVAILABLE;
}

static void remote_free(struct vgpu_server *s, struct vgpu_remote_session *r)
{
	if (r->link >= 0)
		close(r->link);
	vgpu_certificate_put(r->certificate);
	s->slots[r->slot] = 0;
	explicit_bzero(r->secret, sizeof(r->secret));
	free(r);
}

/*
 * There is a slot for each session that may be. One that was used is used again as
 * late as can be: a process that its worker left would have the user of the next.
 */
static unsigned take_slot(struct vgpu_server *s)
{
	do
		s->last_slot = (s->last_slot + 1) % (s->o->max_sessions + 1);
	while (s->slots[s->last_slot]);
	s->slots[s->last_slot] = 1;
	return s->last_slot;
}

static struct vgpu_remote_session *remote_create(struct vgpu_host *h)
{
	struct vgpu_remote_session *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->link = -1;
	r->slot = take_slot(h->server);
	r->host = h;
	r->plain = h->plain;
	r->deadline = VGPU_NEVER;
	r->identity = h->identity;
	r->certificate = vgpu_certificate_get(h->certificate);
	strcpy(r->key, h->key);
	strcpy(r->client, h->name);
	if (getrandom(r->id, sizeof(r->id), 0) == sizeof(r->id) &&
	    getrandom(r->secret, sizeof(r->secret), 0) == sizeof(r->secret))
		return r;
	remote_free(h->server, r);
	return NULL;
}

/* What the operator reads and the worker is told of the program. */
static void set_program(struct vgpu_session *new, const struct vgpu_control *m,
			struct vgpu_client *c)
{
	size_t at = 0;

	new->pid = m->open.pid;
	new->uid = m->open.uid;
	snprintf(new->program, sizeof(new->program), "%s", m->open.program);
	new->gpus.count = m->open.ngpus;
	for (uint32_t i = 0; i < m->open.ngpus; i++) {
		new->gpus.gpus[i].ordinal = m->open.gpus[i].ordinal;
		new->gpus.gpus[i].number = m->open.gpus[i].number;
		memcpy(new->gpus.gpus[i].uuid, m->open.gpus[i].uuid, 16);
		at += snprintf(new->place + at, sizeof(new->place) - at, "%sGPU %u", i ? "," : "",
			       m->open.gpus[i].ordinal);
	}
	vgpu_gpu_list_format(&new->gpus, c->gpus, sizeof(c->gpus));
}

static int spawn(struct vgpu_server *s, struct vgpu_session *new, const struct vgpu_control *m)
{
	struct vgpu_client c = { .session = true };
	int ends[2], err;

	set_program(new, m, &c);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	new->remote->link = ends[0];
	c.fd = ends[1];
	/* It fits into an empty socket, so nobody has to be there to read it. */
	err = tell_start(s, new->remote, &m->open.sizes);
	if (!err)
		err = vgpu_session_spawn(s, new, &c);
	close(ends[1]);
	return err;
}

static int open_session(struct vgpu_host *h, const struct vgpu_control *m,
			struct vgpu_session **out)
{
	struct vgpu_session *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	if (!p)
		return err;
	p->remote = remote_create(h);
	if (!p->remote)
		goto free_session;
	err = spawn(h->server, p, m);
	if (err)
		goto free_remote;
	*out = p;
	return 0;
free_remote:
	remote_free(h->server, p->remote);
free_session:
	free(p);
	return err;
}

void vgpu_remote_open(struct vgpu_host *h, const struct vgpu_control *m,
		      struct vgpu_control *answer)
{
	struct vgpu_session *new;
	int err;

	answer->status = admit(h, m, answer->text, sizeof(answer->text));
	if (!answer->status) {
		err = open_session(h, m, &new);
		if (!err) {
			memcpy(answer->session, new->remote->id, sizeof(answer->session));
			memcpy(answer->opened.secret, new->remote->secret, VGPU_SECRET);
			return;
		}
		answer->status = CUDA_ERROR_OPERATING_SYSTEM;
		snprintf(answer->text, sizeof(answer->text), "the server %s has no worker: %s",
			 h->server->name, strerror(-err));
	}
	vgpu_complain(h->server, "%s, pid %u, %s: no session: %s", h->name, m->open.pid,
		      m->open.program, answer->text);
}

/* ---- finding ---- */

static struct vgpu_session *find(const struct vgpu_server *s, const uint8_t *id)
{
	struct vgpu_session *p;

	LIST_FOREACH(p, &s->sessions, link)
		if (p->remote && p->state != VGPU_SESSION_ENDING &&
		    !memcmp(p->remote->id, id, sizeof(p->remote->id)))
			return p;
	return NULL;
}

/* NULL, or why the one who asks is not who opened @p. */
static const char *check_adoption(const struct vgpu_host *h, const struct vgpu_session *p,
				  const uint8_t *proof)
{
	uint8_t expect[32];

	if (!p)
		return "there is no such session";
	vgpu_control_proof(p->remote->id, p->remote->secret, h->nonce, expect);
	if (CRYPTO_memcmp(expect, proof, sizeof(expect)))
		return "its proof is wrong";
	if (h->plain != p->remote->plain ||
	    strcmp(h->identity.fingerprint, p->remote->identity.fingerprint))
		return "another certificate opened it";
	return NULL;
}

void vgpu_remote_adopt(struct vgpu_host *h, const struct vgpu_control *m,
		       struct vgpu_control *answer)
{
	struct vgpu_session *p = find(h->server, m->session);
	const char *wrong = check_adoption(h, p, m->adopt.proof);

	if (wrong) {
		vgpu_complain(h->server, "%s: a session was not adopted: %s", h->name, wrong);
		/* What else is wrong is not for who guesses. */
		answer->status = CUDA_ERROR_INVALID_HANDLE;
		strcpy(answer->text, "there is no such session");
		return;
	}
	memcpy(answer->session, m->session, sizeof(answer->session));
	p->remote->host = h;
	strcpy(p->remote->client, h->name);
	p->remote->deadline = VGPU_NEVER;
	p->state = p->remote->epoch ? VGPU_SESSION_RUNNING : VGPU_SESSION_OPENING;
	vgpu_log("session of %s, pid %u, %s: goes on", h->name, p->pid, p->program);
}

void vgpu_remote_close(struct vgpu_host *h, const uint8_t *id)
{
	struct vgpu_session *p = find(h->server, id);

	/* It may have ended of its own accord in the meantime. */
	if (!p || p->remote->host != h)
		return;
	p->remote->host = NULL;
	vgpu_remote_end(p, "the client left");
}

/* ---- connections ---- */

static const char *check_connection(const struct vgpu_session *p,
				    const struct vgpu_preface *preface)
{
	if (!p)
		return "it is of a session that is not known";
	if (!vgpu_preface_proves(preface, p->remote->secret))
		return "it is of a session whose secret it does not have";
	if (preface->epoch <= p->remote->epoch)
		return "it is a copy of a former one";
	if (!(preface->flags & VGPU_PREFACE_PLAIN) != !p->remote->plain)
		return "it is of a session that was opened otherwise, with or without TLS";
	return NULL;
}

const char *vgpu_remote_attach(struct vgpu_server *s, const struct vgpu_preface *preface, int fd)
{
	struct vgpu_session *p = find(s, preface->session);
	const char *wrong = check_connection(p, preface);
	struct vgpu_session_message m = {
		.kind = VGPU_SESSION_ATTACH, .flags = preface->flags, .epoch = preface->epoch,
	};

	if (wrong)
		return wrong;
	/* Also if the worker does not take it: nobody is to try again with this one. */
	p->remote->epoch = preface->epoch;
	if (tell(p->remote->link, &m, fd))
		return "its worker does not take it";
	if (p->state == VGPU_SESSION_OPENING)
		p->state = VGPU_SESSION_RUNNING;
	return NULL;
}

/* ---- ending ---- */

void vgpu_remote_end(struct vgpu_session *p, const char *why)
{
	if (p->state == VGPU_SESSION_ENDING)
		return;
	snprintf(p->remote->end, sizeof(p->remote->end), "%s", why);
	p->state = VGPU_SESSION_ENDING;
	p->remote->deadline = vgpu_now() + END_MS;
	tell_end(p->remote);
}

unsigned vgpu_remote_orphan(struct vgpu_host *h)
{
	struct vgpu_session *p;
	unsigned n = 0;

	LIST_FOREACH(p, &h->server->sessions, link) {
		if (!p->remote || p->remote->host != h)
			continue;
		p->remote->host = NULL;
		if (p->state == VGPU_SESSION_ENDING)
			continue;
		p->state = VGPU_SESSION_LOST;
		p->remote->deadline = vgpu_now() + h->server->o->grace * 1000ll;
		n++;
	}
	return n;
}

static void tell_host(struct vgpu_host *h, const struct vgpu_remote_session *r, const char *why)
{
	struct vgpu_control m = { .type = VGPU_CONTROL_ENDED };

	memcpy(m.session, r->id, sizeof(m.session));
	snprintf(m.text, sizeof(m.text), "%s", why);
	vgpu_host_send(h, &m);
}

static void end_revoked(struct vgpu_session *p, const char *why)
{
	char text[VGPU_BYE_TEXT];

	snprintf(text, sizeof(text), "the client's certificate is not good any more: %s", why);
	vgpu_remote_end(p, text);
	/* Now, since the connection does not live until the worker has ended. */
	if (p->remote->host)
		tell_host(p->remote->host, p->remote, text);
	p->remote->host = NULL;
}

void vgpu_remote_recheck(struct vgpu_server *s)
{
	struct vgpu_session *p;

	LIST_FOREACH(p, &s->sessions, link) {
		const char *why = p->remote && p->remote->certificate ?
			vgpu_tls_recheck(s->tls, p->remote->certificate) : NULL;

		if (why)
			end_revoked(p, why);
	}
}

void vgpu_remote_over(struct vgpu_server *s, struct vgpu_session *p, const char *how)
{
	if (p->remote->host)
		tell_host(p->remote->host, p->remote, how);
	remote_free(s, p->remote);
	p->remote = NULL;
}

int64_t vgpu_remote_tick(struct vgpu_server *s, int64_t now)
{
	int64_t next = VGPU_NEVER;
	struct vgpu_session *p;

	LIST_FOREACH(p, &s->sessions, link) {
		if (!p->remote)
			continue;
		if (p->remote->deadline <= now && p->state == VGPU_SESSION_LOST) {
			vgpu_remote_end(p, "the client's host did not come back in time");
		} else if (p->remote->deadline <= now) {
			kill(p->worker, SIGKILL);
			p->remote->deadline = VGPU_NEVER;
		}
		if (p->remote->deadline < next)
			next = p->remote->deadline;
	}
	return next;
}
