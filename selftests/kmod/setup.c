/* SPDX-License-Identifier: MIT */
/*
 * VGPU_IOC_SETUP: what it refuses and then leaves undone, what it answers, and
 * the further devices of a channel. Budgets: budget.c.
 */
#include <pthread.h>
#include "kselftest_harness.h"
#include "testbed.h"

FIXTURE(setup)
{
	struct bed	bed;
	int		fd;
};

FIXTURE_SETUP(setup)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	self->fd = bed_node(&self->bed);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(setup)
{
	close(self->fd);
	EXPECT_EQ(0, bed_close(&self->bed));
}

/* After a refusal: no channel, no charge, and the descriptor is as good as new. */
static void nothing_was_made(struct __test_metadata *_metadata, const struct bed *bed, int fd)
{
	struct vgpu_nl_device d = bed_look(bed);

	EXPECT_EQ(0, d.channels);
	EXPECT_EQ(0, d.channels_total);
	EXPECT_EQ(0, d.charged);
	EXPECT_EQ(-EAGAIN, accept_channel(bed->ctl));
	EXPECT_EQ(-ENOTCONN, bell(fd));
}

static int set_up_with(int fd, const int *fds, unsigned n)
{
	struct vgpu_ioc_setup setup = {
		.devices = (uintptr_t)fds, .ndevices = n, .sizes = SMALL,
	};

	return call(fd, VGPU_IOC_SETUP, &setup);
}

TEST_F(setup, answers)
{
	struct vgpu_ioc_setup setup = {
		.sizes = SMALL, .features = ~0ull, .channel = ~0ull,
	};
	struct vgpu_ioc_info info;
	uint64_t first;
	int other, peer;

	ASSERT_EQ(0, call(self->fd, VGPU_IOC_SETUP, &setup));
	EXPECT_EQ(VGPU_FEATURES, setup.features);
	first = setup.channel;
	peer = accept_channel(self->bed.ctl);
	ASSERT_EQ(0, call(peer, VGPU_IOC_INFO, &info));
	EXPECT_EQ(first, info.channel);
	other = bed_node(&self->bed);
	ASSERT_EQ(0, call(other, VGPU_IOC_SETUP, &setup));
	EXPECT_NE(first, setup.channel);
	EXPECT_EQ(2, bed_look(&self->bed).channels);
	EXPECT_EQ(2 * SMALL_CHARGE, bed_look(&self->bed).charged);
	close(other);
	close(peer);
}

TEST_F(setup, refuses_flags)
{
	struct vgpu_ioc_setup setup = { .sizes = SMALL };
	int i;

	for (i = 0; i < 32; i++) {
		setup.flags = 1u << i;
		EXPECT_EQ(-EINVAL, call(self->fd, VGPU_IOC_SETUP, &setup));
	}
	nothing_was_made(_metadata, &self->bed, self->fd);
}

TEST_F(setup, refuses_sizes)
{
	static const uint32_t bad[] = {
		0, 1, 2048, 4095, 4097, 6144, 12288, VGPU_RING_MAX - 4096, VGPU_RING_MAX + 1,
		2 * VGPU_RING_MAX, 1u << 31, (1u << 31) + 4096, ~0u,
	};
	struct vgpu_ring_sizes sizes;
	uint32_t *each[] = { &sizes.sq, &sizes.cq, &sizes.up, &sizes.down };
	size_t i, k;

	for (i = 0; i < 4; i++) {
		for (k = 0; k < sizeof(bad) / sizeof(*bad); k++) {
			sizes = SMALL;
			*each[i] = bad[k];
			EXPECT_EQ(-EINVAL, set_up(self->fd, &sizes))
				TH_LOG("ring %zu of %u", i, bad[k]);
		}
	}
	nothing_was_made(_metadata, &self->bed, self->fd);
}

TEST_F_TIMEOUT(setup, takes_the_sizes_between, SLOW)
{
	struct vgpu_ring_sizes sizes = {
		.sq = VGPU_RING_MIN, .cq = 8192, .up = VGPU_RING_MAX, .down = 1 << 20,
	};
	struct vgpu_ioc_info info;
	int peer;

	ASSERT_EQ(0, set_up(self->fd, &sizes));
	EXPECT_EQ(app_half(&sizes) + peer_half(&sizes), bed_look(&self->bed).charged);
	peer = accept_channel(self->bed.ctl);
	ASSERT_EQ(0, call(peer, VGPU_IOC_INFO, &info));
	EXPECT_EQ(0, memcmp(&sizes, &info.sizes, sizeof(sizes)));
	close(peer);
}

TEST_F(setup, refuses_bad_pointers)
{
	struct vgpu_ioc_setup setup = { .devices = 4096, .ndevices = 1, .sizes = SMALL };
	const int no_list[1] = { -1 };

	EXPECT_EQ(-EFAULT, call(self->fd, VGPU_IOC_SETUP, NULL));
	EXPECT_EQ(-EFAULT, call(self->fd, VGPU_IOC_SETUP, (void *)-4096l));
	EXPECT_EQ(-EFAULT, call(self->fd, VGPU_IOC_SETUP, &setup));
	setup.devices = ~0ull - 2;
	EXPECT_EQ(-EFAULT, call(self->fd, VGPU_IOC_SETUP, &setup));
	nothing_was_made(_metadata, &self->bed, self->fd);
	/* a list of none is not looked at */
	EXPECT_EQ(0, set_up_with(self->fd, no_list, 0));
}

/* An answer that cannot be written: no channel either. */
TEST_F(setup, makes_nothing_that_it_cannot_tell)
{
	struct vgpu_ioc_setup *setup = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)setup);
	setup->sizes = SMALL;
	ASSERT_EQ(0, mprotect(setup, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->fd, VGPU_IOC_SETUP, setup));
	nothing_was_made(_metadata, &self->bed, self->fd);
	EXPECT_EQ(0, set_up(self->fd, &SMALL));
}

TEST_F(setup, is_done_once)
{
	struct vgpu_ioc_setup setup = { .sizes = SMALL };

	ASSERT_EQ(0, call(self->fd, VGPU_IOC_SETUP, &setup));
	EXPECT_EQ(-EBUSY, call(self->fd, VGPU_IOC_SETUP, &setup));
	EXPECT_EQ(1, bed_look(&self->bed).channels_total);
	EXPECT_EQ(SMALL_CHARGE, bed_look(&self->bed).charged);
}

TEST_F(setup, is_done_once_even_when_lost)
{
	int peer;

	ASSERT_EQ(0, set_up(self->fd, &SMALL));
	peer = accept_channel(self->bed.ctl);
	ASSERT_LE(0, peer);
	close(peer);
	EXPECT_EQ(-EPIPE, bell(self->fd));
	EXPECT_EQ(-EBUSY, set_up(self->fd, &SMALL));
}

static void *set_up_at_once(void *fd)
{
	return (void *)(intptr_t)set_up((intptr_t)fd, &SMALL);
}

TEST_F_TIMEOUT(setup, is_done_once_by_two_threads, SLOW)
{
	pthread_t thread;
	void *other;
	int i, fd, own;

	for (i = 0; i < 200; i++) {
		fd = bed_node(&self->bed);
		ASSERT_EQ(0, pthread_create(&thread, NULL, set_up_at_once, (void *)(intptr_t)fd));
		own = set_up(fd, &SMALL);
		ASSERT_EQ(0, pthread_join(thread, &other));
		EXPECT_EQ(-EBUSY, own + (int)(intptr_t)other);
		EXPECT_EQ(SMALL_CHARGE, bed_look(&self->bed).charged);
		close(fd);
	}
	EXPECT_EQ(200, bed_look(&self->bed).channels_total);
}

TEST_F(setup, needs_a_daemon)
{
	close(self->bed.ctl);
	self->bed.ctl = -1;
	EXPECT_EQ(-EHOSTDOWN, set_up(self->fd, &SMALL));
	self->bed.ctl = open_node("/dev/vgpuctl", O_RDWR);
	nothing_was_made(_metadata, &self->bed, self->fd);
	EXPECT_EQ(0, set_up(self->fd, &SMALL));
}

/* ---- further devices ---- */

FIXTURE(attach)
{
	struct bed	bed;
	int		fd;
	int		more[2];	/* descriptors of other devices */
};

FIXTURE_SETUP(attach)
{
	int i;

	ASSERT_EQ(0, bed_open(&self->bed));
	self->fd = bed_node(&self->bed);
	ASSERT_LE(0, self->fd);
	for (i = 0; i < 2; i++) {
		self->more[i] = device_node(bed_more(&self->bed));
		ASSERT_LE(0, self->more[i]);
	}
}

FIXTURE_TEARDOWN(attach)
{
	close(self->more[0]);
	close(self->more[1]);
	close(self->fd);
	EXPECT_EQ(0, bed_close(&self->bed));
}

TEST_F(attach, takes_them_in_order)
{
	const int fds[] = { self->more[1], self->more[0] };
	struct vgpu_ioc_info info;
	struct vgpu_nl_device d;
	int peer;

	ASSERT_EQ(0, set_up_with(self->fd, fds, 2));
	peer = accept_channel(self->bed.ctl);
	ASSERT_EQ(0, call(peer, VGPU_IOC_INFO, &info));
	EXPECT_EQ(3, info.ndevices);
	EXPECT_EQ(self->bed.device, info.devices[0]);
	EXPECT_EQ(self->bed.more[1], info.devices[1]);
	EXPECT_EQ(self->bed.more[0], info.devices[2]);
	EXPECT_EQ(0, info.devices[3]);
	ASSERT_EQ(0, vgpu_nl_get(self->bed.nl, self->bed.more[0], &d));
	EXPECT_EQ(1, d.channels);
	EXPECT_EQ(1, d.channels_total);
	/* the first one pays */
	EXPECT_EQ(0, d.charged);
	EXPECT_EQ(SMALL_CHARGE, bed_look(&self->bed).charged);
	close(peer);
	ASSERT_EQ(0, vgpu_nl_get(self->bed.nl, self->bed.more[0], &d));
	EXPECT_EQ(1, d.channels_lost);
}

TEST_F(attach, keeps_them_in_use)
{
	struct vgpu_nl *nl = self->bed.nl;
	uint32_t other = self->bed.more[0];
	int peer;

	ASSERT_EQ(0, set_up_with(self->fd, self->more, 1));
	EXPECT_EQ(-EBUSY, vgpu_nl_del(nl, other));
	close(self->more[0]);
	EXPECT_EQ(-EBUSY, vgpu_nl_del(nl, other));
	EXPECT_EQ(-EBUSY, vgpu_nl_del(nl, self->bed.device));
	peer = accept_channel(self->bed.ctl);
	ASSERT_LE(0, peer);
	close(self->fd);
	/* the peer may still ask for them */
	EXPECT_EQ(-EBUSY, vgpu_nl_del(nl, other));
	EXPECT_EQ(-EBUSY, vgpu_nl_del(nl, self->bed.device));
	close(peer);
	EXPECT_EQ(0, vgpu_nl_del(nl, other));
	self->bed.more[0] = self->bed.more[1];
	self->bed.nmore = 1;
	self->fd = self->more[0] = -1;
}

TEST_F(attach, takes_only_open_devices)
{
	const int closed = 1000, null = open_node("/dev/null", O_RDWR);
	int bad[] = { -1, closed, null, self->bed.ctl, 0 }, fds[2];
	struct pair pair;
	size_t i;

	ASSERT_EQ(0, pair_open(&self->bed, &pair));
	bad[4] = pair.peer;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		fds[0] = self->more[0];
		fds[1] = bad[i];
		EXPECT_EQ(-EBADF, set_up_with(self->fd, fds, 2)) TH_LOG("descriptor %zu", i);
		fds[0] = bad[i];
		fds[1] = self->more[0];
		EXPECT_EQ(-EBADF, set_up_with(self->fd, fds, 2)) TH_LOG("descriptor %zu", i);
	}
	pair_close(&pair);
	EXPECT_EQ(1, bed_look(&self->bed).channels_total);
	EXPECT_EQ(0, bed_look(&self->bed).charged);
}

/* The teardown deletes them: none is still in use. */
TEST_F(attach, takes_each_once)
{
	const int again = bed_node(&self->bed), other = device_node(self->bed.more[0]);
	const int lists[][2] = {
		{ self->more[0], self->more[0] }, { self->more[0], other },
		{ self->fd, self->more[0] }, { self->more[0], self->fd },
		{ self->more[0], again },
	};
	size_t i;

	for (i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		EXPECT_EQ(-EEXIST, set_up_with(self->fd, lists[i], 2)) TH_LOG("list %zu", i);
	nothing_was_made(_metadata, &self->bed, self->fd);
	close(again);
	close(other);
}

/* Of a descriptor only the device counts: it may have a channel of its own. */
TEST_F(attach, takes_descriptors_with_channels)
{
	ASSERT_EQ(0, set_up(self->more[0], &SMALL));
	EXPECT_EQ(0, set_up_with(self->fd, self->more, 2));
	EXPECT_EQ(0, bell(self->more[0]));
	EXPECT_EQ(0, bell(self->fd));
}

TEST_F_TIMEOUT(attach, takes_no_more_than_there_can_be, SLOW)
{
	int fds[VGPU_CHANNEL_DEVICES], i, peer;
	struct vgpu_ioc_info info;

	fds[0] = self->more[0];
	fds[1] = self->more[1];
	for (i = 2; i < VGPU_CHANNEL_DEVICES; i++) {
		fds[i] = device_node(bed_more(&self->bed));
		ASSERT_LE(0, fds[i]);
	}
	EXPECT_EQ(-EINVAL, set_up_with(self->fd, fds, VGPU_CHANNEL_DEVICES));
	EXPECT_EQ(-EINVAL, set_up_with(self->fd, fds, ~0u));
	nothing_was_made(_metadata, &self->bed, self->fd);
	ASSERT_EQ(0, set_up_with(self->fd, fds, VGPU_CHANNEL_DEVICES - 1));
	peer = accept_channel(self->bed.ctl);
	ASSERT_EQ(0, call(peer, VGPU_IOC_INFO, &info));
	EXPECT_EQ(VGPU_CHANNEL_DEVICES, info.ndevices);
	EXPECT_EQ(self->bed.more[VGPU_CHANNEL_DEVICES - 2],
		  info.devices[VGPU_CHANNEL_DEVICES - 1]);
	close(peer);
	for (i = 2; i < VGPU_CHANNEL_DEVICES; i++)
		close(fds[i]);
}

TEST_HARNESS_MAIN
