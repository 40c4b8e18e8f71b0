/* SPDX-License-Identifier: MIT */
/* Clients that come over a unix socket, and its place in the file system. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "server/server.h"

#define BACKLOG	64

static int make_folder(const char *path)
{
	char copy[sizeof(((struct sockaddr_un *)0)->sun_path)];

	snprintf(copy, sizeof(copy), "%s", path);
	if (mkdir(dirname(copy), 0755) && errno != EEXIST)
		return -errno;
	return 0;
}

/*
 * Whoever holds the lock beside the socket is the server there. It is kept until
 * this process ends, however that comes about, so what lies at @path without it
 * is stale. The file stays: removing it would let two hold different ones.
 */
static int lock_place(const char *path)
{
	char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
	int fd, err;

	snprintf(name, sizeof(name), "%s.lock", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return 0;
	err = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	close(fd);
	return err;
}

static int remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) ? -errno : 0;
}

/* Nobody can connect before it has its permissions and listens. */
static int bind_at(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;
	mode_t old = umask(0177);

	err = fd < 0 || bind(fd, (const struct sockaddr *)a, sizeof(*a)) ? -errno : 0;
	umask(old);
	if (!err && !geteuid() && chmod(a->sun_path, 0666))
		err = -errno;
	if (!err && listen(fd, BACKLOG))
		err = -errno;
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int err;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	err = make_folder(path);
	if (!err)
		err = lock_place(path);
	if (!err)
		err = remove_stale(path);
	return err ? err : bind_at(&a);
}

/* ---- as a source of clients ---- */

struct listener {
	struct vgpu_source	source;
	const char		*path;
};

static int accept_client(struct vgpu_source *s, struct vgpu_client *c)
{
	socklen_t length = sizeof(c->who);
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC), err;

	if (fd < 0)
		return errno == EINTR || errno == ECONNABORTED ? -EAGAIN : -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->who, &length)) {
		err = -errno;
		close(fd);
		return err;
	}
	c->fd = fd;
	return 0;
}

static void close_listener(struct vgpu_source *s)
{
	struct listener *l = (struct listener *)s;	/* its first member */

	unlink(l->path);
	close(s->fd);
	free(l);
}

int vgpu_socket_open(struct vgpu_source **out, const char *path)
{
	struct listener *l = calloc(1, sizeof(*l));
	int fd = l ? listen_at(path) : -ENOMEM;

	if (fd < 0) {
		vgpu_log("cannot listen on %s: %s", path,
			 fd == -EADDRINUSE ? "another server is there" : strerror(-fd));
		free(l);
		return fd;
	}
	l->source = (struct vgpu_source){
		.fd = fd, .accept = accept_client, .close = close_listener,
	};
	l->path = path;
	*out = &l->source;
	return 0;
}
