/* SPDX-License-Identifier: MIT */
/*
 * A mirror: keeps one side of a channel alike on two hosts. The client's mirror
 * (in vgpud) plays the peer of the app's channel, the worker's mirror plays the
 * app of the worker's; what one finds in the lanes it reads, the other writes
 * into the lanes of its channel, at the same positions. Neither looks at what the
 * bytes are. Beside the lanes bytes of the app's memory travel: PULL and STORE.
 *
 * No call blocks, none locks: the caller does. What comes from the network and
 * what the client's app has in its half is hostile.
 *
 * Functions return -EPIPE when the connection is over (vgpu_mirror_detach(), and
 * vgpu_mirror_attach() with a new one goes on where this one stopped), -EPROTO
 * when the session is over because one of the two sides broke the format
 * (vgpu_mirror_fault()), -ESHUTDOWN when the other side said BYE
 * (vgpu_mirror_bye()).
 */
#ifndef VGPU_LINK_MIRROR_H
#define VGPU_LINK_MIRROR_H

#include "channel/channel.h"
#include "link/frame.h"
#include "link/stream.h"

struct vgpu_mirror;

/* Bytes of the app's memory that the worker wants; in the caller's memory. */
struct vgpu_pull {
	struct vgpu_place_wire	from;
	void			*to;
	uint64_t		length;
	bool			done;		/* all are there, or .error is set */
	int			error;		/* -errno */
	/* the mirror's */
	struct vgpu_pull	*next;
	uint64_t		number, received;
	bool			asked;
};

/*
 * Bytes for the app's memory. Once vgpu_mirror_store() returned, a record that
 * is published after it is seen by the app when the bytes are there. The bytes
 * must stay until .done, since they may have to be sent again.
 */
struct vgpu_store {
	struct vgpu_place_wire	to;
	const void		*from;
	uint64_t		length;		/* at most VGPU_FRAME_PAYLOAD */
	bool			done;		/* the client has them, or .error is set */
	int			error;
	/* the mirror's */
	struct vgpu_store	*next;
	uint64_t		number;
};

/* A copy of registered memory, which may take as long as the app likes. */
struct vgpu_app_job {
	uint64_t	address;
	void		*local;
	size_t		length;
	bool		write;			/* to the app */
	int		error;			/* set by who ran it, before _copied() */
};

struct vgpu_mirror_ops {
	/* Both: something moved (only heads: @head): ring the channel's other side if it sleeps. */
	void (*ring)(void *arg, bool head);
	/*
	 * Client: the @size bytes of page-locked buffer @handle, mapped until
	 * forget(), NULL and errno if there is no such thing.
	 */
	void *(*hostmem)(void *arg, uint64_t handle, uint64_t size);
	void (*forget)(void *arg, uint64_t handle);
	/*
	 * Client: have @job done elsewhere, then call vgpu_mirror_copied() in the
	 * mirror's own thread. At most one of each direction at a time.
	 */
	void (*app_copy)(void *arg, struct vgpu_app_job *job);
};

/*
 * @ch: the client's is the peer's end that vgpu_relay_adopt() or
 * vgpu_relay_accept() gave, the worker's the channel of vgpu_remote_create(). It
 * must live longer. The client's goes on from what the channel's memory says, so
 * one that another daemon left half-way can be taken over.
 */
int vgpu_mirror_create(struct vgpu_mirror **out, enum vgpu_role role, struct vgpu_channel *ch,
		       const struct vgpu_mirror_ops *ops, void *arg);
void vgpu_mirror_destroy(struct vgpu_mirror *m);	/* no job may be under way */

/*
 * Client: the number for the next connection's preface, higher than any before,
 * which the channel's memory remembers.
 */
uint64_t vgpu_mirror_next_epoch(struct vgpu_mirror *m);

/* A connection, established, is the session's from here on; the one before is closed. */
int vgpu_mirror_attach(struct vgpu_mirror *m, struct vgpu_stream *s, uint64_t epoch);
void vgpu_mirror_detach(struct vgpu_mirror *m);
bool vgpu_mirror_attached(const struct vgpu_mirror *m);
/* Has the other side said RESUME on this connection? */
bool vgpu_mirror_resumed(const struct vgpu_mirror *m);
const struct vgpu_stream *vgpu_mirror_stream(const struct vgpu_mirror *m);

/*
 * Take what came, at most some 256 KiB. 1: something did, and there may be more; 0:
 * nothing is there, or may be taken now (vgpu_mirror_takes()). The lanes, pulls,
 * stores may have changed.
 */
int vgpu_mirror_receive(struct vgpu_mirror *m);
/*
 * Send what there is to send, at most some 256 KiB. 1: something was sent and
 * there may be more, 0: there is nothing, -EAGAIN: the connection takes no more.
 */
int vgpu_mirror_send(struct vgpu_mirror *m);
/*
 * Does vgpu_mirror_receive() look at the connection, so that 0 means that it has
 * nothing? Not while registered memory is written.
 */
bool vgpu_mirror_takes(const struct vgpu_mirror *m);
/* Has it bytes already that poll(2) does not see any more? */
bool vgpu_mirror_has_input(const struct vgpu_mirror *m);
/* POLLIN, and POLLOUT if vgpu_mirror_send() said -EAGAIN. */
short vgpu_mirror_events(const struct vgpu_mirror *m);
/* Has the local producer, or a head, moved since the last send? A few loads. */
bool vgpu_mirror_pending(const struct vgpu_mirror *m);
/*
 * Must the caller, before it sleeps, ask for a bell when heads move as well (see
 * vgpu_relay_arm())? The other host's producer may wait for the room.
 */
bool vgpu_mirror_wants_room(const struct vgpu_mirror *m);

/* Worker. */
void vgpu_mirror_pull(struct vgpu_mirror *m, struct vgpu_pull *p);
void vgpu_mirror_store(struct vgpu_mirror *m, struct vgpu_store *s);
void vgpu_mirror_forget(struct vgpu_mirror *m, uint64_t handle);
/* The number of the last store that the client has; for tests and logs. */
uint64_t vgpu_mirror_stored(const struct vgpu_mirror *m);

/* Client: a job of app_copy() is done. */
int vgpu_mirror_copied(struct vgpu_mirror *m, struct vgpu_app_job *job);

/* Say BYE, as well as the connection allows without waiting. */
void vgpu_mirror_say_bye(struct vgpu_mirror *m, const char *text);
/* What the other side's BYE said; NULL: it did not. Printable. */
const char *vgpu_mirror_bye(const struct vgpu_mirror *m);
/* What was wrong, and whose fault it was; NULL: nothing. */
const char *vgpu_mirror_fault(const struct vgpu_mirror *m);

/* Counters, for status. */
struct vgpu_mirror_stats {
	uint64_t	bytes_out, bytes_in;	/* payload */
	uint64_t	publishes_out, publishes_in;
	uint64_t	attaches;
};
void vgpu_mirror_stats(const struct vgpu_mirror *m, struct vgpu_mirror_stats *s);

#endif /* VGPU_LINK_MIRROR_H */
