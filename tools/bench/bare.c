/* SPDX-License-Identifier: MIT */
/*
 * The bare mechanisms that vgpu is measured against:
 *
 *	bare pingpong		two processes, one word of shared memory each way
 *	bare wake		the same by two eventfds, each side asleep until it is woken
 *	bare memcpy [LARGEST]	bytes by size, between two buffers of that size
 *	bare start PROGRAM...	time from exec to what PROGRAM prints as its first
 *				number: CLOCK_MONOTONIC in ns
 *
 * Each prints lines "metric size value" (size 0: none; ns or GB/s).
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "stats.h"

#define ROUNDS	100000
#define WAKES	20000

struct cell {
	_Alignas(128) _Atomic uint64_t there;
	_Alignas(128) _Atomic uint64_t back;
};

static void answer(struct cell *c)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		while (atomic_load_explicit(&c->there, memory_order_acquire) != i)
			__builtin_ia32_pause();
		atomic_store_explicit(&c->back, i, memory_order_release);
	}
	_exit(0);
}

static int pingpong(void)
{
	struct cell *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static uint64_t took[ROUNDS];
	pid_t child;

	if (c == MAP_FAILED)
		return 1;
	child = fork();
	if (child < 0)
		return 1;
	if (!child)
		answer(c);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		uint64_t t = clock_ns(CLOCK_MONOTONIC);

		atomic_store_explicit(&c->there, i, memory_order_release);
		while (atomic_load_explicit(&c->back, memory_order_acquire) != i)
			__builtin_ia32_pause();
		took[i - 1] = clock_ns(CLOCK_MONOTONIC) - t;
	}
	waitpid(child, NULL, 0);
	printf("pingpong_p50 0 %lu\n", percentile(took, ROUNDS, 50));
	printf("pingpong_p99 0 %lu\n", percentile(took, ROUNDS, 99));
	return 0;
}

static void wait_bell(int fd)
{
	eventfd_t rung;

	if (eventfd_read(fd, &rung))
		_exit(1);
}

static void answer_bell(int there, int back)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0; i < WAKES; i++) {
		wait_bell(there);
		eventfd_write(back, 1);
	}
	_exit(0);
}

static int wake(void)
{
	int there = eventfd(0, EFD_CLOEXEC), back = eventfd(0, EFD_CLOEXEC);
	static uint64_t took[WAKES];
	pid_t child;

	if (there < 0 || back < 0)
		return 1;
	child = fork();
	if (child < 0)
		return 1;
	if (!child)
		answer_bell(there, back);
	for (unsigned i = 0; i < WAKES; i++) {
		uint64_t t = clock_ns(CLOCK_MONOTONIC);

		eventfd_write(there, 1);
		wait_bell(back);
		took[i] = clock_ns(CLOCK_MONOTONIC) - t;
	}
	waitpid(child, NULL, 0);
	printf("wake_p50 0 %lu\n", percentile(took, WAKES, 50));
	printf("wake_p99 0 %lu\n", percentile(took, WAKES, 99));
	return 0;
}

static double copy_rate(uint8_t *to, const uint8_t *from, size_t size, unsigned n)
{
	uint64_t t = clock_ns(CLOCK_MONOTONIC);

	for (unsigned i = 0; i < n; i++) {
		memcpy(to, from, size);
		__asm__ volatile("" ::: "memory");
	}
	return (double)size * n / (clock_ns(CLOCK_MONOTONIC) - t);
}

static int copies(size_t largest)
{
	uint8_t *from = malloc(largest), *to = malloc(largest);

	if (!largest || !from || !to)
		return 1;
	fill_random(from, largest);
	memset(to, 1, largest);
	for (size_t size = COPY_MIN; size <= largest; size *= COPY_STEP) {
		unsigned n = copy_repeats(size, largest);

		memcpy(to, from, size);
		printf("memcpy %zu %.3f\n", size,
		       median3(copy_rate(to, from, size, n), copy_rate(to, from, size, n),
			       copy_rate(to, from, size, n)));
	}
	return 0;
}

static uint64_t start_once(char **argv)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC), end = 0;
	int fds[2], status;
	FILE *out;
	pid_t child;

	if (pipe(fds))
		return 0;
	child = vfork();
	if (!child) {
		dup2(fds[1], 1);
		execv(argv[0], argv);
		_exit(127);
	}
	close(fds[1]);
	out = fdopen(fds[0], "r");
	if (!out || fscanf(out, "%lu", &end) != 1)
		end = 0;
	waitpid(child, &status, 0);
	fclose(out);
	return status || end < begin ? 0 : end - begin;
}

static int start(char **argv)
{
	uint64_t took[15];

	for (unsigned i = 0; i < 15; i++) {
		took[i] = start_once(argv);
		if (!took[i]) {
			fprintf(stderr, "bare: %s failed\n", argv[0]);
			return 1;
		}
	}
	printf("start 0 %lu\n", percentile(took, 15, 50));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "pingpong"))
		return pingpong();
	if (argc == 2 && !strcmp(argv[1], "wake"))
		return wake();
	if ((argc == 2 || argc == 3) && !strcmp(argv[1], "memcpy"))
		return copies(copy_largest(argv[2]));
	if (argc > 2 && !strcmp(argv[1], "start"))
		return start(argv + 2);
	fprintf(stderr, "usage: bare pingpong | wake | memcpy [LARGEST] |"
		" start PROGRAM [ARGUMENT...]\n");
	return 2;
}
