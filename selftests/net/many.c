// SPDX-License-Identifier: MIT
/*
 * Many programs at once, each with a session of its own: this one and its
 * children, which load libcuda as a program without NVIDIA's runtime does.
 *
 *	many COUNT
 *
 * Says READY when all have done some work and are idle. A line on the standard
 * input wakes all of them to work again, the end of it ends them. Exits with 0 if
 * all results were right.
 */
#include <cuda.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS	40000

static struct {
	CUresult (*init)(unsigned int flags);
	CUresult (*retain)(CUcontext *ctx, CUdevice dev);
	CUresult (*set)(CUcontext ctx);
	CUresult (*alloc)(CUdeviceptr *p, size_t n);
	CUresult (*fill)(CUdeviceptr p, unsigned int value, size_t n);
	CUresult (*upload)(CUdeviceptr to, const void *from, size_t n);
	CUresult (*download)(void *to, CUdeviceptr from, size_t n);
} cuda;

static bool load(void)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW);
	static const struct {
		const char	*name;
		void		*to;
	} calls[] = {
		{ "cuInit", &cuda.init },
		{ "cuDevicePrimaryCtxRetain", &cuda.retain },
		{ "cuCtxSetCurrent", &cuda.set },
		{ "cuMemAlloc_v2", &cuda.alloc },
		{ "cuMemsetD32_v2", &cuda.fill },
		{ "cuMemcpyHtoD_v2", &cuda.upload },
		{ "cuMemcpyDtoH_v2", &cuda.download },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		void *address = lib ? dlsym(lib, calls[i].name) : NULL;

		if (!address) {
			fprintf(stderr, "many: %s\n", dlerror());
			return false;
		}
		memcpy(calls[i].to, &address, sizeof(address));
	}
	return true;
}

static bool is_good(CUresult r, const char *call)
{
	if (r)
		fprintf(stderr, "many: %s: %d\n", call, r);
	return !r;
}

/* The first half is this program's number, the second half what was sent there. */
static bool work(CUdeviceptr p, unsigned int number)
{
	static unsigned int sent[WORDS], got[WORDS];
	const size_t half = WORDS / 2;

	for (size_t i = 0; i < half; i++)
		sent[half + i] = number * 1000003u + i;
	if (!is_good(cuda.fill(p, number, half), "cuMemsetD32") ||
	    !is_good(cuda.upload(p + sizeof(sent) / 2, sent + half, sizeof(sent) / 2),
		     "cuMemcpyHtoD") ||
	    !is_good(cuda.download(got, p, sizeof(got)), "cuMemcpyDtoH"))
		return false;
	for (size_t i = 0; i < half; i++)
		if (got[i] != number)
			return false;
	return !memcmp(got + half, sent + half, sizeof(sent) / 2);
}

/* Works once for each byte of @wake, and tells @done by one how it went. */
static int child(unsigned int number, int wake, int done)
{
	CUdeviceptr p;
	CUcontext ctx;
	bool good;
	char c;

	good = load() && is_good(cuda.init(0), "cuInit") &&
	       is_good(cuda.retain(&ctx, 0), "cuDevicePrimaryCtxRetain") &&
	       is_good(cuda.set(ctx), "cuCtxSetCurrent") &&
	       is_good(cuda.alloc(&p, WORDS * sizeof(int)), "cuMemAlloc");
	do {
		good = good && work(p, number);
		c = good;
		if (write(done, &c, 1) != 1 || !good)
			return 1;
	} while (read(wake, &c, 1) == 1);
	return 0;
}

/* Waits until so many children have told; false: one has failed. */
static bool all_have(int done, int count)
{
	char bytes[256];

	while (count > 0) {
		ssize_t n = read(done, bytes, count < 256 ? count : 256);

		if (n <= 0 || memchr(bytes, 0, n))
			return false;
		count -= n;
	}
	return true;
}

static bool serve(const int *wakes, int done, int count)
{
	char line[64];

	while (all_have(done, count)) {
		puts("READY");
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			return true;
		for (int i = 0; i < count; i++)
			if (write(wakes[i], "", 1) != 1)
				return false;
	}
	return false;
}

/* Each child has a pipe of its own to be woken by: none takes another's byte. */
static pid_t start(unsigned int number, int *wakes, const int done[2])
{
	int pipe_fds[2];
	pid_t pid;

	if (pipe(pipe_fds))
		return -1;
	pid = fork();
	if (!pid) {
		close(done[0]);
		close(pipe_fds[1]);
		for (unsigned int i = 0; i < number; i++)
			close(wakes[i]);
		_exit(child(number, pipe_fds[0], done[1]));
	}
	close(pipe_fds[0]);
	wakes[number] = pipe_fds[1];
	return pid;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 0, status, done[2];
	int *wakes = calloc(count > 0 ? count : 1, sizeof(*wakes));
	bool good = true;

	if (count <= 0 || !wakes || pipe(done)) {
		fputs("usage: many COUNT\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < count; i++)
		if (start(i, wakes, done) < 0)
			return 2;
	close(done[1]);
	good = serve(wakes, done[0], count);
	for (int i = 0; i < count; i++)
		close(wakes[i]);
	while (wait(&status) > 0)
		good &= WIFEXITED(status) && !WEXITSTATUS(status);
	puts(good ? "PASS" : "some failed");
	return !good;
}
