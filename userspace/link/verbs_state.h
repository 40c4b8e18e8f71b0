/* SPDX-License-Identifier: MIT */
/*
 * What the files of streams by RDMA share: verbs.c (messages and bytes),
 * verbs_handshake.c (what the ends tell each other first), verbs_device.c (the queue
 * pair and what it needs). Nobody else includes this.
 */
#ifndef VGPU_LINK_VERBS_STATE_H
#define VGPU_LINK_VERBS_STATE_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <infiniband/verbs.h>
#include "link/secure.h"
#include "link/verbs.h"

#define SLOTS		32u		/* messages each way */
#define SLOT_BYTES	(32u << 10)
#define POOL_BYTES	(SLOTS * SLOT_BYTES)

#define OFFER_MAGIC	0x76706776u	/* "vgpv" */
#define OFFER_VERSION	1

/* What one end tells the other of its queue pair. Little-endian. */
struct offer {
	uint32_t	magic;
	uint16_t	version;
	uint8_t		usable;		/* 0: there is none; all below is zero */
	uint8_t		mtu;		/* enum ibv_mtu of the port */
	uint32_t	qpn, psn;
	uint8_t		gid[16];
	uint32_t	lid;		/* 0: RoCE */
	uint32_t	slots, slot_bytes;
	uint32_t	reserved[5];	/* zero */
};

struct header {
	uint32_t	credits;
	uint32_t	probe;		/* PROBE in the first message, then zero */
};

#define PROBE		0x70726f62u

enum step { SHAKE, OFFER, READY, PROVE, VERDICT, LIVE, SOCKET };

/* A few bytes over the socket, each way. */
struct words {
	uint8_t		bytes[sizeof(struct offer)];
	size_t		done, length;
};

/* Of a completion queue. */
struct side {
	bool	armed;		/* an event comes with the next completion, or is there */
	bool	due;		/* a completion was seen since */
};

/* A message that came: what is left of it. */
struct came {
	uint32_t	slot, at, end;
};

struct vgpu_verbs {
	enum step		step;
	char			note[VGPU_LINE];
	int			poll;		/* epoll(7): socket and completions */
	struct words		out, in;
	bool			sent, came;	/* the probe */

	struct ibv_context	*device;
	struct ibv_pd		*pd;
	struct ibv_comp_channel	*events;
	struct ibv_cq		*sends, *receives;
	struct ibv_qp		*qp;
	struct ibv_mr		*region;
	uint8_t			*pool;		/* receives, then sends */
	uint8_t			port, gid_index, mtu;
	union ibv_gid		gid;
	uint32_t		lid, psn;
	struct offer		other;

	struct side		came_side, sent_side;
	unsigned int		looks;		/* that found nothing */
	bool			broken;		/* the queue pair: a completion said so */
	uint32_t		posted, freed;	/* sends */
	uint32_t		credits;	/* receives of the other side that are left */
	uint32_t		owed;		/* receives posted anew that it does not know */
	struct came		inbox[SLOTS];	/* not read whole, in their order */
	uint32_t		first, count;
};
/* ---- verbs_device.c ---- */

/* Why it does not go by RDMA; the first reason counts. -@err. */
int verbs_give_up(struct vgpu_verbs *v, const char *what, int err);
/* The device and port with the address of this end of socket @fd. */
int verbs_open_device(struct vgpu_verbs *v, int fd);
/* A queue pair with all receives posted. */
int verbs_make_pair(struct vgpu_verbs *v);
int verbs_post_receive(struct vgpu_verbs *v, uint32_t slot);
/* NULL: @o is an offer, else what is wrong with it. A pure function. */
const char *verbs_check_offer(const struct offer *o);
/* Towards v->other. */
int verbs_connect(struct vgpu_verbs *v);
/* All that there is of the above. */
void verbs_close_device(struct vgpu_verbs *v);

/* ---- verbs.c ---- */

/* The first message: nothing but what proves that messages arrive. */
int verbs_send_probe(struct vgpu_verbs *v);
/* What the device has done. 0, or the stream's failure. */
int verbs_poll(struct vgpu_stream *s);
/*
 * Before the caller goes to sleep: have the device tell of the next completion, and
 * look once more, since one may have come before it was asked.
 */
int verbs_arm(struct vgpu_stream *s, bool sends);

#endif /* VGPU_LINK_VERBS_STATE_H */
