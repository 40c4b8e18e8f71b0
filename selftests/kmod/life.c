/* SPDX-License-Identifier: MIT */
/*
 * A channel's life: what its peer is told of it, the order of acceptance, freezing
 * and being taken up by a new daemon, time running out, giving up. Processes that
 * are killed: death.c.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "testbed.h"

#define RW		(PROT_READ | PROT_WRITE)
#define TIMEOUT		"/sys/module/vgpu/parameters/accept_timeout"
#define NOBODY		65534

FIXTURE(life)
{
	struct bed	bed;
	struct pair	pair;
};

FIXTURE_SETUP(life)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	ASSERT_EQ(0, pair_open(&self->bed, &self->pair));
}

FIXTURE_TEARDOWN(life)
{
	pair_close(&self->pair);
	EXPECT_EQ(0, write_text(TIMEOUT, "60"));
	EXPECT_EQ(0, bed_close(&self->bed));
}

static struct vgpu_ioc_info info_of(int peer)
{
	struct vgpu_ioc_info info;

	memset(&info, 0xff, sizeof(info));
	call(peer, VGPU_IOC_INFO, &info);
	return info;
}

/* The daemon ends, another one begins. */
static int new_daemon(struct bed *bed)
{
	close(bed->ctl);
	bed->ctl = open_node("/dev/vgpuctl", O_RDWR);
	return bed->ctl < 0 ? bed->ctl : 0;
}

/* ---- what the peer is told ---- */

TEST_F(life, is_told)
{
	const struct vgpu_cookie none = { 0 };
	struct vgpu_ioc_info info = info_of(self->pair.peer);
	int i;

	EXPECT_EQ(VGPU_FEATURES, info.features);
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, info.state);
	EXPECT_EQ(getpid(), info.pid);
	EXPECT_EQ(0, info.uid);
	EXPECT_EQ(0, info.gid);
	EXPECT_EQ(1, info.ndevices);
	EXPECT_EQ(0, info.reserved);
	EXPECT_EQ(self->bed.device, info.devices[0]);
	for (i = 1; i < VGPU_CHANNEL_DEVICES; i++)
		EXPECT_EQ(0, info.devices[i]);
	EXPECT_EQ(0, memcmp(&SMALL, &info.sizes, sizeof(SMALL)));
	EXPECT_EQ(0, memcmp(&none, &info.cookie, sizeof(none)));
}

/* A child that sets up @fd as another user, until it is killed. */
static pid_t app_of(uid_t uid, gid_t gid, int fd, int gate)
{
	pid_t pid = child();

	if (pid)
		return pid;
	if (setegid(gid) || seteuid(uid) || set_up(fd, &SMALL))
		_exit(1);
	/* later changes do not matter */
	if (seteuid(0) || setegid(0))
		_exit(1);
	gate_open(gate);
	pause();
	_exit(0);
}

TEST_F(life, tells_whose_it_is)
{
	int fd = bed_node(&self->bed), gate = gate_new(), peer;
	pid_t pid = app_of(1234, 5678, fd, gate);
	struct vgpu_ioc_info info;

	close(fd);
	ASSERT_TRUE(gate_pass(gate));
	peer = accept_channel(self->bed.ctl);
	info = info_of(peer);
	EXPECT_EQ(pid, info.pid);
	EXPECT_EQ(1234, info.uid);
	EXPECT_EQ(5678, info.gid);
	EXPECT_EQ(-SIGKILL, kill_and_join(pid));
	EXPECT_EQ(VGPU_CHANNEL_LOST, state_of(peer));
	EXPECT_EQ(0, info_of(peer).pid);
	close(peer);
}

/* A thread's channel is its process's. */
static void *set_up_in_thread(void *fd)
{
	return (void *)(intptr_t)set_up((intptr_t)fd, &SMALL);
}

TEST_F(life, is_of_a_process_not_a_thread)
{
	int fd = bed_node(&self->bed), peer;
	pthread_t thread;
	void *err;

	ASSERT_EQ(0, pthread_create(&thread, NULL, set_up_in_thread, (void *)(intptr_t)fd));
	ASSERT_EQ(0, pthread_join(thread, &err));
	ASSERT_EQ(NULL, err);
	EXPECT_EQ(0, bell(fd));
	peer = accept_channel(self->bed.ctl);
	EXPECT_EQ(getpid(), info_of(peer).pid);
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(peer));
	close(peer);
	close(fd);
}

/* Who is in a namespace is told what means something there. */
TEST_F(life, is_told_as_namespaces_see_it)
{
	pid_t pid = child();

	if (!pid) {
		struct vgpu_ioc_info info;

		EXPECT_EQ(0, unshare(CLONE_NEWUSER | CLONE_NEWPID));
		info = info_of(self->pair.peer);
		EXPECT_EQ(NOBODY, info.uid);
		EXPECT_EQ(NOBODY, info.gid);
		pid = fork();
		if (!pid)
			_exit(info_of(self->pair.peer).pid);
		EXPECT_EQ(0, join(pid));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
}

/* ---- acceptance ---- */

TEST_F(life, is_accepted_in_order)
{
	struct vgpu_ioc_setup setup = { .sizes = SMALL };
	uint64_t numbers[5];
	int fds[5], peers[5], i;

	for (i = 0; i < 5; i++) {
		fds[i] = bed_node(&self->bed);
		ASSERT_EQ(0, call(fds[i], VGPU_IOC_SETUP, &setup));
		numbers[i] = setup.channel;
	}
	/* one that ended is not in the line any more */
	close(fds[2]);
	for (i = 0; i < 5; i++) {
		peers[i] = i == 2 ? -1 : accept_channel(self->bed.ctl);
		EXPECT_TRUE(i == 2 || info_of(peers[i]).channel == numbers[i]);
	}
	EXPECT_EQ(-EAGAIN, accept_channel(self->bed.ctl));
	for (i = 0; i < 5; i++) {
		close(peers[i]);
		close(i == 2 ? -1 : fds[i]);
	}
}

TEST_F(life, waits_across_daemons)
{
	int fd = bed_node(&self->bed), peer;
	uint64_t bells = 0;

	ASSERT_EQ(0, set_up(fd, &SMALL));
	close(self->bed.ctl);
	self->bed.ctl = -1;
	EXPECT_EQ(-ETIME, wait_bell(fd, &bells, from_now(20 * MS), NULL));
	self->bed.ctl = open_node("/dev/vgpuctl", O_RDWR);
	EXPECT_EQ(POLLIN, ready(self->bed.ctl));
	peer = accept_channel(self->bed.ctl);
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(peer));
	/* those that are active do not mind either */
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(self->pair.peer));
	EXPECT_EQ(0, bell(self->pair.app));
	close(peer);
	close(fd);
}

/* ---- cookies and freezing ---- */

TEST_F(life, keeps_the_last_cookie)
{
	struct vgpu_cookie cookie;
	int i;

	for (i = 0; i < (int)sizeof(cookie.bytes); i++)
		cookie.bytes[i] = i;
	ASSERT_EQ(0, set_cookie(self->pair.peer, 0xaa));
	ASSERT_EQ(0, call(self->pair.peer, VGPU_IOC_COOKIE, &cookie));
	cookie = info_of(self->pair.peer).cookie;
	for (i = 0; i < (int)sizeof(cookie.bytes); i++)
		EXPECT_EQ(i, cookie.bytes[i]);
}

TEST_F(life, keeps_cookies_from_workers)
{
	pid_t pid;

	ASSERT_EQ(0, set_cookie(self->pair.peer, 0xaa));
	EXPECT_EQ(0xaa, info_of(self->pair.peer).cookie.bytes[63]);
	pid = child();
	if (!pid) {
		EXPECT_EQ(0, setuid(NOBODY));
		EXPECT_EQ(0, info_of(self->pair.peer).cookie.bytes[0]);
		EXPECT_EQ(0, info_of(self->pair.peer).cookie.bytes[63]);
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
}

TEST_F(life, is_lost_without_a_cookie)
{
	ASSERT_EQ(0, set_cookie(self->pair.peer, 1));
	ASSERT_EQ(0, set_cookie(self->pair.peer, 0));
	EXPECT_EQ(0, close(self->pair.peer));
	EXPECT_EQ(-EPIPE, bell(self->pair.app));
	EXPECT_EQ(-EAGAIN, accept_channel(self->bed.ctl));
	EXPECT_EQ(1, bed_look(&self->bed).channels_lost);
	self->pair.peer = -1;
}

/* Any byte of it that is not zero makes a cookie. */
TEST_F(life, is_frozen_for_the_smallest_cookie)
{
	struct vgpu_cookie cookie = { .bytes = { [63] = 1 } };

	ASSERT_EQ(0, call(self->pair.peer, VGPU_IOC_COOKIE, &cookie));
	close(self->pair.peer);
	EXPECT_EQ(0, bell(self->pair.app));
	self->pair.peer = accept_channel(self->bed.ctl);
	EXPECT_EQ(1, info_of(self->pair.peer).cookie.bytes[63]);
}

/* Everything that a new daemon needs to go on where the old one stopped. */
TEST_F(life, goes_on_with_a_new_daemon)
{
	char *own = map(self->pair.app, VGPU_MMAP_APP, SMALL_HALF, RW);
	char *other = map(self->pair.app, VGPU_MMAP_PEER, SMALL_HALF, PROT_READ);
	char *peer_own = map(self->pair.peer, VGPU_MMAP_PEER, SMALL_HALF, RW), *again;
	uint64_t number = info_of(self->pair.peer).channel, bells = 0;
	uint64_t handle = hostmem(self->pair.app, PAGE);
	uint32_t state = ~0u;

	ASSERT_TRUE(own && other && peer_own && handle);
	memset(own, 0x11, SMALL_HALF);
	memset(peer_own, 0x22, SMALL_HALF);
	ASSERT_EQ(0, register_memory(self->pair.app, own, 100));
	ASSERT_EQ(0, bell(self->pair.app));
	ASSERT_EQ(0, bell(self->pair.app));
	ASSERT_EQ(0, bell(self->pair.peer));
	ASSERT_EQ(0, set_cookie(self->pair.peer, 0x77));
	close(self->pair.peer);
	EXPECT_EQ(-EAGAIN, accept_channel(self->bed.ctl));
	munmap(peer_own, SMALL_HALF);
	EXPECT_EQ(0, new_daemon(&self->bed));

	/* the app notices nothing, but for what it asks */
	EXPECT_EQ(0, wait_bell(self->pair.app, &bells, 0, &state));
	EXPECT_EQ(VGPU_CHANNEL_FROZEN, state);
	EXPECT_EQ(0, bell(self->pair.app));
	EXPECT_EQ(0, bed_look(&self->bed).channels_lost);

	self->pair.peer = accept_channel(self->bed.ctl);
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(self->pair.peer));
	EXPECT_EQ(number, info_of(self->pair.peer).channel);
	EXPECT_EQ(0x77, info_of(self->pair.peer).cookie.bytes[0]);
	bells = 0;
	EXPECT_EQ(0, wait_bell(self->pair.peer, &bells, 0, NULL));
	EXPECT_EQ(3, bells);
	again = map(self->pair.peer, VGPU_MMAP_PEER, SMALL_HALF, RW);
	ASSERT_NE(NULL, again);
	EXPECT_EQ(0, memcmp(again, other, SMALL_HALF));
	EXPECT_EQ(0x22, again[SMALL_HALF - 1]);
	again[5] = 0x33;
	EXPECT_EQ(0x33, other[5]);
	EXPECT_EQ(0, try_map(self->pair.peer, handle, PAGE, RW, MAP_SHARED));
	EXPECT_EQ(0, copy(self->pair.peer, (uintptr_t)own, again, 100, 0));
	EXPECT_EQ(0x11, again[99]);
	EXPECT_EQ(1, bed_look(&self->bed).channels_total);
	munmap(own, SMALL_HALF);
	munmap(other, SMALL_HALF);
	munmap(again, SMALL_HALF);
}

struct waiter {
	int		fd, err;
	uint64_t	bells;
	uint32_t	state;
	_Atomic pid_t	tid;
};

static void *wait_in_thread(void *arg)
{
	struct waiter *w = arg;

	w->tid = gettid();
	w->err = wait_bell(w->fd, &w->bells, VGPU_WAIT_FOREVER, &w->state);
	return NULL;
}

TEST_F_TIMEOUT(life, waits_on_when_frozen, SLOW)
{
	struct waiter w = { .fd = self->pair.app };
	pthread_t thread;

	ASSERT_EQ(0, set_cookie(self->pair.peer, 9));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_in_thread, &w));
	while (!w.tid)
		sched_yield();
	ASSERT_TRUE(sleeps_in(w.tid, SYS_ioctl));
	close(self->pair.peer);
	self->pair.peer = -1;
	EXPECT_EQ(0, ready(self->pair.app));
	EXPECT_EQ(0, new_daemon(&self->bed));
	self->pair.peer = accept_channel(self->bed.ctl);
	ASSERT_LE(0, self->pair.peer);
	ASSERT_TRUE(sleeps_in(w.tid, SYS_ioctl));
	EXPECT_EQ(0, bell(self->pair.peer));
	EXPECT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, w.err);
	EXPECT_EQ(1, w.bells);
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, w.state);
}

TEST_F(life, is_frozen_again_and_again)
{
	int i;

	ASSERT_EQ(0, set_cookie(self->pair.peer, 9));
	for (i = 0; i < 50; i++) {
		close(self->pair.peer);
		EXPECT_EQ(0, new_daemon(&self->bed));
		self->pair.peer = accept_channel(self->bed.ctl);
		ASSERT_LE(0, self->pair.peer);
		EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(self->pair.peer));
	}
	EXPECT_EQ(0, bed_look(&self->bed).channels_lost);
}

/* A frozen channel stands behind those that wait already. */
TEST_F(life, stands_in_line_when_frozen)
{
	int fd = bed_node(&self->bed), first;

	ASSERT_EQ(0, set_up(fd, &SMALL));
	ASSERT_EQ(0, set_cookie(self->pair.peer, 9));
	close(self->pair.peer);
	first = accept_channel(self->bed.ctl);
	EXPECT_EQ(0, info_of(first).cookie.bytes[0]);
	self->pair.peer = accept_channel(self->bed.ctl);
	EXPECT_EQ(9, info_of(self->pair.peer).cookie.bytes[0]);
	close(first);
	close(fd);
}

TEST_F(life, ends_when_frozen)
{
	ASSERT_EQ(0, set_cookie(self->pair.peer, 9));
	close(self->pair.peer);
	EXPECT_EQ(POLLIN, ready(self->bed.ctl));
	close(self->pair.app);
	EXPECT_EQ(0, ready(self->bed.ctl));
	EXPECT_EQ(-EAGAIN, accept_channel(self->bed.ctl));
	EXPECT_EQ(0, bed_look(&self->bed).channels);
	EXPECT_EQ(0, bed_look(&self->bed).channels_lost);
	EXPECT_EQ(0, bed_look(&self->bed).charged);
	self->pair.app = self->pair.peer = -1;
}

/* LOSE counts more than a cookie. */
TEST_F(life, is_given_up_with_a_cookie)
{
	ASSERT_EQ(0, set_cookie(self->pair.peer, 9));
	ASSERT_EQ(0, call_value(self->pair.peer, VGPU_IOC_LOSE, 0));
	EXPECT_EQ(VGPU_CHANNEL_LOST, state_of(self->pair.peer));
	close(self->pair.peer);
	self->pair.peer = -1;
	EXPECT_EQ(-EPIPE, bell(self->pair.app));
	EXPECT_EQ(-EAGAIN, accept_channel(self->bed.ctl));
	EXPECT_EQ(1, bed_look(&self->bed).channels_lost);
}

/* ---- time running out ---- */

/* Polls until it is hung up, and says how long that took. */
static int64_t time_to_loss(int fd)
{
	struct pollfd p = { .fd = fd };
	int64_t begin = from_now(0);

	if (poll(&p, 1, 1000 * SLOW) != 1 || !(p.revents & POLLHUP))
		return -1;
	return from_now(0) - begin;
}

TEST_F_TIMEOUT(life, is_lost_if_nobody_accepts, SLOW)
{
	int fd = bed_node(&self->bed);
	uint64_t bells = 0;

	ASSERT_EQ(0, write_text(TIMEOUT, "1"));
	ASSERT_EQ(0, set_up(fd, &SMALL));
	/* jiffies are counted in wholes */
	EXPECT_LE(980 * MS, time_to_loss(fd));
	EXPECT_EQ(-EPIPE, wait_bell(fd, &bells, VGPU_WAIT_FOREVER, NULL));
	EXPECT_EQ(-EAGAIN, accept_channel(self->bed.ctl));
	EXPECT_EQ(0, ready(self->bed.ctl));
	EXPECT_EQ(1, bed_look(&self->bed).channels_lost);
	/* not those that were accepted */
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(self->pair.peer));
	close(fd);
}

TEST_F_TIMEOUT(life, is_lost_if_nobody_takes_it_up, SLOW)
{
	ASSERT_EQ(0, write_text(TIMEOUT, "1"));
	ASSERT_EQ(0, set_cookie(self->pair.peer, 9));
	close(self->pair.peer);
	self->pair.peer = -1;
	EXPECT_LE(980 * MS, time_to_loss(self->pair.app));
	EXPECT_EQ(-EAGAIN, accept_channel(self->bed.ctl));
	EXPECT_EQ(1, bed_look(&self->bed).channels_lost);
}

/* The time that counts is that of the last freezing, not of an earlier one. */
TEST_F_TIMEOUT(life, has_its_time_anew, SLOW)
{
	ASSERT_EQ(0, write_text(TIMEOUT, "2"));
	ASSERT_EQ(0, set_cookie(self->pair.peer, 9));
	close(self->pair.peer);
	pause_ms(1200);
	self->pair.peer = accept_channel(self->bed.ctl);
	ASSERT_LE(0, self->pair.peer);
	close(self->pair.peer);
	self->pair.peer = -1;
	EXPECT_LE(1980 * MS, time_to_loss(self->pair.app));
}

TEST_F_TIMEOUT(life, has_no_time_at_all, SLOW)
{
	int fd = bed_node(&self->bed);

	ASSERT_EQ(0, write_text(TIMEOUT, "0"));
	ASSERT_EQ(0, set_up(fd, &SMALL));
	EXPECT_LE(0, time_to_loss(fd));
	close(fd);
}

TEST_F(life, has_all_the_time)
{
	int fd = bed_node(&self->bed), peer;

	ASSERT_EQ(0, write_text(TIMEOUT, "4294967295"));
	ASSERT_EQ(0, set_up(fd, &SMALL));
	pause_ms(50);
	EXPECT_EQ(0, ready(fd));
	peer = accept_channel(self->bed.ctl);
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(peer));
	close(peer);
	close(fd);
}

TEST_F(life, has_a_time_that_is_a_number)
{
	EXPECT_EQ(-EINVAL, write_text(TIMEOUT, "soon"));
	EXPECT_EQ(-EINVAL, write_text(TIMEOUT, "-1"));
	EXPECT_EQ(-ERANGE, write_text(TIMEOUT, "4294967296"));
	EXPECT_STREQ("60", read_text(TIMEOUT));
}

/* ---- the app closes ---- */

/* The first close of any of its descriptors is the app's end. */
TEST_F(life, ends_with_the_first_close)
{
	int again = dup(self->pair.app);

	EXPECT_EQ(0, bell(again));
	close(again);
	EXPECT_EQ(-EPIPE, bell(self->pair.app));
	EXPECT_EQ(VGPU_CHANNEL_LOST, state_of(self->pair.peer));
	EXPECT_EQ(0, bed_look(&self->bed).channels);
	EXPECT_EQ(0, bed_look(&self->bed).channels_lost);
}

TEST_F(life, keeps_no_device_busy_after_its_end)
{
	EXPECT_EQ(-EBUSY, vgpu_nl_del(self->bed.nl, self->bed.device));
	close(self->pair.app);
	EXPECT_EQ(-EBUSY, vgpu_nl_del(self->bed.nl, self->bed.device));
	EXPECT_EQ(SMALL_CHARGE, bed_look(&self->bed).charged);
	close(self->pair.peer);
	EXPECT_EQ(0, bed_look(&self->bed).charged);
	self->pair.app = self->pair.peer = -1;
}

TEST_HARNESS_MAIN
