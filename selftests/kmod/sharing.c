/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of an app that others get hold of, by fork, exec, vfork, clone and
 * SCM_RIGHTS: they cannot use the channel, they cannot end it, and they cannot
 * keep it from ending.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "testbed.h"

#define RW (PROT_READ | PROT_WRITE)

FIXTURE(sharing)
{
	struct bed	bed;
	struct pair	pair;
};

FIXTURE_SETUP(sharing)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	ASSERT_EQ(0, pair_open(&self->bed, &self->pair));
}

FIXTURE_TEARDOWN(sharing)
{
	pair_close(&self->pair);
	EXPECT_EQ(0, bed_close(&self->bed));
}

/* Every use of it is refused; it is still a descriptor of the device's. */
static void refuse_use(struct __test_metadata *_metadata, int fd)
{
	struct vgpu_ioc_hostmem_alloc alloc = { .size = PAGE };
	struct vgpu_ioc_hostmem_free old = { .handle = VGPU_MMAP_HOSTMEM };
	uint64_t bells = ~0ull;

	EXPECT_EQ(-EPERM, bell(fd));
	EXPECT_EQ(-EPERM, call_value(fd, VGPU_IOC_BELL, VGPU_BELL_OWN));
	EXPECT_EQ(-EPERM, wait_bell(fd, &bells, 0, NULL));
	EXPECT_EQ(-EPERM, call(fd, VGPU_IOC_HOSTMEM_ALLOC, &alloc));
	EXPECT_EQ(-EPERM, call(fd, VGPU_IOC_HOSTMEM_FREE, &old));
	EXPECT_EQ(-EPERM, register_memory(fd, &alloc, sizeof(alloc)));
	EXPECT_EQ(-EPERM, unregister_memory(fd, &alloc, sizeof(alloc)));
	EXPECT_EQ(-EPERM, try_map(fd, VGPU_MMAP_APP, SMALL_HALF, RW, MAP_SHARED));
	EXPECT_EQ(-EPERM, try_map(fd, VGPU_MMAP_PEER, SMALL_HALF, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EBUSY, set_up(fd, &SMALL));
}

static void is_alive(struct __test_metadata *_metadata, const struct pair *pair)
{
	EXPECT_EQ(0, bell(pair->app));
	EXPECT_EQ(0, bell(pair->peer));
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(pair->peer));
}

/* ---- fork ---- */

TEST_F(sharing, forked_children_are_refused)
{
	pid_t pid = child();

	if (!pid) {
		refuse_use(_metadata, self->pair.app);
		EXPECT_EQ(0, close(self->pair.app));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
	is_alive(_metadata, &self->pair);
}

TEST_F(sharing, forked_children_may_be_killed)
{
	pid_t pid = child();

	if (!pid) {
		pause();
		_exit(1);
	}
	EXPECT_EQ(-SIGKILL, kill_and_join(pid));
	is_alive(_metadata, &self->pair);
}

/* The peer's side is a descriptor like any other: whoever has it uses it. */
TEST_F(sharing, forked_peers_are_peers)
{
	pid_t pid = child();

	if (!pid) {
		EXPECT_EQ(0, bell(self->pair.peer));
		EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(self->pair.peer));
		EXPECT_EQ(0, close(self->pair.peer));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
	is_alive(_metadata, &self->pair);
}

TEST_F(sharing, fresh_descriptors_are_for_children)
{
	int fd = bed_node(&self->bed), peer;
	pid_t pid = child();

	if (!pid) {
		EXPECT_EQ(0, set_up(fd, &SMALL));
		EXPECT_EQ(0, bell(fd));
		peer = accept_channel(self->bed.ctl);
		EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(peer));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
	/* the channel was the child's and went with it */
	EXPECT_EQ(0, bed_look(&self->bed).channels - 1);
	refuse_use(_metadata, fd);
	close(fd);
	is_alive(_metadata, &self->pair);
}

/* A child that sets up a channel and has a child that sleeps with its descriptor. */
static pid_t app_with_sleeper(const struct bed *bed, int told, int ready)
{
	pid_t pid = child(), sleeper;
	int fd;

	if (pid)
		return pid;
	fd = bed_node(bed);
	if (set_up(fd, &SMALL))
		_exit(1);
	sleeper = fork();
	if (!sleeper) {
		pause();
		_exit(0);
	}
	if (write(told, &sleeper, sizeof(sleeper)) != sizeof(sleeper))
		_exit(1);
	gate_open(ready);
	pause();
	_exit(0);
}

TEST_F_TIMEOUT(sharing, sleeping_children_do_not_keep_it, SLOW)
{
	int told[2], gate = gate_new(), peer;
	pid_t pid, sleeper;

	ASSERT_EQ(0, pipe(told));
	pid = app_with_sleeper(&self->bed, told[1], gate);
	ASSERT_TRUE(gate_pass(gate));
	ASSERT_EQ(sizeof(sleeper), read(told[0], &sleeper, sizeof(sleeper)));
	peer = accept_channel(self->bed.ctl);
	EXPECT_EQ(0, ready(peer));
	EXPECT_EQ(-SIGKILL, kill_and_join(pid));
	EXPECT_EQ(POLLIN | POLLHUP | POLLERR, ready(peer));
	EXPECT_EQ(-EPIPE, bell(peer));
	EXPECT_EQ(1, bed_look(&self->bed).channels);
	close(peer);
	/* what it has is a descriptor of the device, nothing more */
	EXPECT_EQ(0, kill(sleeper, 0));
	EXPECT_EQ(0, kill(sleeper, SIGKILL));
	while (!kill(sleeper, 0))
		pause_ms(1);
}

/* ---- exec ---- */

#define ENVIRONMENT "VGPU_TEST_DESCRIPTOR"

/* In this program as a child executes it: nothing is tested but its descriptor. */
__attribute__((constructor))
static void after_exec(void)
{
	const char *fd = getenv(ENVIRONMENT);

	if (fd)
		_exit(-bell(atoi(fd)));
}

static void exec_with(int fd, bool keep)
{
	char number[16];

	fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
	snprintf(number, sizeof(number), "%d", fd);
	setenv(ENVIRONMENT, number, 1);
	execl("/proc/self/exe", "sharing", NULL);
	_exit(255);
}

TEST_F(sharing, executed_children_are_refused)
{
	pid_t pid = child();

	if (!pid)
		exec_with(self->pair.app, true);
	EXPECT_EQ(EPERM, join(pid));
	is_alive(_metadata, &self->pair);
	pid = child();
	if (!pid)
		exec_with(self->pair.app, false);
	EXPECT_EQ(EBADF, join(pid));
	is_alive(_metadata, &self->pair);
}

/* An app that sets up a channel and becomes another program. */
static pid_t app_that_executes(const struct bed *bed, int ready, int go, bool keep)
{
	pid_t pid = child();
	int fd;

	if (pid)
		return pid;
	fd = bed_node(bed);
	if (set_up(fd, &SMALL) || register_memory(fd, &SMALL, sizeof(SMALL)))
		_exit(253);
	gate_open(ready);
	if (!gate_pass(go))
		_exit(254);
	exec_with(fd, keep);
	return 0;
}

TEST_F(sharing, an_app_that_executes_ends)
{
	int ready = gate_new(), go = gate_new(), peer;
	pid_t pid = app_that_executes(&self->bed, ready, go, false);

	ASSERT_TRUE(gate_pass(ready));
	peer = accept_channel(self->bed.ctl);
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(peer));
	gate_open(go);
	EXPECT_EQ(EBADF, join(pid));
	EXPECT_EQ(VGPU_CHANNEL_LOST, state_of(peer));
	close(peer);
}

/* It has the descriptor still, but is another program with another memory. */
TEST_F(sharing, an_app_that_executes_is_refused)
{
	int ready = gate_new(), go = gate_new(), peer;
	pid_t pid = app_that_executes(&self->bed, ready, go, true);

	ASSERT_TRUE(gate_pass(ready));
	peer = accept_channel(self->bed.ctl);
	gate_open(go);
	EXPECT_EQ(EPERM, join(pid));
	EXPECT_EQ(VGPU_CHANNEL_LOST, state_of(peer));
	close(peer);
}

/* ---- vfork, clone, unshare ---- */

/* It has its parent's memory, and descriptors of its own. */
TEST_F(sharing, vforked_children_are_the_app)
{
	static int err;		/* the child's memory is ours */
	pid_t pid = vfork();

	if (!pid) {
		err = bell(self->pair.app);
		_exit(0);
	}
	EXPECT_EQ(0, join(pid));
	EXPECT_EQ(0, err);
	is_alive(_metadata, &self->pair);
}

static pid_t closer;

static void *close_own_copy(void *arg)
{
	int fd = *(int *)arg;

	closer = gettid();
	if (unshare(CLONE_FILES) || bell(fd) || close(fd))
		return (void *)1;
	return NULL;
}

/* A thread that has its own descriptors closes one of those, not the app's. */
TEST_F(sharing, threads_with_own_descriptors_do_not_end_it)
{
	char path[64];
	pthread_t thread;
	void *bad;

	ASSERT_EQ(0, pthread_create(&thread, NULL, close_own_copy, &self->pair.app));
	ASSERT_EQ(0, pthread_join(thread, &bad));
	EXPECT_EQ(NULL, bad);
	is_alive(_metadata, &self->pair);
	/* it has other descriptors of its own until it is really gone */
	snprintf(path, sizeof(path), "/proc/self/task/%d", closer);
	while (!access(path, F_OK))
		pause_ms(1);
}

static void *close_shared(void *arg)
{
	close(*(int *)arg);
	return NULL;
}

TEST_F(sharing, threads_end_it)
{
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, close_shared, &self->pair.app));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(VGPU_CHANNEL_LOST, state_of(self->pair.peer));
	self->pair.app = -1;
}

/* A process of its own that shares the table of descriptors with the app. */
TEST_F(sharing, processes_with_shared_descriptors_are_refused)
{
	pid_t pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	if (!pid) {
		EXPECT_EQ(-EPERM, bell(self->pair.app));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
	is_alive(_metadata, &self->pair);
}

/* ---- SCM_RIGHTS ---- */

static int send_fd(int sock, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static int receive_fd(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

TEST_F(sharing, receivers_are_refused)
{
	int sock[2], fd;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	pid = child();
	if (!pid) {
		close(self->pair.app);
		close(sock[0]);
		fd = receive_fd(sock[1]);
		EXPECT_LE(0, fd);
		refuse_use(_metadata, fd);
		EXPECT_EQ(0, close(fd));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, send_fd(sock[0], self->pair.app));
	EXPECT_EQ(0, join(pid));
	is_alive(_metadata, &self->pair);
}

/* The peer's side is passed on, from the daemon to a worker. */
TEST_F(sharing, peers_are_passed_on)
{
	int sock[2], fd;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	pid = child();
	if (!pid) {
		close(self->pair.peer);
		close(sock[0]);
		EXPECT_EQ(0, setuid(65534));
		fd = receive_fd(sock[1]);
		EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(fd));
		EXPECT_EQ(0, try_map(fd, VGPU_MMAP_PEER, SMALL_HALF, RW, MAP_SHARED));
		EXPECT_EQ(0, bell(fd));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, send_fd(sock[0], self->pair.peer));
	EXPECT_EQ(0, close(self->pair.peer));
	self->pair.peer = -1;
	EXPECT_EQ(0, join(pid));
	EXPECT_EQ(-EPIPE, bell(self->pair.app));
	close(sock[0]);
	close(sock[1]);
}

/* In a socket that nobody reads a descriptor lives on; the channel does not. */
TEST_F(sharing, descriptors_under_way_do_not_keep_it)
{
	int sock[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	EXPECT_EQ(0, send_fd(sock[0], self->pair.app));
	EXPECT_EQ(0, close(self->pair.app));
	EXPECT_EQ(VGPU_CHANNEL_LOST, state_of(self->pair.peer));
	self->pair.app = receive_fd(sock[1]);
	EXPECT_EQ(-EPIPE, bell(self->pair.app));
	close(sock[0]);
	close(sock[1]);
}

TEST_HARNESS_MAIN
