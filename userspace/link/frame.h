/* SPDX-License-Identifier: MIT */
/*
 * What travels between a client host and a GPU host: the preface that opens
 * every connection and the frames of a session's connection. Little-endian, the
 * same layout on both sides. What the control connection says is in control.h.
 *
 * A session has one connection at a time. Its first frame in each direction is
 * RESUME; after that the two mirrors keep the session's rings alike:
 *
 *	PUT	bytes of a ring, which nobody may look at yet
 *	PUBLISH	how far the rings go, and how far they were read: makes all PUTs
 *		before it visible
 *	PULL	worker to client: send these bytes of the app's memory
 *	DATA	client to worker: bytes that a PULL asked for
 *	STORE	worker to client: bytes for the app's memory, in place
 *	FAILED	client to worker: a STORE or PULL could not be done
 *	FORGET	worker to client: a page-locked buffer is not used any more
 *	BYE	the session is over, and why
 */
#ifndef VGPU_LINK_FRAME_H
#define VGPU_LINK_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define VGPU_WIRE_VERSION	1
#define VGPU_WIRE_PORT		7667
#define VGPU_SESSION_ID		16
#define VGPU_SECRET		32

/* ---- preface: in clear, before TLS if there is TLS ---- */

#define VGPU_PREFACE_MAGIC	0x6c706776u	/* "vgpl" */

enum vgpu_preface_kind {
	VGPU_PREFACE_CONTROL = 1,
	VGPU_PREFACE_SESSION,
};

#define VGPU_PREFACE_PLAIN	0x1u		/* no TLS follows */
#define VGPU_PREFACE_VERBS	0x2u		/* of a session: the client has a verbs device */

/*
 * Of a control connection session, epoch and proof are zero. A connection of a
 * session proves by its preface that it comes from who opened the session, and
 * by an epoch above all before that it is not a copy of an older one; with TLS
 * the handshake, keyed by the same secret, proves it again.
 */
struct vgpu_preface {
	uint32_t	magic;
	uint16_t	version;
	uint16_t	kind;
	uint32_t	flags;
	uint32_t	reserved;		/* zero */
	uint8_t		session[VGPU_SESSION_ID];
	uint64_t	epoch;
	uint8_t		proof[32];		/* HMAC-SHA256 by the secret of all before it */
};

/* NULL: @p, of the length of the struct, is one; else what is wrong with it. */
const char *vgpu_preface_check(const struct vgpu_preface *p);
/* Fill that of a session. */
void vgpu_preface_session(struct vgpu_preface *p, const uint8_t *session,
			  const uint8_t *secret, uint64_t epoch, uint32_t flags);
/* Was it made with that secret? Takes the same time whatever differs. */
int vgpu_preface_proves(const struct vgpu_preface *p, const uint8_t *secret);

/* ---- frames ---- */

enum vgpu_frame_type {
	VGPU_FRAME_RESUME = 1,
	VGPU_FRAME_PUT,
	VGPU_FRAME_PUBLISH,
	VGPU_FRAME_PULL,
	VGPU_FRAME_DATA,
	VGPU_FRAME_STORE,
	VGPU_FRAME_FAILED,
	VGPU_FRAME_FORGET,
	VGPU_FRAME_BYE,
	VGPU_FRAME_TYPES
};

/* Lanes of one direction. */
enum vgpu_wire_lane { VGPU_LANE_RECORDS, VGPU_LANE_BYTES, VGPU_LANES };

/* Payload of a frame is at most this long, so that nothing waits long behind it. */
#define VGPU_FRAME_PAYLOAD	(256u << 10)

struct vgpu_frame {
	uint32_t	length;		/* of all that follows this header */
	uint8_t		type;
	uint8_t		lane;		/* PUT; else zero */
	uint16_t	flags;		/* none yet: zero */
	uint64_t	at;		/* PUT: position in the lane; PULL, DATA: number of
					 * the pull; STORE: of the store, from 1 on; FAILED:
					 * of either; FORGET: handle; else zero */
};

/* RESUME: where the sender is. */
struct vgpu_resume {
	uint64_t	version;		/* VGPU_WIRE_VERSION */
	uint64_t	epoch;			/* of the connection, as in the preface */
	uint64_t	received[VGPU_LANES];	/* published bytes of the lanes that come in */
	uint64_t	head[VGPU_LANES];	/* of those lanes, read by the consumer */
	uint64_t	stored;			/* client: STOREs done; worker: zero */
};

struct vgpu_publish {
	uint64_t	tail[VGPU_LANES];	/* of the sender's lanes */
	uint64_t	head[VGPU_LANES];	/* of the lanes that come in */
	uint64_t	stored;			/* client: STOREs done; worker: zero */
};

/* A place in the app's memory. */
struct vgpu_place_wire {
	uint64_t	handle;		/* of a page-locked buffer; 0: registered memory */
	uint64_t	size;		/* of that buffer; else zero */
	uint64_t	offset;		/* in it; else the address */
};

struct vgpu_pull_wire {
	struct vgpu_place_wire	place;
	uint64_t		length;
};

/* DATA: payload follows, which lies at that offset from the start of the pull. */
struct vgpu_data_wire {
	uint64_t	offset;
};

/* STORE: payload follows. */
struct vgpu_store_wire {
	struct vgpu_place_wire	place;
};

#define VGPU_FAILED_PULL	0
#define VGPU_FAILED_STORE	1

struct vgpu_failed_wire {
	uint32_t	what;
	int32_t		error;		/* -errno */
};

/* BYE: a line of text follows, at most this long, for a log or a user. */
#define VGPU_BYE_TEXT	256

/* Bytes of the fixed body of frames of @type, 0 if there is none. */
size_t vgpu_frame_body(unsigned int type);

/* Who sends it? */
enum vgpu_role { VGPU_ROLE_CLIENT, VGPU_ROLE_WORKER };

/*
 * NULL: @f is the header of a frame that @sender may send, and its length is
 * possible; else what is wrong. A pure function of its arguments.
 */
const char *vgpu_frame_check(const struct vgpu_frame *f, enum vgpu_role sender);

#endif /* VGPU_LINK_FRAME_H */
