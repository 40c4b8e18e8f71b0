/* SPDX-License-Identifier: MIT */
/* A unix socket that programs connect to, and its place in the file system. */
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
#include "daemon/daemon.h"

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
 * Whoever holds the lock beside the socket is the server there. It ends with this
 * process, however that comes about, so what lies at @path without it is stale.
 * The file stays: removing it would let two hold different ones.
 */
static int lock_place(const char *path, int *lock)
{
	char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
	int fd, err;

	snprintf(name, sizeof(name), "%s.lock", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (!flock(fd, LOCK_EX | LOCK_NB)) {
		*lock = fd;
		return 0;
	}
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
static int bind_at(const struct sockaddr_un *a, int type, mode_t mode)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;
	mode_t old = umask(0177);

	err = fd < 0 || bind(fd, (const struct sockaddr *)a, sizeof(*a)) ? -errno : 0;
	umask(old);
	if (!err && mode != 0600 && chmod(a->sun_path, mode))
		err = -errno;
	if (!err && listen(fd, BACKLOG))
		err = -errno;
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

static int listen_at(const char *path, int type, mode_t mode, int *lock)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int err;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	err = make_folder(path);
	if (!err)
		err = lock_place(path, lock);
	if (!err)
		err = remove_stale(path);
	return err ? err : bind_at(&a, type, mode);
}

int vgpu_socket_listen_at(const char *path, int type, mode_t mode, int *lock)
{
	int fd;

	*lock = -1;
	fd = listen_at(path, type, mode, lock);
	if (fd >= 0)
		return fd;
	if (*lock >= 0)
		close(*lock);
	vgpu_log("cannot listen on %s: %s", path,
		 fd == -EADDRINUSE ? "another daemon is there" : strerror(-fd));
	return fd;
}

int vgpu_socket_listen(const char *path)
{
	int lock;

	return vgpu_socket_listen_at(path, SOCK_SEQPACKET, geteuid() ? 0600 : 0666, &lock);
}

int vgpu_socket_accept(int fd, struct ucred *who)
{
	socklen_t length = sizeof(*who);
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC), err;

	if (client < 0)
		return errno == EINTR || errno == ECONNABORTED ? -EAGAIN : -errno;
	if (!getsockopt(client, SOL_SOCKET, SO_PEERCRED, who, &length))
		return client;
	err = -errno;
	close(client);
	return err;
}
