/* SPDX-License-Identifier: MIT */
/*
 * A connection with TLS: handshake, reading, writing. Whom to trust is tls.c,
 * what failures are called trouble.c.
 *
 * Writing makes records as large as they may be, whatever pieces the bytes come
 * in, and encrypts a chunk of them before the system is asked to send it. What
 * does not fit into the socket stays in the sink, and counts as written except
 * for one byte, so that the caller comes again; see vgpu_secure_write().
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include "link/secure.h"

/* ---- making one ---- */

/* A name is looked for among names, an address among addresses. */
static int expect_host(struct vgpu_secure *t, const char *host)
{
	X509_VERIFY_PARAM *wanted = SSL_get0_param(t->ssl);
	struct in6_addr address;

	if (strlen(host) >= sizeof(t->host))
		return -ENAMETOOLONG;
	strcpy(t->host, host);
	if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(wanted, host) ? 0 : -ENOMEM;
	X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
					X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (!X509_VERIFY_PARAM_set1_host(wanted, host, 0))
		return -ENOMEM;
	return SSL_set_tlsext_host_name(t->ssl, host) ? 0 : -EINVAL;
}

static int make_ssl(struct vgpu_stream *s, struct vgpu_tls *tls)
{
	struct vgpu_secure *t = s->secure;
	BIO *bio;

	t->ssl = SSL_new(tls->context);
	t->sink.fd = s->fd;
	bio = t->ssl ? vgpu_sink_bio(&t->sink) : NULL;
	if (!bio)
		return -ENOMEM;
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, s);
	if (tls->server)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
	return 0;
}

int vgpu_stream_tls(struct vgpu_stream **out, int fd, struct vgpu_tls *tls, const char *host)
{
	struct vgpu_stream *s;
	int err = vgpu_stream_plain(&s, fd);

	if (err)
		return err;
	/* not cleared: most of it is buffers, which may never be used */
	s->secure = malloc(sizeof(*s->secure));
	if (!s->secure) {
		vgpu_stream_close(s);
		return -ENOMEM;
	}
	memset(s->secure, 0, offsetof(struct vgpu_secure, sink.bytes));
	s->secure->tls = tls;
	vgpu_tls_get(tls);
	err = !tls->server && !tls->keyed && !host ? -EINVAL : make_ssl(s, tls);
	if (!err && host)
		err = expect_host(s->secure, host);
	if (err) {
		vgpu_stream_close(s);
		return err;
	}
	s->events = tls->server ? POLLIN : POLLOUT;
	*out = s;
	return 0;
}

void vgpu_secure_close(struct vgpu_stream *s)
{
	struct vgpu_secure *t = s->secure;

	/* as well as it goes: the other side learns from its protocol that it is over */
	if (t->ssl && t->established && !s->failed && !vgpu_sink_flush(&t->sink)) {
		ERR_clear_error();
		SSL_shutdown(t->ssl);
	}
	if (t->ssl)
		vgpu_sink_flush(&t->sink);
	SSL_free(t->ssl);
	ERR_clear_error();
	vgpu_tls_close(t->tls);
	free(t);
}

/* ---- handshake ---- */

/* Who has not proved the session's key has proved nothing. */
static int complete(struct vgpu_stream *s)
{
	struct vgpu_secure *t = s->secure;

	if (t->tls->keyed && !SSL_session_reused(t->ssl))
		return vgpu_stream_fail(s, -EPROTO,
					"the other side did not use this session's key");
	t->established = true;
	t->kernel = BIO_get_ktls_send(SSL_get_wbio(t->ssl));
	return 0;
}

int vgpu_secure_handshake(struct vgpu_stream *s)
{
	struct vgpu_secure *t = s->secure;
	int ret, err;

	if (t->established)
		return 0;
	ERR_clear_error();
	errno = 0;
	ret = SSL_do_handshake(t->ssl);
	if (ret == 1)
		return complete(s);
	err = vgpu_secure_trouble(s, ret, errno);
	if (err == -EAGAIN)
		s->events = SSL_want_write(t->ssl) ? POLLOUT : POLLIN;
	return err;
}

/* ---- reading ---- */

ssize_t vgpu_secure_read(struct vgpu_stream *s, void *to, size_t n)
{
	struct vgpu_secure *t = s->secure;
	size_t done = 0, got;
	int ok, err;

	err = vgpu_secure_handshake(s);
	if (err)
		return err;
	/* As much as was received: SSL_read() gives a record at a time. */
	do {
		ERR_clear_error();
		errno = 0;
		ok = SSL_read_ex(t->ssl, (char *)to + done, n - done, &got);
		if (ok)
			done += got;
	} while (ok && done < n && SSL_has_pending(t->ssl));
	t->dry = !ok;
	if (ok)
		return done;
	err = vgpu_secure_trouble(s, 0, errno);
	return done ? (ssize_t)done : err;
}

/* ---- writing ---- */

struct cursor {
	const struct iovec	*iov;
	int			n;
	size_t			offset;		/* in *iov */
};

static size_t ahead(struct cursor *c)
{
	while (c->n && c->offset == c->iov->iov_len) {
		c->iov++;
		c->n--;
		c->offset = 0;
	}
	return c->n ? c->iov->iov_len - c->offset : 0;
}

static size_t gather(struct cursor *c, char *to, size_t room)
{
	size_t done = 0, n;

	while (done < room && (n = ahead(c))) {
		if (n > room - done)
			n = room - done;
		memcpy(to + done, (const char *)c->iov->iov_base + c->offset, n);
		c->offset += n;
		done += n;
	}
	return done;
}

/* The next bytes as whole records, or as one; where they lie without a copy. */
static size_t next_piece(struct vgpu_secure *t, struct cursor *c, size_t room, const char **from)
{
	size_t n = ahead(c);

	if (n < VGPU_RECORD) {
		*from = t->gather;
		return gather(c, t->gather, room < VGPU_RECORD ? room : VGPU_RECORD);
	}
	n = n < room ? n : room;
	n -= n % VGPU_RECORD;
	*from = (const char *)c->iov->iov_base + c->offset;
	c->offset += n;
	return n;
}

/* Into the empty sink: how many bytes, or the stream's failure. */
static ssize_t encrypt_chunk(struct vgpu_stream *s, struct cursor *c)
{
	struct vgpu_secure *t = s->secure;
	size_t done = 0, n, written;
	const char *from;

	/* room is a multiple of a record until the bytes are at their end */
	while (done < VGPU_CHUNK && (n = next_piece(t, c, VGPU_CHUNK - done, &from))) {
		ERR_clear_error();
		errno = 0;
		if (!SSL_write_ex(t->ssl, from, n, &written)) {
			int err = vgpu_secure_trouble(s, 0, errno);

			/* the sink takes a chunk, so there is nothing to wait for */
			return err != -EAGAIN ? err :
				vgpu_stream_fail(s, -EPROTO, "TLS is stuck");
		}
		done += n;
	}
	return done;
}

/*
 * The socket said why it is lost; if the other side closed it after an alert,
 * that says more. Data which came before is not looked at any more.
 */
static int explain_loss(struct vgpu_stream *s, int err)
{
	struct vgpu_secure *t = s->secure;
	char byte;
	int ret;

	ERR_clear_error();
	errno = 0;
	ret = SSL_peek(t->ssl, &byte, 1);
	if (ret <= 0 && SSL_get_error(t->ssl, ret) == SSL_ERROR_SSL)
		return vgpu_secure_trouble(s, ret, errno);
	return vgpu_stream_fail(s, -EPIPE, "%s", strerror(-err));
}

/*
 * Bytes that are in the sink cannot be taken back, and nobody would come to send
 * them if the caller thought that all is done. So if the sink cannot be emptied
 * and the caller has nothing behind what is in it, the last byte is said not to be
 * written yet; the caller has to begin with it the next time.
 */
static ssize_t written(struct vgpu_secure *t, struct cursor *c, size_t done)
{
	if (done && !ahead(c)) {
		t->held = 1;
		done--;
	}
	return done ? (ssize_t)done : -EAGAIN;
}

static ssize_t encrypt(struct vgpu_stream *s, const struct iovec *iov, int n)
{
	struct vgpu_secure *t = s->secure;
	struct cursor c = { iov, n, 0 };
	size_t done = 0;
	ssize_t more;
	int err;

	while (!(err = vgpu_sink_flush(&t->sink))) {
		if (t->held) {
			ahead(&c);
			c.offset++;
			done++;
			t->held = 0;
		}
		if (!ahead(&c))
			return done;
		more = encrypt_chunk(s, &c);
		if (more < 0)
			return more;
		done += more;
	}
	return err == -EAGAIN ? written(t, &c, done) : explain_loss(s, err);
}

ssize_t vgpu_secure_write(struct vgpu_stream *s, const struct iovec *iov, int n)
{
	ssize_t sent = vgpu_secure_handshake(s);

	if (sent)
		return sent;
	if (!s->secure->kernel)
		return encrypt(s, iov, n);
	sent = vgpu_stream_send(s->fd, iov, n);
	return sent < 0 && sent != -EAGAIN ? explain_loss(s, sent) : sent;
}

/* ---- who is there ---- */

static void clean_name(const ASN1_STRING *in, char *text, size_t room)
{
	unsigned char *utf8;
	int n = ASN1_STRING_to_UTF8(&utf8, in);

	if (n < 0)
		return;
	if ((size_t)n >= room)
		n = room - 1;
	for (int i = 0; i < n; i++)
		text[i] = utf8[i] >= ' ' && utf8[i] < 0x7f ? utf8[i] : '?';
	text[n] = '\0';
	OPENSSL_free(utf8);
}

void vgpu_stream_identity(const struct vgpu_stream *s, struct vgpu_identity *id)
{
	const X509 *cert = s->secure ? SSL_get0_peer_certificate(s->secure->ssl) : NULL;
	unsigned char digest[32];
	X509_NAME *name;
	int at;

	memset(id, 0, sizeof(*id));
	if (!cert || !X509_digest(cert, EVP_sha256(), digest, NULL))
		return;
	for (int i = 0; i < 32; i++)
		sprintf(id->fingerprint + 2 * i, "%02x", digest[i]);
	name = X509_get_subject_name(cert);
	at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (at >= 0)
		clean_name(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)),
			   id->name, sizeof(id->name));
}
