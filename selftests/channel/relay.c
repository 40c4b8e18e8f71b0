// SPDX-License-Identifier: MIT
/*
 * The peer's end of a channel without a peer: where its memory is, that nobody
 * rings who need not and everybody who must, and the end of the app. Linked once
 * for each backend (pair.h).
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "channel/internal.h"
#include "channel/relay.h"
#include "pair.h"
#include "test.h"

#define WAIT_MS	20000

static const struct vgpu_ring_sizes sizes = { .sq = 4096, .cq = 8192, .up = 16384, .down = 32768 };

static struct vgpu_channel *app, *relay;
static struct vgpu_channel_view view;

static bool begin(void)
{
	int err = test_relay_pair(&app, &relay, &sizes);

	if (err)
		printf("# no relay: %s\n", strerror(-err));
	else
		vgpu_channel_view(relay, &view);
	return !err;
}

static void end(void)
{
	vgpu_channel_close(app);
	vgpu_channel_close(relay);
}

/* Has something been heard within a moment, or within a time for what must come? */
static bool heard(int ms)
{
	struct pollfd p = { .fd = vgpu_relay_fd(relay), .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents & POLLIN;
}

static void send_word(struct vgpu_channel *ch)
{
	CHECK(vgpu_record_reserve(ch, 16));
	vgpu_record_commit(ch, 1, 0);
}

static void receive_all(struct vgpu_channel *ch)
{
	uint8_t buf[64] __attribute__((aligned(8)));

	while (vgpu_record_receive(ch, buf, sizeof(buf)) > 0)
		;
}

TEST(nothing_is_received)
{
	struct vgpu_record hello;
	uint8_t *kept;

	REQUIRE(begin());
	kept = view.kept;
	memcpy(&hello, view.sq, sizeof(hello));
	CHECK_EQ(hello.opcode, VGPU_OP_HELLO);
	CHECK_EQ(ring_load_tail(&view.app->sq_tail), hello.length);
	CHECK_EQ(ring_load_head(&view.peer->sq_head), 0);
	CHECK(!memcmp(&view.sizes, &sizes, sizeof(sizes)));
	CHECK(kept >= (uint8_t *)(view.peer + 1));
	CHECK(kept + VGPU_CHANNEL_KEPT <= view.cq);
	for (unsigned int i = 0; i < VGPU_CHANNEL_KEPT; i++)
		CHECK_EQ(kept[i], 0);
	CHECK_EQ(view.up - view.sq, sizes.sq);
	CHECK_EQ(view.down - view.cq, sizes.cq);
	CHECK(!vgpu_channel_is_remote(relay));
	end();
}

TEST(bytes_lie_where_the_view_says)
{
	uint64_t pos;
	void *at;

	REQUIRE(begin());
	at = vgpu_bytes_reserve(app, 100, &pos);
	REQUIRE(at);
	memset(at, 7, 100);
	vgpu_bytes_publish(app, pos, 100);
	CHECK_EQ(ring_load_tail(&view.app->up_tail), 128);
	CHECK_EQ(view.up[pos + 99], 7);
	end();
}

TEST(nobody_rings_who_was_not_asked)
{
	REQUIRE(begin());
	CHECK_EQ(vgpu_relay_take_bells(relay), 0);
	send_word(app);
	CHECK(!heard(50));
	vgpu_relay_arm(relay, false);
	vgpu_relay_disarm(relay);
	send_word(app);
	CHECK(!heard(50));
	CHECK_EQ(vgpu_relay_take_bells(relay), 0);
	end();
}

TEST(a_bell_stays_until_it_is_taken)
{
	REQUIRE(begin());
	for (int i = 0; i < 3; i++) {
		vgpu_relay_arm(relay, false);
		CHECK(!heard(0));
		send_word(app);
		CHECK(heard(WAIT_MS));
		CHECK(heard(0));
		/* One for an armed word, however much moves. */
		send_word(app);
		CHECK_EQ(vgpu_relay_take_bells(relay), 0);
		CHECK(!heard(50));
		vgpu_relay_disarm(relay);
	}
	end();
}

TEST(heads_are_told_to_who_wants_room)
{
	REQUIRE(begin());
	send_word(relay);
	vgpu_relay_arm(relay, false);
	receive_all(app);
	CHECK(!heard(50));
	send_word(relay);
	vgpu_relay_arm(relay, true);
	receive_all(app);
	CHECK(heard(WAIT_MS));
	CHECK_EQ(vgpu_relay_take_bells(relay), 0);
	end();
}

/* ---- the app hears ---- */

static atomic_bool awake;

static bool word_there(void *arg)
{
	return vgpu_record_pending(app);
}

static bool room_there(void *arg)
{
	return vgpu_record_room(app, 1024);
}

static void *wait_in_app(void *arg)
{
	int err = vgpu_channel_wait(app, (bool (*)(void *))arg, NULL, WAIT_MS);

	atomic_store(&awake, true);
	return (void *)(intptr_t)err;
}

/* It has looked at its condition for the last time. */
static bool asleep(void)
{
	bool on_bell;

	pthread_mutex_lock(&app->wait.lock);
	on_bell = app->wait.on_bell;
	pthread_mutex_unlock(&app->wait.lock);
	return on_bell;
}

static pthread_t sleeper(bool (*ready)(void *arg))
{
	pthread_t thread;

	atomic_store(&awake, false);
	ring_set(app->spin.processors, 1);
	pthread_create(&thread, NULL, wait_in_app, ready);
	while (!asleep())
		poll(NULL, 0, 1);
	return thread;
}

/* As a mirror does it: bytes, tail, and then the bell if need be. */
static void put_word(void)
{
	struct vgpu_record word = { .length = 16, .opcode = 1 };
	uint64_t tail = view.peer->cq_tail.value;

	word.seq = 2;		/* behind the answer */
	memcpy(view.cq + tail, &word, sizeof(word));
	ring_store_tail(&view.peer->cq_tail, tail + 16);
}

TEST(the_app_is_woken_by_a_tail)
{
	uint8_t buf[64] __attribute__((aligned(8)));
	pthread_t thread;
	void *result;

	REQUIRE(begin());
	thread = sleeper(word_there);
	put_word();
	vgpu_relay_announce(relay, true);
	poll(NULL, 0, 50);
	CHECK(!atomic_load(&awake));
	vgpu_relay_announce(relay, false);
	pthread_join(thread, &result);
	CHECK_EQ((intptr_t)result, 0);
	CHECK_EQ(vgpu_record_receive(app, buf, sizeof(buf)), 16);
	end();
}

TEST(the_app_is_woken_by_a_head)
{
	pthread_t thread;
	void *result;

	REQUIRE(begin());
	while (vgpu_record_room(app, 1024)) {
		CHECK(vgpu_record_reserve(app, 1024));
		vgpu_record_commit(app, 1, 0);
	}
	thread = sleeper(room_there);
	ring_store_head(&view.peer->sq_head, view.app->sq_tail.value);
	vgpu_relay_announce(relay, true);
	pthread_join(thread, &result);
	CHECK_EQ((intptr_t)result, 0);
	end();
}

/* ---- no bell is lost ---- */

#define WORDS	20000

static void *send_words(void *arg)
{
	for (int i = 0; i < WORDS; i++) {
		if (vgpu_channel_wait(app, room_there, NULL, WAIT_MS))
			return NULL;
		send_word(app);
		if (i % 64 == 0)
			poll(NULL, 0, 0);
	}
	return arg;
}

static bool words_moved(void)
{
	uint64_t tail = ring_load_tail(&view.app->sq_tail);

	if (tail == view.peer->sq_head.value)
		return false;
	ring_store_head(&view.peer->sq_head, tail);
	vgpu_relay_announce(relay, true);
	return true;
}

TEST(no_bell_is_lost)
{
	pthread_t thread;
	void *done = NULL;
	uint64_t all;

	REQUIRE(begin());
	all = view.app->sq_tail.value + WORDS * 16;
	pthread_create(&thread, NULL, send_words, app);
	while (view.peer->sq_head.value < all) {
		if (words_moved())
			continue;
		vgpu_relay_arm(relay, false);
		if (!words_moved() && view.peer->sq_head.value < all && !heard(WAIT_MS)) {
			CHECK(!"a bell was lost");
			break;
		}
		vgpu_relay_disarm(relay);
		CHECK_EQ(vgpu_relay_take_bells(relay), 0);
	}
	if (view.peer->sq_head.value < all)
		vgpu_channel_shutdown(app);
	pthread_join(thread, &done);
	CHECK(done);
	end();
}

/* ---- the end ---- */

TEST(the_end_of_the_app)
{
	REQUIRE(begin());
	CHECK_EQ(vgpu_relay_take_bells(relay), 0);
	vgpu_channel_close(app);
	CHECK(heard(WAIT_MS));
	CHECK_EQ(vgpu_relay_take_bells(relay), -EPIPE);
	CHECK_EQ(vgpu_relay_take_bells(relay), -EPIPE);
	CHECK(heard(0));
	CHECK(vgpu_channel_lost(relay));
	vgpu_channel_close(relay);
}

static bool never(void *arg)
{
	return false;
}

TEST(the_end_of_the_relay)
{
	REQUIRE(begin());
	vgpu_channel_close(relay);
	CHECK_EQ(vgpu_channel_wait(app, never, NULL, WAIT_MS), -EPIPE);
	vgpu_channel_close(app);
}

/* The app has rung for what a former relay armed: the next one arms something else. */
TEST(values_are_never_used_again)
{
	uint64_t first, second;

	REQUIRE(begin());
	vgpu_relay_arm(relay, false);
	first = ring_load_sleep(&view.peer->sleep);
	end();
	REQUIRE(begin());
	CHECK_EQ(ring_load_sleep(&view.peer->sleep), 0);
	vgpu_relay_arm(relay, true);
	second = ring_load_sleep(&view.peer->sleep);
	CHECK(second / VGPU_SLEEP_COUNT > first / VGPU_SLEEP_COUNT);
	CHECK(first & VGPU_SLEEP && !(first & VGPU_SLEEP_ROOM));
	CHECK(second & VGPU_SLEEP && second & VGPU_SLEEP_ROOM);
	end();
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
