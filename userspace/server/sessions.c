/* SPDX-License-Identifier: MIT */
/*
 * Sessions: a worker for each client, from accept to its end. Nothing here waits
 * for a client: what it sends is read by its worker.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "server/server.h"

#define REFUSALS_MAX	16	/* at once, besides sessions; then without a word */
#define BREAK_MS	100	/* when no process or descriptor is to be had */
#define END_MS		2000

struct session {
	struct session	*next;
	pid_t		worker;
	struct ucred	client;
	bool		refusal;
	time_t		since;
	char		exe[256];
	char		place[sizeof(((struct vgpu_client *)0)->place)];
};

struct server {
	const struct vgpu_options *o;
	struct vgpu_source *const *sources;
	unsigned	nsources;
	int		signals;
	struct session	*sessions;
	unsigned	count, refusals;
	bool		stop;
	bool		pause;		/* accept nothing for a moment */
};

/* ---- starting ---- */

static void client_exe(struct session *s)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)s->client.pid);
	n = readlink(path, s->exe, sizeof(s->exe) - 1);
	snprintf(s->exe + (n > 0 ? n : 0), n > 0 ? 1 : sizeof(s->exe), "%s", n > 0 ? "" : "?");
}

/* Why this client gets no session; NULL: it does. */
static const char *refusal(const struct server *s, struct vgpu_client *c)
{
	if (s->count >= s->o->max_sessions)
		snprintf(c->refusal, sizeof(c->refusal),
			 "all %u sessions of this server are taken", s->o->max_sessions);
	else if (geteuid() && c->who.uid != geteuid())
		snprintf(c->refusal, sizeof(c->refusal), "this server serves user %u only",
			 (unsigned)geteuid());
	return *c->refusal ? c->refusal : NULL;
}

static void session_log(const struct session *s)
{
	vgpu_log("session of pid %d, uid %u, %s%s%s: worker %d%s", (int)s->client.pid,
		 (unsigned)s->client.uid, s->exe, *s->place ? ", on " : "", s->place,
		 (int)s->worker, s->refusal ? " is to refuse it" : "");
}

static int session_spawn(struct server *s, struct session *new, struct vgpu_client *c)
{
	const char *refuse = refusal(s, c);

	new->refusal = refuse;
	if (refuse && s->refusals >= REFUSALS_MAX)
		return -EBUSY;
	new->worker = vgpu_worker_spawn(s->o, c, refuse);
	return new->worker < 0 ? new->worker : 0;
}

static int session_start(struct server *s, struct vgpu_client *c)
{
	struct session *new = calloc(1, sizeof(*new));
	int err = new ? session_spawn(s, new, c) : -ENOMEM;

	if (err) {
		free(new);
		return err;
	}
	new->client = c->who;
	strcpy(new->place, c->place);
	client_exe(new);
	new->since = time(NULL);
	new->next = s->sessions;
	s->sessions = new;
	s->count += !new->refusal;
	s->refusals += new->refusal;
	session_log(new);
	return 0;
}

static void accept_one(struct server *s, struct vgpu_source *from)
{
	struct vgpu_client c = {};
	int err = from->accept(from, &c);

	if (err) {
		/* Out of something: the client waits until there is some again. */
		s->pause = err != -EAGAIN;
		return;
	}
	err = session_start(s, &c);
	if (err) {
		vgpu_log("no worker for a client: %s", strerror(-err));
		s->pause = err != -EBUSY;
	}
	close(c.fd);
}

/* ---- ending ---- */

static const char *const ends[VGPU_ENDS] = {
	[VGPU_END_CLIENT_LEFT]	= "the client left",
	[VGPU_END_REFUSED]	= "it was refused",
	[VGPU_END_NO_HELLO]	= "the client did not say hello",
	[VGPU_END_PROTOCOL]	= "the client broke the protocol",
	[VGPU_END_INTERNAL]	= "the worker could not go on",
};

static void session_end(struct server *s, struct session *old, int status)
{
	char how[64];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "the worker was killed by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) < VGPU_ENDS)
		snprintf(how, sizeof(how), "%s", ends[WEXITSTATUS(status)]);
	else
		snprintf(how, sizeof(how), "the worker exited with %d", WEXITSTATUS(status));
	vgpu_log("session of pid %d, uid %u, %s: worker %d ended after %lld s: %s",
		 (int)old->client.pid, (unsigned)old->client.uid, old->exe, (int)old->worker,
		 (long long)(time(NULL) - old->since), how);
	s->count -= !old->refusal;
	s->refusals -= old->refusal;
	free(old);
}

static void reap(struct server *s)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (struct session **p = &s->sessions; *p; p = &(*p)->next) {
			struct session *old = *p;

			if (old->worker != pid)
				continue;
			*p = old->next;
			session_end(s, old, status);
			break;
		}
	}
}

static void end_workers(struct server *s, int signal)
{
	for (struct session *p = s->sessions; p; p = p->next)
		kill(p->worker, signal);
}

static void read_signals(struct server *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			s->stop = true;
	reap(s);
}

/* All workers end: asked to, then made to. */
static void stop(struct server *s)
{
	struct pollfd p = { .fd = s->signals, .events = POLLIN };

	end_workers(s, SIGTERM);
	while (s->sessions && poll(&p, 1, END_MS) > 0)
		read_signals(s);
	end_workers(s, SIGKILL);
	while (s->sessions && poll(&p, 1, END_MS) > 0)
		read_signals(s);
}

int vgpu_signals_take(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Wait for something to do; the first of @p is the signals, the others the sources. */
static int await(const struct server *s, struct pollfd *p)
{
	p[0] = (struct pollfd){ .fd = s->signals, .events = POLLIN };
	for (unsigned i = 0; i < s->nsources; i++)
		p[1 + i] = (struct pollfd){
			.fd = s->pause ? -1 : s->sources[i]->fd, .events = POLLIN,
		};
	return poll(p, 1 + s->nsources, s->pause ? BREAK_MS : -1);
}

void vgpu_serve_sessions(const struct vgpu_options *o, struct vgpu_source *const *sources,
			 unsigned nsources, int signals)
{
	struct server s = {
		.o = o, .sources = sources, .nsources = nsources, .signals = signals,
	};

	while (!s.stop) {
		struct pollfd p[1 + VGPU_SOURCES_MAX];

		if (await(&s, p) < 0 && errno != EINTR)
			break;
		s.pause = false;
		if (p[0].revents)
			read_signals(&s);
		for (unsigned i = 0; i < nsources && !s.stop; i++)
			if (p[1 + i].revents)
				accept_one(&s, sources[i]);
	}
	stop(&s);
}
