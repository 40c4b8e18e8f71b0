// SPDX-License-Identifier: MIT
/*
 * Host memory both sides see, and the app's own memory by address.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/message.h"
#include "channel/socket.h"
#include "test.h"

static const struct vgpu_ring_sizes small = {
	.sq = 4096, .cq = 4096, .up = 4096, .down = 4096,
};

static struct vgpu_channel *app, *peer;

static bool begin(void)
{
	return !vgpu_channel_pair(&app, &peer, &small);
}

static void end(void)
{
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

TEST(hostmem_is_shared)
{
	uint64_t handle;
	char *a;
	void *p;

	REQUIRE(begin());
	REQUIRE(!vgpu_hostmem_create(app, 8192, (void **)&a, &handle));
	strcpy(a + 5000, "from the app");
	REQUIRE(!vgpu_hostmem_map(peer, handle, 8192, NULL, &p));
	CHECK(!strcmp((char *)p + 5000, "from the app"));
	strcpy(p, "from the peer");
	CHECK(!strcmp(a, "from the peer"));
	/* A handle is good for one mapping. */
	CHECK_EQ(vgpu_hostmem_map(peer, handle, 8192, NULL, &p), -ENOENT);
	vgpu_hostmem_unmap(peer, p, 8192);
	vgpu_hostmem_destroy(app, a, 8192, handle);
	end();
}

TEST(hostmem_at_a_hint)
{
	void *a, *b, *p, *q, *free_range;
	uint64_t ha, hb;

	REQUIRE(begin());
	free_range = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(free_range, 4096);
	REQUIRE(!vgpu_hostmem_create(app, 4096, &a, &ha));
	REQUIRE(!vgpu_hostmem_create(app, 4096, &b, &hb));
	/* In the other order, and over memory that is taken. */
	REQUIRE(!vgpu_hostmem_map(peer, hb, 4096, a, &p));
	CHECK(p != a);
	munmap(p, 4096);
	REQUIRE(!vgpu_hostmem_map(peer, ha, 4096, p, &q));
	CHECK(q == p);
	vgpu_hostmem_unmap(peer, q, 4096);
	vgpu_hostmem_destroy(app, a, 4096, ha);
	vgpu_hostmem_destroy(app, b, 4096, hb);
	end();
}

TEST(hostmem_refusals)
{
	uint64_t handle;
	void *a, *p;

	REQUIRE(begin());
	CHECK_EQ(vgpu_hostmem_create(app, 0, &a, &handle), -EINVAL);
	CHECK_EQ(vgpu_hostmem_create(app, 4097, &a, &handle), -EINVAL);
	CHECK_EQ(vgpu_hostmem_map(peer, 77, 4096, NULL, &p), -ENOENT);
	CHECK_EQ(vgpu_hostmem_map(app, 1, 4096, NULL, &p), -EINVAL);
	CHECK(!vgpu_channel_lost(peer));
	REQUIRE(!vgpu_hostmem_create(app, 4096, &a, &handle));
	CHECK_EQ(vgpu_hostmem_map(peer, handle, 8192, NULL, &p), -EINVAL);
	vgpu_hostmem_destroy(app, a, 4096, handle);
	end();
}

static int announce(int fd, uint64_t handle, uint64_t size)
{
	struct message_hostmem body = { handle, size };
	struct message m = {
		.kind = MESSAGE_HOSTMEM, .body = &body, .length = sizeof(body),
		.fds = { fd }, .nfds = 1,
	};

	return vgpu_message_send(to_socket(app)->sock, &m, clock_now());
}

/* What could be cut off under the peer is not mapped. */
TEST(hostmem_unsealed)
{
	int fd = memfd_create("test", MFD_ALLOW_SEALING);
	void *p;

	REQUIRE(begin());
	REQUIRE(!ftruncate(fd, 4096));
	CHECK_EQ(announce(fd, 1, 4096), 0);
	CHECK_EQ(vgpu_hostmem_map(peer, 1, 4096, NULL, &p), -EINVAL);
	/* Sealed, but smaller than promised. */
	REQUIRE(!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	CHECK_EQ(announce(fd, 2, 8192), 0);
	CHECK_EQ(vgpu_hostmem_map(peer, 2, 8192, NULL, &p), -EINVAL);
	CHECK(!vgpu_channel_lost(peer));
	close(fd);
	end();
}

TEST(hostmem_announced_twice)
{
	int fd = vgpu_memory_make("test", 4096);
	void *p;

	REQUIRE(begin());
	CHECK_EQ(announce(fd, 1, 4096), 0);
	CHECK_EQ(announce(fd, 1, 4096), 0);
	CHECK_EQ(vgpu_hostmem_map(peer, 2, 4096, NULL, &p), -EPROTO);
	CHECK(vgpu_channel_fault(peer));
	close(fd);
	end();
}

TEST(hostmem_never_claimed)
{
	int fd = vgpu_memory_make("test", 4096), err = 0, n;
	void *p;

	REQUIRE(begin());
	for (n = 0; n < 2 * UNCLAIMED_MAX && !err; n++) {
		REQUIRE(!announce(fd, n + 1, 4096));
		err = vgpu_hostmem_map(peer, ~0ull, 4096, NULL, &p);
		if (err == -ENOENT)
			err = 0;
	}
	CHECK_EQ(err, -EPROTO);
	CHECK_EQ(n, UNCLAIMED_MAX + 1);
	close(fd);
	end();
}

TEST(hostmem_junk_on_the_socket)
{
	void *p;

	REQUIRE(begin());
	CHECK_EQ(write(to_socket(app)->sock, "junk", 4), 4);
	CHECK_EQ(vgpu_hostmem_map(peer, 1, 4096, NULL, &p), -EPROTO);
	CHECK(vgpu_channel_fault(peer));
	end();
}

/* ---- the app's own memory, in another process ---- */

/* A child with @size bytes of @fill at the address this returns. */
static pid_t make_app(char **at, size_t size, int fill)
{
	pid_t pid;

	*at = mmap(NULL, size + 4096, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(*at + size, 4096);
	memset(*at, fill, size);
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	memset(*at, 0, size);
	return pid;
}

TEST(app_memory)
{
	size_t size = 3 << 20;
	char *at, *buf = malloc(size);
	pid_t pid;

	REQUIRE(begin());
	pid = make_app(&at, size, 'a');
	peer->pid = pid;
	to_socket(peer)->pidfd = syscall(SYS_pidfd_open, pid, 0);
	CHECK_EQ(vgpu_app_read(peer, buf, (uintptr_t)at, size), 0);
	CHECK(buf[0] == 'a' && buf[size - 1] == 'a');
	memset(buf, 'b', size);
	CHECK_EQ(vgpu_app_write(peer, (uintptr_t)at + 1, buf, size - 1), 0);
	CHECK_EQ(vgpu_app_read(peer, buf, (uintptr_t)at, size), 0);
	CHECK(buf[0] == 'a' && buf[1] == 'b' && buf[size - 1] == 'b');
	CHECK_EQ(vgpu_app_read(peer, buf, 0, 0), 0);
	/* The hole behind it, at once and after a part that is there. */
	CHECK_EQ(vgpu_app_read(peer, buf, (uintptr_t)at + size, 1), -EFAULT);
	CHECK_EQ(vgpu_app_read(peer, buf, (uintptr_t)at + 1, size), -EFAULT);
	CHECK_EQ(vgpu_app_write(peer, 16, buf, 1), -EFAULT);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK_EQ(vgpu_app_read(peer, buf, (uintptr_t)at, 1), -ESRCH);
	free(buf);
	munmap(at, size);
	end();
}

TEST(app_memory_unknown_process)
{
	char c;

	REQUIRE(begin());
	peer->pid = 0;
	CHECK_EQ(vgpu_app_read(peer, &c, (uintptr_t)&c, 1), -ESRCH);
	end();
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
