// SPDX-License-Identifier: MIT
/*
 * The hello and the answer: whatever lengths come whole, at once or late, and
 * every first record that is none is refused.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "channel/internal.h"
#include "test.h"

#define RING	4096
#define MOST	(RING / 4 - sizeof(struct greeting))

static const struct vgpu_ring_sizes small = {
	.sq = RING, .cq = RING, .up = RING, .down = RING,
};

static struct vgpu_channel *app, *peer;

static bool begin(void)
{
	return !vgpu_channel_pair(&app, &peer, &small);
}

static void end(void)
{
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

static int await_hello(void *bytes, size_t *len, int timeout_ms)
{
	return vgpu_greeting_await(peer, VGPU_OP_HELLO, bytes, len,
				   clock_deadline(timeout_ms));
}

TEST(all_lengths)
{
	uint8_t sent[MOST + 1], got[MOST + 1];

	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = i * 7 + 1;
	for (size_t n = 0; n <= MOST; n++) {
		size_t len = n;

		REQUIRE(begin());
		memset(got, 0, sizeof(got));
		CHECK_EQ(vgpu_greeting_send(app, VGPU_OP_HELLO, sent, n), 0);
		CHECK_EQ(await_hello(got, &len, 0), 0);
		CHECK(len == n && !memcmp(got, sent, n) && !got[n]);
		len = MOST;
		CHECK_EQ(vgpu_channel_answer(peer, sent, n), 0);
		CHECK_EQ(vgpu_greeting_await(app, VGPU_OP_ANSWER, got, &len, NEVER), 0);
		CHECK(len == n && !memcmp(got, sent, n));
		end();
	}
}

TEST(too_long_to_send)
{
	static char much[MOST + 1];

	REQUIRE(begin());
	CHECK_EQ(vgpu_greeting_send(app, VGPU_OP_HELLO, much, MOST + 1), -EMSGSIZE);
	CHECK_EQ(vgpu_greeting_send(app, VGPU_OP_HELLO, much, SIZE_MAX), -EMSGSIZE);
	CHECK_EQ(vgpu_channel_answer(peer, much, MOST + 1), -EMSGSIZE);
	CHECK(!vgpu_record_pending(peer) && !vgpu_record_pending(app));
	end();
}

/* By a byte that shares its word with what there is room for, and by a word. */
TEST(too_long_for_the_receiver)
{
	for (size_t n = 14; n <= 24; n++) {
		char got[24] = "";
		size_t len = 13;

		REQUIRE(begin());
		CHECK_EQ(vgpu_greeting_send(app, VGPU_OP_HELLO, "ABCDEFGHIJKLMNOPQRSTUVWX", n), 0);
		CHECK_EQ(await_hello(got, &len, 0), -EMSGSIZE);
		CHECK(len == 13 && !got[0]);
		end();
	}
}

TEST(calls_follow_the_hello)
{
	_Alignas(8) uint8_t buf[64];
	char got[8];
	size_t len = sizeof(got);

	REQUIRE(begin());
	CHECK_EQ(vgpu_greeting_send(app, VGPU_OP_HELLO, "hi", 2), 0);
	REQUIRE(vgpu_record_reserve(app, 16));
	CHECK_EQ(vgpu_record_commit(app, 77, 0), 2);
	CHECK_EQ(await_hello(got, &len, 0), 0);
	CHECK_EQ(vgpu_record_receive(peer, buf, sizeof(buf)), 16);
	CHECK_EQ(((struct vgpu_record *)buf)->opcode, 77);
	CHECK_EQ(((struct vgpu_record *)buf)->seq, 2);
	end();
}

/* ---- late, never ---- */

static void *answer_late(void *arg)
{
	char got[8];
	size_t len = sizeof(got);

	*(int *)arg = await_hello(got, &len, 20000);
	usleep(50000);
	if (!*(int *)arg)
		*(int *)arg = vgpu_channel_answer(peer, "yes", 3);
	return NULL;
}

TEST(answer_comes_while_the_app_sleeps)
{
	char got[8];
	size_t len = sizeof(got);
	pthread_t thread;
	int err = 1;

	REQUIRE(begin());
	REQUIRE(!pthread_create(&thread, NULL, answer_late, &err));
	CHECK_EQ(vgpu_greeting_exchange(app, "hello", 5, got, &len, clock_deadline(20000)), 0);
	pthread_join(thread, NULL);
	CHECK_EQ(err, 0);
	CHECK(len == 3 && !memcmp(got, "yes", 3));
	end();
}

TEST(nothing_comes)
{
	int64_t start = clock_now();
	char got[8];
	size_t len = sizeof(got);

	REQUIRE(begin());
	CHECK_EQ(await_hello(got, &len, 30), -ETIMEDOUT);
	CHECK(clock_now() - start >= 30 * 1000000ll);
	CHECK_EQ(await_hello(got, &len, 0), -ETIMEDOUT);
	CHECK(!vgpu_channel_lost(peer));
	vgpu_channel_close(app);
	CHECK_EQ(await_hello(got, &len, 20000), -EPIPE);
	CHECK_EQ(vgpu_channel_answer(peer, "x", 1), -EPIPE);
	vgpu_channel_close(peer);
}

/* A refusal and the hang-up after it: the app hears the refusal. */
TEST(answer_and_hang_up)
{
	char got[8];
	size_t len = sizeof(got);

	REQUIRE(begin());
	CHECK_EQ(vgpu_channel_answer(peer, "no", 2), 0);
	vgpu_channel_close(peer);
	CHECK_EQ(vgpu_greeting_exchange(app, "hello", 5, got, &len, clock_deadline(20000)), 0);
	CHECK(len == 2 && !memcmp(got, "no", 2));
	vgpu_channel_close(app);
}

/* ---- hostile ---- */

struct record {
	struct greeting	g;
	uint8_t		bytes[40];
};

/* @length bytes of @r as the app's first record; what the peer makes of it. */
static int try(struct record *r, uint16_t opcode, uint16_t flags, size_t length)
{
	uint8_t got[32], *at;
	size_t len = sizeof(got);
	int err;

	if (!begin())
		return -1000;
	at = vgpu_record_reserve(app, length);
	memcpy(at, r, length);
	vgpu_record_commit(app, opcode, flags);
	err = await_hello(got, &len, 0);
	CHECK_EQ(err == -EPROTO, vgpu_channel_fault(peer) != NULL);
	CHECK_EQ(err == -EPROTO, vgpu_channel_lost(peer));
	if (err)
		CHECK_EQ(len, sizeof(got));
	end();
	return err;
}

TEST(good_as_a_control)
{
	struct record r = { .g.length = 9 };

	CHECK_EQ(try(&r, VGPU_OP_HELLO, 0, 40), 0);
}

TEST(other_records)
{
	struct record r = { .g.length = 8 };

	CHECK_EQ(try(&r, VGPU_OP_ANSWER, 0, 32), -EPROTO);
	CHECK_EQ(try(&r, 0, 0, 32), -EPROTO);
	CHECK_EQ(try(&r, 1, 0, 32), -EPROTO);
	CHECK_EQ(try(&r, VGPU_OP_PAD, 0, 32), -EPROTO);
	CHECK_EQ(try(&r, VGPU_OP_HELLO, 1, 32), -EPROTO);
	CHECK_EQ(try(&r, VGPU_OP_HELLO, 0x8000, 32), -EPROTO);
	/* A header and nothing behind it. */
	CHECK_EQ(try(&r, VGPU_OP_HELLO, 0, 16), -EPROTO);
	r.g.reserved = 1;
	CHECK_EQ(try(&r, VGPU_OP_HELLO, 0, 32), -EPROTO);
}

TEST(lengths_that_do_not_fit_the_record)
{
	static const uint32_t bad[] = { 0, 8, 17, 24, 32, 1u << 31, ~0u, ~0u - 23 };
	struct record r = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r.g.length = bad[i];
		CHECK_EQ(try(&r, VGPU_OP_HELLO, 0, 40), -EPROTO);
	}
	for (r.g.length = 9; r.g.length <= 16; r.g.length++)
		CHECK_EQ(try(&r, VGPU_OP_HELLO, 0, 40), 0);
}

/* What fills the last word is zero: nobody's old bytes are carried along. */
TEST(tail_that_is_not_zero)
{
	for (int i = 0; i < 16; i++) {
		struct record r = { .g.length = 11 };

		r.bytes[i] = 1;
		CHECK_EQ(try(&r, VGPU_OP_HELLO, 0, 40), i < 11 ? 0 : -EPROTO);
	}
}

/* A record longer than what the receiver asked for is not taken, whatever it says. */
TEST(record_longer_than_the_room)
{
	struct record r = { .g.length = 40 };

	CHECK_EQ(try(&r, VGPU_OP_HELLO, 0, 64), -EMSGSIZE);
	r.g.length = 3;
	CHECK_EQ(try(&r, VGPU_OP_HELLO, 0, 64), -EMSGSIZE);
}

TEST(positions_that_lie)
{
	static const uint64_t tails[] = { 4, RING + 8, ~0ull, 1ull << 63 };
	char got[8];
	size_t len = sizeof(got);

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		REQUIRE(begin());
		app->records_out.tail_word->value = tails[i];
		CHECK_EQ(await_hello(got, &len, 20000), -EPROTO);
		CHECK(vgpu_channel_fault(peer));
		end();
	}
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
