/* SPDX-License-Identifier: MIT */
/*
 * How libcuda chooses its backend and what it says when there is none: connect.c
 * alone, over channels that the test plays.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "libcuda/connect.h"
#include "libcuda/steer.h"
#include "test.h"

/* ---- what connect.c stands on ---- */

static struct {
	/* What the calls return, one after the other; the last one stays. */
	int		nodes[8], channel[8], socket;
	unsigned	nodes_asked, opened, connected;
	const char	*list;
	unsigned	ndevices;
	struct vgpu_answer answer;
	size_t		answer_length;
} play;

static char some_channel;

static int next(const int *results, unsigned *calls)
{
	unsigned i = (*calls)++;

	for (unsigned k = 0; k < i && k < 7; k++)
		results += results[1] != 0;
	return *results == 1 ? 0 : *results;
}

unsigned vgpu_steer_ranges(struct vgpu_range *ranges, unsigned max)
{
	ranges[0] = (struct vgpu_range){ 4096, 8192 };
	return 1;
}

int vgpu_nodes_open(const char *list, int *fds, unsigned max)
{
	int result = next(play.nodes, &play.nodes_asked);

	CHECK_EQ(max, VGPU_CHANNEL_DEVICES);
	play.list = list;
	if (result < 0)
		return result;
	fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[1] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	return 2;
}

static int answered(struct vgpu_channel **out, const void *hello, size_t hello_length,
		    void *answer, size_t *length)
{
	CHECK(!vgpu_hello_check(hello, hello_length));
	CHECK_EQ(*length, sizeof(play.answer));
	memcpy(answer, &play.answer, sizeof(play.answer));
	*length = play.answer_length;
	*out = (struct vgpu_channel *)&some_channel;
	return 0;
}

int vgpu_channel_open(struct vgpu_channel **out, const int *fds, unsigned n,
		      const struct vgpu_ring_sizes *sizes, const void *hello, size_t hello_length,
		      void *answer, size_t *length, int timeout_ms)
{
	int result = next(play.channel, &play.opened);

	play.ndevices = n;
	for (unsigned i = 0; i < n; i++)
		CHECK_EQ(close(fds[i]), 0);
	return result ? result : answered(out, hello, hello_length, answer, length);
}

int vgpu_channel_connect(struct vgpu_channel **out, const char *path,
			 const struct vgpu_ring_sizes *sizes, const void *hello,
			 size_t hello_length, void *answer, size_t *length, int timeout_ms)
{
	play.connected++;
	return play.socket ? play.socket : answered(out, hello, hello_length, answer, length);
}

/* ---- one connect ---- */

static struct vgpu_session session;
static char said[1024];

static void begin(void)
{
	memset(&play, 0, sizeof(play));
	memset(&session, 0, sizeof(session));
	play.nodes[0] = play.channel[0] = 1;
	play.answer_length = sizeof(play.answer);
	play.answer.magic = VGPU_HELLO_MAGIC;
	play.answer.version = VGPU_HELLO_VERSION;
	play.answer.ndevices = 2;
	play.answer.driver_version = 13000;
	unsetenv("VGPU_DEVICES");
	unsetenv("VGPU_SOCKET");
}

/* What it returns; what it says goes to said. */
static CUresult connect_once(void)
{
	int file = memfd_create("stderr", MFD_CLOEXEC), kept = dup(STDERR_FILENO);
	CUresult r;
	ssize_t n;

	dup2(file, STDERR_FILENO);
	r = vgpu_connect(&session);
	dup2(kept, STDERR_FILENO);
	close(kept);
	n = pread(file, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = 0;
	close(file);
	return r;
}

static bool one_line_with(const char *words)
{
	const char *end = strchr(said, '\n');

	if (end && !end[1] && !strncmp(said, "vgpu: ", 6) && strstr(said, words))
		return true;
	printf("# it said: %s\n", said);
	return false;
}

/* ---- tests ---- */

TEST(devices_come_first)
{
	begin();
	CHECK_EQ(connect_once(), CUDA_SUCCESS);
	CHECK_EQ(play.opened, 1);
	CHECK_EQ(play.connected, 0);
	CHECK_EQ(play.ndevices, 2);
	CHECK(!play.list);
	CHECK_EQ(session.ndevices, 2);
	CHECK_EQ(session.driver_version, 13000);
	CHECK(session.channel == (struct vgpu_channel *)&some_channel);
	CHECK_EQ(said[0], 0);
}

TEST(without_devices_the_socket)
{
	begin();
	play.nodes[0] = -ENOENT;
	CHECK_EQ(connect_once(), CUDA_SUCCESS);
	CHECK_EQ(play.opened, 0);
	CHECK_EQ(play.connected, 1);
	begin();
	play.nodes[0] = -ENOENT;
	setenv("VGPU_DEVICES", "none", 1);
	CHECK_EQ(connect_once(), CUDA_SUCCESS);
	CHECK(play.list && !strcmp(play.list, "none"));
	CHECK_EQ(play.connected, 1);
}

/* Whoever names a device wants that and no other. */
TEST(a_named_device_that_is_not_there)
{
	begin();
	play.nodes[0] = -ENOENT;
	setenv("VGPU_DEVICES", "7", 1);
	CHECK_EQ(connect_once(), CUDA_ERROR_NO_DEVICE);
	CHECK_EQ(play.connected, 0);
	CHECK(one_line_with("VGPU_DEVICES=7: there is no such device"));
}

TEST(neither_devices_nor_a_server)
{
	begin();
	play.nodes[0] = -ENOENT;
	play.socket = -ENOENT;
	CHECK_EQ(connect_once(), CUDA_ERROR_NO_DEVICE);
	CHECK_EQ(said[0], 0);
	begin();
	play.nodes[0] = -ENOENT;
	play.socket = -ECONNREFUSED;
	setenv("VGPU_SOCKET", "/tmp/nobody", 1);
	CHECK_EQ(connect_once(), CUDA_ERROR_NO_DEVICE);
	CHECK(one_line_with("VGPU_SOCKET=/tmp/nobody"));
}

static void refused_with(int err, CUresult expected, const char *words)
{
	begin();
	play.channel[0] = err;
	CHECK_EQ(connect_once(), expected);
	CHECK(one_line_with(words));
	CHECK(one_line_with("/dev/null: "));
	CHECK_EQ(play.opened, 1);
	CHECK_EQ(play.connected, 0);
}

TEST(what_a_refused_set_up_means)
{
	refused_with(-EHOSTDOWN, CUDA_ERROR_SYSTEM_NOT_READY, "vgpu-server");
	refused_with(-ETIMEDOUT, CUDA_ERROR_SYSTEM_NOT_READY, "does not answer");
	refused_with(-EDQUOT, CUDA_ERROR_OUT_OF_MEMORY, "budget");
	refused_with(-ENOMEM, CUDA_ERROR_OUT_OF_MEMORY, "memory");
	refused_with(-ENODEV, CUDA_ERROR_NO_DEVICE, "no such device");
	refused_with(-EPROTO, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, "no sense");
	refused_with(-EUSERS, CUDA_ERROR_DEVICE_UNAVAILABLE, "wait for one to end");
	refused_with(-ENOTTY, CUDA_ERROR_NO_DEVICE, "no virtual GPU");
	refused_with(-EIO, CUDA_ERROR_OPERATING_SYSTEM, strerror(EIO));
}

/* Not said of the first device, which may be a good one. */
TEST(a_list_of_things_that_are_no_virtual_gpus)
{
	begin();
	play.channel[0] = -EBADF;
	setenv("VGPU_DEVICES", "0,/dev/zero", 1);
	CHECK_EQ(connect_once(), CUDA_ERROR_NO_DEVICE);
	CHECK(one_line_with("VGPU_DEVICES=0,/dev/zero: not all of these"));
}

static void nodes_refused(const char *list, int err, CUresult expected, const char *words)
{
	begin();
	play.nodes[0] = err;
	if (list)
		setenv("VGPU_DEVICES", list, 1);
	CHECK_EQ(connect_once(), expected);
	CHECK(one_line_with(words));
	CHECK_EQ(play.opened + play.connected, 0);
}

TEST(nodes_that_cannot_be_opened)
{
	nodes_refused(NULL, -EACCES, CUDA_ERROR_NO_DEVICE, "/dev/vgpu");
	nodes_refused(NULL, -EMFILE, CUDA_ERROR_OPERATING_SYSTEM, "too many open files");
	nodes_refused("0,1", -EACCES, CUDA_ERROR_NO_DEVICE, "VGPU_DEVICES=0,1: this process may");
	nodes_refused("/dev/zero,", -EINVAL, CUDA_ERROR_NO_DEVICE, "VGPU_DEVICES=/dev/zero,: ");
	nodes_refused("0,0", -EEXIST, CUDA_ERROR_NO_DEVICE, "VGPU_DEVICES=0,0: a device is named");
	nodes_refused("0,1", -E2BIG, CUDA_ERROR_NO_DEVICE, "VGPU_DEVICES=0,1: more devices than");
}

TEST(a_daemon_that_is_restarted_is_waited_for)
{
	const int results[] = { -EPIPE, -EHOSTDOWN, -EHOSTDOWN, -EPIPE, 1 };

	begin();
	memcpy(play.channel, results, sizeof(results));
	CHECK_EQ(connect_once(), CUDA_SUCCESS);
	CHECK_EQ(play.opened, 5);
	CHECK_EQ(play.nodes_asked, 5);
	CHECK_EQ(session.ndevices, 2);
	CHECK_EQ(said[0], 0);
}

TEST(but_not_for_ever)
{
	const int dies[] = { -EPIPE, -EHOSTDOWN }, full[] = { -EPIPE, -EDQUOT };
	time_t start = time(NULL);

	begin();
	memcpy(play.channel, dies, sizeof(dies));
	CHECK_EQ(connect_once(), CUDA_ERROR_SYSTEM_NOT_READY);
	CHECK(one_line_with("no daemon serves it"));
	CHECK(play.opened > 2 && play.opened < 12);
	CHECK(time(NULL) - start < 5);
	/* Another error is told at once. */
	begin();
	memcpy(play.channel, full, sizeof(full));
	CHECK_EQ(connect_once(), CUDA_ERROR_OUT_OF_MEMORY);
	CHECK_EQ(play.opened, 2);
}

TEST(a_refusal_is_passed_on)
{
	begin();
	play.answer.status = CUDA_ERROR_DEVICE_UNAVAILABLE;
	strcpy(play.answer.text, "(the test refuses)");
	CHECK_EQ(connect_once(), CUDA_ERROR_DEVICE_UNAVAILABLE);
	CHECK(one_line_with("(the test refuses)"));
	/* There is a channel, for the caller to close. */
	CHECK(session.channel);
	CHECK_EQ(session.ndevices, 0);
}

TEST(a_refusal_does_not_steer_the_terminal)
{
	begin();
	play.answer.status = CUDA_ERROR_DEVICE_UNAVAILABLE;
	strcpy(play.answer.text, "a\033[2Jb\nvgpu: \xc3\xa9\177");
	CHECK_EQ(connect_once(), CUDA_ERROR_DEVICE_UNAVAILABLE);
	CHECK(one_line_with("a?[2Jb?vgpu: \xc3\xa9?\n"));
}

TEST(answers_that_cannot_be_used)
{
	begin();
	play.answer_length--;
	CHECK_EQ(connect_once(), CUDA_ERROR_SYSTEM_DRIVER_MISMATCH);
	CHECK(one_line_with("wrong length"));
	begin();
	play.answer.version++;
	CHECK_EQ(connect_once(), CUDA_ERROR_SYSTEM_DRIVER_MISMATCH);
	CHECK(one_line_with("version"));
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
