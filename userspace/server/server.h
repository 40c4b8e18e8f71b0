/* SPDX-License-Identifier: MIT */
/*
 * The server: listens, and gives each client a process of its own. It never
 * reads a byte that a client sent; the worker does that.
 */
#ifndef VGPU_SERVER_SERVER_H
#define VGPU_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct vgpu_options {
	const char	*socket;
	const char	*libcuda;
	const char	*cache;		/* empty: none */
	const char	*devices;	/* CUDA_VISIBLE_DEVICES for the driver, or NULL */
	uint64_t	cache_limit;	/* bytes a user */
	unsigned	max_sessions;
	bool		verbose;
	/* Of a worker, which is this program again. */
	int		worker;		/* the connection; -1: this is the server */
	int		parent;		/* process id of the server */
	const char	*refuse;	/* a line for the client: it gets no session */
};

/* ---- log.c ---- */

/* From here on lines go to @fd. */
void vgpu_log_to(int fd);
/* One line, with the program's name; what is not printable is replaced. */
void vgpu_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- listen.c ---- */

/*
 * A listening socket at @path, made for this process alone: -EADDRINUSE if
 * another server is alive there. Any local user may connect if this is root.
 */
int vgpu_listen(const char *path);
void vgpu_unlisten(const char *path);

/* ---- probe.c ---- */

/* Does the driver work? In a child, since a server never loads it. -errno; it was logged. */
int vgpu_probe(const struct vgpu_options *o, int *version, int *devices);

/* ---- sessions.c ---- */

/* From here on signals wait to be read from what this returns; -1: errno. */
int vgpu_signals_take(void);
/* Serve until a signal ends it. */
void vgpu_serve_sessions(const struct vgpu_options *o, int listener, int signals);

/* ---- worker.c ---- */

/* How a worker ends, as its exit status. */
enum vgpu_worker_end {
	VGPU_END_CLIENT_LEFT,
	VGPU_END_REFUSED,
	VGPU_END_NO_HELLO,
	VGPU_END_PROTOCOL,
	VGPU_END_INTERNAL,
	VGPU_ENDS
};

int vgpu_worker_main(const struct vgpu_options *o);

/* ---- privilege.c ---- */

/*
 * Tie this process to the server's life and, if it is root, become the user at
 * the other end of @fd, for good. -errno.
 */
int vgpu_privilege_drop(int server, uid_t uid, gid_t gid);

#endif /* VGPU_SERVER_SERVER_H */
