/* SPDX-License-Identifier: MIT */
/*
 * Page-locked buffers: handles, mappings of both sides, what programs do to
 * memory like any other, and how long they are charged.
 */
#include "kselftest_harness.h"
#include "testbed.h"

#define RW	(PROT_READ | PROT_WRITE)
#define SIZE	(8 * PAGE)
#define MOST	65535		/* buffers of a channel */

FIXTURE(hostmem)
{
	struct bed	bed;
	struct pair	pair;
	uint64_t	handle;
	char		*at;		/* mapped by the app */
};

FIXTURE_SETUP(hostmem)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	ASSERT_EQ(0, pair_open(&self->bed, &self->pair));
	self->handle = hostmem(self->pair.app, SIZE);
	ASSERT_NE(0, self->handle);
	self->at = map(self->pair.app, self->handle, SIZE, RW);
	ASSERT_NE(NULL, self->at);
}

FIXTURE_TEARDOWN(hostmem)
{
	munmap(self->at, SIZE);
	pair_close(&self->pair);
	EXPECT_EQ(0, bed_close(&self->bed));
}

static int forget(int app, uint64_t handle)
{
	struct vgpu_ioc_hostmem_free old = { .handle = handle };

	return call(app, VGPU_IOC_HOSTMEM_FREE, &old);
}

static uint64_t charged(const struct bed *bed)
{
	return bed_look(bed).charged - SMALL_CHARGE;
}

TEST_F(hostmem, has_a_handle_for_mmap)
{
	uint64_t other = hostmem(self->pair.app, PAGE);

	EXPECT_EQ(0, self->handle % VGPU_MMAP_HOSTMEM);
	EXPECT_NE(0, other);
	EXPECT_NE(self->handle, other);
	EXPECT_EQ(SIZE + PAGE, charged(&self->bed));
}

TEST_F(hostmem, refuses)
{
	struct vgpu_ioc_hostmem_alloc alloc;
	const uint64_t sizes[] = {
		0, 1, PAGE - 1, PAGE + 1, VGPU_MMAP_HOSTMEM, VGPU_MMAP_HOSTMEM + PAGE,
		1ull << 63, -PAGE, ~0ull,
	};
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		alloc = (struct vgpu_ioc_hostmem_alloc){ .size = sizes[i] };
		EXPECT_EQ(-EINVAL, call(self->pair.app, VGPU_IOC_HOSTMEM_ALLOC, &alloc))
			TH_LOG("size %zu", i);
	}
	for (i = 0; i < 32; i++) {
		alloc = (struct vgpu_ioc_hostmem_alloc){ .size = PAGE, .flags = 1u << i };
		EXPECT_EQ(-EINVAL, call(self->pair.app, VGPU_IOC_HOSTMEM_ALLOC, &alloc));
		alloc = (struct vgpu_ioc_hostmem_alloc){ .size = PAGE, .reserved = 1u << i };
		EXPECT_EQ(-EINVAL, call(self->pair.app, VGPU_IOC_HOSTMEM_ALLOC, &alloc));
	}
	EXPECT_EQ(SIZE, charged(&self->bed));
}

TEST_F(hostmem, keeps_nothing_that_it_cannot_tell)
{
	struct vgpu_ioc_hostmem_alloc *alloc = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS,
						    -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)alloc);
	alloc->size = PAGE;
	ASSERT_EQ(0, mprotect(alloc, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->pair.app, VGPU_IOC_HOSTMEM_ALLOC, alloc));
	EXPECT_EQ(SIZE, charged(&self->bed));
}

TEST_F(hostmem, is_forgotten_once)
{
	const uint64_t bad[] = {
		0, 1, PAGE, self->handle + 1, self->handle + PAGE, self->handle - PAGE,
		2 * self->handle, VGPU_MMAP_PEER, (MOST + 1ull) << 40, ~0ull, 1ull << 63,
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT_EQ(-ENOENT, forget(self->pair.app, bad[i])) TH_LOG("handle %zu", i);
	EXPECT_EQ(0, forget(self->pair.app, self->handle));
	EXPECT_EQ(-ENOENT, forget(self->pair.app, self->handle));
	EXPECT_EQ(-ENOENT, try_map(self->pair.app, self->handle, SIZE, RW, MAP_SHARED));
	EXPECT_EQ(-ENOENT, try_map(self->pair.peer, self->handle, SIZE, RW, MAP_SHARED));
	/* one made afterwards is not found under the old name */
	EXPECT_NE(self->handle, hostmem(self->pair.app, SIZE));
}

TEST_F(hostmem, is_of_one_channel)
{
	struct pair other;

	ASSERT_EQ(0, pair_open(&self->bed, &other));
	EXPECT_EQ(-ENOENT, forget(other.app, self->handle));
	EXPECT_EQ(-ENOENT, try_map(other.app, self->handle, SIZE, RW, MAP_SHARED));
	EXPECT_EQ(-ENOENT, try_map(other.peer, self->handle, SIZE, RW, MAP_SHARED));
	pair_close(&other);
}

TEST_F(hostmem, is_seen_by_both)
{
	char *peer = map(self->pair.peer, self->handle, SIZE, RW);
	size_t i;

	ASSERT_NE(NULL, peer);
	for (i = 0; i < SIZE; i++) {
		EXPECT_EQ(0, peer[i]);
		self->at[i] = i * 7 + (i >> 8);
	}
	EXPECT_EQ(0, memcmp(self->at, peer, SIZE));
	memset(peer, 0x5a, SIZE);
	EXPECT_EQ(0x5a, self->at[SIZE - 1]);
	munmap(peer, SIZE);
}

TEST_F_TIMEOUT(hostmem, is_zeroed_after_use, SLOW)
{
	const size_t size = 8 << 20;
	uint64_t handle;
	size_t k;
	char *at;
	int i;

	for (i = 0; i < 4; i++) {
		handle = hostmem(self->pair.app, size);
		at = map(self->pair.app, handle, size, RW);
		ASSERT_NE(NULL, at);
		for (k = 0; k < size && !at[k]; k++)
			;
		EXPECT_EQ(size, k);
		memset(at, 0x5a, size);
		munmap(at, size);
		EXPECT_EQ(0, forget(self->pair.app, handle));
	}
}

TEST_F(hostmem, is_mapped_whole_and_shared)
{
	const int fds[] = { self->pair.app, self->pair.peer };
	uint64_t h = self->handle;
	int i;

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(-EINVAL, try_map(fds[i], h, SIZE - PAGE, RW, MAP_SHARED));
		EXPECT_EQ(-EINVAL, try_map(fds[i], h, SIZE + PAGE, RW, MAP_SHARED));
		EXPECT_EQ(-EINVAL, try_map(fds[i], h + PAGE, SIZE - PAGE, RW, MAP_SHARED));
		EXPECT_EQ(-EINVAL, try_map(fds[i], h + PAGE, SIZE, RW, MAP_SHARED));
		EXPECT_EQ(-EINVAL, try_map(fds[i], h - PAGE, SIZE, RW, MAP_SHARED));
		EXPECT_EQ(-ENOENT, try_map(fds[i], 2 * h, SIZE, RW, MAP_SHARED));
		EXPECT_EQ(-EINVAL, try_map(fds[i], h, SIZE, RW, MAP_PRIVATE));
		EXPECT_EQ(-EINVAL, try_map(fds[i], h, SIZE, PROT_READ, MAP_PRIVATE));
		EXPECT_EQ(0, try_map(fds[i], h, SIZE, RW, MAP_SHARED));
	}
	EXPECT_EQ(SIZE, charged(&self->bed));
}

TEST_F(hostmem, is_unmapped_in_parts)
{
	ASSERT_EQ(0, munmap(self->at + 2 * PAGE, PAGE));
	EXPECT_EQ(SIGSEGV, touch(self->at + 2 * PAGE, false));
	EXPECT_EQ(0, touch(self->at + PAGE, true));
	EXPECT_EQ(0, touch(self->at + 3 * PAGE, true));
	ASSERT_EQ(0, mprotect(self->at + 4 * PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch(self->at + 4 * PAGE, false));
	ASSERT_EQ(0, mprotect(self->at + 4 * PAGE, PAGE, RW));
	EXPECT_EQ(0, touch(self->at + 4 * PAGE, true));
	/* all of it is there as long as any of it is mapped */
	ASSERT_EQ(0, forget(self->pair.app, self->handle));
	ASSERT_EQ(0, munmap(self->at, 7 * PAGE));
	EXPECT_EQ(0, touch(self->at + 7 * PAGE, true));
	EXPECT_EQ(SIZE, charged(&self->bed));
	ASSERT_EQ(0, munmap(self->at, SIZE));
	EXPECT_EQ(0, charged(&self->bed));
}

TEST_F(hostmem, does_not_grow)
{
	EXPECT_EQ(MAP_FAILED, mremap(self->at, SIZE, SIZE + PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(self->at, 0, SIZE, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	/* it shrinks and moves */
	EXPECT_EQ(self->at, mremap(self->at, SIZE, PAGE, 0));
	EXPECT_EQ(SIGSEGV, touch(self->at + PAGE, false));
	EXPECT_EQ(0, touch(self->at, true));
}

TEST_F(hostmem, is_charged_until_the_last_mapping_is_gone)
{
	char *peer = map(self->pair.peer, self->handle, SIZE, RW);

	ASSERT_NE(NULL, peer);
	EXPECT_EQ(0, forget(self->pair.app, self->handle));
	EXPECT_EQ(SIZE, charged(&self->bed));
	ASSERT_EQ(0, munmap(self->at, SIZE));
	EXPECT_EQ(SIZE, charged(&self->bed));
	EXPECT_EQ(0, touch(peer + SIZE - 1, true));
	ASSERT_EQ(0, munmap(peer, SIZE));
	EXPECT_EQ(0, charged(&self->bed));
}

TEST_F(hostmem, is_inherited)
{
	pid_t pid;

	self->at[3] = 3;
	pid = child();
	if (!pid) {
		EXPECT_EQ(3, self->at[3]);
		self->at[4] = 4;
		EXPECT_EQ(0, munmap(self->at, PAGE));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
	EXPECT_EQ(4, self->at[4]);
}

/* What a child inherited is there when all others are gone. */
TEST_F(hostmem, outlives_the_app_in_a_child)
{
	int gate = gate_new(), done = gate_new();
	pid_t pid = child();

	if (!pid) {
		close(self->pair.app);
		close(self->pair.peer);
		EXPECT_TRUE(gate_pass(gate));
		self->at[PAGE] = 9;
		EXPECT_EQ(9, self->at[PAGE]);
		gate_open(done);
		EXPECT_TRUE(gate_pass(gate));
		_exit(!_metadata->passed);
	}
	munmap(self->at, SIZE);
	pair_close(&self->pair);
	gate_open(gate);
	EXPECT_TRUE(gate_pass(done));
	EXPECT_EQ(SMALL_CHARGE + SIZE, bed_look(&self->bed).charged);
	EXPECT_EQ(-EBUSY, vgpu_nl_del(self->bed.nl, self->bed.device));
	gate_open(gate);
	EXPECT_EQ(0, join(pid));
	EXPECT_EQ(0, bed_look(&self->bed).charged);
	self->pair.app = self->pair.peer = -1;
}

/* What MADV_DONTNEED takes out of a mapping is in the buffer, not away. */
TEST_F(hostmem, comes_back_after_being_dropped)
{
	size_t i;

	memset(self->at, 0x3c, SIZE);
	ASSERT_EQ(0, madvise(self->at, SIZE, MADV_DONTNEED));
	for (i = 0; i < SIZE; i++)
		EXPECT_EQ(0x3c, self->at[i]);
	ASSERT_EQ(0, munmap(self->at, 3 * PAGE));
	self->at[5 * PAGE] = 1;
	ASSERT_EQ(0, madvise(self->at + 3 * PAGE, 4 * PAGE, MADV_DONTNEED));
	EXPECT_EQ(1, self->at[5 * PAGE]);
	EXPECT_EQ(0x3c, self->at[6 * PAGE]);
}

TEST_F(hostmem, holds_no_code)
{
	EXPECT_EQ(-EACCES, try_map(self->pair.app, self->handle, SIZE, PROT_EXEC | RW,
				   MAP_SHARED));
	EXPECT_EQ(-1, mprotect(self->at, SIZE, PROT_EXEC | PROT_READ));
	EXPECT_EQ(EACCES, errno);
}

TEST_F(hostmem, is_not_made_when_lost)
{
	struct vgpu_ioc_hostmem_alloc alloc = { .size = PAGE };

	ASSERT_EQ(0, call_value(self->pair.peer, VGPU_IOC_LOSE, 0));
	EXPECT_EQ(-EPIPE, call(self->pair.app, VGPU_IOC_HOSTMEM_ALLOC, &alloc));
	EXPECT_EQ(-EPIPE, try_map(self->pair.app, self->handle, SIZE, RW, MAP_SHARED));
	EXPECT_EQ(0, touch(self->at, true));
	EXPECT_EQ(0, forget(self->pair.app, self->handle));
}

/* The app's end forgets all handles; what is mapped keeps its memory. */
TEST_F(hostmem, ends_with_the_app)
{
	ASSERT_NE(0, hostmem(self->pair.app, SIZE));
	EXPECT_EQ(2 * SIZE, charged(&self->bed));
	close(self->pair.app);
	EXPECT_EQ(SIZE, charged(&self->bed));
	EXPECT_EQ(0, touch(self->at, true));
	munmap(self->at, SIZE);
	EXPECT_EQ(0, charged(&self->bed));
	self->pair.app = -1;
}

TEST_F(hostmem, is_the_apps_to_make)
{
	struct vgpu_ioc_hostmem_alloc alloc = { .size = PAGE };

	EXPECT_EQ(-ENOTTY, call(self->pair.peer, VGPU_IOC_HOSTMEM_ALLOC, &alloc));
	EXPECT_EQ(-ENOTTY, call(self->pair.peer, VGPU_IOC_HOSTMEM_FREE, &alloc));
}

TEST_F_TIMEOUT(hostmem, has_so_many_handles, SLOW)
{
	struct vgpu_ioc_hostmem_alloc alloc = { .size = PAGE };
	uint64_t second;
	long n, err = 0;

	ASSERT_EQ(0, bed_budget(&self->bed, 1ull << 40, 1ull << 40));
	pair_close(&self->pair);
	munmap(self->at, SIZE);
	/* a channel's budget is that of its set-up */
	ASSERT_EQ(0, pair_open(&self->bed, &self->pair));
	for (n = 0; n <= MOST && !err; n++)
		err = call(self->pair.app, VGPU_IOC_HOSTMEM_ALLOC, &alloc);
	EXPECT_EQ(-ENOSPC, err);
	EXPECT_EQ(MOST + 1, n);
	EXPECT_EQ(MOST * PAGE, charged(&self->bed));
	second = 2 * VGPU_MMAP_HOSTMEM;
	EXPECT_EQ(0, forget(self->pair.app, second));
	EXPECT_EQ(second, hostmem(self->pair.app, PAGE));
	EXPECT_EQ(0, hostmem(self->pair.app, PAGE));
	EXPECT_EQ(MOST * PAGE, charged(&self->bed));
}

TEST_HARNESS_MAIN
