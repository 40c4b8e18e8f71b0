/* SPDX-License-Identifier: MIT */
/*
 * See verbs.h: messages, and the bytes in them. Every message starts with a word that
 * says how many receives its sender has posted anew since the last one: credits. A
 * sender that has none left waits; two are kept for messages of nothing but credits,
 * one of which is sent when half of the receives were posted anew and nothing else
 * goes that way. So a receive is always there before its message, and nobody waits
 * for ever: between two messages of credits half of all receives were used by the
 * other side.
 */
#include <poll.h>
#include <stdlib.h>
#include "link/verbs_state.h"

#define KEPT		2u		/* credits for messages of credits */
#define SIGNAL_EVERY	8u		/* of sends that a completion is asked for */
#define CLOSE_MS	100
#define LOOKS		64u		/* for messages, to one at the socket */
#define ROOM		(SLOT_BYTES - sizeof(struct header))

/* ---- messages ---- */

static uint32_t sends_free(const struct vgpu_verbs *v)
{
	return SLOTS - (v->posted - v->freed);
}

/* The next message's bytes, behind its header. */
static uint8_t *next_send(struct vgpu_verbs *v)
{
	return v->pool + POOL_BYTES + v->posted % SLOTS * SLOT_BYTES + sizeof(struct header);
}

/* @n bytes are there; there is a credit and a slot. */
static int post_send(struct vgpu_verbs *v, size_t n, uint32_t probe, bool signal)
{
	struct header h = { .credits = v->owed, .probe = probe };
	struct ibv_sge e = {
		.addr = (uintptr_t)next_send(v) - sizeof(h), .length = sizeof(h) + n,
		.lkey = v->region->lkey,
	};
	struct ibv_send_wr wr = {
		.wr_id = v->posted + 1, .sg_list = &e, .num_sge = 1, .opcode = IBV_WR_SEND,
	}, *bad;

	if (signal || wr.wr_id % SIGNAL_EVERY == 0)
		wr.send_flags = IBV_SEND_SIGNALED;
	memcpy((void *)(uintptr_t)e.addr, &h, sizeof(h));
	if (ibv_post_send(v->qp, &wr, &bad))
		return -EPIPE;
	v->posted++;
	v->credits--;
	v->owed = 0;
	return 0;
}

int verbs_send_probe(struct vgpu_verbs *v)
{
	return post_send(v, 0, PROBE, true);
}

static int lost(struct vgpu_stream *s, const struct ibv_wc *wc)
{
	s->verbs->broken = true;
	return vgpu_stream_fail(s, -EPIPE, "RDMA: %s", ibv_wc_status_str(wc->status));
}

/* A message came: its header is the other side's, and hostile. */
static int take_message(struct vgpu_stream *s, const struct ibv_wc *wc)
{
	struct vgpu_verbs *v = s->verbs;
	uint32_t slot = wc->wr_id;
	struct header h;

	if (wc->opcode != IBV_WC_RECV || wc->byte_len < sizeof(h) || wc->byte_len > SLOT_BYTES)
		return vgpu_stream_fail(s, -EPROTO, "RDMA: a message that cannot be");
	memcpy(&h, v->pool + slot * SLOT_BYTES, sizeof(h));
	if (h.credits > SLOTS - v->credits || h.probe != (v->came ? 0 : PROBE))
		return vgpu_stream_fail(s, -EPROTO, "RDMA: a message with a bad header");
	v->credits += h.credits;
	v->came = true;
	if (wc->byte_len > sizeof(h)) {
		v->inbox[(v->first + v->count++) % SLOTS] =
			(struct came){ slot, sizeof(h), wc->byte_len };
		return 0;
	}
	v->owed++;
	if (verbs_post_receive(v, slot))
		return vgpu_stream_fail(s, -EPIPE, "RDMA: a receive");
	return 0;
}

/* Tell of receives posted anew when nothing else does. */
static int send_credits(struct vgpu_stream *s)
{
	struct vgpu_verbs *v = s->verbs;

	if (v->owed < SLOTS / 2 || !v->credits || !sends_free(v))
		return 0;
	return post_send(v, 0, 0, false) ? vgpu_stream_fail(s, -EPIPE, "RDMA: sending") : 0;
}

int verbs_poll(struct vgpu_stream *s)
{
	struct vgpu_verbs *v = s->verbs;
	struct ibv_wc wc;
	int n;

	while ((n = ibv_poll_cq(v->sends, 1, &wc)) > 0) {
		v->sent_side.due = v->sent_side.armed;
		if (wc.status)
			return lost(s, &wc);
		v->freed = wc.wr_id;
		v->sent = true;
	}
	while (!n && (n = ibv_poll_cq(v->receives, 1, &wc)) > 0) {
		int err = wc.status ? lost(s, &wc) : take_message(s, &wc);

		v->came_side.due = v->came_side.armed;
		if (err)
			return err;
		n = 0;
	}
	if (n < 0)
		return vgpu_stream_fail(s, -EPIPE, "RDMA: the device is gone");
	return v->step >= LIVE ? send_credits(s) : 0;
}

static int arm_side(struct ibv_cq *cq, struct side *side)
{
	if (side->armed)
		return 0;
	side->armed = true;
	return ibv_req_notify_cq(cq, 0);
}

int verbs_arm(struct vgpu_stream *s, bool sends)
{
	struct vgpu_verbs *v = s->verbs;
	struct ibv_cq *cq;
	void *which;

	/* The event may come later than the completion that it is for. */
	while ((v->sent_side.due || v->came_side.due) &&
	       !ibv_get_cq_event(v->events, &cq, &which)) {
		*(struct side *)which = (struct side){};
		ibv_ack_cq_events(cq, 1);
	}
	if (arm_side(v->receives, &v->came_side) ||
	    (sends && arm_side(v->sends, &v->sent_side)))
		return vgpu_stream_fail(s, -EPIPE, "RDMA: asking for events");
	return verbs_poll(s);
}

/* ---- bytes ---- */

/* The socket says nothing any more; but it shows when the other side is gone. */
static int look_at_socket(struct vgpu_stream *s)
{
	char byte;
	ssize_t n = vgpu_stream_socket_read(s, &byte, 1);

	if (n > 0)
		return vgpu_stream_fail(s, -EPROTO, "bytes on a socket that has RDMA beside it");
	return n;
}

static size_t take_bytes(struct vgpu_verbs *v, uint8_t *to, size_t n)
{
	size_t taken = 0;

	while (taken < n && v->count) {
		struct came *c = &v->inbox[v->first];
		uint32_t left = c->end - c->at, part = left < n - taken ? left : n - taken;

		memcpy(to + taken, v->pool + c->slot * SLOT_BYTES + c->at, part);
		taken += part;
		c->at += part;
		if (part < left)
			break;
		v->first = (v->first + 1) % SLOTS;
		v->count--;
		v->owed++;
		v->broken |= verbs_post_receive(v, c->slot) != 0;
	}
	return taken;
}

ssize_t vgpu_verbs_read(struct vgpu_stream *s, void *to, size_t n)
{
	struct vgpu_verbs *v = s->verbs;
	int err = v->count ? 0 : verbs_poll(s);
	size_t taken;

	if (!err && !v->count)
		err = verbs_arm(s, s->blocked);
	if (!err && !v->count)
		err = ++v->looks % LOOKS ? -EAGAIN : look_at_socket(s);
	if (err)
		return err;
	taken = take_bytes(v, to, n);
	if (v->broken)
		return vgpu_stream_fail(s, -EPIPE, "RDMA: a receive");
	err = send_credits(s);
	return err ? err : (ssize_t)taken;
}

/* Is there room for a message, now or after a look? */
static int want_room(struct vgpu_stream *s)
{
	struct vgpu_verbs *v = s->verbs;
	int err = 0;

	for (int look = 0; !vgpu_verbs_has_room(v); look++) {
		if (err || look == 2)
			return err ? err : -EAGAIN;
		err = look ? verbs_arm(s, true) : verbs_poll(s);
	}
	return 0;
}

/* Bytes that are to be written: where in them we are. */
struct cursor {
	const struct iovec	*iov;
	int			n;
	size_t			at;
};

static size_t gather(struct cursor *c, uint8_t *to)
{
	size_t used = 0;

	while (c->n && used < ROOM) {
		size_t left = c->iov->iov_len - c->at;
		size_t part = left < ROOM - used ? left : ROOM - used;

		memcpy(to + used, (uint8_t *)c->iov->iov_base + c->at, part);
		used += part;
		c->at += part;
		if (c->at < c->iov->iov_len)
			continue;
		c->at = 0;
		c->iov++;
		c->n--;
	}
	return used;
}

ssize_t vgpu_verbs_write(struct vgpu_stream *s, const struct iovec *iov, int n)
{
	struct vgpu_verbs *v = s->verbs;
	struct cursor c = { iov, n, 0 };
	size_t all = 0;
	int err = 0;

	while (c.n && !(err = want_room(s))) {
		size_t used = gather(&c, next_send(v));

		if (used && post_send(v, used, 0, false))
			return vgpu_stream_fail(s, -EPIPE, "RDMA: sending");
		all += used;
	}
	if (err && err != -EAGAIN)
		return err;
	return all ? (ssize_t)all : -EAGAIN;
}

/* ---- life ---- */

static void drain(struct vgpu_stream *s)
{
	struct vgpu_verbs *v = s->verbs;
	struct ibv_wc wc;

	if (s->failed || v->broken || v->posted == v->freed || !v->credits || !sends_free(v) ||
	    post_send(v, 0, 0, true))
		return;
	for (int ms = 0; ms < CLOSE_MS && v->posted != v->freed; ms++) {
		int n = ibv_poll_cq(v->sends, 1, &wc);

		if (n < 0 || (n > 0 && wc.status))
			return;
		if (n)
			v->freed = wc.wr_id;
		else
			poll(NULL, 0, 1);
	}
}

void vgpu_verbs_close(struct vgpu_stream *s)
{
	struct vgpu_verbs *v = s->verbs;

	if (v->step == LIVE)
		drain(s);
	verbs_close_device(v);
	close(v->poll);
	free(v);
	s->verbs = NULL;
}

bool vgpu_verbs_live(const struct vgpu_verbs *v)
{
	return v && v->step == LIVE;
}

bool vgpu_verbs_over(const struct vgpu_verbs *v)
{
	return v->step == SOCKET;
}

int vgpu_verbs_fd(const struct vgpu_verbs *v)
{
	return v->poll;
}

bool vgpu_verbs_has_room(const struct vgpu_verbs *v)
{
	return v->credits > KEPT && sends_free(v);
}

bool vgpu_verbs_pending(const struct vgpu_verbs *v)
{
	return v->count || !v->came_side.armed;
}
