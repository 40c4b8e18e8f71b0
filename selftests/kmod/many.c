/* SPDX-License-Identifier: MIT */
/*
 * Traffic: bytes through rings that are full and wrap, and many processes at
 * once, each with a channel and a peer of its own. The library that does this
 * for programs has tests of its own, selftests/channel.
 */
#include <stdatomic.h>
#include "kselftest_harness.h"
#include "testbed.h"

#define RW	(PROT_READ | PROT_WRITE)
#define RING	PAGE

/* One side's view. What is at @other may change at any time. */
struct end {
	int			fd;
	uint64_t		bells;
	char			*own, *other;
	_Atomic uint64_t	*tail;		/* of the ring that is written */
	_Atomic uint64_t	*head;		/* as the other side tells it */
	_Atomic uint64_t	*other_tail;	/* of the ring that is read */
	_Atomic uint64_t	*own_head;
	_Atomic uint64_t	*sleep, *other_sleep;
	char			*out;
	const char		*in;
};

#define POSITION(half, type, member) \
	((_Atomic uint64_t *)((half) + offsetof(struct type, member)))

/* sq and cq; the rings lie behind the page of positions. */
static bool end_app(struct end *e, int fd)
{
	e->fd = fd;
	e->bells = 0;
	e->own = map(fd, VGPU_MMAP_APP, SMALL_HALF, RW);
	e->other = map(fd, VGPU_MMAP_PEER, SMALL_HALF, PROT_READ);
	if (!e->own || !e->other)
		return false;
	e->tail = POSITION(e->own, vgpu_ctrl_app, sq_tail.value);
	e->own_head = POSITION(e->own, vgpu_ctrl_app, cq_head.value);
	e->sleep = POSITION(e->own, vgpu_ctrl_app, sleep.value);
	e->head = POSITION(e->other, vgpu_ctrl_peer, sq_head.value);
	e->other_tail = POSITION(e->other, vgpu_ctrl_peer, cq_tail.value);
	e->other_sleep = POSITION(e->other, vgpu_ctrl_peer, sleep.value);
	e->out = e->own + PAGE;
	e->in = e->other + PAGE;
	return true;
}

static bool end_peer(struct end *e, int fd)
{
	e->fd = fd;
	e->bells = 0;
	e->own = map(fd, VGPU_MMAP_PEER, SMALL_HALF, RW);
	e->other = map(fd, VGPU_MMAP_APP, SMALL_HALF, PROT_READ);
	if (!e->own || !e->other)
		return false;
	e->tail = POSITION(e->own, vgpu_ctrl_peer, cq_tail.value);
	e->own_head = POSITION(e->own, vgpu_ctrl_peer, sq_head.value);
	e->sleep = POSITION(e->own, vgpu_ctrl_peer, sleep.value);
	e->head = POSITION(e->other, vgpu_ctrl_app, cq_head.value);
	e->other_tail = POSITION(e->other, vgpu_ctrl_app, sq_tail.value);
	e->other_sleep = POSITION(e->other, vgpu_ctrl_app, sleep.value);
	e->out = e->own + PAGE;
	e->in = e->other + PAGE;
	return true;
}

/* A position of this side moved. The other one may have got all it wants, and gone. */
static void moved(struct end *e)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(e->other_sleep))
		bell(e->fd);
}

/*
 * Sleeps until @position, which the other side moves, is not @seen. What it did
 * before it ended counts.
 */
static bool await(struct end *e, _Atomic uint64_t *position, uint64_t seen)
{
	bool alive = true;

	while (alive && atomic_load(position) == seen) {
		atomic_store(e->sleep, VGPU_SLEEP | VGPU_SLEEP_ROOM);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(position) == seen)
			alive = !wait_bell(e->fd, &e->bells, VGPU_WAIT_FOREVER, NULL);
		atomic_store(e->sleep, 0);
	}
	return atomic_load(position) != seen;
}

static char byte_at(uint64_t position, unsigned seed)
{
	return position * 31 + (position >> 12) + seed;
}

/* At most @max more bytes: how many there was room for, or 0 after an error. */
static size_t produce(struct end *e, uint64_t max, unsigned seed)
{
	uint64_t tail = atomic_load_explicit(e->tail, memory_order_relaxed), n, i;

	if (!await(e, e->head, tail - RING))
		return 0;
	n = RING - (tail - atomic_load_explicit(e->head, memory_order_acquire));
	n = n < max ? n : max;
	for (i = 0; i < n; i++)
		e->out[(tail + i) & (RING - 1)] = byte_at(tail + i, seed);
	atomic_store_explicit(e->tail, tail + n, memory_order_release);
	moved(e);
	return n;
}

/* At most @max bytes that are there: how many, or 0 if they are not the right ones. */
static size_t consume(struct end *e, uint64_t max, unsigned seed)
{
	uint64_t head = atomic_load_explicit(e->own_head, memory_order_relaxed), n, i;

	if (!await(e, e->other_tail, head))
		return 0;
	n = atomic_load_explicit(e->other_tail, memory_order_acquire) - head;
	n = n < max ? n : max;
	for (i = 0; i < n; i++)
		if (e->in[(head + i) & (RING - 1)] != byte_at(head + i, seed))
			return 0;
	atomic_store_explicit(e->own_head, head + n, memory_order_release);
	moved(e);
	return n;
}

static bool transfer(struct end *e, uint64_t total, uint64_t most, unsigned seed,
		     size_t (*step)(struct end *, uint64_t, unsigned))
{
	uint64_t left = total;
	size_t n;

	while (left) {
		n = step(e, left < most ? left : most, seed);
		if (!n)
			return false;
		left -= n;
	}
	return true;
}

/* Messages of @size bytes to and fro; each waits for the one before. */
static bool play(struct end *e, bool first, unsigned rounds, size_t size, unsigned seed)
{
	bool good = true;
	unsigned i;

	for (i = 0; i < rounds && good; i++) {
		if (first)
			good = transfer(e, size, size, seed, produce);
		if (good)
			good = transfer(e, size, size, seed, consume);
		if (good && !first)
			good = transfer(e, size, size, seed, produce);
	}
	return good;
}

FIXTURE(traffic)
{
	struct bed	bed;
};

FIXTURE_SETUP(traffic)
{
	ASSERT_EQ(0, bed_open(&self->bed));
}

FIXTURE_TEARDOWN(traffic)
{
	EXPECT_EQ(0, bed_close(&self->bed));
}

/* Steps of odd sizes: records wrap in all ways, and either side may be the slow one. */
TEST_F_TIMEOUT(traffic, wraps_and_fills, SLOW)
{
	const uint64_t total = 100 * RING + 123;
	static const uint64_t steps[][2] = { { 4096, 4096 }, { 4096, 7 }, { 13, 4096 },
					     { 1000, 333 } };
	struct pair pair;
	struct end end;
	size_t i;
	pid_t pid;

	for (i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		ASSERT_EQ(0, pair_open(&self->bed, &pair));
		pid = child();
		if (!pid) {
			close(pair.app);
			_exit(!end_peer(&end, pair.peer) ||
			      !transfer(&end, total, steps[i][1], i, consume));
		}
		ASSERT_TRUE(end_app(&end, pair.app));
		EXPECT_TRUE(transfer(&end, total, steps[i][0], i, produce));
		EXPECT_EQ(0, join(pid));
		EXPECT_EQ(total, atomic_load(end.tail));
		EXPECT_EQ(total, atomic_load(end.head));
		munmap(end.own, SMALL_HALF);
		munmap(end.other, SMALL_HALF);
		pair_close(&pair);
	}
}

/* ---- many ---- */

#define PROCESSES	64
#define ROUNDS		40
#define MESSAGE		300

/* Bytes depend on the app's process: those of another channel are wrong ones. */
static void app_process(const struct bed *bed)
{
	struct end e;
	int fd = bed_node(bed);

	if (set_up(fd, &SMALL) || !end_app(&e, fd))
		_exit(1);
	_exit(!play(&e, true, ROUNDS, MESSAGE, getpid()));
}

static void peer_process(int fd)
{
	struct vgpu_ioc_info info;
	struct end e;

	if (call(fd, VGPU_IOC_INFO, &info) || !end_peer(&e, fd))
		_exit(1);
	_exit(!play(&e, false, ROUNDS, MESSAGE, info.pid));
}

static int accept_soon(int ctl)
{
	struct pollfd p = { .fd = ctl, .events = POLLIN };

	return poll(&p, 1, 1000 * SLOW) == 1 ? accept_channel(ctl) : -ETIME;
}

TEST_F_TIMEOUT(traffic, of_many_processes_at_once, SLOW)
{
	pid_t apps[PROCESSES], peers[PROCESSES];
	int i, fd;

	for (i = 0; i < PROCESSES; i++) {
		apps[i] = child();
		if (!apps[i])
			app_process(&self->bed);
	}
	for (i = 0; i < PROCESSES; i++) {
		fd = accept_soon(self->bed.ctl);
		ASSERT_LE(0, fd);
		peers[i] = child();
		if (!peers[i])
			peer_process(fd);
		close(fd);
	}
	for (i = 0; i < PROCESSES; i++) {
		EXPECT_EQ(0, join(apps[i]));
		EXPECT_EQ(0, join(peers[i]));
	}
	EXPECT_EQ(PROCESSES, bed_look(&self->bed).channels_total);
	EXPECT_EQ(0, bed_look(&self->bed).channels);
	EXPECT_EQ(0, bed_look(&self->bed).charged);
}

TEST_HARNESS_MAIN
