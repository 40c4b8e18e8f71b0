/* SPDX-License-Identifier: MIT */
/*
 * What the files of the server's main process share; workers know none of it.
 *
 *	serve.c		start, the loop, signals, the end
 *	doors.c		where clients come in: sources of this host, sockets of the network
 *	sessions.c	all sessions: a worker for each, from its start to its end
 *	guests.c	connections of the network that have not said what they are
 *	hosts.c		control connections of client hosts
 *	remote_sessions.c  sessions whose client is on another host
 *	complaints.c	lines about what others did wrong
 *	describe.c	all of that for `vgpu`
 */
#ifndef VGPU_SERVER_SERVE_H
#define VGPU_SERVER_SERVE_H

#include <sys/queue.h>
#include "link/control.h"
#include "link/stream.h"
#include "server/loop.h"
#include "server/server.h"
#include "server/session.h"

struct vgpu_host;

enum vgpu_session_state {
	VGPU_SESSION_OPENING,		/* remote: no data connection yet */
	VGPU_SESSION_RUNNING,
	VGPU_SESSION_LOST,		/* remote: its control connection is gone */
	VGPU_SESSION_ENDING,		/* remote: its worker was told */
};

/* What a session has more if its client is on another host. */
struct vgpu_remote_session {
	int			link;		/* to the worker; -1: END was sent */
	uint8_t			id[VGPU_SESSION_ID], secret[VGPU_SECRET];
	uint64_t		epoch;		/* of the last connection */
	bool			plain;		/* as the control connection that opened it */
	struct vgpu_host	*host;		/* who is told of the end; NULL: nobody */
	int64_t			deadline;	/* of LOST and ENDING */
	unsigned		slot;		/* its worker's user */
	struct vgpu_identity	identity;
	struct vgpu_certificate	*certificate;	/* NULL: plain */
	char			key[80];	/* of the client, see struct vgpu_host */
	char			client[160];	/* for people */
	char			end[VGPU_BYE_TEXT];	/* why, if it was us */
};

struct vgpu_session {
	LIST_ENTRY(vgpu_session) link;
	enum vgpu_session_state	state;
	pid_t			worker;
	uint32_t		pid, uid;	/* of the program, on its host */
	bool			refusal;	/* its worker is there to say no */
	int64_t			since;
	char			program[256];
	char			place[sizeof(((struct vgpu_client *)0)->place)];
	struct vgpu_gpu_list	gpus;		/* none: all */
	struct vgpu_remote_session *remote;	/* NULL: of this host */
};

struct vgpu_door {
	struct vgpu_watch	watch;
	struct vgpu_server	*server;
	struct vgpu_source	*source;	/* NULL: a socket of the network */
	bool			plain;		/* TLS is not needed there */
	char			name[80];	/* of a socket */
};

#define VGPU_DOORS_MAX	(2 + 2 * VGPU_LISTEN_MAX)

TAILQ_HEAD(vgpu_guests, vgpu_guest);
TAILQ_HEAD(vgpu_hosts, vgpu_host);

struct vgpu_server {
	const struct vgpu_options *o;
	struct vgpu_probe	probe;
	int			loop;
	bool			stop;
	struct vgpu_watch	signals, asked;	/* asked: the status socket */
	struct vgpu_status	*status;
	struct vgpu_tls		*tls;		/* NULL: plain connections only */
	char			name[64];	/* of this host */
	/* doors.c */
	struct vgpu_door	doors[VGPU_DOORS_MAX];
	unsigned		ndoors;
	int64_t			closed_until;	/* out of something; 0: they are open */
	/* sessions.c */
	LIST_HEAD(, vgpu_session) sessions;
	unsigned		count, refusals;	/* that run; that are refused */
	uint8_t			*slots;		/* max_sessions + 1: taken? */
	unsigned		last_slot;
	/* guests.c, those that came first at the head */
	struct vgpu_guests	guests;
	unsigned		nguests;
	/* complaints.c */
	int64_t			minute;		/* began then; 0: nothing was said */
	unsigned		lines, unsaid;	/* in it */
	/* hosts.c: those that have not said hello, the oldest at the head, and the others */
	struct vgpu_hosts	strangers, hosts;
	unsigned		nstrangers, nhosts;
};

/* ---- doors.c: -errno; it was logged ---- */

int vgpu_doors_open(struct vgpu_server *s);
void vgpu_doors_close(struct vgpu_server *s);
/* Do what is due; when there will be something. The same in the files below. */
int64_t vgpu_doors_tick(struct vgpu_server *s, int64_t now);

/* ---- sessions.c ---- */

/* @c's descriptor stays the caller's. -errno. */
int vgpu_session_start(struct vgpu_server *s, struct vgpu_client *c);
/* A worker for @new, which is in the list from here on, unless -errno. */
int vgpu_session_spawn(struct vgpu_server *s, struct vgpu_session *new,
		       const struct vgpu_client *c);
/* Workers that ended. */
void vgpu_sessions_reap(struct vgpu_server *s);
/* Ask all to end; make them. */
void vgpu_sessions_end(struct vgpu_server *s);
void vgpu_sessions_kill(struct vgpu_server *s);

/* ---- guests.c ---- */

/* @fd has been accepted. */
void vgpu_guest_welcome(struct vgpu_server *s, int fd, bool plain);
int64_t vgpu_guests_tick(struct vgpu_server *s, int64_t now);
void vgpu_guests_close(struct vgpu_server *s);

/* ---- complaints.c ---- */

/* A line, unless there were too many; the other one: about who is at the end of @fd. */
void vgpu_complain(struct vgpu_server *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void vgpu_complain_of(struct vgpu_server *s, int fd, const char *why);
int64_t vgpu_complaints_tick(struct vgpu_server *s, int64_t now);

/* ---- hosts.c ---- */

struct vgpu_host {
	struct vgpu_watch	watch;
	TAILQ_ENTRY(vgpu_host)	link;
	struct vgpu_server	*server;
	struct vgpu_control_channel *channel;
	bool			plain, greeted;
	const char		*wrong;		/* why it is to go; NULL: it is not */
	int64_t			deadline;	/* of the hello */
	uint8_t			nonce[VGPU_NONCE];
	struct vgpu_identity	identity;
	struct vgpu_certificate	*certificate;	/* greeted; NULL: plain */
	char			key[80];	/* whose limits count: certificate, or address */
	char			address[64];
	char			name[160];	/* as it calls itself, and its address */
};

/* A control connection: its preface was read. @fd is owned from here on. */
void vgpu_host_welcome(struct vgpu_server *s, int fd, bool plain);
/* A message; who does not read is dropped, but not before this returned. */
void vgpu_host_send(struct vgpu_host *h, const struct vgpu_control *m);
/* The certificates were read anew: hosts whose is not good any more are out. */
void vgpu_hosts_recheck(struct vgpu_server *s);
int64_t vgpu_hosts_tick(struct vgpu_server *s, int64_t now);
void vgpu_hosts_close(struct vgpu_server *s);

/* ---- remote_sessions.c ---- */

/* Do what an open, adopt asks for; @answer is what to answer. */
void vgpu_remote_open(struct vgpu_host *h, const struct vgpu_control *m,
		      struct vgpu_control *answer);
void vgpu_remote_adopt(struct vgpu_host *h, const struct vgpu_control *m,
		       struct vgpu_control *answer);
void vgpu_remote_close(struct vgpu_host *h, const uint8_t *id);
/* A connection for a session: NULL, or why not. @fd stays the caller's. */
const char *vgpu_remote_attach(struct vgpu_server *s, const struct vgpu_preface *p, int fd);
/* Its sessions, how many: they wait for another one. */
unsigned vgpu_remote_orphan(struct vgpu_host *h);
/* The certificates were read anew: sessions of those that are not good any more end. */
void vgpu_remote_recheck(struct vgpu_server *s);
/* Have the worker end, and say @why. */
void vgpu_remote_end(struct vgpu_session *session, const char *why);
/* The worker has ended, as @how says: tell, and free what a remote session has. */
void vgpu_remote_over(struct vgpu_server *s, struct vgpu_session *session, const char *how);
int64_t vgpu_remote_tick(struct vgpu_server *s, int64_t now);

/* ---- describe.c ---- */

json_t *vgpu_server_describe(void *server);

#endif /* VGPU_SERVER_SERVE_H */
