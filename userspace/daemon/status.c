/* SPDX-License-Identifier: MIT */
/*
 * The socket that tells how things are. A document is sent to its reader at once
 * as far as the socket takes it, and the rest when there is room; readers are
 * bounded in number and in time, since anybody may be one. What the document
 * says is the daemon's affair.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "daemon/daemon.h"

#define READERS		16
#define MS		1000000ll
#define PATIENCE	(5000 * MS)	/* with a reader */
#define FRESH		(20 * MS)	/* so old a document may be: making one takes time */
#define PAUSE		(100 * MS)	/* when nobody can be accepted */

struct text {
	unsigned	users;
	int64_t		made;
	size_t		length;
	char		*bytes;
};

struct reader {
	int		fd;
	int64_t		deadline;
	struct text	*text;
	size_t		sent;
};

struct vgpu_status {
	int		epoll;		/* of all below: what the daemon polls for */
	int		listener, lock, timer;
	int64_t		paused;		/* until then nobody is accepted; 0: not */
	char		*path;
	json_t		*(*describe)(void *arg);
	void		*arg;
	struct text	*latest;
	unsigned	nreaders;
	struct reader	readers[READERS];	/* those that wait longest first */
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* ---- documents ---- */

static void text_put(struct text *t)
{
	if (!t || --t->users)
		return;
	free(t->bytes);
	free(t);
}

/* A line, since people look at it, too. */
static struct text *text_create(char *json, int64_t now)
{
	struct text *t = malloc(sizeof(*t));
	const size_t length = json ? strlen(json) : 0;
	char *line = json ? realloc(json, length + 2) : NULL;

	if (!t || !line) {
		free(line ? line : json);
		free(t);
		return NULL;
	}
	strcpy(line + length, "\n");
	*t = (struct text){ .users = 1, .made = now, .length = length + 1, .bytes = line };
	return t;
}

/* The document of now, for one more user; NULL: there is none. */
static struct text *text_get(struct vgpu_status *s, int64_t now)
{
	if (!s->latest || now - s->latest->made >= FRESH) {
		json_t *json = s->describe(s->arg);

		text_put(s->latest);
		s->latest = json ? text_create(json_dumps(json, JSON_COMPACT), now) : NULL;
		json_decref(json);
	}
	if (s->latest)
		s->latest->users++;
	return s->latest;
}

/* ---- readers ---- */

static void reader_drop(struct vgpu_status *s, unsigned i)
{
	close(s->readers[i].fd);
	text_put(s->readers[i].text);
	s->nreaders--;
	memmove(&s->readers[i], &s->readers[i + 1], (s->nreaders - i) * sizeof(s->readers[0]));
}

/* True: it has all, or will never have it. */
static bool reader_finish(struct reader *r)
{
	while (r->sent < r->text->length) {
		ssize_t n = send(r->fd, r->text->bytes + r->sent, r->text->length - r->sent,
				 MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return errno != EAGAIN;
		r->sent += n < 0 ? 0 : n;
	}
	return true;
}

static void readers_serve(struct vgpu_status *s, int64_t now)
{
	for (unsigned i = s->nreaders; i-- > 0;)
		if (reader_finish(&s->readers[i]) || s->readers[i].deadline <= now)
			reader_drop(s, i);
}

/* The one that waits longest makes room: who reads what it asked for is not there. */
static void reader_keep(struct vgpu_status *s, struct reader r)
{
	struct epoll_event e = { .events = EPOLLOUT };

	if (s->nreaders == READERS)
		reader_drop(s, 0);
	s->readers[s->nreaders++] = r;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, r.fd, &e))
		reader_drop(s, s->nreaders - 1);
}

static void reader_greet(struct vgpu_status *s, int fd, int64_t now)
{
	struct reader r = { .fd = fd, .deadline = now + PATIENCE, .text = text_get(s, now) };

	if (r.text && !reader_finish(&r)) {
		reader_keep(s, r);
		return;
	}
	text_put(r.text);
	close(fd);
}

/* ---- listening ---- */

static void listen_for(struct vgpu_status *s, uint32_t events)
{
	struct epoll_event e = { .events = events };

	/* Cannot fail: it is in there since the beginning. */
	epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->listener, &e);
}

/* One at a time: the daemon has other things to do. */
static void accept_one(struct vgpu_status *s, int64_t now)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		reader_greet(s, fd, now);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* Out of descriptors, say: who waits must not keep the daemon awake. */
		s->paused = now + PAUSE;
		listen_for(s, 0);
	}
}

/* Wake up when the next one's time is over, or not at all. */
static void set_timer(struct vgpu_status *s)
{
	int64_t next = s->nreaders ? s->readers[0].deadline : 0;
	struct itimerspec t = {};

	if (s->paused && (!next || s->paused < next))
		next = s->paused;
	t.it_value.tv_sec = next / 1000000000;
	t.it_value.tv_nsec = next % 1000000000;
	timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

void vgpu_status_step(struct vgpu_status *s)
{
	const int64_t now = now_ns();

	readers_serve(s, now);
	if (s->paused && s->paused <= now) {
		s->paused = 0;
		listen_for(s, EPOLLIN);
	}
	if (!s->paused)
		accept_one(s, now);
	set_timer(s);
}

/* ---- life ---- */

static int watch(struct vgpu_status *s, int fd)
{
	struct epoll_event e = { .events = EPOLLIN };

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

static int open_watches(struct vgpu_status *s)
{
	int err;

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->epoll < 0 || s->timer < 0)
		return -errno;
	err = watch(s, s->listener);
	return err ? err : watch(s, s->timer);
}

int vgpu_status_open(struct vgpu_status **out, const char *path,
		     json_t *(*describe)(void *arg), void *arg)
{
	struct vgpu_status *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (!s)
		goto log;
	*s = (struct vgpu_status){
		.epoll = -1, .listener = -1, .lock = -1, .timer = -1,
		.path = strdup(path), .describe = describe, .arg = arg,
	};
	if (!s->path)
		goto close;
	s->listener = vgpu_socket_listen_at(path, SOCK_STREAM, 0666, &s->lock);
	if (s->listener < 0) {
		err = s->listener;	/* was logged */
		vgpu_status_close(s);
		return err;
	}
	err = open_watches(s);
	if (err)
		goto close;
	*out = s;
	return 0;
close:
	vgpu_status_close(s);
log:
	vgpu_log("cannot tell the status at %s: %s", path, strerror(-err));
	return err;
}

int vgpu_status_fd(const struct vgpu_status *s)
{
	return s->epoll;
}

void vgpu_status_close(struct vgpu_status *s)
{
	const int fds[] = { s->epoll, s->timer, s->listener, s->lock };

	while (s->nreaders)
		reader_drop(s, 0);
	text_put(s->latest);
	/* The lock goes last: until then nobody else has a socket there. */
	if (s->listener >= 0)
		unlink(s->path);
	for (unsigned i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(s->path);
	free(s);
}
