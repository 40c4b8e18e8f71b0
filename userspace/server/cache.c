/* SPDX-License-Identifier: MIT */
/* The images' cache on disk. */
#define OPENSSL_API_COMPAT 0x10100000L
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "server/cache.h"

#define NAME_LENGTH	(2 * VGPU_HASH_BYTES)
#define TEMPORARY	".tmp-"
#define TEMPORARY_S	3600	/* older ones were left by a worker that died */

struct vgpu_cache {
	int		dir;
	bool		shared;		/* with other users of the group */
	uint64_t	limit;
};

void vgpu_hash(const void *bytes, uint64_t length, uint8_t hash[VGPU_HASH_BYTES])
{
	SHA256(bytes, length, hash);
}

/* ---- opening ---- */

/*
 * Nobody else may use it. Of a shared one no user of the group is the owner, who
 * could keep the others out.
 */
static int folder_give(int fd, const struct vgpu_cache_owner *owner)
{
	const uid_t uid = owner->shared ? geteuid() : owner->uid;
	const mode_t others = owner->shared ? 007 : 077;
	struct stat st;

	if (fchown(fd, uid, owner->gid) || (owner->shared && fchmod(fd, 0770)) || fstat(fd, &st))
		return -errno;
	return st.st_uid == uid && !(st.st_mode & others) ? 0 : -EPERM;
}

/* A name that leads nowhere else. */
static bool is_name(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') && strlen(name) <= NAME_MAX;
}

static int folder_open(int base, const char *name, const struct vgpu_cache_owner *owner)
{
	int fd, err;

	if (!is_name(name))
		return -EINVAL;
	if (mkdirat(base, name, 0700) && errno != EEXIST)
		return -errno;
	fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = folder_give(fd, owner);
	if (err)
		close(fd);
	return err ? err : fd;
}

int vgpu_cache_open(struct vgpu_cache **out, const char *dir, const char *tenant,
		    const struct vgpu_cache_owner *owner, uint64_t limit)
{
	struct vgpu_cache *c;
	int base, fd;

	if (mkdir(dir, 0711) && errno != EEXIST)
		return -errno;
	base = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return -errno;
	fd = folder_open(base, tenant, owner);
	close(base);
	if (fd < 0)
		return fd;
	c = malloc(sizeof(*c));
	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	*c = (struct vgpu_cache){ .dir = fd, .shared = owner->shared, .limit = limit };
	*out = c;
	return 0;
}

void vgpu_cache_close(struct vgpu_cache *c)
{
	if (c) {
		close(c->dir);
		free(c);
	}
}

/* ---- files ---- */

static void name_of(const uint8_t *hash, char name[NAME_LENGTH + 1])
{
	for (int i = 0; i < VGPU_HASH_BYTES; i++)
		sprintf(name + 2 * i, "%02x", hash[i]);
}

static bool is_image(const char *name)
{
	return strlen(name) == NAME_LENGTH && strspn(name, "0123456789abcdef") == NAME_LENGTH;
}

static int read_all(int fd, uint8_t *to, uint64_t length)
{
	while (length) {
		ssize_t n = read(fd, to, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		to += n;
		length -= n;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *from, uint64_t length)
{
	while (length) {
		ssize_t n = write(fd, from, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		length -= n;
	}
	return 0;
}

/* A regular file of that length, opened so that nothing else can make us wait. */
static int image_open(struct vgpu_cache *c, const char *name, uint64_t length)
{
	int fd = openat(c->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (uint64_t)st.st_size == length)
		return fd;
	close(fd);
	return -EINVAL;
}

static int image_read(int fd, const uint8_t *hash, uint64_t length, void **out)
{
	uint8_t found[VGPU_HASH_BYTES], *bytes = malloc(length + 1);
	int err;

	if (!bytes)
		return -ENOMEM;
	err = read_all(fd, bytes, length);
	if (!err) {
		bytes[length] = 0;
		vgpu_hash(bytes, length, found);
		err = memcmp(found, hash, sizeof(found)) ? -EINVAL : 0;
	}
	if (err)
		free(bytes);
	else
		*out = bytes;
	return err;
}

int vgpu_cache_load(struct vgpu_cache *c, const uint8_t *hash, uint64_t length, void **bytes)
{
	const struct timespec now[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
	char name[NAME_LENGTH + 1];
	int fd, err;

	name_of(hash, name);
	fd = image_open(c, name, length);
	err = fd < 0 ? fd : image_read(fd, hash, length, bytes);
	/* The time says when it was used last. */
	if (!err)
		futimens(fd, now);
	if (fd >= 0)
		close(fd);
	if (!err || err == -ENOMEM)
		return err;
	if (err != -ENOENT)
		unlinkat(c->dir, name, 0);
	return -ENOENT;
}

/* ---- making room ---- */

struct entry {
	char		name[NAME_LENGTH + 1];
	uint64_t	size;
	struct timespec	used;
};

struct listing {
	struct entry	*entries;
	size_t		count, room;
	uint64_t	bytes;
};

static int older(const void *a, const void *b)
{
	const struct timespec *x = &((const struct entry *)a)->used;
	const struct timespec *y = &((const struct entry *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

static int note(struct listing *l, const char *name, const struct stat *st)
{
	struct entry *e;

	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		e = reallocarray(l->entries, l->room, sizeof(*e));
		if (!e)
			return -ENOMEM;
		l->entries = e;
	}
	e = &l->entries[l->count++];
	memcpy(e->name, name, sizeof(e->name));
	e->size = st->st_size;
	e->used = st->st_mtim;
	l->bytes += e->size;
	return 0;
}

static int look_at(struct vgpu_cache *c, struct listing *l, const char *name)
{
	struct stat st;

	if (fstatat(c->dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (is_image(name))
		return note(l, name, &st);
	if (!strncmp(name, TEMPORARY, strlen(TEMPORARY)) &&
	    st.st_mtim.tv_sec + TEMPORARY_S < time(NULL))
		unlinkat(c->dir, name, 0);
	return 0;
}

static int list(struct vgpu_cache *c, struct listing *l)
{
	int fd = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (e = readdir(d)))
		err = look_at(c, l, e->d_name);
	closedir(d);
	return err;
}

static int make_room(struct vgpu_cache *c, uint64_t length)
{
	struct listing l = {};
	int err = list(c, &l);

	if (!err && l.bytes + length > c->limit)
		qsort(l.entries, l.count, sizeof(*l.entries), older);
	for (size_t i = 0; !err && i < l.count && l.bytes + length > c->limit; i++) {
		if (!unlinkat(c->dir, l.entries[i].name, 0) || errno == ENOENT)
			l.bytes -= l.entries[i].size;
	}
	if (!err && l.bytes + length > c->limit)
		err = -ENOSPC;
	free(l.entries);
	return err;
}

int vgpu_cache_store(struct vgpu_cache *c, const uint8_t *hash, const void *bytes,
		     uint64_t length)
{
	char name[NAME_LENGTH + 1], temporary[sizeof(TEMPORARY) + 24 + NAME_LENGTH];
	int err, fd;

	if (length > c->limit)
		return -EFBIG;
	err = make_room(c, length);
	if (err)
		return err;
	name_of(hash, name);
	snprintf(temporary, sizeof(temporary), TEMPORARY "%d-%.16s", (int)getpid(), name);
	fd = openat(c->dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = c->shared && fchmod(fd, 0660) ? -errno : write_all(fd, bytes, length);
	close(fd);
	if (!err && renameat(c->dir, temporary, c->dir, name))
		err = -errno;
	if (err)
		unlinkat(c->dir, temporary, 0);
	return err;
}
