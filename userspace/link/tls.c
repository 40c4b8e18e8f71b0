/* SPDX-License-Identifier: MIT */
/*
 * Whom a connection trusts, and by what it is known: certificates for control
 * connections, a session's key for the session's. TLS 1.3 and nothing older;
 * no tickets, no resumption, no early data. Connections themselves are secure.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include "link/secure.h"

#define READ_AHEAD	(4 * (VGPU_RECORD + 64))	/* a chunk as it is on the wire */

/* Where a line goes that says what is wrong. */
struct why {
	char	*text;
	size_t	room;
};

static int say(const struct why *why, int err, const char *path, const char *what)
{
	snprintf(why->text, why->room, "%s: %s", path, what);
	return err;
}

/* ---- files ---- */

/* A private key is for one, or for root and a group, as Kubernetes' secrets are. */
static bool too_open(const struct stat *st)
{
	return st->st_mode & (st->st_uid ? 077 : 037);
}

static int open_file(const char *path, bool private, FILE **out, const struct why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		err = say(why, -errno, path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		err = say(why, -EINVAL, path, "not a file");
	else if (private && too_open(&st))
		err = say(why, -EPERM, path, "a private key that others can read: chmod 600");
	*out = err ? NULL : fdopen(fd, "r");
	if (!err && !*out)
		err = say(why, -ENOMEM, path, strerror(ENOMEM));
	if (err && fd >= 0)
		close(fd);
	return err;
}

/* Nobody is there who could be asked. */
static int no_password(char *to, int room, int writing, void *arg)
{
	return -1;
}

/* PEM ends: with its last block, or with something that is none. */
static bool at_end(void)
{
	const unsigned long e = ERR_peek_last_error();

	return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

static int each_certificate(const char *path, const struct why *why,
			    int (*take)(X509 *cert, int number, void *arg), void *arg)
{
	FILE *file;
	int err = open_file(path, false, &file, why), n = 0;
	X509 *cert;

	if (err)
		return err;
	ERR_clear_error();
	while (!err && (cert = PEM_read_X509(file, NULL, no_password, NULL))) {
		if (!take(cert, n++, arg))
			err = say(why, -EINVAL, path, "a certificate that OpenSSL refuses");
		X509_free(cert);
	}
	if (!err && !at_end())
		err = say(why, -EINVAL, path, "not a certificate in PEM");
	if (!err && !n)
		err = say(why, -EINVAL, path, "there is no certificate in it");
	fclose(file);
	return err;
}

static int add_authority(X509 *cert, int number, void *context)
{
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), cert);
}

static int use_certificate(X509 *cert, int number, void *context)
{
	return number ? SSL_CTX_add1_chain_cert(context, cert) :
		SSL_CTX_use_certificate(context, cert);
}

static int add_list(SSL_CTX *context, X509_CRL *crl, const char *path, const struct why *why)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);

	if (next && X509_cmp_current_time(next) < 0)
		return say(why, -EKEYEXPIRED, path, "the revocation list has expired: make a new "
			   "one (`vgpu pki` does whenever it revokes)");
	if (!X509_STORE_add_crl(SSL_CTX_get_cert_store(context), crl))
		return say(why, -EINVAL, path, "a revocation list that OpenSSL refuses");
	return 0;
}

/* From here on nobody is trusted whose authority has no list. */
static int use_lists(SSL_CTX *context, const char *path, const struct why *why)
{
	FILE *file;
	int err = open_file(path, false, &file, why), n = 0;
	X509_CRL *crl;

	if (err)
		return err;
	ERR_clear_error();
	while (!err && (crl = PEM_read_X509_CRL(file, NULL, no_password, NULL))) {
		err = add_list(context, crl, path, why);
		X509_CRL_free(crl);
		n++;
	}
	if (!err && (!n || !at_end()))
		err = say(why, -EINVAL, path, "not a revocation list in PEM");
	fclose(file);
	X509_STORE_set_flags(SSL_CTX_get_cert_store(context),
			     X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return err;
}

static int use_key(SSL_CTX *context, const char *path, const char *cert, const struct why *why)
{
	FILE *file;
	int err = open_file(path, true, &file, why);
	EVP_PKEY *key;
	char what[VGPU_LINE];

	if (err)
		return err;
	key = PEM_read_PrivateKey(file, NULL, no_password, NULL);
	fclose(file);
	if (!key)
		return say(why, -EINVAL, path, "not a private key in PEM without a password");
	if (!SSL_CTX_use_PrivateKey(context, key) || !SSL_CTX_check_private_key(context)) {
		snprintf(what, sizeof(what), "not the key of %s", cert);
		err = say(why, -EINVAL, path, what);
	}
	EVP_PKEY_free(key);
	return err;
}

/* What the other side would refuse is better known here, and at once. */
static int check_own(SSL_CTX *context, const char *path, bool server, const struct why *why)
{
	X509 *cert = SSL_CTX_get0_certificate(context);

	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		return say(why, -EKEYEXPIRED, path, "the certificate has expired");
	if (X509_check_purpose(cert, server ? X509_PURPOSE_SSL_SERVER :
			       X509_PURPOSE_SSL_CLIENT, 0) != 1)
		return say(why, -EINVAL, path, server ? "not a certificate of a server" :
			   "not a certificate of a client");
	return 0;
}

/* ---- contexts ---- */

static SSL_CTX *make_context(bool server)
{
	SSL_CTX *context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	if (!context)
		return NULL;
	SSL_CTX_set_options(context, SSL_OP_ENABLE_KTLS | SSL_OP_NO_TICKET |
			    SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
	if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) &&
	    SSL_CTX_set_num_tickets(context, 0) &&
	    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
				     "TLS_CHACHA20_POLY1305_SHA256"))
		return context;
	SSL_CTX_free(context);
	return NULL;
}

/* OpenSSL says only the number of the reason to who asks afterwards. */
static int on_certificate(int good, X509_STORE_CTX *c)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(c, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct vgpu_stream *s = SSL_get_app_data(ssl);

	if (!good && !s->error[0] && !s->secure->tls->keyed)
		vgpu_certificate_trouble(c, SSL_is_server(ssl) ? NULL : s->secure->host,
					 s->error, sizeof(s->error));
	return good;
}

static int load(const struct vgpu_tls *tls, SSL_CTX **out, const struct why *why)
{
	SSL_CTX *context = make_context(tls->server);
	int err;

	if (!context)
		return say(why, -ENOMEM, "TLS", strerror(ENOMEM));
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			   on_certificate);
	err = each_certificate(tls->ca, why, add_authority, context);
	if (!err && tls->crl)
		err = use_lists(context, tls->crl, why);
	if (!err)
		err = each_certificate(tls->cert, why, use_certificate, context);
	if (!err)
		err = use_key(context, tls->private, tls->cert, why);
	if (!err)
		err = check_own(context, tls->cert, tls->server, why);
	ERR_clear_error();
	if (err)
		SSL_CTX_free(context);
	else
		*out = context;
	return err;
}

/* ---- life ---- */

void vgpu_tls_get(struct vgpu_tls *tls)
{
	atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
}

void vgpu_tls_close(struct vgpu_tls *tls)
{
	if (!tls || atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) > 1)
		return;
	SSL_CTX_free(tls->context);
	free(tls->ca);
	free(tls->cert);
	free(tls->private);
	free(tls->crl);
	OPENSSL_cleanse(tls->key, sizeof(tls->key));
	free(tls);
}

static struct vgpu_tls *make(bool server, bool keyed)
{
	struct vgpu_tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return NULL;
	tls->references = 1;
	tls->server = server;
	tls->keyed = keyed;
	return tls;
}

static int remember(struct vgpu_tls *tls, const struct vgpu_tls_files *files)
{
	tls->ca = strdup(files->ca);
	tls->cert = strdup(files->cert);
	tls->private = strdup(files->key);
	tls->crl = files->crl ? strdup(files->crl) : NULL;
	return tls->ca && tls->cert && tls->private && (tls->crl || !files->crl) ? 0 : -ENOMEM;
}

int vgpu_tls_open(struct vgpu_tls **out, const struct vgpu_tls_files *files, bool server,
		  char *why, size_t room)
{
	struct vgpu_tls *tls = make(server, false);
	int err = tls ? remember(tls, files) : -ENOMEM;

	if (err)
		snprintf(why, room, "%s", strerror(-err));
	else
		err = load(tls, &tls->context, &(struct why){ why, room });
	if (err)
		vgpu_tls_close(tls);
	else
		*out = tls;
	return err;
}

int vgpu_tls_reload(struct vgpu_tls *tls, char *why, size_t room)
{
	SSL_CTX *context;
	int err = load(tls, &context, &(struct why){ why, room });

	if (err)
		return err;
	SSL_CTX_free(tls->context);
	tls->context = context;
	return 0;
}

/* ---- certificates that were shown ---- */

struct vgpu_certificate {
	unsigned int	references;
	X509		*cert;
	STACK_OF(X509)	*chain;
	char		host[256];	/* that it must be of; empty: any */
};

struct vgpu_certificate *vgpu_stream_certificate(const struct vgpu_stream *s)
{
	X509 *cert = s->secure ? SSL_get0_peer_certificate(s->secure->ssl) : NULL;
	struct vgpu_certificate *c = cert ? calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return NULL;
	c->references = 1;
	c->chain = X509_chain_up_ref(SSL_get_peer_cert_chain(s->secure->ssl));
	snprintf(c->host, sizeof(c->host), "%s", s->secure->host);
	X509_up_ref(cert);
	c->cert = cert;
	return c;
}

struct vgpu_certificate *vgpu_certificate_get(struct vgpu_certificate *c)
{
	if (c)
		c->references++;
	return c;
}

void vgpu_certificate_put(struct vgpu_certificate *c)
{
	if (!c || --c->references)
		return;
	sk_X509_pop_free(c->chain, X509_free);
	X509_free(c->cert);
	free(c);
}

const char *vgpu_tls_recheck(struct vgpu_tls *tls, const struct vgpu_certificate *shown)
{
	X509_STORE_CTX *c = X509_STORE_CTX_new();
	bool good = false;

	snprintf(tls->why, sizeof(tls->why), "%s", strerror(ENOMEM));
	if (c && X509_STORE_CTX_init(c, SSL_CTX_get_cert_store(tls->context), shown->cert,
				     shown->chain) &&
	    X509_STORE_CTX_set_default(c, tls->server ? "ssl_client" : "ssl_server")) {
		good = X509_verify_cert(c) == 1;
		if (!good)
			vgpu_certificate_trouble(c, tls->server ? NULL : shown->host, tls->why,
						 sizeof(tls->why));
	}
	X509_STORE_CTX_free(c);
	ERR_clear_error();
	return good ? NULL : tls->why;
}

/* ---- a session's key ---- */

/* The secret itself also signs prefaces: one key for one use. */
static bool derive_key(const uint8_t *secret, uint8_t *key)
{
	static const unsigned char use[] = "vgpu session tls";
	unsigned int n = 0;

	return HMAC(EVP_sha256(), secret, VGPU_SECRET, use, sizeof(use) - 1, key, &n) &&
		n == VGPU_SECRET;
}

static SSL_SESSION *key_session(SSL *ssl)
{
	static const unsigned char suite[] = { 0x13, 0x01 };	/* TLS_AES_128_GCM_SHA256 */
	const struct vgpu_stream *s = SSL_get_app_data(ssl);
	const struct vgpu_tls *tls = s->secure->tls;
	SSL_SESSION *session = SSL_SESSION_new();

	if (session && SSL_SESSION_set1_master_key(session, tls->key, sizeof(tls->key)) &&
	    SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, suite)) &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION))
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

/* Client: what it offers. */
static int use_session(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *length,
		       SSL_SESSION **out)
{
	const struct vgpu_stream *s = SSL_get_app_data(ssl);

	*out = key_session(ssl);
	*id = s->secure->tls->session;
	*length = VGPU_SESSION_ID;
	return *out != NULL;
}

/* Server: who comes for another session has come to the wrong place. */
static int find_session(SSL *ssl, const unsigned char *id, size_t length, SSL_SESSION **out)
{
	struct vgpu_stream *s = SSL_get_app_data(ssl);

	*out = NULL;
	if (length == VGPU_SESSION_ID && !CRYPTO_memcmp(id, s->secure->tls->session, length)) {
		*out = key_session(ssl);
		return *out != NULL;
	}
	if (!s->error[0])
		snprintf(s->error, sizeof(s->error), "the other side comes for another session");
	return 0;
}

static int use_session_key(SSL_CTX *context, bool server)
{
	/* Without authorities: a certificate in place of the key is not taken. */
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			   on_certificate);
	/* OpenSSL wants a server to say whose sessions these are */
	if (server && !SSL_CTX_set_session_id_context(context, (const unsigned char *)"vgpu", 4))
		return -ENOMEM;
	if (server)
		SSL_CTX_set_psk_find_session_callback(context, find_session);
	else
		SSL_CTX_set_psk_use_session_callback(context, use_session);
	return SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") ? 0 : -ENOMEM;
}

int vgpu_tls_session(struct vgpu_tls **out, const uint8_t *session, const uint8_t *secret,
		     bool server)
{
	struct vgpu_tls *tls = make(server, true);
	int err;

	if (!tls)
		return -ENOMEM;
	memcpy(tls->session, session, VGPU_SESSION_ID);
	tls->context = make_context(server);
	err = tls->context && derive_key(secret, tls->key) ?
		use_session_key(tls->context, server) : -ENOMEM;
	if (err)
		vgpu_tls_close(tls);
	else
		*out = tls;
	return err;
}
