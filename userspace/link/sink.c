/* SPDX-License-Identifier: MIT */
/*
 * Where TLS writes to: a BIO above the socket's own that collects records, so
 * that a system call takes four of them and never raises SIGPIPE. Reading goes
 * straight through.
 *
 * Once the kernel encrypts, data does not come this way (secure.c); what does is
 * TLS's own messages, which the socket's BIO marks as such.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <openssl/bio.h>
#include "link/secure.h"

int vgpu_sink_flush(struct vgpu_sink *k)
{
	while (k->from < k->to) {
		ssize_t sent = send(k->fd, k->bytes + k->from, k->to - k->from, MSG_NOSIGNAL);

		if (sent >= 0)
			k->from += sent;
		else if (errno != EINTR)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	}
	k->from = k->to = 0;
	return 0;
}

/* The socket's BIO knows no MSG_NOSIGNAL. */
static int write_below(BIO *b, const char *data, int n)
{
	const struct timespec now = {};
	sigset_t pipe, old, raised;
	int sent, error;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&raised);
	pthread_sigmask(SIG_BLOCK, &pipe, &old);
	sent = BIO_write(BIO_next(b), data, n);
	error = errno;
	BIO_copy_next_retry(b);
	if (sent < 0 && error == EPIPE && !sigismember(&raised, SIGPIPE))
		sigtimedwait(&pipe, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = error;
	return sent;
}

static int collect(BIO *b, const char *data, int n)
{
	struct vgpu_sink *k = BIO_get_data(b);
	size_t room = sizeof(k->bytes) - k->to;

	if (room < (size_t)n) {
		int err = vgpu_sink_flush(k);

		if (err == -EAGAIN && !room)
			BIO_set_retry_write(b);
		if (err && (err != -EAGAIN || !room))
			return -1;
		room = sizeof(k->bytes) - k->to;
	}
	if ((size_t)n > room)
		n = room;
	memcpy(k->bytes + k->to, data, n);
	k->to += n;
	return n;
}

static int sink_write(BIO *b, const char *data, int n)
{
	BIO_clear_retry_flags(b);
	if (n <= 0)
		return 0;
	return BIO_get_ktls_send(BIO_next(b)) ? write_below(b, data, n) : collect(b, data, n);
}

static int sink_read(BIO *b, char *to, int n)
{
	int got = BIO_read(BIO_next(b), to, n);

	BIO_clear_retry_flags(b);
	BIO_copy_next_retry(b);
	return got;
}

static long sink_control(BIO *b, int what, long number, void *arg)
{
	if (what == BIO_CTRL_FLUSH) {
		int err = vgpu_sink_flush(BIO_get_data(b));

		BIO_clear_retry_flags(b);
		if (err == -EAGAIN)
			BIO_set_retry_write(b);
		return err ? -1 : 1;
	}
	return BIO_next(b) ? BIO_ctrl(BIO_next(b), what, number, arg) : 0;
}

static int sink_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

static BIO_METHOD *method;

static void make_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_FILTER, "vgpu sink");

	if (m && BIO_meth_set_write(m, sink_write) && BIO_meth_set_read(m, sink_read) &&
	    BIO_meth_set_ctrl(m, sink_control) && BIO_meth_set_create(m, sink_create))
		method = m;
	else
		BIO_meth_free(m);
}

BIO *vgpu_sink_bio(struct vgpu_sink *k)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *sink, *below;

	pthread_once(&once, make_method);
	if (!method)
		return NULL;
	sink = BIO_new(method);
	below = BIO_new_socket(k->fd, BIO_NOCLOSE);
	if (!sink || !below) {
		BIO_free(sink);
		BIO_free(below);
		return NULL;
	}
	BIO_set_data(sink, k);
	return BIO_push(sink, below);
}
