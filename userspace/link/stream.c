/* SPDX-License-Identifier: MIT */
/*
 * A connection as a stream of bytes: what is alike with and without TLS, and all
 * of it without. TLS is secure.c; what a connection is for is not known here.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "link/secure.h"
#include "link/verbs.h"

/* ---- failures ---- */

int vgpu_stream_fail(struct vgpu_stream *s, int err, const char *format, ...)
{
	va_list args;

	if (s->failed)
		return s->failed;
	s->failed = err;
	/* what was found out on the way here says more */
	if (s->error[0])
		return err;
	va_start(args, format);
	vsnprintf(s->error, sizeof(s->error), format, args);
	va_end(args);
	return err;
}

/* @err as the socket said it. */
static int lost(struct vgpu_stream *s, int err)
{
	return err == -EAGAIN ? err : vgpu_stream_fail(s, -EPIPE, "%s", strerror(-err));
}

const char *vgpu_stream_error(const struct vgpu_stream *s)
{
	return s->error;
}

/* ---- life ---- */

int vgpu_stream_plain(struct vgpu_stream **out, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct vgpu_stream *s;

	s = flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? NULL : calloc(1, sizeof(*s));
	if (!s) {
		int err = -errno;

		close(fd);
		return err;
	}
	s->fd = fd;
	*out = s;
	return 0;
}

void vgpu_stream_close(struct vgpu_stream *s)
{
	if (!s)
		return;
	if (s->verbs)
		vgpu_verbs_close(s);
	if (s->secure)
		vgpu_secure_close(s);
	close(s->fd);
	free(s);
}

int vgpu_stream_socket_handshake(struct vgpu_stream *s)
{
	return s->secure ? vgpu_secure_handshake(s) : 0;
}

int vgpu_stream_handshake(struct vgpu_stream *s)
{
	if (s->failed)
		return s->failed;
	return s->verbs ? vgpu_verbs_handshake(s) : vgpu_stream_socket_handshake(s);
}

/* ---- what it is ---- */

int vgpu_stream_socket(const struct vgpu_stream *s)
{
	return s->fd;
}

int vgpu_stream_fd(const struct vgpu_stream *s)
{
	return s->verbs && !vgpu_verbs_over(s->verbs) ? vgpu_verbs_fd(s->verbs) : s->fd;
}

short vgpu_stream_events(const struct vgpu_stream *s)
{
	if (vgpu_stream_fd(s) != s->fd)
		return POLLIN;
	if (s->secure && !s->secure->established)
		return s->events;
	return s->blocked ? POLLIN | POLLOUT : POLLIN;
}

short vgpu_stream_room_events(const struct vgpu_stream *s)
{
	return vgpu_stream_fd(s) == s->fd ? POLLOUT : POLLIN;
}

bool vgpu_stream_has_room(const struct vgpu_stream *s)
{
	return vgpu_verbs_live(s->verbs) && vgpu_verbs_has_room(s->verbs);
}

bool vgpu_stream_by_verbs(const struct vgpu_stream *s)
{
	return vgpu_verbs_live(s->verbs);
}

bool vgpu_stream_pending(const struct vgpu_stream *s)
{
	const struct vgpu_secure *t = s->secure;

	if (vgpu_verbs_live(s->verbs))
		return vgpu_verbs_pending(s->verbs);
	return t && t->established && !t->dry && SSL_has_pending(t->ssl);
}

const char *vgpu_stream_kind(const struct vgpu_stream *s)
{
	if (vgpu_verbs_live(s->verbs))
		return "verbs-send";
	return !s->secure ? "tcp" : s->secure->kernel ? "ktls" : "tls";
}

/* ---- bytes ---- */

static ssize_t plain_read(struct vgpu_stream *s, void *to, size_t n)
{
	ssize_t got;

	do {
		got = recv(s->fd, to, n, 0);
	} while (got < 0 && errno == EINTR);
	if (got > 0)
		return got;
	if (!got)
		return vgpu_stream_fail(s, -EPIPE, "the other side closed the connection");
	return lost(s, -errno);
}

ssize_t vgpu_stream_socket_read(struct vgpu_stream *s, void *to, size_t n)
{
	return s->secure ? vgpu_secure_read(s, to, n) : plain_read(s, to, n);
}

ssize_t vgpu_stream_read(struct vgpu_stream *s, void *to, size_t n)
{
	if (s->failed)
		return s->failed;
	if (!n)
		return 0;
	return vgpu_verbs_live(s->verbs) ? vgpu_verbs_read(s, to, n) :
		vgpu_stream_socket_read(s, to, n);
}

ssize_t vgpu_stream_send(int fd, const struct iovec *iov, int n)
{
	const struct msghdr m = {
		.msg_iov = (struct iovec *)iov,
		.msg_iovlen = n < IOV_MAX ? n : IOV_MAX,
	};
	ssize_t sent;

	do {
		sent = sendmsg(fd, &m, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static ssize_t plain_write(struct vgpu_stream *s, const struct iovec *iov, int n)
{
	ssize_t sent = vgpu_stream_send(s->fd, iov, n);

	return sent < 0 ? lost(s, sent) : sent;
}

ssize_t vgpu_stream_socket_write(struct vgpu_stream *s, const struct iovec *iov, int n)
{
	return s->secure ? vgpu_secure_write(s, iov, n) : plain_write(s, iov, n);
}

static size_t total(const struct iovec *iov, int n)
{
	size_t bytes = 0;

	for (int i = 0; i < n; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

ssize_t vgpu_stream_write(struct vgpu_stream *s, const struct iovec *iov, int n)
{
	const size_t all = total(iov, n);
	ssize_t sent;

	if (s->failed)
		return s->failed;
	if (!all)
		return 0;
	sent = vgpu_verbs_live(s->verbs) ? vgpu_verbs_write(s, iov, n) :
		vgpu_stream_socket_write(s, iov, n);
	s->blocked = sent < 0 ? sent == -EAGAIN : (size_t)sent < all;
	return sent;
}
