// SPDX-License-Identifier: MIT
/*
 * A hostile other side: whatever it writes into shared memory, receiving ends
 * in a record that was checked, in nothing, or in -EPROTO with a reason.
 */
#include <errno.h>
#include <stdlib.h>

#include "channel/internal.h"
#include "test.h"

#define RING 4096

static const struct vgpu_ring_sizes small = {
	.sq = RING, .cq = RING, .up = RING, .down = RING,
};

/* The app is hostile and writes the memory as it likes. */
struct world {
	struct vgpu_channel	*app, *peer;
	struct vgpu_ctrl_app	*ctrl;
	struct vgpu_ctrl_peer	*peer_ctrl;
	uint8_t			*sq;
};

static bool world_make(struct world *w)
{
	if (vgpu_channel_pair(&w->app, &w->peer, &small))
		return false;
	w->ctrl = (void *)w->app->memory->half[VGPU_SIDE_APP];
	w->peer_ctrl = (void *)w->app->memory->half[VGPU_SIDE_PEER];
	w->sq = w->app->memory->half[VGPU_SIDE_APP] + VGPU_PAGE_SIZE;
	return true;
}

static void world_end(struct world *w)
{
	vgpu_channel_close(w->app);
	vgpu_channel_close(w->peer);
}

static int receive(struct world *w)
{
	static uint8_t buf[RING] __attribute__((aligned(8)));

	return vgpu_record_receive(w->peer, buf, sizeof(buf));
}

static void put(struct world *w, uint64_t pos, uint32_t length, uint16_t opcode,
		uint16_t flags, uint64_t seq)
{
	struct vgpu_record rec = { length, opcode, flags, seq };
	uint64_t at = pos % RING;

	memcpy(w->sq + at, &rec, at + sizeof(rec) > RING ? RING - at : sizeof(rec));
}

/* One header and one tail on a new channel; what receiving says. */
static int try(uint32_t length, uint16_t opcode, uint64_t seq, uint64_t tail)
{
	struct world w;
	int err;

	if (!world_make(&w))
		return -1;
	put(&w, 0, length, opcode, 0, seq);
	w.ctrl->sq_tail.value = tail;
	err = receive(&w);
	if (err == -EPROTO) {
		CHECK(vgpu_channel_fault(w.peer));
		CHECK(vgpu_channel_lost(w.peer));
		/* And it stays so, whatever comes. */
		put(&w, 0, 16, 1, 0, 1);
		CHECK_EQ(receive(&w), -EPROTO);
		CHECK(!vgpu_bytes_at(w.peer, 0, 1));
	} else {
		CHECK(!vgpu_channel_fault(w.peer));
	}
	world_end(&w);
	return err;
}

TEST(good_record_as_a_control)
{
	CHECK_EQ(try(16, 1, 1, 16), 16);
	CHECK_EQ(try(1024, 1, 1, 1024), 1024);
	CHECK_EQ(try(16, 1, 1, 0), 0);
	/* A pad from the start to the end and nothing behind it. */
	CHECK_EQ(try(RING, VGPU_OP_PAD, 0, RING), 0);
}

TEST(bad_lengths)
{
	CHECK_EQ(try(0, 1, 1, 16), -EPROTO);
	CHECK_EQ(try(8, 1, 1, 16), -EPROTO);
	CHECK_EQ(try(12, 1, 1, 16), -EPROTO);
	CHECK_EQ(try(17, 1, 1, 64), -EPROTO);
	CHECK_EQ(try(24, 1, 1, 16), -EPROTO);
	CHECK_EQ(try(1032, 1, 1, 2048), -EPROTO);
	CHECK_EQ(try(RING, 1, 1, RING), -EPROTO);
	CHECK_EQ(try(0xfffffff8, 1, 1, RING), -EPROTO);
	CHECK_EQ(try(0xffffffff, VGPU_OP_PAD, 1, RING), -EPROTO);
}

TEST(bad_pads)
{
	CHECK_EQ(try(16, VGPU_OP_PAD, 0, 16), -EPROTO);
	CHECK_EQ(try(RING, VGPU_OP_PAD, 0, RING - 8), -EPROTO);
	CHECK_EQ(try(0, VGPU_OP_PAD, 0, RING), -EPROTO);
}

TEST(bad_sequence)
{
	CHECK_EQ(try(16, 1, 0, 16), -EPROTO);
	CHECK_EQ(try(16, 1, 2, 16), -EPROTO);
	CHECK_EQ(try(16, 1, ~0ull, 16), -EPROTO);
}

TEST(bad_tails)
{
	CHECK_EQ(try(16, 1, 1, RING + 8), -EPROTO);
	CHECK_EQ(try(16, 1, 1, ~0ull), -EPROTO);
	CHECK_EQ(try(16, 1, 1, 1ull << 63), -EPROTO);
	CHECK_EQ(try(16, 1, 1, 17), -EPROTO);
	CHECK_EQ(try(16, 1, 1, 4), -EPROTO);
}

TEST(tail_moves_back)
{
	struct world w;

	REQUIRE(world_make(&w));
	put(&w, 0, 32, 1, 0, 1);
	w.ctrl->sq_tail.value = 32;
	CHECK_EQ(receive(&w), 32);
	w.ctrl->sq_tail.value = 16;
	CHECK(vgpu_record_pending(w.peer));
	CHECK_EQ(receive(&w), -EPROTO);
	world_end(&w);
}

TEST(record_across_the_end_of_the_ring)
{
	struct world w;
	uint64_t pos = 0, seq = 1;

	REQUIRE(world_make(&w));
	for (; pos < RING - 8; pos += pos == RING - 512 ? 504 : 512) {
		put(&w, pos, pos == RING - 512 ? 504 : 512, 1, 0, seq++);
		w.ctrl->sq_tail.value = pos + (pos == RING - 512 ? 504 : 512);
		REQUIRE(receive(&w) > 0);
	}
	CHECK_EQ(pos, RING - 8);
	/* 8 bytes are left: a header would be read past the end. */
	put(&w, pos, 16, 1, 0, seq);
	w.ctrl->sq_tail.value = pos + 16;
	CHECK_EQ(receive(&w), -EPROTO);
	world_end(&w);
}

TEST(header_changes_after_it_was_received)
{
	struct world w;
	uint8_t buf[64] __attribute__((aligned(8)));
	struct vgpu_record *copy = (void *)buf;

	REQUIRE(world_make(&w));
	put(&w, 0, 32, 5, 6, 1);
	w.ctrl->sq_tail.value = 32;
	REQUIRE(vgpu_record_receive(w.peer, buf, sizeof(buf)) == 32);
	memset(w.sq, 0xff, 64);
	CHECK_EQ(copy->length, 32);
	CHECK_EQ(copy->opcode, 5);
	CHECK_EQ(copy->flags, 6);
	world_end(&w);
}

/* The peer never reads back what it wrote itself. */
TEST(own_control_page_and_ring_scribbled)
{
	struct world w;
	uint8_t buf[64] __attribute__((aligned(8)));

	REQUIRE(world_make(&w));
	for (int i = 1; i < 500; i++) {
		w.peer_ctrl->cq_tail.value = w.peer_ctrl->sq_head.value = ~0ull;
		REQUIRE(vgpu_record_reserve(w.peer, 24));
		CHECK_EQ(vgpu_record_commit(w.peer, 1, 0), i);
		CHECK_EQ(w.peer_ctrl->cq_tail.value > 0, 1);
		REQUIRE(vgpu_record_receive(w.app, buf, sizeof(buf)) == 24);
	}
	CHECK(!vgpu_channel_fault(w.peer));
	world_end(&w);
}

TEST(bad_heads)
{
	static const uint64_t heads[] = { 8192, ~0ull, 1ull << 63, 1025 };
	struct world w;

	for (int i = 0; i < 4; i++) {
		REQUIRE(world_make(&w));
		REQUIRE(vgpu_record_reserve(w.peer, 1024));
		vgpu_record_commit(w.peer, 1, 0);
		w.ctrl->cq_head.value = heads[i];
		for (int n = 0; n < 8 && vgpu_record_reserve(w.peer, 1024); n++)
			vgpu_record_commit(w.peer, 1, 0);
		/* Only a head that the tail has not reached is seen as a lie. */
		CHECK_EQ(vgpu_channel_fault(w.peer) != NULL, i < 3);
		CHECK(!vgpu_record_room(w.peer, 1024) || i == 3);
		world_end(&w);
	}
}

TEST(bulk_bytes_that_are_not_there)
{
	static const struct { uint64_t tail, pos; size_t length; bool good; } t[] = {
		{ 1024, 0, 1024, true },
		{ 1024, 100, 24, true },
		{ RING, 0, RING, true },
		{ 1024, 0, 1025, false },
		{ 1024, 1024, 1, false },
		{ 1024, 0, 0, false },
		{ 1024, ~0ull, 2, false },
		{ 1024, ~0ull - 1023, 1024, false },
		{ RING, RING - 1, 2, false },
		{ RING + 64, 0, 1, false },
		{ ~0ull, 0, 1, false },
		{ 1000, 0, 1, false },
		{ 1024, 0, SIZE_MAX, false },
		{ 1024, 0, VGPU_CHUNK_MAX + 1, false },
	};
	struct world w;

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		REQUIRE(world_make(&w));
		w.ctrl->up_tail.value = t[i].tail;
		CHECK_EQ(vgpu_bytes_at(w.peer, t[i].pos, t[i].length) != NULL, t[i].good);
		CHECK_EQ(vgpu_channel_fault(w.peer) == NULL, t[i].good);
		world_end(&w);
	}
}

TEST(bulk_bytes_already_released)
{
	struct world w;

	REQUIRE(world_make(&w));
	w.ctrl->up_tail.value = 2048;
	REQUIRE(vgpu_bytes_at(w.peer, 0, 1000));
	vgpu_bytes_release(w.peer, 0, 1000);
	CHECK_EQ(w.peer_ctrl->up_head.value, 1024);
	/* Never given out: not released. */
	vgpu_bytes_release(w.peer, 2048, 64);
	vgpu_bytes_release(w.peer, ~0ull - 10, 5);
	CHECK_EQ(w.peer_ctrl->up_head.value, 1024);
	CHECK(vgpu_bytes_at(w.peer, 1024, 1024));
	CHECK(!vgpu_bytes_at(w.peer, 512, 64));
	CHECK(vgpu_channel_fault(w.peer));
	world_end(&w);
}

/* Noise in the ring and in all words the app writes, for as many steps. */
TEST(noise)
{
	struct world w;

	srand(1);
	for (int round = 0; round < 3000; round++) {
		REQUIRE(world_make(&w));
		for (int i = 0; i < RING; i++)
			w.sq[i] = rand() % 4 ? 0 : rand();
		for (int step = 0; step < 8; step++) {
			uint64_t tail = w.ctrl->sq_tail.value + 8 * (rand() % 64);

			put(&w, w.peer->records_in.head, 8 * (rand() % 40),
			    rand() % 5 ? 1 : VGPU_OP_PAD, 0, w.peer->records_in.seq + 1);
			w.ctrl->sq_tail.value = tail;
			while (receive(&w) > 0)
				;
		}
		world_end(&w);
	}
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
