// SPDX-License-Identifier: MIT
/*
 * Rings between two ends in one process, both honest: what is sent arrives,
 * in order, whole, whatever the lengths; full and empty are told.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "channel/relay.h"
#include "test.h"

static const struct vgpu_ring_sizes small = {
	.sq = 4096, .cq = 4096, .up = 4096, .down = 8192,
};

static uint32_t noise(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* A record of @length bytes whose payload follows from @seed. */
static bool send_one(struct vgpu_channel *ch, size_t length, uint8_t seed)
{
	uint8_t *p = vgpu_record_reserve(ch, length);

	if (!p)
		return false;
	memset(p + sizeof(struct vgpu_record), seed, length - sizeof(struct vgpu_record));
	vgpu_record_commit(ch, seed, length);
	return true;
}

static bool matches(const uint8_t *buf, int n, size_t length, uint8_t seed)
{
	const struct vgpu_record *rec = (const void *)buf;
	size_t i;

	if (n != (int)((length + 7) & ~7u) || rec->opcode != seed || rec->flags != length)
		return false;
	for (i = sizeof(*rec); i < length; i++)
		if (buf[i] != seed)
			return false;
	return true;
}

TEST(records_arrive_in_order_at_all_lengths)
{
	struct vgpu_channel *app, *peer;
	uint8_t buf[1024] __attribute__((aligned(8)));
	uint32_t sent_state = 1, got_state = 1, sent = 0, got = 0;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	CHECK_EQ(vgpu_record_max(app), 1024);
	while (got < 20000) {
		uint32_t ahead = sent_state;
		size_t length = 16 + noise(&ahead) % 1009;
		int n;

		if (sent < 20000 && send_one(app, length, sent)) {
			sent_state = ahead;
			sent++;
			continue;
		}
		n = vgpu_record_receive(peer, buf, sizeof(buf));
		length = 16 + noise(&got_state) % 1009;
		REQUIRE(matches(buf, n, length, got));
		got++;
		REQUIRE(((struct vgpu_record *)buf)->seq == got);
	}
	CHECK_EQ(vgpu_record_receive(peer, buf, sizeof(buf)), 0);
	CHECK(!vgpu_record_pending(peer));
	CHECK(!vgpu_channel_fault(peer) && !vgpu_channel_fault(app));
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

TEST(full_ring_refuses_until_something_is_received)
{
	struct vgpu_channel *app, *peer;
	uint8_t buf[1024] __attribute__((aligned(8)));
	int n = 0;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	while (send_one(app, 1024, n))
		n++;
	CHECK_EQ(n, 4);
	CHECK_EQ(errno, EAGAIN);
	CHECK(!vgpu_record_room(app, 16));
	CHECK_EQ(vgpu_record_receive(peer, buf, sizeof(buf)), 1024);
	CHECK(vgpu_record_room(app, 1024));
	CHECK(send_one(app, 1024, n));
	vgpu_channel_close(peer);
	vgpu_channel_close(app);
}

TEST(lengths_that_are_not_allowed)
{
	struct vgpu_channel *app, *peer;
	uint64_t pos;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	CHECK(!vgpu_record_reserve(app, 1025));
	CHECK_EQ(errno, EMSGSIZE);
	CHECK(!vgpu_record_reserve(app, 15));
	CHECK(!vgpu_record_room(app, SIZE_MAX));
	CHECK(!vgpu_record_room(app, 0));
	CHECK_EQ(vgpu_record_commit(app, 1, 0), 0);
	CHECK(!vgpu_bytes_reserve(app, 0, &pos));
	CHECK(!vgpu_bytes_reserve(app, 2049, &pos));
	CHECK_EQ(errno, EMSGSIZE);
	CHECK(!vgpu_bytes_room(app, SIZE_MAX));
	CHECK_EQ(vgpu_bytes_max(app), 2048);
	CHECK_EQ(vgpu_bytes_max(peer), 4096);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

TEST(a_record_too_long_for_the_buffer_stays)
{
	struct vgpu_channel *app, *peer;
	uint8_t buf[64] __attribute__((aligned(8)));

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	CHECK(send_one(app, 64, 7));
	CHECK_EQ(vgpu_record_receive(peer, buf, 56), -EMSGSIZE);
	CHECK_EQ(vgpu_record_receive(peer, buf, 64), 64);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

TEST(a_reservation_can_be_dropped)
{
	struct vgpu_channel *app, *peer;
	uint8_t buf[1024] __attribute__((aligned(8)));

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	/* Also at the end of the ring, where the first of them writes a pad. */
	for (int i = 0; i < 100; i++) {
		REQUIRE(vgpu_record_reserve(app, 1000));
		CHECK_EQ(vgpu_record_next_seq(app), i + 1);
		REQUIRE(send_one(app, 24, i));
		REQUIRE(matches(buf, vgpu_record_receive(peer, buf, 1024), 24, i));
	}
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

/* Bytes in, their position in a record, bytes out, for each length. */
static void bytes_round(struct vgpu_channel *from, struct vgpu_channel *to)
{
	uint8_t buf[64] __attribute__((aligned(8)));
	uint32_t state = 5;

	for (int i = 0; i < 5000; i++) {
		size_t length = 1 + noise(&state) % vgpu_bytes_max(from);
		struct { struct vgpu_record head; uint64_t pos; } *rec;
		const uint8_t *got;
		uint64_t pos;
		uint8_t *at = vgpu_bytes_reserve(from, length, &pos);

		REQUIRE(at);
		memset(at, i, length);
		vgpu_bytes_publish(from, pos, length);
		rec = vgpu_record_reserve(from, sizeof(*rec));
		REQUIRE(rec);
		rec->pos = pos;
		vgpu_record_commit(from, 1, 0);
		REQUIRE(vgpu_record_receive(to, buf, sizeof(buf)) == sizeof(*rec));
		memcpy(&pos, buf + sizeof(struct vgpu_record), sizeof(pos));
		got = vgpu_bytes_at(to, pos, length);
		REQUIRE(got && got[0] == (uint8_t)i && got[length - 1] == (uint8_t)i);
		vgpu_bytes_release(to, pos, length);
	}
	CHECK(!vgpu_channel_lost(to) && !vgpu_channel_lost(from));
}

TEST(bytes_arrive_at_all_lengths)
{
	struct vgpu_channel *app, *peer;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	bytes_round(app, peer);
	bytes_round(peer, app);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

/* A relay carries what is before the tail away at once: it must be filled. */
TEST(bytes_that_are_not_filled_stay_back)
{
	struct vgpu_channel *app, *peer;
	struct vgpu_channel_view view;
	uint64_t first, second;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	vgpu_channel_view(app, &view);
	REQUIRE(vgpu_bytes_reserve(app, 100, &first) && vgpu_bytes_reserve(app, 100, &second));
	REQUIRE(vgpu_record_reserve(app, sizeof(struct vgpu_record)));
	vgpu_record_commit(app, 1, 0);
	CHECK_EQ(view.app->up_tail.value, 0);
	vgpu_bytes_publish(app, first, 100);
	CHECK_EQ(view.app->up_tail.value, second);
	vgpu_bytes_publish(app, second, 100);
	CHECK_EQ(view.app->up_tail.value, 2 * second);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

TEST(bytes_full_ring)
{
	struct vgpu_channel *app, *peer;
	uint64_t first, pos;
	int n = 1;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	REQUIRE(vgpu_bytes_reserve(app, 1000, &first));
	while (vgpu_bytes_reserve(app, 1000, &pos))
		n++;
	CHECK_EQ(n, 4);
	CHECK(!vgpu_bytes_room(app, 1000));
	vgpu_bytes_publish(app, first, 1000);
	CHECK(vgpu_bytes_at(peer, first, 1000));
	vgpu_bytes_release(peer, first, 1000);
	CHECK(vgpu_bytes_room(app, 1000));
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

TEST(ring_memory_for_registration)
{
	struct vgpu_channel *app, *peer;
	size_t size;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	CHECK(vgpu_bytes_ring(peer, true, &size) == vgpu_bytes_ring(app, false, &size));
	CHECK_EQ(size, 4096);
	CHECK(vgpu_bytes_ring(app, true, &size) != NULL);
	CHECK_EQ(size, 8192);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

/* ---- two threads at full speed ---- */

#define STREAM 300000

static bool pending(void *arg)
{
	return vgpu_record_pending(arg);
}

struct room { struct vgpu_channel *ch; size_t length; };

static bool has_room(void *arg)
{
	struct room *r = arg;

	return vgpu_record_room(r->ch, r->length);
}

static void *stream(void *arg)
{
	struct vgpu_channel *ch = arg;
	uint32_t state = 9;

	for (int i = 0; i < STREAM; i++) {
		struct room r = { ch, 16 + noise(&state) % 200 };

		while (!send_one(ch, r.length, i))
			if (vgpu_channel_wait(ch, has_room, &r, 10000))
				return NULL;
	}
	return ch;
}

TEST(stream_between_two_threads)
{
	struct vgpu_channel *app, *peer;
	uint8_t buf[1024] __attribute__((aligned(8)));
	uint32_t state = 9;
	pthread_t thread;
	void *done;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	REQUIRE(!pthread_create(&thread, NULL, stream, app));
	for (int i = 0; i < STREAM; i++) {
		int n;

		while (!(n = vgpu_record_receive(peer, buf, sizeof(buf))))
			REQUIRE(!vgpu_channel_wait(peer, pending, peer, 10000));
		REQUIRE(matches(buf, n, 16 + noise(&state) % 200, i));
	}
	pthread_join(thread, &done);
	CHECK(done == app);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
