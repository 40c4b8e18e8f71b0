/* SPDX-License-Identifier: MIT */
/*
 * The folder of a small authority. Files appear whole or not at all, and one
 * command at a time is at work in it:
 *
 *	ca.crt, ca.key	the authority
 *	crl.pem		what it has revoked
 *	index		what it has issued: one line each, never removed
 *	NAME/		of a host: ca.crt, host.crt, host.key, crl.pem, to be copied there
 *	revoked/SERIAL/	what was NAME/ before it was revoked
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include "pki.h"
#include "vgpu.h"

#define DAY		86400
#define SKEW		3600	/* by which hosts' clocks may differ from ours */
#define NEW		".new"	/* a file that is not finished */
#define NEW_HOST	".host"	/* and a host's folder */

/* ---- complaints ---- */

static int fail(const char *path, const char *name, int err)
{
	vgpu_complain("%s%s%s: %s", path, *name ? "/" : "", name, strerror(-err));
	return err;
}

static int fail_ssl(const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	vgpu_complain("cannot make %s: %s", what, reason ? reason : "no memory");
	return -EIO;
}

/* ---- files ---- */

static int write_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t done = write(fd, bytes, n);

		if (done < 0 && errno != EINTR)
			return -errno;
		bytes += done > 0 ? done : 0;
		n -= done > 0 ? done : 0;
	}
	return fsync(fd) ? -errno : 0;
}

/* In the place of one that is there already. */
static int put_file(int folder, const char *name, mode_t mode, const char *bytes, size_t n)
{
	int fd, err;

	unlinkat(folder, NEW, 0);
	fd = openat(folder, NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, bytes, n);
	if (!err && fchmod(fd, mode))
		err = -errno;
	close(fd);
	if (!err && renameat(folder, NEW, folder, name))
		err = -errno;
	if (err)
		unlinkat(folder, NEW, 0);
	else if (fsync(folder))
		err = -errno;
	return err;
}

/* What was written into @b, which is freed; OpenSSL refuses to write into none. */
static int put_text(int folder, const char *name, mode_t mode, BIO *b, bool good)
{
	char *bytes = NULL;
	long n = good ? BIO_get_mem_data(b, &bytes) : 0;
	int err = bytes ? put_file(folder, name, mode, bytes, n) : -ENOMEM;

	BIO_free(b);
	return err;
}

static int put_certificate(int folder, const char *name, X509 *cert)
{
	BIO *b = BIO_new(BIO_s_mem());

	return put_text(folder, name, 0644, b, PEM_write_bio_X509(b, cert));
}

static int put_key(int folder, const char *name, EVP_PKEY *key)
{
	BIO *b = BIO_new(BIO_s_mem());
	bool good = PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);

	return put_text(folder, name, 0600, b, good);
}

static int put_list(int folder, X509_CRL *list)
{
	BIO *b = BIO_new(BIO_s_mem());

	return put_text(folder, "crl.pem", 0644, b, PEM_write_bio_X509_CRL(b, list));
}

/* ---- the index ---- */

bool vgpu_pki_name_good(const char *name)
{
	static const char *const ours[] = { "ca.crt", "ca.key", "crl.pem", "index", "revoked" };
	const size_t n = strlen(name);

	for (unsigned int i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (!strcmp(name, ours[i]))
			return false;
	return n && n <= VGPU_PKI_NAME && isalnum((unsigned char)name[0]) &&
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")
		== n;
}

void vgpu_pki_serial_format(const uint8_t *serial, char text[VGPU_PKI_SERIAL_TEXT])
{
	for (int i = 0; i < VGPU_PKI_SERIAL; i++)
		sprintf(text + 2 * i, "%02x", serial[i]);
}

static int put_index(struct vgpu_pki_store *store)
{
	BIO *b = BIO_new(BIO_s_mem());
	char serial[VGPU_PKI_SERIAL_TEXT];

	BIO_puts(b, "# serial, kind, expires, revoked or 0, name; vgpu pki writes this\n");
	for (unsigned int i = 0; i < store->count; i++) {
		const struct vgpu_pki_entry *e = &store->entries[i];

		vgpu_pki_serial_format(e->serial, serial);
		BIO_printf(b, "%s %s %lld %lld %s\n", serial, e->server ? "server" : "client",
			   (long long)e->until, (long long)e->revoked, e->name);
	}
	return put_text(store->fd, "index", 0600, b, b != NULL);
}

static bool take_serial(const char *text, uint8_t *serial)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 2 * VGPU_PKI_SERIAL; i++) {
		const char *digit = text[i] ? strchr(digits, text[i]) : NULL;

		if (!digit)
			return false;
		serial[i / 2] = serial[i / 2] << 4 | (digit - digits);
	}
	return !text[2 * VGPU_PKI_SERIAL];
}

static bool take_entry(const char *line, struct vgpu_pki_entry *e)
{
	char serial[VGPU_PKI_SERIAL_TEXT], kind[8], end;
	long long until, revoked;

	memset(e, 0, sizeof(*e));
	if (sscanf(line, "%32s %7s %lld %lld %64s %c", serial, kind, &until, &revoked, e->name,
		   &end) != 5)
		return false;
	e->server = !strcmp(kind, "server");
	e->until = until;
	e->revoked = revoked;
	return take_serial(serial, e->serial) && vgpu_pki_name_good(e->name) &&
		(e->server || !strcmp(kind, "client"));
}

static struct vgpu_pki_entry *new_entry(struct vgpu_pki_store *store)
{
	struct vgpu_pki_entry *more = reallocarray(store->entries, store->count + 1,
						   sizeof(*more));

	if (!more)
		return NULL;
	store->entries = more;
	return &more[store->count++];
}

static int take_index(struct vgpu_pki_store *store, FILE *file)
{
	unsigned int number = 0;
	char line[256];

	while (fgets(line, sizeof(line), file)) {
		struct vgpu_pki_entry *e;

		number++;
		if (line[0] == '#')
			continue;
		e = new_entry(store);
		if (!e)
			return fail(store->path, "index", -ENOMEM);
		if (!take_entry(line, e)) {
			vgpu_complain("%s/index: line %u is none that vgpu pki wrote: "
				      "bring the file back from a copy", store->path, number);
			return -EINVAL;
		}
	}
	return ferror(file) ? fail(store->path, "index", -EIO) : 0;
}

/* ---- reading ---- */

static int open_file(struct vgpu_pki_store *store, const char *name, FILE **file)
{
	int fd = openat(store->fd, name, O_RDONLY | O_CLOEXEC);

	*file = fd < 0 ? NULL : fdopen(fd, "r");
	return *file ? 0 : fail(store->path, name, -errno);
}

static int read_index(struct vgpu_pki_store *store)
{
	FILE *file;
	int err = open_file(store, "index", &file);

	if (err)
		return err;
	err = take_index(store, file);
	fclose(file);
	return err;
}

static int read_certificate(struct vgpu_pki_store *store)
{
	FILE *file;
	int err = open_file(store, "ca.crt", &file);

	if (err)
		return err;
	store->authority = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	if (store->authority)
		return 0;
	vgpu_complain("%s/ca.crt: not a certificate in PEM", store->path);
	return -EINVAL;
}

static int read_key(struct vgpu_pki_store *store)
{
	struct stat st;
	FILE *file;
	int err = open_file(store, "ca.key", &file);

	if (err)
		return err;
	if (fstat(fileno(file), &st) || st.st_mode & 077) {
		vgpu_complain("%s/ca.key: others can read it: chmod 600", store->path);
		err = -EPERM;
	} else {
		store->key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	}
	fclose(file);
	if (!err && (!store->key || X509_check_private_key(store->authority, store->key) != 1)) {
		vgpu_complain("%s/ca.key: not the key of ca.crt", store->path);
		err = -EINVAL;
	}
	return err;
}

static int open_folder(struct vgpu_pki_store *store)
{
	store->fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->fd < 0 && errno == ENOENT) {
		vgpu_complain("%s: there is no authority: vgpu pki init", store->path);
		return -ENOENT;
	}
	if (store->fd < 0 || flock(store->fd, LOCK_EX))
		return fail(store->path, "", -errno);
	return 0;
}

int vgpu_pki_store_open(struct vgpu_pki_store *store, const char *path, bool key)
{
	int err;

	*store = (struct vgpu_pki_store){ .path = path, .fd = -1 };
	err = open_folder(store);
	if (!err)
		err = read_index(store);
	if (!err && key)
		err = read_certificate(store);
	if (!err && key)
		err = read_key(store);
	if (err)
		vgpu_pki_store_close(store);
	return err;
}

void vgpu_pki_store_close(struct vgpu_pki_store *store)
{
	if (store->fd >= 0)
		close(store->fd);
	free(store->entries);
	X509_free(store->authority);
	EVP_PKEY_free(store->key);
}

struct vgpu_pki_entry *vgpu_pki_store_find(struct vgpu_pki_store *store, const char *name)
{
	/* the last one is the one that may be good */
	for (unsigned int i = store->count; i--;)
		if (!strcmp(store->entries[i].name, name))
			return &store->entries[i];
	return NULL;
}

/* ---- the authority ---- */

static time_t end_of(const X509 *cert)
{
	struct tm tm;

	return ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) ? timegm(&tm) : 0;
}

/* As long as the authority: a list is out of date when there is a newer one. */
static X509_CRL *make_list(const struct vgpu_pki_store *store)
{
	struct vgpu_pki_revoked *all = calloc(store->count + 1, sizeof(*all));
	unsigned int n = 0;
	X509_CRL *list;

	for (unsigned int i = 0; all && i < store->count; i++) {
		if (!store->entries[i].revoked)
			continue;
		all[n].when = store->entries[i].revoked;
		memcpy(all[n++].serial, store->entries[i].serial, VGPU_PKI_SERIAL);
	}
	list = all ? vgpu_pki_make_list(all, n, store->authority, store->key,
					time(NULL) - SKEW, end_of(store->authority)) : NULL;
	free(all);
	return list;
}

static int put_authority(struct vgpu_pki_store *store)
{
	X509_CRL *list = make_list(store);
	int err;

	if (!list)
		return fail_ssl("a revocation list");
	err = put_index(store);
	if (!err)
		err = put_list(store->fd, list);
	if (!err)
		err = put_certificate(store->fd, "ca.crt", store->authority);
	if (!err)
		err = put_key(store->fd, "ca.key", store->key);
	X509_CRL_free(list);
	return err ? fail(store->path, "", err) : 0;
}

static int make_authority(struct vgpu_pki_store *store, unsigned int days)
{
	const time_t now = time(NULL);

	store->key = vgpu_pki_make_key();
	store->authority = store->key ? vgpu_pki_make_authority(store->key, now - SKEW,
							       now + (time_t)days * DAY) : NULL;
	return store->authority ? 0 : fail_ssl("an authority");
}

static int make_parents(const char *path)
{
	char copy[PATH_MAX];
	int n = snprintf(copy, sizeof(copy), "%s", path);

	if (n >= (int)sizeof(copy))
		return fail(path, "", -ENAMETOOLONG);
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) && errno != EEXIST)
			return fail(copy, "", -errno);
		*slash = '/';
	}
	return 0;
}

static void discard(const char *path)
{
	static const char *const files[] = { NEW, "index", "crl.pem", "ca.crt", "ca.key" };
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (unsigned int i = 0; fd >= 0 && i < sizeof(files) / sizeof(*files); i++)
		unlinkat(fd, files[i], 0);
	if (fd >= 0)
		close(fd);
	rmdir(path);
}

/* Beside its place, and then all at once into it: only an empty folder may be there. */
int vgpu_pki_store_make(const char *path, unsigned int days)
{
	struct vgpu_pki_store store = { .fd = -1 };
	char made[PATH_MAX];
	size_t n = strlen(path);
	int err = make_parents(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (err)
		return err;
	if (snprintf(made, sizeof(made), "%.*s.XXXXXX", (int)n, path) >= (int)sizeof(made) ||
	    !mkdtemp(made))
		return fail(path, "", -errno);
	store.path = made;
	err = open_folder(&store);
	if (!err)
		err = make_authority(&store, days);
	if (!err)
		err = put_authority(&store);
	if (!err && rename(made, path)) {
		err = errno == ENOTEMPTY || errno == ENOTDIR ? -EEXIST : -errno;
		if (err == -EEXIST)
			vgpu_complain("%s: there is something already; nothing was changed", path);
		else
			fail(path, "", err);
	}
	if (err)
		discard(made);
	vgpu_pki_store_close(&store);
	return err;
}

/* ---- hosts ---- */

/* Out of the way of the next of that name; it may have been moved elsewhere already. */
static int lay_aside(struct vgpu_pki_store *store, const struct vgpu_pki_entry *e)
{
	char to[16 + VGPU_PKI_SERIAL_TEXT] = "revoked/";

	if (mkdirat(store->fd, "revoked", 0700) && errno != EEXIST)
		return fail(store->path, "revoked", -errno);
	vgpu_pki_serial_format(e->serial, to + strlen(to));
	if (renameat(store->fd, e->name, store->fd, to) && errno != ENOENT)
		return fail(store->path, e->name, -errno);
	return 0;
}

static void discard_new(int folder)
{
	static const char *const files[] = { NEW, "ca.crt", "host.crt", "host.key", "crl.pem" };
	int fd = openat(folder, NEW_HOST, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	for (unsigned int i = 0; fd >= 0 && i < sizeof(files) / sizeof(*files); i++)
		unlinkat(fd, files[i], 0);
	if (fd >= 0)
		close(fd);
	unlinkat(folder, NEW_HOST, AT_REMOVEDIR);
}

static int put_host(struct vgpu_pki_store *store, EVP_PKEY *key, X509 *cert, X509_CRL *list)
{
	int folder, err;

	discard_new(store->fd);
	if (mkdirat(store->fd, NEW_HOST, 0700))
		return -errno;
	folder = openat(store->fd, NEW_HOST, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder < 0)
		return -errno;
	err = put_key(folder, "host.key", key);
	if (!err)
		err = put_certificate(folder, "host.crt", cert);
	if (!err)
		err = put_certificate(folder, "ca.crt", store->authority);
	if (!err)
		err = put_list(folder, list);
	close(folder);
	return err;
}

static int note(struct vgpu_pki_store *store, const struct vgpu_pki_wish *wish)
{
	struct vgpu_pki_entry *e = new_entry(store);

	if (!e)
		return -ENOMEM;
	*e = (struct vgpu_pki_entry){ .server = wish->server, .until = wish->until };
	memcpy(e->serial, wish->serial, sizeof(e->serial));
	snprintf(e->name, sizeof(e->name), "%s", wish->name);
	return put_index(store);
}

static int keep_host(struct vgpu_pki_store *store, const struct vgpu_pki_wish *wish,
		     EVP_PKEY *key, X509 *cert, X509_CRL *list)
{
	const struct vgpu_pki_entry *former = vgpu_pki_store_find(store, wish->name);
	int err = former ? lay_aside(store, former) : 0;

	if (err)
		return err;
	err = faccessat(store->fd, wish->name, F_OK, AT_SYMLINK_NOFOLLOW) ? 0 : -EEXIST;
	if (!err)
		err = put_host(store, key, cert, list);
	if (!err)
		err = note(store, wish);
	if (!err && renameat2(store->fd, NEW_HOST, store->fd, wish->name, RENAME_NOREPLACE))
		err = -errno;
	if (err)
		discard_new(store->fd);
	return err ? fail(store->path, wish->name, err) : 0;
}

int vgpu_pki_store_issue(struct vgpu_pki_store *store, struct vgpu_pki_wish *wish)
{
	const time_t end = end_of(store->authority);
	EVP_PKEY *key = vgpu_pki_make_key();
	X509_CRL *list = make_list(store);
	X509 *cert = NULL;
	int err;

	wish->from = time(NULL) - SKEW;
	wish->until = wish->until < end ? wish->until : end;
	if (key && list && RAND_bytes(wish->serial, sizeof(wish->serial)) == 1)
		cert = vgpu_pki_make_host(wish, key, store->authority, store->key);
	err = cert ? keep_host(store, wish, key, cert, list) : fail_ssl("a certificate");
	X509_free(cert);
	X509_CRL_free(list);
	EVP_PKEY_free(key);
	return err;
}

/* ---- revoking ---- */

/* The list here, and in the folders of hosts that are still here. */
static int spread_list(struct vgpu_pki_store *store)
{
	X509_CRL *list = make_list(store);
	int err, folder;

	if (!list)
		return fail_ssl("a revocation list");
	err = put_list(store->fd, list);
	for (unsigned int i = 0; !err && i < store->count; i++) {
		folder = openat(store->fd, store->entries[i].name,
				O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (folder < 0)
			continue;
		err = put_list(folder, list);
		close(folder);
	}
	X509_CRL_free(list);
	return err ? fail(store->path, "crl.pem", err) : 0;
}

int vgpu_pki_store_revoke(struct vgpu_pki_store *store, struct vgpu_pki_entry *entry)
{
	int err = 0;

	/* twice does no harm, and ends what may have been left half-way */
	if (!entry->revoked) {
		entry->revoked = time(NULL);
		err = put_index(store);
	}
	if (err)
		return fail(store->path, "index", err);
	err = spread_list(store);
	return err ? err : lay_aside(store, entry);
}
