/* SPDX-License-Identifier: MIT */
/*
 * A worker's session whose client is on another host: its channel, the mirror
 * behind it, and the connections that come one after the other. Any thread that
 * waits reads the connection itself, and who commits a record sends it; the keeper,
 * a thread, sees to what nobody else would: new connections, the end, and bytes
 * that a connection did not take at once.
 */
#ifndef VGPU_SERVER_REMOTE_H
#define VGPU_SERVER_REMOTE_H

#include <pthread.h>
#include <stdatomic.h>
#include "channel/relay.h"
#include "link/mirror.h"
#include "server/server.h"
#include "server/session.h"

#define VGPU_FAR_BYTES	(4u << 20)	/* written and not known to be there */

/* Bytes that the client's host may have to be sent again. */
struct vgpu_far_store {
	struct vgpu_far_store	*next;
	struct vgpu_store		store;
	size_t				room;
	uint8_t				bytes[];
};

struct vgpu_far {
	struct vgpu_channel	*channel;
	int			server;		/* where messages of session.h come from */
	int			events;		/* epoll: connection and .poked, for who sleeps */
	int			poked;		/* eventfd: who sleeps is to wake up */
	int			called;		/* eventfd: the keeper is wanted */
	unsigned int		grace;		/* seconds without a connection */
	uint8_t			session[VGPU_SESSION_ID];
	uint8_t			secret[VGPU_SECRET];
	void			(*ended)(enum vgpu_worker_end how);
	pthread_t		keeper;
	bool			keeps;		/* it runs */

	/* Something is to be sent, and who holds the lock shall see to it. Not under it. */
	atomic_bool		wanted;
	atomic_bool		linked;		/* there is a connection to use; set under lock */

	pthread_mutex_t		lock;		/* all below; nobody waits who has it */
	struct vgpu_mirror	*mirror;
	bool			blocked;	/* the connection takes no more: the keeper waits */
	bool			moved;		/* a position did; who sleeps must look */
	bool			over;		/* the mirror is not touched any more */
	enum vgpu_worker_end	how;
	char			why[VGPU_BYE_TEXT + 64];
	struct vgpu_far_store	*stores, **last_store;	/* the mirror has them */
	struct vgpu_far_store	*spare;		/* of the largest size */
	size_t			storing;	/* bytes of those, and of some to come */
	int			store_error;	/* of one that nobody was told of; -errno */
	bool			hold;		/* what is written, up to HELD_MAX */
	size_t			held;
};

/* ---- remote.c ---- */

/*
 * The session that @start describes; its channel is .channel, and its end
 * vgpu_channel_close() of that. @server is owned from here on if this succeeds.
 * @ended is called, by the keeper, when the session is over by no act of ours.
 */
int vgpu_far_open(struct vgpu_far **out, int server,
		     const struct vgpu_session_message *start,
		     void (*ended)(enum vgpu_worker_end how));

/* Say @text to the client and end; what was committed reaches it first, if it listens. */
void vgpu_far_goodbye(struct vgpu_far *r, const char *text);

/* Is it over, and how? */
bool vgpu_far_over(struct vgpu_far *r, enum vgpu_worker_end *how);

/*
 * Reads of the app's memory that go on while others are begun: @p->from, .to and
 * .length say what; @p must stay until it was finished: 0, -EPIPE, or what the
 * client's host failed with.
 */
void vgpu_far_read_begin(struct vgpu_far *r, struct vgpu_pull *p);
int vgpu_far_read_finish(struct vgpu_far *r, struct vgpu_pull *p);

/*
 * From here on what is written is sent in larger pieces, until it is not held any
 * more. For the thread that writes a lot.
 */
void vgpu_far_hold(struct vgpu_far *r, bool hold);

/* Can @n bytes be written, by vgpu_app_write() say, without waiting for the client? */
bool vgpu_far_writable(struct vgpu_far *r, size_t n);

/* ---- between remote.c and keeper.c ---- */

void vgpu_far_lock(struct vgpu_far *r);
/* Sends what others wanted to be sent meanwhile, and wakes who sleeps if something moved. */
void vgpu_far_unlock(struct vgpu_far *r);
/* r->lock is held: send what there is; take what has come: did something? */
void vgpu_far_flush(struct vgpu_far *r);
bool vgpu_far_take(struct vgpu_far *r);
/* r->lock is held: the session is over; the first reason counts. */
void vgpu_far_finish(struct vgpu_far *r, enum vgpu_worker_end how, const char *why);

/* START, the first message on @server. -errno, -EPROTO. (keeper.c) */
int vgpu_far_start(int server, struct vgpu_session_message *start);
int vgpu_keeper_start(struct vgpu_far *r);
void vgpu_keeper_call(struct vgpu_far *r);

#endif /* VGPU_SERVER_REMOTE_H */
