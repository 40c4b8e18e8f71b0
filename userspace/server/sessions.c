/* SPDX-License-Identifier: MIT */
/*
 * Sessions: a worker for each client, from its start to its end. Nothing here
 * waits for a client: what it sends is read by its worker. What is particular to
 * clients on other hosts is in remote_sessions.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "server/serve.h"

#define REFUSALS_MAX	16	/* at once, besides sessions; then without a word */

/* ---- starting ---- */

static void client_exe(struct vgpu_session *s)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%u/exe", s->pid);
	n = readlink(path, s->program, sizeof(s->program) - 1);
	snprintf(s->program + (n > 0 ? n : 0), n > 0 ? 1 : sizeof(s->program), "%s",
		 n > 0 ? "" : "?");
}

/* Why this client gets no session; NULL: it does. */
static const char *refusal(const struct vgpu_server *s, struct vgpu_client *c)
{
	if (s->count >= s->o->max_sessions)
		snprintf(c->refusal, sizeof(c->refusal),
			 "all %u sessions of this server are taken", s->o->max_sessions);
	else if (geteuid() && c->who.uid != geteuid())
		snprintf(c->refusal, sizeof(c->refusal), "this server serves user %u only",
			 (unsigned)geteuid());
	return *c->refusal ? c->refusal : NULL;
}

static void log_start(const struct vgpu_session *s)
{
	const bool remote = s->remote;

	vgpu_log("session of %s%spid %u, uid %u, %s%s%s: worker %d%s",
		 remote ? s->remote->client : "", remote ? ", " : "", s->pid, s->uid, s->program,
		 *s->place ? ", on " : "", s->place, (int)s->worker,
		 s->refusal ? " is to refuse it" : "");
}

int vgpu_session_spawn(struct vgpu_server *s, struct vgpu_session *new,
		       const struct vgpu_client *c)
{
	new->worker = vgpu_worker_spawn(s->o, c, new->refusal ? c->refusal : NULL);
	if (new->worker < 0)
		return new->worker;
	new->since = vgpu_now();
	LIST_INSERT_HEAD(&s->sessions, new, link);
	s->count += !new->refusal;
	s->refusals += new->refusal;
	log_start(new);
	return 0;
}

int vgpu_session_start(struct vgpu_server *s, struct vgpu_client *c)
{
	struct vgpu_session *new = calloc(1, sizeof(*new));
	int err = new ? 0 : -ENOMEM;

	if (err)
		return err;
	new->refusal = refusal(s, c);
	new->state = VGPU_SESSION_RUNNING;
	new->pid = c->who.pid;
	new->uid = c->who.uid;
	strcpy(new->place, c->place);
	if (*c->gpus)
		vgpu_gpu_list_parse(c->gpus, &new->gpus);
	client_exe(new);
	err = new->refusal && s->refusals >= REFUSALS_MAX ? -EBUSY :
		vgpu_session_spawn(s, new, c);
	if (err)
		free(new);
	return err;
}

/* ---- ending ---- */

static const char *const ends[VGPU_ENDS] = {
	[VGPU_END_CLIENT_LEFT]	= "the client left",
	[VGPU_END_REFUSED]	= "it was refused",
	[VGPU_END_NO_HELLO]	= "the client did not say hello",
	[VGPU_END_PROTOCOL]	= "the client broke the protocol",
	[VGPU_END_INTERNAL]	= "the worker could not go on",
};

static void describe_end(int status, char *how, size_t room)
{
	if (WIFSIGNALED(status))
		snprintf(how, room, "the worker was killed by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) < VGPU_ENDS && ends[WEXITSTATUS(status)])
		snprintf(how, room, "%s", ends[WEXITSTATUS(status)]);
	else
		snprintf(how, room, "the worker exited with %d", WEXITSTATUS(status));
}

static void session_over(struct vgpu_server *s, struct vgpu_session *old, int status)
{
	char how[VGPU_BYE_TEXT];

	describe_end(status, how, sizeof(how));
	if (old->remote && *old->remote->end)
		strcpy(how, old->remote->end);
	vgpu_log("session of %s%spid %u, uid %u, %s: worker %d ended after %lld s: %s",
		 old->remote ? old->remote->client : "", old->remote ? ", " : "", old->pid,
		 old->uid, old->program, (int)old->worker,
		 (long long)(vgpu_now() - old->since) / 1000, how);
	LIST_REMOVE(old, link);
	s->count -= !old->refusal;
	s->refusals -= old->refusal;
	if (old->remote)
		vgpu_remote_over(s, old, how);
	free(old);
}

void vgpu_sessions_reap(struct vgpu_server *s)
{
	struct vgpu_session *p;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		LIST_FOREACH(p, &s->sessions, link)
			if (p->worker == pid)
				break;
		if (p)
			session_over(s, p, status);
	}
}

void vgpu_sessions_end(struct vgpu_server *s)
{
	struct vgpu_session *p;

	LIST_FOREACH(p, &s->sessions, link) {
		if (p->remote)
			vgpu_remote_end(p, "the server was shut down");
		else
			kill(p->worker, SIGTERM);
	}
}

void vgpu_sessions_kill(struct vgpu_server *s)
{
	struct vgpu_session *p;

	LIST_FOREACH(p, &s->sessions, link)
		kill(p->worker, SIGKILL);
}
