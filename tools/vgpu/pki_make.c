/* SPDX-License-Identifier: MIT */
/*
 * Keys, certificates and revocation lists of a small authority: ECDSA with P-256,
 * which all TLS libraries know. Where they are kept is not known here.
 */
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include "pki.h"

EVP_PKEY *vgpu_pki_make_key(void)
{
	return EVP_EC_gen("P-256");
}

/* ---- parts ---- */

static bool set_serial(ASN1_INTEGER *to, const uint8_t *serial)
{
	BIGNUM *n = BN_bin2bn(serial, VGPU_PKI_SERIAL, NULL);
	bool good = n && BN_to_ASN1_INTEGER(n, to);

	BN_free(n);
	return good;
}

static bool set_name(X509_NAME *name, const char *common)
{
	return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
					  (const unsigned char *)common, -1, -1, 0);
}

static bool extend(X509 *cert, const X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX c;
	bool good;

	X509V3_set_ctx_nodb(&c);
	X509V3_set_ctx(&c, (X509 *)issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	good = e && X509_add_ext(cert, e, -1);
	X509_EXTENSION_free(e);
	return good;
}

/* A name or an address. The text is no part of a configuration, whatever is in it. */
static bool add_place(GENERAL_NAMES *places, const char *text)
{
	struct in6_addr address;
	const bool v4 = inet_pton(AF_INET, text, &address) == 1;
	const bool v6 = inet_pton(AF_INET6, text, &address) == 1;
	GENERAL_NAME *n = GENERAL_NAME_new();
	ASN1_STRING *s = v4 || v6 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	bool good;

	if (v4)
		inet_pton(AF_INET, text, &address);
	good = n && s && (v4 || v6 ? ASN1_STRING_set(s, &address, v4 ? 4 : 16) :
			  ASN1_STRING_set(s, text, -1));
	if (good) {
		GENERAL_NAME_set0_value(n, v4 || v6 ? GEN_IPADD : GEN_DNS, s);
		s = NULL;
		good = sk_GENERAL_NAME_push(places, n) > 0;
	}
	if (!good)
		GENERAL_NAME_free(n);
	ASN1_STRING_free(s);
	return good;
}

static bool add_places(X509 *cert, const struct vgpu_pki_wish *wish)
{
	GENERAL_NAMES *places = GENERAL_NAMES_new();
	bool good = places && add_place(places, wish->name);

	for (unsigned int i = 0; good && i < wish->naddresses; i++)
		good = add_place(places, wish->addresses[i]);
	good = good && X509_add1_ext_i2d(cert, NID_subject_alt_name, places, 0, 0) == 1;
	GENERAL_NAMES_free(places);
	return good;
}

static bool fill(X509 *cert, const uint8_t *serial, const char *name, EVP_PKEY *key,
		 time_t from, time_t until)
{
	return cert && X509_set_version(cert, X509_VERSION_3) &&
		set_serial(X509_get_serialNumber(cert), serial) &&
		set_name(X509_get_subject_name(cert), name) && X509_set_pubkey(cert, key) &&
		ASN1_TIME_set(X509_getm_notBefore(cert), from) &&
		ASN1_TIME_set(X509_getm_notAfter(cert), until);
}

static X509 *made(X509 *cert, bool good)
{
	if (good)
		return cert;
	X509_free(cert);
	return NULL;
}

/* ---- the whole ---- */

X509 *vgpu_pki_make_authority(EVP_PKEY *key, time_t from, time_t until)
{
	X509 *cert = X509_new();
	uint8_t serial[VGPU_PKI_SERIAL];
	char name[32];

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return made(cert, false);
	snprintf(name, sizeof(name), "vgpu authority %02x%02x%02x%02x", serial[0], serial[1],
		 serial[2], serial[3]);
	return made(cert, fill(cert, serial, name, key, from, until) &&
		X509_set_issuer_name(cert, X509_get_subject_name(cert)) &&
		extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		extend(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
		extend(cert, cert, NID_subject_key_identifier, "hash") &&
		X509_sign(cert, key, EVP_sha256()));
}

X509 *vgpu_pki_make_host(const struct vgpu_pki_wish *wish, EVP_PKEY *key,
			 const X509 *authority, EVP_PKEY *authority_key)
{
	const char *usage = wish->server ? "serverAuth" : "clientAuth";
	X509 *cert = X509_new();

	return made(cert, fill(cert, wish->serial, wish->name, key, wish->from, wish->until) &&
		X509_set_issuer_name(cert, X509_get_subject_name(authority)) &&
		extend(cert, authority, NID_basic_constraints, "critical,CA:FALSE") &&
		extend(cert, authority, NID_key_usage, "critical,digitalSignature") &&
		extend(cert, authority, NID_ext_key_usage, usage) &&
		extend(cert, authority, NID_subject_key_identifier, "hash") &&
		extend(cert, authority, NID_authority_key_identifier, "keyid:always") &&
		(!wish->server || add_places(cert, wish)) &&
		X509_sign(cert, authority_key, EVP_sha256()));
}

/* ---- revocation lists ---- */

static bool add_revoked(X509_CRL *list, const struct vgpu_pki_revoked *r)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_INTEGER *serial = ASN1_INTEGER_new();
	ASN1_TIME *when = ASN1_TIME_set(NULL, r->when);
	bool good = entry && serial && when && set_serial(serial, r->serial) &&
		X509_REVOKED_set_serialNumber(entry, serial) &&
		X509_REVOKED_set_revocationDate(entry, when) &&
		X509_CRL_add0_revoked(list, entry);

	if (!good)
		X509_REVOKED_free(entry);
	ASN1_INTEGER_free(serial);
	ASN1_TIME_free(when);
	return good;
}

static bool set_times(X509_CRL *list, time_t from, time_t until)
{
	ASN1_TIME *last = ASN1_TIME_set(NULL, from), *next = ASN1_TIME_set(NULL, until);
	bool good = last && next && X509_CRL_set1_lastUpdate(list, last) &&
		X509_CRL_set1_nextUpdate(list, next);

	ASN1_TIME_free(last);
	ASN1_TIME_free(next);
	return good;
}

/* Its number only has to grow from list to list: the time does. */
static bool number_list(X509_CRL *list, const X509 *authority, time_t now)
{
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	X509_EXTENSION *e;
	X509V3_CTX c;
	bool good;

	X509V3_set_ctx_nodb(&c);
	X509V3_set_ctx(&c, (X509 *)authority, NULL, NULL, list, 0);
	e = X509V3_EXT_conf_nid(NULL, &c, NID_authority_key_identifier, "keyid:always");
	good = e && X509_CRL_add_ext(list, e, -1) && number &&
		ASN1_INTEGER_set_int64(number, now) &&
		X509_CRL_add1_ext_i2d(list, NID_crl_number, number, 0, 0) == 1;
	X509_EXTENSION_free(e);
	ASN1_INTEGER_free(number);
	return good;
}

X509_CRL *vgpu_pki_make_list(const struct vgpu_pki_revoked *revoked, unsigned int count,
			     const X509 *authority, EVP_PKEY *authority_key,
			     time_t from, time_t until)
{
	X509_CRL *list = X509_CRL_new();
	bool good = list && X509_CRL_set_version(list, X509_CRL_VERSION_2) &&
		X509_CRL_set_issuer_name(list, X509_get_subject_name(authority)) &&
		set_times(list, from, until) && number_list(list, authority, time(NULL));

	for (unsigned int i = 0; good && i < count; i++)
		good = add_revoked(list, &revoked[i]);
	if (good && X509_CRL_sort(list) && X509_CRL_sign(list, authority_key, EVP_sha256()))
		return list;
	X509_CRL_free(list);
	return NULL;
}
