// SPDX-License-Identifier: MIT
/*
 * Records: the app appends to sq and receives from cq, the peer the reverse.
 * Nothing here sleeps; full and empty are answers (wait.c waits).
 */
#include <string.h>

#include "channel/internal.h"

#define RECORD_ALIGN	8u

_Static_assert(sizeof(struct vgpu_record) == 16, "a header is two words");

static uint64_t record_size(size_t length)
{
	return ((uint64_t)length + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

size_t vgpu_record_max(const struct vgpu_channel *ch)
{
	return ch->records_out.size / 4;
}

static bool allowed(const struct vgpu_channel *ch, size_t length)
{
	return length >= sizeof(struct vgpu_record) && length <= vgpu_record_max(ch);
}

/* Bytes to the end of the ring if @need bytes would wrap there, else 0. */
static uint64_t pad_before(const struct ring_out *out, uint64_t need)
{
	uint64_t rest = out->size - (out->tail & (out->size - 1));

	return rest < need ? rest : 0;
}

static bool fits(struct vgpu_channel *ch, uint64_t total)
{
	struct ring_out *out = &ch->records_out;

	if (likely(out->tail + total - out->head <= out->size))
		return true;
	return vgpu_ring_refresh_head(ch, out) &&
	       out->tail + total - out->head <= out->size;
}

bool vgpu_record_room(struct vgpu_channel *ch, size_t length)
{
	uint64_t need = record_size(length);
	bool room;

	if (!allowed(ch, length))
		return false;
	room = fits(ch, need + pad_before(&ch->records_out, need));
	ring_set(ch->records_out.starved, !room);
	return room;
}

/*
 * At least 8 bytes are left at the end of a ring where a record does not fit,
 * which is why a pad is one word and has no seq.
 */
static void write_pad(struct ring_out *out, uint64_t pad)
{
	struct vgpu_record head = { .length = pad, .opcode = VGPU_OP_PAD };

	memcpy(out->base + (out->tail & (out->size - 1)), &head, RECORD_ALIGN);
}

void *vgpu_record_reserve(struct vgpu_channel *ch, size_t length)
{
	struct ring_out *out = &ch->records_out;
	uint64_t need = record_size(length), pad;

	ch->reserved = 0;
	if (unlikely(!allowed(ch, length))) {
		errno = EMSGSIZE;
		return NULL;
	}
	pad = pad_before(out, need);
	if (unlikely(!fits(ch, need + pad))) {
		ring_set(out->starved, true);
		errno = EAGAIN;
		return NULL;
	}
	if (unlikely(ring_get(out->starved)))
		ring_set(out->starved, false);
	if (unlikely(pad)) {
		/* Published with the record behind it, in one step. */
		write_pad(out, pad);
		out->tail += pad;
	}
	ch->reserved = need;
	return out->base + (out->tail & (out->size - 1));
}

uint64_t vgpu_record_next_seq(const struct vgpu_channel *ch)
{
	return ch->seq_out + 1;
}

uint64_t vgpu_record_commit(struct vgpu_channel *ch, uint16_t opcode, uint16_t flags)
{
	struct ring_out *out = &ch->records_out;
	struct vgpu_record head = {
		.length = ch->reserved, .opcode = opcode, .flags = flags,
		.seq = ch->seq_out + 1,
	};

	if (unlikely(!ch->reserved))
		return 0;
	memcpy(out->base + (out->tail & (out->size - 1)), &head, sizeof(head));
	out->tail += ch->reserved;
	ch->reserved = 0;
	ch->seq_out = head.seq;
	ring_store_tail(out->tail_word, out->tail);
	channel_announce_tail(ch);
	return head.seq;
}

bool vgpu_record_pending(const struct vgpu_channel *ch)
{
	return ring_peek(ch->records_in.tail_word) != ring_get(ch->records_in.head);
}

/*
 * A head store is seen at once by a producer that spins. One that sleeps is
 * told when the ring is empty or a quarter of it was freed, when this side
 * commits a record, and when it starts to wait: enough that nobody sleeps on
 * while there is room, without a full barrier for each record.
 */
static void release(struct vgpu_channel *ch, struct ring_in *in, uint64_t length)
{
	ring_set(in->head, in->head + length);
	ring_store_head(in->head_word, in->head);
	if (unlikely(in->head - in->announced >= in->size / 4)) {
		in->announced = in->head;
		channel_announce_head(ch);
	}
}

/* The header of the record or pad at the head, read once; false: none. */
static bool peek(struct vgpu_channel *ch, struct ring_in *in, struct vgpu_record *rec)
{
	uint64_t word;

	if (in->head == in->tail) {
		if (!vgpu_ring_refresh_tail(ch, in, RECORD_ALIGN))
			return false;
		if (in->head == in->tail) {
			if (in->announced != in->head) {
				in->announced = in->head;
				channel_announce_head(ch);
			}
			return false;
		}
	}
	word = ring_read_word(in->base + (in->head & (in->size - 1)));
	memcpy(rec, &word, sizeof(word));
	return true;
}

/* NULL: the copy @rec of a header may be acted on. */
static const char *check(const struct ring_in *in, const struct vgpu_record *rec)
{
	uint64_t rest = in->size - (in->head & (in->size - 1));

	if (rec->length % RECORD_ALIGN || !rec->length)
		return "length of a record is no multiple of 8";
	if (rec->length > in->tail - in->head || rec->length > rest)
		return "record is longer than what was published";
	if (rec->opcode == VGPU_OP_PAD)
		return rec->length == rest && !rec->flags ? NULL :
		       "pad does not end with the ring";
	if (rec->length < sizeof(*rec))
		return "record is shorter than its header";
	if (rec->length > in->size / 4)
		return "record is longer than a quarter of its ring";
	return NULL;
}

static int take(struct vgpu_channel *ch, struct ring_in *in,
		struct vgpu_record *rec, void *buf, size_t room)
{
	const uint8_t *at = in->base + (in->head & (in->size - 1));

	rec->seq = ring_read_word(at + 8);
	if (rec->seq != in->seq + 1)
		return vgpu_channel_fail(ch, "record is out of sequence");
	if (rec->length > room)
		return -EMSGSIZE;
	memcpy(buf, rec, sizeof(*rec));
	memcpy((uint8_t *)buf + sizeof(*rec), at + sizeof(*rec),
	       rec->length - sizeof(*rec));
	in->seq = rec->seq;
	release(ch, in, rec->length);
	return rec->length;
}

int vgpu_record_receive(struct vgpu_channel *ch, void *buf, size_t room)
{
	struct ring_in *in = &ch->records_in;
	struct vgpu_record rec;

	while (likely(!ring_get(ch->fault)) && peek(ch, in, &rec)) {
		const char *wrong = check(in, &rec);

		if (unlikely(wrong))
			return vgpu_channel_fail(ch, wrong);
		if (likely(rec.opcode != VGPU_OP_PAD))
			return take(ch, in, &rec, buf, room);
		release(ch, in, rec.length);
	}
	return unlikely(ring_get(ch->fault)) ? -EPROTO : 0;
}
