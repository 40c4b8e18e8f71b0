/* SPDX-License-Identifier: MIT */
/* The server's main process: start, the loop, signals, the end. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "server/serve.h"

#define END_MS		2000
#define STATUS_NAME	"server.status"
#define TLS_FOLDER	"/etc/vgpu/tls"
/* Descriptors besides those of sessions: of guests and hosts, and some. */
#define FILES		2048

/* ---- certificates ---- */

/*
 * From the folder that was told, or the usual one. There may be none in that if
 * nobody needs one. 1: it is there; -errno, which was logged.
 */
static int tls_open(const struct vgpu_server *s, struct vgpu_tls **out)
{
	char paths[4][512], why[256];
	static const char *const names[] = { "ca.crt", "host.crt", "host.key", "crl.pem" };
	const char *folder = s->o->tls ?: TLS_FOLDER;
	struct vgpu_tls_files files;
	int err;

	for (int i = 0; i < 4; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", folder, names[i]);
	files = (struct vgpu_tls_files){ .ca = paths[0], .cert = paths[1], .key = paths[2] };
	if (!access(paths[3], F_OK))
		files.crl = paths[3];
	err = vgpu_tls_open(out, &files, true, why, sizeof(why));
	if (err)
		vgpu_log("no TLS: %s", why);
	return err ? err : 1;
}

/* Does every address that we listen on do without it? */
static bool tls_needless(const struct vgpu_server *s)
{
	for (unsigned i = 0; i < s->ndoors; i++)
		if (!s->doors[i].source && !s->doors[i].plain)
			return false;
	return !s->o->tls && access(TLS_FOLDER "/host.crt", F_OK);
}

static int tls_start(struct vgpu_server *s)
{
	int err = tls_needless(s) ? 0 : tls_open(s, &s->tls);

	return err < 0 ? err : 0;
}

/*
 * Anew, since there may be a list of revoked certificates now where was none. Who
 * is connected keeps what it has, but for the checks.
 */
static void tls_again(struct vgpu_server *s)
{
	struct vgpu_tls *tls;

	if (!s->tls)
		return;
	if (tls_open(s, &tls) < 0) {
		vgpu_log("the certificates that were read before stay");
		return;
	}
	vgpu_tls_close(s->tls);
	s->tls = tls;
	vgpu_log("certificates were read again");
	vgpu_hosts_recheck(s);
}

/* ---- signals ---- */

/* Before there is a socket that must be removed. */
static int signals_take(struct vgpu_server *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	s->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals.fd < 0 ? -errno : vgpu_loop_add(s->loop, &s->signals, POLLIN);
}

static void read_signals(struct vgpu_server *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals.fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			tls_again(s);
		else if (info.ssi_signo != SIGCHLD)
			s->stop = true;
	}
	vgpu_sessions_reap(s);
}

static void signalled(struct vgpu_watch *w)
{
	read_signals((struct vgpu_server *)((char *)w - offsetof(struct vgpu_server, signals)));
}

/* ---- asked how things are ---- */

static void asked(struct vgpu_watch *w)
{
	struct vgpu_server *s =
		(struct vgpu_server *)((char *)w - offsetof(struct vgpu_server, asked));

	vgpu_status_step(s->status);
}

/* Beside the socket, unless it was told. Should it fail, that was logged: go on. */
static void status_start(struct vgpu_server *s)
{
	const char *slash = strrchr(s->o->socket, '/');
	char path[256];

	snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash + 1 - s->o->socket) : 0,
		 s->o->socket, STATUS_NAME);
	if (s->o->status)
		snprintf(path, sizeof(path), "%s", s->o->status);
	if (!strcmp(path, "none") || vgpu_status_open(&s->status, path, vgpu_server_describe, s))
		return;
	s->asked = (struct vgpu_watch){ .fd = vgpu_status_fd(s->status), .ready = asked };
	vgpu_loop_add(s->loop, &s->asked, POLLIN);
}

/* ---- life ---- */

static int64_t earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Do what is due; when there will be something. */
static int64_t tick(struct vgpu_server *s)
{
	int64_t now = vgpu_now(), next = vgpu_doors_tick(s, now);

	next = earliest(next, vgpu_complaints_tick(s, now));
	next = earliest(next, vgpu_guests_tick(s, now));
	next = earliest(next, vgpu_hosts_tick(s, now));
	return earliest(next, vgpu_remote_tick(s, now));
}

/* All workers end: asked to, then made to. */
static void end_sessions(struct vgpu_server *s)
{
	struct pollfd p = { .fd = s->signals.fd, .events = POLLIN };

	vgpu_sessions_end(s);
	while (!LIST_EMPTY(&s->sessions) && poll(&p, 1, END_MS) > 0)
		read_signals(s);
	vgpu_sessions_kill(s);
	while (!LIST_EMPTY(&s->sessions) && poll(&p, 1, END_MS) > 0)
		read_signals(s);
}

static void say_ready(const struct vgpu_server *s)
{
	printf("vgpu-server: ready on %s", s->o->socket);
	for (unsigned i = 1; i < s->ndoors; i++)
		printf("%s%s", i + 1 < s->ndoors ? ", " : " and ",
		       s->doors[i].source ? s->o->ctl ?: VGPU_CTL_NODE : s->doors[i].name);
	printf(", driver %d, %u devices\n", s->probe.version, s->probe.count);
	fflush(stdout);
	vgpu_daemon_notify("READY=1");
}

static int start(struct vgpu_server *s)
{
	int err = s->loop = vgpu_loop_open();

	if (err >= 0)
		err = signals_take(s);
	s->slots = calloc(s->o->max_sessions + 1, 1);
	if (!err && !s->slots)
		err = -ENOMEM;
	if (err)
		vgpu_log("cannot start: %s", strerror(-err));
	return err;
}

static int open_all(struct vgpu_server *s)
{
	int err = vgpu_doors_open(s);

	if (err)
		return err;
	err = tls_start(s);
	if (err)
		vgpu_doors_close(s);
	return err;
}

static void serve(struct vgpu_server *s)
{
	int err = 0;

	status_start(s);
	say_ready(s);
	while (!s->stop && !err)
		err = vgpu_loop_step(s->loop, tick(s));
	if (err)
		vgpu_log("cannot go on: %s", strerror(-err));
	vgpu_daemon_notify("STOPPING=1");
	/* Nobody comes in any more. */
	vgpu_doors_close(s);
	vgpu_guests_close(s);
	end_sessions(s);
	vgpu_hosts_close(s);
	vgpu_status_close(s->status);
	vgpu_tls_close(s->tls);
}

int vgpu_server_run(const struct vgpu_options *o)
{
	static struct vgpu_server s = { .signals.ready = signalled };
	int failed;

	s.o = o;
	TAILQ_INIT(&s.guests);
	TAILQ_INIT(&s.strangers);
	TAILQ_INIT(&s.hosts);
	gethostname(s.name, sizeof(s.name) - 1);
	vgpu_files_raise(FILES + 2 * o->max_sessions);
	failed = vgpu_probe(o, &s.probe) || start(&s) || open_all(&s);
	if (!failed)
		serve(&s);
	free(s.slots);
	return failed;
}
