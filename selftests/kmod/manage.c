/* SPDX-License-Identifier: MIT */
/*
 * Devices are made, changed, shown and removed, while others look; what sysfs
 * shows of them, and which events come in which order. Refusals: netlink.c.
 */
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "kselftest_harness.h"
#include "testbed.h"

#define HAS(name)	VGPU_NL_HAS(VGPU_ATTR_##name)
#define ALL		(HAS(DEVICE) | HAS(NAME) | HAS(UUID) | HAS(STATE) | HAS(BACKEND) | \
			 HAS(MEMORY) | HAS(BUDGET) | HAS(CHANNEL_BUDGET) | HAS(CHARGED) | \
			 HAS(CHANNELS) | HAS(CHANNELS_TOTAL) | HAS(CHANNELS_LOST) | HAS(COPIED))

#define manage_data FIXTURE_DATA(manage)

FIXTURE(manage)
{
	struct bed	bed;
	struct vgpu_nl	*nl, *events;
};

FIXTURE_SETUP(manage)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	ASSERT_EQ(0, vgpu_nl_events_open(&self->events));
	self->nl = self->bed.nl;
}

FIXTURE_TEARDOWN(manage)
{
	vgpu_nl_close(self->events);
	EXPECT_EQ(0, bed_close(&self->bed));
}

static const struct vgpu_nl_device WANTED = {
	.has = HAS(NAME) | HAS(UUID) | HAS(BACKEND) | HAS(MEMORY) | HAS(BUDGET) |
	       HAS(CHANNEL_BUDGET),
	.name = "NVIDIA T4 (half)",
	.uuid = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
		  0xee, 0xff, 0x01 },
	.backend = "gpu-host:4433/0", .memory = 8ull << 30, .budget = 3 << 20,
	.channel_budget = 2 << 20,
};

#define WANTED_UUID "11223344-5566-7788-99aa-bbccddeeff01"

static void is_as_wanted(struct __test_metadata *_metadata, const struct vgpu_nl_device *d)
{
	EXPECT_EQ(ALL, d->has);
	EXPECT_STREQ(WANTED.name, d->name);
	EXPECT_STREQ(WANTED.backend, d->backend);
	EXPECT_EQ(0, memcmp(WANTED.uuid, d->uuid, sizeof(d->uuid)));
	EXPECT_EQ(WANTED.memory, d->memory);
	EXPECT_EQ(WANTED.budget, d->budget);
	EXPECT_EQ(WANTED.channel_budget, d->channel_budget);
	EXPECT_EQ(0, d->charged);
	EXPECT_EQ(0, d->channels);
	EXPECT_EQ(0, d->channels_total);
	EXPECT_EQ(0, d->channels_lost);
	EXPECT_EQ(0, d->copied);
}

TEST_F(manage, makes_what_is_wanted)
{
	struct vgpu_nl_device made, got;

	ASSERT_EQ(0, vgpu_nl_new(self->nl, &WANTED, &made));
	is_as_wanted(_metadata, &made);
	EXPECT_EQ(VGPU_DEVICE_READY, made.state);
	ASSERT_EQ(0, vgpu_nl_get(self->nl, made.number, &got));
	EXPECT_EQ(made.number, got.number);
	is_as_wanted(_metadata, &got);
	EXPECT_EQ(0, vgpu_nl_del(self->nl, made.number));
}

TEST_F(manage, makes_what_nobody_wants)
{
	static const uint8_t none[VGPU_UUID_BYTES];
	struct vgpu_nl_device nothing = {}, a, b;

	ASSERT_EQ(0, vgpu_nl_new(self->nl, &nothing, &a));
	ASSERT_EQ(0, vgpu_nl_new(self->nl, &nothing, &b));
	EXPECT_EQ(ALL, a.has);
	EXPECT_STREQ("", a.name);
	EXPECT_STREQ("", a.backend);
	EXPECT_EQ(0, a.memory);
	EXPECT_EQ(0, a.budget);
	EXPECT_EQ(0, a.channel_budget);
	EXPECT_EQ(VGPU_DEVICE_UNBOUND, a.state);
	EXPECT_NE(0, memcmp(none, a.uuid, sizeof(none)));
	EXPECT_NE(0, memcmp(a.uuid, b.uuid, sizeof(none)));
	/* a random one, RFC 4122 */
	EXPECT_EQ(0x40, a.uuid[6] & 0xf0);
	EXPECT_EQ(0x80, a.uuid[8] & 0xc0);
	EXPECT_EQ(0, vgpu_nl_del(self->nl, a.number));
	EXPECT_EQ(0, vgpu_nl_del(self->nl, b.number));
}

/* A device by its number, or at the lowest that is free if that is ~0. */
static int make(struct vgpu_nl *nl, uint32_t number)
{
	struct vgpu_nl_device d = {
		.has = number == ~0u ? 0 : HAS(DEVICE), .number = number,
	};
	int err = vgpu_nl_new(nl, &d, &d);

	return err ? err : (int)d.number;
}

TEST_F(manage, gives_out_numbers_from_below)
{
	int first = self->bed.device;

	EXPECT_EQ(first + 1, make(self->nl, ~0));
	EXPECT_EQ(first + 2, make(self->nl, ~0));
	EXPECT_EQ(first + 3, make(self->nl, ~0));
	EXPECT_EQ(0, vgpu_nl_del(self->nl, first + 2));
	EXPECT_EQ(first + 2, make(self->nl, ~0));
	EXPECT_EQ(VGPU_MINORS - 1, make(self->nl, VGPU_MINORS - 1));
	EXPECT_EQ(-EEXIST, make(self->nl, VGPU_MINORS - 1));
	EXPECT_EQ(first + 4, make(self->nl, ~0));
	EXPECT_EQ(0, vgpu_nl_del(self->nl, VGPU_MINORS - 1));
	EXPECT_EQ(0, vgpu_nl_del(self->nl, first + 1));
	EXPECT_EQ(0, vgpu_nl_del(self->nl, first + 2));
	EXPECT_EQ(0, vgpu_nl_del(self->nl, first + 3));
	EXPECT_EQ(0, vgpu_nl_del(self->nl, first + 4));
}

TEST_F(manage, changes_what_is_given)
{
	struct vgpu_nl_device change = { .has = HAS(MEMORY), .memory = 77 }, d;

	ASSERT_EQ(0, vgpu_nl_new(self->nl, &WANTED, &d));
	change.number = d.number;
	ASSERT_EQ(0, vgpu_nl_set(self->nl, &change));
	ASSERT_EQ(0, vgpu_nl_get(self->nl, d.number, &d));
	EXPECT_EQ(77, d.memory);
	d.memory = WANTED.memory;
	is_as_wanted(_metadata, &d);
	change = (struct vgpu_nl_device){ .has = HAS(BACKEND), .number = d.number };
	ASSERT_EQ(0, vgpu_nl_set(self->nl, &change));
	ASSERT_EQ(0, vgpu_nl_get(self->nl, d.number, &d));
	EXPECT_STREQ("", d.backend);
	EXPECT_EQ(VGPU_DEVICE_UNBOUND, d.state);
	EXPECT_EQ(0, vgpu_nl_del(self->nl, d.number));
}

/* ---- nodes ---- */

TEST_F(manage, makes_nodes)
{
	int number = make(self->nl, 700);
	struct stat st;

	ASSERT_EQ(700, number);
	ASSERT_EQ(0, stat("/dev/vgpu700", &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(700, minor(st.st_rdev));
	EXPECT_EQ(0, vgpu_nl_del(self->nl, 700));
	EXPECT_EQ(-1, stat("/dev/vgpu700", &st));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-ENOENT, open_node("/sys/class/vgpu/vgpu700", O_RDONLY));
	EXPECT_EQ(-ENODEV, vgpu_nl_del(self->nl, 700));
}

TEST_F(manage, removes_nothing_that_is_open)
{
	int number = make(self->nl, ~0), fd = device_node(number), again = dup(fd);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, vgpu_nl_del(self->nl, number));
	close(fd);
	EXPECT_EQ(-EBUSY, vgpu_nl_del(self->nl, number));
	close(again);
	EXPECT_EQ(0, vgpu_nl_del(self->nl, number));
}

/* A node that somebody made by hand leads nowhere once the device is gone. */
TEST_F(manage, leaves_no_way_to_what_is_gone)
{
	int number = make(self->nl, ~0), fd;
	struct stat st;
	char node[32];

	snprintf(node, sizeof(node), "/dev/vgpu%d", number);
	ASSERT_EQ(0, stat(node, &st));
	ASSERT_EQ(0, mknod("/dev/vgpu-by-hand", S_IFCHR | 0600, st.st_rdev));
	fd = open_node("/dev/vgpu-by-hand", O_RDWR);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_EQ(0, vgpu_nl_del(self->nl, number));
	EXPECT_EQ(-ENXIO, open_node("/dev/vgpu-by-hand", O_RDWR));
	unlink("/dev/vgpu-by-hand");
}

/* ---- sysfs ---- */

static const char *shown(uint32_t number, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/vgpu/vgpu%u/%s", number, name);
	return read_text(path);
}

TEST_F(manage, shows_devices)
{
	struct vgpu_nl_device d;
	pid_t pid;

	ASSERT_EQ(0, vgpu_nl_new(self->nl, &WANTED, &d));
	EXPECT_STREQ(WANTED.name, shown(d.number, "name"));
	EXPECT_STREQ(WANTED.backend, shown(d.number, "backend"));
	EXPECT_STREQ(WANTED_UUID, shown(d.number, "uuid"));
	EXPECT_STREQ("8589934592", shown(d.number, "memory"));
	EXPECT_STREQ("ready", shown(d.number, "state"));
	EXPECT_STREQ("unbound", shown(self->bed.device, "state"));
	close(self->bed.ctl);
	EXPECT_STREQ("down", shown(d.number, "state"));
	EXPECT_STREQ("unbound", shown(self->bed.device, "state"));
	self->bed.ctl = open_node("/dev/vgpuctl", O_RDWR);
	EXPECT_STREQ("ready", shown(d.number, "state"));
	/* to everybody */
	pid = child();
	if (!pid) {
		EXPECT_EQ(0, setuid(65534));
		EXPECT_STREQ(WANTED_UUID, shown(d.number, "uuid"));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
	EXPECT_EQ(0, vgpu_nl_del(self->nl, d.number));
}

TEST_F(manage, shows_counters)
{
	static char memory[5000], local[5000];
	uint32_t number = self->bed.device;
	struct pair pair;

	ASSERT_EQ(0, pair_open(&self->bed, &pair));
	ASSERT_EQ(0, register_memory(pair.app, memory, sizeof(memory)));
	ASSERT_EQ(0, copy(pair.peer, (uintptr_t)memory, local, 4321, 0));
	EXPECT_STREQ("1", shown(number, "counters/channels"));
	EXPECT_STREQ("1", shown(number, "counters/channels_total"));
	EXPECT_STREQ("0", shown(number, "counters/channels_lost"));
	EXPECT_STREQ("24576", shown(number, "counters/charged"));
	EXPECT_STREQ("4321", shown(number, "counters/copied"));
	close(pair.peer);
	EXPECT_STREQ("1", shown(number, "counters/channels"));
	EXPECT_STREQ("1", shown(number, "counters/channels_lost"));
	close(pair.app);
	EXPECT_STREQ("0", shown(number, "counters/channels"));
	EXPECT_STREQ("1", shown(number, "counters/channels_total"));
	EXPECT_STREQ("0", shown(number, "counters/charged"));
}

TEST_F(manage, only_shows)
{
	static const char *const names[] = {
		"name", "uuid", "state", "backend", "memory", "counters/channels",
		"counters/channels_total", "counters/channels_lost", "counters/charged",
		"counters/copied",
	};
	char path[128];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "/sys/class/vgpu/vgpu%u/%s", self->bed.device,
			 names[i]);
		EXPECT_EQ(-EACCES, open_node(path, O_WRONLY)) TH_LOG("%s", names[i]);
	}
}

/* ---- events ---- */

static bool next_event(struct vgpu_nl *events, struct vgpu_nl_event *e)
{
	return vgpu_nl_event(events, e) == 1;
}

TEST_F(manage, tells_of_devices)
{
	struct vgpu_nl_device d, change = { .has = HAS(NAME), .name = "another" };
	struct vgpu_nl_event e;

	EXPECT_FALSE(next_event(self->events, &e));
	ASSERT_EQ(0, vgpu_nl_new(self->nl, &WANTED, &d));
	ASSERT_TRUE(next_event(self->events, &e));
	EXPECT_EQ(VGPU_CMD_DEVICE_NEW_NTF, e.cmd);
	EXPECT_EQ(d.number, e.device.number);
	is_as_wanted(_metadata, &e.device);
	change.number = d.number;
	ASSERT_EQ(0, vgpu_nl_set(self->nl, &change));
	ASSERT_TRUE(next_event(self->events, &e));
	EXPECT_EQ(VGPU_CMD_DEVICE_SET_NTF, e.cmd);
	EXPECT_EQ(d.number, e.device.number);
	EXPECT_STREQ("another", e.device.name);
	ASSERT_EQ(0, vgpu_nl_del(self->nl, d.number));
	ASSERT_TRUE(next_event(self->events, &e));
	EXPECT_EQ(VGPU_CMD_DEVICE_DEL_NTF, e.cmd);
	EXPECT_EQ(d.number, e.device.number);
	EXPECT_EQ(0, memcmp(WANTED.uuid, e.device.uuid, sizeof(e.device.uuid)));
	EXPECT_FALSE(next_event(self->events, &e));
}

TEST_F(manage, tells_nothing_of_refusals)
{
	struct vgpu_nl_device bad = { .has = HAS(NAME), .number = 900, .name = "\n" };
	struct vgpu_nl_event e;
	int fd = bed_node(&self->bed);

	EXPECT_EQ(-EEXIST, make(self->nl, self->bed.device));
	EXPECT_EQ(-ENODEV, vgpu_nl_del(self->nl, 900));
	EXPECT_EQ(-EBUSY, vgpu_nl_del(self->nl, self->bed.device));
	EXPECT_GT(0, vgpu_nl_set(self->nl, &bad));
	EXPECT_EQ(-EINVAL, set_up(fd, &(struct vgpu_ring_sizes){ 0 }));
	EXPECT_FALSE(next_event(self->events, &e));
	close(fd);
	EXPECT_FALSE(next_event(self->events, &e));
}

/* Devices that have a backend are ready or not, and listeners hear of it. */
TEST_F(manage, tells_of_daemons)
{
	struct vgpu_nl_device d;
	struct vgpu_nl_event e;
	bool told = false;

	ASSERT_EQ(0, vgpu_nl_new(self->nl, &WANTED, &d));
	ASSERT_TRUE(next_event(self->events, &e));
	close(self->bed.ctl);
	while (next_event(self->events, &e)) {
		EXPECT_EQ(VGPU_CMD_DEVICE_SET_NTF, e.cmd);
		if (e.device.number == d.number)
			told = e.device.state == VGPU_DEVICE_DOWN;
	}
	EXPECT_TRUE(told);
	self->bed.ctl = open_node("/dev/vgpuctl", O_RDWR);
	told = false;
	while (next_event(self->events, &e))
		if (e.device.number == d.number)
			told = e.device.state == VGPU_DEVICE_READY;
	EXPECT_TRUE(told);
	EXPECT_EQ(0, vgpu_nl_del(self->nl, d.number));
}

static void is_event(struct __test_metadata *_metadata, manage_data *self,
		     enum vgpu_cmd cmd, uint64_t channel, enum vgpu_channel_state state)
{
	struct vgpu_nl_event e;

	ASSERT_TRUE(next_event(self->events, &e));
	EXPECT_EQ(cmd, e.cmd);
	EXPECT_EQ(self->bed.device, e.device.number);
	EXPECT_EQ(channel, e.channel);
	EXPECT_EQ(state, e.channel_state);
}

TEST_F(manage, tells_of_channels)
{
	struct vgpu_ioc_setup setup = { .sizes = SMALL };
	int fd = bed_node(&self->bed), peer;
	struct vgpu_nl_event e;

	ASSERT_EQ(0, call(fd, VGPU_IOC_SETUP, &setup));
	is_event(_metadata, self, VGPU_CMD_CHANNEL_OPEN_NTF, setup.channel, VGPU_CHANNEL_WAITING);
	peer = accept_channel(self->bed.ctl);
	is_event(_metadata, self, VGPU_CMD_CHANNEL_CHANGE_NTF, setup.channel, VGPU_CHANNEL_ACTIVE);
	ASSERT_EQ(0, set_cookie(peer, 1));
	close(peer);
	is_event(_metadata, self, VGPU_CMD_CHANNEL_CHANGE_NTF, setup.channel, VGPU_CHANNEL_FROZEN);
	peer = accept_channel(self->bed.ctl);
	is_event(_metadata, self, VGPU_CMD_CHANNEL_CHANGE_NTF, setup.channel, VGPU_CHANNEL_ACTIVE);
	ASSERT_EQ(0, call_value(peer, VGPU_IOC_LOSE, 0));
	is_event(_metadata, self, VGPU_CMD_CHANNEL_CHANGE_NTF, setup.channel, VGPU_CHANNEL_LOST);
	close(peer);
	EXPECT_FALSE(next_event(self->events, &e));
	close(fd);
	is_event(_metadata, self, VGPU_CMD_CHANNEL_CLOSE_NTF, setup.channel, VGPU_CHANNEL_LOST);
	EXPECT_FALSE(next_event(self->events, &e));
}

/* The app's end is one event or two, and the close comes last. */
TEST_F(manage, tells_of_ends)
{
	struct vgpu_ioc_setup setup = { .sizes = SMALL };
	int fd = bed_node(&self->bed);
	struct vgpu_nl_event e;

	ASSERT_EQ(0, call(fd, VGPU_IOC_SETUP, &setup));
	is_event(_metadata, self, VGPU_CMD_CHANNEL_OPEN_NTF, setup.channel, VGPU_CHANNEL_WAITING);
	close(fd);
	ASSERT_TRUE(next_event(self->events, &e));
	if (e.cmd == VGPU_CMD_CHANNEL_CHANGE_NTF) {
		EXPECT_EQ(VGPU_CHANNEL_LOST, e.channel_state);
		ASSERT_TRUE(next_event(self->events, &e));
	}
	EXPECT_EQ(VGPU_CMD_CHANNEL_CLOSE_NTF, e.cmd);
	EXPECT_EQ(setup.channel, e.channel);
	EXPECT_FALSE(next_event(self->events, &e));
}

TEST_F(manage, tells_everybody)
{
	pid_t pid;

	pid = child();
	if (!pid) {
		struct vgpu_nl_event e;
		struct vgpu_nl *events;

		EXPECT_EQ(0, setuid(65534));
		EXPECT_EQ(0, vgpu_nl_events_open(&events));
		EXPECT_EQ(-EPERM, make(self->nl, ~0));
		EXPECT_FALSE(next_event(events, &e));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
}

/* ---- lists ---- */

#define LISTED	150	/* more than one message holds */

TEST_F_TIMEOUT(manage, lists_many, SLOW)
{
	struct vgpu_nl_device *devices;
	bool seen[VGPU_MINORS] = { false };
	int numbers[LISTED], n, i;

	for (i = 0; i < LISTED; i++) {
		numbers[i] = make(self->nl, ~0);
		ASSERT_LE(0, numbers[i]);
	}
	n = vgpu_nl_dump(self->nl, &devices);
	EXPECT_LT(LISTED, n);
	for (i = 0; i < n; i++) {
		EXPECT_FALSE(seen[devices[i].number]);
		EXPECT_EQ(ALL, devices[i].has);
		seen[devices[i].number] = true;
	}
	free(devices);
	for (i = 0; i < LISTED; i++) {
		EXPECT_TRUE(seen[numbers[i]]);
		EXPECT_EQ(0, vgpu_nl_del(self->nl, numbers[i]));
	}
}

#define CHANGING	30

/* Makes and removes devices with numbers from 100 on, for ever. */
static void change_for_ever(void)
{
	struct vgpu_nl *nl;
	int i;

	if (vgpu_nl_open(&nl))
		_exit(1);
	for (;;) {
		for (i = 0; i < CHANGING; i++)
			if (make(nl, 100 + i) != 100 + i)
				_exit(2);
		for (i = 0; i < CHANGING; i++)
			if (vgpu_nl_del(nl, 100 + i * 7 % CHANGING))
				_exit(3);
	}
}

TEST_F_TIMEOUT(manage, lists_while_others_change, SLOW)
{
	struct vgpu_nl_device *devices;
	int i, k, n, kept, lists = 0;
	int64_t end;
	pid_t pid = child();

	if (!pid)
		change_for_ever();
	end = from_now(3 * SECOND);
	while (from_now(0) < end || lists < 20) {
		n = vgpu_nl_dump(self->nl, &devices);
		if (n == -EAGAIN)
			continue;
		ASSERT_LT(0, n);
		for (i = kept = 0; i < n; i++) {
			for (k = 0; k < i; k++)
				EXPECT_NE(devices[k].number, devices[i].number);
			kept += devices[i].number == self->bed.device;
		}
		EXPECT_EQ(1, kept);
		free(devices);
		lists++;
	}
	EXPECT_EQ(-SIGKILL, kill_and_join(pid));
	for (i = 0; i < CHANGING; i++)
		vgpu_nl_del(self->nl, 100 + i);
}

TEST_HARNESS_MAIN
