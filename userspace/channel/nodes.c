// SPDX-License-Identifier: MIT
/*
 * Which /dev/vgpuN a process uses: those that a list names, or all that it may
 * open. What is done with them is device.c's.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel/internal.h"

/* A number as the module writes it, without leading zeros; its end, or NULL. */
static const char *parse_number(const char *s, unsigned int *number)
{
	unsigned int n = 0;

	if (*s < '0' || *s > '9' || (s[0] == '0' && s[1] >= '0' && s[1] <= '9'))
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++) {
		n = n * 10 + (*s - '0');
		if (n >= VGPU_MINORS)
			return NULL;
	}
	*number = n;
	return s;
}

static int open_node(const char *path)
{
	struct stat st;
	int fd;

	/* Opening a thing of another kind could do something to it. */
	if (stat(path, &st))
		return -errno;
	if (!S_ISCHR(st.st_mode))
		return -ENODEV;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static int open_number(const char *folder, unsigned int number)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/vgpu%u", folder, number) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return open_node(path);
}

/* Is @fd, which may have another name, one of those? */
static bool is_among(int fd, const int *fds, unsigned int n)
{
	struct stat a, b;

	if (fstat(fd, &a))
		return false;
	while (n--)
		if (!fstat(fds[n], &b) && a.st_rdev == b.st_rdev)
			return true;
	return false;
}

static int close_all(const int *fds, unsigned int n, int err)
{
	while (n--)
		close(fds[n]);
	return err;
}

/* ---- a list ---- */

/* Open the entry of @length bytes at @entry. */
static int open_entry(const char *folder, const char *entry, size_t length)
{
	unsigned int number;
	char path[PATH_MAX];

	if (parse_number(entry, &number) == entry + length)
		return open_number(folder, number);
	if (*entry != '/')
		return -EINVAL;
	if (length >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, entry, length);
	path[length] = 0;
	return open_node(path);
}

static int open_list(const char *folder, const char *list, int *fds, unsigned int max)
{
	unsigned int n = 0;

	for (const char *at = list;; at++) {
		size_t length = strcspn(at, ",");
		int fd = n < max ? open_entry(folder, at, length) : -E2BIG;

		if (fd < 0)
			return close_all(fds, n, fd);
		fds[n++] = fd;
		if (is_among(fd, fds, n - 1))
			return close_all(fds, n, -EEXIST);
		at += length;
		if (!*at)
			return n;
	}
}

/* ---- all that there are ---- */

/* A bit for each vgpuN in @folder, whatever that is. */
static int find_nodes(const char *folder, bool there[VGPU_MINORS])
{
	DIR *d = opendir(folder);
	struct dirent *e;
	unsigned int n;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		const char *end = strncmp(e->d_name, "vgpu", 4) ? NULL :
				  parse_number(e->d_name + 4, &n);

		if (end && !*end)
			there[n] = true;
	}
	closedir(d);
	return 0;
}

/* Not for this process; or no node of a device, or not any more. */
static bool is_denied(int err)
{
	return err == -EACCES || err == -EPERM;
}

static bool is_none(int err)
{
	return err == -ENOENT || err == -ENXIO || err == -ENODEV;
}

static int open_found(const char *folder, int *fds, unsigned int max)
{
	bool there[VGPU_MINORS] = { false }, denied = false;
	unsigned int n = 0;
	int err = find_nodes(folder, there);

	if (err)
		return err;
	for (unsigned int i = 0; i < VGPU_MINORS && n < max; i++) {
		int fd = there[i] ? open_number(folder, i) : -ENOENT;

		if (fd >= 0)
			fds[n++] = fd;
		else if (is_denied(fd))
			denied = true;
		else if (!is_none(fd))
			return close_all(fds, n, fd);
	}
	if (n)
		return n;
	return denied ? -EACCES : -ENOENT;
}

int vgpu_nodes_open_in(const char *folder, const char *list, int *fds, unsigned int max)
{
	if (max > VGPU_CHANNEL_DEVICES)
		max = VGPU_CHANNEL_DEVICES;
	if (!list)
		return open_found(folder, fds, max);
	if (!*list || !strcmp(list, "none"))
		return -ENOENT;
	return open_list(folder, list, fds, max);
}

int vgpu_nodes_open(const char *list, int *fds, unsigned int max)
{
	return vgpu_nodes_open_in("/dev", list, fds, max);
}
