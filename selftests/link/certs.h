/* SPDX-License-Identifier: MIT */
/* Certificates for tests, in a folder that is gone afterwards. */
#ifndef VGPU_SELFTESTS_LINK_CERTS_H
#define VGPU_SELFTESTS_LINK_CERTS_H

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include "link/stream.h"
#include "../../tools/vgpu/pki.h"

#define DAY	86400

static char certs_folder[] = "/tmp/vgpu-certs-XXXXXX";

struct authority {
	X509		*cert;
	EVP_PKEY	*key;
};

static int certs_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static inline void certs_end(void)
{
	nftw(certs_folder, certs_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void certs_begin(void)
{
	if (!mkdtemp(certs_folder))
		abort();
	atexit(certs_end);
}

/* The path of a file in the folder; up to sixteen of them stay good. */
static inline char *certs_path(const char *format, ...)
{
	static char paths[16][128];
	static unsigned int next;
	char *path = paths[next++ % 16];
	va_list args;
	int n = snprintf(path, 128, "%s/", certs_folder);

	va_start(args, format);
	vsnprintf(path + n, 128 - n, format, args);
	va_end(args);
	return path;
}

static inline FILE *certs_file(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		abort();
	return f;
}

static inline void certs_write(const char *path, const char *text)
{
	FILE *f = certs_file(path);

	fputs(text, f);
	fclose(f);
}

/* An authority, as NAME.ca. */
static inline struct authority certs_authority(const char *name)
{
	struct authority a = { .key = vgpu_pki_make_key() };
	FILE *f = certs_file(certs_path("%s.ca", name));

	a.cert = vgpu_pki_make_authority(a.key, time(NULL) - DAY, time(NULL) + DAY);
	PEM_write_X509(f, a.cert);
	fclose(f);
	return a;
}

/* A certificate and its key, as NAME.crt and NAME.key. */
static inline void certs_host(const struct authority *a, struct vgpu_pki_wish *wish)
{
	EVP_PKEY *key = vgpu_pki_make_key();
	FILE *f = certs_file(certs_path("%s.crt", wish->name));
	X509 *cert;

	RAND_bytes(wish->serial, sizeof(wish->serial));
	wish->from = wish->from ? wish->from : time(NULL) - DAY;
	wish->until = wish->until ? wish->until : time(NULL) + DAY;
	cert = vgpu_pki_make_host(wish, key, a->cert, a->key);
	PEM_write_X509(f, cert);
	fclose(f);
	f = certs_file(certs_path("%s.key", wish->name));
	fchmod(fileno(f), 0600);
	PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* A list of at most one, as NAME.crl. */
static inline void certs_list(const struct authority *a, const char *name,
			      const struct vgpu_pki_wish *revoked, time_t until)
{
	struct vgpu_pki_revoked r = { .when = time(NULL) };
	FILE *f = certs_file(certs_path("%s.crl", name));
	X509_CRL *list;

	if (revoked)
		memcpy(r.serial, revoked->serial, sizeof(r.serial));
	list = vgpu_pki_make_list(&r, revoked ? 1 : 0, a->cert, a->key, time(NULL) - DAY, until);
	PEM_write_X509_CRL(f, list);
	fclose(f);
	X509_CRL_free(list);
}

static inline void certs_authority_free(struct authority *a)
{
	X509_free(a->cert);
	EVP_PKEY_free(a->key);
}

#endif /* VGPU_SELFTESTS_LINK_CERTS_H */
