// SPDX-License-Identifier: MIT
/*
 * Waiting for the other side: a short burst, an adaptive spin, then sleep.
 * Sleep words and bells are rung and armed here and nowhere else; the order
 * that makes it impossible to lose a bell is ring_barrier()'s.
 */
#include <sched.h>
#include <unistd.h>

#include "channel/internal.h"

/* Looks before the clock is read for the first time, some 2 us. */
#define BURST		64
#define LOOK_EVERY	16
/* Longer than a sleep and a wake-up cost where those are slow (in a VM). */
#define SPIN_MAX_NS	100000u
/*
 * A probe is longer than two of them: when both sides sleep, each waits for the
 * other's wake-up as well, and would never find out that it need not.
 */
#define PROBE_NS	250000u
#define SPIN_MIN_NS	2000u
#define PROBE_MIN	8u
/* Three that wait for each other on two processors stay well below each hundredth call. */
#define PROBE_MAX	1024u
/* Processors are counted again each time so many sleeps are over. */
#define RECOUNT		64u

typedef bool (*condition)(void *arg);

/*
 * Processors that the two sides have together. One thread's own affinity says
 * little: it may be bound to a processor that it shares with nobody.
 */
static int processors(int their_pid)
{
	cpu_set_t ours, theirs;

	/* A set that is too small means a machine that is large enough. */
	if (sched_getaffinity(0, sizeof(ours), &ours))
		return CPU_SETSIZE;
	if (!their_pid || sched_getaffinity(their_pid, sizeof(theirs), &theirs))
		return sysconf(_SC_NPROCESSORS_ONLN);
	CPU_OR(&ours, &ours, &theirs);
	return CPU_COUNT(&ours);
}

void vgpu_spin_init(struct spin *s, int their_pid)
{
	const struct spin_worth unknown = {
		.budget_ns = SPIN_MAX_NS, .probe_in = PROBE_MIN, .probe_every = PROBE_MIN,
	};

	*s = (struct spin){
		.for_records = unknown, .for_room = unknown,
		.processors = processors(their_pid),
	};
}

/* Where a look is a system call, one is worth many looks at memory. */
static void look(struct vgpu_channel *ch, int turn)
{
	if (unlikely(ch->ops->look) && turn % LOOK_EVERY == 0)
		ch->ops->look(ch);
}

static bool burst(struct vgpu_channel *ch, condition ready, void *arg)
{
	for (int i = 0; i < BURST; i++) {
		ring_relax();
		look(ch, i);
		if (ready(arg))
			return true;
	}
	return false;
}

/*
 * What spinning was worth decides how long the next spin is. A success says
 * so directly. After a failure the time is halved down to nothing; since a
 * short spin cannot find out that a long one would pay, every so often a
 * full one is tried, more and more rarely while that fails too. Two sides on
 * one processor, or three on two, soon spend nothing but the burst.
 */
static uint32_t spin_budget(struct spin_worth *s, bool *probe)
{
	uint32_t left = ring_get(s->probe_in);

	*probe = left == 0;
	if (*probe)
		return PROBE_NS;
	ring_set(s->probe_in, left - 1);
	return ring_get(s->budget_ns);
}

static void spin_paid(struct spin_worth *s, uint32_t took_ns)
{
	uint32_t want = took_ns * 4 < SPIN_MAX_NS ? took_ns * 4 : SPIN_MAX_NS;

	if (ring_get(s->budget_ns) < want)
		ring_set(s->budget_ns, want);
	ring_set(s->probe_every, PROBE_MIN);
	ring_set(s->probe_in, PROBE_MIN);
}

static void spin_failed(struct spin_worth *s, bool probe)
{
	uint32_t half = ring_get(s->budget_ns) / 2, every = ring_get(s->probe_every);

	ring_set(s->budget_ns, half < SPIN_MIN_NS ? 0 : half);
	if (!probe)
		return;
	every = every < PROBE_MAX ? every * 2 : PROBE_MAX;
	ring_set(s->probe_every, every);
	ring_set(s->probe_in, every);
}

static bool starved(const struct vgpu_channel *ch)
{
	return ring_get(ch->records_out.starved) || ring_get(ch->bytes_out.starved);
}

static bool spin(struct vgpu_channel *ch, condition ready, void *arg)
{
	struct spin *s = &ch->spin;
	struct spin_worth *worth = starved(ch) ? &s->for_room : &s->for_records;
	bool probe, found = false;
	uint32_t budget = spin_budget(worth, &probe);
	int64_t start, took = 0;

	/* One processor must be left for those who are waited for. */
	if (!budget || ring_get(s->spinners) + 1 >= ring_get(s->processors))
		return false;
	__atomic_add_fetch(&s->spinners, 1, __ATOMIC_RELAXED);
	start = clock_now();
	while (!found && took < budget && !ring_get(ch->lost)) {
		found = burst(ch, ready, arg);
		took = clock_now() - start;
	}
	__atomic_sub_fetch(&s->spinners, 1, __ATOMIC_RELAXED);
	if (found)
		spin_paid(worth, took < SPIN_MAX_NS ? took : SPIN_MAX_NS);
	else
		spin_failed(worth, probe);
	return found;
}

/*
 * Two threads may come here for one value: the first to take it rings, and
 * the sleeper will look at what both of them moved.
 */
void vgpu_channel_ring(struct vgpu_channel *ch, uint64_t word)
{
	if (__atomic_exchange_n(&ch->rung, word, __ATOMIC_RELAXED) != word)
		ch->ops->bell(ch);
}

/* Armed, but not for moved heads although a thread found no room. */
static bool deaf(const struct vgpu_channel *ch)
{
	return !(ch->wait.armed & VGPU_SLEEP_ROOM) && starved(ch);
}

static void enlist(struct vgpu_channel *ch)
{
	struct waiters *w = &ch->wait;

	pthread_mutex_lock(&w->lock);
	ring_set(w->waiters, w->waiters + 1);
	pthread_mutex_unlock(&w->lock);
}

static void leave(struct vgpu_channel *ch)
{
	struct waiters *w = &ch->wait;

	pthread_mutex_lock(&w->lock);
	ring_set(w->waiters, w->waiters - 1);
	if (!w->waiters) {
		w->armed = 0;
		ring_store_sleep(ch->our_sleep, 0);
	}
	if (++w->sleeps % RECOUNT == 0)
		ring_set(ch->spin.processors, processors(ch->pid));
	pthread_mutex_unlock(&w->lock);
}

/*
 * Have the sleep word set, with a value that nobody rang for before our last
 * look at the bell. What the caller looks at after this cannot change without
 * a bell or a kick, and each of those moves on from the returned generation.
 */
static uint64_t arm(struct vgpu_channel *ch)
{
	struct waiters *w = &ch->wait;
	uint64_t generation;

	pthread_mutex_lock(&w->lock);
	if (!w->armed || deaf(ch)) {
		w->armed = ++w->values * VGPU_SLEEP_COUNT | VGPU_SLEEP |
			   (starved(ch) ? VGPU_SLEEP_ROOM : 0);
		ring_store_sleep(ch->our_sleep, w->armed);
	}
	generation = w->generation;
	pthread_mutex_unlock(&w->lock);
	ring_barrier();
	return generation;
}

/* Hold the place at the bell until something happens; w->lock is held. */
static int sleep_on_bell(struct vgpu_channel *ch, int64_t deadline)
{
	struct waiters *w = &ch->wait;
	int err;

	w->on_bell = true;
	pthread_mutex_unlock(&w->lock);
	err = ch->ops->sleep(ch, deadline);
	pthread_mutex_lock(&w->lock);
	w->on_bell = false;
	if (err == -EPIPE)
		ring_set(ch->lost, true);
	if (err != -ETIMEDOUT) {
		w->generation++;
		w->armed = 0;
	}
	/* Others look at their conditions, or one of them takes the place. */
	pthread_cond_broadcast(&w->cond);
	return err == -ETIMEDOUT ? err : 0;
}

static int sleep_on_others(struct waiters *w, int64_t deadline)
{
	struct timespec t = {
		.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000,
	};

	if (deadline == NEVER)
		return -pthread_cond_wait(&w->cond, &w->lock);
	return -pthread_cond_timedwait(&w->cond, &w->lock, &t);
}

/* Sleep until the generation moved on from @generation; or -ETIMEDOUT. */
static int block(struct vgpu_channel *ch, uint64_t generation, int64_t deadline)
{
	struct waiters *w = &ch->wait;
	int err = 0;

	pthread_mutex_lock(&w->lock);
	while (!err && w->generation == generation && !deaf(ch)) {
		if (w->on_bell)
			err = sleep_on_others(w, deadline);
		else
			err = sleep_on_bell(ch, deadline);
	}
	pthread_mutex_unlock(&w->lock);
	return err;
}

static int sleep_until(struct vgpu_channel *ch, condition ready, void *arg,
		       int64_t deadline)
{
	int err = 0;

	enlist(ch);
	for (;;) {
		uint64_t generation = arm(ch);

		/* After an error this is the last look. */
		if (ready(arg)) {
			err = 0;
			break;
		}
		if (err)
			break;
		err = ring_get(ch->lost) ? -EPIPE : block(ch, generation, deadline);
	}
	leave(ch);
	return err;
}

int vgpu_channel_wait(struct vgpu_channel *ch, condition ready, void *arg,
		      int timeout_ms)
{
	if (likely(ready(arg)))
		return 0;
	if (!timeout_ms) {
		look(ch, 0);
		if (ch->ops->look && ready(arg))
			return 0;
		return ring_get(ch->lost) ? -EPIPE : -ETIMEDOUT;
	}
	/* Whoever waits for room that this side made must not wait for us. */
	channel_announce_head(ch);
	if (likely(ring_get(ch->spin.processors) > 1) &&
	    (burst(ch, ready, arg) || spin(ch, ready, arg)))
		return 0;
	return sleep_until(ch, ready, arg, clock_deadline(timeout_ms));
}

void vgpu_channel_kick(struct vgpu_channel *ch)
{
	struct waiters *w = &ch->wait;

	ring_barrier();
	if (!ring_get(w->waiters))
		return;
	pthread_mutex_lock(&w->lock);
	w->generation++;
	if (w->on_bell)
		ch->ops->poke(ch);
	pthread_cond_broadcast(&w->cond);
	pthread_mutex_unlock(&w->lock);
}
