/* SPDX-License-Identifier: MIT */
/* The socket that tells how things are: right for who reads, patient with nobody else. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "daemon/daemon.h"
#include "test.h"

#define READERS	16		/* as documented */

static char place[64], path[80];
static char *document;		/* that describe() makes; NULL: none */
static unsigned described;

static json_t *describe(void *arg)
{
	CHECK(arg == &described);
	described++;
	return document ? json_pack("{ss}", "is", document) : NULL;
}

static void set_document(size_t length)
{
	free(document);
	document = malloc(length + 1);
	for (size_t i = 0; i < length; i++)
		document[i] = 'a' + i % 23;
	document[length] = '\0';
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static struct vgpu_status *open_status(void)
{
	struct vgpu_status *s = NULL;

	CHECK_EQ(vgpu_status_open(&s, path, describe, &described), 0);
	return s;
}

/* Is there something to do within @ms? */
static bool is_ready(const struct vgpu_status *s, int ms)
{
	struct pollfd p = { .fd = vgpu_status_fd(s), .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* What a daemon does, until there is nothing more to do at once. */
static unsigned step_all(struct vgpu_status *s)
{
	unsigned steps = 0;

	for (; is_ready(s, 0) && steps < 10000; steps++)
		vgpu_status_step(s);
	return steps;
}

static int dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(a.sun_path, path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* What can be read now, behind what is there already; true: that was all of it. */
static bool take(int fd, char *to, size_t *have, size_t most)
{
	while (most) {
		ssize_t n = read(fd, to + *have, most);

		if (!n)
			return true;
		if (n < 0)
			return false;
		*have += n;
		most -= n;
	}
	return false;
}

static bool is_document(const char *text, size_t length)
{
	const size_t expected = strlen(document);

	return length == expected + 10 && !memcmp(text, "{\"is\":\"", 7) &&
	       !memcmp(text + 7, document, expected) && !memcmp(text + 7 + expected, "\"}\n", 3);
}

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* ---- who reads ---- */

TEST(a_document_and_the_end)
{
	struct vgpu_status *s = open_status();
	char text[256];
	size_t have = 0;
	struct stat st;
	int fd;

	REQUIRE(s);
	set_document(100);
	CHECK(!stat(path, &st) && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0666);
	CHECK(!is_ready(s, 0));
	fd = dial();
	REQUIRE(fd >= 0);
	CHECK_EQ(step_all(s), 1);
	CHECK(take(fd, text, &have, sizeof(text)));
	CHECK(is_document(text, have));
	close(fd);
	vgpu_status_close(s);
	CHECK(stat(path, &st) && errno == ENOENT);
}

TEST(a_document_larger_than_the_socket)
{
	struct vgpu_status *s = open_status();
	char *text = malloc(4 << 20);
	size_t have = 0;
	int fd;

	REQUIRE(s && text);
	set_document(3 << 20);
	fd = dial();
	vgpu_status_step(s);
	CHECK(!is_ready(s, 0));		/* it takes no more: nothing to do */
	for (unsigned i = 0; !take(fd, text, &have, 1 + rand() % 70000) && i < 10000; i++)
		step_all(s);
	CHECK(is_document(text, have));
	close(fd);
	vgpu_status_close(s);
	free(text);
}

/* Two that come one right after the other: how many documents were made for them. */
static unsigned serve_two(struct vgpu_status *s)
{
	int fds[2] = { dial(), dial() };

	described = 0;
	CHECK_EQ(step_all(s), 2);
	for (unsigned i = 0; i < 2; i++) {
		char text[256];
		size_t have = 0;

		CHECK(take(fds[i], text, &have, sizeof(text)) && is_document(text, have));
		close(fds[i]);
	}
	usleep(25000);
	return described;
}

TEST(a_document_serves_who_asks_at_the_same_time)
{
	struct vgpu_status *s = open_status();
	unsigned made = 0;

	REQUIRE(s);
	set_document(50);
	/* A busy machine may need longer between the two than a document lives. */
	for (unsigned i = 0; i < 20 && made != 1; i++)
		made = serve_two(s);
	CHECK_EQ(made, 1);
	CHECK(serve_two(s) >= 1);	/* later ones get a new one */
	vgpu_status_close(s);
}

TEST(no_document)
{
	struct vgpu_status *s = open_status();
	char text[16];
	size_t have = 0;
	int fd;

	REQUIRE(s);
	free(document);
	document = NULL;
	fd = dial();
	CHECK_EQ(step_all(s), 1);
	CHECK(take(fd, text, &have, sizeof(text)) && !have);
	close(fd);
	vgpu_status_close(s);
}

/* ---- who does not ---- */

TEST(who_waits_longest_makes_room)
{
	struct vgpu_status *s = open_status();
	char *text = malloc(4 << 20);
	int fds[READERS + 3];
	size_t have;

	REQUIRE(s && text);
	set_document(2 << 20);
	for (unsigned i = 0; i < READERS + 3; i++) {
		fds[i] = dial();
		vgpu_status_step(s);
	}
	for (unsigned i = 0; i < READERS + 3; i++) {
		bool ended = false;

		have = 0;
		for (unsigned n = 0; !ended && n < 1000; n++) {
			ended = take(fds[i], text, &have, 4 << 20);
			step_all(s);
		}
		CHECK(ended);
		CHECK_EQ(is_document(text, have), i >= 3);
		close(fds[i]);
	}
	vgpu_status_close(s);
	free(text);
}

TEST(who_reads_nothing_is_left_after_five_seconds)
{
	struct vgpu_status *s = open_status();
	char *text = malloc(4 << 20);
	const double start = seconds();
	size_t have = 0;
	int fd;

	REQUIRE(s && text);
	set_document(2 << 20);
	fd = dial();
	vgpu_status_step(s);
	while (!(seconds() - start > 4.5) && !is_ready(s, 4600))
		;
	CHECK(is_ready(s, 5000));
	CHECK(seconds() - start >= 4.99);
	step_all(s);
	CHECK(take(fd, text, &have, 4 << 20) && have < strlen(document));
	CHECK(!is_ready(s, 10));
	close(fd);
	vgpu_status_close(s);
	free(text);
}

/* One that behaves as its number says; true: it has what it should have. */
static bool behave(unsigned how, unsigned *seed, char *text)
{
	int fd = dial();
	size_t have = 0;
	bool right = true;

	if (fd < 0)
		return errno == EAGAIN;		/* too many wait already */
	switch (how % 5) {
	case 0:					/* leaves at once */
		break;
	case 1:					/* talks */
		right = send(fd, text, 4096, MSG_NOSIGNAL) > 0 || errno == EPIPE;
		break;
	case 2:					/* wants no answer */
		shutdown(fd, SHUT_RDWR);
		break;
	case 3:					/* takes a little and leaves */
		usleep(rand_r(seed) % 2000);
		take(fd, text, &have, rand_r(seed) % 5000);
		break;
	default:
		for (unsigned i = 0; i < 2000 && !take(fd, text, &have, 1 << 20); i++)
			usleep(1000);
		/* or made room for others: then it has a part */
		right = have <= strlen(document) + 10 &&
			!memcmp(text, "{\"is\":\"", have < 7 ? have : 7);
	}
	close(fd);
	return right;
}

static void *visitors(void *arg)
{
	unsigned seed = (uintptr_t)arg;
	char *text = calloc(1, 2 << 20);
	uintptr_t wrong = 0;

	for (unsigned i = 0; text && i < 250; i++)
		wrong += !behave(rand_r(&seed), &seed, text);
	free(text);
	return (void *)wrong;
}

TEST(a_thousand_of_all_sorts)
{
	struct vgpu_status *s = open_status();
	const unsigned before = open_files();
	char text[256];
	pthread_t threads[4];
	size_t have = 0;
	unsigned left = 4;
	void *wrong;
	int fd;

	REQUIRE(s);
	set_document(700000);
	for (uintptr_t i = 0; i < 4; i++)
		REQUIRE(!pthread_create(&threads[i], NULL, visitors, (void *)(i + 1)));
	while (left) {
		if (is_ready(s, 20))
			vgpu_status_step(s);
		if (!pthread_tryjoin_np(threads[left - 1], &wrong)) {
			CHECK_EQ((uintptr_t)wrong, 0);
			left--;
		}
	}
	step_all(s);
	CHECK_EQ(open_files(), before);
	set_document(10);
	usleep(25000);
	fd = dial();
	step_all(s);
	CHECK(take(fd, text, &have, sizeof(text)) && is_document(text, have));
	close(fd);
	vgpu_status_close(s);
}

/* ---- a daemon in trouble ---- */

TEST(without_descriptors_it_does_not_spin)
{
	struct vgpu_status *s = open_status();
	struct rlimit old, none;
	char text[256];
	size_t have = 0;
	int fd;

	REQUIRE(s);
	set_document(10);
	fd = dial();
	getrlimit(RLIMIT_NOFILE, &old);
	none = old;
	none.rlim_cur = fd;
	setrlimit(RLIMIT_NOFILE, &none);
	CHECK(is_ready(s, 0));
	CHECK_EQ(step_all(s), 1);
	setrlimit(RLIMIT_NOFILE, &old);
	CHECK(is_ready(s, 5000));	/* tries again */
	step_all(s);
	CHECK(take(fd, text, &have, sizeof(text)) && is_document(text, have));
	close(fd);
	vgpu_status_close(s);
}

TEST(places)
{
	struct vgpu_status *s, *other;
	char long_path[200];
	FILE *file;

	vgpu_log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
	s = open_status();
	REQUIRE(s);
	CHECK_EQ(vgpu_status_open(&other, path, describe, &described), -EADDRINUSE);
	vgpu_status_close(s);
	file = fopen(path, "w");
	REQUIRE(file);
	fclose(file);
	CHECK_EQ(vgpu_status_open(&other, path, describe, &described), -EEXIST);
	unlink(path);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	CHECK_EQ(vgpu_status_open(&other, long_path, describe, &described), -ENAMETOOLONG);
	s = open_status();	/* none of these left anything */
	REQUIRE(s);
	vgpu_status_close(s);
}

TEST(what_a_dead_daemon_left_is_replaced)
{
	struct vgpu_status *s;
	struct stat st;
	int status, fd;
	pid_t pid = fork();

	if (!pid) {
		open_status();
		_exit(0);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && !stat(path, &st));
	s = open_status();
	REQUIRE(s);
	fd = dial();
	CHECK(fd >= 0);
	close(fd);
	vgpu_status_close(s);
}

int main(int argc, char **argv)
{
	int result;

	strcpy(place, "/tmp/vgpu-status-XXXXXX");
	if (!mkdtemp(place))
		return 1;
	snprintf(path, sizeof(path), "%s/status", place);
	result = test_main(argc, argv);
	strcat(path, ".lock");
	unlink(path);
	rmdir(place);
	free(document);
	return result;
}
