/* SPDX-License-Identifier: MIT */
/*
 * What each kind of descriptor is for and refuses: /dev/vgpuN before set-up, the
 * app's and the peer's side of a channel, /dev/vgpuctl. Set-up itself: setup.c.
 */
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "kselftest_harness.h"
#include "testbed.h"

#define NOBODY	65534

FIXTURE(node)
{
	struct bed	bed;
	int		fd;
};

FIXTURE_SETUP(node)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	self->fd = bed_node(&self->bed);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(node)
{
	close(self->fd);
	EXPECT_EQ(0, bed_close(&self->bed));
}

TEST_F(node, is_opened_for_both)
{
	EXPECT_EQ(-EACCES, open_node(self->bed.node, O_RDONLY));
	EXPECT_EQ(-EACCES, open_node(self->bed.node, O_WRONLY));
}

TEST_F(node, is_no_file_to_read)
{
	char byte = 0;

	EXPECT_EQ(-1, read(self->fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(self->fd, 1, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
}

TEST_F(node, is_for_whom_its_mode_says)
{
	struct stat st;
	pid_t pid;

	ASSERT_EQ(0, stat(self->bed.node, &st));
	EXPECT_EQ(0660, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
	pid = child();
	if (!pid) {
		EXPECT_EQ(0, setgid(NOBODY));
		EXPECT_EQ(0, setuid(NOBODY));
		EXPECT_EQ(-EACCES, open_node(self->bed.node, O_RDWR));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
}

/* Every call that there is, except for SETUP. */
static const unsigned long CALLS[] = {
	VGPU_IOC_HOSTMEM_ALLOC, VGPU_IOC_HOSTMEM_FREE, VGPU_IOC_REGISTER,
	VGPU_IOC_UNREGISTER, VGPU_IOC_BELL, VGPU_IOC_WAIT,
};

TEST_F(node, does_nothing_before_setup)
{
	char arg[512] = { 0 };
	size_t i;

	for (i = 0; i < sizeof(CALLS) / sizeof(*CALLS); i++)
		EXPECT_EQ(-ENOTCONN, call(self->fd, CALLS[i], arg))
			TH_LOG("call %#lx", CALLS[i]);
	EXPECT_EQ(-ENOTCONN, try_map(self->fd, VGPU_MMAP_APP, SMALL_HALF, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-ENOTCONN, try_map(self->fd, VGPU_MMAP_HOSTMEM, PAGE, PROT_READ, MAP_SHARED));
	EXPECT_EQ(POLLERR, ready(self->fd));
}

TEST_F(node, has_no_calls_elsewhere)
{
	struct vgpu_ioc_setup setup = { .sizes = SMALL };
	int null = open_node("/dev/null", O_RDWR), fds[2];

	ASSERT_EQ(0, pipe(fds));
	EXPECT_EQ(-ENOTTY, call(null, VGPU_IOC_SETUP, &setup));
	EXPECT_EQ(-ENOTTY, call(fds[0], VGPU_IOC_SETUP, &setup));
	EXPECT_EQ(-ENOTTY, accept_channel(null));
	EXPECT_EQ(-EBADF, call(-1, VGPU_IOC_SETUP, &setup));
}

/* ---- numbers that no call has ---- */

FIXTURE(calls)
{
	struct bed	bed;
	struct pair	pair;
};

FIXTURE_SETUP(calls)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	ASSERT_EQ(0, pair_open(&self->bed, &self->pair));
}

FIXTURE_TEARDOWN(calls)
{
	pair_close(&self->pair);
	EXPECT_EQ(0, bed_close(&self->bed));
}

static bool listed(unsigned long cmd, const unsigned long *calls, size_t n)
{
	while (n--)
		if (calls[n] == cmd)
			return true;
	return false;
}

/* How many of the numbers with this direction and size a descriptor does not refuse. */
static unsigned count_known(int fd, unsigned long dir, size_t size, const unsigned long *calls,
			    size_t ncalls)
{
	/* nothing of it is valid, should it be taken for an argument */
	static const char arg[4096];
	unsigned known = 0;
	unsigned long nr, cmd;

	for (nr = 0; nr < 256; nr++) {
		cmd = _IOC(dir, VGPU_IOC, nr, size);
		if (!listed(cmd, calls, ncalls) && call(fd, cmd, arg) != -ENOTTY) {
			printf("# call %#lx is not refused\n", cmd);
			known++;
		}
	}
	return known;
}

static unsigned count_all_known(int fd, const unsigned long *calls, size_t ncalls)
{
	static const size_t sizes[] = { 0, 1, 4, 8, 16, 24, 32, 40, 64, 176, 4095 };
	unsigned known = 0;
	unsigned long dir;
	size_t i;

	for (dir = 0; dir < 4; dir++)
		for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			known += count_known(fd, dir, sizes[i], calls, ncalls);
	return known;
}

#define COUNT_UNKNOWN(fd, ...) count_all_known(fd, (const unsigned long[]){ __VA_ARGS__ }, \
	sizeof((const unsigned long[]){ __VA_ARGS__ }) / sizeof(unsigned long))

TEST_F_TIMEOUT(calls, unknown_to_app, SLOW)
{
	EXPECT_EQ(0, COUNT_UNKNOWN(self->pair.app, VGPU_IOC_SETUP, VGPU_IOC_HOSTMEM_ALLOC,
				   VGPU_IOC_HOSTMEM_FREE, VGPU_IOC_REGISTER, VGPU_IOC_UNREGISTER,
				   VGPU_IOC_BELL, VGPU_IOC_WAIT));
}

TEST_F_TIMEOUT(calls, unknown_to_peer, SLOW)
{
	EXPECT_EQ(0, COUNT_UNKNOWN(self->pair.peer, VGPU_IOC_BELL, VGPU_IOC_WAIT, VGPU_IOC_INFO,
				   VGPU_IOC_COOKIE, VGPU_IOC_LOSE, VGPU_IOC_COPY));
}

TEST_F_TIMEOUT(calls, unknown_to_ctl, SLOW)
{
	EXPECT_EQ(0, COUNT_UNKNOWN(self->bed.ctl, VGPU_CTL_ACCEPT));
}

TEST_F(calls, of_another_type)
{
	EXPECT_EQ(-ENOTTY, call_value(self->pair.app, _IO(VGPU_IOC + 1, 0x10), 0));
	EXPECT_EQ(-ENOTTY, call_value(self->pair.peer, _IO(VGPU_IOC + 1, 0x10), 0));
	EXPECT_EQ(-ENOTTY, call_value(self->bed.ctl, _IO(VGPU_IOC + 1, 0x40), 0));
	EXPECT_EQ(-ENOTTY, call_value(self->pair.app, TIOCGWINSZ, 0));
}

/* An argument that is not there at all, or that ends where a page does. */
static void refuse_pointers(struct __test_metadata *_metadata, int fd, unsigned long cmd)
{
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)pages);
	ASSERT_EQ(0, munmap(pages + PAGE, PAGE));
	EXPECT_EQ(-EFAULT, call(fd, cmd, NULL)) TH_LOG("call %#lx", cmd);
	EXPECT_EQ(-EFAULT, call(fd, cmd, pages + PAGE - 4)) TH_LOG("call %#lx", cmd);
	EXPECT_EQ(-EFAULT, call(fd, cmd, (void *)-4096l)) TH_LOG("call %#lx", cmd);
	munmap(pages, PAGE);
}

TEST_F(calls, with_bad_pointers)
{
	int app = self->pair.app, peer = self->pair.peer;

	refuse_pointers(_metadata, app, VGPU_IOC_HOSTMEM_ALLOC);
	refuse_pointers(_metadata, app, VGPU_IOC_HOSTMEM_FREE);
	refuse_pointers(_metadata, app, VGPU_IOC_REGISTER);
	refuse_pointers(_metadata, app, VGPU_IOC_UNREGISTER);
	refuse_pointers(_metadata, app, VGPU_IOC_WAIT);
	refuse_pointers(_metadata, peer, VGPU_IOC_WAIT);
	refuse_pointers(_metadata, peer, VGPU_IOC_INFO);
	refuse_pointers(_metadata, peer, VGPU_IOC_COOKIE);
	refuse_pointers(_metadata, peer, VGPU_IOC_COPY);
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(peer));
}

TEST_F(calls, with_values_not_described)
{
	int app = self->pair.app, peer = self->pair.peer;

	EXPECT_EQ(-EINVAL, call_value(app, VGPU_IOC_BELL, 2));
	EXPECT_EQ(-EINVAL, call_value(peer, VGPU_IOC_BELL, 2));
	EXPECT_EQ(-EINVAL, call_value(peer, VGPU_IOC_BELL, -1ul));
	EXPECT_EQ(-EINVAL, call_value(peer, VGPU_IOC_BELL, 1ul << 32));
	EXPECT_EQ(-EINVAL, call_value(peer, VGPU_IOC_LOSE, 1));
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(peer));
}

/* ---- /dev/vgpuctl ---- */

FIXTURE(ctl)
{
	struct bed	bed;
};

FIXTURE_SETUP(ctl)
{
	ASSERT_EQ(0, bed_open(&self->bed));
}

FIXTURE_TEARDOWN(ctl)
{
	EXPECT_EQ(0, bed_close(&self->bed));
}

TEST_F(ctl, has_one_opener)
{
	int again;

	EXPECT_EQ(-EBUSY, open_node("/dev/vgpuctl", O_RDWR));
	EXPECT_EQ(-EBUSY, open_node("/dev/vgpuctl", O_RDONLY));
	again = dup(self->bed.ctl);
	ASSERT_LE(0, again);
	close(self->bed.ctl);
	EXPECT_EQ(-EBUSY, open_node("/dev/vgpuctl", O_RDWR));
	close(again);
	self->bed.ctl = open_node("/dev/vgpuctl", O_RDWR);
	EXPECT_LE(0, self->bed.ctl);
}

TEST_F(ctl, needs_the_capability)
{
	pid_t pid;

	close(self->bed.ctl);
	self->bed.ctl = -1;
	ASSERT_EQ(0, chmod("/dev/vgpuctl", 0666));
	pid = child();
	if (!pid) {
		EXPECT_EQ(0, setuid(NOBODY));
		EXPECT_EQ(-EPERM, open_node("/dev/vgpuctl", O_RDWR));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
	EXPECT_EQ(0, chmod("/dev/vgpuctl", 0600));
	/* and who was refused does not have it */
	self->bed.ctl = open_node("/dev/vgpuctl", O_RDWR);
	EXPECT_LE(0, self->bed.ctl);
}

TEST_F(ctl, is_for_root_by_its_mode)
{
	struct stat st;

	ASSERT_EQ(0, stat("/dev/vgpuctl", &st));
	EXPECT_EQ(0600, st.st_mode & 07777);
}

TEST_F(ctl, accepts_what_is_there)
{
	int app, peer;

	EXPECT_EQ(-EAGAIN, accept_channel(self->bed.ctl));
	EXPECT_EQ(0, ready(self->bed.ctl));
	app = bed_node(&self->bed);
	ASSERT_EQ(0, set_up(app, &SMALL));
	EXPECT_EQ(POLLIN, ready(self->bed.ctl));
	EXPECT_EQ(-EINVAL, call_value(self->bed.ctl, VGPU_CTL_ACCEPT, 1));
	EXPECT_EQ(-EINVAL, call_value(self->bed.ctl, VGPU_CTL_ACCEPT, 1ul << 32));
	EXPECT_EQ(POLLIN, ready(self->bed.ctl));
	peer = accept_channel(self->bed.ctl);
	ASSERT_LE(0, peer);
	EXPECT_EQ(FD_CLOEXEC, fcntl(peer, F_GETFD));
	EXPECT_EQ(-EAGAIN, accept_channel(self->bed.ctl));
	EXPECT_EQ(0, ready(self->bed.ctl));
	close(peer);
	close(app);
}

/* Without a descriptor to return there is nothing accepted. */
TEST_F(ctl, accepts_nothing_without_descriptors)
{
	struct rlimit old, none;
	int app = bed_node(&self->bed), peer;

	ASSERT_EQ(0, set_up(app, &SMALL));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none = (struct rlimit){ .rlim_cur = 3, .rlim_max = old.rlim_max };
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, accept_channel(self->bed.ctl));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(POLLIN, ready(self->bed.ctl));
	peer = accept_channel(self->bed.ctl);
	EXPECT_LE(0, peer);
	close(peer);
	close(app);
}

TEST_F(ctl, is_awaited_by_poll)
{
	struct pollfd p = { .fd = self->bed.ctl, .events = POLLIN };
	int app = bed_node(&self->bed);
	pid_t pid = child();

	if (!pid) {
		EXPECT_EQ(1, poll(&p, 1, 1000 * SLOW));
		EXPECT_EQ(POLLIN, p.revents);
		_exit(!_metadata->passed);
	}
	EXPECT_TRUE(sleeps_in(pid, 7 /* poll */));
	EXPECT_EQ(0, set_up(app, &SMALL));
	EXPECT_EQ(0, join(pid));
	close(app);
}

TEST_HARNESS_MAIN
