// SPDX-License-Identifier: MIT
/*
 * The backend without a module: a channel's memory is a memfd of the app's,
 * its bells are eventfds, and a unix socket carries them over and tells each
 * side, by hanging up, that the other is gone.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel/message.h"
#include "channel/socket.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD	77
#endif

/* ---- bells ---- */

static void ring_bell(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	/* Full or gone: there is a bell to be heard, or nobody to hear it. */
	(void)n;
}

static void bell(struct vgpu_channel *ch)
{
	ring_bell(to_socket(ch)->their_bell);
}

static void poke(struct vgpu_channel *ch)
{
	ring_bell(to_socket(ch)->our_bell);
}

/*
 * The other side shares the eventfd's flags and could make it a blocking one
 * and take the bell away before us: RWF_NOWAIT is ours alone.
 */
static void hear_bell(int fd)
{
	uint64_t count;
	struct iovec iov = { &count, sizeof(count) };
	ssize_t n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);

	(void)n;
}

static int sleep_on(struct vgpu_channel *ch, int64_t deadline)
{
	struct socket_channel *s = to_socket(ch);
	struct pollfd p[3] = {
		{ .fd = s->our_bell, .events = POLLIN },
		{ .fd = s->sock, .events = POLLRDHUP },
		{ .fd = s->pidfd, .events = POLLIN },	/* -1 is skipped */
	};

	int err = vgpu_message_poll(p, 3, deadline);

	if (err == -ETIMEDOUT)
		return err;
	if (err || p[1].revents || p[2].revents)
		return -EPIPE;
	hear_bell(s->our_bell);
	return 0;
}

/* ---- of a relay: all of that behind one descriptor ---- */

static int gather(int epoll, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	return fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

/*
 * The bell by its edges: its count, which the other side shares and could make one
 * that takes for ever to be read away, is left alone. The ends by their state.
 */
int vgpu_socket_gather(struct vgpu_channel *ch)
{
	struct socket_channel *s = to_socket(ch);
	int err;

	s->gathered = epoll_create1(EPOLL_CLOEXEC);
	if (s->gathered < 0)
		return -errno;
	err = gather(s->gathered, s->our_bell, EPOLLIN | EPOLLET);
	if (!err)
		err = gather(s->gathered, s->sock, EPOLLIN | EPOLLRDHUP);
	return err ? err : gather(s->gathered, s->pidfd, EPOLLIN);
}

static int bell_fd(const struct vgpu_channel *ch)
{
	return ((const struct socket_channel *)ch)->gathered;
}

static int take_bells(struct vgpu_channel *ch)
{
	struct socket_channel *s = to_socket(ch);
	struct epoll_event e[3];
	int n = epoll_wait(s->gathered, e, 3, 0), announced = 0;

	while (n-- > 0) {
		if (e[n].data.fd == s->our_bell)
			continue;
		if (e[n].data.fd == s->pidfd || e[n].events & ~(uint32_t)EPOLLIN)
			return -EPIPE;
		announced = 1;
	}
	return announced;
}

/* ---- life ---- */

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void release(struct socket_channel *s, bool unmap)
{
	close_fd(s->sock);
	close_fd(s->our_bell);
	close_fd(s->their_bell);
	close_fd(s->pidfd);
	close_fd(s->gathered);
	for (int i = 0; i < s->unclaimed_count; i++)
		close_fd(s->unclaimed[i].fd);
	free(s->unclaimed);
	if (s->ch.memory)
		vgpu_channel_fini(&s->ch, unmap);
	free(s);
}

/* The hang-up must not wait for a fork child that still has the socket. */
static void close_channel(struct vgpu_channel *ch)
{
	struct socket_channel *s = to_socket(ch);

	if (s->sock >= 0)
		shutdown(s->sock, SHUT_RDWR);
	release(s, true);
}

static void forget_channel(struct vgpu_channel *ch)
{
	release(to_socket(ch), false);
}

static const struct channel_ops socket_ops = {
	.bell		= bell,
	.poke		= poke,
	.sleep		= sleep_on,
	.bell_fd	= bell_fd,
	.take_bells	= take_bells,
	.hostmem_create	= vgpu_socket_hostmem_create,
	.hostmem_map	= vgpu_socket_hostmem_map,
	.hostmem_take	= vgpu_socket_hostmem_take,
	.app_copy	= vgpu_socket_app_copy,
	.close		= close_channel,
	.forget		= forget_channel,
};

static struct socket_channel *new_channel(enum vgpu_side side, int sock)
{
	struct socket_channel *s = vgpu_channel_alloc(sizeof(*s), &socket_ops, side);

	if (!s)
		return NULL;
	s->sock = sock;
	s->our_bell = s->their_bell = s->pidfd = s->gathered = -1;
	pthread_mutex_init(&s->unclaimed_lock, NULL);
	if (side == VGPU_SIDE_APP)
		return s;
	s->unclaimed = calloc(UNCLAIMED_MAX, sizeof(*s->unclaimed));
	if (s->unclaimed)
		return s;
	free(s);
	return NULL;
}

/* ---- memory: one memfd, the app's half first ---- */

#define BOTH_HALVES	(1u << VGPU_SIDE_APP | 1u << VGPU_SIDE_PEER)

/* Size of the whole, or 0 if the ring sizes are not allowed. */
static size_t memory_size(const struct vgpu_ring_sizes *sizes)
{
	return vgpu_memory_half(sizes, VGPU_SIDE_APP) +
	       vgpu_memory_half(sizes, VGPU_SIDE_PEER);
}

static int map_memory(struct channel_memory **memory, int fd,
		      const struct vgpu_ring_sizes *sizes, unsigned int writable)
{
	const uint64_t offset[2] = {
		[VGPU_SIDE_PEER] = vgpu_memory_half(sizes, VGPU_SIDE_APP),
	};

	return vgpu_memory_map(memory, fd, offset, sizes, writable);
}

/* As the module's mappings are: not in core dumps, nor in a fork child of the app. */
static int hide_memory(const struct channel_memory *m, enum vgpu_side side)
{
	for (int i = VGPU_SIDE_APP; i <= VGPU_SIDE_PEER; i++) {
		madvise(m->half[i], m->size[i], MADV_DONTDUMP);
		if (side == VGPU_SIDE_APP &&
		    madvise(m->half[i], m->size[i], MADV_DONTFORK))
			return -errno;
	}
	return 0;
}

static int use_memory(struct socket_channel *s, int fd,
		      const struct vgpu_ring_sizes *sizes)
{
	struct channel_memory *memory;
	int err = map_memory(&memory, fd, sizes, 1u << s->ch.side);

	if (err)
		return err;
	err = hide_memory(memory, s->ch.side);
	if (!err)
		vgpu_channel_init(&s->ch, memory, sizes);
	vgpu_memory_put(memory, true);
	return err;
}

static int make_bells(struct socket_channel *s)
{
	s->our_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->our_bell < 0)
		return -errno;
	s->their_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return s->their_bell < 0 ? -errno : 0;
}

/* ---- the other side's process ---- */

/* The process that connected or listens; 0 if our namespace has no name for it. */
static int peer_pid(int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) || cred.pid < 0)
		return 0;
	return cred.pid;
}

/*
 * A number alone may have been given to another process since the app
 * connected, so the pidfd comes from the socket where the kernel has that
 * (6.5). -1: an app that this pid namespace does not show, on an older kernel;
 * its end is seen by the hang-up only.
 */
static int watch_app(struct socket_channel *s)
{
	socklen_t len = sizeof(s->pidfd);

	if (!getsockopt(s->sock, SOL_SOCKET, SO_PEERPIDFD, &s->pidfd, &len))
		return 0;
	s->pidfd = -1;
	if (errno == ENOPROTOOPT && !s->ch.pid)
		return 0;
	if (errno == ENOPROTOOPT)
		s->pidfd = syscall(SYS_pidfd_open, s->ch.pid, 0);
	if (s->pidfd >= 0)
		return 0;
	return errno == EMFILE || errno == ENFILE ? -errno : -EPIPE;
}

/* ---- app ---- */

static void set_timeout(int sock, int64_t deadline)
{
	int64_t left = deadline == NEVER ? 0 : deadline - clock_now();
	struct timeval t = { .tv_sec = left / 1000000000,
			     .tv_usec = left / 1000 % 1000000 };

	/* Zero would mean for ever. */
	if (deadline != NEVER && left < 1000)
		t = (struct timeval){ .tv_usec = 1 };
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

/* A connected socket, or -errno. */
static int connect_to(const char *path, int64_t deadline)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	do {
		set_timeout(sock, deadline);
		err = connect(sock, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	} while (err == -EINTR);
	if (!err)
		return sock;
	close(sock);
	return err == -EAGAIN ? -ETIMEDOUT : err;
}

static int send_setup(struct socket_channel *s, int memory,
		      const struct vgpu_ring_sizes *sizes, int64_t deadline)
{
	struct vgpu_ring_sizes body = *sizes;
	struct message m = {
		.kind = MESSAGE_SETUP, .body = &body, .length = sizeof(body),
		.fds = { memory, s->our_bell, s->their_bell }, .nfds = 3,
	};

	return vgpu_message_send(s->sock, &m, deadline);
}

static int make_app(struct socket_channel *s, const struct vgpu_ring_sizes *sizes,
		    int64_t deadline)
{
	int fd = vgpu_memory_make("vgpu-channel", memory_size(sizes)), err;

	if (fd < 0)
		return fd;
	err = make_bells(s);
	if (!err)
		err = use_memory(s, fd, sizes);
	if (!err)
		err = send_setup(s, fd, sizes, deadline);
	close(fd);
	return err;
}

int vgpu_channel_connect(struct vgpu_channel **out, const char *path,
			 const struct vgpu_ring_sizes *sizes,
			 const void *hello, size_t hello_len,
			 void *answer, size_t *answer_len, int timeout_ms)
{
	int64_t deadline = clock_deadline(timeout_ms);
	struct socket_channel *s;
	int sock, err;

	if (!memory_size(sizes))
		return -EINVAL;
	sock = connect_to(path, deadline);
	if (sock < 0)
		return sock;
	s = new_channel(VGPU_SIDE_APP, sock);
	if (!s) {
		close(sock);
		return -ENOMEM;
	}
	s->ch.pid = peer_pid(sock);
	err = make_app(s, sizes, deadline);
	if (!err)
		err = vgpu_greeting_exchange(&s->ch, hello, hello_len, answer, answer_len,
					     deadline);
	if (err)
		release(s, true);
	else
		*out = &s->ch;
	return err;
}

/* ---- peer ---- */

/* An eventfd has no type of its own but in the name /proc gives it. */
static bool is_eventfd(int fd)
{
	char path[32], name[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name));
	return n == (ssize_t)strlen("anon_inode:[eventfd]") &&
	       !memcmp(name, "anon_inode:[eventfd]", n);
}

/* What the other side can undo at any time; hear_bell() does not rely on it. */
static int set_nonblocking(int fd)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK) ? -errno : 0;
}

/* The descriptors of a set-up: s owns the bells at once, the caller the memory. */
static int use_setup(struct socket_channel *s, const struct message *m,
		     const struct vgpu_ring_sizes *sizes)
{
	size_t size = memory_size(sizes);
	int err;

	s->their_bell = m->fds[1];
	s->our_bell = m->fds[2];
	if (!size || !is_eventfd(s->their_bell) || !is_eventfd(s->our_bell))
		return -EPROTO;
	if (vgpu_memory_check(m->fds[0], size))
		return -EPROTO;
	err = set_nonblocking(s->their_bell);
	if (!err)
		err = set_nonblocking(s->our_bell);
	if (err)
		return err;
	return use_memory(s, m->fds[0], sizes);
}

static int receive_setup(struct socket_channel *s, int64_t deadline)
{
	struct vgpu_ring_sizes sizes;
	struct message m = {
		.kind = MESSAGE_SETUP, .body = &sizes, .length = sizeof(sizes), .nfds = 3,
	};
	int err = vgpu_message_receive(s->sock, &m, deadline);

	if (err)
		return err;
	err = use_setup(s, &m, &sizes);
	close(m.fds[0]);
	return err;
}

int vgpu_socket_take(struct vgpu_channel **out, int fd, int64_t deadline)
{
	struct socket_channel *s = new_channel(VGPU_SIDE_PEER, fd);
	int err;

	if (!s) {
		close(fd);
		return -ENOMEM;
	}
	s->ch.pid = peer_pid(fd);
	err = watch_app(s);
	if (!err)
		err = receive_setup(s, deadline);
	if (err)
		release(s, true);
	else
		*out = &s->ch;
	return err;
}

int vgpu_channel_accept(struct vgpu_channel **out, int fd,
			void *hello, size_t *hello_len, int timeout_ms)
{
	int64_t deadline = clock_deadline(timeout_ms);
	struct vgpu_channel *ch;
	int err = vgpu_socket_take(&ch, fd, deadline);

	if (err)
		return err;
	err = vgpu_greeting_await(ch, VGPU_OP_HELLO, hello, hello_len, deadline);
	if (err)
		release(to_socket(ch), true);
	else
		*out = ch;
	return err;
}

/* ---- both ends in one process ---- */

static int make_pair_end(struct socket_channel **out, enum vgpu_side side, int sock,
			 struct channel_memory *memory,
			 const struct vgpu_ring_sizes *sizes)
{
	struct socket_channel *s = new_channel(side, sock);

	if (!s) {
		close(sock);
		return -ENOMEM;
	}
	s->ch.pid = getpid();
	vgpu_channel_init(&s->ch, memory, sizes);
	*out = s;
	return 0;
}

static int share_bells(struct socket_channel *app, struct socket_channel *peer)
{
	int err = make_bells(app);

	if (err)
		return err;
	peer->our_bell = fcntl(app->their_bell, F_DUPFD_CLOEXEC, 0);
	if (peer->our_bell < 0)
		return -errno;
	peer->their_bell = fcntl(app->our_bell, F_DUPFD_CLOEXEC, 0);
	return peer->their_bell < 0 ? -errno : 0;
}

/*
 * One mapping for both ends, so that a race detector sees through it, writable
 * so that a test can play a hostile side.
 */
static int pair_memory(struct channel_memory **memory,
		       const struct vgpu_ring_sizes *sizes)
{
	size_t size = memory_size(sizes);
	int fd = size ? vgpu_memory_make("vgpu-channel", size) : -EINVAL, err;

	if (fd < 0)
		return fd;
	err = map_memory(memory, fd, sizes, BOTH_HALVES);
	close(fd);
	return err;
}

int vgpu_channel_pair(struct vgpu_channel **app, struct vgpu_channel **peer,
		      const struct vgpu_ring_sizes *sizes)
{
	struct socket_channel *a = NULL, *p = NULL;
	struct channel_memory *memory;
	int sock[2], err;

	err = pair_memory(&memory, sizes);
	if (err)
		return err;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock)) {
		err = -errno;
		goto put_memory;
	}
	err = make_pair_end(&a, VGPU_SIDE_APP, sock[0], memory, sizes);
	if (err) {
		close(sock[1]);
		goto put_memory;
	}
	err = make_pair_end(&p, VGPU_SIDE_PEER, sock[1], memory, sizes);
	if (!err)
		err = share_bells(a, p);
	if (!err) {
		*app = &a->ch;
		*peer = &p->ch;
		goto put_memory;
	}
	if (p)
		release(p, true);
	release(a, true);
put_memory:
	vgpu_memory_put(memory, true);
	return err;
}
