/* SPDX-License-Identifier: MIT */
/*
 * The keeper of a session over the network: takes connections from the server,
 * establishes them and puts one in the place of the other; sends what a connection
 * did not take at once; and knows when the session is over.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "server/remote.h"

#define START_MS	10000
#define HANDSHAKE_NS	10000000000ll
#define NS		1000000000ll
#define NEVER		INT64_MAX
#define TAKES		16	/* then whoever waits has a turn */

struct keeper {
	struct vgpu_far	*r;
	struct vgpu_stream	*next;		/* not established yet */
	uint64_t		epoch;		/* of .next */
	int64_t			next_until;
	int64_t			until;		/* without a connection */
};

enum { SERVER, CALLED, NEXT, CONNECTION, ROOM, FDS };

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

/* ---- messages of the server ---- */

union control {
	struct cmsghdr	align;
	char		room[CMSG_SPACE(sizeof(int))];
};

static int descriptor_of(struct msghdr *h)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/*
 * 1: a message, and the descriptor that came along or -1, also if this process has
 * no room for it; 0: the end; -errno.
 */
static int receive_message(int server, struct vgpu_session_message *m, int *fd)
{
	struct iovec iov = { m, sizeof(*m) };
	union control control;
	struct msghdr h = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(server, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*fd = -1;
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	*fd = descriptor_of(&h);
	if (n == sizeof(*m) && !(h.msg_flags & MSG_TRUNC))
		return 1;
	if (*fd >= 0)
		close(*fd);
	return n ? -EPROTO : 0;
}

int vgpu_far_start(int server, struct vgpu_session_message *start)
{
	struct pollfd p = { .fd = server, .events = POLLIN };
	int fd, n;

	if (poll(&p, 1, START_MS) <= 0)
		return -ETIMEDOUT;
	n = receive_message(server, start, &fd);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return n ? n : -EPIPE;
	if (start->kind != VGPU_SESSION_START || start->tenant[sizeof(start->tenant) - 1])
		return -EPROTO;
	return 0;
}

/* ---- a new connection ---- */

static void drop_next(struct keeper *k)
{
	if (k->next)
		vgpu_stream_close(k->next);
	k->next = NULL;
}

static int make_stream(struct keeper *k, int fd, unsigned flags)
{
	struct vgpu_far *r = k->r;
	struct vgpu_tls *tls;
	int err;

	if (flags & VGPU_PREFACE_PLAIN) {
		err = vgpu_stream_plain(&k->next, fd);
	} else {
		err = vgpu_tls_session(&tls, r->session, r->secret, true);
		if (err) {
			close(fd);
			return err;
		}
		err = vgpu_stream_tls(&k->next, fd, tls, NULL);
		vgpu_tls_close(tls);
	}
	if (!err && flags & VGPU_PREFACE_VERBS)
		err = vgpu_stream_offer_verbs(k->next);
	return err;
}

/* In the place of one that is being established, too: who comes later knows better. */
static void take_connection(struct keeper *k, const struct vgpu_session_message *m, int fd)
{
	int err;

	drop_next(k);
	err = fd < 0 ? -EMFILE : make_stream(k, fd, m->flags);
	if (err) {
		drop_next(k);
		vgpu_log("worker %d: no use of a connection: %s", (int)getpid(), strerror(-err));
		return;
	}
	k->epoch = m->epoch;
	k->next_until = now_ns() + HANDSHAKE_NS;
}

/* r->lock is held. What TLS has read with the handshake no poll(2) tells of. */
static bool attach(struct vgpu_far *r, struct vgpu_stream *s, uint64_t epoch)
{
	struct epoll_event e = { .events = EPOLLIN };

	atomic_store(&r->linked, false);
	r->blocked = false;
	if (r->over) {
		vgpu_stream_close(s);
		return false;
	}
	if (vgpu_mirror_attach(r->mirror, s, epoch))
		return false;
	if (epoll_ctl(r->events, EPOLL_CTL_ADD, vgpu_stream_fd(s), &e)) {
		vgpu_mirror_detach(r->mirror);
		return false;
	}
	atomic_store(&r->linked, true);
	vgpu_far_flush(r);
	for (int i = 0; i < TAKES && vgpu_far_take(r); i++)
		;
	return true;
}

static void use_next(struct keeper *k)
{
	struct vgpu_far *r = k->r;
	struct vgpu_stream *s = k->next;
	const char *kind = vgpu_stream_kind(s);
	bool attached;

	k->next = NULL;
	vgpu_far_lock(r);
	attached = attach(r, s, k->epoch);
	vgpu_far_unlock(r);
	if (attached && k->epoch > 1)
		vgpu_log("worker %d: connection %llu, by %s", (int)getpid(),
			 (unsigned long long)k->epoch, kind);
}

static void go_on_with_next(struct keeper *k)
{
	int err = k->next ? vgpu_stream_handshake(k->next) : -EAGAIN;

	if (!err) {
		use_next(k);
	} else if (k->next && (err != -EAGAIN || now_ns() >= k->next_until)) {
		vgpu_log("worker %d: connection %llu is not established: %s", (int)getpid(),
			 (unsigned long long)k->epoch,
			 err == -EAGAIN ? "the client says nothing" : vgpu_stream_error(k->next));
		drop_next(k);
	}
}

/* ---- the end ---- */

static void end(struct keeper *k, enum vgpu_worker_end how, const char *why)
{
	vgpu_far_lock(k->r);
	vgpu_far_finish(k->r, how, why);
	vgpu_far_unlock(k->r);
}

static void take_message(struct keeper *k, struct vgpu_session_message *m, int fd)
{
	m->text[sizeof(m->text) - 1] = 0;
	if (m->kind == VGPU_SESSION_ATTACH) {
		take_connection(k, m, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	if (m->kind == VGPU_SESSION_END)
		vgpu_far_goodbye(k->r, m->text);
	else
		end(k, VGPU_END_INTERNAL, "the server says what makes no sense");
}

static void server_said(struct keeper *k)
{
	struct vgpu_session_message m;
	int fd, n = receive_message(k->r->server, &m, &fd);

	if (!n)
		vgpu_far_goodbye(k->r, "the server has ended");
	else if (n == -EPROTO)
		end(k, VGPU_END_INTERNAL, "the server says what makes no sense");
	else if (n > 0)
		take_message(k, &m, fd);
	/* Else there is nothing, or no memory for it now. */
}

/*
 * The connection that was given up is closed here and nowhere else, since this
 * thread polls its descriptor.
 */
static void look_after(struct keeper *k)
{
	struct vgpu_far *r = k->r;
	bool gone;

	vgpu_far_lock(r);
	if (r->blocked)
		vgpu_far_flush(r);
	gone = !r->over && !atomic_load(&r->linked);
	if (gone && vgpu_mirror_attached(r->mirror)) {
		vgpu_mirror_detach(r->mirror);
		vgpu_log("worker %d: the connection is lost", (int)getpid());
	}
	if (!gone)
		k->until = NEVER;
	else if (k->until == NEVER)
		k->until = now_ns() + r->grace * NS;
	vgpu_far_unlock(r);
	/* One that is being established may still become it. */
	if (gone && !k->next && now_ns() >= k->until)
		end(k, VGPU_END_CLIENT_LEFT, "the client did not come back");
}

/*
 * Who waits for the client would find out; but nobody may be waiting. What was sent
 * before the end counts.
 */
static void connection_ends(struct vgpu_far *r)
{
	vgpu_far_lock(r);
	for (int i = 0; i < TAKES && vgpu_far_take(r); i++)
		;
	vgpu_far_unlock(r);
}

/* ---- the thread ---- */

static int time_left(const struct keeper *k)
{
	int64_t until = k->until, left;

	if (k->next)
		until = k->next_until;
	if (until == NEVER)
		return -1;
	left = until - now_ns();
	return left <= 0 ? 0 : left / 1000000 < INT32_MAX ? left / 1000000 + 1 : INT32_MAX;
}

static void listen_to(struct keeper *k, struct pollfd p[FDS])
{
	struct vgpu_far *r = k->r;

	for (int i = 0; i < FDS; i++)
		p[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	p[SERVER].fd = r->server;
	p[CALLED].fd = r->called;
	if (k->next) {
		p[NEXT].fd = vgpu_stream_fd(k->next);
		p[NEXT].events = vgpu_stream_events(k->next);
	}
	vgpu_far_lock(r);
	if (atomic_load(&r->linked)) {
		const struct vgpu_stream *s = vgpu_mirror_stream(r->mirror);

		p[CONNECTION].fd = vgpu_stream_socket(s);
		p[CONNECTION].events = POLLRDHUP;
		p[ROOM].fd = r->blocked ? vgpu_stream_fd(s) : -1;
		p[ROOM].events = vgpu_stream_room_events(s);
	}
	vgpu_far_unlock(r);
}

static void hear(int fd)
{
	uint64_t n;
	ssize_t got = read(fd, &n, sizeof(n));

	(void)got;
}

static void *keeper_run(void *arg)
{
	struct keeper k = { .r = arg, .until = NEVER };
	enum vgpu_worker_end how;

	while (look_after(&k), !vgpu_far_over(k.r, &how)) {
		struct pollfd p[FDS];

		listen_to(&k, p);
		if (poll(p, FDS, time_left(&k)) < 0)
			continue;
		if (p[CALLED].revents)
			hear(k.r->called);
		if (p[SERVER].revents)
			server_said(&k);
		if (p[CONNECTION].revents)
			connection_ends(k.r);
		go_on_with_next(&k);
	}
	drop_next(&k);
	vgpu_log("worker %d: the session is over: %s", (int)getpid(), k.r->why);
	vgpu_channel_shutdown(k.r->channel);
	if (k.r->ended)
		k.r->ended(how);
	return NULL;
}

int vgpu_keeper_start(struct vgpu_far *r)
{
	int err = -pthread_create(&r->keeper, NULL, keeper_run, r);

	r->keeps = !err;
	return err;
}
