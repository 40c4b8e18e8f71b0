// SPDX-License-Identifier: MIT
/*
 * Setting up a channel over a socket: what connect and accept agree on, and
 * every message that must be refused without leaking a descriptor. What the
 * hello and the answer may be is in hello.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/internal.h"
#include "channel/message.h"
#include "test.h"

static const struct vgpu_ring_sizes sizes = VGPU_DEFAULT_SIZES;
static char path[64];

static int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int listen_at(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(path, sizeof(path), "/tmp/vgpu-test-%d.sock", getpid());
	strcpy(addr.sun_path, path);
	unlink(path);
	if (bind(fd, (void *)&addr, sizeof(addr)) || listen(fd, 4))
		return -1;
	return fd;
}

struct server {
	int			listener;
	struct vgpu_channel	*ch;
	char			hello[64];
	size_t			len;
	int			err;
};

static void *serve(void *arg)
{
	struct server *s = arg;

	s->len = sizeof(s->hello);
	s->err = vgpu_channel_accept(&s->ch, accept(s->listener, NULL, NULL),
				     s->hello, &s->len, 5000);
	if (!s->err)
		s->err = vgpu_channel_answer(s->ch, "welcome", 7);
	return NULL;
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

/* Each side writes its half, from the first byte to the last. */
static void check_protection(struct vgpu_channel *app, struct vgpu_channel *peer)
{
	for (int half = VGPU_SIDE_APP; half <= VGPU_SIDE_PEER; half++) {
		size_t size = app->memory->size[half], at[] = { 64, 4096, size - 1 };

		CHECK_EQ(peer->memory->size[half], size);
		for (int i = 0; i < 3; i++) {
			CHECK_EQ(writable(app->memory->half[half] + at[i]),
				 half == VGPU_SIDE_APP);
			CHECK_EQ(writable(peer->memory->half[half] + at[i]),
				 half == VGPU_SIDE_PEER);
		}
	}
}

TEST(connect_and_accept)
{
	struct server s = { .listener = listen_at() };
	struct vgpu_channel *app;
	int files = open_files();
	char answer[16];
	size_t len = sizeof(answer);
	pthread_t thread;

	REQUIRE(s.listener >= 0);
	pthread_create(&thread, NULL, serve, &s);
	CHECK_EQ(vgpu_channel_connect(&app, path, &sizes, "hello there", 11,
				      answer, &len, 5000), 0);
	pthread_join(thread, NULL);
	REQUIRE(s.err == 0);
	CHECK(s.len == 11 && !memcmp(s.hello, "hello there", 11));
	CHECK(len == 7 && !memcmp(answer, "welcome", 7));
	CHECK_EQ(vgpu_channel_peer_pid(app), getpid());
	CHECK_EQ(vgpu_channel_peer_pid(s.ch), getpid());
	check_protection(app, s.ch);
	vgpu_channel_close(app);
	vgpu_channel_close(s.ch);
	CHECK_EQ(open_files(), files);
	close(s.listener);
	unlink(path);
}

/*
 * What an app and a fork child of it do: the child cannot reach the rings,
 * holds on to the socket, and lives longer than the app.
 */
static void be_the_app(int *end)
{
	struct vgpu_channel *app;
	char answer[16], c;
	size_t len = sizeof(answer);

	close(end[0]);
	if (vgpu_channel_connect(&app, path, &sizes, "", 0, answer, &len, 5000))
		_exit(1);
	if (fork())
		for (;;)
			pause();
	/* One byte if all is well, then wait until the test is over. */
	if (!writable(app->memory->half[VGPU_SIDE_APP]) && write(end[1], "k", 1) == 1)
		c = read(end[1], &c, 1);
	_exit(0);
}

static bool never(void *arg)
{
	return false;
}

TEST(death_of_the_app_but_not_of_its_child)
{
	struct server s = { .listener = listen_at() };
	int end[2], files = open_files();
	pid_t pid;
	char c = 0;

	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM, 0, end));
	pid = fork();
	if (!pid)
		be_the_app(end);
	close(end[1]);
	serve(&s);
	REQUIRE(s.err == 0);
	CHECK_EQ(vgpu_channel_peer_pid(s.ch), pid);
	CHECK(read(end[0], &c, 1) == 1 && c == 'k');
	CHECK_EQ(vgpu_channel_wait(s.ch, never, NULL, 20), -ETIMEDOUT);
	kill(pid, SIGKILL);
	CHECK_EQ(vgpu_channel_wait(s.ch, never, NULL, 20000), -EPIPE);
	waitpid(pid, NULL, 0);
	CHECK_EQ(vgpu_app_read(s.ch, &c, (uintptr_t)&c, 1), -ESRCH);
	vgpu_channel_close(s.ch);
	close(end[0]);
	CHECK_EQ(open_files(), files);
	close(s.listener);
	unlink(path);
}

TEST(connect_refusals)
{
	struct vgpu_ring_sizes odd = sizes;
	struct vgpu_channel *app;
	char answer[4], longpath[200];
	size_t len = sizeof(answer);
	int files = open_files(), fd;

	CHECK_EQ(vgpu_channel_connect(&app, "/nonexistent/x", &sizes, "", 0,
				      answer, &len, 100), -ENOENT);
	memset(longpath, 'x', sizeof(longpath));
	longpath[199] = 0;
	CHECK_EQ(vgpu_channel_connect(&app, longpath, &sizes, "", 0,
				      answer, &len, 100), -ENAMETOOLONG);
	odd.up = 5000;
	CHECK_EQ(vgpu_channel_connect(&app, path, &odd, "", 0, answer, &len, 100), -EINVAL);
	fd = listen_at();
	/* Nobody accepts. */
	CHECK_EQ(vgpu_channel_connect(&app, path, &sizes, "", 0, answer, &len, 50),
		 -ETIMEDOUT);
	close(fd);
	CHECK_EQ(vgpu_channel_connect(&app, path, &sizes, "", 0, answer, &len, 50),
		 -ECONNREFUSED);
	unlink(path);
	CHECK_EQ(open_files(), files);
}

static void *hang_up(void *arg)
{
	int fd = accept(*(int *)arg, NULL, NULL);

	close(fd);
	return NULL;
}

TEST(server_hangs_up_without_an_answer)
{
	int fd = listen_at(), files = open_files();
	struct vgpu_channel *app;
	char answer[4];
	size_t len = sizeof(answer);
	pthread_t thread;

	pthread_create(&thread, NULL, hang_up, &fd);
	CHECK_EQ(vgpu_channel_connect(&app, path, &sizes, "", 0, answer, &len, 5000),
		 -EPIPE);
	pthread_join(thread, NULL);
	CHECK_EQ(open_files(), files);
	close(fd);
	unlink(path);
}

/* ---- set-ups made by hand ---- */

struct setup {
	struct message_header	head;
	struct vgpu_ring_sizes	sizes;
	char			more[8];
};

#define SETUP_LENGTH	(sizeof(struct message_header) + sizeof(struct vgpu_ring_sizes))

static struct setup good_setup(void)
{
	return (struct setup){
		.head = { MESSAGE_MAGIC, MESSAGE_VERSION, MESSAGE_SETUP, sizeof(sizes), 0 },
		.sizes = VGPU_DEFAULT_SIZES,
	};
}

/* Send @len bytes of @m with @fds, which are closed. */
static bool send_setup(int sock, struct setup *m, size_t len, int *fds, int n)
{
	struct iovec iov = { m, len };
	struct { _Alignas(8) char room[CMSG_SPACE(16 * sizeof(int))]; } control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (n) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	sent = sendmsg(sock, &msg, 0);
	vgpu_message_close(fds, n);
	return sent == (ssize_t)len;
}

static int accept_setup(struct setup *m, size_t len, int *fds, int n)
{
	struct vgpu_channel *ch;
	char got[64];
	size_t got_len = sizeof(got);
	int sock[2], err, before;

	for (before = 0; before < n && fds[before] >= 0; before++)
		;
	if (before != n || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock))
		return -1000;
	if (!send_setup(sock[0], m, len, fds, n))
		return -1001;
	err = vgpu_channel_accept(&ch, sock[1], got, &got_len, 200);
	if (!err) {
		CHECK(got_len == 5 && !memcmp(got, "hello", 5));
		vgpu_channel_close(ch);
	}
	close(sock[0]);
	return err;
}

static size_t app_half(void)
{
	return VGPU_PAGE_SIZE + sizes.sq + sizes.up;
}

static size_t memory_size(void)
{
	return app_half() + VGPU_PAGE_SIZE + sizes.cq + sizes.down;
}

/* A hello where the layout says that the app's first record is. */
static bool write_hello(int fd)
{
	struct { struct greeting g; char bytes[8]; } hello = {
		.g.head = { .length = sizeof(hello), .opcode = VGPU_OP_HELLO, .seq = 1 },
		.g.length = 5, .bytes = "hello",
	};
	uint64_t tail = sizeof(hello);

	return pwrite(fd, &hello, sizeof(hello), VGPU_PAGE_SIZE) == sizeof(hello) &&
	       pwrite(fd, &tail, sizeof(tail), 0) == sizeof(tail);
}

/* With a hello in it, if it is large enough. */
static int memory(size_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if ((size && !write_hello(fd)) || ftruncate(fd, size) ||
	    (seals && fcntl(fd, F_ADD_SEALS, seals)))
		return -1;
	return fd;
}

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* The peer's half as the page on the layout says, seen from outside. */
static void check_answer(int fd)
{
	struct { struct greeting g; char bytes[8]; } got;
	uint64_t tail = 0, head = 0;

	CHECK_EQ(pread(fd, &tail, 8, app_half()), 8);
	CHECK_EQ(tail, sizeof(got));
	CHECK_EQ(pread(fd, &head, 8, app_half() + offsetof(struct vgpu_ctrl_peer, sq_head)), 8);
	CHECK_EQ(head, 32);
	CHECK_EQ(pread(fd, &got, sizeof(got), app_half() + VGPU_PAGE_SIZE), sizeof(got));
	CHECK(got.g.head.opcode == VGPU_OP_ANSWER && got.g.head.seq == 1);
	CHECK(got.g.length == 7 && !memcmp(got.bytes, "welcome", 8));
}

TEST(layout_of_the_memory)
{
	struct setup m = good_setup();
	int fd = memory(memory_size(), SEALS), files = open_files(), sock[2];
	struct vgpu_channel *ch;
	char got[8];
	size_t len = sizeof(got), size;
	uint64_t pos;

	REQUIRE(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock));
	REQUIRE(send_setup(sock[0], &m, SETUP_LENGTH,
			   (int[]){ dup(fd), eventfd(0, 0), eventfd(0, 0) }, 3));
	REQUIRE(!vgpu_channel_accept(&ch, sock[1], got, &len, 1000));
	CHECK(len == 5 && !memcmp(got, "hello", 5));
	CHECK_EQ(vgpu_channel_answer(ch, "welcome", 7), 0);
	check_answer(fd);
	/* The bulk rings lie behind those of records. */
	memcpy(vgpu_bytes_reserve(ch, 4, &pos), "down", 4);
	CHECK_EQ(pread(fd, got, 4, app_half() + VGPU_PAGE_SIZE + sizes.cq), 4);
	CHECK(!memcmp(got, "down", 4));
	CHECK_EQ(pwrite(fd, "up", 2, VGPU_PAGE_SIZE + sizes.sq), 2);
	CHECK(!memcmp(vgpu_bytes_ring(ch, true, &size), "up", 2));
	CHECK_EQ(size, sizes.up);
	vgpu_channel_close(ch);
	close(sock[0]);
	CHECK_EQ(open_files(), files);
	close(fd);
}

/* A good set-up but for the memory descriptor. */
static int with_memory(int fd)
{
	struct setup m = good_setup();
	int fds[3] = { fd, eventfd(0, 0), eventfd(0, 0) };

	return accept_setup(&m, SETUP_LENGTH, fds, 3);
}

TEST(setup_memory)
{
	int files = open_files();

	CHECK_EQ(with_memory(memory(memory_size(), SEALS)), 0);
	CHECK_EQ(with_memory(memory(memory_size(), 0)), -EPROTO);
	CHECK_EQ(with_memory(memory(memory_size(), F_SEAL_SHRINK | F_SEAL_SEAL)), -EPROTO);
	CHECK_EQ(with_memory(memory(memory_size(), F_SEAL_SHRINK | F_SEAL_GROW)), -EPROTO);
	CHECK_EQ(with_memory(memory(memory_size(), SEALS | F_SEAL_FUTURE_WRITE)), -EPROTO);
	CHECK_EQ(with_memory(memory(memory_size(), SEALS | F_SEAL_WRITE)), -EPROTO);
	CHECK_EQ(with_memory(memory(memory_size() - VGPU_PAGE_SIZE, SEALS)), -EPROTO);
	CHECK_EQ(with_memory(memory(memory_size() + 1, SEALS)), -EPROTO);
	CHECK_EQ(with_memory(memory(0, SEALS)), -EPROTO);
	CHECK_EQ(with_memory(open("/dev/zero", O_RDWR)), -EPROTO);
	CHECK_EQ(with_memory(open("/proc/self/exe", O_RDONLY)), -EPROTO);
	CHECK_EQ(with_memory(eventfd(0, 0)), -EPROTO);
	CHECK_EQ(open_files(), files);
}

/* A read-only descriptor of good memory, which cannot be mapped for writing. */
TEST(setup_memory_read_only)
{
	char name[32];
	int files = open_files(), fd = memory(memory_size(), SEALS), ro;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ro = open(name, O_RDONLY);
	REQUIRE(ro >= 0);
	CHECK_EQ(with_memory(ro), -EACCES);
	close(fd);
	CHECK_EQ(open_files(), files);
}

TEST(setup_descriptors)
{
	int files = open_files(), e = eventfd(0, 0), p[2];
	struct setup m = good_setup();

	REQUIRE(!pipe(p));
	CHECK_EQ(accept_setup(&m, SETUP_LENGTH, NULL, 0), -EPROTO);
	for (int n = 1; n <= 12; n++) {
		int fds[12];

		fds[0] = memory(memory_size(), SEALS);
		for (int i = 1; i < n; i++)
			fds[i] = dup(e);
		CHECK_EQ(accept_setup(&m, SETUP_LENGTH, fds, n), n == 3 ? 0 : -EPROTO);
	}
	/* A pipe is no bell. */
	CHECK_EQ(accept_setup(&m, SETUP_LENGTH, (int[]){ memory(memory_size(), SEALS),
							 dup(p[0]), dup(e) }, 3), -EPROTO);
	CHECK_EQ(accept_setup(&m, SETUP_LENGTH, (int[]){ memory(memory_size(), SEALS),
							 dup(e), dup(p[1]) }, 3), -EPROTO);
	close(p[0]);
	close(p[1]);
	close(e);
	CHECK_EQ(open_files(), files);
}

static int with_header(struct setup *m, size_t len)
{
	int fds[3] = { memory(memory_size(), SEALS), eventfd(0, 0), eventfd(0, 0) };

	return accept_setup(m, len, fds, 3);
}

TEST(setup_header)
{
	int files = open_files();
	struct setup m = good_setup();

	CHECK_EQ(with_header(&m, SETUP_LENGTH), 0);
	CHECK_EQ(with_header(&m, SETUP_LENGTH - 1), -EPROTO);
	CHECK_EQ(with_header(&m, SETUP_LENGTH + 1), -EPROTO);
	CHECK_EQ(with_header(&m, 3), -EPROTO);
	m.head.magic++;
	CHECK_EQ(with_header(&m, SETUP_LENGTH), -EPROTO);
	m = good_setup();
	m.head.version++;
	CHECK_EQ(with_header(&m, SETUP_LENGTH), -EPROTO);
	m = good_setup();
	m.head.kind = MESSAGE_HOSTMEM;
	CHECK_EQ(with_header(&m, SETUP_LENGTH), -EPROTO);
	m = good_setup();
	m.head.reserved = 1;
	CHECK_EQ(with_header(&m, SETUP_LENGTH), -EPROTO);
	/* A length that is as it says, but not that of a set-up. */
	m = good_setup();
	m.head.length = sizeof(sizes) - 8;
	CHECK_EQ(with_header(&m, SETUP_LENGTH - 8), -EPROTO);
	m.head.length = sizeof(sizes) + 8;
	CHECK_EQ(with_header(&m, SETUP_LENGTH + 8), -EPROTO);
	CHECK_EQ(open_files(), files);
}

TEST(setup_ring_sizes)
{
	static const uint32_t bad[] = { 0, 1, 2048, 4097, 12288, VGPU_RING_MAX * 2,
					0x80000000u, 0xffffffffu };
	struct setup m;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (int ring = 0; ring < 4; ring++) {
			m = good_setup();
			(&m.sizes.sq)[ring] = bad[i];
			CHECK_EQ(with_header(&m, SETUP_LENGTH), -EPROTO);
		}
	}
}

TEST(setup_that_does_not_come)
{
	int sock[2], files = open_files();
	struct vgpu_channel *ch;
	char buf[8];
	size_t len = sizeof(buf);

	REQUIRE(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock));
	CHECK_EQ(vgpu_channel_accept(&ch, sock[1], buf, &len, 30), -ETIMEDOUT);
	close(sock[0]);
	REQUIRE(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock));
	close(sock[0]);
	CHECK_EQ(vgpu_channel_accept(&ch, sock[1], buf, &len, 1000), -EPIPE);
	CHECK_EQ(open_files(), files);
}

/* Good memory, but the app never says hello in it; or hangs up instead. */
TEST(setup_without_a_hello)
{
	static const uint64_t none;
	int sock[2], files = open_files();
	struct setup m = good_setup();
	struct vgpu_channel *ch;
	char buf[8];
	size_t len = sizeof(buf);

	for (int hang_up = 0; hang_up < 2; hang_up++) {
		int fds[3] = { memory(memory_size(), SEALS), eventfd(0, 0), eventfd(0, 0) };

		REQUIRE(pwrite(fds[0], &none, sizeof(none), 0) == sizeof(none));
		REQUIRE(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock));
		REQUIRE(send_setup(sock[0], &m, SETUP_LENGTH, fds, 3));
		if (hang_up)
			shutdown(sock[0], SHUT_RDWR);
		CHECK_EQ(vgpu_channel_accept(&ch, sock[1], buf, &len, hang_up ? 20000 : 50),
			 hang_up ? -EPIPE : -ETIMEDOUT);
		close(sock[0]);
	}
	CHECK_EQ(open_files(), files);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
