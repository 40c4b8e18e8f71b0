// SPDX-License-Identifier: MIT
/*
 * Waiting: no bell is lost, one sleeper hands over to the next, kicks reach
 * everybody, and the end of the other side is noticed asleep and awake. Linked
 * once for each backend (pair.h).
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/internal.h"
#include "pair.h"
#include "test.h"

static const struct vgpu_ring_sizes small = {
	.sq = 4096, .cq = 4096, .up = 4096, .down = 4096,
};

static bool never(void *arg)
{
	return false;
}

static bool always(void *arg)
{
	++*(int *)arg;
	return true;
}

static bool pending(void *arg)
{
	return vgpu_record_pending(arg);
}

static bool is_set(void *arg)
{
	return atomic_load((atomic_int *)arg);
}

static void send_word(struct vgpu_channel *ch)
{
	while (!vgpu_record_reserve(ch, 16))
		sched_yield();
	vgpu_record_commit(ch, 1, 0);
}

static int receive_one(struct vgpu_channel *ch)
{
	uint8_t buf[64] __attribute__((aligned(8)));
	int n;

	while (!(n = vgpu_record_receive(ch, buf, sizeof(buf)))) {
		n = vgpu_channel_wait(ch, pending, ch, 20000);
		if (n)
			break;
	}
	return n;
}

/* Never spin: each wait is a sleep. Processors are counted again, spinners are not. */
static void no_spin(struct vgpu_channel *ch)
{
	ring_set(ch->spin.processors, 1);
	ring_set(ch->spin.spinners, 1 << 20);
}

TEST(condition_true_at_once_is_called_once)
{
	struct vgpu_channel *app, *peer;
	int calls = 0;

	REQUIRE(!test_pair(&app, &peer, &small));
	CHECK_EQ(vgpu_channel_wait(app, always, &calls, -1), 0);
	CHECK_EQ(calls, 1);
	CHECK_EQ(vgpu_channel_wait(app, never, NULL, 0), -ETIMEDOUT);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

TEST(timeout)
{
	struct vgpu_channel *app, *peer;
	int64_t start = clock_now(), took;

	REQUIRE(!test_pair(&app, &peer, &small));
	CHECK_EQ(vgpu_channel_wait(app, never, NULL, 50), -ETIMEDOUT);
	took = clock_now() - start;
	CHECK(took >= 50 * 1000000ll && took < 5000 * 1000000ll);
	CHECK_EQ(ring_peek(app->our_sleep), 0);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

/* ---- lost bells ---- */

static struct vgpu_channel *stress_app, *stress_peer;
static int stress_rounds;

static void *echo(void *arg)
{
	for (int i = 0; i < stress_rounds; i++) {
		if (receive_one(stress_peer) != 16)
			return NULL;
		send_word(stress_peer);
	}
	return arg;
}

static void stress(int rounds, bool spin_app, bool spin_peer)
{
	pthread_t thread;
	void *done = NULL;

	stress_rounds = rounds;
	REQUIRE(!test_pair(&stress_app, &stress_peer, &small));
	if (!spin_app)
		no_spin(stress_app);
	if (!spin_peer)
		no_spin(stress_peer);
	pthread_create(&thread, NULL, echo, &stress_rounds);
	for (int i = 0; i < rounds; i++) {
		send_word(stress_app);
		REQUIRE(receive_one(stress_app) == 16);
	}
	pthread_join(thread, &done);
	CHECK(done);
	vgpu_channel_close(stress_app);
	vgpu_channel_close(stress_peer);
}

/* VGPU_TEST_ROUNDS for a longer run by hand. */
static int rounds(int usual)
{
	const char *more = getenv("VGPU_TEST_ROUNDS");

	return more ? atoi(more) : usual;
}

TEST(every_wait_sleeps)
{
	stress(rounds(20000), false, false);
}

TEST(one_side_sleeps)
{
	stress(rounds(20000), true, false);
}

TEST(both_sides_adapt)
{
	stress(rounds(100000), true, true);
}

/* A full ring: the producer sleeps for room, the consumer for records. */
struct room { struct vgpu_channel *ch; size_t length; };

static bool has_room(void *arg)
{
	struct room *r = arg;

	return vgpu_record_room(r->ch, r->length);
}

static void *pour(void *arg)
{
	for (int i = 0; i < stress_rounds; i++) {
		struct room r = { stress_app, 16 + i % 700 };

		while (!vgpu_record_reserve(r.ch, r.length))
			if (vgpu_channel_wait(r.ch, has_room, &r, 20000))
				return NULL;
		vgpu_record_commit(r.ch, 1, 0);
	}
	return arg;
}

TEST(sleeping_for_room)
{
	uint8_t buf[1024] __attribute__((aligned(8)));
	pthread_t thread;
	void *done = NULL;
	int n;

	stress_rounds = rounds(100000);
	REQUIRE(!test_pair(&stress_app, &stress_peer, &small));
	no_spin(stress_app);
	no_spin(stress_peer);
	pthread_create(&thread, NULL, pour, &stress_rounds);
	for (int i = 0; i < stress_rounds; i++) {
		while (!(n = vgpu_record_receive(stress_peer, buf, sizeof(buf))))
			REQUIRE(!vgpu_channel_wait(stress_peer, pending, stress_peer, 20000));
		REQUIRE(n > 0);
	}
	pthread_join(thread, &done);
	CHECK(done);
	vgpu_channel_close(stress_app);
	vgpu_channel_close(stress_peer);
}

/* ---- many threads of one side ---- */

#define THREADS 6

struct crowd {
	struct vgpu_channel	*ch;
	pthread_mutex_t		lock;		/* the lane's consumer */
	atomic_int		received;
	int			target;
	atomic_int		finished;
};

/* As libcuda does: whoever waits receives for all, and kicks them. */
static bool drain(void *arg)
{
	struct crowd *c = arg;
	uint8_t buf[64] __attribute__((aligned(8)));

	if (vgpu_record_pending(c->ch) && !pthread_mutex_trylock(&c->lock)) {
		int n = 0;

		while (vgpu_record_receive(c->ch, buf, sizeof(buf)) > 0)
			n++;
		pthread_mutex_unlock(&c->lock);
		atomic_fetch_add(&c->received, n);
		if (n)
			vgpu_channel_kick(c->ch);
	}
	return atomic_load(&c->received) >= c->target;
}

static void *wait_in_crowd(void *arg)
{
	struct crowd *c = arg;

	if (!vgpu_channel_wait(c->ch, drain, c, 20000))
		atomic_fetch_add(&c->finished, 1);
	return NULL;
}

TEST(threads_of_one_side_share_a_bell)
{
	struct vgpu_channel *app, *peer;
	pthread_t t[THREADS];
	struct crowd c = { .lock = PTHREAD_MUTEX_INITIALIZER };

	REQUIRE(!test_pair(&app, &peer, &small));
	c.ch = app;
	for (int round = 0; round < 300; round++) {
		c.target += 5;
		atomic_store(&c.finished, 0);
		for (int i = 0; i < THREADS; i++)
			pthread_create(&t[i], NULL, wait_in_crowd, &c);
		for (int i = 0; i < 5; i++) {
			if (round % 3 == 0)
				usleep(100);
			send_word(peer);
		}
		for (int i = 0; i < THREADS; i++)
			pthread_join(t[i], NULL);
		REQUIRE(atomic_load(&c.finished) == THREADS);
	}
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

struct flag_waiter {
	struct vgpu_channel	*ch;
	atomic_int		flag;
	int			timeout, err;
};

static void *wait_for_flag(void *arg)
{
	struct flag_waiter *f = arg;

	f->err = vgpu_channel_wait(f->ch, is_set, &f->flag, f->timeout);
	return NULL;
}

static void wait_until_asleep(struct vgpu_channel *ch, int n)
{
	while (ring_get(ch->wait.waiters) != n)
		usleep(1000);
	usleep(5000);
}

/* The one on the bell leaves by timeout; another must take its place. */
TEST(sleeper_hands_over)
{
	struct vgpu_channel *app, *peer;
	struct flag_waiter first = { .timeout = 60 };
	pthread_t a, b;
	struct crowd c = { .lock = PTHREAD_MUTEX_INITIALIZER, .target = 1 };

	REQUIRE(!test_pair(&app, &peer, &small));
	first.ch = c.ch = app;
	pthread_create(&a, NULL, wait_for_flag, &first);
	wait_until_asleep(app, 1);
	pthread_create(&b, NULL, wait_in_crowd, &c);
	pthread_join(a, NULL);
	CHECK_EQ(first.err, -ETIMEDOUT);
	wait_until_asleep(app, 1);
	send_word(peer);
	pthread_join(b, NULL);
	CHECK_EQ(atomic_load(&c.finished), 1);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

TEST(kick_reaches_all)
{
	struct vgpu_channel *app, *peer;
	struct flag_waiter f[THREADS];
	pthread_t t[THREADS];

	REQUIRE(!test_pair(&app, &peer, &small));
	for (int i = 0; i < THREADS; i++) {
		f[i] = (struct flag_waiter){ .ch = app, .timeout = 20000, .err = 1 };
		pthread_create(&t[i], NULL, wait_for_flag, &f[i]);
	}
	wait_until_asleep(app, THREADS);
	for (int i = 0; i < THREADS; i++) {
		atomic_store(&f[i].flag, 1);
		vgpu_channel_kick(app);
		pthread_join(t[i], NULL);
		CHECK_EQ(f[i].err, 0);
	}
	CHECK_EQ(ring_peek(app->our_sleep), 0);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

/* ---- the end ---- */

TEST(shutdown_wakes_all)
{
	struct vgpu_channel *app, *peer;
	struct flag_waiter f[THREADS];
	pthread_t t[THREADS];

	REQUIRE(!test_pair(&app, &peer, &small));
	for (int i = 0; i < THREADS; i++) {
		f[i] = (struct flag_waiter){ .ch = app, .timeout = -1, .err = 1 };
		pthread_create(&t[i], NULL, wait_for_flag, &f[i]);
	}
	wait_until_asleep(app, THREADS);
	vgpu_channel_shutdown(app);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		CHECK_EQ(f[i].err, -EPIPE);
	}
	CHECK(vgpu_channel_lost(app) && !vgpu_channel_fault(app));
	CHECK_EQ(vgpu_channel_wait(app, never, NULL, -1), -EPIPE);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

TEST(close_wakes_the_other_side)
{
	struct vgpu_channel *app, *peer;
	struct flag_waiter f[2];
	pthread_t t[2];

	REQUIRE(!test_pair(&app, &peer, &small));
	for (int i = 0; i < 2; i++) {
		f[i] = (struct flag_waiter){ .ch = app, .timeout = -1, .err = 1 };
		pthread_create(&t[i], NULL, wait_for_flag, &f[i]);
	}
	wait_until_asleep(app, 2);
	send_word(peer);
	vgpu_channel_close(peer);
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], NULL);
		CHECK_EQ(f[i].err, -EPIPE);
	}
	/* What was sent before is still there; sending hurts nobody. */
	CHECK_EQ(receive_one(app), 16);
	CHECK_EQ(receive_one(app), -EPIPE);
	send_word(app);
	app->ops->bell(app);
	vgpu_channel_close(app);
}

/* A fork child that forgets its copy leaves the parent's channel alone. */
TEST(fork_child_forgets)
{
	struct vgpu_channel *app, *peer;
	int status;
	pid_t pid;

	REQUIRE(!test_pair(&app, &peer, &small));
	pid = fork();
	if (!pid) {
		vgpu_channel_forget(app);
		vgpu_channel_forget(peer);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
	send_word(app);
	CHECK_EQ(receive_one(peer), 16);
	CHECK_EQ(vgpu_channel_wait(peer, never, NULL, 10), -ETIMEDOUT);
	CHECK(!vgpu_channel_lost(peer));
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_DFL);
	return test_main(argc, argv);
}
