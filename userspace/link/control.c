/* SPDX-License-Identifier: MIT */
/*
 * A control connection: messages over a stream, in both directions, without
 * waiting. What is in them is control_json.c's.
 *
 *	out	bytes of messages that the stream has not taken yet, in one piece
 *		that grows and is moved to its start when it is empty
 *	in	what came and is no whole message yet, or is several
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "link/control.h"

#define LENGTH		4			/* bytes before a message */
#define QUEUE_MAX	(1u << 20)
#define READ_MIN	4096u			/* room for a read, at least */

struct buffer {
	uint8_t	*bytes;
	size_t	room, start, end;		/* used: from start to end */
};

struct vgpu_control_channel {
	struct vgpu_stream	*stream;
	struct buffer		out, in;
	bool			established;
	char			error[256];
};

static size_t used(const struct buffer *b)
{
	return b->end - b->start;
}

/* Room for @n bytes at the end. */
static int make_room(struct buffer *b, size_t n)
{
	size_t room = b->room ?: READ_MIN;
	uint8_t *bytes;

	if (b->room - b->end >= n)
		return 0;
	if (b->start) {
		memmove(b->bytes, b->bytes + b->start, used(b));
		b->end -= b->start;
		b->start = 0;
	}
	while (room - b->end < n)
		room *= 2;
	if (room == b->room)
		return 0;
	bytes = realloc(b->bytes, room);
	if (!bytes)
		return -ENOMEM;
	b->bytes = bytes;
	b->room = room;
	return 0;
}

/* What is empty gives its memory back: most connections are quiet. */
static void consume(struct buffer *b, size_t n)
{
	b->start += n;
	if (used(b))
		return;
	free(b->bytes);
	*b = (struct buffer){};
}

/* ---- life ---- */

int vgpu_control_channel_create(struct vgpu_control_channel **out, struct vgpu_stream *s)
{
	struct vgpu_control_channel *c = calloc(1, sizeof(*c));

	if (!c) {
		vgpu_stream_close(s);
		return -ENOMEM;
	}
	c->stream = s;
	*out = c;
	return 0;
}

void vgpu_control_channel_close(struct vgpu_control_channel *c)
{
	if (!c)
		return;
	vgpu_stream_close(c->stream);
	free(c->out.bytes);
	free(c->in.bytes);
	free(c);
}

struct vgpu_stream *vgpu_control_channel_stream(struct vgpu_control_channel *c)
{
	return c->stream;
}

bool vgpu_control_channel_established(const struct vgpu_control_channel *c)
{
	return c->established;
}

const char *vgpu_control_channel_error(const struct vgpu_control_channel *c)
{
	return c->error;
}

/* The stream's @err: its words, or ours, are kept. */
static int broken(struct vgpu_control_channel *c, int err)
{
	const char *why = vgpu_stream_error(c->stream);

	snprintf(c->error, sizeof(c->error), "%s", *why ? why : strerror(-err));
	return err;
}

static int malformed(struct vgpu_control_channel *c, const char *why)
{
	snprintf(c->error, sizeof(c->error), "a control message is wrong: %s", why);
	return -EPROTO;
}

/* ---- out ---- */

/* 0: all is sent, or the stream takes no more now. */
static int flush(struct vgpu_control_channel *c)
{
	while (used(&c->out)) {
		struct iovec v = { c->out.bytes + c->out.start, used(&c->out) };
		ssize_t n = vgpu_stream_write(c->stream, &v, 1);

		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return broken(c, n);
		consume(&c->out, n);
	}
	return 0;
}

static int queue(struct vgpu_control_channel *c, const char *text, size_t length)
{
	const uint32_t head = htole32(length);
	int err;

	if (length > VGPU_CONTROL_MAX)
		return -EMSGSIZE;
	if (used(&c->out) + LENGTH + length > QUEUE_MAX)
		return -ENOBUFS;
	err = make_room(&c->out, LENGTH + length);
	if (err)
		return err;
	memcpy(c->out.bytes + c->out.end, &head, LENGTH);
	memcpy(c->out.bytes + c->out.end + LENGTH, text, length);
	c->out.end += LENGTH + length;
	return 0;
}

int vgpu_control_channel_send(struct vgpu_control_channel *c, const struct vgpu_control *m)
{
	char *text = vgpu_control_format(m);
	int err = text ? queue(c, text, strlen(text)) : -ENOMEM;

	free(text);
	/* Should the connection be over, the next step finds that too. */
	if (!err && c->established)
		flush(c);
	return err;
}

/* ---- in ---- */

/* The first message of what came: 1; there is none in whole: 0. */
static int take(struct vgpu_control_channel *c, struct vgpu_control *m)
{
	const char *wrong;
	uint32_t length;

	if (used(&c->in) < LENGTH)
		return 0;
	memcpy(&length, c->in.bytes + c->in.start, LENGTH);
	length = le32toh(length);
	if (length > VGPU_CONTROL_MAX)
		return malformed(c, "it is too long");
	if (used(&c->in) < LENGTH + length)
		return 0;
	wrong = vgpu_control_parse((const char *)c->in.bytes + c->in.start + LENGTH, length, m);
	consume(&c->in, LENGTH + length);
	return wrong ? malformed(c, wrong) : 1;
}

/* Read once: how many bytes; 0: there are none now. */
static ssize_t fill(struct vgpu_control_channel *c)
{
	int err = make_room(&c->in, READ_MIN);
	ssize_t n;

	if (err)
		return broken(c, err);
	n = vgpu_stream_read(c->stream, c->in.bytes + c->in.end, c->in.room - c->in.end);
	if (n > 0)
		c->in.end += n;
	else
		consume(&c->in, 0);
	if (n == -EAGAIN)
		return 0;
	return n < 0 ? broken(c, n) : n;
}

static int handshake(struct vgpu_control_channel *c)
{
	int err = c->established ? 0 : vgpu_stream_handshake(c->stream);

	if (!err)
		c->established = true;
	else if (err != -EAGAIN)
		broken(c, err);
	return err;
}

int vgpu_control_channel_step(struct vgpu_control_channel *c, struct vgpu_control *m)
{
	ssize_t n = handshake(c);
	int got;

	if (n)
		return n == -EAGAIN ? 0 : n;
	n = flush(c);
	/* What came before the end is still good: it may say why. */
	while (!(got = take(c, m))) {
		if (n < 0)
			return n;
		n = fill(c);
		if (n <= 0)
			return n;
	}
	return got;
}

/*
 * A message that was read with another needs no event: vgpu_control_channel_step()
 * is called until it returns 0.
 */
short vgpu_control_channel_events(const struct vgpu_control_channel *c)
{
	if (!c->established)
		return vgpu_stream_events(c->stream);
	return POLLIN | (used(&c->out) ? POLLOUT : 0);
}
