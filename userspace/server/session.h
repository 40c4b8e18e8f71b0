/* SPDX-License-Identifier: MIT */
/*
 * Between the server and the worker of a session whose client is on another
 * host: messages on a unix socket (SOCK_SEQPACKET), the server's to the worker.
 * START is the first; each ATTACH has a connected socket with it, whose preface
 * was read and found good. The end of the socket is the end of the session.
 */
#ifndef VGPU_SERVER_SESSION_H
#define VGPU_SERVER_SESSION_H

#include <stdint.h>
#include <linux/vgpu.h>
#include "link/frame.h"

enum vgpu_session_kind {
	VGPU_SESSION_START = 1,
	VGPU_SESSION_ATTACH,
	VGPU_SESSION_END,
};

struct vgpu_session_message {
	uint32_t		kind;
	/* START */
	uint32_t		grace;		/* seconds without a connection */
	struct vgpu_ring_sizes	sizes;
	uint8_t			session[VGPU_SESSION_ID];
	uint8_t			secret[VGPU_SECRET];
	uint32_t		uid, gid;	/* for the worker to be, if it is root: a
						 * user of its own, the group of its tenant */
	char			tenant[65];	/* whose images its cache holds, a file name */
	uint8_t			reserved[3];
	/* ATTACH */
	uint32_t		flags;		/* of the preface */
	uint64_t		epoch;
	/* END: what to tell the client */
	char			text[VGPU_BYE_TEXT];
};

#endif /* VGPU_SERVER_SESSION_H */
