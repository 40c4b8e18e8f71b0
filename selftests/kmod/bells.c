/* SPDX-License-Identifier: MIT */
/*
 * Bells: counts, waiting, deadlines, signals, poll and epoll, what a lost channel
 * does to them. That none is lost between millions: stress_bells.c.
 */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "testbed.h"

#define HUNG_UP (POLLIN | POLLHUP | POLLERR)

FIXTURE(bells)
{
	struct bed	bed;
	struct pair	pair;
};

FIXTURE_SETUP(bells)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	ASSERT_EQ(0, pair_open(&self->bed, &self->pair));
}

FIXTURE_TEARDOWN(bells)
{
	pair_close(&self->pair);
	EXPECT_EQ(0, bed_close(&self->bed));
}

/* The count, without waiting; the count that was seen is another one. */
static uint64_t count(int fd)
{
	uint64_t bells = ~0ull;

	return wait_bell(fd, &bells, 0, NULL) ? ~0ull : bells;
}

static int ring_own(int fd)
{
	return call_value(fd, VGPU_IOC_BELL, VGPU_BELL_OWN);
}

TEST_F(bells, are_counted_for_each_side)
{
	int app = self->pair.app, peer = self->pair.peer;

	EXPECT_EQ(0, count(app));
	EXPECT_EQ(0, count(peer));
	EXPECT_EQ(0, bell(app));
	EXPECT_EQ(0, bell(app));
	EXPECT_EQ(0, bell(app));
	EXPECT_EQ(3, count(peer));
	EXPECT_EQ(0, count(app));
	EXPECT_EQ(0, bell(peer));
	EXPECT_EQ(1, count(app));
	EXPECT_EQ(0, ring_own(app));
	EXPECT_EQ(2, count(app));
	EXPECT_EQ(0, ring_own(peer));
	EXPECT_EQ(4, count(peer));
}

TEST_F(bells, are_of_one_channel)
{
	struct pair other;

	ASSERT_EQ(0, pair_open(&self->bed, &other));
	EXPECT_EQ(0, bell(self->pair.app));
	EXPECT_EQ(0, count(other.peer));
	EXPECT_EQ(0, count(other.app));
	pair_close(&other);
}

TEST_F(bells, rung_before_are_not_lost)
{
	uint64_t bells = 0;

	EXPECT_EQ(0, bell(self->pair.app));
	EXPECT_EQ(0, wait_bell(self->pair.peer, &bells, VGPU_WAIT_FOREVER, NULL));
	EXPECT_EQ(1, bells);
	EXPECT_EQ(0, bell(self->pair.app));
	EXPECT_EQ(0, bell(self->pair.app));
	EXPECT_EQ(0, wait_bell(self->pair.peer, &bells, VGPU_WAIT_FOREVER, NULL));
	EXPECT_EQ(3, bells);
}

TEST_F(bells, refuse_what_is_not_described)
{
	const int fds[] = { self->pair.app, self->pair.peer };
	const int64_t deadlines[] = { -1, INT64_MIN };
	struct vgpu_ioc_wait wait;
	int i, k;

	EXPECT_EQ(0, bell(self->pair.app));
	EXPECT_EQ(0, bell(self->pair.peer));
	for (i = 0; i < 2; i++) {
		for (k = 0; k < 32; k++) {
			wait = (struct vgpu_ioc_wait){ .flags = 1u << k };
			EXPECT_EQ(-EINVAL, call(fds[i], VGPU_IOC_WAIT, &wait));
			EXPECT_EQ(0, wait.bells);
		}
		for (k = 0; k < 2; k++) {
			wait = (struct vgpu_ioc_wait){ .deadline = deadlines[k] };
			EXPECT_EQ(-EINVAL, call(fds[i], VGPU_IOC_WAIT, &wait));
			EXPECT_EQ(0, wait.bells);
		}
	}
}

/* A count that cannot be told was not taken. */
TEST_F(bells, are_not_taken_without_being_told)
{
	struct vgpu_ioc_wait *wait = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)wait);
	ASSERT_EQ(0, mprotect(wait, PAGE, PROT_READ));
	EXPECT_EQ(0, bell(self->pair.app));
	EXPECT_EQ(-EFAULT, call(self->pair.peer, VGPU_IOC_WAIT, wait));
	EXPECT_EQ(POLLIN, ready(self->pair.peer));
}

TEST_F(bells, tell_the_state)
{
	int app = bed_node(&self->bed), peer;
	uint32_t state = ~0u;
	uint64_t bells = 0;

	ASSERT_EQ(0, set_up(app, &SMALL));
	EXPECT_EQ(0, ring_own(app));
	EXPECT_EQ(0, wait_bell(app, &bells, 0, &state));
	EXPECT_EQ(VGPU_CHANNEL_WAITING, state);
	EXPECT_EQ(0, bell(app));
	peer = accept_channel(self->bed.ctl);
	/* it was rung before it was there */
	bells = 0;
	EXPECT_EQ(0, wait_bell(peer, &bells, 0, &state));
	EXPECT_EQ(1, bells);
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state);
	close(peer);
	close(app);
}

/* ---- deadlines ---- */

TEST_F(bells, end_at_a_deadline)
{
	uint64_t bells = 0;
	int64_t deadline;
	int i;

	EXPECT_EQ(-ETIME, wait_bell(self->pair.app, &bells, 0, NULL));
	EXPECT_EQ(-ETIME, wait_bell(self->pair.app, &bells, 1, NULL));
	EXPECT_EQ(-ETIME, wait_bell(self->pair.app, &bells, from_now(-1), NULL));
	for (i = 0; i < 20; i++) {
		deadline = from_now(i * MS / 2);
		EXPECT_EQ(-ETIME, wait_bell(self->pair.peer, &bells, deadline, NULL));
		EXPECT_LE(deadline, from_now(0));
	}
	EXPECT_EQ(0, bells);
}

TEST_F(bells, count_more_than_deadlines)
{
	uint64_t bells = 0;

	EXPECT_EQ(0, bell(self->pair.app));
	EXPECT_EQ(0, wait_bell(self->pair.peer, &bells, 0, NULL));
	EXPECT_EQ(1, bells);
	EXPECT_EQ(-ETIME, wait_bell(self->pair.peer, &bells, 0, NULL));
	EXPECT_EQ(1, bells);
}

/* ---- sleepers ---- */

struct sleeper {
	pthread_t	thread;
	int		fd;
	int64_t		deadline;
	uint64_t	bells;
	int		err;
	_Atomic pid_t	tid;
};

static void *sleep_for_a_bell(void *arg)
{
	struct sleeper *s = arg;

	s->tid = gettid();
	s->err = wait_bell(s->fd, &s->bells, s->deadline, NULL);
	return NULL;
}

/* Until another bell than those of @bells; false: it does not sleep. */
static bool sleeper_start(struct sleeper *s, int fd, uint64_t bells, int64_t deadline)
{
	*s = (struct sleeper){ .fd = fd, .deadline = deadline, .bells = bells };
	if (pthread_create(&s->thread, NULL, sleep_for_a_bell, s))
		return false;
	while (!s->tid)
		sched_yield();
	return sleeps_in(s->tid, SYS_ioctl);
}

static int sleeper_end(struct sleeper *s)
{
	pthread_join(s->thread, NULL);
	return s->err;
}

TEST_F_TIMEOUT(bells, wake, SLOW)
{
	const int fds[] = { self->pair.app, self->pair.peer };
	struct sleeper s;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(sleeper_start(&s, fds[i], i, VGPU_WAIT_FOREVER));
		EXPECT_EQ(0, bell(fds[!i]));
		EXPECT_EQ(0, sleeper_end(&s));
		EXPECT_EQ(i + 1, s.bells);
		ASSERT_TRUE(sleeper_start(&s, fds[!i], i, from_now(SLOW * SECOND)));
		EXPECT_EQ(0, ring_own(fds[!i]));
		EXPECT_EQ(0, sleeper_end(&s));
		EXPECT_EQ(i + 1, s.bells);
	}
}

TEST_F_TIMEOUT(bells, wake_all_of_a_side, SLOW)
{
	struct sleeper s[3];
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_TRUE(sleeper_start(&s[i], self->pair.app, 0, VGPU_WAIT_FOREVER));
	EXPECT_EQ(0, bell(self->pair.peer));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, sleeper_end(&s[i]));
		EXPECT_EQ(1, s[i].bells);
	}
}

TEST_F_TIMEOUT(bells, do_not_wake_the_wrong_side, SLOW)
{
	struct sleeper s;

	ASSERT_TRUE(sleeper_start(&s, self->pair.app, 0, from_now(300 * MS)));
	EXPECT_EQ(0, bell(self->pair.app));
	EXPECT_EQ(0, ring_own(self->pair.peer));
	EXPECT_EQ(-ETIME, sleeper_end(&s));
	EXPECT_EQ(0, s.bells);
}

TEST_F_TIMEOUT(bells, wake_poll, SLOW)
{
	struct pollfd p = { .fd = self->pair.peer, .events = POLLIN };
	pid_t pid = child();

	if (!pid) {
		EXPECT_EQ(1, poll(&p, 1, 1000 * SLOW));
		EXPECT_EQ(POLLIN, p.revents);
		_exit(!_metadata->passed);
	}
	EXPECT_TRUE(sleeps_in(pid, SYS_poll));
	EXPECT_EQ(0, bell(self->pair.app));
	EXPECT_EQ(0, join(pid));
}

TEST_F(bells, are_seen_by_poll_until_taken)
{
	uint64_t bells = 0;

	EXPECT_EQ(0, ready(self->pair.peer));
	EXPECT_EQ(0, ready(self->pair.app));
	EXPECT_EQ(0, bell(self->pair.app));
	EXPECT_EQ(POLLIN, ready(self->pair.peer));
	EXPECT_EQ(POLLIN, ready(self->pair.peer));
	EXPECT_EQ(0, ready(self->pair.app));
	EXPECT_EQ(0, wait_bell(self->pair.peer, &bells, 0, NULL));
	EXPECT_EQ(0, ready(self->pair.peer));
	EXPECT_EQ(0, ring_own(self->pair.app));
	EXPECT_EQ(POLLIN, ready(self->pair.app));
	/* a wait that ends for its deadline takes none */
	bells = 1;
	EXPECT_EQ(-ETIME, wait_bell(self->pair.app, &bells, 0, NULL));
	EXPECT_EQ(POLLIN, ready(self->pair.app));
}

TEST_F(bells, are_told_by_epoll_each)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC), i;

	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->pair.peer, &e));
	EXPECT_EQ(0, epoll_wait(epoll, &e, 1, 0));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, bell(self->pair.app));
		EXPECT_EQ(1, epoll_wait(epoll, &e, 1, 0));
		EXPECT_EQ(EPOLLIN, e.events);
		EXPECT_EQ(0, epoll_wait(epoll, &e, 1, 0));
	}
	close(self->pair.app);
	EXPECT_EQ(1, epoll_wait(epoll, &e, 1, 0));
	EXPECT_EQ(EPOLLIN | EPOLLHUP | EPOLLERR, e.events);
	close(epoll);
	self->pair.app = -1;
}

/* ---- signals ---- */

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	signals++;
}

static void take_signals(int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	sigaction(SIGUSR1, &action, NULL);
	signals = 0;
}

static void interrupt(struct __test_metadata *_metadata, struct sleeper *s, int times)
{
	int i;

	for (i = 0; i < times; i++) {
		ASSERT_EQ(0, pthread_kill(s->thread, SIGUSR1));
		while (signals <= i)
			sched_yield();
		ASSERT_TRUE(sleeps_in(s->tid, SYS_ioctl));
	}
}

TEST_F_TIMEOUT(bells, are_waited_for_across_signals, SLOW)
{
	struct sleeper s;

	take_signals(SA_RESTART);
	ASSERT_TRUE(sleeper_start(&s, self->pair.app, 0, VGPU_WAIT_FOREVER));
	interrupt(_metadata, &s, 5);
	EXPECT_EQ(0, bell(self->pair.peer));
	EXPECT_EQ(0, sleeper_end(&s));
	EXPECT_EQ(1, s.bells);
	EXPECT_EQ(5, signals);
}

/* The deadline is a time, not a duration: signals do not put it off. */
TEST_F_TIMEOUT(bells, keep_their_deadline_across_signals, SLOW)
{
	int64_t deadline = from_now(SECOND);
	struct sleeper s;

	take_signals(SA_RESTART);
	ASSERT_TRUE(sleeper_start(&s, self->pair.app, 0, deadline));
	while (from_now(0) < deadline) {
		pthread_kill(s.thread, SIGUSR1);
		pause_ms(1);
	}
	EXPECT_EQ(-ETIME, sleeper_end(&s));
	EXPECT_LE(deadline, from_now(0));
	EXPECT_LT(0, signals);
}

TEST_F_TIMEOUT(bells, are_given_up_for_handlers_that_want_it, SLOW)
{
	struct sleeper s;

	take_signals(0);
	ASSERT_TRUE(sleeper_start(&s, self->pair.app, 0, VGPU_WAIT_FOREVER));
	ASSERT_EQ(0, pthread_kill(s.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, sleeper_end(&s));
	EXPECT_EQ(0, s.bells);
}

/* ---- the end ---- */

static void all_is_lost(struct __test_metadata *_metadata, int fd)
{
	uint64_t bells = 0;

	EXPECT_EQ(-EPIPE, bell(fd));
	EXPECT_EQ(-EPIPE, ring_own(fd));
	EXPECT_EQ(-EPIPE, wait_bell(fd, &bells, VGPU_WAIT_FOREVER, NULL));
	EXPECT_EQ(-EPIPE, wait_bell(fd, &bells, 0, NULL));
	EXPECT_EQ(0, bells);
	EXPECT_EQ(HUNG_UP, ready(fd));
	/* what is not described is refused all the same */
	EXPECT_EQ(-EINVAL, call_value(fd, VGPU_IOC_BELL, 2));
}

TEST_F_TIMEOUT(bells, end_when_the_app_does, SLOW)
{
	struct sleeper s[2];

	ASSERT_TRUE(sleeper_start(&s[0], self->pair.peer, 0, VGPU_WAIT_FOREVER));
	ASSERT_TRUE(sleeper_start(&s[1], self->pair.peer, 0, from_now(SLOW * SECOND)));
	EXPECT_EQ(0, close(self->pair.app));
	EXPECT_EQ(-EPIPE, sleeper_end(&s[0]));
	EXPECT_EQ(-EPIPE, sleeper_end(&s[1]));
	all_is_lost(_metadata, self->pair.peer);
	EXPECT_EQ(VGPU_CHANNEL_LOST, state_of(self->pair.peer));
	self->pair.app = -1;
}

TEST_F_TIMEOUT(bells, end_when_the_peer_does, SLOW)
{
	struct sleeper s[2];

	ASSERT_TRUE(sleeper_start(&s[0], self->pair.app, 0, VGPU_WAIT_FOREVER));
	ASSERT_TRUE(sleeper_start(&s[1], self->pair.app, 0, from_now(SLOW * SECOND)));
	EXPECT_EQ(0, close(self->pair.peer));
	EXPECT_EQ(-EPIPE, sleeper_end(&s[0]));
	EXPECT_EQ(-EPIPE, sleeper_end(&s[1]));
	all_is_lost(_metadata, self->pair.app);
	EXPECT_EQ(1, bed_look(&self->bed).channels_lost);
	self->pair.peer = -1;
}

TEST_F_TIMEOUT(bells, end_when_the_peer_gives_up, SLOW)
{
	struct sleeper s[2];

	ASSERT_TRUE(sleeper_start(&s[0], self->pair.app, 0, VGPU_WAIT_FOREVER));
	ASSERT_TRUE(sleeper_start(&s[1], self->pair.peer, 0, VGPU_WAIT_FOREVER));
	EXPECT_EQ(0, call_value(self->pair.peer, VGPU_IOC_LOSE, 0));
	EXPECT_EQ(-EPIPE, sleeper_end(&s[0]));
	EXPECT_EQ(-EPIPE, sleeper_end(&s[1]));
	all_is_lost(_metadata, self->pair.app);
	all_is_lost(_metadata, self->pair.peer);
	/* once more is no more */
	EXPECT_EQ(0, call_value(self->pair.peer, VGPU_IOC_LOSE, 0));
	EXPECT_EQ(1, bed_look(&self->bed).channels_lost);
}

/* A closed descriptor under a wait: the wait has a file, and ends as all do. */
TEST_F_TIMEOUT(bells, end_when_another_thread_closes, SLOW)
{
	struct sleeper s;

	ASSERT_TRUE(sleeper_start(&s, self->pair.app, 0, VGPU_WAIT_FOREVER));
	EXPECT_EQ(0, close(self->pair.app));
	EXPECT_EQ(-EPIPE, sleeper_end(&s));
	EXPECT_EQ(VGPU_CHANNEL_LOST, state_of(self->pair.peer));
	self->pair.app = -1;
}

TEST_HARNESS_MAIN
