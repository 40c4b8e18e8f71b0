/* SPDX-License-Identifier: MIT */
/*
 * What vgpud.conf and the files of conf.d beside it say. Everything is checked
 * when it is read: whoever uses this asks no more questions.
 */
#ifndef VGPU_VGPUD_CONFIG_H
#define VGPU_VGPUD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/vgpu.h>

#define VGPU_CONFIG_PATH	"/etc/vgpu/vgpud.conf"
#define VGPU_CONFIG_SERVERS	64
#define VGPU_CONFIG_TEXT	200	/* of a value; lines are no longer */
#define VGPU_CONFIG_NAME	33	/* of a server, as backends and log lines have it */

/* Where in the files something is said; .line 0: nowhere. */
struct vgpu_config_place {
	unsigned	file, line;
};

struct vgpu_config_server {
	char		name[VGPU_CONFIG_NAME];
	char		address[VGPU_CONFIG_TEXT];
	char		certificate[VGPU_CONFIG_TEXT];	/* name in it; empty: the host's */
	bool		plain;
	struct vgpu_config_place place;
};

/* How bytes travel; what comes later wins for a program that opens several devices. */
enum vgpu_config_link { VGPU_LINK_AUTO, VGPU_LINK_VERBS, VGPU_LINK_TCP };

/* A GPU of a server. */
struct vgpu_config_gpu {
	char		server[VGPU_CONFIG_NAME];
	unsigned	ordinal;
};

struct vgpu_config_device {
	uint32_t	number;			/* N of /dev/vgpuN */
	struct vgpu_config_gpu gpu;
	enum vgpu_config_link link;
	struct vgpu_config_place place;
};

struct vgpu_config {
	char		ctl[VGPU_CONFIG_TEXT];	/* "none"; empty: if it can be had */
	char		socket[VGPU_CONFIG_TEXT];	/* "none" */
	char		status[VGPU_CONFIG_TEXT];	/* "none" */
	unsigned	grace;			/* seconds */
	uint64_t	key_bytes;		/* that a connection carries; not in the file */
	unsigned	sessions;		/* at once */
	unsigned	sessions_per_user;
	char		ca[VGPU_CONFIG_TEXT], cert[VGPU_CONFIG_TEXT];
	char		key[VGPU_CONFIG_TEXT], crl[VGPU_CONFIG_TEXT];	/* crl: empty: none */

	struct vgpu_config_server servers[VGPU_CONFIG_SERVERS];
	unsigned	nservers;
	struct vgpu_config_device *devices;
	unsigned	ndevices;
	/* Of programs over the socket. None: all of the first server. */
	struct vgpu_config_gpu socket_gpus[VGPU_CHANNEL_DEVICES];
	unsigned	nsocket_gpus;
	struct vgpu_config_place socket_place;
};

/*
 * Read the file at @path and those of conf.d/ *.conf beside it, in the order of
 * their names; what comes later counts. 0, or -errno and in @why one line: which
 * file and line, what is wrong, what is allowed.
 */
int vgpu_config_read(struct vgpu_config **out, const char *path, char *why, size_t room);
void vgpu_config_free(struct vgpu_config *c);

/* How the bytes of /dev/vgpuN travel. */
enum vgpu_config_link vgpu_config_link(const struct vgpu_config *c, uint32_t number);

/* Its place in .servers, or -1. */
int vgpu_config_find(const struct vgpu_config *c, const char *name);

/* "NAME:K" with a NAME that a server may have, and nothing else, or -EINVAL. */
int vgpu_config_gpu_parse(const char *text, struct vgpu_config_gpu *gpu);

#endif /* VGPU_VGPUD_CONFIG_H */
