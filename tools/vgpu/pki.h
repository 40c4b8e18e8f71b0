/* SPDX-License-Identifier: MIT */
/*
 * A small authority: what its files share.
 *
 *	pki.c		the commands
 *	pki_store.c	the folder: what was issued, files that appear whole
 *	pki_make.c	keys, certificates, revocation lists; no files
 */
#ifndef VGPU_TOOL_PKI_H
#define VGPU_TOOL_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <openssl/x509.h>

#define VGPU_PKI_NAME	64		/* bytes of a host's name: as long as X.509 allows */
#define VGPU_PKI_SERIAL	16		/* random bytes of a serial number */

#define VGPU_PKI_SERIAL_TEXT	(2 * VGPU_PKI_SERIAL + 1)

/* ---- pki.c ---- */

/* `vgpu pki`: argv[0] is "pki". Returns an exit code. */
int vgpu_pki(int argc, char **argv);

/* ---- pki_make.c: NULL: OpenSSL's error queue says why ---- */

struct vgpu_pki_wish {
	const char	*name;
	bool		server;		/* else a client */
	char		**addresses;	/* names and addresses of a server besides its name */
	unsigned int	naddresses;
	uint8_t		serial[VGPU_PKI_SERIAL];
	time_t		from, until;
};

struct vgpu_pki_revoked {
	uint8_t		serial[VGPU_PKI_SERIAL];
	time_t		when;
};

EVP_PKEY *vgpu_pki_make_key(void);
/* Of itself, with a name that no other authority has. */
X509 *vgpu_pki_make_authority(EVP_PKEY *key, time_t from, time_t until);
X509 *vgpu_pki_make_host(const struct vgpu_pki_wish *wish, EVP_PKEY *key,
			 const X509 *authority, EVP_PKEY *authority_key);
X509_CRL *vgpu_pki_make_list(const struct vgpu_pki_revoked *revoked, unsigned int count,
			     const X509 *authority, EVP_PKEY *authority_key,
			     time_t from, time_t until);

/* ---- pki_store.c: what fails is complained about ---- */

struct vgpu_pki_entry {
	uint8_t	serial[VGPU_PKI_SERIAL];
	char	name[VGPU_PKI_NAME + 1];
	bool	server;
	time_t	until;
	time_t	revoked;		/* 0: it is not */
};

struct vgpu_pki_store {
	const char		*path;
	int			fd;		/* of the folder, locked */
	struct vgpu_pki_entry	*entries;	/* all that was ever issued */
	unsigned int		count;
	X509			*authority;
	EVP_PKEY		*key;		/* of the authority */
};

/* Of a host: letters, digits, "-", "." and "_", and none of the folder's own names. */
bool vgpu_pki_name_good(const char *name);
void vgpu_pki_serial_format(const uint8_t *serial, char text[VGPU_PKI_SERIAL_TEXT]);

/*
 * The folder and all in it, with nobody else at work there; @key: the authority,
 * too, to sign with. -errno.
 */
int vgpu_pki_store_open(struct vgpu_pki_store *store, const char *path, bool key);
/* A new authority, good for @days; -EEXIST if there is anything. */
int vgpu_pki_store_make(const char *path, unsigned int days);
void vgpu_pki_store_close(struct vgpu_pki_store *store);

/* The last certificate of that name, revoked or not; NULL. */
struct vgpu_pki_entry *vgpu_pki_store_find(struct vgpu_pki_store *store, const char *name);
/*
 * A key and a certificate in a folder of that name. Its entry in the index comes
 * first, so that there is none which could not be revoked.
 */
int vgpu_pki_store_issue(struct vgpu_pki_store *store, struct vgpu_pki_wish *wish);
int vgpu_pki_store_revoke(struct vgpu_pki_store *store, struct vgpu_pki_entry *entry);

#endif /* VGPU_TOOL_PKI_H */
