/* SPDX-License-Identifier: MIT */
/*
 * Sessions: a worker for each connection, from accept to its end. Nothing here
 * waits for a client: what a connection sends is read by its worker.
 */
#include <errno.h>
#include <fcntl.h>
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

#define WORKER_FD	3
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
};

struct server {
	const struct vgpu_options *o;
	int		listener;
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

/* In the child. Signals are as a program expects them; no descriptor but these four is open. */
static void exec_worker(const struct vgpu_options *o, int connection, pid_t server,
			const char *refuse)
{
	char fd[16], parent[16], limit[32];
	const char *args[20] = { "vgpu-server" };
	sigset_t none;
	int n = 1;

	snprintf(fd, sizeof(fd), "%d", WORKER_FD);
	snprintf(parent, sizeof(parent), "%d", (int)server);
	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)o->cache_limit);
	args[n++] = "--worker", args[n++] = fd;
	args[n++] = "--parent", args[n++] = parent;
	args[n++] = "--libcuda", args[n++] = o->libcuda;
	args[n++] = "--cache", args[n++] = o->cache;
	args[n++] = "--cache-limit", args[n++] = limit;
	if (o->devices)
		args[n++] = "--devices", args[n++] = o->devices;
	if (o->verbose)
		args[n++] = "-v";
	if (refuse)
		args[n++] = "--refuse", args[n++] = refuse;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	/* dup2() of a descriptor to itself would leave it to be closed. */
	if (connection == WORKER_FD)
		connection = dup(connection);
	if (dup2(connection, WORKER_FD) >= 0 && !close_range(WORKER_FD + 1, ~0u, 0))
		execv("/proc/self/exe", (char **)args);
	vgpu_log("cannot start a worker: %s", strerror(errno));
	_exit(VGPU_END_INTERNAL);
}

/* Why this client gets no session; NULL: it does. */
static const char *refusal(const struct server *s, const struct session *new, char *text,
			   size_t room)
{
	if (s->count >= s->o->max_sessions)
		snprintf(text, room, "all %u sessions of this server are taken",
			 s->o->max_sessions);
	else if (geteuid() && new->client.uid != geteuid())
		snprintf(text, room, "this server serves user %u only", (unsigned)geteuid());
	else
		return NULL;
	return text;
}

static void session_log(const struct session *s)
{
	vgpu_log("session of pid %d, uid %u, %s: worker %d%s", (int)s->client.pid,
		 (unsigned)s->client.uid, s->exe, (int)s->worker,
		 s->refusal ? " is to refuse it" : "");
}

static int session_spawn(struct server *s, struct session *new, int connection)
{
	pid_t server = getpid();
	const char *refuse;
	char text[128];

	refuse = refusal(s, new, text, sizeof(text));
	new->refusal = refuse;
	if (refuse && s->refusals >= REFUSALS_MAX)
		return -EBUSY;
	new->worker = fork();
	if (!new->worker)
		exec_worker(s->o, connection, server, refuse);
	return new->worker < 0 ? -errno : 0;
}

static int session_start(struct server *s, int connection)
{
	struct session *new = calloc(1, sizeof(*new));
	socklen_t length = sizeof(new->client);
	int err = new ? 0 : -ENOMEM;

	if (!err && getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &new->client, &length))
		err = -errno;
	if (!err)
		err = session_spawn(s, new, connection);
	if (err) {
		free(new);
		return err;
	}
	client_exe(new);
	new->since = time(NULL);
	new->next = s->sessions;
	s->sessions = new;
	s->count += !new->refusal;
	s->refusals += new->refusal;
	session_log(new);
	return 0;
}

static void accept_one(struct server *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC), err;

	if (fd < 0) {
		/* Out of something: the connection waits until there is some again. */
		s->pause = errno != EAGAIN && errno != EINTR && errno != ECONNABORTED;
		return;
	}
	err = session_start(s, fd);
	if (err) {
		vgpu_log("no worker for a client: %s", strerror(-err));
		s->pause = err != -EBUSY;
	}
	close(fd);
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

void vgpu_serve_sessions(const struct vgpu_options *o, int listener, int signals)
{
	struct server s = { .o = o, .listener = listener, .signals = signals };

	while (!s.stop) {
		struct pollfd p[] = {
			{ .fd = s.signals, .events = POLLIN },
			{ .fd = s.pause ? -1 : listener, .events = POLLIN },
		};

		if (poll(p, 2, s.pause ? BREAK_MS : -1) < 0 && errno != EINTR)
			break;
		s.pause = false;
		if (p[0].revents)
			read_signals(&s);
		if (p[1].revents && !s.stop)
			accept_one(&s);
	}
	stop(&s);
}
