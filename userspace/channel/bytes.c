// SPDX-License-Identifier: MIT
/*
 * Bulk bytes: the app sends on up and receives from down, the peer the
 * reverse. A piece is named by its position in a record of the same direction.
 */
#include "channel/internal.h"

static uint64_t align_up(uint64_t n)
{
	return (n + VGPU_CHUNK_ALIGN - 1) & ~(uint64_t)(VGPU_CHUNK_ALIGN - 1);
}

/*
 * A piece lies in one piece, so up to its own size may be skipped at the end
 * of the ring: more than half a ring could never be sure to fit.
 */
size_t vgpu_bytes_max(const struct vgpu_channel *ch)
{
	uint64_t half = ch->bytes_out.size / 2;

	return half < VGPU_CHUNK_MAX ? half : VGPU_CHUNK_MAX;
}

static bool allowed(const struct vgpu_channel *ch, size_t length)
{
	return length && length <= vgpu_bytes_max(ch);
}

/* Where a piece of @need bytes starts. */
static uint64_t place(const struct ring_out *out, uint64_t need)
{
	uint64_t rest = out->size - (out->tail & (out->size - 1));

	return out->tail + (rest < need ? rest : 0);
}

static bool fits(struct vgpu_channel *ch, uint64_t end)
{
	struct ring_out *out = &ch->bytes_out;

	if (end - out->head <= out->size)
		return true;
	return vgpu_ring_refresh_head(ch, out) && end - out->head <= out->size;
}

bool vgpu_bytes_room(struct vgpu_channel *ch, size_t length)
{
	uint64_t need = align_up(length);
	bool room;

	if (!allowed(ch, length))
		return false;
	room = fits(ch, place(&ch->bytes_out, need) + need);
	ring_set(ch->bytes_out.starved, !room);
	return room;
}

void *vgpu_bytes_reserve(struct vgpu_channel *ch, size_t length, uint64_t *pos)
{
	struct ring_out *out = &ch->bytes_out;
	uint64_t need = align_up(length), start;

	if (!vgpu_bytes_room(ch, length)) {
		errno = allowed(ch, length) ? EAGAIN : EMSGSIZE;
		return NULL;
	}
	start = place(out, need);
	ring_set(out->tail, start + need);
	*pos = start;
	return out->base + (start & (out->size - 1));
}

/*
 * Not what else is reserved: a relay carries whatever is before the tail to another
 * host, once, be it named by a record or not.
 */
void vgpu_bytes_publish(struct vgpu_channel *ch, uint64_t pos, size_t length)
{
	ring_store_tail(ch->bytes_out.tail_word, pos + align_up(length));
}

const void *vgpu_bytes_at(struct vgpu_channel *ch, uint64_t pos, size_t length)
{
	struct ring_in *in = &ch->bytes_in;

	if (ring_get(ch->fault))
		return NULL;
	if (!length || length > VGPU_CHUNK_MAX || pos < in->head ||
	    (pos & (in->size - 1)) + length > in->size || pos + length < pos)
		goto lie;
	if (pos + length > in->tail &&
	    !vgpu_ring_refresh_tail(ch, in, VGPU_CHUNK_ALIGN))
		return NULL;
	if (pos + length > in->tail)
		goto lie;
	return in->base + (pos & (in->size - 1));
lie:
	vgpu_channel_fail(ch, "record names bulk bytes that are not there");
	return NULL;
}

void *vgpu_bytes_ring(struct vgpu_channel *ch, bool incoming, size_t *size)
{
	*size = incoming ? ch->bytes_in.size : ch->bytes_out.size;
	return incoming ? (void *)ch->bytes_in.base : ch->bytes_out.base;
}

void vgpu_bytes_release(struct vgpu_channel *ch, uint64_t pos, size_t length)
{
	struct ring_in *in = &ch->bytes_in;
	uint64_t head = align_up(pos + length);

	/* What vgpu_bytes_at() never gave out is not ours to release. */
	if (head <= in->head || head > in->tail)
		return;
	ring_set(in->head, head);
	ring_store_head(in->head_word, head);
	channel_announce_head(ch);
}
