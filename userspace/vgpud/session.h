/* SPDX-License-Identifier: MIT */
/*
 * A program that uses GPUs of a server: from its coming to its end.
 *
 *	WAITING		for the server's control connection
 *	OPENING		the server was asked for a session
 *	CONNECTING	there is one; its first data connection is being made
 *	RUNNING		the mirror has a connection and both sides said where they are
 *	LOST		it has none: it is made again, for as long as the grace period
 *	OVER		to be freed
 *
 * A channel that another vgpud left starts as CONNECTING, or as LOST, with the
 * session that its cookie names.
 */
#ifndef VGPU_VGPUD_SESSION_H
#define VGPU_VGPUD_SESSION_H

#include <sys/queue.h>
#include "channel/relay.h"
#include "link/control.h"
#include "link/mirror.h"
#include "vgpud/copier.h"
#include "vgpud/loop.h"
#include "vgpud/pages.h"
#include "vgpud/spin.h"

struct vgpud;
struct vgpu_upstream;

enum session_state {
	SESSION_WAITING,
	SESSION_OPENING,
	SESSION_CONNECTING,
	SESSION_RUNNING,
	SESSION_LOST,
	SESSION_OVER,
};

/* The devices of a session, in its order. All are of one server. */
struct vgpu_session_gpus {
	unsigned	count;
	struct {
		unsigned	ordinal;	/* of the server's GPUs */
		uint32_t	number;		/* of /dev/vgpuN; over the socket: its place */
		uint8_t		uuid[16];
	}		gpus[VGPU_CHANNEL_DEVICES];
};

/* Who came, and with what. */
struct vgpu_arrival {
	struct vgpu_channel	*channel;	/* a relay */
	int			module;		/* its descriptor, if the module made it; else -1 */
	uint32_t		pid, uid;
	struct vgpu_upstream	*upstream;	/* NULL: none, and .refusal says why */
	struct vgpu_session_gpus gpus;
	uint32_t		status;		/* CUresult of the refusal */
	char			refusal[256];	/* empty: it gets a session */
	bool			resumed;	/* with what the cookie says: */
	uint8_t			id[VGPU_SESSION_ID];
	uint8_t			secret[VGPU_SECRET];
};

struct vgpu_client {
	TAILQ_ENTRY(vgpu_client) all, turn;
	struct vgpud		*vgpud;
	struct vgpu_upstream	*upstream;
	struct vgpu_channel	*channel;
	int			module;
	enum session_state	state;
	struct vgpu_watch	bell;
	struct vgpu_timer	deadline;	/* of the state */

	/* who */
	uint32_t		pid, uid;
	char			program[64];
	struct vgpu_session_gpus gpus;
	int64_t			since, lost_since;	/* ns */

	/* the server's session */
	uint64_t		request;	/* the one that is not answered; 0: none */
	uint64_t		generation;	/* of the control connection that knows of it */
	bool			opened;		/* these two are known */
	uint8_t			id[VGPU_SESSION_ID];
	uint8_t			secret[VGPU_SECRET];

	/* its data connection (attach.c) */
	struct vgpu_watch	data;
	int			socket;		/* until it is a stream's */
	struct vgpu_tls		*tls;
	struct vgpu_stream	*stream;	/* until it is the mirror's */
	bool			verbs;		/* it is offered on this connection */
	uint64_t		epoch;
	struct vgpu_timer	attempt;	/* it takes too long; or, without one: try again */
	unsigned		backoff;	/* ms */
	char			trouble[256];	/* with the last one */

	/* its bytes (flow.c) */
	struct vgpu_mirror	*mirror;
	bool			active;		/* in the list of those that are looked at */
	bool			armed;		/* the program rings */
	bool			readable;
	bool			out_of_memory;
	struct vgpu_spin	spin;
	int64_t			idle_since;	/* ns; 0: it has something to do */
	int64_t			heard;		/* ns, when something came */
	uint64_t		carried;	/* bytes, when the connection began */
	struct vgpu_pages	pages;
	struct vgpu_copier	*copier;
	struct vgpu_watch	copied;
};

/* ---- session.c ---- */

/* Takes over a->channel, also when it has no memory. */
void vgpu_session_begin(struct vgpud *d, const struct vgpu_arrival *a);
/* It cannot go on, and @why is for the log: the program gets an error. */
void vgpu_session_end(struct vgpu_client *s, const char *why);
/* The program is gone. */
void vgpu_session_left(struct vgpu_client *s);
/* Free what is over, and nobody is at any more. */
void vgpu_sessions_bury(struct vgpud *d);
/* Text about the devices: "vgpu0,vgpu3"; empty over the socket. */
void vgpu_session_devices(const struct vgpu_client *s, char *text, size_t room);

/* A server's control connection: has come; is gone, maybe since its host is silent. */
void vgpu_sessions_up(struct vgpu_upstream *u);
void vgpu_sessions_down(struct vgpu_upstream *u, bool silent);
/* It is not to be trusted any more: those that it has end. */
void vgpu_sessions_end(struct vgpu_upstream *u, const char *why);
void vgpu_sessions_message(struct vgpu_upstream *u, const struct vgpu_control *m);
/* How many a server has. */
unsigned vgpu_sessions_of(const struct vgpu_upstream *u);

/* The data connection: both sides said where they are; it is gone. */
void vgpu_session_resumed(struct vgpu_client *s);
void vgpu_session_lost(struct vgpu_client *s, const char *why);
/* No other connection is of use to it: it ends. */
bool vgpu_session_faulty(struct vgpu_client *s);

/* ---- attach.c ---- */

void vgpu_attach_init(struct vgpu_client *s);
/* Make a connection now, if none is being made. */
void vgpu_attach_begin(struct vgpu_client *s);
/* Give up the one that there is, or is being made. */
void vgpu_attach_drop(struct vgpu_client *s);
/* It was of no use: later again. */
void vgpu_attach_again(struct vgpu_client *s, const char *why);
/* It is of use. */
void vgpu_attach_done(struct vgpu_client *s);

/* ---- flow.c ---- */

/* A mirror of the session's channel: 0 or -errno. */
int vgpu_flow_init(struct vgpu_client *s);
/* Have it looked at in turn; no longer. */
void vgpu_flow_wake(struct vgpu_client *s);
void vgpu_flow_stop(struct vgpu_client *s);
/* The mirror has a connection, whose socket is @fd: 0 or -errno. */
int vgpu_flow_attached(struct vgpu_client *s, int fd);
/* One turn of each that is active. */
void vgpu_flow_turns(struct vgpud *d);
/* Page-locked buffers that the program has announced. */
void vgpu_flow_take_announced(struct vgpu_client *s);
/* Is a copy under way, so that the session must stay? */
bool vgpu_flow_busy(const struct vgpu_client *s);
void vgpu_flow_free(struct vgpu_client *s);

#endif /* VGPU_VGPUD_SESSION_H */
