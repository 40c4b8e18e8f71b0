// SPDX-License-Identifier: MIT
/*
 * The fuzzer of vgpu.ko, as a whole: workers that are started, and started again
 * when they were killed in the middle of something, and what must be left in the
 * end: nothing. What they do is in the other files; see fuzz.h.
 *
 *	fuzz_sequences [--steps N] [--seed S] [--coverage FILE]
 *
 * What a worker decides follows from the seed and from what it is told by the
 * kernel; how workers interleave does not.
 */
#include <getopt.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "fuzz.h"
#include "fuzz_genl.h"
#include "kselftest.h"

#define TICK_US		20000	/* ends waits without a deadline */
#define TRIES		100	/* of 0.1 s, for the end of the last */
#define STUCK		180	/* seconds without a step */

static uint64_t seed = 1;
static const char *coverage;

/* ---- operations ---- */

static const struct op *const tables[] = {
	fuzz_calls, fuzz_memory, fuzz_processes, fuzz_devices,
};

static const struct op *ops[OPS_MAX];
static unsigned int nops, weights;

static void collect_ops(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct op *op = tables[i]; op->name && nops < OPS_MAX; op++) {
			ops[nops++] = op;
			weights += op->weight;
		}
}

const struct op *fuzz_op(unsigned int number)
{
	return ops[number];
}

static unsigned int choose(struct fuzz *f)
{
	unsigned int left = below(f, weights), i = 0;

	for (; left >= ops[i]->weight; i++)
		left -= ops[i]->weight;
	return i;
}

/* May there be another one? */
static bool take_step(const struct fuzz *f)
{
	struct shared *shared = f->shared;
	unsigned long before = f->racing ? atomic_load(&shared->steps) :
			       atomic_fetch_add(&shared->steps, 1);

	return before < atomic_load(&shared->wanted) && !atomic_load(&shared->stop);
}

bool fuzz_steps(struct fuzz *f, unsigned long left)
{
	for (; left; left--) {
		f->op = choose(f);
		if (f->racing && !ops[f->op]->race)
			continue;
		if (!take_step(f))
			return false;
		ops[f->op]->run(f);
		cover_take(f->shared);
	}
	return true;
}

/* ---- processes ---- */

static void nothing(int sig)
{
}

void fuzz_begin(struct fuzz *f)
{
	struct itimerval tick = { { .tv_usec = TICK_US }, { .tv_usec = TICK_US } };
	struct sigaction action = { .sa_handler = nothing };	/* without SA_RESTART */

	catch_faults();
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
	if (mmap(ARENA, ARENA_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != ARENA)
		wrong(f, "no arena", -errno);
	cover_begin(f->shared);
}

static void open_netlink(struct fuzz *f)
{
	f->genl = genl_open(&f->family);
	if (f->genl < 0)
		wrong(f, "no netlink", f->genl);
}

/* Beside the first thread, on its descriptors; what it does is not counted. */
static void *race(void *arg)
{
	struct fuzz f = *(struct fuzz *)arg;

	f.racing = true;
	f.random = f.random * 3 | 1;
	memset(f.areas, 0, sizeof(f.areas));
	cover_begin(f.shared);
	while (fuzz_steps(&f, 1 + below(&f, 8)))
		usleep(below(&f, 500));
	return NULL;
}

static void run_worker(struct fuzz *f)
{
	struct thing things[THINGS] = {};
	pthread_t thread;

	/* It and its children end together, even those that are stopped. */
	setpgid(0, 0);
	f->things = things;
	fuzz_begin(f);
	open_netlink(f);
	if (f->worker % 2 && pthread_create(&thread, NULL, race, f))
		wrong(f, "no thread", 0);
	while (fuzz_steps(f, 1000))
		;
	_exit(0);
}

/* ---- the same program in another process, with some of the descriptors ---- */

void fuzz_exec(struct fuzz *f, unsigned long left)
{
	static char text[3 + THINGS][80];
	char *argv[5 + THINGS] = { "fuzz_sequences", "--exec" };
	int n = 2;

	snprintf(text[0], sizeof(text[0]), "%d %d %lu %lu", f->worker, f->depth, f->random, left);
	argv[n++] = text[0];
	for (int i = 0; i < THINGS; i++) {
		const struct thing *t = &f->things[i];

		if (!t->kind)
			continue;
		snprintf(text[i + 1], sizeof(text[0]), "%d %d %u %u %u %u", t->fd, t->kind,
			 t->sizes.sq, t->sizes.cq, t->sizes.up, t->sizes.down);
		argv[n++] = text[i + 1];
	}
	execv("/proc/self/exe", argv);
	wrong(f, "exec", -errno);
	_exit(1);
}

/* What is written above, read. */
static int run_executed(int argc, char **argv)
{
	struct thing things[THINGS] = {};
	struct fuzz f = { .things = things };
	unsigned long left;

	f.shared = mmap(NULL, sizeof(*f.shared), PROT_READ | PROT_WRITE, MAP_SHARED, SHARED_FD, 0);
	if (f.shared == MAP_FAILED || argc < 3 ||
	    sscanf(argv[2], "%d %d %lu %lu", &f.worker, &f.depth, &f.random, &left) != 4)
		return 1;
	for (int i = 3; i < argc && i - 3 < THINGS; i++) {
		struct thing *t = &things[i - 3];

		if (sscanf(argv[i], "%d %d %u %u %u %u", &t->fd, (int *)&t->kind, &t->sizes.sq,
			   &t->sizes.cq, &t->sizes.up, &t->sizes.down) != 6)
			return 1;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fuzz_begin(&f);
	open_netlink(&f);
	fuzz_steps(&f, left);
	return 0;
}

/* ---- all workers ---- */

static struct shared *make_shared(void)
{
	int fd = memfd_create("fuzz", 0);
	struct shared *shared;

	if (fd < 0 || ftruncate(fd, sizeof(*shared)) || dup2(fd, SHARED_FD) != SHARED_FD)
		ksft_exit_fail_msg("memfd: %s\n", strerror(errno));
	close(fd);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, SHARED_FD, 0);
	if (shared == MAP_FAILED)
		ksft_exit_fail_msg("memfd: %s\n", strerror(errno));
	for (int i = 0; i < WORKERS; i++)
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, shared->box[i]))
			ksft_exit_fail_msg("socketpair: %s\n", strerror(errno));
	return shared;
}

static pid_t start_worker(struct shared *shared, int number, unsigned int incarnation)
{
	struct fuzz f = {
		.shared = shared, .worker = number,
		.random = (seed * WORKERS + number) * 0x9e3779b97f4a7c15ull + incarnation * 2 + 1,
	};
	pid_t pid;

	fflush(stdout);
	pid = child();
	if (pid < 0)
		ksft_exit_fail_msg("fork: %s\n", strerror(errno));
	if (!pid)
		run_worker(&f);
	return pid;
}

/* 0: it runs; 1: it ended as it should; -1: as it should not. */
static int look_after(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) != pid)
		return 0;
	kill(-pid, SIGKILL);
	if ((WIFEXITED(status) && !WEXITSTATUS(status)) ||
	    (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		return 1;
	ksft_print_msg("a worker died: status %#x\n", status);
	return -1;
}

/* A worker that is gone comes back, until enough was done. */
static bool supervise(struct shared *shared)
{
	unsigned int deaths = 0, still = 0;
	unsigned long before = 0;
	pid_t pid[WORKERS];
	bool good = true;
	int left = WORKERS;

	for (int i = 0; i < WORKERS; i++)
		pid[i] = start_worker(shared, i, 0);
	for (; left; usleep(1000)) {
		bool enough = atomic_load(&shared->steps) >= atomic_load(&shared->wanted);

		for (int i = 0; i < WORKERS; i++) {
			int ended = pid[i] ? look_after(pid[i]) : 0;

			good &= ended >= 0;
			if (!ended)
				continue;
			left -= enough || !good;
			pid[i] = enough || !good ? 0 : start_worker(shared, i, ++deaths);
		}
		still = atomic_load(&shared->steps) == before ? still + 1 : 0;
		before = atomic_load(&shared->steps);
		if (!good)
			atomic_store(&shared->stop, true);
		if (still < STUCK * 1000)
			continue;
		ksft_print_msg("nothing moves any more\n");
		for (int i = 0; i < WORKERS; i++)
			if (pid[i])
				kill(pid[i], SIGKILL);
		return false;
	}
	ksft_print_msg("%u workers were killed\n", deaths);
	return good && !atomic_load(&shared->failed);
}

/* Children of the killed die a little later, and what they had goes with them. */
static bool nothing_left(void)
{
	struct vgpu_nl_device *devices;
	bool left = true;
	struct vgpu_nl *nl;
	int n;

	if (vgpu_nl_open(&nl))
		return false;
	for (int tries = 0; left && tries < TRIES; tries++) {
		usleep(100000);
		n = vgpu_nl_dump(nl, &devices);
		left = n < 0;
		for (int i = 0; i < n; i++) {
			bool used = devices[i].channels || devices[i].charged ||
				    vgpu_nl_del(nl, devices[i].number);

			left |= used;
			if (used && tries == TRIES - 1)
				ksft_print_msg("vgpu%u: %lu channels, %lu bytes\n",
					       devices[i].number, devices[i].channels,
					       devices[i].charged);
		}
		if (n >= 0)
			free(devices);
	}
	vgpu_nl_close(nl);
	return !left;
}

static void print_ops(const struct shared *shared)
{
	for (unsigned int i = 0; i < nops; i++) {
		printf("# %-18s", ops[i]->name);
		for (int e = 0; e < ERRNO_MAX; e++)
			if (shared->ended[i][e])
				printf(" %s %lu", e ? strerrorname_np(e) : "good",
				       shared->ended[i][e]);
		printf("\n");
	}
}

/* Tracepoints have code as well. */
static void trace_events(struct shared *shared, bool on)
{
	char buffer[65536];
	int fd;

	write_text("/sys/kernel/tracing/events/vgpu/enable", on ? "1" : "0");
	fd = on ? -1 : open("/sys/kernel/tracing/trace", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	cover_begin(shared);
	while (read(fd, buffer, sizeof(buffer)) > 0)
		cover_take(shared);
	close(fd);
}

static void parse(int argc, char **argv, struct shared *shared)
{
	static const struct option options[] = {
		{ "steps", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "coverage", required_argument, NULL, 'c' },
		{}
	};
	int c;

	shared->wanted = 100000;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n')
			shared->wanted = strtoul(optarg, NULL, 0);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (c == 'c')
			coverage = optarg;
		else
			exit(2);
	}
}

int main(int argc, char **argv)
{
	struct shared *shared;
	int64_t begin = from_now(0);

	collect_ops();
	if (argc > 1 && !strcmp(argv[1], "--exec"))
		return run_executed(argc, argv);
	shared = make_shared();
	parse(argc, argv, shared);
	ksft_print_header();
	ksft_set_plan(coverage ? 3 : 2);
	ksft_print_msg("seed %lu, %lu steps\n", seed, shared->wanted);
	if (coverage && !cover_init(shared))
		ksft_exit_fail_msg("this kernel does not tell what was reached\n");
	trace_events(shared, true);
	ksft_test_result(supervise(shared), "%lu steps in %d s\n", shared->wanted,
			 (int)((from_now(0) - begin) / SECOND));
	print_ops(shared);
	trace_events(shared, false);
	for (int i = 0; i < WORKERS; i++) {
		close(shared->box[i][0]);
		close(shared->box[i][1]);
	}
	ksft_test_result(nothing_left(), "nothing is left\n");
	if (coverage)
		ksft_test_result(cover_write(shared, coverage), "what was reached is known\n");
	ksft_finished();
}
