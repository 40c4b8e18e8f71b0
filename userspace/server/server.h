/* SPDX-License-Identifier: MIT */
/*
 * The server: takes clients from where they come, and gives each a process of
 * its own, the worker, which alone reads what a program sends. What the hosts of
 * the network say among themselves is read here: serve.h.
 */
#ifndef VGPU_SERVER_SERVER_H
#define VGPU_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include "daemon/daemon.h"
#include "server/gpus.h"

#define VGPU_CTL_NODE	"/dev/vgpuctl"
#define VGPU_LISTEN_MAX	16
#define VGPU_SESSIONS_MAX 65536		/* that --max-sessions can be */
#define VGPU_UID_END	0x7fffffffu	/* users and groups of workers are below */

struct vgpu_options {
	const char	*socket;
	const char	*ctl;		/* the module's node; "none"; NULL: if it is there */
	const char	*libcuda;
	const char	*cache;		/* empty: none */
	const char	*devices;	/* CUDA_VISIBLE_DEVICES for the driver, or NULL */
	uint64_t	cache_limit;	/* bytes a user */
	unsigned	max_sessions;
	unsigned	max_client_sessions;	/* of one client of the network */
	bool		verbose;
	/* The network. */
	const char	*listen[VGPU_LISTEN_MAX];	/* as vgpu_address_listen() takes it */
	unsigned	nlisten;
	const char	*tls;		/* folder of our certificate; NULL: the usual one */
	bool		plain;		/* without TLS for whoever asks, wherever it is */
	unsigned	grace;		/* seconds that a session outlives its connection */
	unsigned	uid_base;	/* of the workers' users and groups, if this is root */
	const char	*status;	/* path; "none"; NULL: beside the socket */
	/* Of a worker, which is this program again. */
	int		worker;		/* leads to the client; -1: this is the server */
	bool		channel;	/* it is the module's channel, not a connection */
	bool		session;	/* it is the server's, see session.h; client elsewhere */
	int		parent;		/* process id of the server */
	const char	*gpus;		/* a list of gpus.c: the client's devices; NULL: all */
	const char	*refuse;	/* a line for the client: it gets no session */
};

/* ---- probe.c ---- */

#define VGPU_GPUS_MAX	64

struct vgpu_probe {
	int		version;
	unsigned	count;
	struct vgpu_gpu	gpus[VGPU_GPUS_MAX];
};

/*
 * Does the driver work, and which GPUs has it? In a child, since a server never
 * loads it. -errno; it was logged.
 */
int vgpu_probe(const struct vgpu_options *o, struct vgpu_probe *p);

/* ---- clients and where they come from: socket.c, ctl.c ---- */

struct vgpu_client {
	int		fd;		/* leads to it */
	bool		channel;	/* .fd is the module's channel, not a connection */
	bool		session;	/* .fd is of session.h: the client is elsewhere */
	struct ucred	who;
	char		place[160];	/* the devices that it opened; empty: none, all are its */
	char		gpus[VGPU_GPU_LIST_TEXT];	/* that those stand for */
	char		refusal[256];	/* why it gets no session; empty: it does */
};

struct vgpu_source {
	int	fd;			/* readable when a client waits */
	/*
	 * The next client, into *@c, which is zeroed. -EAGAIN: there is none; else
	 * this process is out of something, and the client waits.
	 */
	int	(*accept)(struct vgpu_source *s, struct vgpu_client *c);
	void	(*close)(struct vgpu_source *s);
};

/*
 * A listening socket at @path, made for this process alone. Any local user may
 * connect if this is root. -errno; it was logged.
 */
int vgpu_socket_open(struct vgpu_source **out, const char *path);

/*
 * The module's node at @path; devices that have no backend get one of @gpus, which
 * must live as long. -errno; it was logged.
 */
int vgpu_ctl_open(struct vgpu_source **out, const char *path, const struct vgpu_gpu *gpus,
		  unsigned ngpus);

/* ---- serve.c ---- */

/* Serve until a signal ends it: exit status. */
int vgpu_server_run(const struct vgpu_options *o);

/* ---- spawn.c ---- */

/* This process may have @files descriptors open, if it can; its workers as before. */
void vgpu_files_raise(unsigned files);

/* A worker for @c, which gets @refuse to say if that is not NULL: its pid, -errno. */
pid_t vgpu_worker_spawn(const struct vgpu_options *o, const struct vgpu_client *c,
			const char *refuse);

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
 * the other end, for good. Unless it is @capable, which matters to root only, no
 * capability is left: root in a container is not given what is kept from it there.
 * -errno.
 */
int vgpu_privilege_drop(int server, uid_t uid, gid_t gid, bool capable);

#endif /* VGPU_SERVER_SERVER_H */
