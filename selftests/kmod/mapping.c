/* SPDX-License-Identifier: MIT */
/*
 * The memory of a channel: who maps which half how, what can be done to a
 * mapping, what a child gets of it, that both sides see the same. Page-locked
 * buffers: hostmem.c.
 */
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "testbed.h"

#define RW	(PROT_READ | PROT_WRITE)
#define NOBODY	65534

FIXTURE(half)
{
	struct bed	bed;
	struct pair	pair;
	char		*own;		/* the app's half, mapped by the app */
	char		*other;		/* the peer's half, mapped by the app */
};

FIXTURE_SETUP(half)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	ASSERT_EQ(0, pair_open(&self->bed, &self->pair));
	self->own = map(self->pair.app, VGPU_MMAP_APP, SMALL_HALF, RW);
	self->other = map(self->pair.app, VGPU_MMAP_PEER, SMALL_HALF, PROT_READ);
	ASSERT_NE(NULL, self->own);
	ASSERT_NE(NULL, self->other);
}

FIXTURE_TEARDOWN(half)
{
	munmap(self->own, SMALL_HALF);
	munmap(self->other, SMALL_HALF);
	pair_close(&self->pair);
	EXPECT_EQ(0, bed_close(&self->bed));
}

static bool all_zero(const char *at, size_t size)
{
	while (size--)
		if (*at++)
			return false;
	return true;
}

TEST_F(half, is_zeroed)
{
	EXPECT_TRUE(all_zero(self->own, SMALL_HALF));
	EXPECT_TRUE(all_zero(self->other, SMALL_HALF));
}

/* Pages come back to the kernel and are given out again, to another channel. */
TEST_F_TIMEOUT(half, is_zeroed_after_use, SLOW)
{
	struct vgpu_ring_sizes sizes = { .sq = 1 << 20, .cq = 1 << 20, .up = 8 << 20,
					 .down = 8 << 20 };
	size_t size = app_half(&sizes);
	char *at;
	int i, fd;

	for (i = 0; i < 4; i++) {
		fd = bed_node(&self->bed);
		ASSERT_EQ(0, set_up(fd, &sizes));
		at = map(fd, VGPU_MMAP_APP, size, RW);
		ASSERT_NE(NULL, at);
		EXPECT_TRUE(all_zero(at, size));
		memset(at, 0xa5, size);
		munmap(at, size);
		close(fd);
	}
}

TEST_F(half, is_seen_by_both)
{
	char *peer_own = map(self->pair.peer, VGPU_MMAP_PEER, SMALL_HALF, RW);
	char *peer_other = map(self->pair.peer, VGPU_MMAP_APP, SMALL_HALF, PROT_READ);
	size_t i;

	ASSERT_NE(NULL, peer_own);
	ASSERT_NE(NULL, peer_other);
	for (i = 0; i < SMALL_HALF; i++) {
		self->own[i] = i * 7 + (i >> 8);
		peer_own[i] = i * 11 + (i >> 8);
	}
	EXPECT_EQ(0, memcmp(self->own, peer_other, SMALL_HALF));
	EXPECT_EQ(0, memcmp(peer_own, self->other, SMALL_HALF));
	EXPECT_NE(0, memcmp(self->own, self->other, SMALL_HALF));
	munmap(peer_own, SMALL_HALF);
	munmap(peer_other, SMALL_HALF);
}

TEST_F(half, is_written_by_its_side_only)
{
	int app = self->pair.app, peer = self->pair.peer;

	EXPECT_EQ(-EACCES, try_map(app, VGPU_MMAP_PEER, SMALL_HALF, RW, MAP_SHARED));
	EXPECT_EQ(-EACCES, try_map(app, VGPU_MMAP_PEER, SMALL_HALF, PROT_WRITE, MAP_SHARED));
	EXPECT_EQ(0, try_map(app, VGPU_MMAP_APP, SMALL_HALF, RW, MAP_SHARED));
	EXPECT_EQ(0, try_map(peer, VGPU_MMAP_PEER, SMALL_HALF, RW, MAP_SHARED));
	EXPECT_EQ(0, try_map(peer, VGPU_MMAP_APP, SMALL_HALF, PROT_READ, MAP_SHARED));
}

/* The daemon may, for hardware's sake; a worker with the same descriptor may not. */
TEST_F(half, is_not_written_by_workers)
{
	int peer = self->pair.peer;
	pid_t pid = child();
	char *at;

	if (!pid) {
		EXPECT_EQ(0, setuid(NOBODY));
		EXPECT_EQ(-EACCES, try_map(peer, VGPU_MMAP_APP, SMALL_HALF, RW, MAP_SHARED));
		EXPECT_EQ(-EACCES, try_map(peer, VGPU_MMAP_APP, SMALL_HALF, PROT_WRITE,
					   MAP_SHARED));
		EXPECT_EQ(0, try_map(peer, VGPU_MMAP_PEER, SMALL_HALF, RW, MAP_SHARED));
		at = map(peer, VGPU_MMAP_APP, SMALL_HALF, PROT_READ);
		EXPECT_EQ(0, touch(at, false));
		EXPECT_EQ(-1, mprotect(at, SMALL_HALF, RW));
		EXPECT_EQ(EACCES, errno);
		EXPECT_EQ(SIGSEGV, touch(at, true));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
	EXPECT_EQ(0, try_map(peer, VGPU_MMAP_APP, SMALL_HALF, RW, MAP_SHARED));
}

TEST_F(half, is_not_made_writable)
{
	EXPECT_EQ(-1, mprotect(self->other, SMALL_HALF, RW));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, mprotect(self->other, SMALL_HALF, PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(SIGSEGV, touch(self->other, true));
	/* less than it may is fine, and so is what it had */
	EXPECT_EQ(0, mprotect(self->other, SMALL_HALF, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch(self->other, false));
	EXPECT_EQ(0, mprotect(self->other, SMALL_HALF, PROT_READ));
	EXPECT_EQ(0, touch(self->other, false));
	EXPECT_EQ(0, mprotect(self->own, SMALL_HALF, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch(self->own, true));
	EXPECT_EQ(0, mprotect(self->own, SMALL_HALF, RW));
	EXPECT_EQ(0, touch(self->own, true));
}

TEST_F(half, holds_no_code)
{
	const int protections[] = { PROT_EXEC, PROT_EXEC | PROT_READ, PROT_EXEC | RW };
	int i;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EACCES, try_map(self->pair.app, VGPU_MMAP_APP, SMALL_HALF,
					   protections[i], MAP_SHARED));
		EXPECT_EQ(-EACCES, try_map(self->pair.peer, VGPU_MMAP_PEER, SMALL_HALF,
					   protections[i], MAP_SHARED));
		EXPECT_EQ(-1, mprotect(self->own, SMALL_HALF, protections[i]));
		EXPECT_EQ(EACCES, errno);
	}
}

TEST_F(half, is_not_mapped_when_lost)
{
	ASSERT_EQ(0, call_value(self->pair.peer, VGPU_IOC_LOSE, 0));
	EXPECT_EQ(-EPIPE, try_map(self->pair.app, VGPU_MMAP_APP, SMALL_HALF, RW, MAP_SHARED));
	EXPECT_EQ(-EPIPE, try_map(self->pair.app, VGPU_MMAP_PEER, SMALL_HALF, PROT_READ,
				  MAP_SHARED));
	EXPECT_EQ(-EPIPE, try_map(self->pair.peer, VGPU_MMAP_PEER, SMALL_HALF, RW, MAP_SHARED));
	EXPECT_EQ(-EPIPE, try_map(self->pair.peer, VGPU_MMAP_APP, SMALL_HALF, PROT_READ,
				  MAP_SHARED));
	/* what is mapped stays */
	EXPECT_EQ(0, touch(self->own + SMALL_HALF - 1, true));
	EXPECT_EQ(0, touch(self->other + SMALL_HALF - 1, false));
}

/* By a trace, as debuggers write, either. */
TEST_F(half, is_not_written_through_proc)
{
	int fd = open_node("/proc/self/mem", O_RDWR);
	char byte = 1;

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, pwrite(fd, &byte, 1, (uintptr_t)self->other));
	EXPECT_EQ(0, self->other[0]);
	close(fd);
}

TEST_F(half, is_mapped_shared_only)
{
	int app = self->pair.app, peer = self->pair.peer;

	EXPECT_EQ(-EINVAL, try_map(app, VGPU_MMAP_APP, SMALL_HALF, RW, MAP_PRIVATE));
	EXPECT_EQ(-EINVAL, try_map(app, VGPU_MMAP_PEER, SMALL_HALF, PROT_READ, MAP_PRIVATE));
	EXPECT_EQ(-EINVAL, try_map(peer, VGPU_MMAP_PEER, SMALL_HALF, RW, MAP_PRIVATE));
	EXPECT_EQ(-EINVAL, try_map(peer, VGPU_MMAP_APP, SMALL_HALF, PROT_READ, MAP_PRIVATE));
}

static void refuse_sizes(struct __test_metadata *_metadata, int fd, uint64_t offset)
{
	EXPECT_EQ(-EINVAL, try_map(fd, offset, SMALL_HALF - PAGE, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(fd, offset, SMALL_HALF + PAGE, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(fd, offset, PAGE, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(fd, offset, 1ul << 36, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(fd, offset + PAGE, SMALL_HALF, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(fd, offset + PAGE, SMALL_HALF - PAGE, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(fd, offset - PAGE, SMALL_HALF, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(fd, offset - PAGE, SMALL_HALF + PAGE, PROT_READ, MAP_SHARED));
}

TEST_F(half, is_mapped_whole)
{
	refuse_sizes(_metadata, self->pair.app, VGPU_MMAP_PEER);
	refuse_sizes(_metadata, self->pair.peer, VGPU_MMAP_PEER);
	EXPECT_EQ(-EINVAL, try_map(self->pair.app, VGPU_MMAP_APP, SMALL_HALF - PAGE, RW,
				   MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(self->pair.app, VGPU_MMAP_APP, SMALL_HALF + PAGE, RW,
				   MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(self->pair.app, VGPU_MMAP_APP + PAGE, SMALL_HALF, RW,
				   MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(self->pair.app, 1ull << 35, SMALL_HALF, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(self->pair.app, 1ull << 39, SMALL_HALF, PROT_READ, MAP_SHARED));
}

/* Halves of different sizes: neither is taken for the other. */
TEST_F(half, has_its_own_size)
{
	struct vgpu_ring_sizes sizes = { .sq = 8192, .cq = 4096, .up = 65536, .down = 16384 };
	size_t app = app_half(&sizes), peer = peer_half(&sizes);
	int fd = bed_node(&self->bed);

	ASSERT_EQ(0, set_up(fd, &sizes));
	EXPECT_EQ(0, try_map(fd, VGPU_MMAP_APP, app, RW, MAP_SHARED));
	EXPECT_EQ(0, try_map(fd, VGPU_MMAP_PEER, peer, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(fd, VGPU_MMAP_APP, peer, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_map(fd, VGPU_MMAP_PEER, app, PROT_READ, MAP_SHARED));
	close(fd);
}

TEST_F(half, is_not_split)
{
	char *at = self->own;

	EXPECT_EQ(-1, munmap(at, PAGE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, munmap(at + PAGE, PAGE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, munmap(at + 2 * PAGE, PAGE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, mprotect(at, PAGE, PROT_READ));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, mprotect(at + 2 * PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(at + PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				   -1, 0));
	EXPECT_EQ(0, touch(at + PAGE, true));
	EXPECT_EQ(0, touch(at + SMALL_HALF - 1, true));
}

TEST_F(half, does_not_grow_or_shrink)
{
	char *at = self->own;

	EXPECT_EQ(MAP_FAILED, mremap(at, SMALL_HALF, SMALL_HALF + PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(at, SMALL_HALF, SMALL_HALF + PAGE, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(at, SMALL_HALF, SMALL_HALF - PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(EINVAL, errno);
	/* an old size of 0 asks for another mapping of the same */
	EXPECT_EQ(MAP_FAILED, mremap(at, 0, SMALL_HALF, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(at, 0, PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(at, SMALL_HALF, SMALL_HALF,
				     MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, touch(at, true));
}

TEST_F(half, moves_as_a_whole)
{
	char *room = mmap(NULL, SMALL_HALF, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *at;

	ASSERT_NE(MAP_FAILED, (void *)room);
	self->own[PAGE] = 42;
	EXPECT_EQ(MAP_FAILED, mremap(self->own, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room));
	EXPECT_EQ(EINVAL, errno);
	at = mremap(self->own, SMALL_HALF, SMALL_HALF, MREMAP_MAYMOVE | MREMAP_FIXED, room);
	ASSERT_EQ(room, at);
	EXPECT_EQ(42, at[PAGE]);
	EXPECT_EQ(SIGSEGV, touch(self->own, false));
	EXPECT_EQ(-1, munmap(at, PAGE));
	EXPECT_EQ(EINVAL, errno);
	self->own = at;
}

TEST_F(half, is_not_inherited)
{
	pid_t pid = child();

	if (!pid) {
		EXPECT_EQ(SIGSEGV, touch(self->own, false));
		EXPECT_EQ(SIGSEGV, touch(self->other, false));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
	EXPECT_EQ(0, touch(self->own, true));
}

TEST_F(half, is_inherited_if_the_app_wants)
{
	pid_t pid;

	ASSERT_EQ(0, madvise(self->own, SMALL_HALF, MADV_DOFORK));
	pid = child();
	if (!pid)
		_exit(touch(self->own + PAGE, true));
	EXPECT_EQ(0, join(pid));
	EXPECT_EQ(1, self->own[PAGE]);
}

/* The flags of the mapping at @at, as /proc shows them. */
static bool vm_flags(const void *at, char *flags, size_t room)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[512], wanted[32];
	bool here = false, found = false;

	snprintf(wanted, sizeof(wanted), "%lx-", (unsigned long)at);
	while (smaps && !found && fgets(line, sizeof(line), smaps)) {
		here = here || !strncmp(line, wanted, strlen(wanted));
		found = here && !strncmp(line, "VmFlags:", 8);
	}
	if (smaps)
		fclose(smaps);
	snprintf(flags, room, "%s", found ? line : "");
	return found;
}

TEST_F(half, is_not_dumped_nor_copied_nor_expanded)
{
	char flags[512];

	ASSERT_TRUE(vm_flags(self->own, flags, sizeof(flags)));
	EXPECT_NE(NULL, strstr(flags, " dd"));
	EXPECT_NE(NULL, strstr(flags, " dc"));
	EXPECT_NE(NULL, strstr(flags, " de"));
	EXPECT_NE(NULL, strstr(flags, " mw"));
	ASSERT_TRUE(vm_flags(self->other, flags, sizeof(flags)));
	EXPECT_NE(NULL, strstr(flags, " dd"));
	EXPECT_NE(NULL, strstr(flags, " dc"));
	EXPECT_NE(NULL, strstr(flags, " de"));
	EXPECT_EQ(NULL, strstr(flags, " mw"));
	EXPECT_EQ(-1, madvise(self->own, SMALL_HALF, MADV_DODUMP));
	EXPECT_EQ(EINVAL, errno);
}

/* A mapping outlives its descriptor, and the channel keeps its memory for it. */
TEST_F(half, outlives_descriptors)
{
	char *peer_own = map(self->pair.peer, VGPU_MMAP_PEER, SMALL_HALF, RW);

	ASSERT_NE(NULL, peer_own);
	close(self->pair.peer);
	/* the peer has not ended: it has a mapping */
	EXPECT_EQ(0, bell(self->pair.app));
	peer_own[5] = 5;
	EXPECT_EQ(5, self->other[5]);
	munmap(peer_own, SMALL_HALF);
	EXPECT_EQ(-EPIPE, bell(self->pair.app));
	close(self->pair.app);
	self->own[6] = 6;
	EXPECT_EQ(5, self->other[5]);
	EXPECT_EQ(6, self->own[6]);
	EXPECT_EQ(SMALL_CHARGE, bed_look(&self->bed).charged);
	EXPECT_EQ(0, bed_look(&self->bed).channels);
	munmap(self->own, SMALL_HALF);
	EXPECT_EQ(SMALL_CHARGE, bed_look(&self->bed).charged);
	munmap(self->other, SMALL_HALF);
	EXPECT_EQ(0, bed_look(&self->bed).charged);
	self->pair.app = self->pair.peer = -1;
}

TEST_F(half, can_be_mapped_again)
{
	self->own[1] = 17;
	munmap(self->own, SMALL_HALF);
	self->own = map(self->pair.app, VGPU_MMAP_APP, SMALL_HALF, RW);
	ASSERT_NE(NULL, self->own);
	EXPECT_EQ(17, self->own[1]);
}

TEST_HARNESS_MAIN
