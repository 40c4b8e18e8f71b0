/* SPDX-License-Identifier: MIT */
/*
 * Loading and unloading: parameters, refusal while anything of the module is in
 * use, that nothing is left. The module is loaded before and after each test;
 * its file is named by $VGPU_KO.
 */
#include <sys/stat.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "testbed.h"

#define RW (PROT_READ | PROT_WRITE)

static int load(const char *parameters)
{
	int fd = open(getenv("VGPU_KO"), O_RDONLY | O_CLOEXEC);
	int err = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;

	close(fd);
	return err;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "vgpu", O_NONBLOCK) ? -errno : 0;
}

static bool is_there(const char *path)
{
	struct stat st;

	return !stat(path, &st);
}

static bool mentions(const char *path, const char *word)
{
	FILE *file = fopen(path, "r");
	char line[256];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, word);
	if (file)
		fclose(file);
	return found;
}

/* Nothing of the module can be seen anywhere. */
static void nothing_is_left(struct __test_metadata *_metadata)
{
	struct vgpu_nl *nl;

	EXPECT_FALSE(is_there("/dev/vgpu0"));
	EXPECT_FALSE(is_there("/dev/vgpuctl"));
	EXPECT_FALSE(is_there("/sys/class/vgpu"));
	EXPECT_FALSE(is_there("/sys/class/misc/vgpuctl"));
	EXPECT_FALSE(is_there("/sys/module/vgpu"));
	EXPECT_FALSE(is_there("/sys/kernel/tracing/events/vgpu"));
	EXPECT_FALSE(mentions("/proc/devices", "vgpu"));
	EXPECT_FALSE(mentions("/proc/misc", "vgpu"));
	EXPECT_FALSE(mentions("/proc/modules", "vgpu "));
	EXPECT_EQ(-ENOENT, vgpu_nl_open(&nl));
}

FIXTURE(loading)
{
	bool	none;
};

FIXTURE_SETUP(loading)
{
	int err;

	ASSERT_NE(NULL, getenv("VGPU_KO"));
	/* Not there: a test before this one did not end well. */
	err = unload();
	ASSERT_TRUE(!err || err == -ENOENT);
}

FIXTURE_TEARDOWN(loading)
{
	if (!mentions("/proc/modules", "vgpu "))
		EXPECT_EQ(0, load("ndevices=2"));
}

static int count_devices(void)
{
	struct vgpu_nl_device *devices = NULL;
	struct vgpu_nl *nl;
	int n;

	if (vgpu_nl_open(&nl))
		return -1;
	n = vgpu_nl_dump(nl, &devices);
	free(devices);
	vgpu_nl_close(nl);
	return n;
}

TEST_F_TIMEOUT(loading, makes_devices, SLOW)
{
	nothing_is_left(_metadata);
	ASSERT_EQ(0, load(""));
	EXPECT_EQ(1, count_devices());
	EXPECT_TRUE(is_there("/dev/vgpu0"));
	EXPECT_FALSE(is_there("/dev/vgpu1"));
	EXPECT_TRUE(is_there("/dev/vgpuctl"));
	EXPECT_STREQ("60", read_text("/sys/module/vgpu/parameters/accept_timeout"));
	EXPECT_EQ(-EEXIST, load(""));
	ASSERT_EQ(0, unload());
	nothing_is_left(_metadata);
	ASSERT_EQ(0, load("ndevices=0"));
	EXPECT_EQ(0, count_devices());
	ASSERT_EQ(0, unload());
	ASSERT_EQ(0, load("ndevices=3 accept_timeout=7"));
	EXPECT_EQ(3, count_devices());
	EXPECT_TRUE(is_there("/dev/vgpu2"));
	EXPECT_STREQ("7", read_text("/sys/module/vgpu/parameters/accept_timeout"));
	EXPECT_EQ(-EACCES, write_text("/sys/module/vgpu/parameters/ndevices", "4"));
	ASSERT_EQ(0, unload());
	nothing_is_left(_metadata);
}

TEST_F_TIMEOUT(loading, makes_as_many_as_there_can_be, SLOW)
{
	struct vgpu_nl_device d = {};
	struct vgpu_nl *nl;

	ASSERT_EQ(0, load("ndevices=1024"));
	EXPECT_EQ(VGPU_MINORS, count_devices());
	EXPECT_TRUE(is_there("/dev/vgpu1023"));
	ASSERT_EQ(0, vgpu_nl_open(&nl));
	EXPECT_EQ(-ENOSPC, vgpu_nl_new(nl, &d, &d));
	EXPECT_EQ(0, vgpu_nl_del(nl, 511));
	EXPECT_EQ(0, vgpu_nl_new(nl, &d, &d));
	EXPECT_EQ(511, d.number);
	vgpu_nl_close(nl);
	ASSERT_EQ(0, unload());
	nothing_is_left(_metadata);
}

TEST_F_TIMEOUT(loading, refuses_parameters, SLOW)
{
	static const char *const bad[] = {
		"ndevices=1025", "ndevices=4294967295", "ndevices=-1", "ndevices=two",
		"ndevices=4294967296", "ndevices=", "accept_timeout=soon", "accept_timeout=-1",
		"memory_percent=-1", "memory_percent=half",
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EXPECT_GT(0, load(bad[i])) TH_LOG("%s", bad[i]);
		nothing_is_left(_metadata);
	}
	EXPECT_EQ(-EINVAL, load("ndevices=1025"));
}

/* ---- in use ---- */

static void is_in_use(struct __test_metadata *_metadata)
{
	EXPECT_EQ(-EWOULDBLOCK, unload());
	EXPECT_TRUE(is_there("/dev/vgpu0"));
}

TEST_F_TIMEOUT(loading, is_in_use_while_open, SLOW)
{
	struct pair pair;
	struct bed bed;
	char *at;
	int fd;

	ASSERT_EQ(0, load(""));
	fd = open_node("/dev/vgpu0", O_RDWR);
	is_in_use(_metadata);
	close(fd);
	fd = open_node("/dev/vgpuctl", O_RDWR);
	is_in_use(_metadata);
	close(fd);
	ASSERT_EQ(0, unload());

	ASSERT_EQ(0, load(""));
	ASSERT_EQ(0, bed_open(&bed));
	ASSERT_EQ(0, pair_open(&bed, &pair));
	close(pair.app);
	close(bed.ctl);
	bed.ctl = -1;
	/* a peer alone */
	is_in_use(_metadata);
	close(pair.peer);
	ASSERT_EQ(0, bed_close(&bed));
	ASSERT_EQ(0, unload());

	ASSERT_EQ(0, load(""));
	ASSERT_EQ(0, bed_open(&bed));
	ASSERT_EQ(0, pair_open(&bed, &pair));
	at = map(pair.app, VGPU_MMAP_APP, SMALL_HALF, RW);
	ASSERT_NE(NULL, at);
	pair_close(&pair);
	close(bed.ctl);
	bed.ctl = -1;
	is_in_use(_metadata);
	EXPECT_EQ(0, touch(at, true));
	munmap(at, SMALL_HALF);
	ASSERT_EQ(0, bed_close(&bed));
	ASSERT_EQ(0, unload());
	nothing_is_left(_metadata);
}

/* A buffer that a child inherited, and nothing else. */
TEST_F_TIMEOUT(loading, is_in_use_by_children, SLOW)
{
	int gate = gate_new();
	struct pair pair;
	struct bed bed;
	char *at;
	pid_t pid;

	ASSERT_EQ(0, load(""));
	ASSERT_EQ(0, bed_open(&bed));
	ASSERT_EQ(0, pair_open(&bed, &pair));
	at = map(pair.app, hostmem(pair.app, PAGE), PAGE, RW);
	ASSERT_NE(NULL, at);
	pid = child();
	if (!pid) {
		pair_close(&pair);
		close(bed.ctl);
		EXPECT_TRUE(gate_pass(gate));
		_exit(touch(at, true));
	}
	munmap(at, PAGE);
	pair_close(&pair);
	close(bed.ctl);
	bed.ctl = -1;
	is_in_use(_metadata);
	gate_open(gate);
	EXPECT_EQ(0, join(pid));
	ASSERT_EQ(0, bed_close(&bed));
	ASSERT_EQ(0, unload());
}

/* ---- under load ---- */

/* Opens, sets up and maps what is there, which at times is nothing, or lost. */
static void use_for_ever(void)
{
	int fd, err;

	for (;;) {
		fd = open_node("/dev/vgpu0", O_RDWR);
		if (fd < 0)
			continue;
		err = set_up(fd, &SMALL);
		if (!err)
			err = try_map(fd, VGPU_MMAP_APP, SMALL_HALF, RW, MAP_SHARED);
		if (err && err != -EHOSTDOWN && err != -EPIPE)
			_exit(1);
		close(fd);
	}
}

static void accept_for_ever(void)
{
	int ctl, i;

	for (;;) {
		ctl = open_node("/dev/vgpuctl", O_RDWR);
		for (i = 0; ctl >= 0 && i < 20; i++)
			close(accept_channel(ctl));
		close(ctl);
	}
}

TEST_F_TIMEOUT(loading, is_in_use_under_load, SLOW)
{
	pid_t pids[4];
	int i, fd;

	ASSERT_EQ(0, load(""));
	fd = open_node("/dev/vgpu0", O_RDWR);
	for (i = 0; i < 4; i++) {
		pids[i] = child();
		if (!pids[i] && i)
			use_for_ever();
		if (!pids[i])
			accept_for_ever();
	}
	for (i = 0; i < 200; i++) {
		is_in_use(_metadata);
		pause_ms(1);
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(-SIGKILL, kill_and_join(pids[i]));
	is_in_use(_metadata);
	close(fd);
	ASSERT_EQ(0, unload());
	nothing_is_left(_metadata);
}

/* Those who open find a module that is complete, or none. */
TEST_F_TIMEOUT(loading, comes_and_goes_under_load, SLOW)
{
	pid_t pids[3];
	int i, err;

	for (i = 0; i < 3; i++) {
		pids[i] = child();
		if (!pids[i] && i)
			use_for_ever();
		if (!pids[i])
			accept_for_ever();
	}
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, load("ndevices=2"));
		pause_ms(10);
		/* there are moments at which nobody has it open */
		do
			err = unload();
		while (err == -EWOULDBLOCK);
		ASSERT_EQ(0, err);
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-SIGKILL, kill_and_join(pids[i]));
	nothing_is_left(_metadata);
}

/* Each time used for everything that allocates something. */
TEST_F_TIMEOUT(loading, comes_and_goes, SLOW)
{
	static char memory[100], local[100];
	struct pair pair;
	struct bed bed;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, load("ndevices=4"));
		ASSERT_EQ(0, bed_open(&bed));
		ASSERT_EQ(0, pair_open(&bed, &pair));
		ASSERT_NE(0, hostmem(pair.app, 10 * PAGE));
		ASSERT_EQ(0, register_memory(pair.app, memory, sizeof(memory)));
		ASSERT_EQ(0, copy(pair.peer, (uintptr_t)memory, local, sizeof(local), 0));
		ASSERT_EQ(0, set_cookie(pair.peer, 1));
		close(pair.peer);
		close(pair.app);
		ASSERT_EQ(0, bed_close(&bed));
		ASSERT_EQ(0, unload());
		nothing_is_left(_metadata);
	}
}

TEST_HARNESS_MAIN
