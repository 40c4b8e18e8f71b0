// SPDX-License-Identifier: MIT
/*
 * The first record of each direction: the app's hello and the peer's answer.
 * What is in them is the caller's; what they decide is not known here.
 */
#include <stdlib.h>
#include <string.h>

#include "channel/internal.h"

_Static_assert(sizeof(struct greeting) == 24, "fixed");

static size_t greeting_size(size_t len)
{
	return (sizeof(struct greeting) + len + 7) & ~(size_t)7;
}

int vgpu_greeting_send(struct vgpu_channel *ch, uint16_t opcode, const void *bytes,
		       size_t len)
{
	size_t size = greeting_size(len);
	struct greeting *g;

	if (vgpu_channel_lost(ch))
		return -EPIPE;
	if (len > vgpu_record_max(ch))
		return -EMSGSIZE;
	g = vgpu_record_reserve(ch, size);
	if (!g)
		return -errno;
	g->length = len;
	g->reserved = 0;
	memcpy(g + 1, bytes, len);
	memset((uint8_t *)(g + 1) + len, 0, size - sizeof(*g) - len);
	vgpu_record_commit(ch, opcode, 0);
	return 0;
}

struct arrival {
	struct vgpu_channel	*ch;
	struct greeting		*to;
	size_t			room;
	int			length;
};

static bool arrived(void *arg)
{
	struct arrival *a = arg;

	a->length = vgpu_record_receive(a->ch, a->to, a->room);
	return a->length;
}

/* poll(2)'s kind of time, rounded up: not over before the deadline is. */
static int left_ms(int64_t deadline)
{
	int64_t left = deadline == NEVER ? 0 : deadline - clock_now();

	if (deadline == NEVER)
		return -1;
	return left > 0 ? (left + 999999) / 1000000 : 0;
}

/* NULL: @g, a copy of a record of @length bytes, is a greeting. */
static const char *check(const struct greeting *g, size_t length, uint16_t opcode)
{
	const uint8_t *bytes = (const uint8_t *)(g + 1);

	if (g->head.opcode != opcode)
		return "first record is no hello or answer";
	if (length < sizeof(*g) || g->head.flags || g->reserved)
		return "hello or answer is malformed";
	length -= sizeof(*g);
	if (g->length > length || length - g->length >= 8)
		return "hello or answer has another length than it says";
	for (size_t i = g->length; i < length; i++)
		if (bytes[i])
			return "hello or answer does not end with zeros";
	return NULL;
}

int vgpu_greeting_await(struct vgpu_channel *ch, uint16_t opcode, void *bytes,
			size_t *len, int64_t deadline)
{
	struct arrival a = { .ch = ch, .room = greeting_size(*len) };
	const char *wrong;
	int err;

	a.to = malloc(a.room);
	if (!a.to)
		return -ENOMEM;
	err = vgpu_channel_wait(ch, arrived, &a, left_ms(deadline));
	if (!err && a.length < 0)
		err = a.length;
	if (err)
		goto free_record;
	wrong = check(a.to, a.length, opcode);
	if (wrong)
		err = vgpu_channel_fail(ch, wrong);
	else if (a.to->length > *len)
		err = -EMSGSIZE;
	if (err)
		goto free_record;
	*len = a.to->length;
	memcpy(bytes, a.to + 1, *len);
free_record:
	free(a.to);
	return err;
}

int vgpu_greeting_exchange(struct vgpu_channel *ch, const void *hello, size_t hello_len,
			   void *answer, size_t *answer_len, int64_t deadline)
{
	int err = vgpu_greeting_send(ch, VGPU_OP_HELLO, hello, hello_len);

	if (err)
		return err;
	return vgpu_greeting_await(ch, VGPU_OP_ANSWER, answer, answer_len, deadline);
}

int vgpu_channel_answer(struct vgpu_channel *ch, const void *answer, size_t len)
{
	return vgpu_greeting_send(ch, VGPU_OP_ANSWER, answer, len);
}
