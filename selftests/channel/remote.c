// SPDX-License-Identifier: MIT
/*
 * A channel whose app is on another host, with a test in the app's place: nothing
 * that is produced here is left unsent, nothing that comes is slept through,
 * whoever takes it wakes the others, and what cannot be is refused.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "channel/internal.h"
#include "channel/relay.h"
#include "test.h"

#define WAIT_MS	20000

static const struct vgpu_ring_sizes sizes = { .sq = 4096, .cq = 4096, .up = 4096, .down = 4096 };

/*
 * The other host: an end of the same memory that moves the app's positions, by a
 * thread of the worker's that takes what has come.
 */
static struct {
	struct vgpu_channel	*ch;
	struct vgpu_channel	*app;		/* only under lock */
	struct vgpu_channel_view view;
	pthread_mutex_t		lock;
	int			net, kicked;	/* eventfds */
	atomic_uint		due;		/* records that have come */
	atomic_ullong		seen_tail, seen_head;
	atomic_uint		sent;
	atomic_bool		over;
	unsigned int		looks, closed;
	struct {
		uint64_t	handle, size, offset, address;
		size_t		n;
		bool		write;
		unsigned int	calls;
	}			copy;
	uint64_t		released;
} far;

static void ring_fd(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void clear_fd(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		abort();
}

static void raise_to(atomic_ullong *seen, uint64_t value)
{
	unsigned long long old = atomic_load(seen);

	while (old < value && !atomic_compare_exchange_weak(seen, &old, value))
		;
}

/* What goes out is what can be seen now. */
static void far_send(void *arg)
{
	raise_to(&far.seen_tail, ring_load_tail(&far.view.peer->cq_tail));
	raise_to(&far.seen_head, ring_load_head(&far.view.peer->up_head));
	atomic_fetch_add(&far.sent, 1);
}

static bool far_take(void)
{
	bool some = false;

	clear_fd(far.net);
	while (atomic_load(&far.due) && vgpu_record_reserve(far.app, 16)) {
		vgpu_record_commit(far.app, 1, 0);
		atomic_fetch_sub(&far.due, 1);
		some = true;
	}
	return some;
}

static bool far_look(void *arg)
{
	bool some;

	far.looks++;
	if (!atomic_load(&far.due) || pthread_mutex_trylock(&far.lock))
		return false;
	some = far_take();
	pthread_mutex_unlock(&far.lock);
	if (some)
		vgpu_remote_moved(far.ch);
	return some;
}

static int far_sleep(void *arg, int64_t deadline)
{
	struct pollfd p[2] = {
		{ .fd = far.net, .events = POLLIN }, { .fd = far.kicked, .events = POLLIN },
	};
	int64_t left = deadline == NEVER ? WAIT_MS : (deadline - clock_now()) / 1000000 + 1;
	int n;

	if (atomic_load(&far.over))
		return -EPIPE;
	n = poll(p, 2, left > 0 ? left : 0);
	clear_fd(far.kicked);
	pthread_mutex_lock(&far.lock);
	far_take();
	pthread_mutex_unlock(&far.lock);
	return n ? 0 : -ETIMEDOUT;
}

static void far_poke(void *arg)
{
	ring_fd(far.kicked);
}

static int far_app_copy(void *arg, void *local, uint64_t address, size_t n, bool write)
{
	far.copy.address = address;
	far.copy.n = n;
	far.copy.write = write;
	far.copy.calls++;
	return -EFAULT;
}

static int far_hostmem_copy(void *arg, uint64_t handle, uint64_t size, uint64_t offset,
			    void *local, size_t n, bool write)
{
	far.copy.handle = handle;
	far.copy.size = size;
	far.copy.offset = offset;
	return far_app_copy(arg, local, 0, n, write);
}

static void far_release(void *arg, uint64_t handle)
{
	far.released = handle;
}

static void far_close(void *arg)
{
	far.closed++;
}

static const struct vgpu_remote_ops far_ops = {
	.send = far_send, .look = far_look, .sleep = far_sleep, .poke = far_poke,
	.app_copy = far_app_copy, .hostmem_copy = far_hostmem_copy,
	.hostmem_release = far_release, .close = far_close,
};

static void no_bell(struct vgpu_channel *ch)
{
}

static const struct channel_ops app_ops = { .bell = no_bell };

static bool begin(void)
{
	memset(&far, 0, sizeof(far));
	pthread_mutex_init(&far.lock, NULL);
	far.net = eventfd(0, EFD_NONBLOCK);
	far.kicked = eventfd(0, EFD_NONBLOCK);
	if (vgpu_remote_create(&far.ch, &sizes, &far_ops, &far))
		return false;
	vgpu_channel_view(far.ch, &far.view);
	far.app = vgpu_channel_alloc(sizeof(*far.app), &app_ops, VGPU_SIDE_APP);
	vgpu_channel_init(far.app, far.ch->memory, &sizes);
	return true;
}

static void end(void)
{
	vgpu_channel_fini(far.app, true);
	free(far.app);
	vgpu_channel_close(far.ch);
	CHECK_EQ(far.closed, 1);
	close(far.net);
	close(far.kicked);
}

static void no_spin(void)
{
	ring_set(far.ch->spin.processors, 1);
	ring_set(far.ch->spin.spinners, 1 << 20);
}

/* One record more comes from the app. */
static void arrive(void)
{
	atomic_fetch_add(&far.due, 1);
	ring_fd(far.net);
}

static bool pending(void *arg)
{
	return vgpu_record_pending(far.ch);
}

static bool never(void *arg)
{
	return false;
}

static int receive_one(void)
{
	uint8_t buf[64] __attribute__((aligned(8)));
	int n;

	while (!(n = vgpu_record_receive(far.ch, buf, sizeof(buf)))) {
		n = vgpu_channel_wait(far.ch, pending, NULL, WAIT_MS);
		if (n)
			break;
	}
	return n;
}

/* ---- out ---- */

TEST(a_commit_is_sent_at_once)
{
	REQUIRE(begin());
	for (int i = 1; i <= 100; i++) {
		uint8_t buf[64] __attribute__((aligned(8)));

		REQUIRE(vgpu_record_reserve(far.ch, 16));
		vgpu_record_commit(far.ch, 1, 0);
		CHECK_EQ(atomic_load(&far.seen_tail), 16 * i);
		CHECK_EQ(vgpu_record_receive(far.app, buf, sizeof(buf)), 16);
	}
	CHECK_EQ(atomic_load(&far.sent), 100);
	end();
}

static atomic_int turn, finished;
static int rounds_left;

/* Both threads begin a round together, as well as two threads can. */
static void meet(int round)
{
	atomic_fetch_add(&turn, 1);
	while (atomic_load(&turn) < 2 * round)
		sched_yield();
}

static void *give_back_bytes(void *arg)
{
	int rounds = *(int *)arg;

	for (int i = 1; i <= rounds; i++) {
		meet(i);
		vgpu_bytes_release(far.ch, 64ull * (i - 1), 64);
		atomic_fetch_add(&finished, 1);
		while (atomic_load(&finished) < 2 * i)
			sched_yield();
	}
	return NULL;
}

/* The app's tail of bytes goes on so that there is always one piece to give back. */
static void offer_bytes(uint64_t pos)
{
	const void *at;

	ring_store_tail(&far.view.app->up_tail, pos + 64);
	at = vgpu_bytes_at(far.ch, pos, 64);
	CHECK(at);
}

TEST(what_two_threads_move_is_sent)
{
	uint8_t buf[64] __attribute__((aligned(8)));
	int rounds = 20000;
	pthread_t thread;

	REQUIRE(begin());
	atomic_store(&turn, 0);
	atomic_store(&finished, 0);
	offer_bytes(0);
	pthread_create(&thread, NULL, give_back_bytes, &rounds);
	for (int i = 1; i <= rounds; i++) {
		REQUIRE(vgpu_record_reserve(far.ch, 16));
		meet(i);
		vgpu_record_commit(far.ch, 1, 0);
		while (atomic_load(&finished) < 2 * i - 1)
			sched_yield();
		REQUIRE(atomic_load(&far.seen_tail) == 16ull * i);
		REQUIRE(atomic_load(&far.seen_head) == 64ull * i);
		CHECK_EQ(vgpu_record_receive(far.app, buf, sizeof(buf)), 16);
		offer_bytes(64ull * i);
		atomic_fetch_add(&finished, 1);
	}
	pthread_join(thread, NULL);
	end();
}

/* ---- in ---- */

static void *echo(void *arg)
{
	for (unsigned int seen = 0, sent; rounds_left;) {
		sent = atomic_load(&far.sent);
		if (sent == seen) {
			sched_yield();
			continue;
		}
		seen = sent;
		rounds_left--;
		arrive();
	}
	return NULL;
}

static void ping(int rounds, bool spin)
{
	uint8_t buf[64] __attribute__((aligned(8)));
	pthread_t thread;

	REQUIRE(begin());
	rounds_left = rounds;
	pthread_create(&thread, NULL, echo, NULL);
	for (int i = 0; i < rounds; i++) {
		/* each: what a channel knows of processors is found out anew at times */
		if (!spin)
			no_spin();
		pthread_mutex_lock(&far.lock);
		while (vgpu_record_receive(far.app, buf, sizeof(buf)) > 0)
			;
		pthread_mutex_unlock(&far.lock);
		atomic_fetch_add(&far.sent, 1);
		REQUIRE(receive_one() == 16);
	}
	pthread_join(thread, NULL);
	end();
}

TEST(every_wait_sleeps)
{
	ping(5000, false);
}

TEST(spinning_takes_what_came)
{
	ping(5000, true);
}

TEST(a_look_is_had_without_time_to_wait)
{
	REQUIRE(begin());
	arrive();
	CHECK_EQ(vgpu_channel_wait(far.ch, pending, NULL, 0), 0);
	CHECK_EQ(far.looks, 1);
	CHECK_EQ(receive_one(), 16);
	CHECK_EQ(vgpu_channel_wait(far.ch, pending, NULL, 0), -ETIMEDOUT);
	CHECK_EQ(vgpu_channel_wait(far.ch, never, NULL, 30), -ETIMEDOUT);
	end();
}

/* ---- several threads ---- */

static atomic_uint woken;

static bool counted(void *arg)
{
	return atomic_load(&woken) >= *(unsigned int *)arg;
}

static void *wait_for_count(void *arg)
{
	return (void *)(intptr_t)vgpu_channel_wait(far.ch, counted, arg, WAIT_MS);
}

/* Whoever receives does so for all: the others sleep until it tells them. */
TEST(who_takes_wakes_the_others)
{
	unsigned int goal[3] = { 100, 200, 300 };
	pthread_t threads[3];
	void *result;

	REQUIRE(begin());
	no_spin();
	atomic_store(&woken, 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, wait_for_count, &goal[i]);
	for (int i = 0; i < 300; i++) {
		no_spin();
		arrive();
		REQUIRE(receive_one() == 16);
		atomic_fetch_add(&woken, 1);
		vgpu_remote_moved(far.ch);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &result);
		CHECK_EQ((intptr_t)result, 0);
	}
	end();
}

TEST(the_end_of_the_session_wakes_everybody)
{
	unsigned int goal = 1;
	pthread_t threads[3];
	void *result;

	REQUIRE(begin());
	no_spin();
	atomic_store(&woken, 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, wait_for_count, &goal);
	poll(NULL, 0, 20);
	atomic_store(&far.over, true);
	vgpu_channel_shutdown(far.ch);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &result);
		CHECK_EQ((intptr_t)result, -EPIPE);
	}
	CHECK(vgpu_channel_lost(far.ch));
	end();
}

/* ---- the app's memory ---- */

TEST(memory_of_the_app)
{
	void *at;
	char c;

	REQUIRE(begin());
	CHECK(vgpu_channel_is_remote(far.ch));
	CHECK_EQ(vgpu_hostmem_map(far.ch, 1, 4096, NULL, &at), -EOPNOTSUPP);
	CHECK_EQ(vgpu_app_read(far.ch, &c, 77, 1), -EFAULT);
	CHECK(far.copy.address == 77 && far.copy.n == 1 && !far.copy.write);
	CHECK_EQ(vgpu_hostmem_write(far.ch, 5, 4096, 4000, &c, 96), -EFAULT);
	CHECK(far.copy.handle == 5 && far.copy.size == 4096 && far.copy.offset == 4000 &&
	      far.copy.n == 96 && far.copy.write);
	far.copy.calls = 0;
	CHECK_EQ(vgpu_hostmem_read(far.ch, 5, 4096, 4000, &c, 97), -EINVAL);
	CHECK_EQ(vgpu_hostmem_read(far.ch, 5, 4096, 4097, &c, 0), -EINVAL);
	CHECK_EQ(vgpu_hostmem_read(far.ch, 5, 4096, -1ull, &c, 2), -EINVAL);
	CHECK_EQ(vgpu_hostmem_read(far.ch, 0, 4096, 0, &c, 1), -EINVAL);
	CHECK_EQ(vgpu_hostmem_read(far.ch, 5, 4096, 4096, &c, 0), 0);
	CHECK_EQ(far.copy.calls, 0);
	vgpu_hostmem_release(far.ch, 9);
	CHECK_EQ(far.released, 9);
	end();
}

TEST(memory_of_an_app_of_this_host)
{
	struct vgpu_channel *app, *peer;
	char c;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &sizes));
	CHECK(!vgpu_channel_is_remote(peer));
	CHECK_EQ(vgpu_hostmem_read(peer, 1, 4096, 0, &c, 1), -EOPNOTSUPP);
	CHECK_EQ(vgpu_hostmem_write(peer, 1, 4096, 0, &c, 1), -EOPNOTSUPP);
	vgpu_hostmem_release(peer, 1);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

TEST(rings_that_cannot_be)
{
	const struct vgpu_ring_sizes wrong = { .sq = 4096, .cq = 4096, .up = 4096, .down = 5000 };

	CHECK_EQ(vgpu_remote_create(&far.ch, &wrong, &far_ops, NULL), -EINVAL);
}

TEST(hello)
{
	size_t room = 16;
	char hello[16];

	REQUIRE(begin());
	CHECK_EQ(vgpu_remote_hello(far.ch, hello, &room, 10), -ETIMEDOUT);
	CHECK_EQ(vgpu_greeting_send(far.app, VGPU_OP_HELLO, "from afar", 9), 0);
	CHECK_EQ(vgpu_remote_hello(far.ch, hello, &room, WAIT_MS), 0);
	CHECK(room == 9 && !memcmp(hello, "from afar", 9));
	end();
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
