// SPDX-License-Identifier: MIT
/*
 * Which nodes are opened, in which order, and every list that is refused. The
 * nodes are links to devices that every host has.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/internal.h"
#include "test.h"

/* Minor numbers of the memory devices (major 1), to tell one from the other. */
enum { NIL = 3, ZERO = 5, FULL = 7, RANDOM = 8, URANDOM = 9 };

static char folder[64];
static int fds[2 * VGPU_CHANNEL_DEVICES];

static int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static bool link_to(const char *name, const char *target)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return !symlink(target, path);
}

static void empty_folder(void)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	char path[400];

	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (e->d_name[0] != '.' && unlink(path))
			rmdir(path);
	}
	closedir(d);
}

static bool begin(void)
{
	strcpy(folder, "/tmp/vgpu-test-XXXXXX");
	return mkdtemp(folder) && !chmod(folder, 0755);
}

static void end(void)
{
	empty_folder();
	CHECK(!rmdir(folder));
}

static int scan(unsigned int max)
{
	return vgpu_nodes_open_in(folder, NULL, fds, max);
}

static int list(const char *text)
{
	return vgpu_nodes_open_in(folder, text, fds, 2 * VGPU_CHANNEL_DEVICES);
}

/* Are the first @n the devices with these minors, ready for use? Closes them. */
static bool are(int n, const int *minors)
{
	bool good = true;

	for (int i = 0; i < n; i++) {
		struct stat st;

		good &= !fstat(fds[i], &st) && S_ISCHR(st.st_mode) &&
			minor(st.st_rdev) == (unsigned int)minors[i] &&
			fcntl(fds[i], F_GETFD) == FD_CLOEXEC &&
			(fcntl(fds[i], F_GETFL) & O_ACCMODE) == O_RDWR;
		close(fds[i]);
	}
	return good;
}

#define ARE(n, ...) are(n, (const int[]){ __VA_ARGS__ })

TEST(all_by_number)
{
	int files = open_files();

	REQUIRE(begin());
	REQUIRE(link_to("vgpu10", "/dev/zero") && link_to("vgpu9", "/dev/null") &&
		link_to("vgpu1023", "/dev/full") && link_to("vgpu0", "/dev/urandom"));
	CHECK_EQ(scan(VGPU_CHANNEL_DEVICES), 4);
	CHECK(ARE(4, URANDOM, NIL, ZERO, FULL));
	CHECK_EQ(scan(2), 2);
	CHECK(ARE(2, URANDOM, NIL));
	CHECK_EQ(open_files(), files);
	end();
}

TEST(other_names_are_passed_over)
{
	static const char *const names[] = {
		"vgpuctl", "vgpu", "vgpu1a", "vgpu01", "vgpu00", "vgpu-1", "vgpu 1", "xvgpu1",
		"VGPU1", "vgpu1024", "vgpu4294967296", "vgpu18446744073709551616", "vgpu1.",
	};

	REQUIRE(begin());
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		REQUIRE(link_to(names[i], "/dev/null"));
	CHECK_EQ(scan(16), -ENOENT);
	REQUIRE(link_to("vgpu1", "/dev/zero"));
	CHECK_EQ(scan(16), 1);
	CHECK(ARE(1, ZERO));
	end();
}

TEST(what_is_no_device_is_passed_over)
{
	char path[128];
	int fd;

	REQUIRE(begin());
	snprintf(path, sizeof(path), "%s/vgpu0", folder);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	REQUIRE(fd >= 0);
	close(fd);
	snprintf(path, sizeof(path), "%s/vgpu1", folder);
	REQUIRE(!mkdir(path, 0755));
	snprintf(path, sizeof(path), "%s/vgpu2", folder);
	REQUIRE(!mkfifo(path, 0600));
	REQUIRE(link_to("vgpu3", "/nonexistent"));
	CHECK_EQ(scan(16), -ENOENT);
	REQUIRE(link_to("vgpu4", "/dev/null"));
	CHECK_EQ(scan(16), 1);
	CHECK(ARE(1, NIL));
	end();
}

TEST(no_folder)
{
	CHECK_EQ(vgpu_nodes_open_in("/nonexistent", NULL, fds, 1), -ENOENT);
}

/* What one without privileges sees: a status for each that is not as it should be. */
static int look_unprivileged(void)
{
	if (!geteuid() && setresuid(65534, 65534, 65534))
		return 1;
	if (scan(16) != -EACCES)
		return 2;
	if (list("0") != -EACCES)
		return 3;
	if (!link_to("vgpu7", "/dev/zero"))
		return 4;
	if (scan(16) != 1 || !ARE(1, ZERO))
		return 5;
	return list("7,0") != -EACCES ? 6 : 0;
}

TEST(nodes_that_may_not_be_opened)
{
	char locked[128];
	int status = -1;
	pid_t pid;

	REQUIRE(begin());
	REQUIRE(!chmod(folder, 0777));
	snprintf(locked, sizeof(locked), "%s/locked", folder);
	REQUIRE(!mkdir(locked, 0));
	REQUIRE(link_to("vgpu0", "locked/null"));
	pid = fork();
	if (!pid)
		_exit(look_unprivileged());
	waitpid(pid, &status, 0);
	CHECK_EQ(status >> 8, 0);
	CHECK_EQ(status & 0x7f, 0);
	end();
}

TEST(more_than_a_channel_has)
{
	int files = open_files(), n;
	char name[16];

	REQUIRE(begin());
	for (int i = 0; i < VGPU_CHANNEL_DEVICES + 3; i++) {
		snprintf(name, sizeof(name), "vgpu%d", i);
		REQUIRE(link_to(name, "/dev/null"));
	}
	n = scan(2 * VGPU_CHANNEL_DEVICES);
	CHECK_EQ(n, VGPU_CHANNEL_DEVICES);
	while (n > 0)
		close(fds[--n]);
	CHECK_EQ(open_files(), files);
	end();
}

static bool make_nodes(void)
{
	return begin() && link_to("vgpu0", "/dev/null") && link_to("vgpu1", "/dev/zero") &&
	       link_to("vgpu12", "/dev/full") && link_to("vgpu3", "/dev/null");
}

TEST(lists)
{
	char text[200];

	REQUIRE(make_nodes());
	CHECK_EQ(list("1"), 1);
	CHECK(ARE(1, ZERO));
	CHECK_EQ(list("12,1,0"), 3);
	CHECK(ARE(3, FULL, ZERO, NIL));
	CHECK_EQ(list("/dev/random"), 1);
	CHECK(ARE(1, RANDOM));
	snprintf(text, sizeof(text), "1,/dev/random,%s/vgpu0,12", folder);
	CHECK_EQ(list(text), 4);
	CHECK(ARE(4, ZERO, RANDOM, NIL, FULL));
	CHECK_EQ(list(""), -ENOENT);
	CHECK_EQ(list("none"), -ENOENT);
	end();
}

TEST(malformed_lists)
{
	static const char *const bad[] = {
		",", "0,", ",0", "0,,1", " 0", "0 ", "0, 1", "0;1", "-1", "+1", "0x1", "01", "00",
		"a", "vgpu0", "none,0", "0,none", "all", "1024", "99999999999999999999", "dev/null",
		"0,./vgpu1", "1.0", "1,\n",
	};
	int files = open_files();

	REQUIRE(make_nodes());
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(list(bad[i]), -EINVAL);
	CHECK_EQ(open_files(), files);
	end();
}

/* By whatever name: vgpu3 is the same device as vgpu0 here. */
TEST(duplicates)
{
	char text[200];
	int files = open_files();

	REQUIRE(make_nodes());
	CHECK_EQ(list("0,0"), -EEXIST);
	CHECK_EQ(list("0,1,0"), -EEXIST);
	CHECK_EQ(list("0,1,3"), -EEXIST);
	CHECK_EQ(list("0,/dev/null"), -EEXIST);
	snprintf(text, sizeof(text), "12,%s/./vgpu12", folder);
	CHECK_EQ(list(text), -EEXIST);
	CHECK_EQ(open_files(), files);
	end();
}

TEST(listed_but_not_there)
{
	char text[5000];
	int files = open_files();

	REQUIRE(make_nodes());
	CHECK_EQ(list("2"), -ENOENT);
	CHECK_EQ(list("0,2"), -ENOENT);
	CHECK_EQ(list("/nonexistent"), -ENOENT);
	CHECK_EQ(list("/dev/null/x"), -ENOTDIR);
	CHECK_EQ(list("0,/proc/self/exe"), -ENODEV);
	CHECK_EQ(list("/"), -ENODEV);
	memset(text, '/', sizeof(text));
	text[sizeof(text) - 1] = 0;
	CHECK_EQ(list(text), -ENAMETOOLONG);
	CHECK_EQ(open_files(), files);
	end();
}

TEST(list_of_too_many)
{
	int files = open_files();

	REQUIRE(make_nodes());
	CHECK_EQ(vgpu_nodes_open_in(folder, "0,1", fds, 1), -E2BIG);
	CHECK_EQ(vgpu_nodes_open_in(folder, "0,1", fds, 0), -E2BIG);
	CHECK_EQ(vgpu_nodes_open_in(folder, "0,1", fds, 2), 2);
	CHECK(ARE(2, NIL, ZERO));
	CHECK_EQ(open_files(), files);
	end();
}

/* What is not a vgpu's node is found out at the set-up, and closed. */
TEST(a_device_of_another_kind)
{
	const struct vgpu_ring_sizes sizes = VGPU_DEFAULT_SIZES;
	struct vgpu_channel *ch;
	char answer[8];
	size_t len = sizeof(answer);
	int files = open_files();

	REQUIRE(make_nodes());
	REQUIRE(list("0,1,12") == 3);
	CHECK_EQ(vgpu_channel_open(&ch, fds, 3, &sizes, "", 0, answer, &len, 100), -ENOTTY);
	CHECK_EQ(vgpu_channel_open(&ch, fds, 0, &sizes, "", 0, answer, &len, 100), -EINVAL);
	CHECK_EQ(vgpu_channel_adopt(&ch, open("/dev/null", O_RDWR), answer, &len, 100), -ENOTTY);
	CHECK_EQ(open_files(), files);
	end();
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
