/* SPDX-License-Identifier: MIT */
/*
 * A client that rewrites what it published: while one thread makes calls,
 * another writes random words over the rings and now and then the control
 * page. It may get errors, its worker may end; the server and everybody else
 * go on, and nobody hangs. Needs a real server on softgpu, which it starts.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "libcuda/api.h"
#include "channel/internal.h"
#include "test.h"

#define ROUNDS		24
#define ROUND_MS	250
#define HANG_S		20	/* much more than any round takes */

static const char ptx[] =
	".version 6.4\n.target sm_50\n.address_size 64\n"
	".visible .entry add(.param .u64 p, .param .u32 n)\n"
	"{\n"
	"	.reg .b64 %a<4>; .reg .b32 %r<6>; .reg .pred %q;\n"
	"	ld.param.u64 %a0, [p]; ld.param.u32 %r0, [n];\n"
	"	mov.u32 %r1, %tid.x; setp.ge.u32 %q, %r1, %r0; @%q bra done;\n"
	"	mul.wide.u32 %a1, %r1, 4; add.u64 %a2, %a0, %a1;\n"
	"	ld.global.u32 %r2, [%a2]; add.u32 %r3, %r2, 1; st.global.u32 [%a2], %r3;\n"
	"done:	ret;\n"
	"}\n";

extern char **environ;

static char build[4096], folder[] = "/tmp/vgpu-test-XXXXXX", socket_path[128];
static pid_t server;
static volatile bool stop;

/* ---- the server ---- */

static bool server_start(void)
{
	char program[4200], driver[4200], cache[128], line[256] = "";
	char *argv[] = { program, "--socket", socket_path, "--libcuda", driver, "--cache", cache,
			 NULL };
	posix_spawn_file_actions_t fa;
	int fds[2];
	FILE *out;

	snprintf(program, sizeof(program), "%s/vgpu-server", build);
	snprintf(driver, sizeof(driver), "%s/softgpu/libcuda.so.1", build);
	snprintf(cache, sizeof(cache), "%s/cache", folder);
	snprintf(socket_path, sizeof(socket_path), "%s/s", folder);
	if (pipe(fds))
		return false;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fds[1], 1);
	posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", 1, 0);
	if (posix_spawn(&server, program, &fa, NULL, argv, environ))
		return false;
	posix_spawn_file_actions_destroy(&fa);
	close(fds[1]);
	out = fdopen(fds[0], "r");
	return fgets(line, sizeof(line), out) && strstr(line, "ready");
}

/* ---- the client ---- */

static uint64_t random_next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void *scribble(void *seed)
{
	struct vgpu_channel *ch = vgpu_device_get(0)->session->channel;
	struct ring_out *rings[] = { &ch->records_out, &ch->bytes_out };
	uint64_t x = (uintptr_t)seed;

	while (!stop) {
		struct ring_out *r = rings[random_next(&x) % 4 == 0];
		/* Mostly where the worker reads next. */
		uint64_t back = random_next(&x) % 4 ? random_next(&x) % 512 : random_next(&x);
		uint64_t at = (r->tail - back) & (r->size - 1) & ~7ull;
		uint64_t value = random_next(&x) % 3 ? random_next(&x) % 256 : random_next(&x);

		__atomic_store_n((uint64_t *)(r->base + at), value, __ATOMIC_RELAXED);
		if (random_next(&x) % 100000 == 0)
			__atomic_store_n(&r->tail_word->value, random_next(&x), __ATOMIC_RELAXED);
	}
	return NULL;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static CUresult start(CUfunction *f, CUdeviceptr *p)
{
	CUmodule module;
	CUcontext ctx;
	CUresult r;

	setenv("VGPU_DEVICES", "none", 1);
	setenv("VGPU_SOCKET", socket_path, 1);
	r = cuInit(0);
	if (!r)
		r = cuDevicePrimaryCtxRetain(&ctx, 0);
	if (!r)
		r = cuCtxSetCurrent(ctx);
	if (!r)
		r = cuModuleLoadData(&module, ptx);
	if (!r)
		r = cuModuleGetFunction(f, module, "add");
	if (!r)
		r = cuMemAlloc_v2(p, 256);
	return r;
}

/* A mixture of calls; false: the context or channel is no longer what it was. */
static bool calls(CUfunction f, CUdeviceptr p)
{
	static uint8_t host[100000];
	unsigned n = 64;
	void *params[] = { &p, &n };
	CUdeviceptr more;
	CUstream s;
	CUevent e;

	if (!cuMemAlloc_v2(&more, sizeof(host))) {
		cuMemcpyHtoD_v2(more, host, sizeof(host));
		cuMemcpyDtoH_v2(host, more, sizeof(host));
		cuMemFree_v2(more);
	}
	cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, NULL, params, NULL);
	if (!cuStreamCreate(&s, CU_STREAM_NON_BLOCKING)) {
		cuMemsetD8Async(p, 1, 256, s);
		if (!cuEventCreate(&e, 0)) {
			cuEventRecord(e, s);
			cuEventSynchronize(e);
			cuEventDestroy_v2(e);
		}
		cuStreamDestroy_v2(s);
	}
	return !cuCtxSynchronize();
}

#define SAW_ERRORS	7

static int rewrite(uint64_t seed)
{
	uint64_t end = now_ms() + ROUND_MS;
	CUdeviceptr p;
	CUfunction f;
	bool good = true;
	pthread_t t;

	alarm(HANG_S);
	if (start(&f, &p))
		return 1;
	pthread_create(&t, NULL, scribble, (void *)(uintptr_t)seed);
	while (now_ms() < end)
		good &= calls(f, p);
	stop = true;
	pthread_join(t, NULL);
	return good ? 0 : SAW_ERRORS;
}

static int honest(void)
{
	unsigned host[64] = { 0 }, n = 64;
	CUdeviceptr p;
	CUfunction f;
	void *params[] = { &p, &n };

	alarm(HANG_S);
	if (start(&f, &p) || cuMemsetD8_v2(p, 0, 256))
		return 1;
	for (int i = 0; i < 10; i++)
		if (cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, NULL, params, NULL))
			return 2;
	if (cuMemcpyDtoH_v2(host, p, sizeof(host)))
		return 3;
	for (unsigned i = 0; i < n; i++)
		if (host[i] != 10)
			return 4;
	return 0;
}

static int in_child(uint64_t seed)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(seed ? rewrite(seed) : honest());
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(an_honest_client_works)
{
	CHECK_EQ(in_child(0), 0);
}

TEST(rewriting_gives_errors_at_most)
{
	int errors = 0;

	for (uint64_t i = 1; i <= ROUNDS; i++) {
		int code = in_child(i * 0x9e3779b97f4a7c15);

		CHECK(code == 0 || code == SAW_ERRORS);
		errors += code == SAW_ERRORS;
	}
	CHECK(errors > 0);	/* else nothing was rewritten in time */
	printf("# %d of %d rounds saw errors\n", errors, ROUNDS);
}

TEST(the_server_goes_on)
{
	CHECK_EQ(kill(server, 0), 0);
	CHECK_EQ(in_child(0), 0);
	kill(server, SIGTERM);
	CHECK_EQ(waitpid(server, NULL, 0), server);
}

int main(int argc, char **argv)
{
	char *end;
	int failed;

	/* BUILD/tests/libcuda/rewriter */
	snprintf(build, sizeof(build), "%s", argv[0]);
	end = strstr(build, "/tests/libcuda/");
	if (!end || !mkdtemp(folder) || chmod(folder, 0755))
		return 1;
	*end = 0;
	if (!server_start()) {
		printf("not ok 1 - server_start\n");
		return 1;
	}
	failed = test_main(argc, argv);
	return failed;
}
