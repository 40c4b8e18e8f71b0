/* SPDX-License-Identifier: MIT */
/*
 * What went wrong in a TLS connection, as one line for a log: whose certificate,
 * which reason. Names in certificates are the other side's words: what is not
 * printable ASCII is escaped.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include "link/secure.h"

/* ---- words ---- */

static void take_text(BIO *b, char *text, size_t room)
{
	int n = b ? BIO_read(b, text, room - 1) : 0;

	text[n > 0 ? n : 0] = '\0';
	BIO_free(b);
}

static void name_text(const X509_NAME *name, char *text, size_t room)
{
	BIO *b = BIO_new(BIO_s_mem());

	if (b)
		X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253);
	take_text(b, text, room);
	if (!text[0])
		snprintf(text, room, "without a name");
}

void vgpu_certificate_name(const X509 *cert, char *text, size_t room)
{
	if (cert)
		name_text(X509_get_subject_name(cert), text, room);
	else
		snprintf(text, room, "none");
}

static const char *time_text(const ASN1_TIME *when, char text[32])
{
	struct tm tm;

	if (!when || !ASN1_TIME_to_tm(when, &tm) ||
	    !strftime(text, 32, "%Y-%m-%d %H:%M UTC", &tm))
		snprintf(text, 32, "a time that is none");
	return text;
}

/* ---- certificates ---- */

static void address_text(const ASN1_OCTET_STRING *address, char text[64])
{
	const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;

	if (ASN1_STRING_length(address) != 4 && ASN1_STRING_length(address) != 16)
		snprintf(text, 64, "?");
	else
		inet_ntop(family, ASN1_STRING_get0_data(address), text, 64);
}

static void print_place(BIO *b, const GENERAL_NAME *n)
{
	char address[64];

	if (n->type == GEN_DNS)
		ASN1_STRING_print_ex(b, n->d.dNSName, ASN1_STRFLGS_RFC2253);
	if (n->type == GEN_IPADD) {
		address_text(n->d.iPAddress, address);
		BIO_puts(b, address);
	}
}

/* The hosts that @cert is for: "gpu1, 10.9.0.2". */
static void places_text(const X509 *cert, char *text, size_t room)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	BIO *b = BIO_new(BIO_s_mem());

	for (int i = 0; b && i < sk_GENERAL_NAME_num(names); i++) {
		BIO_puts(b, i ? ", " : "");
		print_place(b, sk_GENERAL_NAME_value(names, i));
	}
	take_text(b, text, room);
	GENERAL_NAMES_free(names);
	if (!text[0])
		snprintf(text, room, "no host");
}

static void wrong_host(const X509 *cert, const char *name, const char *host,
		       char *text, size_t room)
{
	char places[96];

	places_text(cert, places, sizeof(places));
	snprintf(text, room, "certificate \"%.80s\" is for %s, not for %.60s", name, places, host);
}

static void old_list(X509_STORE_CTX *c, const char *issuer, char *text, size_t room)
{
	X509_CRL *crl = X509_STORE_CTX_get0_current_crl(c);
	char when[32];

	snprintf(text, room, "the revocation list of \"%s\" expired at %s", issuer,
		 time_text(crl ? X509_CRL_get0_nextUpdate(crl) : NULL, when));
}

void vgpu_certificate_trouble(X509_STORE_CTX *c, const char *host, char *text, size_t room)
{
	const X509 *cert = X509_STORE_CTX_get_current_cert(c);
	const int reason = X509_STORE_CTX_get_error(c);
	char name[96], issuer[96] = "", when[32];

	vgpu_certificate_name(cert, name, sizeof(name));
	if (cert)
		name_text(X509_get_issuer_name(cert), issuer, sizeof(issuer));
	switch (reason) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		snprintf(text, room, "certificate \"%s\" expired at %s", name,
			 time_text(X509_get0_notAfter(cert), when));
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		snprintf(text, room, "certificate \"%s\" is not valid before %s", name,
			 time_text(X509_get0_notBefore(cert), when));
		break;
	case X509_V_ERR_CERT_REVOKED:
		snprintf(text, room, "certificate \"%s\" has been revoked", name);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		snprintf(text, room, "certificate \"%s\" is of the unknown authority \"%s\"",
			 name, issuer);
		break;
	case X509_V_ERR_INVALID_PURPOSE:
		snprintf(text, room, "certificate \"%s\" is not meant for a %s", name,
			 host ? "server" : "client");
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		wrong_host(cert, name, host ? host : "", text, room);
		break;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		snprintf(text, room, "there is no revocation list of \"%s\" for certificate \"%s\"",
			 issuer, name);
		break;
	case X509_V_ERR_CRL_HAS_EXPIRED:
		old_list(c, issuer, text, room);
		break;
	default:
		snprintf(text, room, "certificate \"%s\": %s", name,
			 X509_verify_cert_error_string(reason));
	}
}

/* ---- what the other side says ---- */

static const struct { int alert; const char *text; } refusals[] = {
	{ SSL_AD_CERTIFICATE_EXPIRED,	  "it, or a revocation list there, has expired" },
	{ SSL_AD_CERTIFICATE_REVOKED,	  "it has been revoked" },
	{ SSL_AD_UNKNOWN_CA,		  "its authority is unknown there, or has no list" },
	{ SSL_AD_UNSUPPORTED_CERTIFICATE, "it is not meant for this use" },
	{ SSL_AD_BAD_CERTIFICATE,	  "it is not valid there" },
	{ SSL_AD_CERTIFICATE_UNKNOWN,	  "it cannot be checked there" },
	{ SSL_AD_ACCESS_DENIED,		  "access is denied" },
	{ SSL_AD_CERTIFICATE_REQUIRED,	  "it wants one and got none" },
};

static int refused(struct vgpu_stream *s, int alert)
{
	struct vgpu_secure *t = s->secure;
	char name[96];

	if (t->tls->keyed)
		return vgpu_stream_fail(s, -EPROTO,
					"the other side does not take this session's key (%s)",
					SSL_alert_desc_string_long(alert));
	vgpu_certificate_name(SSL_get_certificate(t->ssl), name, sizeof(name));
	for (unsigned int i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
		if (refusals[i].alert == alert)
			return vgpu_stream_fail(s, -EPROTO, "the other side refuses our "
						"certificate \"%s\": %s", name, refusals[i].text);
	return vgpu_stream_fail(s, -EPROTO, "the other side ended TLS: %s",
				SSL_alert_desc_string_long(alert));
}

/* ---- failures of TLS ---- */

static int refuse(struct vgpu_stream *s, int reason)
{
	switch (reason) {
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return vgpu_stream_fail(s, -EPROTO, "the other side gave no certificate");
	case SSL_R_BINDER_DOES_NOT_VERIFY:
		return vgpu_stream_fail(s, -EPROTO,
					"the other side does not have this session's key");
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		return vgpu_stream_fail(s, -EPIPE, "the other side closed the connection%s",
					s->secure->established ? "" : " during the TLS handshake");
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
	case SSL_R_BAD_RECORD_TYPE:
		if (!s->secure->established)
			return vgpu_stream_fail(s, -EPROTO, "what the other side sends is not TLS");
		break;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_NO_PROTOCOLS_AVAILABLE:
		return vgpu_stream_fail(s, -EPROTO, "the other side does not know TLS 1.3");
	}
	if (s->secure->tls->keyed && !s->secure->established)
		return vgpu_stream_fail(s, -EPROTO, "the other side did not use this session's "
					"key (%s)", ERR_reason_error_string(ERR_peek_error()));
	return vgpu_stream_fail(s, -EPROTO, "TLS: %s", ERR_reason_error_string(ERR_peek_error()));
}

static int lost(struct vgpu_stream *s, int error)
{
	const char *when = s->secure->established ? "" : " during the TLS handshake";

	if (!error)
		return vgpu_stream_fail(s, -EPIPE, "the other side closed the connection%s", when);
	return vgpu_stream_fail(s, -EPIPE, "%s%s", strerror(error), when);
}

int vgpu_secure_trouble(struct vgpu_stream *s, int ret, int error)
{
	unsigned long first = ERR_peek_error();
	int reason = ERR_GET_REASON(first);

	switch (SSL_get_error(s->secure->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return lost(s, 0);
	case SSL_ERROR_SYSCALL:
		return lost(s, error);
	}
	if (ERR_GET_LIB(first) != ERR_LIB_SSL)
		return vgpu_stream_fail(s, -EPROTO, "TLS: %s", ERR_reason_error_string(first));
	if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + UINT8_MAX)
		return refused(s, reason - SSL_AD_REASON_OFFSET);
	return refuse(s, reason);
}
