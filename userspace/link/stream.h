/* SPDX-License-Identifier: MIT */
/*
 * A connection as a stream of bytes, plain or TLS, which never blocks; and what
 * TLS needs to know: who we are, whom we trust. (stream.c, tls.c)
 *
 * Functions return -EAGAIN when the other side must do something first (poll for
 * vgpu_stream_events()), -EPIPE when the connection is over, -EPROTO for what
 * TLS refuses. One thread at a time.
 */
#ifndef VGPU_LINK_STREAM_H
#define VGPU_LINK_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "link/frame.h"

struct vgpu_stream;
struct vgpu_tls;

/* ---- whom to trust (tls.c) ---- */

struct vgpu_tls_files {
	const char	*ca;		/* certificates of the authorities, PEM */
	const char	*cert;		/* our chain */
	const char	*key;		/* of it; must not be readable for others */
	const char	*crl;		/* NULL: none. Read again by vgpu_tls_reload() */
};

/*
 * Mutual TLS 1.3 with certificates, for control connections. @server: for
 * accepting, else for connecting. @why gets a line that names the file and
 * what is wrong with it. -errno.
 */
int vgpu_tls_open(struct vgpu_tls **out, const struct vgpu_tls_files *files, bool server,
		  char *why, size_t room);
/* Read all files anew; connections that there are keep what they have. */
int vgpu_tls_reload(struct vgpu_tls *tls, char *why, size_t room);
void vgpu_tls_close(struct vgpu_tls *tls);

/*
 * TLS 1.3 with a pre-shared key, for a session's connection: the key is the
 * session's @secret, its identity @session. Used once for a stream and closed.
 */
int vgpu_tls_session(struct vgpu_tls **out, const uint8_t *session, const uint8_t *secret,
		     bool server);

/* ---- streams ---- */

/* @fd is a connected socket, owned by the stream from here on, also if this fails. */
int vgpu_stream_plain(struct vgpu_stream **out, int fd);
/*
 * The same with TLS, which vgpu_stream_handshake() is to establish. @host: the
 * name or address that the server's certificate must have; NULL with a
 * pre-shared key, or for accepting. kTLS is used where the kernel has it.
 */
int vgpu_stream_tls(struct vgpu_stream **out, int fd, struct vgpu_tls *tls, const char *host);
/*
 * Before the handshake, if the other side does the same: have the bytes travel by
 * RDMA if both ends have a device for it, and else as before. vgpu_stream_note()
 * has a line about why not. -errno.
 */
int vgpu_stream_offer_verbs(struct vgpu_stream *s);
const char *vgpu_stream_note(const struct vgpu_stream *s);
/* After the handshake: do they? */
bool vgpu_stream_by_verbs(const struct vgpu_stream *s);
/* Is there a device here that has the address of connected socket @fd? */
bool vgpu_stream_verbs_here(int fd);
/* 0: established; -EAGAIN; else it failed, and vgpu_stream_error() says why. Plain: 0. */
int vgpu_stream_handshake(struct vgpu_stream *s);
/* A line about the last failure: which certificate, which reason. Never NULL. */
const char *vgpu_stream_error(const struct vgpu_stream *s);
void vgpu_stream_close(struct vgpu_stream *s);

/* What to poll; may be another one after the handshake than before. */
int vgpu_stream_fd(const struct vgpu_stream *s);
/* The socket, which tells when the other side is gone, however the bytes travel. */
int vgpu_stream_socket(const struct vgpu_stream *s);
/* What to poll for before the call that said -EAGAIN: POLLIN, POLLOUT. */
short vgpu_stream_events(const struct vgpu_stream *s);
/* For room, after a write that took less than all. */
short vgpu_stream_room_events(const struct vgpu_stream *s);
/* Was there room found since, which poll(2) does not tell of any more? */
bool vgpu_stream_has_room(const struct vgpu_stream *s);
/* Are there bytes to read that poll(2) does not see? */
bool vgpu_stream_pending(const struct vgpu_stream *s);
/* "tcp", "tls", "ktls", "verbs-send": for a log and for `vgpu list`. */
const char *vgpu_stream_kind(const struct vgpu_stream *s);

/* Up to @n bytes: how many, at least 1; -EAGAIN, -EPIPE (also: closed), -EPROTO. */
ssize_t vgpu_stream_read(struct vgpu_stream *s, void *to, size_t n);
/*
 * Up to all of @iov: how many bytes. After -EAGAIN, or fewer than all, the next call
 * must go on with the same bytes (TLS has some of them encrypted already), in as
 * many pieces as it likes.
 */
ssize_t vgpu_stream_write(struct vgpu_stream *s, const struct iovec *iov, int n);

/*
 * The other side's certificate: its common name, and the SHA-256 of it in hex as
 * an identity. Empty strings without one.
 */
struct vgpu_identity {
	char	name[128];
	char	fingerprint[65];
};
void vgpu_stream_identity(const struct vgpu_stream *s, struct vgpu_identity *id);
/*
 * That certificate, to be checked again when the connection may be no more; a
 * reference of the caller's. NULL: there is none, or no memory. One thread has it.
 */
struct vgpu_certificate *vgpu_stream_certificate(const struct vgpu_stream *s);
struct vgpu_certificate *vgpu_certificate_get(struct vgpu_certificate *c);
void vgpu_certificate_put(struct vgpu_certificate *c);	/* NULL is nothing */
/* Is it still good by what @tls has read last? NULL, or why not. */
const char *vgpu_tls_recheck(struct vgpu_tls *tls, const struct vgpu_certificate *c);

/* ---- addresses (address.c) ---- */

/*
 * "HOST", "HOST:PORT", "[V6]:PORT": host and port in *@host (@room bytes) and
 * *@port. -EINVAL.
 */
int vgpu_address_parse(const char *text, char *host, size_t room, char port[8]);
/*
 * A socket that connects to it, non-blocking and close-on-exec, with TCP_NODELAY,
 * keepalive and a limit for bytes that nobody acknowledges; connected when
 * writable (SO_ERROR). Names are resolved, which blocks. @why as above. -errno.
 */
int vgpu_address_connect(const char *text, char *why, size_t room);
/* Listening sockets for "ADDRESS[:PORT]", "*:PORT" and the like: their number. */
int vgpu_address_listen(const char *text, int *fds, unsigned int max, char *why, size_t room);
/* The same options on an accepted socket. */
int vgpu_address_tune(int fd);
/* Is the other end of @fd this host, by a loopback address? */
bool vgpu_address_loopback(int fd);
/* The other end as text, for logs. */
void vgpu_address_peer(int fd, char *text, size_t room);

#endif /* VGPU_LINK_STREAM_H */
