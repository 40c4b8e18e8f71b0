/* SPDX-License-Identifier: MIT */
/*
 * Registered memory of an app and VGPU_IOC_COPY: which ranges there are, that
 * nothing else is reached, and that what lies there is what is copied.
 */
#include "kselftest_harness.h"
#include "testbed.h"

#define RW	(PROT_READ | PROT_WRITE)
#define SIZE	(64 * PAGE)
#define BIG	((8ul << 20) + 123)
#define MOST	65536		/* ranges of a channel */

FIXTURE(copy)
{
	struct bed	bed;
	struct pair	pair;
	char		*app, *local;	/* SIZE bytes each, app's registered */
};

static char *anonymous(size_t size)
{
	char *at = mmap(NULL, size, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static void fill(char *at, size_t size, unsigned seed)
{
	size_t i;

	for (i = 0; i < size; i++)
		at[i] = seed + i * 31 + (i >> 8);
}

FIXTURE_SETUP(copy)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	ASSERT_EQ(0, pair_open(&self->bed, &self->pair));
	self->app = anonymous(SIZE);
	self->local = anonymous(SIZE);
	ASSERT_NE(NULL, self->app);
	ASSERT_NE(NULL, self->local);
	fill(self->app, SIZE, 1);
	ASSERT_EQ(0, register_memory(self->pair.app, self->app, SIZE));
}

FIXTURE_TEARDOWN(copy)
{
	munmap(self->app, SIZE);
	munmap(self->local, SIZE);
	pair_close(&self->pair);
	EXPECT_EQ(0, bed_close(&self->bed));
}

static int from_app(int peer, const void *app, void *local, size_t n)
{
	return copy(peer, (uintptr_t)app, local, n, 0);
}

static int to_app(int peer, void *app, const void *local, size_t n)
{
	return copy(peer, (uintptr_t)app, local, n, VGPU_COPY_TO_APP);
}

/* ---- ranges ---- */

TEST_F(copy, ranges_refuse)
{
	struct vgpu_ioc_appmem range = { .addr = 1 << 20, .size = PAGE };
	const unsigned long calls[] = { VGPU_IOC_REGISTER, VGPU_IOC_UNREGISTER };
	int i, k, app = self->pair.app;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < 32; i++) {
			range.flags = 1u << i;
			EXPECT_EQ(-EINVAL, call(app, calls[k], &range));
			range.flags = 0;
			range.reserved = 1u << i;
			EXPECT_EQ(-EINVAL, call(app, calls[k], &range));
			range.reserved = 0;
		}
	}
	EXPECT_EQ(-EINVAL, register_memory(app, (void *)4096, 0));
	EXPECT_EQ(-EINVAL, register_memory(app, NULL, 0));
	EXPECT_EQ(-EINVAL, register_memory(app, (void *)4096, ~0ul));
	EXPECT_EQ(-EINVAL, register_memory(app, (void *)-4096, 8192));
	EXPECT_EQ(-EINVAL, register_memory(app, (void *)-4096, 4096));
	EXPECT_EQ(-EINVAL, register_memory(app, (void *)(1ul << 63), PAGE));
	EXPECT_EQ(-EINVAL, unregister_memory(app, (void *)4096, 0));
	EXPECT_EQ(-ENOENT, unregister_memory(app, (void *)(1 << 20), PAGE));
}

TEST_F(copy, ranges_do_not_overlap)
{
	char *at = self->app;
	int app = self->pair.app;

	EXPECT_EQ(-EEXIST, register_memory(app, at, SIZE));
	EXPECT_EQ(-EEXIST, register_memory(app, at + PAGE, 1));
	EXPECT_EQ(-EEXIST, register_memory(app, at - 1, 2));
	EXPECT_EQ(-EEXIST, register_memory(app, at + SIZE - 1, 2));
	EXPECT_EQ(-EEXIST, register_memory(app, at - PAGE, SIZE + 2 * PAGE));
	EXPECT_EQ(-EEXIST, register_memory(app, (void *)1, (1ul << 47) - 2 * PAGE));
	EXPECT_EQ(0, register_memory(app, at - 1, 1));
	EXPECT_EQ(0, register_memory(app, at + SIZE, 1));
}

TEST_F(copy, ranges_end_as_they_began)
{
	char *at = self->app;
	int app = self->pair.app;

	EXPECT_EQ(-ENOENT, unregister_memory(app, at, SIZE - 1));
	EXPECT_EQ(-ENOENT, unregister_memory(app, at, SIZE + 1));
	EXPECT_EQ(-ENOENT, unregister_memory(app, at + 1, SIZE - 1));
	EXPECT_EQ(-ENOENT, unregister_memory(app, at - 1, SIZE + 1));
	EXPECT_EQ(0, from_app(self->pair.peer, at, self->local, SIZE));
	EXPECT_EQ(0, unregister_memory(app, at, SIZE));
	EXPECT_EQ(-ENOENT, unregister_memory(app, at, SIZE));
	EXPECT_EQ(-EPERM, from_app(self->pair.peer, at, self->local, SIZE));
	EXPECT_EQ(-EPERM, from_app(self->pair.peer, at, self->local, 1));
	EXPECT_EQ(0, register_memory(app, at, SIZE));
	EXPECT_EQ(0, from_app(self->pair.peer, at, self->local, SIZE));
}

TEST_F_TIMEOUT(copy, ranges_are_so_many, SLOW)
{
	int app = self->pair.app, err = 0;
	unsigned n;

	/* one is there already */
	for (n = 1; n <= MOST && !err; n++)
		err = register_memory(app, (void *)(n * 2 * PAGE), PAGE);
	EXPECT_EQ(-ENOSPC, err);
	EXPECT_EQ(MOST + 1, n);
	/* what is refused for another reason does not count */
	EXPECT_EQ(0, unregister_memory(app, (void *)(2 * PAGE), PAGE));
	EXPECT_EQ(-EEXIST, register_memory(app, (void *)(4 * PAGE), PAGE));
	EXPECT_EQ(0, register_memory(app, (void *)(2 * PAGE), PAGE));
	EXPECT_EQ(-ENOSPC, register_memory(app, (void *)PAGE, 1));
	EXPECT_EQ(0, from_app(self->pair.peer, self->app, self->local, SIZE));
}

/* ---- what is reached ---- */

TEST_F(copy, stays_in_one_range)
{
	char *at = self->app, *local = self->local;
	int app = self->pair.app, peer = self->pair.peer;

	EXPECT_EQ(-EPERM, from_app(peer, at - 1, local, 1));
	EXPECT_EQ(-EPERM, from_app(peer, at - 1, local, 2));
	EXPECT_EQ(-EPERM, from_app(peer, at + SIZE - 1, local, 2));
	EXPECT_EQ(-EPERM, from_app(peer, at + SIZE, local, 1));
	EXPECT_EQ(-EPERM, from_app(peer, NULL, local, 1));
	EXPECT_EQ(-EPERM, from_app(peer, at, NULL, 1ul << 40));
	EXPECT_EQ(-EPERM, to_app(peer, at - 1, local, 1));
	EXPECT_EQ(0, from_app(peer, at + SIZE - 1, local, 1));
	EXPECT_EQ(at[SIZE - 1], local[0]);
	/* neighbours are two ranges, wherever one ends */
	ASSERT_EQ(0, unregister_memory(app, at, SIZE));
	ASSERT_EQ(0, register_memory(app, at, PAGE));
	ASSERT_EQ(0, register_memory(app, at + PAGE, PAGE));
	EXPECT_EQ(0, from_app(peer, at, local, PAGE));
	EXPECT_EQ(0, from_app(peer, at + PAGE, local, PAGE));
	EXPECT_EQ(-EPERM, from_app(peer, at, local, 2 * PAGE));
	EXPECT_EQ(-EPERM, from_app(peer, at + PAGE - 1, local, 2));
}

TEST_F(copy, refuses)
{
	struct vgpu_ioc_copy c = {
		.app = (uintptr_t)self->app, .local = (uintptr_t)self->local, .length = 1,
	};
	int i;

	for (i = 1; i < 32; i++) {
		c.flags = 1u << i;
		EXPECT_EQ(-EINVAL, call(self->pair.peer, VGPU_IOC_COPY, &c));
	}
	c.flags = 0;
	for (i = 0; i < 32; i++) {
		c.reserved = 1u << i;
		EXPECT_EQ(-EINVAL, call(self->pair.peer, VGPU_IOC_COPY, &c));
	}
	EXPECT_EQ(0, bed_look(&self->bed).copied);
}

/* All lengths and positions around the ends of pages. */
TEST_F(copy, is_exact)
{
	static const size_t offsets[] = { 0, 1, 8, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE - 7 };
	static const size_t lengths[] = { 1, 7, PAGE - 1, PAGE, PAGE + 1, 33 * PAGE + 5 };
	const size_t shift = 3, end = SIZE - 1;
	size_t i, k, n;
	uint64_t copied = 0;

	for (i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		for (k = 0; k < sizeof(lengths) / sizeof(*lengths); k++) {
			n = lengths[k];
			memset(self->local, 0x55, SIZE);
			ASSERT_EQ(0, from_app(self->pair.peer, self->app + offsets[i],
					      self->local + shift, n));
			EXPECT_EQ(0, memcmp(self->app + offsets[i], self->local + shift, n));
			EXPECT_EQ(0x55, self->local[shift - 1]);
			EXPECT_EQ(0x55, self->local[shift + n]);
			copied += n;
		}
	}
	EXPECT_EQ(0x55, self->local[end]);
	EXPECT_EQ(copied, bed_look(&self->bed).copied);
}

TEST_F(copy, writes_exactly)
{
	static const size_t offsets[] = { 1, PAGE - 1, 5 * PAGE + 17 };
	const size_t n = 40 * PAGE + 9;
	size_t i;

	fill(self->local, SIZE, 99);
	for (i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		memset(self->app, 0x55, SIZE);
		ASSERT_EQ(0, to_app(self->pair.peer, self->app + offsets[i], self->local, n));
		EXPECT_EQ(0, memcmp(self->app + offsets[i], self->local, n));
		EXPECT_EQ(0x55, self->app[offsets[i] - 1]);
		EXPECT_EQ(0x55, self->app[offsets[i] + n]);
	}
}

TEST_F_TIMEOUT(copy, takes_megabytes, SLOW)
{
	char *app = anonymous(BIG), *local = anonymous(BIG);

	ASSERT_NE(NULL, app);
	ASSERT_NE(NULL, local);
	fill(app, BIG, 5);
	ASSERT_EQ(0, register_memory(self->pair.app, app, BIG));
	EXPECT_EQ(0, from_app(self->pair.peer, app, local, BIG));
	EXPECT_EQ(0, memcmp(app, local, BIG));
	fill(local, BIG, 6);
	EXPECT_EQ(0, to_app(self->pair.peer, app, local, BIG));
	EXPECT_EQ(0, memcmp(app, local, BIG));
	EXPECT_EQ(2 * BIG, bed_look(&self->bed).copied);
	munmap(app, BIG);
	munmap(local, BIG);
}

TEST_F(copy, of_nothing_is_nothing)
{
	EXPECT_EQ(0, from_app(self->pair.peer, self->app, self->local, 0));
	EXPECT_EQ(0, bed_look(&self->bed).copied);
}

/* ---- what lies there ---- */

TEST_F(copy, finds_no_memory)
{
	char *at = self->app;
	int peer = self->pair.peer;

	ASSERT_EQ(0, munmap(at + 2 * PAGE, PAGE));
	EXPECT_EQ(-EFAULT, from_app(peer, at + 2 * PAGE, self->local, 1));
	EXPECT_EQ(-EFAULT, to_app(peer, at + 2 * PAGE, self->local, 1));
	EXPECT_EQ(-EFAULT, from_app(peer, at, self->local, SIZE));
	EXPECT_EQ(0, from_app(peer, at + 3 * PAGE, self->local, PAGE));
	/* a registration is of addresses: new memory there counts */
	ASSERT_EQ(at + 2 * PAGE, mmap(at + 2 * PAGE, PAGE, RW,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	at[2 * PAGE] = 77;
	EXPECT_EQ(0, from_app(peer, at, self->local, SIZE));
	EXPECT_EQ(77, self->local[2 * PAGE]);
}

TEST_F(copy, finds_local_memory_missing)
{
	char *local = self->local;
	int peer = self->pair.peer;

	ASSERT_EQ(0, munmap(local + 2 * PAGE, PAGE));
	EXPECT_EQ(-EFAULT, from_app(peer, self->app, local, SIZE));
	EXPECT_EQ(-EFAULT, to_app(peer, self->app, local, SIZE));
	EXPECT_EQ(-EFAULT, from_app(peer, self->app, NULL, 1));
	EXPECT_EQ(-EFAULT, from_app(peer, self->app, (void *)-4096, 1));
	EXPECT_EQ(-EFAULT, from_app(peer, self->app, (void *)-1, 2));
	ASSERT_EQ(0, mprotect(local, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, from_app(peer, self->app, local, 1));
	EXPECT_EQ(0, to_app(peer, self->app, local, 1));
}

TEST_F(copy, counts_what_was_copied_only)
{
	int peer = self->pair.peer;

	ASSERT_EQ(0, munmap(self->app + 2 * PAGE, PAGE));
	EXPECT_EQ(-EFAULT, from_app(peer, self->app + 2 * PAGE, self->local, PAGE));
	EXPECT_EQ(-EFAULT, from_app(peer, self->app, NULL, PAGE));
	EXPECT_EQ(-EPERM, from_app(peer, self->app - 1, self->local, PAGE));
	EXPECT_EQ(0, bed_look(&self->bed).copied);
}

TEST_F(copy, heeds_protections_of_the_app)
{
	char *at = self->app;
	int peer = self->pair.peer;

	ASSERT_EQ(0, mprotect(at, PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(at + PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(0, from_app(peer, at, self->local, PAGE));
	EXPECT_EQ(-EFAULT, to_app(peer, at, self->local + 1, 1));
	EXPECT_EQ(-EFAULT, from_app(peer, at + PAGE, self->local, 1));
	EXPECT_EQ(-EFAULT, to_app(peer, at + PAGE, self->local, 1));
	EXPECT_EQ(self->local[0], at[0]);
	ASSERT_EQ(0, mprotect(at, 2 * PAGE, RW));
	EXPECT_EQ(0, to_app(peer, at, self->local, 2 * PAGE));
}

TEST_F(copy, heeds_files_of_the_app)
{
	char name[] = "/dev/shm/vgpu-copy-XXXXXX", *at;
	int fd = mkstemp(name), peer = self->pair.peer;

	ASSERT_LE(0, fd);
	unlink(name);
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	at = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)at);
	ASSERT_EQ(0, register_memory(self->pair.app, at, 2 * PAGE));
	fill(self->local, PAGE, 8);
	EXPECT_EQ(0, to_app(peer, at, self->local, PAGE));
	EXPECT_EQ(0, memcmp(at, self->local, PAGE));
	/* beyond the end of the file: as the app's own access, less the signal */
	EXPECT_EQ(-EFAULT, from_app(peer, at + PAGE, self->local, 1));
	EXPECT_EQ(-EFAULT, to_app(peer, at + PAGE, self->local, 1));
	munmap(at, 2 * PAGE);
	close(fd);
}

TEST_F(copy, reads_what_was_never_touched)
{
	char *fresh = anonymous(4 * PAGE);

	ASSERT_NE(NULL, fresh);
	ASSERT_EQ(0, register_memory(self->pair.app, fresh, 4 * PAGE));
	memset(self->local, 0x55, PAGE);
	EXPECT_EQ(0, from_app(self->pair.peer, fresh, self->local, PAGE));
	EXPECT_EQ(0, self->local[0]);
	EXPECT_EQ(0, self->local[PAGE - 1]);
	memset(self->local, 0x55, PAGE);
	EXPECT_EQ(0, to_app(self->pair.peer, fresh + PAGE, self->local, PAGE));
	EXPECT_EQ(0x55, fresh[2 * PAGE - 1]);
	EXPECT_EQ(0, fresh[0]);
	munmap(fresh, 4 * PAGE);
}

/* The app's own pages are written, not those that a child shares until then. */
TEST_F(copy, breaks_sharing_with_children)
{
	int ready = gate_new(), gate = gate_new();
	char before = self->app[PAGE];
	pid_t pid = child();

	if (!pid) {
		gate_open(ready);
		EXPECT_TRUE(gate_pass(gate));
		EXPECT_EQ(before, self->app[PAGE]);
		self->app[PAGE] = 1;
		_exit(!_metadata->passed);
	}
	EXPECT_TRUE(gate_pass(ready));
	memset(self->local, before + 1, PAGE);
	EXPECT_EQ(0, to_app(self->pair.peer, self->app + PAGE, self->local, PAGE));
	EXPECT_EQ((char)(before + 1), self->app[PAGE]);
	gate_open(gate);
	EXPECT_EQ(0, join(pid));
	EXPECT_EQ((char)(before + 1), self->app[PAGE]);
	EXPECT_EQ(0, from_app(self->pair.peer, self->app + PAGE, self->local, 1));
	EXPECT_EQ((char)(before + 1), self->local[0]);
}

TEST_F(copy, reaches_buffers_and_halves)
{
	uint64_t handle = hostmem(self->pair.app, PAGE);
	char *buffer = map(self->pair.app, handle, PAGE, RW);
	char *half = map(self->pair.app, VGPU_MMAP_PEER, SMALL_HALF, PROT_READ);

	ASSERT_NE(NULL, buffer);
	ASSERT_NE(NULL, half);
	ASSERT_EQ(0, register_memory(self->pair.app, buffer, PAGE));
	ASSERT_EQ(0, register_memory(self->pair.app, half, SMALL_HALF));
	buffer[0] = 66;
	EXPECT_EQ(0, from_app(self->pair.peer, buffer, self->local, PAGE));
	EXPECT_EQ(66, self->local[0]);
	/* not even this way is a half written that the app must not write */
	EXPECT_EQ(-EFAULT, to_app(self->pair.peer, half, self->local, 1));
	munmap(buffer, PAGE);
	munmap(half, SMALL_HALF);
}

/* ---- lives ---- */

/* A child that has a channel with registered memory, until it is killed. */
static pid_t app_in_child(const struct bed *bed, const void *at, size_t size, int ready)
{
	pid_t pid = child();
	int fd;

	if (pid)
		return pid;
	fd = bed_node(bed);
	if (set_up(fd, &SMALL) || register_memory(fd, at, size))
		_exit(1);
	gate_open(ready);
	pause();
	_exit(0);
}

TEST_F(copy, is_of_the_apps_memory)
{
	int gate = gate_new(), peer;
	pid_t pid;

	fill(self->app, SIZE, 50);
	pid = app_in_child(&self->bed, self->app, SIZE, gate);
	ASSERT_TRUE(gate_pass(gate));
	peer = accept_channel(self->bed.ctl);
	/* the same address in this process is another memory now */
	memset(self->app, 0, SIZE);
	EXPECT_EQ(0, from_app(peer, self->app, self->local, SIZE));
	fill(self->app, SIZE, 50);
	EXPECT_EQ(0, memcmp(self->app, self->local, SIZE));
	EXPECT_EQ(-SIGKILL, kill_and_join(pid));
	EXPECT_EQ(-EPIPE, from_app(peer, self->app, self->local, SIZE));
	EXPECT_EQ(-EPIPE, to_app(peer, self->app, self->local, SIZE));
	close(peer);
}

TEST_F_TIMEOUT(copy, sees_the_app_die, SLOW)
{
	char *big = anonymous(BIG), *local = anonymous(BIG);
	int gate = gate_new(), peer, err, i;
	pid_t app, killer;

	ASSERT_NE(NULL, big);
	ASSERT_NE(NULL, local);
	fill(big, BIG, 3);
	for (i = 0; i < 10; i++) {
		app = app_in_child(&self->bed, big, BIG, gate);
		ASSERT_TRUE(gate_pass(gate));
		peer = accept_channel(self->bed.ctl);
		ASSERT_EQ(0, from_app(peer, big, local, BIG));
		killer = child();
		if (!killer) {
			pause_ms(1 + i);
			_exit(kill(app, SIGKILL));
		}
		do
			err = i & 1 ? to_app(peer, big, local, BIG) :
				      from_app(peer, big, local, BIG);
		while (!err);
		/* its memory goes first */
		EXPECT_TRUE(err == -ESRCH || err == -EPIPE);
		EXPECT_EQ(0, join(killer));
		EXPECT_EQ(-SIGKILL, join(app));
		close(peer);
	}
	munmap(big, BIG);
	munmap(local, BIG);
}

/* Who closes will use the memory for something else. */
TEST_F(copy, ends_with_the_channel)
{
	EXPECT_EQ(0, close(self->pair.app));
	EXPECT_EQ(-EPIPE, from_app(self->pair.peer, self->app, self->local, SIZE));
	EXPECT_EQ(-EPIPE, to_app(self->pair.peer, self->app, self->local, 1));
	self->pair.app = -1;
}

/* One that became another program has a channel still, but not this memory. */
TEST_F(copy, ends_with_the_apps_memory)
{
	int gate = gate_new(), peer;
	pid_t pid = child();

	if (!pid) {
		int fd = bed_node(&self->bed);

		fcntl(fd, F_SETFD, 0);
		if (set_up(fd, &SMALL) || register_memory(fd, self->app, SIZE))
			_exit(1);
		gate_open(gate);
		execlp("sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	ASSERT_TRUE(gate_pass(gate));
	peer = accept_channel(self->bed.ctl);
	while (!from_app(peer, self->app, self->local, SIZE))
		;
	EXPECT_EQ(-ESRCH, from_app(peer, self->app, self->local, SIZE));
	EXPECT_EQ(VGPU_CHANNEL_ACTIVE, state_of(peer));
	EXPECT_EQ(-SIGKILL, kill_and_join(pid));
	EXPECT_EQ(VGPU_CHANNEL_LOST, state_of(peer));
	close(peer);
}

TEST_HARNESS_MAIN
