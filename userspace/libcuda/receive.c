/* SPDX-License-Identifier: MIT */
/*
 * What comes back: completions to the threads that wait for them, bytes of
 * down to the buffers of their transfers, errors to their contexts, host
 * functions to their thread, a kernel's output to stdout and stderr. Whoever
 * waits receives for everybody. The worker is not trusted more than the app
 * trusts any server: every length and position is checked here or below.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libcuda/context.h"
#include "libcuda/hostfn.h"
#include "libcuda/output.h"
#include "libcuda/receive.h"
#include "libcuda/submit.h"

void vgpu_wait_add(struct vgpu_wait *w)
{
	struct vgpu_session *s = w->session;

	pthread_mutex_lock(&s->waits);
	w->next = s->waiting;
	s->waiting = w;
	pthread_mutex_unlock(&s->waits);
}

void vgpu_wait_remove(struct vgpu_wait *w)
{
	struct vgpu_session *s = w->session;

	pthread_mutex_lock(&s->waits);
	for (struct vgpu_wait **p = &s->waiting; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			break;
		}
	}
	pthread_mutex_unlock(&s->waits);
}

void vgpu_transfer_add(struct vgpu_session *s, struct vgpu_transfer *t)
{
	t->id = atomic_fetch_add(&s->next_transfer, 1) + 1;
	t->received = 0;
	pthread_mutex_lock(&s->waits);
	t->next = s->transfers;
	s->transfers = t;
	pthread_mutex_unlock(&s->waits);
}

void vgpu_transfer_remove(struct vgpu_session *s, struct vgpu_transfer *t)
{
	/* Under the receiver's lock: nobody copies to its buffer any more. */
	pthread_mutex_lock(&s->receive);
	pthread_mutex_lock(&s->waits);
	for (struct vgpu_transfer **p = &s->transfers; *p; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			break;
		}
	}
	pthread_mutex_unlock(&s->waits);
	pthread_mutex_unlock(&s->receive);
	vgpu_receive(s);
}

static bool complete(struct vgpu_session *s, const struct vgpu_completion *c, size_t length)
{
	struct vgpu_wait *w;
	bool good;

	if (length < sizeof(*c))
		return false;
	pthread_mutex_lock(&s->waits);
	for (w = s->waiting; w; w = w->next)
		if (w->seq == c->seq)
			break;
	good = w && w->opcode == c->r.opcode && !w->done;
	if (good) {
		w->length = length < w->room ? length : w->room;
		memcpy(w->reply, c, w->length);
		atomic_store_explicit(&w->done, true, memory_order_release);
	}
	pthread_mutex_unlock(&s->waits);
	vgpu_channel_kick(s->channel);
	return good;
}

static const void *chunk_at(struct vgpu_session *s, const struct vgpu_chunk *c)
{
	if (!c->length || c->length > VGPU_CHUNK_MAX || c->reserved)
		return NULL;
	return vgpu_bytes_at(s->channel, c->pos, c->length);
}

static bool data(struct vgpu_session *s, const struct vgpu_notice_data *n, size_t length)
{
	const void *bytes = length == sizeof(*n) ? chunk_at(s, &n->chunk) : NULL;
	struct vgpu_transfer *t;
	bool good;

	if (!bytes)
		return false;
	pthread_mutex_lock(&s->waits);
	for (t = s->transfers; t; t = t->next)
		if (t->id == n->transfer)
			break;
	pthread_mutex_unlock(&s->waits);
	good = t && n->offset == t->received && n->chunk.length <= t->length - t->received;
	if (good) {
		memcpy(t->to + t->received, bytes, n->chunk.length);
		t->received += n->chunk.length;
	}
	vgpu_bytes_release(s->channel, n->chunk.pos, n->chunk.length);
	return good;
}

static bool output(struct vgpu_session *s, const struct vgpu_notice_output *n, size_t length)
{
	const void *bytes = length == sizeof(*n) ? chunk_at(s, &n->chunk) : NULL;

	if (!bytes)
		return false;
	vgpu_output_keep(n->fd, bytes, n->chunk.length);
	vgpu_bytes_release(s->channel, n->chunk.pos, n->chunk.length);
	return true;
}

static bool deliver(struct vgpu_session *s, size_t length)
{
	const struct vgpu_record *r = s->record;

	switch (r->opcode) {
	case VGPU_NOTICE_DATA:
		return data(s, s->record, length);
	case VGPU_NOTICE_OUTPUT:
		return output(s, s->record, length);
	case VGPU_NOTICE_HOSTFN:
		return length == sizeof(struct vgpu_notice_hostfn) &&
		       vgpu_hostfn_due(s, s->record);
	case VGPU_NOTICE_ERROR:
		if (length != sizeof(struct vgpu_notice_error))
			return false;
		vgpu_context_error(s, s->record);
		return true;
	default:
		return complete(s, s->record, length);
	}
}

static void receive_all(struct vgpu_session *s)
{
	int n;

	while (!vgpu_output_full() &&
	       (n = vgpu_record_receive(s->channel, s->record, s->record_room)) > 0) {
		if (deliver(s, n))
			continue;
		fprintf(stderr, "vgpu: the worker sent a record that makes no sense (opcode %u)\n",
			((struct vgpu_record *)s->record)->opcode);
		vgpu_channel_shutdown(s->channel);
		break;
	}
}

void vgpu_receive(struct vgpu_session *s)
{
	do {
		/* Somebody else receives: it wakes us if what came was ours. */
		if (pthread_mutex_trylock(&s->receive))
			return;
		receive_all(s);
		pthread_mutex_unlock(&s->receive);
		vgpu_output_write();
		/*
		 * A record may have come after the last look, and its waiter
		 * gone to sleep because the lock was held: look once more,
		 * not before the unlock can be seen.
		 */
		atomic_thread_fence(memory_order_seq_cst);
	} while (vgpu_record_pending(s->channel) && !vgpu_channel_lost(s->channel) &&
		 !vgpu_output_full());
}

struct until {
	struct vgpu_session	*s;
	bool			(*ready)(void *arg);
	void			*arg;
};

static bool until_ready(void *arg)
{
	struct until *u = arg;

	if (vgpu_record_pending(u->s->channel))
		vgpu_receive(u->s);
	return u->ready(u->arg);
}

int vgpu_receive_until(struct vgpu_session *s, bool (*ready)(void *arg), void *arg)
{
	struct until u = { s, ready, arg };

	return vgpu_channel_wait(s->channel, until_ready, &u, -1);
}
