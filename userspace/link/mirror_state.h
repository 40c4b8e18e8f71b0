/* SPDX-License-Identifier: MIT */
/* A mirror's insides, for the files mirror*.c and bulk.c of this folder only. */
#ifndef VGPU_LINK_MIRROR_STATE_H
#define VGPU_LINK_MIRROR_STATE_H

#include <errno.h>
#include <string.h>
#include "channel/relay.h"
#include "channel/ring.h"
#include "link/mirror.h"

#define BATCH_BYTES	(256u << 10)	/* of payload that is sent or taken at once */
#define BATCH_FRAMES	32
#define BATCH_HEADERS	(BATCH_FRAMES * (sizeof(struct vgpu_frame) + sizeof(struct vgpu_resume)))
#define MARKS		8
#define PULLS_MAX	64		/* that a worker may have outstanding */
#define SERVED_MAX	(PULLS_MAX + BATCH_FRAMES)	/* with those whose end is on its way */
#define FAILURES_MAX	64
#define FORGETS_MAX	64

/* A lane that the local producer fills and the connection carries away. */
struct lane_out {
	const struct vgpu_position	*tail_word;	/* the producer's: hostile at the client */
	struct vgpu_position		*head_word;	/* ours: the other host's consumer */
	const uint8_t			*base;
	uint64_t			size;
	uint64_t			tail;		/* as last seen, checked */
	uint64_t			sent;		/* put on this connection */
	uint64_t			head;		/* as last told, checked */
};

/* A lane that the connection fills and the local consumer reads. */
struct lane_in {
	struct vgpu_position		*tail_word;	/* ours */
	const struct vgpu_position	*head_word;	/* the consumer's: hostile at the client */
	uint8_t				*base;
	uint64_t			size;
	uint64_t			put;		/* there, maybe not published */
	uint64_t			tail;		/* published */
	uint64_t			head;		/* as last seen, checked */
	uint64_t			told;		/* head that the other side knows */
};

/*
 * What was seen of the local producers at one time. Records before tail[RECORDS]
 * speak of bytes before tail[BYTES] and of stores up to that number, so all
 * these go first. Several marks are kept so that the first bytes are published
 * while later ones are still being sent.
 */
struct mark {
	uint64_t	tail[VGPU_LANES];
	uint64_t	store;
};

/* Frames on their way out. It is sent whole before another is made. */
struct batch {
	struct iovec	iov[2 * BATCH_FRAMES + 2];
	int		count, first;
	unsigned int	frames;
	uint8_t		headers[BATCH_HEADERS];
	size_t		used;			/* of headers */
};

static inline void batch_reset(struct batch *b)
{
	b->count = b->first = b->frames = b->used = 0;
}

/* Where the parser of frames is: what it fills, and how much of that is there. */
enum stage { STAGE_HEADER, STAGE_BODY, STAGE_PAYLOAD };

union body {
	struct vgpu_resume	resume;
	struct vgpu_publish	publish;
	struct vgpu_pull_wire	pull;
	struct vgpu_data_wire	data;
	struct vgpu_store_wire	store;
	struct vgpu_failed_wire	failed;
};

struct inflow {
	enum stage		stage;
	uint32_t		got, want;	/* bytes of the stage */
	struct vgpu_frame	frame;
	union body		body;
	uint8_t			*to;		/* payload; NULL: nobody wants it */
	uint32_t		start, end;	/* of what is in buffer */
	bool			dry;		/* when that was read, it was all there was */
	uint8_t			buffer[32u << 10];
};

/* ---- the client's half of PULL and STORE (bulk.c) ---- */

struct served {
	struct vgpu_pull_wire	pull;
	uint64_t		number;
	uint64_t		read, sent;	/* bytes */
	const uint8_t		*from;		/* page-locked buffer; NULL: registered */
	bool			forget;		/* its buffer, when the batch is out */
};

enum slot_state { SLOT_FREE, SLOT_READING, SLOT_STALE, SLOT_READY, SLOT_SENDING };

/* Bytes of registered memory between the app and the connection. */
struct slot {
	enum slot_state		state;
	struct vgpu_app_job	job;
	uint64_t		offset;		/* in the pull */
	uint8_t			*bytes;
};

struct failure {
	uint64_t	number;
	uint32_t	what;
	int32_t		error;
};

/* What must outlive the daemon, in the channel's own memory. */
struct kept {
	uint64_t	epoch;
	uint64_t	stored;
	uint64_t	failed;		/* stores that could not be done */
};

struct vgpu_mirror {
	enum vgpu_role			role;
	struct vgpu_channel		*ch;
	const struct vgpu_mirror_ops	*ops;
	void				*arg;
	struct lane_out			out[VGPU_LANES];
	struct lane_in			in[VGPU_LANES];

	struct vgpu_stream		*stream;
	uint64_t			epoch;
	bool				resume_sent, resumed;
	const char			*fault;
	bool				said_bye;
	char				bye[VGPU_BYE_TEXT + 1];
	bool				bye_came;

	struct mark			marks[MARKS];
	unsigned int			first_mark, nmarks;
	struct mark			published;
	struct batch			batch;
	struct inflow			inflow;
	struct vgpu_mirror_stats	stats;

	/* client */
	struct kept			*kept;
	struct served			served[SERVED_MAX];	/* a ring */
	unsigned int			first_served, nserved;
	unsigned int			nserved_done;	/* but for the batch */
	struct slot			slots[2];
	struct vgpu_app_job		store_job;
	uint8_t				*store_bytes;
	bool				storing;	/* the job is under way: nothing is taken */
	struct failure			failures[FAILURES_MAX];
	unsigned int			nfailures;
	uint64_t			told_stored;

	/* worker */
	struct vgpu_pull		*pulls;		/* not done, by number */
	struct vgpu_store		*stores, **last_store;	/* not done, by number */
	struct vgpu_store		*unsent;	/* the first of those */
	uint64_t			pull_last, store_last;	/* numbers given out */
	uint64_t			store_sent, store_done;
	uint64_t			*forgets;
	unsigned int			nforgets, forgets_room;
};

/* ---- mirror.c ---- */

/* The session is over: one of the two sides broke the format. -EPROTO. */
int mirror_fail(struct vgpu_mirror *m, const char *what);
/* Read the producer's tail or the consumer's head: 0, or -EPROTO. */
int mirror_look_tail(struct vgpu_mirror *m, struct lane_out *out);
int mirror_look_head(struct vgpu_mirror *m, struct lane_in *in);
/* The other host's consumer came to @head: 1 if it moved, 0, -EPROTO. */
int mirror_take_head(struct vgpu_mirror *m, struct lane_out *out, uint64_t head);

/* ---- mirror_send.c ---- */

static inline bool batch_has_room(const struct batch *b)
{
	return b->frames < BATCH_FRAMES;
}

/* Add a frame to the batch, which has room. Payload must stay until it was sent. */
void mirror_add(struct vgpu_mirror *m, unsigned int type, unsigned int lane, uint64_t at,
		const void *body, const void *payload, size_t length);

/* ---- bulk.c ---- */

/* Frames that are small and go first. */
void bulk_add_small(struct vgpu_mirror *m);
/* Worker: stores up to number @last while @budget lasts. Are all of them in the batch? */
bool bulk_add_stores(struct vgpu_mirror *m, uint64_t last, size_t *budget);
/* Client: bytes of pulls. */
void bulk_add_data(struct vgpu_mirror *m, size_t budget);
/* The batch is out: its buffers are free. */
void bulk_sent(struct vgpu_mirror *m);
bool bulk_pending(const struct vgpu_mirror *m);
/* May another frame be taken now? */
bool bulk_ready(const struct vgpu_mirror *m);
/* The connection is gone. */
void bulk_detach(struct vgpu_mirror *m);
/* Client: a store that failed before this connection is the session's end. */
void bulk_check_failed(struct vgpu_mirror *m);
/* The other side said what it has. 0 or -EPROTO. */
int bulk_stored(struct vgpu_mirror *m, uint64_t stored);
int bulk_resume(struct vgpu_mirror *m, uint64_t stored);

/* Frames that came: their body is there; then their payload as well. */
int bulk_take_pull(struct vgpu_mirror *m);
int bulk_begin_data(struct vgpu_mirror *m);
int bulk_end_data(struct vgpu_mirror *m);
int bulk_begin_store(struct vgpu_mirror *m);
int bulk_end_store(struct vgpu_mirror *m);
int bulk_take_failed(struct vgpu_mirror *m);
int bulk_take_forget(struct vgpu_mirror *m);

#endif /* VGPU_LINK_MIRROR_STATE_H */
