/* SPDX-License-Identifier: MIT */
/*
 * Who pays for the memory of channels, and how much of it there is: budgets of
 * channels, of devices and of the host, numbers of channels, memory cgroups.
 */
#include <sys/resource.h>
#include <sys/stat.h>
#include "kselftest_harness.h"
#include "testbed.h"

#define RW	(PROT_READ | PROT_WRITE)
#define MIB	(1ul << 20)
#define PERCENT	"/sys/module/vgpu/parameters/memory_percent"

FIXTURE(budget)
{
	struct bed	bed;
	int		fd;
};

FIXTURE_SETUP(budget)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	self->fd = bed_node(&self->bed);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(budget)
{
	close(self->fd);
	EXPECT_EQ(0, write_text(PERCENT, "50"));
	EXPECT_EQ(0, bed_close(&self->bed));
}

static int alloc(int app, uint64_t size)
{
	struct vgpu_ioc_hostmem_alloc a = { .size = size };

	return call(app, VGPU_IOC_HOSTMEM_ALLOC, &a);
}

static uint64_t charged(const struct bed *bed)
{
	return bed_look(bed).charged;
}

/* ---- of channels ---- */

TEST_F(budget, of_a_channel_is_exact)
{
	ASSERT_EQ(0, bed_budget(&self->bed, 0, SMALL_CHARGE - 1));
	EXPECT_EQ(-EDQUOT, set_up(self->fd, &SMALL));
	EXPECT_EQ(0, charged(&self->bed));
	EXPECT_EQ(0, bed_look(&self->bed).channels);
	ASSERT_EQ(0, bed_budget(&self->bed, 0, SMALL_CHARGE + 2 * PAGE));
	EXPECT_EQ(0, set_up(self->fd, &SMALL));
	EXPECT_EQ(-EDQUOT, alloc(self->fd, 3 * PAGE));
	EXPECT_EQ(0, alloc(self->fd, PAGE));
	EXPECT_EQ(-EDQUOT, alloc(self->fd, 2 * PAGE));
	EXPECT_EQ(0, alloc(self->fd, PAGE));
	EXPECT_EQ(-EDQUOT, alloc(self->fd, PAGE));
	EXPECT_EQ(-EDQUOT, alloc(self->fd, VGPU_MMAP_HOSTMEM - PAGE));
	EXPECT_EQ(SMALL_CHARGE + 2 * PAGE, charged(&self->bed));
}

TEST_F(budget, of_a_channel_is_given_back)
{
	struct vgpu_ioc_hostmem_free old = { .handle = VGPU_MMAP_HOSTMEM };

	ASSERT_EQ(0, bed_budget(&self->bed, 0, SMALL_CHARGE + PAGE));
	ASSERT_EQ(0, set_up(self->fd, &SMALL));
	ASSERT_EQ(VGPU_MMAP_HOSTMEM, hostmem(self->fd, PAGE));
	EXPECT_EQ(-EDQUOT, alloc(self->fd, PAGE));
	ASSERT_EQ(0, call(self->fd, VGPU_IOC_HOSTMEM_FREE, &old));
	EXPECT_EQ(0, alloc(self->fd, PAGE));
}

TEST_F(budget, of_a_channel_is_that_of_its_setup)
{
	int other = bed_node(&self->bed);

	ASSERT_EQ(0, set_up(self->fd, &SMALL));
	ASSERT_EQ(0, bed_budget(&self->bed, 0, PAGE));
	EXPECT_EQ(0, alloc(self->fd, PAGE));
	EXPECT_EQ(-EDQUOT, set_up(other, &SMALL));
	close(other);
}

/* ---- of devices ---- */

TEST_F(budget, of_a_device_is_for_all_its_channels)
{
	int other = bed_node(&self->bed);

	ASSERT_EQ(0, bed_budget(&self->bed, 2 * SMALL_CHARGE - 1, 0));
	EXPECT_EQ(0, set_up(self->fd, &SMALL));
	EXPECT_EQ(-EDQUOT, set_up(other, &SMALL));
	EXPECT_EQ(SMALL_CHARGE, charged(&self->bed));
	EXPECT_EQ(1, bed_look(&self->bed).channels);
	EXPECT_EQ(-EDQUOT, alloc(self->fd, SMALL_CHARGE));
	EXPECT_EQ(0, alloc(self->fd, SMALL_CHARGE - PAGE));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, charged(&self->bed));
	EXPECT_EQ(0, set_up(other, &SMALL));
	close(other);
}

TEST_F(budget, of_a_device_may_shrink_below_its_use)
{
	ASSERT_EQ(0, set_up(self->fd, &SMALL));
	ASSERT_EQ(0, bed_budget(&self->bed, PAGE, 0));
	EXPECT_EQ(-EDQUOT, alloc(self->fd, PAGE));
	EXPECT_EQ(0, bell(self->fd));
	ASSERT_EQ(0, bed_budget(&self->bed, SMALL_CHARGE + PAGE, 0));
	EXPECT_EQ(0, alloc(self->fd, PAGE));
	EXPECT_EQ(-EDQUOT, alloc(self->fd, PAGE));
}

TEST_F(budget, of_one_device_is_not_that_of_another)
{
	int other = device_node(bed_more(&self->bed));
	struct vgpu_ioc_setup setup = {
		.devices = (uintptr_t)&other, .ndevices = 1, .sizes = SMALL,
	};

	/* a channel is charged to its first device */
	ASSERT_EQ(0, bed_budget(&self->bed, PAGE, 0));
	EXPECT_EQ(-EDQUOT, call(self->fd, VGPU_IOC_SETUP, &setup));
	setup.devices = (uintptr_t)&self->fd;
	EXPECT_EQ(0, call(other, VGPU_IOC_SETUP, &setup));
	EXPECT_EQ(0, charged(&self->bed));
	EXPECT_EQ(1, bed_look(&self->bed).channels);
	close(other);
}

/* ---- of the host ---- */

static uint64_t host_memory(void)
{
	const char *line = strstr(read_text("/proc/meminfo"), "MemTotal:");

	return line ? strtoull(line + 9, NULL, 10) * 1024 : 0;
}

TEST_F(budget, of_nothing_said_is_a_quarter_of_the_host)
{
	uint64_t quarter = host_memory() / 4;

	ASSERT_LT(16 * MIB, quarter);
	ASSERT_EQ(0, set_up(self->fd, &SMALL));
	EXPECT_EQ(-EDQUOT, alloc(self->fd, (quarter + PAGE) & -PAGE));
	EXPECT_EQ(SMALL_CHARGE, charged(&self->bed));
}

TEST_F(budget, of_the_host_is_for_all_devices)
{
	int other = device_node(bed_more(&self->bed));
	uint64_t percent = host_memory() / 100;

	ASSERT_EQ(0, bed_budget(&self->bed, 1ull << 40, 1ull << 40));
	ASSERT_EQ(0, write_text(PERCENT, "1"));
	EXPECT_EQ(0, set_up(self->fd, &SMALL));
	EXPECT_EQ(-EDQUOT, alloc(self->fd, (percent + PAGE) & -PAGE));
	EXPECT_EQ(0, alloc(self->fd, (percent - SMALL_CHARGE - 4 * PAGE) & -PAGE));
	EXPECT_EQ(-EDQUOT, set_up(other, &SMALL));
	ASSERT_EQ(0, write_text(PERCENT, "2"));
	EXPECT_EQ(0, set_up(other, &SMALL));
	ASSERT_EQ(0, write_text(PERCENT, "0"));
	EXPECT_EQ(-EDQUOT, alloc(self->fd, PAGE));
	EXPECT_EQ(-EDQUOT, alloc(other, PAGE));
	close(other);
}

/* Budgets allow it, but no host has it. */
TEST_F_TIMEOUT(budget, is_no_memory, SLOW)
{
	ASSERT_EQ(0, bed_budget(&self->bed, ~0ull, ~0ull));
	ASSERT_EQ(0, write_text(PERCENT, "100"));
	ASSERT_EQ(0, set_up(self->fd, &SMALL));
	EXPECT_EQ(-EDQUOT, alloc(self->fd, VGPU_MMAP_HOSTMEM - PAGE));
	EXPECT_EQ(-ENOMEM, alloc(self->fd, (host_memory() - 4 * MIB) & -PAGE));
	EXPECT_EQ(SMALL_CHARGE, charged(&self->bed));
	EXPECT_EQ(0, alloc(self->fd, PAGE));
}

TEST_F_TIMEOUT(budget, of_channels_is_a_number, SLOW)
{
	const struct rlimit files = { 2 * VGPU_DEVICE_CHANNELS, 2 * VGPU_DEVICE_CHANNELS };
	int fds[VGPU_DEVICE_CHANNELS], i, peer;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	for (i = 0; i < VGPU_DEVICE_CHANNELS; i++) {
		fds[i] = bed_node(&self->bed);
		ASSERT_EQ(0, set_up(fds[i], &SMALL));
	}
	EXPECT_EQ(-EUSERS, set_up(self->fd, &SMALL));
	EXPECT_EQ(VGPU_DEVICE_CHANNELS, bed_look(&self->bed).channels);
	/* what counts is the app's end, not the peer's */
	peer = accept_channel(self->bed.ctl);
	close(fds[0]);
	EXPECT_EQ(VGPU_DEVICE_CHANNELS - 1, bed_look(&self->bed).channels);
	EXPECT_EQ(0, set_up(self->fd, &SMALL));
	close(peer);
	for (i = 1; i < VGPU_DEVICE_CHANNELS; i++)
		close(fds[i]);
}

/* ---- cgroups ---- */

#define CGROUPS	"/sys/fs/cgroup"
#define GROUP	CGROUPS "/vgpu-test"
/* What the kernel charges in advance, for each processor, and page tables. */
#define SLACK	(2 * MIB)

FIXTURE(cgroup)
{
	struct bed	bed;
	int		ready, go;
};

FIXTURE_SETUP(cgroup)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	ASSERT_EQ(0, write_text(CGROUPS "/cgroup.subtree_control", "+memory"));
	ASSERT_EQ(0, mkdir(GROUP, 0755));
	self->ready = gate_new();
	self->go = gate_new();
}

FIXTURE_TEARDOWN(cgroup)
{
	EXPECT_EQ(0, rmdir(GROUP));
	EXPECT_EQ(0, bed_close(&self->bed));
}

static uint64_t group_memory(void)
{
	return strtoull(read_text(GROUP "/memory.current"), NULL, 10);
}

/* In the group: a channel, then a buffer, each after a word of the parent's. */
static void live_in_group(const struct bed *bed, int ready, int go)
{
	static const struct vgpu_ring_sizes sizes = {
		.sq = 1 << 20, .cq = 1 << 20, .up = 16 << 20, .down = 16 << 20,
	};
	int fd = bed_node(bed);

	if (write_text(GROUP "/cgroup.procs", "0"))
		_exit(1);
	gate_open(ready);
	if (!gate_pass(go) || set_up(fd, &sizes))
		_exit(2);
	gate_open(ready);
	if (!gate_pass(go) || !hostmem(fd, 16 * MIB))
		_exit(3);
	gate_open(ready);
	if (!gate_pass(go) || close(fd))
		_exit(4);
	gate_open(ready);
	_exit(!gate_pass(go));
}

TEST_F_TIMEOUT(cgroup, of_the_app_is_charged, SLOW)
{
	uint64_t before, with_channel;
	pid_t pid = child();

	if (!pid)
		live_in_group(&self->bed, self->ready, self->go);
	ASSERT_TRUE(gate_pass(self->ready));
	before = group_memory();
	gate_open(self->go);
	ASSERT_TRUE(gate_pass(self->ready));
	with_channel = group_memory();
	EXPECT_LE(before + 34 * MIB, with_channel);
	EXPECT_GE(before + 34 * MIB + SLACK, with_channel);
	gate_open(self->go);
	ASSERT_TRUE(gate_pass(self->ready));
	EXPECT_LE(with_channel + 15 * MIB, group_memory());
	EXPECT_GE(with_channel + 16 * MIB + SLACK, group_memory());
	gate_open(self->go);
	ASSERT_TRUE(gate_pass(self->ready));
	EXPECT_GE(before + SLACK, group_memory());
	gate_open(self->go);
	EXPECT_EQ(0, join(pid));
}

/* The charge stays with the app's group when the peer is the last to have it. */
TEST_F_TIMEOUT(cgroup, is_charged_until_the_peer_is_gone, SLOW)
{
	int peer;
	pid_t pid = child();

	if (!pid)
		live_in_group(&self->bed, self->ready, self->go);
	ASSERT_TRUE(gate_pass(self->ready));
	gate_open(self->go);
	ASSERT_TRUE(gate_pass(self->ready));
	peer = accept_channel(self->bed.ctl);
	EXPECT_EQ(-SIGKILL, kill_and_join(pid));
	EXPECT_LE(33 * MIB, group_memory());
	close(peer);
	EXPECT_GE(SLACK, group_memory());
}

/* Out of memory is an error of the call, not the end of somebody. */
TEST_F_TIMEOUT(cgroup, of_too_little_memory, SLOW)
{
	const struct vgpu_ring_sizes sizes = {
		.sq = 1 << 20, .cq = 1 << 20, .up = 32 << 20, .down = 32 << 20,
	};
	pid_t pid;

	ASSERT_EQ(0, write_text(GROUP "/memory.max", "16777216"));
	pid = child();
	if (!pid) {
		int fd = bed_node(&self->bed);

		EXPECT_EQ(0, write_text(GROUP "/cgroup.procs", "0"));
		EXPECT_EQ(-ENOMEM, set_up(fd, &sizes));
		EXPECT_EQ(0, set_up(fd, &SMALL));
		EXPECT_EQ(-ENOMEM, alloc(fd, 64 * MIB));
		EXPECT_EQ(0, alloc(fd, MIB));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
	EXPECT_NE(NULL, strstr(read_text(GROUP "/memory.events"), "oom_kill 0"));
	EXPECT_EQ(0, bed_look(&self->bed).charged);
}

TEST_HARNESS_MAIN
