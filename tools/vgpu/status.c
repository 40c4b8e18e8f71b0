/* SPDX-License-Identifier: MIT */
/*
 * Asking a daemon: connect, take what comes, parse it. Whoever listens there may
 * be anybody: how much is taken, and for how long, is bounded. What the document
 * says is the affair of daemons.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "daemons.h"

#define MOST		(4u << 20)
#define PATIENCE_MS	3000

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* Never waits: a daemon whose queue is full has a reason, and -EAGAIN says so. */
static int dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	err = errno == ECONNREFUSED || errno == ENOTDIR ? -ENOENT : -errno;
	close(fd);
	return err;
}

static int wait_for_more(int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	const int64_t left = deadline - now_ms();
	const int n = left > 0 ? poll(&p, 1, left) : 0;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : -ETIMEDOUT;
}

/* All that comes, into @text of MOST bytes and one more: how many bytes, or -errno. */
static ssize_t take_all(int fd, char *text)
{
	const int64_t deadline = now_ms() + PATIENCE_MS;
	size_t length = 0;

	for (;;) {
		ssize_t n = read(fd, text + length, MOST + 1 - length);
		int err;

		if (!n)
			return length;
		if (n > 0)
			length += n;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (length > MOST)
			return -EFBIG;
		err = wait_for_more(fd, deadline);
		if (err)
			return err;
	}
}

static int parse(const char *text, size_t length, json_t **document, char why[VGPU_WHY])
{
	json_error_t error;

	*document = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (*document)
		return 0;
	snprintf(why, VGPU_WHY, length ? "that is no JSON: %s" : "there was no answer", error.text);
	return -EPROTO;
}

static int explain(int err, char why[VGPU_WHY])
{
	snprintf(why, VGPU_WHY, "%s", err == -ETIMEDOUT ? "there was no answer in time" :
		 err == -EFBIG ? "the answer does not end" :
		 err == -EAGAIN ? "too many ask at the same time" : strerror(-err));
	return err;
}

int vgpu_status_ask(const char *path, json_t **document, char why[VGPU_WHY])
{
	char *text = malloc(MOST + 1);
	ssize_t length = -ENOMEM;
	int fd = -1, err;

	if (text) {
		fd = dial(path);
		length = fd < 0 ? fd : take_all(fd, text);
	}
	err = length < 0 ? explain(length, why) : parse(text, length, document, why);
	if (fd >= 0)
		close(fd);
	free(text);
	return err;
}
