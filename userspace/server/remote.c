/* SPDX-License-Identifier: MIT */
/*
 * The way of bytes in a session over the network: the functions behind the
 * worker's remote channel, and copies of the app's memory. Connections come and
 * go in keeper.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "channel/ring.h"
#include "server/remote.h"

#define GOODBYE_MS	1000	/* for a client that does not read */
#define TURNS		4	/* batches that are sent before another thread has its turn */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void ring(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n;	/* full: it rings already */
}

void vgpu_keeper_call(struct vgpu_far *r)
{
	ring(r->called);
}

/* ---- the mirror; r->lock is held ---- */

void vgpu_far_finish(struct vgpu_far *r, enum vgpu_worker_end how, const char *why)
{
	if (r->over)
		return;
	r->over = true;
	r->how = how;
	snprintf(r->why, sizeof(r->why), "%s", why);
	atomic_store(&r->linked, false);
	vgpu_keeper_call(r);
}

/* The connection is not used any more; the keeper closes it, and waits for another. */
static void unlink_connection(struct vgpu_far *r)
{
	const struct vgpu_stream *s = vgpu_mirror_stream(r->mirror);

	if (!atomic_exchange(&r->linked, false))
		return;
	if (s)
		epoll_ctl(r->events, EPOLL_CTL_DEL, vgpu_stream_fd(s), NULL);
	r->blocked = false;
	vgpu_keeper_call(r);
}

static void trouble(struct vgpu_far *r, int err)
{
	char text[VGPU_BYE_TEXT + 32];

	switch (err) {
	case -ESHUTDOWN:
		snprintf(text, sizeof(text), "the client ended it: %s", vgpu_mirror_bye(r->mirror));
		vgpu_far_finish(r, VGPU_END_CLIENT_LEFT, text);
		break;
	case -EPROTO:
		vgpu_far_finish(r, VGPU_END_PROTOCOL, vgpu_mirror_fault(r->mirror));
		break;
	default:
		unlink_connection(r);
	}
}

bool vgpu_far_take(struct vgpu_far *r)
{
	bool resumed = vgpu_mirror_resumed(r->mirror);
	int n = r->over || !atomic_load(&r->linked) ? 0 : vgpu_mirror_receive(r->mirror);

	if (n < 0)
		trouble(r, n);
	/* What the client does not have is sent again by whoever gives the lock back. */
	if (!resumed && vgpu_mirror_resumed(r->mirror))
		atomic_store(&r->wanted, true);
	/* Room for pulls that had to wait, say. */
	if (n > 0 && vgpu_mirror_pending(r->mirror))
		atomic_store(&r->wanted, true);
	/* So may reading find room. */
	if (r->blocked && atomic_load(&r->linked) &&
	    vgpu_stream_has_room(vgpu_mirror_stream(r->mirror))) {
		r->blocked = false;
		atomic_store(&r->wanted, true);
	}
	/* Bytes that this call left where poll(2) does not see them are for the next. */
	r->moved |= n != 0;
	return n > 0;
}

static void send_batches(struct vgpu_far *r)
{
	int n = 1;

	for (int i = 0; i < TURNS && n == 1; i++)
		n = vgpu_mirror_send(r->mirror);
	if (n == 1)
		atomic_store(&r->wanted, true);
	else if (n < 0 && n != -EAGAIN)
		trouble(r, n);
	if (n == -EAGAIN && !r->blocked)
		vgpu_keeper_call(r);
	r->blocked = n == -EAGAIN;
}

/* What is wanted from here on is not seen for sure, and said again. */
void vgpu_far_flush(struct vgpu_far *r)
{
	atomic_store(&r->wanted, false);
	ring_barrier();
	if (!r->over && atomic_load(&r->linked))
		send_batches(r);
	/* Sending may find what came, which nobody's poll(2) tells of any more. */
	while (!r->over && atomic_load(&r->linked) && vgpu_mirror_has_input(r->mirror) &&
	       vgpu_far_take(r))
		;
}

/* ---- the lock ---- */

void vgpu_far_lock(struct vgpu_far *r)
{
	pthread_mutex_lock(&r->lock);
}

/*
 * Who finds the lock held leaves word that it has something to send and goes its
 * way: the barrier pairs with the one in send_now(), so either it gets the lock or
 * we see its word. As long as the connection takes no more, all that is the
 * keeper's.
 */
static void unlock_only(struct vgpu_far *r)
{
	for (;;) {
		bool blocked = r->blocked;

		pthread_mutex_unlock(&r->lock);
		ring_barrier();
		if (!atomic_load(&r->wanted) || blocked || pthread_mutex_trylock(&r->lock))
			return;
		vgpu_far_flush(r);
	}
}

void vgpu_far_unlock(struct vgpu_far *r)
{
	bool moved = r->moved;

	r->moved = false;
	unlock_only(r);
	if (moved)
		vgpu_remote_moved(r->channel);
}

static void send_now(void *arg)
{
	struct vgpu_far *r = arg;

	atomic_store(&r->wanted, true);
	ring_barrier();
	if (pthread_mutex_trylock(&r->lock))
		return;
	if (!r->blocked)
		vgpu_far_flush(r);
	vgpu_far_unlock(r);
}

/* ---- waiting ---- */

static bool look(void *arg)
{
	struct vgpu_far *r = arg;
	bool some;

	if (!atomic_load(&r->linked) || pthread_mutex_trylock(&r->lock))
		return false;
	some = vgpu_far_take(r);
	vgpu_far_unlock(r);
	return some;
}

static int wait_event(struct vgpu_far *r, int64_t deadline)
{
	int64_t left = deadline == INT64_MAX ? 0 : deadline - now_ns();
	struct timespec t = { .tv_sec = left / 1000000000, .tv_nsec = left % 1000000000 };
	struct epoll_event e;

	if (left < 0)
		t = (struct timespec){ 0 };
	return epoll_pwait2(r->events, &e, 1, deadline == INT64_MAX ? NULL : &t, NULL);
}

/* Whoever called is told by what this returns: nobody need be woken for what moved. */
static int take_asleep(struct vgpu_far *r, bool came)
{
	bool moved, over;

	vgpu_far_lock(r);
	if (came || vgpu_mirror_has_input(r->mirror))
		vgpu_far_take(r);
	moved = r->moved;
	r->moved = false;
	over = r->over;
	unlock_only(r);
	return moved ? 1 : over ? -EPIPE : 0;
}

/*
 * First what epoll(7) does not see: bytes that TLS or the mirror has read. A poke is
 * an edge, and need not be read away.
 */
static int sleep_on(void *arg, int64_t deadline)
{
	struct vgpu_far *r = arg;
	int n = take_asleep(r, false), events;

	if (n)
		return n < 0 ? n : 0;
	events = wait_event(r, deadline);
	n = take_asleep(r, true);
	if (n < 0)
		return n;
	return n || events ? 0 : -ETIMEDOUT;
}

static void poke(void *arg)
{
	ring(((struct vgpu_far *)arg)->poked);
}

/* ---- reading the app's memory ---- */

struct read_wait {
	struct vgpu_far	*r;
	struct vgpu_pull	*p;
};

static bool read_done(void *arg)
{
	struct read_wait *w = arg;
	bool done;

	vgpu_far_lock(w->r);
	done = w->p->done;
	vgpu_far_unlock(w->r);
	return done;
}

void vgpu_far_read_begin(struct vgpu_far *r, struct vgpu_pull *p)
{
	vgpu_far_lock(r);
	p->done = false;
	if (!r->over)
		vgpu_mirror_pull(r->mirror, p);
	vgpu_far_flush(r);
	vgpu_far_unlock(r);
}

/* The caller goes, and takes what the mirror was given with it. */
static int give_up(struct vgpu_far *r)
{
	vgpu_far_lock(r);
	vgpu_far_finish(r, VGPU_END_CLIENT_LEFT, "the channel is lost");
	vgpu_far_unlock(r);
	return -EPIPE;
}

int vgpu_far_read_finish(struct vgpu_far *r, struct vgpu_pull *p)
{
	struct read_wait w = { r, p };

	return vgpu_channel_wait(r->channel, read_done, &w, -1) ? give_up(r) : p->error;
}

static int read_at(struct vgpu_far *r, const struct vgpu_place_wire *from, void *to, size_t n)
{
	struct vgpu_pull p = { .from = *from, .to = to, .length = n };

	vgpu_far_read_begin(r, &p);
	return vgpu_far_read_finish(r, &p);
}

/* ---- writing it ---- */

#define LARGE		(64u << 10)	/* of which spare ones are kept */
#define HELD_MAX	(128u << 10)

static struct vgpu_far_store *store_make(struct vgpu_far *r, size_t n)
{
	struct vgpu_far_store *s;
	size_t room = n > LARGE ? VGPU_FRAME_PAYLOAD : n;

	vgpu_far_lock(r);
	s = n > LARGE ? r->spare : NULL;
	if (s)
		r->spare = s->next;
	vgpu_far_unlock(r);
	if (!s)
		s = malloc(sizeof(*s) + room);
	if (s)
		s->room = room;
	return s;
}

/* r->lock is held. No more are kept than were under way at once. */
static void store_end(struct vgpu_far *r, struct vgpu_far_store *s)
{
	if (s->room == VGPU_FRAME_PAYLOAD) {
		s->next = r->spare;
		r->spare = s;
	} else {
		free(s);
	}
}

/* What the client has; r->lock is held. */
static void reap(struct vgpu_far *r)
{
	struct vgpu_far_store *s;

	while ((s = r->stores) && s->store.done) {
		r->stores = s->next;
		if (!r->stores)
			r->last_store = &r->stores;
		r->storing -= s->store.length;
		if (s->store.error && !r->store_error)
			r->store_error = s->store.error;
		store_end(r, s);
	}
}

struct room_wait {
	struct vgpu_far	*r;
	size_t			n;
};

/* If there is room for so many bytes, it is the caller's. */
static bool room_ready(void *arg)
{
	struct room_wait *w = arg;
	struct vgpu_far *r = w->r;
	bool room;

	vgpu_far_lock(r);
	reap(r);
	room = r->storing + w->n <= VGPU_FAR_BYTES;
	if (room)
		r->storing += w->n;
	vgpu_far_unlock(r);
	return room;
}

bool vgpu_far_writable(struct vgpu_far *r, size_t n)
{
	bool room;

	vgpu_far_lock(r);
	reap(r);
	room = r->storing + n <= VGPU_FAR_BYTES;
	vgpu_far_unlock(r);
	return room;
}

/* r->lock is held. */
static void send_held(struct vgpu_far *r)
{
	r->held = 0;
	vgpu_far_flush(r);
}

void vgpu_far_hold(struct vgpu_far *r, bool hold)
{
	vgpu_far_lock(r);
	r->hold = hold;
	if (!hold)
		send_held(r);
	vgpu_far_unlock(r);
}

/* It is the mirror's from here on; an error that is there is told. */
static int store_send(struct vgpu_far *r, struct vgpu_far_store *s)
{
	int err;

	vgpu_far_lock(r);
	err = r->over ? -EPIPE : r->store_error;
	if (r->over) {
		store_end(r, s);
	} else {
		r->store_error = 0;
		s->next = NULL;
		*r->last_store = s;
		r->last_store = &s->next;
		vgpu_mirror_store(r->mirror, &s->store);
		r->held += s->store.length;
	}
	if (!r->hold || r->held >= HELD_MAX)
		send_held(r);
	vgpu_far_unlock(r);
	return err;
}

/* There is no room before what was written is sent. */
static void release_held(struct vgpu_far *r)
{
	vgpu_far_lock(r);
	send_held(r);
	vgpu_far_unlock(r);
}

static int write_piece(struct vgpu_far *r, const struct vgpu_place_wire *to,
		       const uint8_t *from, size_t n)
{
	struct room_wait w = { r, n };
	struct vgpu_far_store *s = store_make(r, n);

	if (!s)
		return -ENOMEM;
	memcpy(s->bytes, from, n);
	s->store = (struct vgpu_store){ .to = *to, .from = s->bytes, .length = n };
	if (!vgpu_far_writable(r, n))
		release_held(r);
	if (!vgpu_channel_wait(r->channel, room_ready, &w, -1))
		return store_send(r, s);
	free(s);
	return -EPIPE;
}

/*
 * Returns when the bytes are on their way, before any record that is committed
 * later. An error that is told is that of a former write if the client found out
 * too late to tell it that one.
 */
static int write_at(struct vgpu_far *r, struct vgpu_place_wire to, const uint8_t *from, size_t n)
{
	int err = 0;

	while (n && !err) {
		size_t piece = n < VGPU_FRAME_PAYLOAD ? n : VGPU_FRAME_PAYLOAD;

		err = write_piece(r, &to, from, piece);
		to.offset += piece;
		from += piece;
		n -= piece;
	}
	return err;
}

static int app_copy(void *arg, void *local, uint64_t address, size_t n, bool write)
{
	const struct vgpu_place_wire place = { .offset = address };

	return write ? write_at(arg, place, local, n) : read_at(arg, &place, local, n);
}

static int hostmem_copy(void *arg, uint64_t handle, uint64_t size, uint64_t offset, void *local,
			size_t n, bool write)
{
	const struct vgpu_place_wire place = { .handle = handle, .size = size, .offset = offset };

	return write ? write_at(arg, place, local, n) : read_at(arg, &place, local, n);
}

struct handle_wait {
	struct vgpu_far	*r;
	uint64_t		handle;
};

static bool stores_done(void *arg)
{
	struct handle_wait *w = arg;
	struct vgpu_far_store *s;

	vgpu_far_lock(w->r);
	reap(w->r);
	for (s = w->r->stores; s; s = s->next)
		if (s->store.to.handle == w->handle)
			break;
	vgpu_far_unlock(w->r);
	return !s;
}

/* What is still to be written there would have the client map it again. */
static void hostmem_release(void *arg, uint64_t handle)
{
	struct handle_wait w = { arg, handle };

	if (vgpu_channel_wait(w.r->channel, stores_done, &w, -1))
		return;
	vgpu_far_lock(w.r);
	if (!w.r->over)
		vgpu_mirror_forget(w.r->mirror, handle);
	vgpu_far_flush(w.r);
	vgpu_far_unlock(w.r);
}

/* ---- the end ---- */

bool vgpu_far_over(struct vgpu_far *r, enum vgpu_worker_end *how)
{
	bool over;

	vgpu_far_lock(r);
	over = r->over;
	if (over)
		*how = r->how;
	vgpu_far_unlock(r);
	return over;
}

static bool wait_connection(int fd, short events, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left = until - now_ns();

	return left > 0 && poll(&p, 1, left / 1000000 + 1) > 0;
}

/*
 * The lock is held throughout: nobody is to do anything any more. What the client
 * sent is read away, or closing would make the kernel throw away what we sent.
 */
static void say_goodbye(struct vgpu_far *r, const char *text)
{
	int64_t until = now_ns() + GOODBYE_MS * 1000000ll;
	int fd = vgpu_stream_fd(vgpu_mirror_stream(r->mirror));
	char away[4096];

	vgpu_far_flush(r);
	while (r->blocked && wait_connection(fd, POLLOUT, until))
		vgpu_far_flush(r);
	if (r->over || !atomic_load(&r->linked))
		return;
	vgpu_mirror_say_bye(r->mirror, text);
	shutdown(fd, SHUT_WR);
	while (wait_connection(fd, POLLIN, until) && recv(fd, away, sizeof(away), MSG_DONTWAIT) > 0)
		;
}

void vgpu_far_goodbye(struct vgpu_far *r, const char *text)
{
	vgpu_far_lock(r);
	if (!r->over && atomic_load(&r->linked))
		say_goodbye(r, text);
	vgpu_far_finish(r, VGPU_END_CLIENT_LEFT, text);
	vgpu_far_unlock(r);
}

static void free_stores(struct vgpu_far_store *s)
{
	while (s) {
		struct vgpu_far_store *next = s->next;

		free(s);
		s = next;
	}
}

static void free_remote(struct vgpu_far *r)
{
	vgpu_mirror_destroy(r->mirror);
	free_stores(r->stores);
	free_stores(r->spare);
	if (r->events >= 0)
		close(r->events);
	if (r->poked >= 0)
		close(r->poked);
	if (r->called >= 0)
		close(r->called);
	pthread_mutex_destroy(&r->lock);
	explicit_bzero(r->secret, sizeof(r->secret));
	free(r);
}

static void close_remote(void *arg)
{
	struct vgpu_far *r = arg;

	if (r->keeps) {
		vgpu_far_lock(r);
		r->ended = NULL;	/* it is by act of ours */
		vgpu_far_unlock(r);
		vgpu_far_goodbye(r, "the worker ended the session");
		pthread_join(r->keeper, NULL);
		close(r->server);
	}
	free_remote(r);
}

/* ---- the beginning ---- */

static const struct vgpu_remote_ops remote_ops = {
	.send = send_now, .look = look, .sleep = sleep_on, .poke = poke,
	.app_copy = app_copy, .hostmem_copy = hostmem_copy,
	.hostmem_release = hostmem_release, .close = close_remote,
};

/* Whoever holds the lock sees to it when it gives it back. */
static void moved(void *arg, bool head)
{
	((struct vgpu_far *)arg)->moved = true;
}

static const struct vgpu_mirror_ops mirror_ops = { .ring = moved };

static int make_events(struct vgpu_far *r)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };

	r->events = epoll_create1(EPOLL_CLOEXEC);
	r->poked = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->called = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->events < 0 || r->poked < 0 || r->called < 0 ||
	    epoll_ctl(r->events, EPOLL_CTL_ADD, r->poked, &e))
		return -errno;
	return 0;
}

static struct vgpu_far *new_remote(int server, const struct vgpu_session_message *start,
				      void (*ended)(enum vgpu_worker_end how))
{
	struct vgpu_far *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->server = server;
	r->events = r->poked = r->called = -1;
	r->grace = start->grace;
	memcpy(r->session, start->session, sizeof(r->session));
	memcpy(r->secret, start->secret, sizeof(r->secret));
	r->last_store = &r->stores;
	r->ended = ended;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

int vgpu_far_open(struct vgpu_far **out, int server,
		     const struct vgpu_session_message *start,
		     void (*ended)(enum vgpu_worker_end how))
{
	struct vgpu_far *r = new_remote(server, start, ended);
	int err;

	if (!r)
		return -ENOMEM;
	err = vgpu_remote_create(&r->channel, &start->sizes, &remote_ops, r);
	if (err) {
		free_remote(r);
		return err;
	}
	err = make_events(r);
	if (!err)
		err = vgpu_mirror_create(&r->mirror, VGPU_ROLE_WORKER, r->channel, &mirror_ops, r);
	if (!err)
		err = vgpu_keeper_start(r);
	if (err)
		vgpu_channel_close(r->channel);
	else
		*out = r;
	return err;
}
