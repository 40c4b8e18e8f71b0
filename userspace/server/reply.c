/* SPDX-License-Identifier: MIT */
/* What goes to the client on cq: completions, notices, errors; and lanes. */
#include <errno.h>
#include <string.h>
#include "proto/marshal.h"
#include "server/worker.h"

/* ---- replies ---- */

void *vgpu_reply_out(struct vgpu_reply *p, size_t fixed)
{
	memset(p->bytes, 0, fixed);
	p->length = fixed;
	return p->bytes;
}

void vgpu_reply_bytes(struct vgpu_reply *p, const void *bytes, size_t length)
{
	/* The spec's bounds add up to less; a larger call needs a larger reply. */
	if (length > sizeof(p->bytes) - p->length - 8)
		length = sizeof(p->bytes) - p->length - 8;
	vgpu_put_bytes(p->bytes + p->length, bytes, length);
	p->length += vgpu_pad8(length);
}

/* ---- records of cq ---- */

struct room {
	struct vgpu_channel	*channel;
	size_t			length;
};

static bool room_ready(void *arg)
{
	struct room *r = arg;

	return vgpu_record_room(r->channel, r->length);
}

/* w->cq is held. NULL: the channel is lost, and nobody reads any more. */
static void *reserve(struct vgpu_worker *w, size_t length)
{
	struct room room = { w->channel, length };
	void *at;

	while (unlikely(!(at = vgpu_record_reserve(w->channel, length)))) {
		if (errno != EAGAIN || vgpu_channel_wait(w->channel, room_ready, &room, -1))
			return NULL;
	}
	return at;
}

static void send_record(struct vgpu_worker *w, uint16_t opcode, const void *record, size_t length)
{
	uint8_t *at;

	pthread_mutex_lock(&w->cq);
	at = reserve(w, length);
	if (likely(at)) {
		memcpy(at + sizeof(struct vgpu_record),
		       (const uint8_t *)record + sizeof(struct vgpu_record),
		       length - sizeof(struct vgpu_record));
		vgpu_record_commit(w->channel, opcode, 0);
	}
	pthread_mutex_unlock(&w->cq);
}

void vgpu_complete(struct vgpu_worker *w, const struct vgpu_request *q, CUresult status,
		   struct vgpu_reply *p)
{
	struct vgpu_completion none = {}, *c = &none;
	size_t length = sizeof(none);

	if (p && p->length) {
		c = (struct vgpu_completion *)p->bytes;
		length = p->length;
	}
	c->seq = q->r.seq;
	c->status = status;
	send_record(w, q->r.opcode, c, length);
}

void vgpu_notify(struct vgpu_worker *w, uint16_t opcode, void *record, size_t length)
{
	send_record(w, opcode, record, length);
}

/* ---- errors of asynchronous calls ---- */

static bool seen(struct vgpu_worker *w, uint64_t ctx, CUresult status)
{
	const unsigned room = sizeof(w->errors) / sizeof(w->errors[0]);
	bool found = false;

	pthread_mutex_lock(&w->life);
	for (unsigned i = 0; i < w->nerrors && !found; i++)
		found = w->errors[i].ctx == ctx && w->errors[i].status == status;
	/* Without room it is told again: too often is better than never. */
	if (!found && w->nerrors < room)
		w->errors[w->nerrors++] = (struct vgpu_error_seen){ ctx, status };
	pthread_mutex_unlock(&w->life);
	return found;
}

void vgpu_error(struct vgpu_worker *w, uint64_t ctx, CUresult status, uint64_t seq,
		uint16_t opcode)
{
	struct vgpu_notice_error n = {
		.seq = seq, .ctx = ctx, .status = status, .opcode = opcode,
	};

	if (!vgpu_status_sticky(status) || !seen(w, ctx, status))
		send_record(w, VGPU_NOTICE_ERROR, &n, sizeof(n));
}

void vgpu_errors_forget(struct vgpu_worker *w, uint64_t ctx)
{
	unsigned kept = 0;

	pthread_mutex_lock(&w->life);
	for (unsigned i = 0; i < w->nerrors; i++)
		if (w->errors[i].ctx != ctx)
			w->errors[kept++] = w->errors[i];
	w->nerrors = kept;
	pthread_mutex_unlock(&w->life);
}

/* ---- lanes ---- */

void vgpu_lane_init(struct vgpu_lane *l)
{
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->turn, NULL);
	l->next = l->serving = 0;
}

void vgpu_lane_enter(struct vgpu_lane *l)
{
	uint64_t ticket;

	pthread_mutex_lock(&l->lock);
	ticket = l->next++;
	while (l->serving != ticket)
		pthread_cond_wait(&l->turn, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

bool vgpu_lane_try(struct vgpu_lane *l)
{
	bool free;

	pthread_mutex_lock(&l->lock);
	free = l->serving == l->next;
	l->next += free;
	pthread_mutex_unlock(&l->lock);
	return free;
}

void vgpu_lane_leave(struct vgpu_lane *l)
{
	pthread_mutex_lock(&l->lock);
	l->serving++;
	if (l->serving != l->next)
		pthread_cond_broadcast(&l->turn);
	pthread_mutex_unlock(&l->lock);
}

bool vgpu_lane_wanted(struct vgpu_lane *l)
{
	bool wanted;

	pthread_mutex_lock(&l->lock);
	wanted = l->next != l->serving + 1;
	pthread_mutex_unlock(&l->lock);
	return wanted;
}
