/* SPDX-License-Identifier: MIT */
/*
 * TLS 1.3 with the cipher that sessions of vgpu use, on a blocking socket: what a
 * program that just calls OpenSSL gets. A certificate is made on the spot and not
 * looked at.
 */
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include "net.h"

#define CIPHER	"TLS_AES_128_GCM_SHA256"

/* Signs itself and is good for an hour. */
static X509 *certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();

	if (!x || !X509_set_pubkey(x, key) || !X509_gmtime_adj(X509_getm_notBefore(x), 0) ||
	    !X509_gmtime_adj(X509_getm_notAfter(x), 3600) || !X509_sign(x, key, EVP_sha256())) {
		X509_free(x);
		return NULL;
	}
	return x;
}

static bool certify(SSL *ssl)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = key ? certificate(key) : NULL;
	bool good = x && SSL_use_certificate(ssl, x) == 1 && SSL_use_PrivateKey(ssl, key) == 1;

	X509_free(x);
	EVP_PKEY_free(key);
	return good;
}

SSL *tls_open(int fd, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	SSL *ssl = NULL;

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(ctx, CIPHER))
		goto out;
	SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
	SSL_CTX_set_num_tickets(ctx, 0);
	ssl = SSL_new(ctx);
	if (ssl && SSL_set_fd(ssl, fd) && (!server || certify(ssl)) &&
	    (server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1)
		goto out;
	SSL_free(ssl);
	ssl = NULL;
out:
	SSL_CTX_free(ctx);
	return ssl;
}

ssize_t tls_read(SSL *ssl, void *to, size_t n)
{
	return SSL_read(ssl, to, n < INT_MAX ? n : INT_MAX);
}

ssize_t tls_write(SSL *ssl, const void *from, size_t n)
{
	return SSL_write(ssl, from, n < INT_MAX ? n : INT_MAX);
}
