/* SPDX-License-Identifier: MIT */
/*
 * The program: its socket, whom it serves and whom not, and who ends with whom.
 * Run from a build folder, on the software GPU there.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "proto/proto.h"
#include "gen/calls.h"
#include "test.h"

#define WAIT_MS	20000

static char program[PATH_MAX], driver[PATH_MAX], folder[64], place[96];

/* ---- servers ---- */

static pid_t start(int *out, const char *option, const char *value)
{
	char cache[96];
	int ends[2];
	pid_t pid;

	snprintf(cache, sizeof(cache), "%s/cache", folder);
	if (pipe2(ends, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(ends[1], STDOUT_FILENO);
		if (!freopen("/dev/null", "w", stderr))
			_exit(127);
		execl(program, program, "--socket", place, "--libcuda", driver, "--cache", cache,
		      "--ctl", "none", option, value, NULL);
		_exit(127);
	}
	close(ends[1]);
	*out = ends[0];
	return pid;
}

static int status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* A server that is ready; what it said is checked. */
static pid_t serve(const char *option, const char *value)
{
	char line[256] = "", expect[160];
	int out;
	pid_t pid = start(&out, option, value);
	ssize_t n = read(out, line, sizeof(line) - 1);

	close(out);
	snprintf(expect, sizeof(expect), "vgpu-server: ready on %s, driver ", place);
	CHECK(n > 0 && !strncmp(line, expect, strlen(expect)));
	CHECK(strstr(line, " devices\n"));
	return pid;
}

static int end(pid_t pid)
{
	kill(pid, SIGTERM);
	return status_of(pid);
}

/* ---- clients ---- */

static int hello(struct vgpu_channel **ch, struct vgpu_answer *a, unsigned version)
{
	const struct vgpu_ring_sizes sizes = VGPU_DEFAULT_SIZES;
	static struct vgpu_hello h;
	size_t length = sizeof(*a);

	memset(&h, 0, sizeof(h));
	h.magic = VGPU_HELLO_MAGIC;
	h.version = version;
	memcpy(h.opcodes, vgpu_call_opcodes, sizeof(h.opcodes));
	return vgpu_channel_connect(ch, place, &sizes, &h, vgpu_hello_length(0), a, &length,
				    WAIT_MS);
}

/* A session, or NULL. */
static struct vgpu_channel *session(struct vgpu_answer *a)
{
	struct vgpu_channel *ch;

	if (hello(&ch, a, VGPU_HELLO_VERSION))
		return NULL;
	if (!a->status)
		return ch;
	vgpu_channel_close(ch);
	return NULL;
}

static bool never(void *arg)
{
	return false;
}

static bool lost(struct vgpu_channel *ch)
{
	return vgpu_channel_wait(ch, never, NULL, WAIT_MS) == -EPIPE;
}

static bool gone(pid_t pid)
{
	for (int i = 0; i < 200; i++) {
		if (kill(pid, 0))
			return true;
		usleep(10000);
	}
	return false;
}

/* ---- tests ---- */

TEST(a_session)
{
	struct vgpu_channel *ch;
	struct vgpu_answer a;
	pid_t server = serve(NULL, NULL);

	ch = session(&a);
	REQUIRE(ch);
	CHECK(a.ndevices > 0);
	CHECK(a.driver_version >= 12000);
	CHECK(a.opcodes[VGPU_OP_cuLaunchKernelEx / 8] >> VGPU_OP_cuLaunchKernelEx % 8 & 1);
	CHECK(!(a.opcodes[0] & 1));
	CHECK(!kill(a.worker_pid, 0));
	vgpu_channel_close(ch);
	CHECK(gone(a.worker_pid));
	CHECK_EQ(end(server), 0);
	CHECK(access(place, F_OK));
}

TEST(another_version_is_refused)
{
	struct vgpu_channel *ch;
	struct vgpu_answer a;
	pid_t server = serve(NULL, NULL);

	CHECK_EQ(hello(&ch, &a, VGPU_HELLO_VERSION + 1), 0);
	CHECK(a.status != 0);
	CHECK(strstr(a.text, "version"));
	vgpu_channel_close(ch);
	CHECK_EQ(end(server), 0);
}

TEST(who_says_nothing_holds_up_nobody)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct vgpu_channel *ch;
	struct vgpu_answer a;
	int silent[20];
	pid_t server = serve(NULL, NULL);

	strcpy(at.sun_path, place);
	for (int i = 0; i < 20; i++) {
		silent[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		CHECK_EQ(connect(silent[i], (struct sockaddr *)&at, sizeof(at)), 0);
	}
	ch = session(&a);
	CHECK(ch);
	vgpu_channel_close(ch);
	for (int i = 0; i < 20; i++)
		close(silent[i]);
	CHECK_EQ(end(server), 0);
}

TEST(a_full_server_says_so)
{
	struct vgpu_channel *first, *second = NULL;
	struct vgpu_answer a;
	pid_t server = serve("--max-sessions", "1");

	first = session(&a);
	REQUIRE(first);
	CHECK(!session(&a));
	CHECK_EQ(a.status, 46);		/* CUDA_ERROR_DEVICE_UNAVAILABLE */
	CHECK(strstr(a.text, "sessions"));
	vgpu_channel_close(first);
	for (int i = 0; i < 100 && !second; i++) {
		second = session(&a);
		usleep(10000);
	}
	CHECK(second);
	vgpu_channel_close(second);
	CHECK_EQ(end(server), 0);
}

TEST(one_server_at_a_place)
{
	pid_t server = serve(NULL, NULL), other;
	struct vgpu_channel *ch;
	struct vgpu_answer a;
	int out;

	other = start(&out, NULL, NULL);
	CHECK_EQ(status_of(other), 1);
	close(out);
	ch = session(&a);
	CHECK(ch);
	vgpu_channel_close(ch);
	CHECK_EQ(end(server), 0);
}

TEST(what_a_dead_server_left_is_replaced)
{
	pid_t server = serve(NULL, NULL);
	struct vgpu_channel *ch;
	struct vgpu_answer a;

	kill(server, SIGKILL);
	CHECK_EQ(status_of(server), 256 + SIGKILL);
	CHECK(!access(place, F_OK));
	server = serve(NULL, NULL);
	ch = session(&a);
	CHECK(ch);
	vgpu_channel_close(ch);
	CHECK_EQ(end(server), 0);
}

TEST(what_is_no_socket_is_left_alone)
{
	pid_t server;
	int out;

	close(open(place, O_CREAT | O_WRONLY, 0600));
	server = start(&out, NULL, NULL);
	CHECK_EQ(status_of(server), 1);
	close(out);
	CHECK(!access(place, F_OK));
	unlink(place);
}

TEST(who_may_connect)
{
	pid_t server = serve(NULL, NULL);
	struct stat st;

	CHECK_EQ(stat(place, &st), 0);
	CHECK_EQ(st.st_mode & 07777, geteuid() ? 0600 : 0666);
	CHECK_EQ(end(server), 0);
}

TEST(workers_end_with_their_server)
{
	pid_t server = serve(NULL, NULL);
	struct vgpu_channel *ch;
	struct vgpu_answer a;

	ch = session(&a);
	REQUIRE(ch);
	kill(server, SIGKILL);
	CHECK_EQ(status_of(server), 256 + SIGKILL);
	CHECK(lost(ch));
	CHECK(gone(a.worker_pid));
	vgpu_channel_close(ch);
	/* Asked to end, it sees to it that they do. */
	server = serve(NULL, NULL);
	ch = session(&a);
	REQUIRE(ch);
	CHECK_EQ(end(server), 0);
	CHECK(lost(ch));
	CHECK(gone(a.worker_pid));
	vgpu_channel_close(ch);
}

TEST(a_worker_ends_alone)
{
	pid_t server = serve(NULL, NULL);
	struct vgpu_channel *ch, *other;
	struct vgpu_answer a, b;

	ch = session(&a);
	other = session(&b);
	REQUIRE(ch && other);
	kill(a.worker_pid, SIGSEGV);
	CHECK(lost(ch));
	CHECK(!vgpu_channel_lost(other));
	CHECK(!kill(b.worker_pid, 0));
	vgpu_channel_close(ch);
	ch = session(&a);
	CHECK(ch);
	vgpu_channel_close(ch);
	vgpu_channel_close(other);
	CHECK_EQ(end(server), 0);
}

TEST(a_worker_ends_with_its_client_process)
{
	pid_t server = serve(NULL, NULL), client, pids[2] = {};
	int ends[2];

	REQUIRE(!pipe(ends));
	client = fork();
	if (!client) {
		struct vgpu_answer a;

		if (!session(&a))
			_exit(1);
		/* A child that keeps the descriptors does not keep the worker. */
		pids[0] = a.worker_pid;
		pids[1] = fork();
		if (pids[1] && write(ends[1], pids, sizeof(pids)) < 0)
			_exit(1);
		pause();
	}
	CHECK_EQ(read(ends[0], pids, sizeof(pids)), sizeof(pids));
	kill(client, SIGKILL);
	status_of(client);
	CHECK(pids[0] && gone(pids[0]));
	CHECK(pids[1] && !kill(pids[1], SIGKILL));
	CHECK_EQ(end(server), 0);
	close(ends[0]);
	close(ends[1]);
}

/* They take no other file's number: neither the server's nor a client's. */
TEST(standard_files_that_are_closed)
{
	struct vgpu_channel *ch = NULL;
	struct vgpu_answer a;
	pid_t server = fork();

	if (!server) {
		close_range(0, ~0u, 0);
		execl(program, program, "--socket", place, "--libcuda", driver, "--cache", "",
		      "--ctl", "none", NULL);
		_exit(127);
	}
	for (int i = 0; i < 100 && !(ch = session(&a)); i++)
		usleep(100000);
	REQUIRE(ch);
	CHECK(a.ndevices > 0);
	vgpu_channel_close(ch);
	CHECK_EQ(end(server), 0);
}

TEST(no_driver_no_server)
{
	char kept[PATH_MAX];
	pid_t server;
	int out;

	strcpy(kept, driver);
	strcpy(driver, "/no/such/libcuda.so.1");
	server = start(&out, NULL, NULL);
	CHECK_EQ(status_of(server), 1);
	close(out);
	strcpy(driver, kept);
	CHECK(access(place, F_OK));
}

/* Who is told to serve the module's devices and cannot serves nobody. */
TEST(no_module_no_server)
{
	pid_t server;
	int out;

	server = start(&out, "--ctl", "/no/such/vgpuctl");
	CHECK_EQ(status_of(server), 1);
	close(out);
	CHECK(access(place, F_OK));
}

/* Nor does one that cannot listen where it was told, or has no certificate for it. */
TEST(no_network_no_server)
{
	static const char *const wrong[][2] = {
		{ "--listen=192.0.2.1:7667", NULL },
		{ "--listen=127.0.0.1:0", "--tls=/no/such/folder" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int out;
		pid_t server = start(&out, wrong[i][0], wrong[i][1]);

		CHECK_EQ(status_of(server), 1);
		close(out);
		CHECK(access(place, F_OK));
	}
}

TEST(command_lines_that_are_wrong)
{
	static const char *const wrong[][2] = {
		{ "--max-sessions", "many" }, { "--max-sessions", "-1" },
		{ "--cache-limit", "1X" }, { "--cache-limit", "99999999999G" },
		{ "--no-such-option", "1" }, { "-v", "word" },
		{ "--max-sessions-per-client", "65537" }, { "--grace", "0" },
		{ "--grace", "86401" }, { "--uid-base", "0" }, { "--uid-base", "4294967295" },
		{ "--listen", "" }, { "--listen", "127.0.0.1:65536" }, { "--listen", "[::1" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int out;
		pid_t server = start(&out, wrong[i][0], wrong[i][1]);

		CHECK_EQ(status_of(server), 2);
		close(out);
	}
}

int main(int argc, char **argv)
{
	char self[PATH_MAX - 64], command[96];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *build;
	int failed;

	if (n < 0)
		return 1;
	self[n] = 0;
	build = dirname(dirname(dirname(self)));	/* BUILD/tests/server/program */
	snprintf(program, sizeof(program), "%s/vgpu-server", build);
	snprintf(driver, sizeof(driver), "%s/softgpu/libcuda.so.1", build);
	snprintf(folder, sizeof(folder), "/tmp/vgpu-server-XXXXXX");
	if (!mkdtemp(folder))
		return 1;
	snprintf(place, sizeof(place), "%s/run/sock", folder);
	snprintf(command, sizeof(command), "mkdir %s/run", folder);
	failed = system(command);
	failed |= test_main(argc, argv);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return failed | system(command);
}
