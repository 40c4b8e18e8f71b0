/* SPDX-License-Identifier: MIT */
/*
 * Either side is killed, at each stage of its life and in the middle of things:
 * the other side hears of it, and everything that was used is given back.
 */
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "testbed.h"

#define RW	(PROT_READ | PROT_WRITE)
#define HUNG_UP	(POLLIN | POLLHUP | POLLERR)
#define BIG	(32ul << 20)

/* How far the one that is killed has come. */
enum stage {
	OPENED,		/* the app only */
	SET_UP,		/* the app: waiting to be accepted; the peer: accepted */
	ACCEPTED,
	MAPPED,
	IN_WAIT,
	IN_POLL,
	WITH_HOSTMEM,
	COPYING,	/* the peer only */
};

static void sleep_in(int fd, enum stage stage)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t bells = 0;

	if (stage == IN_WAIT)
		wait_bell(fd, &bells, VGPU_WAIT_FOREVER, NULL);
	else if (stage == IN_POLL)
		poll(&p, 1, -1);
	else
		pause();
	_exit(1);
}

static long sleeping_call(enum stage stage)
{
	return stage == IN_WAIT ? SYS_ioctl : stage == IN_POLL ? SYS_poll : SYS_pause;
}

static bool map_half(int fd, uint64_t offset)
{
	char *at = map(fd, offset, SMALL_HALF, RW);

	return at && !touch(at, true);
}

/* The device gave everything back, and the daemon has nothing to do. */
static void nothing_is_left(struct __test_metadata *_metadata, const struct bed *bed)
{
	struct vgpu_nl_device d = bed_look(bed);

	EXPECT_EQ(0, d.channels);
	EXPECT_EQ(0, d.charged);
	EXPECT_EQ(-EAGAIN, accept_channel(bed->ctl));
	EXPECT_EQ(0, ready(bed->ctl));
}

/* ---- the app ---- */

FIXTURE(app)
{
	struct bed	bed;
	int		gate;
};

FIXTURE_VARIANT(app)
{
	enum stage	stage;
};

FIXTURE_VARIANT_ADD(app, opened)
{
	.stage = OPENED,
};
FIXTURE_VARIANT_ADD(app, waiting)
{
	.stage = SET_UP,
};
FIXTURE_VARIANT_ADD(app, active)
{
	.stage = ACCEPTED,
};
FIXTURE_VARIANT_ADD(app, mapped)
{
	.stage = MAPPED,
};
FIXTURE_VARIANT_ADD(app, in_wait)
{
	.stage = IN_WAIT,
};
FIXTURE_VARIANT_ADD(app, in_poll)
{
	.stage = IN_POLL,
};
FIXTURE_VARIANT_ADD(app, with_hostmem)
{
	.stage = WITH_HOSTMEM,
};

FIXTURE_SETUP(app)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	self->gate = gate_new();
}

FIXTURE_TEARDOWN(app)
{
	EXPECT_EQ(0, bed_close(&self->bed));
}

static void live_as_app(const struct bed *bed, enum stage stage, int gate)
{
	int fd = bed_node(bed);
	char *at = NULL;

	if (fd < 0 || (stage >= SET_UP && set_up(fd, &SMALL)))
		_exit(1);
	if (stage >= MAPPED && !map_half(fd, VGPU_MMAP_APP))
		_exit(1);
	if (stage == WITH_HOSTMEM) {
		at = map(fd, hostmem(fd, 4 * PAGE), 4 * PAGE, RW);
		/* one mapped, one only allocated */
		if (!at || touch(at, true) || !hostmem(fd, PAGE))
			_exit(1);
	}
	gate_open(gate);
	sleep_in(fd, stage);
}

TEST_F_TIMEOUT(app, is_killed, SLOW)
{
	int peer = -1;
	pid_t pid = child();

	if (!pid)
		live_as_app(&self->bed, variant->stage, self->gate);
	ASSERT_TRUE(gate_pass(self->gate));
	if (variant->stage >= ACCEPTED)
		peer = accept_channel(self->bed.ctl);
	ASSERT_TRUE(sleeps_in(pid, sleeping_call(variant->stage)));
	EXPECT_EQ(variant->stage >= SET_UP, bed_look(&self->bed).channels);
	EXPECT_EQ(-SIGKILL, kill_and_join(pid));
	EXPECT_EQ(0, bed_look(&self->bed).channels);
	if (peer >= 0) {
		EXPECT_EQ(HUNG_UP, ready(peer));
		EXPECT_EQ(-EPIPE, bell(peer));
		EXPECT_EQ(VGPU_CHANNEL_LOST, state_of(peer));
		EXPECT_EQ(SMALL_CHARGE, bed_look(&self->bed).charged);
		close(peer);
	}
	nothing_is_left(_metadata, &self->bed);
	EXPECT_EQ(0, bed_look(&self->bed).channels_lost);
}

/* The peer's mapping of a buffer keeps the buffer, and nothing else of the app's. */
FIXTURE(hostmem_of_app)
{
	struct bed	bed;
};

FIXTURE_SETUP(hostmem_of_app)
{
	ASSERT_EQ(0, bed_open(&self->bed));
}

FIXTURE_TEARDOWN(hostmem_of_app)
{
	EXPECT_EQ(0, bed_close(&self->bed));
}

TEST_F_TIMEOUT(hostmem_of_app, is_kept_for_the_peer, SLOW)
{
	int gate = gate_new(), peer;
	pid_t pid = child();
	char *at;

	if (!pid)
		live_as_app(&self->bed, WITH_HOSTMEM, gate);
	ASSERT_TRUE(gate_pass(gate));
	peer = accept_channel(self->bed.ctl);
	at = map(peer, VGPU_MMAP_HOSTMEM, 4 * PAGE, RW);
	ASSERT_NE(NULL, at);
	EXPECT_EQ(1, at[0]);
	EXPECT_EQ(SMALL_CHARGE + 5 * PAGE, bed_look(&self->bed).charged);
	EXPECT_EQ(-SIGKILL, kill_and_join(pid));
	EXPECT_EQ(1, at[0]);
	EXPECT_EQ(0, touch(at + 3 * PAGE, true));
	EXPECT_EQ(SMALL_CHARGE + 4 * PAGE, bed_look(&self->bed).charged);
	munmap(at, 4 * PAGE);
	EXPECT_EQ(SMALL_CHARGE, bed_look(&self->bed).charged);
	close(peer);
	nothing_is_left(_metadata, &self->bed);
}

/* ---- the peer ---- */

FIXTURE(peer)
{
	struct bed	bed;
	int		app, gate;
	char		*memory;	/* registered */
};

FIXTURE_VARIANT(peer)
{
	enum stage	stage;
	bool		cookie;
};

FIXTURE_VARIANT_ADD(peer, active)
{
	.stage = ACCEPTED,
};
FIXTURE_VARIANT_ADD(peer, mapped)
{
	.stage = MAPPED,
};
FIXTURE_VARIANT_ADD(peer, in_wait)
{
	.stage = IN_WAIT,
};
FIXTURE_VARIANT_ADD(peer, in_poll)
{
	.stage = IN_POLL,
};
FIXTURE_VARIANT_ADD(peer, with_hostmem)
{
	.stage = WITH_HOSTMEM,
};
FIXTURE_VARIANT_ADD(peer, copying)
{
	.stage = COPYING,
};
FIXTURE_VARIANT_ADD(peer, active_with_cookie)
{
	.stage = ACCEPTED,
	.cookie = true,
};
FIXTURE_VARIANT_ADD(peer, mapped_with_cookie)
{
	.stage = MAPPED,
	.cookie = true,
};
FIXTURE_VARIANT_ADD(peer, in_wait_with_cookie)
{
	.stage = IN_WAIT,
	.cookie = true,
};
FIXTURE_VARIANT_ADD(peer, copying_with_cookie)
{
	.stage = COPYING,
	.cookie = true,
};

FIXTURE_SETUP(peer)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	self->gate = gate_new();
	self->app = bed_node(&self->bed);
	ASSERT_EQ(0, set_up(self->app, &SMALL));
	self->memory = mmap(NULL, BIG, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	ASSERT_EQ(0, register_memory(self->app, self->memory, BIG));
	ASSERT_EQ(VGPU_MMAP_HOSTMEM, hostmem(self->app, 4 * PAGE));
}

FIXTURE_TEARDOWN(peer)
{
	close(self->app);
	EXPECT_EQ(0, bed_close(&self->bed));
}

static void copy_for_ever(int fd, const char *memory)
{
	static char local[1 << 20];

	for (;;)
		if (copy(fd, (uintptr_t)memory, local, sizeof(local), 0))
			_exit(1);
}

/* All that the child of the daemon does; @app is a copy that it must not keep. */
static void live_as_peer(int ctl, int app, const char *memory, enum stage stage, bool cookie,
			 int gate)
{
	int fd = accept_channel(ctl);
	char *at;

	close(app);
	if (fd < 0 || (cookie && set_cookie(fd, 1)))
		_exit(1);
	if (stage >= MAPPED && !map_half(fd, VGPU_MMAP_PEER))
		_exit(1);
	at = map(fd, VGPU_MMAP_HOSTMEM, 4 * PAGE, RW);
	if (stage == WITH_HOSTMEM && (!at || touch(at, true)))
		_exit(1);
	gate_open(gate);
	if (stage == COPYING)
		copy_for_ever(fd, memory);
	sleep_in(fd, stage);
}

TEST_F_TIMEOUT(peer, is_killed, SLOW)
{
	uint64_t bells = 0;
	uint32_t state = ~0u;
	int peer;
	pid_t pid = child();

	if (!pid)
		live_as_peer(self->bed.ctl, self->app, self->memory, variant->stage,
			     variant->cookie, self->gate);
	ASSERT_TRUE(gate_pass(self->gate));
	if (variant->stage == COPYING)
		pause_ms(20);
	else
		ASSERT_TRUE(sleeps_in(pid, sleeping_call(variant->stage)));
	EXPECT_EQ(0, ready(self->app));
	EXPECT_EQ(-SIGKILL, kill_and_join(pid));
	if (!variant->cookie) {
		EXPECT_EQ(HUNG_UP, ready(self->app));
		EXPECT_EQ(-EPIPE, wait_bell(self->app, &bells, VGPU_WAIT_FOREVER, NULL));
		EXPECT_EQ(-EAGAIN, accept_channel(self->bed.ctl));
		EXPECT_EQ(1, bed_look(&self->bed).channels_lost);
	} else {
		EXPECT_EQ(0, ready(self->app));
		EXPECT_EQ(0, bell(self->app));
		EXPECT_EQ(0, call_value(self->app, VGPU_IOC_BELL, VGPU_BELL_OWN));
		EXPECT_EQ(0, wait_bell(self->app, &bells, 0, &state));
		EXPECT_EQ(VGPU_CHANNEL_FROZEN, state);
		peer = accept_channel(self->bed.ctl);
		EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(peer));
		EXPECT_EQ(0, bed_look(&self->bed).channels_lost);
		close(peer);
	}
	EXPECT_EQ(1, bed_look(&self->bed).channels);
	close(self->app);
	nothing_is_left(_metadata, &self->bed);
	self->app = -1;
}

/* ---- in the middle of things ---- */

FIXTURE(middle)
{
	struct bed	bed;
};

FIXTURE_SETUP(middle)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	ASSERT_EQ(0, bed_budget(&self->bed, 1ull << 40, 1ull << 40));
}

FIXTURE_TEARDOWN(middle)
{
	EXPECT_EQ(0, bed_close(&self->bed));
}

static bool map_and_unmap(int fd, uint64_t offset, size_t size)
{
	return !try_map(fd, offset, size, RW, MAP_SHARED);
}

/* Makes and ends channels with buffers, as fast as it can. */
static void make_for_ever(const struct bed *bed, const struct vgpu_ring_sizes *sizes)
{
	int fd, peer;

	do {
		fd = bed_node(bed);
		if (fd < 0 || set_up(fd, sizes))
			break;
		peer = accept_channel(bed->ctl);
		if (!map_and_unmap(peer, VGPU_MMAP_PEER, peer_half(sizes)) ||
		    !map_and_unmap(fd, VGPU_MMAP_APP, app_half(sizes)) ||
		    !map_and_unmap(fd, hostmem(fd, BIG / 2), BIG / 2))
			break;
	} while (!close(fd) && !close(peer));
	_exit(1);
}

static void kill_some(struct __test_metadata *_metadata, const struct bed *bed,
		      const struct vgpu_ring_sizes *sizes, int times)
{
	pid_t pid;
	int i;

	for (i = 0; i < times; i++) {
		pid = child();
		if (!pid)
			make_for_ever(bed, sizes);
		pause_ms(3 + 7 * i % 50);
		EXPECT_EQ(-SIGKILL, kill_and_join(pid));
		EXPECT_EQ(0, bed_look(bed).charged);
		nothing_is_left(_metadata, bed);
	}
}

TEST_F_TIMEOUT(middle, small_channels, SLOW)
{
	kill_some(_metadata, &self->bed, &SMALL, 40);
}

/* Most of the time goes into getting, clearing and mapping memory. */
TEST_F_TIMEOUT(middle, large_channels, SLOW)
{
	const struct vgpu_ring_sizes sizes = {
		.sq = 1 << 20, .cq = 1 << 20, .up = BIG, .down = BIG,
	};

	kill_some(_metadata, &self->bed, &sizes, 20);
}

/* Both at once, and the daemon with them. */
TEST_F_TIMEOUT(middle, all_of_them, SLOW)
{
	int gate = gate_new(), i, how;
	pid_t app, peer;

	for (i = 0; i < 20; i++) {
		app = child();
		if (!app)
			live_as_app(&self->bed, IN_WAIT, gate);
		ASSERT_TRUE(gate_pass(gate));
		peer = child();
		if (!peer)
			live_as_peer(self->bed.ctl, -1, NULL, IN_WAIT, i & 1, gate);
		ASSERT_TRUE(gate_pass(gate));
		close(self->bed.ctl);
		EXPECT_EQ(0, kill(app, SIGKILL));
		EXPECT_EQ(0, kill(peer, SIGKILL));
		EXPECT_EQ(-SIGKILL, join(app));
		/* It may hear of the app's end before it comes to its own. */
		how = join(peer);
		EXPECT_TRUE(how == -SIGKILL || how == 1);
		self->bed.ctl = open_node("/dev/vgpuctl", O_RDWR);
		ASSERT_LE(0, self->bed.ctl);
		nothing_is_left(_metadata, &self->bed);
	}
	EXPECT_EQ(20, bed_look(&self->bed).channels_total);
}

TEST_HARNESS_MAIN
