/* SPDX-License-Identifier: MIT */
/* The daemon: what it has, the order in which it gets it, its loop. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "vgpud/vgpud.h"

/* So long nobody asks epoll(7), while few sessions are busy and are asked themselves. */
#define LOOK_NS		20000
#define LOOK_SESSIONS	2
/* Descriptors of a session: of its channel, its connection, its copies. */
#define SESSION_FILES	8
#define OTHER_FILES	512

/* ---- signals ---- */

static void reload(struct vgpud *d)
{
	char why[512];

	if (!d->tls) {
		vgpu_log("nothing to read again: no server uses TLS");
		return;
	}
	if (vgpu_tls_reload(d->tls, why, sizeof(why))) {
		vgpu_log("certificates are as they were: %s", why);
		return;
	}
	vgpu_log("certificates were read again");
	for (unsigned i = 0; i < d->config->nservers; i++)
		vgpu_upstream_recheck(&d->upstreams[i]);
}

static void on_signal(struct vgpu_watch *w, uint32_t events)
{
	struct vgpud *d = vgpu_container(w, struct vgpud, signals);
	struct signalfd_siginfo info;

	while (read(w->fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			reload(d);
		else
			d->stop = true;
	}
}

static int take_signals(struct vgpud *d)
{
	sigset_t set;
	int fd, err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	d->signals.ready = on_signal;
	err = vgpu_watch_add(&d->loop, &d->signals, fd, EPOLLIN);
	if (err)
		close(fd);
	return err;
}

/* ---- start ---- */

/* As many descriptors as the sessions may need, as far as we may have them. */
static void raise_limits(const struct vgpu_config *c)
{
	const rlim_t want = c->sessions * SESSION_FILES + OTHER_FILES;
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur >= want)
		return;
	if (l.rlim_max < want) {
		const struct rlimit more = { want, want };

		if (!setrlimit(RLIMIT_NOFILE, &more))
			return;
	}
	l.rlim_cur = l.rlim_max < want ? l.rlim_max : want;
	setrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_cur < want)
		vgpu_log("%llu open files are allowed, some %llu sessions",
			 (unsigned long long)l.rlim_cur,
			 (unsigned long long)l.rlim_cur / SESSION_FILES);
}

static int open_tls(struct vgpud *d)
{
	const struct vgpu_config *c = d->config;
	const struct vgpu_tls_files files = {
		.ca = c->ca, .cert = c->cert, .key = c->key, .crl = c->crl[0] ? c->crl : NULL,
	};
	bool needed = false;
	char why[512];
	int err;

	for (unsigned i = 0; i < c->nservers; i++)
		needed |= !c->servers[i].plain;
	if (!needed)
		return 0;
	err = vgpu_tls_open(&d->tls, &files, false, why, sizeof(why));
	if (err) {
		d->tls = NULL;
		vgpu_log("no TLS: %s", why);
	}
	return err;
}

static void on_status(struct vgpu_watch *w, uint32_t events)
{
	vgpu_status_step(vgpu_container(w, struct vgpud, status_watch)->status);
}

static int open_status(struct vgpud *d)
{
	int err;

	if (!strcmp(d->config->status, "none"))
		return 0;
	err = vgpu_status_open(&d->status, d->config->status, vgpu_describe, d);
	if (err) {
		d->status = NULL;
		return err;
	}
	d->status_watch.ready = on_status;
	return vgpu_watch_add(&d->loop, &d->status_watch, vgpu_status_fd(d->status), EPOLLIN);
}

static int open_loop(struct vgpud *d)
{
	int err = vgpu_loop_open(&d->loop);

	/* Before there is a socket that must be removed. */
	if (!err)
		err = take_signals(d);
	if (err)
		vgpu_log("cannot begin: %s", strerror(-err));
	return err;
}

static void start_upstreams(struct vgpud *d)
{
	for (unsigned i = 0; i < d->config->nservers; i++)
		vgpu_upstream_start(&d->upstreams[i], d, i);
}

int vgpud_start(struct vgpud *d, const struct vgpu_config *config)
{
	int err;

	memset(d, 0, sizeof(*d));
	d->config = config;
	TAILQ_INIT(&d->sessions);
	TAILQ_INIT(&d->active);
	TAILQ_INIT(&d->over);
	if (gethostname(d->hostname, sizeof(d->hostname) - 1))
		strcpy(d->hostname, "?");
	raise_limits(config);
	err = open_tls(d);
	if (!err)
		err = open_loop(d);
	if (!err)
		err = open_status(d);
	if (err)
		return err;
	/* Programs that wait may come at once, and want to know their server. */
	start_upstreams(d);
	return vgpu_intake_open(d);
}

/* ---- running ---- */

void vgpud_run(struct vgpud *d)
{
	int64_t looked = 0;

	vgpu_daemon_notify("READY=1");
	while (!d->stop) {
		const bool busy = d->nactive;
		const int64_t now = busy ? vgpu_now() : 0;

		if (!busy || d->nactive > LOOK_SESSIONS || now - looked >= LOOK_NS) {
			int err = vgpu_loop_step(&d->loop, !busy);

			if (err) {
				vgpu_log("cannot wait: %s", strerror(-err));
				break;
			}
			looked = vgpu_now();
		}
		vgpu_flow_turns(d);
		vgpu_sessions_bury(d);
	}
	vgpu_daemon_notify("STOPPING=1");
}

/* ---- stop ---- */

static void end_socket_sessions(struct vgpud *d)
{
	struct vgpu_client *s, *next;

	for (s = TAILQ_FIRST(&d->sessions); s; s = next) {
		next = TAILQ_NEXT(s, all);
		if (s->module < 0)
			vgpu_session_end(s, "vgpud is stopped");
		else
			vgpu_attach_drop(s);
	}
	vgpu_sessions_bury(d);
}

void vgpud_stop(struct vgpud *d)
{
	vgpu_intake_close(d);
	end_socket_sessions(d);
	for (unsigned i = 0; i < d->config->nservers; i++)
		vgpu_upstream_stop(&d->upstreams[i]);
	if (d->status) {
		vgpu_watch_remove(&d->status_watch);
		vgpu_status_close(d->status);
	}
	vgpu_devices_close(d->devices);
	if (d->tls)
		vgpu_tls_close(d->tls);
}
