/* SPDX-License-Identifier: MIT */
/*
 * A mirror's way out: looks at the local side's positions, makes frames of what
 * moved, and hands them to the connection in batches, straight from the rings.
 */
#include "link/mirror_state.h"

#define LAST_BATCHES	16	/* before a BYE */

/* ---- a batch ---- */

static void add_header(struct batch *b, const void *bytes, size_t length)
{
	uint8_t *at = b->headers + b->used;
	struct iovec *last = b->count ? &b->iov[b->count - 1] : NULL;

	memcpy(at, bytes, length);
	b->used += length;
	if (last && (uint8_t *)last->iov_base + last->iov_len == at)
		last->iov_len += length;
	else
		b->iov[b->count++] = (struct iovec){ at, length };
}

void mirror_add(struct vgpu_mirror *m, unsigned int type, unsigned int lane, uint64_t at,
		const void *body, const void *payload, size_t length)
{
	struct vgpu_frame f = {
		.length = vgpu_frame_body(type) + length, .type = type, .lane = lane, .at = at,
	};
	struct batch *b = &m->batch;

	add_header(b, &f, sizeof(f));
	if (body)
		add_header(b, body, vgpu_frame_body(type));
	if (length)
		b->iov[b->count++] = (struct iovec){ (void *)payload, length };
	b->frames++;
	m->stats.bytes_out += length;
}

/* After that many bytes more. */
static void batch_advance(struct batch *b, size_t sent)
{
	while (b->first < b->count && sent >= b->iov[b->first].iov_len)
		sent -= b->iov[b->first++].iov_len;
	if (b->first < b->count) {
		b->iov[b->first].iov_base = (uint8_t *)b->iov[b->first].iov_base + sent;
		b->iov[b->first].iov_len -= sent;
	}
}

/* 0: it is out. What is taken in part is all that the connection takes. */
static int batch_send(struct vgpu_mirror *m)
{
	struct batch *b = &m->batch;
	ssize_t n = vgpu_stream_write(m->stream, b->iov + b->first, b->count - b->first);

	if (n < 0)
		return n == -EAGAIN ? -EAGAIN : -EPIPE;
	batch_advance(b, n);
	if (b->first < b->count)
		return -EAGAIN;
	batch_reset(b);
	bulk_sent(m);
	return 0;
}

/* ---- what is seen of the producers ---- */

static struct mark *newest(struct vgpu_mirror *m)
{
	return m->nmarks ? &m->marks[(m->first_mark + m->nmarks - 1) % MARKS] : &m->published;
}

/*
 * Records first: what they speak of was there before them, so the bytes' tail that
 * is read after theirs covers it, and so does the last store.
 */
static int note(struct vgpu_mirror *m)
{
	struct mark now, *last = newest(m);
	int err = mirror_look_tail(m, &m->out[VGPU_LANE_RECORDS]);

	if (!err)
		err = mirror_look_tail(m, &m->out[VGPU_LANE_BYTES]);
	if (err)
		return err;
	for (int i = 0; i < VGPU_LANES; i++)
		now.tail[i] = m->out[i].tail;
	now.store = m->store_last;
	if (!memcmp(now.tail, last->tail, sizeof(now.tail)))
		return 0;
	if (m->nmarks < MARKS)
		m->marks[(m->first_mark + m->nmarks++) % MARKS] = now;
	else
		*last = now;
	return 0;
}

/* ---- lanes ---- */

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Put the lane up to @tail while there is room and @budget lasts: is all of it? */
static bool add_lane(struct vgpu_mirror *m, int lane, uint64_t tail, size_t *budget)
{
	struct lane_out *out = &m->out[lane];

	while (out->sent != tail && *budget && batch_has_room(&m->batch)) {
		uint64_t at = out->sent & (out->size - 1);
		size_t n = min_size(min_size(tail - out->sent, out->size - at),
				    min_size(*budget, VGPU_FRAME_PAYLOAD));

		mirror_add(m, VGPU_FRAME_PUT, lane, out->sent, NULL, out->base + at, n);
		out->sent += n;
		*budget -= n;
	}
	return out->sent == tail;
}

/* Tell where the lanes go by @mark, and all else that is told along the way. */
static void add_publish(struct vgpu_mirror *m, const struct mark *mark)
{
	struct vgpu_publish p = {};

	for (int i = 0; i < VGPU_LANES; i++) {
		p.tail[i] = mark->tail[i];
		p.head[i] = m->in[i].told = m->in[i].head;
	}
	if (m->kept)
		p.stored = m->told_stored = m->kept->stored;
	m->published = *mark;
	m->stats.publishes_out++;
	mirror_add(m, VGPU_FRAME_PUBLISH, 0, 0, &p, NULL, 0);
}

/* Whatever the oldest mark needs, then the mark. Is it in the batch? */
static bool add_mark(struct vgpu_mirror *m, size_t *budget)
{
	const struct mark *mark = &m->marks[m->first_mark];

	if (!bulk_add_stores(m, mark->store, budget) ||
	    !add_lane(m, VGPU_LANE_BYTES, mark->tail[VGPU_LANE_BYTES], budget) ||
	    !add_lane(m, VGPU_LANE_RECORDS, mark->tail[VGPU_LANE_RECORDS], budget) ||
	    !batch_has_room(&m->batch))
		return false;
	add_publish(m, mark);
	m->first_mark = (m->first_mark + 1) % MARKS;
	m->nmarks--;
	return true;
}

/* Something that is to be told although nothing was produced? */
static bool heads_due(const struct vgpu_mirror *m)
{
	const struct lane_in *bytes = &m->in[VGPU_LANE_BYTES];

	for (int i = 0; i < VGPU_LANES; i++)
		if (m->in[i].head - m->in[i].told >= m->in[i].size / 4)
			return true;
	return (bytes->head != bytes->told && bytes->head == bytes->tail) ||
	       (m->kept && m->told_stored != m->kept->stored);
}

/* ---- all of it ---- */

static void add_resume(struct vgpu_mirror *m)
{
	struct vgpu_resume r = {
		.version = VGPU_WIRE_VERSION, .epoch = m->epoch,
		.stored = m->kept ? m->kept->stored : 0,
	};

	for (int i = 0; i < VGPU_LANES; i++) {
		r.received[i] = m->in[i].tail;
		r.head[i] = m->in[i].told = m->in[i].head;
	}
	m->told_stored = r.stored;
	mirror_add(m, VGPU_FRAME_RESUME, 0, 0, &r, NULL, 0);
	m->resume_sent = true;
}

static int look(struct vgpu_mirror *m)
{
	int err = note(m);

	for (int i = 0; i < VGPU_LANES && !err; i++)
		err = mirror_look_head(m, &m->in[i]);
	return err;
}

/*
 * Lanes and stores share one budget, bytes of pulls have one of their own: neither
 * keeps the other waiting for more than a batch.
 */
static int fill(struct vgpu_mirror *m)
{
	size_t budget = BATCH_BYTES;
	int err = look(m);

	if (err)
		return err;
	/* A store whose end is not known cannot be told of; it does not take long. */
	if (!m->resume_sent && !m->storing)
		add_resume(m);
	if (!m->resumed || !m->resume_sent)
		return 0;
	bulk_add_small(m);
	while (m->nmarks && add_mark(m, &budget))
		;
	if (!m->nmarks)
		bulk_add_stores(m, m->store_last, &budget);
	bulk_add_data(m, BATCH_BYTES);
	if (heads_due(m) && batch_has_room(&m->batch))
		add_publish(m, &m->published);
	return 0;
}

int vgpu_mirror_send(struct vgpu_mirror *m)
{
	int err;

	if (m->fault)
		return -EPROTO;
	if (!m->stream)
		return -EPIPE;
	err = m->batch.count ? batch_send(m) : 0;
	if (!err)
		err = fill(m);
	if (err || !m->batch.count)
		return err;
	err = batch_send(m);
	return err ? err : 1;
}

void vgpu_mirror_say_bye(struct vgpu_mirror *m, const char *text)
{
	size_t length = strnlen(text, VGPU_BYE_TEXT);
	int batches = LAST_BATCHES;

	if (!m->stream || m->said_bye)
		return;
	m->said_bye = true;
	/* What was begun must end first; then all that there is, if it can be had. */
	while (batches-- && vgpu_mirror_send(m) == 1)
		;
	if (m->batch.count || m->fault)
		return;
	mirror_add(m, VGPU_FRAME_BYE, 0, 0, NULL, text, length);
	batch_send(m);
}
