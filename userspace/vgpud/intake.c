/* SPDX-License-Identifier: MIT */
/*
 * Programs that come: channels that /dev/vgpuctl gives out, new ones and those that
 * another vgpud left, and connections to the unix socket. Nobody is waited for: one
 * who connects and says nothing is in nobody's way.
 */
#include "proto/cuda_api.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "vgpud/cookie.h"
#include "vgpud/vgpud.h"

#define CTL_NODE	"/dev/vgpuctl"
#define AT_ONCE		16	/* before others get their turn */
#define BREAK_MS	100	/* when this process is out of something */
#define MESSAGE_MS	5000	/* for who connected to say what they want */
#define STRANGERS_MAX	64	/* who have not, at once */
/* The vgpud before this one may not have ended quite yet. */
#define BUSY_MS		2000

/* Who connected and has yet to send its channel. */
struct stranger {
	TAILQ_ENTRY(stranger) list;
	struct vgpu_intake	*intake;
	struct vgpu_watch	watch;
	struct vgpu_timer	timer;
	int			fd;
	struct ucred		who;
};

struct vgpu_intake {
	struct vgpud		*vgpud;
	struct vgpu_watch	ctl, socket;
	int			node, listener;
	struct vgpu_timer	pause;
	TAILQ_HEAD(, stranger)	strangers;
	unsigned		nstrangers;
};

/* ---- who gets a session ---- */

static unsigned sessions_of_user(const struct vgpud *d, uint32_t uid)
{
	const struct vgpu_client *s;
	unsigned n = 0;

	TAILQ_FOREACH(s, &d->sessions, all)
		n += s->uid == uid;
	/* Those that a copy keeps, which the program may hold up for ever. */
	TAILQ_FOREACH(s, &d->over, all)
		n += s->uid == uid;
	return n;
}

static void check_limits(const struct vgpud *d, struct vgpu_arrival *a)
{
	const struct vgpu_config *c = d->config;

	if (d->nsessions >= c->sessions)
		snprintf(a->refusal, sizeof(a->refusal),
			 "all %u sessions of vgpud are taken (vgpud.conf: [daemon] sessions)",
			 c->sessions);
	else if (sessions_of_user(d, a->uid) >= c->sessions_per_user)
		snprintf(a->refusal, sizeof(a->refusal), "all %u sessions of user %u are taken "
			 "(vgpud.conf: [daemon] sessions_per_user)", c->sessions_per_user, a->uid);
	if (a->refusal[0])
		a->status = CUDA_ERROR_DEVICE_UNAVAILABLE;
}

/* ---- the module ---- */

static void from_cookie(struct vgpud *d, const struct vgpu_session_cookie *c,
			struct vgpu_arrival *a)
{
	for (unsigned i = 0; i < d->config->nservers && !a->upstream; i++)
		if (vgpu_name_hash(d->config->servers[i].name) == c->server)
			a->upstream = &d->upstreams[i];
	if (!a->upstream)
		snprintf(a->refusal, sizeof(a->refusal),
			 "its server is not in vgpud.conf any more");
	memcpy(a->id, c->id, sizeof(a->id));
	memcpy(a->secret, c->secret, sizeof(a->secret));
}

static void describe(struct vgpud *d, const struct vgpu_ioc_info *info, struct vgpu_arrival *a)
{
	struct vgpu_session_cookie cookie;
	int err = vgpu_cookie_read(&info->cookie, &cookie);

	a->pid = info->pid;
	a->uid = info->uid;
	a->resumed = err != -ENOENT;
	if (!err) {
		from_cookie(d, &cookie, a);
		explicit_bzero(&cookie, sizeof(cookie));
	} else if (a->resumed) {
		snprintf(a->refusal, sizeof(a->refusal), "another daemon's cookie is with it");
	} else if (vgpu_devices_find(d->devices, info->devices, info->ndevices, &a->upstream,
				     &a->gpus, a->refusal, sizeof(a->refusal))) {
		a->status = CUDA_ERROR_NO_DEVICE;
	} else {
		check_limits(d, a);
	}
	/* Whatever became of it, for the log. */
	a->gpus.count = info->ndevices < VGPU_CHANNEL_DEVICES ? info->ndevices :
								VGPU_CHANNEL_DEVICES;
	for (unsigned i = 0; i < a->gpus.count; i++)
		a->gpus.gpus[i].number = info->devices[i];
}

static int accept_channel(struct vgpu_intake *in)
{
	struct vgpu_arrival a = {};
	struct vgpu_ioc_info info;
	int fd = ioctl(in->node, VGPU_CTL_ACCEPT, 0), err;

	if (fd < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (ioctl(fd, VGPU_IOC_INFO, &info)) {
		err = -errno;
		close(fd);
		return err;
	}
	a.module = fd;
	describe(in->vgpud, &info, &a);
	explicit_bzero(&info.cookie, sizeof(info.cookie));
	err = vgpu_relay_adopt(&a.channel, fd);
	if (err) {
		vgpu_log("a channel of pid %u cannot be had: %s", a.pid, strerror(-err));
		return 0;
	}
	vgpu_session_begin(in->vgpud, &a);
	explicit_bzero(&a, sizeof(a));
	return 0;
}

/* ---- the socket ---- */

static void forget(struct stranger *g)
{
	struct vgpu_intake *in = g->intake;

	vgpu_watch_remove(&g->watch);
	vgpu_timer_cancel(&g->timer);
	if (g->fd >= 0)
		close(g->fd);
	TAILQ_REMOVE(&in->strangers, g, list);
	in->nstrangers--;
	vgpu_loop_free(&in->vgpud->loop, g);
}

static void choose_gpus(struct vgpud *d, struct vgpu_arrival *a)
{
	const struct vgpu_config *c = d->config;
	int server = c->nsocket_gpus ? vgpu_config_find(c, c->socket_gpus[0].server) : 0;

	a->upstream = &d->upstreams[server];
	a->gpus.count = c->nsocket_gpus;
	for (unsigned i = 0; i < c->nsocket_gpus; i++) {
		a->gpus.gpus[i].ordinal = c->socket_gpus[i].ordinal;
		a->gpus.gpus[i].number = i;
	}
}

static void on_message(struct vgpu_watch *w, uint32_t events)
{
	struct stranger *g = vgpu_container(w, struct stranger, watch);
	struct vgpud *d = g->intake->vgpud;
	struct vgpu_arrival a = { .module = -1, .pid = g->who.pid, .uid = g->who.uid };
	int err;

	vgpu_watch_remove(w);
	err = vgpu_relay_accept(&a.channel, g->fd, 0);
	g->fd = -1;
	forget(g);
	if (err) {
		vgpu_log("pid %u, uid %u: no channel: %s", a.pid, a.uid, strerror(-err));
		return;
	}
	choose_gpus(d, &a);
	check_limits(d, &a);
	if (geteuid() && a.uid != geteuid()) {
		snprintf(a.refusal, sizeof(a.refusal), "this vgpud serves user %u only",
			 (unsigned)geteuid());
		a.status = CUDA_ERROR_NOT_PERMITTED;
	}
	vgpu_session_begin(d, &a);
}

static void on_silence(struct vgpu_timer *t)
{
	forget(vgpu_container(t, struct stranger, timer));
}

static int accept_stranger(struct vgpu_intake *in)
{
	struct vgpu_loop *loop = &in->vgpud->loop;
	struct stranger *g;
	struct ucred who;
	int fd = vgpu_socket_accept(in->listener, &who);

	if (fd < 0)
		return fd;
	g = calloc(1, sizeof(*g));
	if (!g) {
		close(fd);
		return -ENOMEM;
	}
	if (in->nstrangers == STRANGERS_MAX)
		forget(TAILQ_FIRST(&in->strangers));
	*g = (struct stranger){
		.intake = in, .fd = fd, .who = who,
		.watch.ready = on_message, .timer.due = on_silence,
	};
	TAILQ_INSERT_TAIL(&in->strangers, g, list);
	in->nstrangers++;
	vgpu_timer_set(loop, &g->timer, MESSAGE_MS);
	if (vgpu_watch_add(loop, &g->watch, fd, EPOLLIN))
		forget(g);
	return 0;
}

/* ---- both ---- */

/* Out of something: they wait until there is some again. */
static void take_a_break(struct vgpu_intake *in)
{
	vgpu_watch_change(&in->ctl, 0);
	vgpu_watch_change(&in->socket, 0);
	vgpu_timer_set(&in->vgpud->loop, &in->pause, BREAK_MS);
}

static void on_pause(struct vgpu_timer *t)
{
	struct vgpu_intake *in = vgpu_container(t, struct vgpu_intake, pause);

	vgpu_watch_change(&in->ctl, EPOLLIN);
	vgpu_watch_change(&in->socket, EPOLLIN);
}

static void accept_some(struct vgpu_intake *in, int (*accept_one)(struct vgpu_intake *in))
{
	int err = 0;

	for (int i = 0; i < AT_ONCE && !err; i++)
		err = accept_one(in);
	if (err && err != -EAGAIN)
		take_a_break(in);
}

static void on_ctl(struct vgpu_watch *w, uint32_t events)
{
	accept_some(vgpu_container(w, struct vgpu_intake, ctl), accept_channel);
}

static void on_socket(struct vgpu_watch *w, uint32_t events)
{
	accept_some(vgpu_container(w, struct vgpu_intake, socket), accept_stranger);
}

/* ---- opening ---- */

static int watch_node(struct vgpu_intake *in, const char *path)
{
	struct vgpud *d = in->vgpud;
	int err = in->node = vgpu_node_open(path, BUSY_MS);

	if (err < 0)
		return err;
	/* Until the node is ours, another daemon binds the devices. */
	err = vgpu_devices_open(&d->devices, d);
	if (err == -ENOENT)
		vgpu_log("cannot manage virtual GPUs: no netlink family");
	if (err)
		return err;
	in->ctl.ready = on_ctl;
	return vgpu_watch_add(&d->loop, &in->ctl, in->node, EPOLLIN);
}

/*
 * As told; else if there is a module and we are root, and it is not another daemon's.
 */
static int open_module(struct vgpu_intake *in)
{
	const char *ctl = in->vgpud->config->ctl;
	int err;

	if (!strcmp(ctl, "none") || (!*ctl && (geteuid() || access(CTL_NODE, F_OK))))
		return 0;
	err = watch_node(in, *ctl ? ctl : CTL_NODE);
	if (err < 0 && in->node >= 0)
		close(in->node);
	if (err < 0)
		in->node = -1;
	return *ctl ? err : 0;
}

static int open_socket(struct vgpu_intake *in)
{
	const char *path = in->vgpud->config->socket;
	int err = 0;

	if (!strcmp(path, "none"))
		return 0;
	in->listener = vgpu_socket_listen(path);
	if (in->listener < 0)
		return in->listener;
	in->socket.ready = on_socket;
	err = vgpu_watch_add(&in->vgpud->loop, &in->socket, in->listener, EPOLLIN);
	if (err)
		vgpu_log("cannot watch %s: %s", path, strerror(-err));
	return err;
}

int vgpu_intake_open(struct vgpud *d)
{
	struct vgpu_intake *in = calloc(1, sizeof(*in));
	int err;

	if (!in)
		return -ENOMEM;
	in->vgpud = d;
	in->node = in->listener = -1;
	in->pause.due = on_pause;
	TAILQ_INIT(&in->strangers);
	d->intake = in;
	err = open_socket(in);
	if (!err)
		err = open_module(in);
	if (!err && in->node < 0 && in->listener < 0) {
		vgpu_log("neither virtual GPUs nor a socket: nothing can be served");
		err = -ENODEV;
	}
	if (err)
		vgpu_intake_close(d);
	return err;
}

bool vgpu_intake_has_module(const struct vgpud *d)
{
	return d->intake && d->intake->node >= 0;
}

/* The node stays open until the process ends: then the channels are frozen. */
void vgpu_intake_close(struct vgpud *d)
{
	struct vgpu_intake *in = d->intake;

	if (!in)
		return;
	while (!TAILQ_EMPTY(&in->strangers))
		forget(TAILQ_FIRST(&in->strangers));
	vgpu_watch_remove(&in->ctl);
	vgpu_watch_remove(&in->socket);
	vgpu_timer_cancel(&in->pause);
	if (in->listener >= 0) {
		unlink(d->config->socket);
		close(in->listener);
	}
	free(in);
	d->intake = NULL;
}
