/* SPDX-License-Identifier: MIT */
/*
 * What the files of a stream share: stream.c (what is alike for both kinds, and
 * plain), secure.c (TLS), sink.c (below TLS), verbs.c (RDMA), tls.c (whom to trust), trouble.c
 * (what went wrong, in words). Nobody else includes this.
 */
#ifndef VGPU_LINK_SECURE_H
#define VGPU_LINK_SECURE_H

#include <stdatomic.h>
#include <openssl/ssl.h>
#include "link/stream.h"

#define VGPU_LINE	256		/* of what went wrong */

struct vgpu_stream {
	int			fd;
	int			failed;		/* -errno: nothing works any more */
	bool			blocked;	/* the last write took less than all */
	short			events;		/* of the handshake */
	char			error[VGPU_LINE];
	struct vgpu_secure	*secure;	/* NULL: plain */
	struct vgpu_verbs	*verbs;		/* NULL: not asked for */
};

/* ---- stream.c ---- */

/* For good: it is said once why. Returns @err. */
int vgpu_stream_fail(struct vgpu_stream *s, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Straight into the socket: how many bytes, or what it says, -errno. */
ssize_t vgpu_stream_send(int fd, const struct iovec *iov, int n);

/* ---- sink.c: what TLS writes, so that a system call takes many records ---- */

#define VGPU_RECORD	16384		/* bytes of a TLS record */
#define VGPU_CHUNK	(4 * VGPU_RECORD)	/* encrypted before anything is sent */

struct vgpu_sink {
	int	fd;
	size_t	from, to;		/* what is still to be sent */
	/* A chunk, what TLS puts around its records, and a few messages of its own. */
	char	bytes[VGPU_CHUNK + 8192];
};

/* @k above the socket, for SSL_set_bio(); NULL: no memory. */
BIO *vgpu_sink_bio(struct vgpu_sink *k);
/* 0: nothing is left; -EAGAIN; else the socket's -errno. */
int vgpu_sink_flush(struct vgpu_sink *k);

/* ---- tls.c ---- */

struct vgpu_tls {
	atomic_uint	references;	/* the owner's, and of each stream */
	SSL_CTX		*context;
	bool		server;
	bool		keyed;		/* by a session's key, not by certificates */
	uint8_t		session[VGPU_SESSION_ID];
	uint8_t		key[VGPU_SECRET];
	char		*ca, *cert, *private, *crl;	/* paths */
	char		why[VGPU_LINE];	/* of the last vgpu_tls_recheck() */
};

void vgpu_tls_get(struct vgpu_tls *tls);

/* ---- secure.c ---- */

struct vgpu_secure {
	SSL		*ssl;		/* its app data is the stream */
	struct vgpu_tls	*tls;
	bool		established;
	bool		kernel;		/* what is sent is encrypted by the kernel */
	bool		dry;		/* what TLS has read is less than a record */
	size_t		held;		/* encrypted, but not yet said to be written */
	char		host[256];	/* that the server must be */
	struct vgpu_sink sink;
	char		gather[VGPU_RECORD];
};

int vgpu_secure_handshake(struct vgpu_stream *s);
ssize_t vgpu_secure_read(struct vgpu_stream *s, void *to, size_t n);
ssize_t vgpu_secure_write(struct vgpu_stream *s, const struct iovec *iov, int n);
void vgpu_secure_close(struct vgpu_stream *s);

/* ---- trouble.c ---- */

/* "CN=gpu1", without anything that must not be in a log. */
void vgpu_certificate_name(const X509 *cert, char *text, size_t room);
/* Why the certificate that @c stopped at is not good. @host as in vgpu_stream_tls(). */
void vgpu_certificate_trouble(X509_STORE_CTX *c, const char *host, char *text, size_t room);
/*
 * After an SSL function of @s returned @ret, with the errno that it left: -EAGAIN,
 * or the stream's failure.
 */
int vgpu_secure_trouble(struct vgpu_stream *s, int ret, int error);

#endif /* VGPU_LINK_SECURE_H */
