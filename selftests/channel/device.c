// SPDX-License-Identifier: MIT
/*
 * A channel over the module, both ends and their ends: what the socket's tests
 * show of that backend, and what only this one has. Waiting is in waiting.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/internal.h"
#include "pair.h"
#include "test.h"

#define WAIT_MS	20000

static const struct vgpu_ring_sizes sizes = {
	.sq = 8192, .cq = 4096, .up = 32768, .down = 16384,
};

static struct vgpu_channel *app, *peer;

static bool begin(void)
{
	int err = test_pair(&app, &peer, &sizes);

	if (err)
		printf("# no pair over the module: %s\n", strerror(-err));
	return !err;
}

static void end(void)
{
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

static int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static bool never(void *arg)
{
	return false;
}

/* Does an address allow the access? The kernel tells without a signal. */
static bool writable(void *at)
{
	int p[2];
	bool ok;

	if (pipe(p) || write(p[1], "x", 1) != 1)
		return false;
	ok = read(p[0], at, 1) == 1;
	close(p[0]);
	close(p[1]);
	return ok;
}

/* ---- a record of three words, to be sent and waited for ---- */

struct words {
	struct vgpu_record	head;
	uint64_t		a, b, c;
};

static bool has_room(void *ch)
{
	return vgpu_record_room(ch, sizeof(struct words));
}

static int say(struct vgpu_channel *ch, uint64_t a, uint64_t b, uint64_t c)
{
	struct words *w;
	int err = vgpu_channel_wait(ch, has_room, ch, WAIT_MS);

	if (err)
		return err;
	w = vgpu_record_reserve(ch, sizeof(*w));
	if (!w)
		return -errno;
	w->a = a;
	w->b = b;
	w->c = c;
	vgpu_record_commit(ch, 1, 0);
	return 0;
}

struct hearing {
	struct vgpu_channel	*ch;
	struct words		*w;
	int			n;
};

static bool heard(void *arg)
{
	struct hearing *h = arg;

	h->n = vgpu_record_receive(h->ch, h->w, sizeof(*h->w));
	return h->n;
}

static int hear(struct vgpu_channel *ch, struct words *w)
{
	struct hearing h = { .ch = ch, .w = w };
	int err = vgpu_channel_wait(ch, heard, &h, WAIT_MS);

	if (err)
		return err;
	return h.n == sizeof(*w) ? 0 : h.n < 0 ? h.n : -EBADMSG;
}

/* ---- set-up ---- */

TEST(both_ends)
{
	int files;

	REQUIRE(device_listen() >= 0);
	files = open_files();
	REQUIRE(begin());
	CHECK_EQ(vgpu_channel_peer_pid(peer), getpid());
	CHECK_EQ(vgpu_channel_peer_pid(app), 0);
	CHECK_EQ(vgpu_record_max(app), sizes.sq / 4);
	CHECK_EQ(vgpu_record_max(peer), sizes.cq / 4);
	CHECK_EQ(vgpu_bytes_max(app), sizes.up / 2);
	CHECK_EQ(vgpu_bytes_max(peer), sizes.down / 2);
	CHECK(!vgpu_channel_lost(app) && !vgpu_channel_lost(peer));
	end();
	CHECK_EQ(open_files(), files);
}

TEST(what_a_side_does_not_write_it_cannot)
{
	REQUIRE(begin());
	for (int half = VGPU_SIDE_APP; half <= VGPU_SIDE_PEER; half++) {
		size_t size = app->memory->size[half], at[] = { 1024, 4096, size - 1 };
		struct channel_memory *other = (half ? app : peer)->memory;

		for (int i = 0; i < 3; i++) {
			CHECK_EQ(writable(app->memory->half[half] + at[i]),
				 half == VGPU_SIDE_APP);
			CHECK_EQ(writable(peer->memory->half[half] + at[i]),
				 half == VGPU_SIDE_PEER);
		}
		errno = 0;
		/* A peer that is root may, as the header says: for ibv_reg_mr(). */
		CHECK_EQ(mprotect(other->half[half], size, PROT_READ | PROT_WRITE),
			 half == VGPU_SIDE_APP ? 0 : -1);
		CHECK_EQ(errno, half == VGPU_SIDE_APP ? 0 : EACCES);
	}
	end();
}

static int open_with(const int *fds, unsigned int n, const struct vgpu_ring_sizes *s,
		     int timeout_ms)
{
	struct vgpu_channel *ch;
	char answer[8];
	size_t len = sizeof(answer);
	int err = vgpu_channel_open(&ch, fds, n, s, "hello there", 11, answer, &len, timeout_ms);

	if (!err)
		vgpu_channel_close(ch);
	return err;
}

static int open_one(const struct vgpu_ring_sizes *s, int timeout_ms)
{
	int fd, n = vgpu_nodes_open(NULL, &fd, 1);

	return n < 0 ? n : open_with(&fd, 1, s, timeout_ms);
}

TEST(set_up_refusals)
{
	struct vgpu_ring_sizes odd = sizes;
	int files, fds[2];

	REQUIRE(device_listen() >= 0);
	files = open_files();
	odd.up = 5000;
	CHECK_EQ(open_one(&odd, WAIT_MS), -EINVAL);
	/* One device twice; then something that is none. */
	REQUIRE(vgpu_nodes_open("0", &fds[0], 1) == 1 && vgpu_nodes_open("0", &fds[1], 1) == 1);
	CHECK_EQ(open_with(fds, 2, &sizes, WAIT_MS), -EEXIST);
	REQUIRE(vgpu_nodes_open("0", &fds[0], 1) == 1);
	fds[1] = open("/dev/null", O_RDWR);
	CHECK_EQ(open_with(fds, 2, &sizes, WAIT_MS), -EBADF);
	CHECK_EQ(open_files(), files);
}

TEST(nobody_serves)
{
	int files;

	REQUIRE(device_listen() >= 0);
	files = open_files();
	/* A daemon that accepts nothing, */
	CHECK_EQ(open_one(&sizes, 50), -ETIMEDOUT);
	CHECK_EQ(device_accept(50), -ETIMEDOUT);
	CHECK_EQ(open_files(), files);
	/* and none. */
	device_listen_no_more();
	CHECK_EQ(open_one(&sizes, WAIT_MS), -EHOSTDOWN);
	CHECK_EQ(open_files(), files - 1);
	CHECK(device_listen() >= 0);
}

static void *drop_next(void *arg)
{
	int fd = device_accept(WAIT_MS);

	*(int *)arg = fd < 0 ? fd : close(fd);
	return NULL;
}

static void *adopt_without_room(void *arg)
{
	struct vgpu_channel *ch;
	char hello[8];
	size_t len = sizeof(hello);

	*(int *)arg = vgpu_channel_adopt(&ch, device_accept(WAIT_MS), hello, &len, WAIT_MS);
	return NULL;
}

TEST(accepted_and_given_up)
{
	pthread_t thread;
	int files, err = 1;

	REQUIRE(device_listen() >= 0);
	files = open_files();
	REQUIRE(!pthread_create(&thread, NULL, drop_next, &err));
	CHECK_EQ(open_one(&sizes, WAIT_MS), -EPIPE);
	pthread_join(thread, NULL);
	CHECK_EQ(err, 0);
	REQUIRE(!pthread_create(&thread, NULL, adopt_without_room, &err));
	CHECK_EQ(open_one(&sizes, WAIT_MS), -EPIPE);
	pthread_join(thread, NULL);
	CHECK_EQ(err, -EMSGSIZE);
	CHECK_EQ(open_files(), files);
}

/* An app that sets up a channel and says nothing, or hangs up. */
TEST(app_without_a_hello)
{
	struct vgpu_ioc_setup setup = { .sizes = sizes };
	struct vgpu_channel *ch;
	char hello[8];
	size_t len = sizeof(hello);
	int files, fd;

	REQUIRE(device_listen() >= 0);
	files = open_files();
	for (int hang_up = 0; hang_up < 2; hang_up++) {
		int accepted;

		REQUIRE(vgpu_nodes_open(NULL, &fd, 1) == 1);
		REQUIRE(!ioctl(fd, VGPU_IOC_SETUP, &setup));
		accepted = device_accept(WAIT_MS);
		REQUIRE(accepted >= 0);
		if (hang_up)
			close(fd);
		CHECK_EQ(vgpu_channel_adopt(&ch, accepted, hello, &len,
					    hang_up ? WAIT_MS : 50),
			 hang_up ? -EPIPE : -ETIMEDOUT);
		if (!hang_up)
			close(fd);
	}
	CHECK_EQ(open_files(), files);
}

static void *adopt_next(void *arg)
{
	*(int *)arg = device_adopt(&peer);
	return NULL;
}

TEST(two_devices)
{
	struct vgpu_ioc_info info;
	char answer[8];
	size_t len = sizeof(answer);
	int fds[2], files, err = 1;
	pthread_t thread;

	REQUIRE(device_listen() >= 0);
	files = open_files();
	REQUIRE(vgpu_nodes_open("1,0", fds, 2) == 2);
	REQUIRE(!pthread_create(&thread, NULL, adopt_next, &err));
	REQUIRE(!vgpu_channel_open(&app, fds, 2, &sizes, "hello there", 11, answer, &len,
				   WAIT_MS));
	pthread_join(thread, NULL);
	REQUIRE(!err);
	/* Of four descriptors each end has one. */
	CHECK_EQ(open_files(), files + 2);
	end();
	REQUIRE(vgpu_nodes_open("1,0", fds, 2) == 2);
	REQUIRE(!ioctl(fds[0], VGPU_IOC_SETUP,
		       &(struct vgpu_ioc_setup){ .devices = (uintptr_t)&fds[1], .ndevices = 1,
						 .sizes = sizes }));
	err = device_accept(WAIT_MS);
	REQUIRE(err >= 0 && !ioctl(err, VGPU_IOC_INFO, &info));
	CHECK(info.ndevices == 2 && info.devices[0] == 1 && info.devices[1] == 0);
	close(err);
	close(fds[0]);
	close(fds[1]);
	CHECK_EQ(open_files(), files);
}

/* ---- bytes ---- */

TEST(records_both_ways)
{
	struct words w;

	REQUIRE(begin());
	for (uint64_t i = 0; i < 5000; i++) {
		REQUIRE(!say(app, i, ~i, i * 3) && !hear(peer, &w));
		REQUIRE(w.a == i && w.b == ~i && w.c == i * 3 && w.head.seq == i + 2);
		REQUIRE(!say(peer, w.b, w.c, w.a) && !hear(app, &w));
		REQUIRE(w.a == ~i && w.b == i * 3 && w.c == i && w.head.seq == i + 2);
	}
	end();
}

/* Each length once, filled and found again at the other end. */
static void bulk(struct vgpu_channel *from, struct vgpu_channel *to)
{
	for (size_t n = 1; n <= vgpu_bytes_max(from); n += n < 300 ? 1 : 997) {
		const uint8_t *got;
		struct words w;
		uint64_t pos;
		uint8_t *at = vgpu_bytes_reserve(from, n, &pos);

		REQUIRE(at);
		for (size_t i = 0; i < n; i++)
			at[i] = i * 7 + n;
		vgpu_bytes_publish(from, pos, n);
		REQUIRE(!say(from, pos, n, 0) && !hear(to, &w));
		got = vgpu_bytes_at(to, w.a, w.b);
		REQUIRE(got);
		for (size_t i = 0; i < n; i++)
			REQUIRE(got[i] == (uint8_t)(i * 7 + n));
		vgpu_bytes_release(to, w.a, w.b);
	}
}

TEST(bulk_both_ways)
{
	REQUIRE(begin());
	bulk(app, peer);
	bulk(peer, app);
	CHECK(!vgpu_channel_fault(app) && !vgpu_channel_fault(peer));
	end();
}

/* ---- host memory ---- */

TEST(hostmem)
{
	uint64_t handle;
	char *a;
	void *p, *q;

	REQUIRE(begin());
	REQUIRE(!vgpu_hostmem_create(app, 8192, (void **)&a, &handle));
	CHECK(!a[0] && !a[8191]);
	strcpy(a + 5000, "from the app");
	REQUIRE(!vgpu_hostmem_map(peer, handle, 8192, NULL, &p));
	CHECK(!strcmp((char *)p + 5000, "from the app"));
	strcpy(p, "from the peer");
	CHECK(!strcmp(a, "from the peer"));
	/* Over memory that is taken it comes to lie elsewhere. */
	REQUIRE(!vgpu_hostmem_map(peer, handle, 8192, a, &q));
	CHECK(q != a && q != p && !strcmp(q, "from the peer"));
	vgpu_hostmem_unmap(peer, q, 8192);
	/* The peer's mapping outlives the handle. */
	vgpu_hostmem_destroy(app, a, 8192, handle);
	CHECK(!writable(a));
	CHECK(!strcmp(p, "from the peer") && writable(p));
	CHECK_EQ(vgpu_hostmem_map(peer, handle, 8192, NULL, &q), -ENOENT);
	vgpu_hostmem_unmap(peer, p, 8192);
	end();
}

/* No number leads to anything but a buffer of that size. */
TEST(hostmem_refusals)
{
	static const uint64_t none[] = {
		VGPU_MMAP_APP, VGPU_MMAP_PEER, 1, 4096, ~0ull, 1ull << 63,
		VGPU_MMAP_HOSTMEM + 4096, VGPU_MMAP_HOSTMEM + VGPU_MMAP_PEER,
	};
	uint64_t handle;
	void *a, *p;

	REQUIRE(begin());
	CHECK_EQ(vgpu_hostmem_create(app, 0, &a, &handle), -EINVAL);
	CHECK_EQ(vgpu_hostmem_create(app, 4097, &a, &handle), -EINVAL);
	CHECK_EQ(vgpu_hostmem_create(peer, 4096, &a, &handle), -EINVAL);
	REQUIRE(!vgpu_hostmem_create(app, 8192, &a, &handle));
	CHECK_EQ(vgpu_hostmem_map(app, handle, 8192, NULL, &p), -EINVAL);
	CHECK_EQ(vgpu_hostmem_map(peer, handle, 4096, NULL, &p), -EINVAL);
	CHECK_EQ(vgpu_hostmem_map(peer, handle, 12288, NULL, &p), -EINVAL);
	CHECK_EQ(vgpu_hostmem_map(peer, handle + VGPU_MMAP_HOSTMEM, 8192, NULL, &p), -ENOENT);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		for (int half = 0; half < 2; half++)
			CHECK_EQ(vgpu_hostmem_map(peer, none[i], peer->memory->size[half], NULL,
						  &p), -ENOENT);
	CHECK(!vgpu_channel_lost(peer));
	vgpu_hostmem_destroy(app, a, 8192, handle);
	end();
}

/* ---- the app is a process of its own ---- */

#define MUST(cond) do { if (!(cond)) _exit(__LINE__ & 0x7f ?: 1); } while (0)

/* A child that runs @body with a channel, whose peer's end is this process's. */
static pid_t start_app(void (*body)(struct vgpu_channel *ch))
{
	pid_t pid;

	if (device_listen() < 0)
		return -1;
	pid = fork();
	if (!pid) {
		struct vgpu_channel *ch;

		MUST(!device_open(&ch, &sizes));
		body(ch);
		vgpu_channel_close(ch);
		_exit(0);
	}
	if (pid > 0 && device_adopt(&peer))
		return -1;
	return pid;
}

/* 0, or the line of this file where it gave up, of which 7 bits are left. */
static int end_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define BUFFER	(1u << 20)

static void *buffer_hole;

/* The hole that was made before the fork is where the buffer comes to lie. */
static void offer_buffer(struct vgpu_channel *ch)
{
	uint64_t handle;
	struct words w;
	char *at;

	munmap(buffer_hole, BUFFER);
	MUST(!vgpu_hostmem_create(ch, BUFFER, (void **)&at, &handle));
	memset(at, 'a', BUFFER);
	MUST(!say(ch, handle, (uintptr_t)at, BUFFER));
	MUST(!hear(ch, &w));
	MUST(at[0] == 'p' && at[1] == 'a' && at[BUFFER - 1] == 'p');
	vgpu_hostmem_destroy(ch, at, BUFFER, handle);
}

TEST(hostmem_at_the_same_address)
{
	struct words w;
	char *hint;
	void *at;
	pid_t pid;

	buffer_hole = mmap(NULL, BUFFER, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid = start_app(offer_buffer);
	REQUIRE(pid > 0);
	CHECK_EQ(vgpu_channel_peer_pid(peer), pid);
	REQUIRE(!hear(peer, &w));
	munmap(buffer_hole, BUFFER);
	hint = (char *)(uintptr_t)w.b;
	REQUIRE(!vgpu_hostmem_map(peer, w.a, w.c, hint, &at));
	CHECK(at == hint);
	hint = at;
	CHECK(hint[0] == 'a' && hint[BUFFER - 1] == 'a');
	hint[0] = hint[BUFFER - 1] = 'p';
	CHECK_EQ(say(peer, 0, 0, 0), 0);
	CHECK_EQ(end_of(pid), 0);
	/* Memory of an app that is gone is still there for who mapped it. */
	CHECK(hint[1] == 'a' && hint[BUFFER - 1] == 'p');
	vgpu_hostmem_unmap(peer, at, BUFFER);
	vgpu_channel_close(peer);
}

#define RANGE	(64u << 10)

/* Takes steps as the other side says: registered, no longer, unmapped. */
static void offer_range(struct vgpu_channel *ch)
{
	char *at = mmap(NULL, 3 * RANGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	char *mid = at + RANGE;
	struct words w;

	memset(at, 'a', 3 * RANGE);
	MUST(!say(ch, (uintptr_t)mid, 0, 0) && !hear(ch, &w));
	MUST(!vgpu_appmem_register(ch, mid, RANGE));
	MUST(!say(ch, 0, 0, 0) && !hear(ch, &w));
	MUST(mid[0] == 'a' && mid[1] == 'p' && mid[RANGE - 1] == 'p' && mid[RANGE] == 'a');
	munmap(mid + 4096, 4096);
	MUST(!say(ch, 0, 0, 0) && !hear(ch, &w));
	MUST(!vgpu_appmem_unregister(ch, mid, RANGE));
	MUST(!say(ch, 0, 0, 0) && !hear(ch, &w));
	MUST(!vgpu_appmem_register(ch, mid, RANGE));
	MUST(!say(ch, 0, 0, 0));
	pause();
}

static void copy_registered(uint64_t at, char *buf)
{
	CHECK_EQ(vgpu_app_read(peer, buf, at, RANGE), 0);
	CHECK(buf[0] == 'a' && buf[RANGE - 1] == 'a');
	memset(buf, 'p', RANGE);
	CHECK_EQ(vgpu_app_write(peer, at + 1, buf, RANGE - 1), 0);
	CHECK_EQ(vgpu_app_read(peer, buf, at, RANGE), 0);
	CHECK(buf[0] == 'a' && buf[1] == 'p' && buf[RANGE - 1] == 'p');
	CHECK_EQ(vgpu_app_read(peer, buf, at, 0), 0);
	/* Not a byte beside it. */
	CHECK_EQ(vgpu_app_read(peer, buf, at - 1, 2), -EPERM);
	CHECK_EQ(vgpu_app_write(peer, at + RANGE - 1, buf, 2), -EPERM);
	CHECK_EQ(vgpu_app_read(peer, buf, ~0ull, 2), -EPERM);
	CHECK_EQ(vgpu_app_read(peer, NULL, at, 16), -EFAULT);
}

TEST(app_memory)
{
	static char buf[RANGE];
	struct words w;
	uint64_t at;
	pid_t pid = start_app(offer_range);

	REQUIRE(pid > 0 && !hear(peer, &w));
	at = w.a;
	CHECK_EQ(vgpu_app_read(peer, buf, at, 1), -EPERM);
	CHECK_EQ(vgpu_app_write(peer, at, buf, 1), -EPERM);
	REQUIRE(!say(peer, 0, 0, 0) && !hear(peer, &w));
	copy_registered(at, buf);
	REQUIRE(!say(peer, 0, 0, 0) && !hear(peer, &w));
	/* A page of it is gone: registered, but not there. */
	CHECK_EQ(vgpu_app_read(peer, buf, at, RANGE), -EFAULT);
	CHECK_EQ(vgpu_app_read(peer, buf, at, 4096), 0);
	REQUIRE(!say(peer, 0, 0, 0) && !hear(peer, &w));
	CHECK_EQ(vgpu_app_read(peer, buf, at, 1), -EPERM);
	REQUIRE(!say(peer, 0, 0, 0) && !hear(peer, &w));
	CHECK_EQ(vgpu_app_read(peer, buf, at, 1), 0);
	kill(pid, SIGKILL);
	CHECK_EQ(end_of(pid), -SIGKILL);
	CHECK_EQ(vgpu_app_read(peer, buf, at, 1), -EPIPE);
	vgpu_channel_close(peer);
}

TEST(app_memory_refusals)
{
	char *at = mmap(NULL, 3 * RANGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	REQUIRE(begin());
	CHECK_EQ(vgpu_appmem_register(app, at, 0), -EINVAL);
	CHECK_EQ(vgpu_appmem_register(app, (void *)~0ull, 2), -EINVAL);
	CHECK_EQ(vgpu_appmem_register(app, (void *)(1ull << 63), 4096), -EINVAL);
	CHECK_EQ(vgpu_appmem_register(peer, at, RANGE), -EINVAL);
	CHECK_EQ(vgpu_appmem_unregister(peer, at, RANGE), -EINVAL);
	CHECK_EQ(vgpu_appmem_register(app, at + RANGE, RANGE), 0);
	CHECK_EQ(vgpu_appmem_register(app, at + RANGE, RANGE), -EEXIST);
	CHECK_EQ(vgpu_appmem_register(app, at, RANGE + 1), -EEXIST);
	CHECK_EQ(vgpu_appmem_register(app, at + 2 * RANGE - 1, 1), -EEXIST);
	CHECK_EQ(vgpu_appmem_register(app, at, RANGE), 0);
	CHECK_EQ(vgpu_appmem_unregister(app, at, 2 * RANGE), -ENOENT);
	CHECK_EQ(vgpu_appmem_unregister(app, at + RANGE, RANGE - 1), -ENOENT);
	CHECK_EQ(vgpu_appmem_unregister(app, at + RANGE, RANGE), 0);
	CHECK_EQ(vgpu_appmem_unregister(app, at + RANGE, RANGE), -ENOENT);
	CHECK_EQ(vgpu_appmem_unregister(app, at, RANGE), 0);
	munmap(at, 3 * RANGE);
	end();
}

/* ---- ends ---- */

/* The app's child keeps the descriptor for as long as it lives. */
static void have_a_child(struct vgpu_channel *ch)
{
	uint8_t *rings = ch->memory->half[VGPU_SIDE_APP];
	int ready[2];
	pid_t pid;
	char c;

	MUST(!pipe(ready));
	pid = fork();
	if (!pid) {
		/* What it inherited is a descriptor, and of no use to it. */
		MUST(!writable(rings) && ch->ops->sleep(ch, NEVER) == -EPIPE);
		MUST(write(ready[1], "k", 1) == 1);
		for (;;)
			pause();
	}
	MUST(read(ready[0], &c, 1) == 1);
	MUST(!say(ch, pid, 0, 0));
	pause();
}

TEST(death_of_the_app_but_not_of_its_child)
{
	struct words w;
	pid_t pid = start_app(have_a_child);

	REQUIRE(pid > 0 && !hear(peer, &w));
	REQUIRE(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	CHECK_EQ(vgpu_channel_wait(peer, never, NULL, 50), -ETIMEDOUT);
	kill(pid, SIGKILL);
	CHECK_EQ(vgpu_channel_wait(peer, never, NULL, WAIT_MS), -EPIPE);
	CHECK(vgpu_channel_lost(peer));
	CHECK_EQ(end_of(pid), -SIGKILL);
	CHECK_EQ(kill(w.a, SIGKILL), 0);
	CHECK_EQ(end_of(w.a), -SIGKILL);
	vgpu_channel_close(peer);
}

static void say_and_leave(struct vgpu_channel *ch)
{
	MUST(!say(ch, 1, 2, 3));
}

TEST(what_was_said_before_the_end)
{
	struct words w;
	pid_t pid = start_app(say_and_leave);

	REQUIRE(pid > 0);
	CHECK_EQ(end_of(pid), 0);
	CHECK_EQ(vgpu_channel_wait(peer, never, NULL, WAIT_MS), -EPIPE);
	CHECK_EQ(hear(peer, &w), 0);
	CHECK(w.a == 1 && w.b == 2 && w.c == 3);
	CHECK_EQ(hear(peer, &w), -EPIPE);
	vgpu_channel_close(peer);
}

/* A worker in a process of its own, which gets its end from the daemon. */
static pid_t start_worker(int *fd)
{
	struct words w;
	pid_t pid = fork();

	if (pid)
		return pid;
	*fd = device_accept(WAIT_MS);
	MUST(*fd >= 0);
	MUST(!vgpu_channel_adopt(&peer, *fd, &w, &(size_t){ sizeof(w) }, WAIT_MS));
	MUST(!vgpu_channel_answer(peer, "welcome", 7));
	MUST(!hear(peer, &w) && !say(peer, w.a + 1, 0, 0));
	pause();
	_exit(1);
}

TEST(death_of_the_peer)
{
	struct words w;
	pid_t pid;
	int fd;

	REQUIRE(device_listen() >= 0);
	pid = start_worker(&fd);
	REQUIRE(pid > 0 && !device_open(&app, &sizes));
	CHECK_EQ(say(app, 41, 0, 0), 0);
	CHECK_EQ(vgpu_channel_wait(app, never, NULL, 50), -ETIMEDOUT);
	kill(pid, SIGKILL);
	CHECK_EQ(vgpu_channel_wait(app, never, NULL, WAIT_MS), -EPIPE);
	CHECK_EQ(end_of(pid), -SIGKILL);
	CHECK_EQ(hear(app, &w), 0);
	CHECK_EQ(w.a, 42);
	CHECK_EQ(hear(app, &w), -EPIPE);
	/* Sending hurts nobody. */
	CHECK_EQ(say(app, 1, 1, 1), 0);
	vgpu_channel_close(app);
}

/* Whoever has a duplicate of it, a peer that closes is gone. */
TEST(close_of_the_peer)
{
	pid_t pid;

	REQUIRE(begin());
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	vgpu_channel_close(peer);
	CHECK_EQ(vgpu_channel_wait(app, never, NULL, WAIT_MS), -EPIPE);
	vgpu_channel_close(app);
	kill(pid, SIGKILL);
	CHECK_EQ(end_of(pid), -SIGKILL);
}

TEST(close_of_the_app)
{
	pid_t pid;

	REQUIRE(begin());
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	vgpu_channel_close(app);
	CHECK_EQ(vgpu_channel_wait(peer, never, NULL, WAIT_MS), -EPIPE);
	vgpu_channel_close(peer);
	kill(pid, SIGKILL);
	CHECK_EQ(end_of(pid), -SIGKILL);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
