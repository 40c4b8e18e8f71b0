/* SPDX-License-Identifier: MIT */
/*
 * A mirror's way in: frames are parsed as they come and their payload is read
 * straight to where it belongs. All of it is hostile until it was checked.
 */
#include "link/mirror_state.h"

/* Payload of which at least so much is missing is not read by way of the buffer. */
#define DIRECT	4096

/* ---- frames ---- */

static struct lane_in *lane_of(struct vgpu_mirror *m)
{
	return &m->in[m->inflow.frame.lane];
}

static int begin_put(struct vgpu_mirror *m)
{
	const struct vgpu_frame *f = &m->inflow.frame;
	struct lane_in *in = lane_of(m);
	uint64_t at = f->at & (in->size - 1);

	if (mirror_look_head(m, in))
		return -EPROTO;
	if (f->at != in->put || in->put + f->length - in->head > in->size)
		return mirror_fail(m, "the other host put bytes where none are due");
	if (f->length > in->size - at)
		return mirror_fail(m, "the other host put bytes past the end of a ring");
	m->inflow.to = in->base + at;
	return 0;
}

static int end_put(struct vgpu_mirror *m)
{
	lane_of(m)->put += m->inflow.frame.length;
	m->stats.bytes_in += m->inflow.frame.length;
	return 0;
}

/* Bytes before the records that speak of them. */
static int publish_in(struct vgpu_mirror *m, const uint64_t *tail)
{
	bool moved = false;

	for (int i = VGPU_LANES - 1; i >= 0; i--) {
		struct lane_in *in = &m->in[i];

		if (tail[i] - in->tail > in->put - in->tail)
			return mirror_fail(m, "the other host published what it did not put");
		if (tail[i] == in->tail)
			continue;
		in->tail = tail[i];
		ring_store_tail(in->tail_word, in->tail);
		moved = true;
	}
	return moved;
}

static int take_heads(struct vgpu_mirror *m, const uint64_t *head)
{
	int moved = 0;

	for (int i = 0; i < VGPU_LANES; i++) {
		int one = mirror_take_head(m, &m->out[i], head[i]);

		if (one < 0)
			return one;
		moved |= one;
	}
	return moved;
}

static int take_publish(struct vgpu_mirror *m)
{
	const struct vgpu_publish *p = &m->inflow.body.publish;
	int tails, heads, err;

	m->stats.publishes_in++;
	heads = take_heads(m, p->head);
	err = heads < 0 ? heads : bulk_stored(m, p->stored);
	if (err)
		return err;
	tails = publish_in(m, p->tail);
	if (tails < 0)
		return tails;
	if (tails || heads)
		m->ops->ring(m->arg, !tails);
	return 0;
}

/* What this side produced goes on from where the other side has it. */
static int resume_lane(struct vgpu_mirror *m, struct lane_out *out, uint64_t received)
{
	if (mirror_look_tail(m, out))
		return -EPROTO;
	if (received - out->head > out->tail - out->head)
		return mirror_fail(m, "the other host has what was never sent");
	out->sent = received;
	return 0;
}

static int take_resume(struct vgpu_mirror *m)
{
	const struct vgpu_resume *r = &m->inflow.body.resume;
	int heads, err = 0;

	if (m->resumed)
		return mirror_fail(m, "the other host resumes twice");
	if (r->version != VGPU_WIRE_VERSION || r->epoch != m->epoch)
		return mirror_fail(m, "the other host resumes something else");
	for (int i = 0; i < VGPU_LANES && !err; i++) {
		err = resume_lane(m, &m->out[i], r->received[i]);
		m->published.tail[i] = r->received[i];
	}
	heads = err ? err : take_heads(m, r->head);
	if (heads < 0)
		return heads;
	err = bulk_resume(m, r->stored);
	if (err)
		return err;
	m->resumed = true;
	/* What was seen before is behind what the other side has, maybe. */
	m->nmarks = 0;
	if (heads)
		m->ops->ring(m->arg, true);
	return 0;
}

static int begin_bye(struct vgpu_mirror *m)
{
	m->inflow.to = (uint8_t *)m->bye;
	return 0;
}

static int end_bye(struct vgpu_mirror *m)
{
	m->bye[m->inflow.frame.length] = 0;
	for (char *c = m->bye; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	m->bye_came = true;
	return -ESHUTDOWN;
}

/* What is done when the fixed part of a frame is there, and when all of it is. */
static const struct {
	int	(*begin)(struct vgpu_mirror *m);
	int	(*end)(struct vgpu_mirror *m);
} frames[VGPU_FRAME_TYPES] = {
	[VGPU_FRAME_RESUME]	= { .end = take_resume },
	[VGPU_FRAME_PUT]	= { begin_put, end_put },
	[VGPU_FRAME_PUBLISH]	= { .end = take_publish },
	[VGPU_FRAME_PULL]	= { .end = bulk_take_pull },
	[VGPU_FRAME_DATA]	= { bulk_begin_data, bulk_end_data },
	[VGPU_FRAME_STORE]	= { bulk_begin_store, bulk_end_store },
	[VGPU_FRAME_FAILED]	= { .end = bulk_take_failed },
	[VGPU_FRAME_FORGET]	= { .end = bulk_take_forget },
	[VGPU_FRAME_BYE]	= { begin_bye, end_bye },
};

/* ---- the parser ---- */

static void stage_set(struct inflow *in, enum stage stage, uint32_t want)
{
	in->stage = stage;
	in->got = 0;
	in->want = want;
}

static int header_there(struct vgpu_mirror *m)
{
	struct inflow *in = &m->inflow;
	enum vgpu_role sender = m->role == VGPU_ROLE_CLIENT ? VGPU_ROLE_WORKER : VGPU_ROLE_CLIENT;
	const char *wrong = vgpu_frame_check(&in->frame, sender);

	if (wrong)
		return mirror_fail(m, wrong);
	if (!m->resumed && in->frame.type != VGPU_FRAME_RESUME && in->frame.type != VGPU_FRAME_BYE)
		return mirror_fail(m, "the other host does not begin with a resume");
	stage_set(in, STAGE_BODY, vgpu_frame_body(in->frame.type));
	return 0;
}

static int body_there(struct vgpu_mirror *m)
{
	struct inflow *in = &m->inflow;

	in->to = NULL;
	stage_set(in, STAGE_PAYLOAD, in->frame.length - vgpu_frame_body(in->frame.type));
	return frames[in->frame.type].begin ? frames[in->frame.type].begin(m) : 0;
}

static int payload_there(struct vgpu_mirror *m)
{
	stage_set(&m->inflow, STAGE_HEADER, sizeof(m->inflow.frame));
	return frames[m->inflow.frame.type].end(m);
}

/* The stage that is complete ends; so do those after it that want nothing. */
static int stages_end(struct vgpu_mirror *m)
{
	struct inflow *in = &m->inflow;
	int err = 0;

	while (!err && in->got == in->want) {
		if (in->stage == STAGE_HEADER)
			err = header_there(m);
		else if (in->stage == STAGE_BODY)
			err = body_there(m);
		else
			err = payload_there(m);
	}
	return err;
}

static uint8_t *stage_bytes(struct inflow *in)
{
	switch (in->stage) {
	case STAGE_HEADER:
		return (uint8_t *)&in->frame;
	case STAGE_BODY:
		return (uint8_t *)&in->body;
	default:
		return in->to;
	}
}

/* Up to @n of the bytes that came, to @to if it is not NULL. */
static ssize_t take(struct vgpu_mirror *m, uint8_t *to, size_t n)
{
	struct inflow *in = &m->inflow;

	if (in->start == in->end) {
		ssize_t r;

		in->dry = false;
		if (to && n >= DIRECT)
			return vgpu_stream_read(m->stream, to, n);
		r = vgpu_stream_read(m->stream, in->buffer, sizeof(in->buffer));
		if (r < 0)
			return r;
		in->dry = r < (ssize_t)sizeof(in->buffer) && !vgpu_stream_pending(m->stream);
		in->start = 0;
		in->end = r;
	}
	if (n > in->end - in->start)
		n = in->end - in->start;
	if (to)
		memcpy(to, in->buffer + in->start, n);
	in->start += n;
	return n;
}

/* Some bytes more: how many; -EAGAIN. */
static ssize_t step(struct vgpu_mirror *m)
{
	struct inflow *in = &m->inflow;
	uint8_t *to = stage_bytes(in);
	ssize_t n;
	int err;

	n = take(m, to ? to + in->got : NULL, in->want - in->got);
	if (n < 0)
		return n == -EAGAIN ? -EAGAIN : -EPIPE;
	in->got += n;
	err = stages_end(m);
	return err ? err : n;
}

/* A frame has ended, and another one would have been there: it is not asked for in vain. */
static bool at_the_end(const struct inflow *in)
{
	return in->dry && in->start == in->end && in->stage == STAGE_HEADER && !in->got;
}

int vgpu_mirror_receive(struct vgpu_mirror *m)
{
	size_t budget = BATCH_BYTES;
	bool some = false;
	ssize_t n;

	if (m->fault)
		return -EPROTO;
	if (m->bye_came)
		return -ESHUTDOWN;
	if (!m->stream)
		return -EPIPE;
	if (!m->inflow.want)
		stage_set(&m->inflow, STAGE_HEADER, sizeof(m->inflow.frame));
	while (budget && bulk_ready(m)) {
		n = step(m);
		if (n == -EAGAIN)
			break;
		if (n < 0)
			return n;
		some = true;
		if (at_the_end(&m->inflow))
			break;
		budget -= (size_t)n < budget ? (size_t)n : budget;
	}
	return some;
}
