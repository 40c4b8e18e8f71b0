/* SPDX-License-Identifier: MIT */
/*
 * A mirror's life: which memory it keeps alike, its connections one after the
 * other, and the checks of positions. See mirror.h; the way out is mirror_send.c's,
 * the way in mirror_receive.c's, PULL and STORE are bulk.c's.
 */
#include <poll.h>
#include <stdlib.h>
#include "link/mirror_state.h"

_Static_assert(sizeof(struct kept) <= VGPU_CHANNEL_KEPT, "fits");

static void out_set(struct lane_out *out, const struct vgpu_position *tail,
		    struct vgpu_position *head, const uint8_t *base, uint64_t size)
{
	*out = (struct lane_out){
		.tail_word = tail, .head_word = head, .base = base, .size = size,
		.head = head->value,
	};
	out->tail = out->sent = out->head;
}

static void in_set(struct lane_in *in, struct vgpu_position *tail,
		   const struct vgpu_position *head, uint8_t *base, uint64_t size)
{
	*in = (struct lane_in){
		.tail_word = tail, .head_word = head, .base = base, .size = size,
		.tail = tail->value,
	};
	in->put = in->tail;
}

/* The client plays the peer of its channel, the worker the app of its own. */
static void lanes_set(struct vgpu_mirror *m, const struct vgpu_channel_view *v)
{
	const struct vgpu_ring_sizes *s = &v->sizes;

	if (m->role == VGPU_ROLE_CLIENT) {
		out_set(&m->out[VGPU_LANE_RECORDS], &v->app->sq_tail, &v->peer->sq_head, v->sq,
			s->sq);
		out_set(&m->out[VGPU_LANE_BYTES], &v->app->up_tail, &v->peer->up_head, v->up,
			s->up);
		in_set(&m->in[VGPU_LANE_RECORDS], &v->peer->cq_tail, &v->app->cq_head, v->cq,
		       s->cq);
		in_set(&m->in[VGPU_LANE_BYTES], &v->peer->down_tail, &v->app->down_head, v->down,
		       s->down);
	} else {
		out_set(&m->out[VGPU_LANE_RECORDS], &v->peer->cq_tail, &v->app->cq_head, v->cq,
			s->cq);
		out_set(&m->out[VGPU_LANE_BYTES], &v->peer->down_tail, &v->app->down_head, v->down,
			s->down);
		in_set(&m->in[VGPU_LANE_RECORDS], &v->app->sq_tail, &v->peer->sq_head, v->sq,
		       s->sq);
		in_set(&m->in[VGPU_LANE_BYTES], &v->app->up_tail, &v->peer->up_head, v->up, s->up);
	}
}

/*
 * The first look at a consumer's head has nothing before it to be compared with:
 * another daemon may have served the channel. It cannot be further back than the
 * ring is long.
 */
static int first_heads(struct vgpu_mirror *m)
{
	for (int i = 0; i < VGPU_LANES; i++) {
		struct lane_in *in = &m->in[i];

		in->head = ring_load_head(in->head_word);
		in->told = in->head;
		if (in->tail - in->head > in->size)
			return mirror_fail(m, "the program's rings are not in order");
	}
	return 0;
}

int vgpu_mirror_create(struct vgpu_mirror **out, enum vgpu_role role, struct vgpu_channel *ch,
		       const struct vgpu_mirror_ops *ops, void *arg)
{
	struct vgpu_mirror *m = calloc(1, sizeof(*m));
	struct vgpu_channel_view view;

	if (!m)
		return -ENOMEM;
	vgpu_channel_view(ch, &view);
	m->role = role;
	m->ch = ch;
	m->ops = ops;
	m->arg = arg;
	m->last_store = &m->stores;
	lanes_set(m, &view);
	if (role == VGPU_ROLE_CLIENT) {
		m->kept = view.kept;
		m->told_stored = m->kept->stored;
		bulk_check_failed(m);
	}
	if (first_heads(m)) {
		free(m);
		return -EPROTO;
	}
	*out = m;
	return 0;
}

void vgpu_mirror_destroy(struct vgpu_mirror *m)
{
	if (!m)
		return;
	vgpu_mirror_detach(m);
	for (int i = 0; i < 2; i++)
		free(m->slots[i].bytes);
	free(m->store_bytes);
	free(m->forgets);
	free(m);
}

int mirror_fail(struct vgpu_mirror *m, const char *what)
{
	if (!m->fault)
		m->fault = what;
	return -EPROTO;
}

/* ---- positions ---- */

int mirror_look_tail(struct vgpu_mirror *m, struct lane_out *out)
{
	uint64_t tail = ring_load_tail(out->tail_word);

	if (tail - out->head > out->size || tail - out->head < out->tail - out->head)
		return mirror_fail(m, "the program moved a tail back or past its ring");
	out->tail = tail;
	return 0;
}

int mirror_look_head(struct vgpu_mirror *m, struct lane_in *in)
{
	uint64_t head = ring_load_head(in->head_word);

	if (head - in->head > in->tail - in->head)
		return mirror_fail(m, "the program moved a head back or past its tail");
	in->head = head;
	return 0;
}

int mirror_take_head(struct vgpu_mirror *m, struct lane_out *out, uint64_t head)
{
	if (head - out->head > out->sent - out->head)
		return mirror_fail(m, "the other host moved a head back or past what it has");
	if (head == out->head)
		return 0;
	out->head = head;
	ring_store_head(out->head_word, head);
	return 1;
}

/* ---- connections ---- */

uint64_t vgpu_mirror_next_epoch(struct vgpu_mirror *m)
{
	uint64_t epoch = m->kept->epoch + 1;

	/* Before it is used: who comes after a sudden end uses a higher one. */
	__atomic_store_n(&m->kept->epoch, epoch, __ATOMIC_RELEASE);
	return epoch;
}

int vgpu_mirror_attach(struct vgpu_mirror *m, struct vgpu_stream *s, uint64_t epoch)
{
	vgpu_mirror_detach(m);
	if (m->fault || m->bye_came) {
		vgpu_stream_close(s);
		return m->fault ? -EPROTO : -ESHUTDOWN;
	}
	m->stream = s;
	m->epoch = epoch;
	m->stats.attaches++;
	return 0;
}

/* What came and was not published, and what was sent, was never there. */
void vgpu_mirror_detach(struct vgpu_mirror *m)
{
	if (!m->stream)
		return;
	vgpu_stream_close(m->stream);
	m->stream = NULL;
	m->resume_sent = m->resumed = false;
	batch_reset(&m->batch);
	m->inflow.stage = STAGE_HEADER;
	m->inflow.got = m->inflow.want = 0;
	m->inflow.start = m->inflow.end = 0;
	m->inflow.dry = false;
	for (int i = 0; i < VGPU_LANES; i++)
		m->in[i].put = m->in[i].tail;
	m->nmarks = 0;
	bulk_detach(m);
}

bool vgpu_mirror_attached(const struct vgpu_mirror *m)
{
	return m->stream;
}

bool vgpu_mirror_resumed(const struct vgpu_mirror *m)
{
	return m->resumed;
}

const struct vgpu_stream *vgpu_mirror_stream(const struct vgpu_mirror *m)
{
	return m->stream;
}

/* ---- for the caller's loop ---- */

bool vgpu_mirror_takes(const struct vgpu_mirror *m)
{
	return bulk_ready(m);
}

bool vgpu_mirror_has_input(const struct vgpu_mirror *m)
{
	return m->stream && (m->inflow.start != m->inflow.end || vgpu_stream_pending(m->stream));
}

short vgpu_mirror_events(const struct vgpu_mirror *m)
{
	short events = 0;

	if (!m->stream)
		return 0;
	/* TLS may have to write before it reads; bytes that nobody takes need no event. */
	if (bulk_ready(m))
		events |= vgpu_stream_events(m->stream);
	if (m->batch.count)
		events |= vgpu_stream_room_events(m->stream);
	return events;
}

static bool out_moved(const struct lane_out *out, uint64_t published)
{
	return ring_peek(out->tail_word) != published;
}

/* Is a head worth a message of its own? */
static bool head_due(const struct lane_in *in, int lane, uint64_t head)
{
	uint64_t untold = head - in->told;

	/*
	 * A record needs half of its ring at most, with what is skipped at the end; bytes
	 * may need all of it. So the last are told when all is read, and a producer
	 * never sleeps for room that there is.
	 */
	if (!untold)
		return false;
	return untold >= in->size / 4 || (lane == VGPU_LANE_BYTES && head == in->tail);
}

bool vgpu_mirror_pending(const struct vgpu_mirror *m)
{
	if (!m->stream)
		return false;
	/* The other side's RESUME may come while a store keeps us from ours. */
	if (!m->resumed || !m->resume_sent)
		return m->batch.count || (!m->resume_sent && !m->storing);
	if (m->batch.count || m->nmarks || bulk_pending(m))
		return true;
	for (int i = 0; i < VGPU_LANES; i++)
		if (out_moved(&m->out[i], m->published.tail[i]) ||
		    head_due(&m->in[i], i, ring_peek(m->in[i].head_word)))
			return true;
	return false;
}

bool vgpu_mirror_wants_room(const struct vgpu_mirror *m)
{
	const struct lane_in *records = &m->in[VGPU_LANE_RECORDS];
	const struct lane_in *bytes = &m->in[VGPU_LANE_BYTES];

	return bytes->tail != bytes->told || records->tail - records->told > records->size / 2;
}

const char *vgpu_mirror_bye(const struct vgpu_mirror *m)
{
	return m->bye_came ? m->bye : NULL;
}

const char *vgpu_mirror_fault(const struct vgpu_mirror *m)
{
	return m->fault;
}

void vgpu_mirror_stats(const struct vgpu_mirror *m, struct vgpu_mirror_stats *s)
{
	*s = m->stats;
}
