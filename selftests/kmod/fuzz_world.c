// SPDX-License-Identifier: MIT
/* Chance, what a process has, and the judge of each call; see fuzz.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <ucontext.h>

#include "fuzz.h"

/* ---- chance ---- */

uint64_t rnd(struct fuzz *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return f->random * 0x2545f4914f6cdd1dull >> 8;
}

uint64_t below(struct fuzz *f, uint64_t n)
{
	return rnd(f) % n;
}

bool percent(struct fuzz *f, unsigned int p)
{
	return below(f, 100) < p;
}

uint64_t odd(struct fuzz *f)
{
	static const uint64_t numbers[] = {
		0, 1, 2, 7, 8, 4095, 4096, 4097, 65535, 65536, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, VGPU_MMAP_PEER, VGPU_MMAP_PEER + 4096,
		VGPU_MMAP_HOSTMEM, VGPU_MMAP_HOSTMEM + 4096, VGPU_MMAP_HOSTMEM * 65536,
		0x7ffffffff000, 0x7fffffffffff, 0x800000000000, 0xffff800000000000,
		0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffff000, ~0ull,
	};

	switch (below(f, 4)) {
	case 0:
		return rnd(f);
	case 1:
		return (uintptr_t)ARENA + below(f, ARENA_SIZE);
	default:
		return numbers[below(f, sizeof(numbers) / sizeof(*numbers))];
	}
}

uint64_t mostly(struct fuzz *f, uint64_t value)
{
	return percent(f, 97) ? value : odd(f);
}

/* ---- descriptors ---- */

struct thing *pick(struct fuzz *f, unsigned int kinds)
{
	unsigned int start = below(f, THINGS);

	for (unsigned int i = 0; i < THINGS; i++) {
		struct thing *thing = &f->things[(start + i) % THINGS];

		if (thing->kind & kinds)
			return thing;
	}
	return NULL;
}

int pick_fd(struct fuzz *f, unsigned int kinds)
{
	struct thing *thing = pick(f, percent(f, 97) ? kinds : ANY);

	return thing ? thing->fd : percent(f, 80) ? -1 : 0;
}

void forget(struct fuzz *f, struct thing *thing)
{
	close(thing->fd);
	*thing = (struct thing){ .fd = -1 };
}

struct thing *keep(struct fuzz *f, int fd, enum kind kind)
{
	struct thing *thing = &f->things[below(f, THINGS)];

	for (int i = 0; i < THINGS && thing->kind; i++)
		if (!f->things[i].kind)
			thing = &f->things[i];
	if (thing->kind)
		forget(f, thing);
	*thing = (struct thing){ .fd = fd, .kind = kind };
	return thing;
}

/* ---- memory that may not be there ---- */

static _Thread_local sigjmp_buf back;
static _Thread_local volatile bool careful;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *at = context;

	if (careful)
		siglongjmp(back, 1);
	dprintf(STDOUT_FILENO, "# signal %d at %p, instruction %#llx\n", sig, info->si_addr,
		at->uc_mcontext.gregs[REG_RIP]);
	signal(sig, SIG_DFL);
	raise(sig);
}

void catch_faults(void)
{
	struct sigaction action = {
		.sa_sigaction = on_fault, .sa_flags = SA_NODEFER | SA_SIGINFO,
	};

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

bool careful_copy(void *to, const void *from, size_t n)
{
	bool good = !sigsetjmp(back, 0);

	if (good) {
		careful = true;
		for (size_t i = 0; i < n; i++)
			((volatile char *)to)[i] = ((const volatile char *)from)[i];
	}
	careful = false;
	return good;
}

char *somewhere(struct fuzz *f, size_t size)
{
	struct area *area = &f->areas[below(f, AREAS)];

	if (percent(f, 5))
		return (char *)odd(f);
	if (area->at && percent(f, 20))
		return area->at + below(f, area->size);
	/* often just before the end of a page */
	if (percent(f, 30))
		return ARENA + (1 + below(f, ARENA_SIZE / PAGE)) * PAGE - below(f, size + 1);
	return ARENA + below(f, ARENA_SIZE);
}

/* ---- judging ---- */

void wrong(struct fuzz *f, const char *what, long value)
{
	printf("# worker %d, %s: %s: %ld%s%s\n", f->worker, fuzz_op(f->op)->name, what, value,
	       value < 0 ? ": " : "", value < 0 ? strerror(-value) : "");
	fflush(stdout);
	atomic_store(&f->shared->failed, true);
	atomic_store(&f->shared->stop, true);
	_exit(1);
}

static void count(struct fuzz *f, long result)
{
	long err = result < 0 ? -result : 0;

	if (err < ERRNO_MAX)
		atomic_fetch_add(&f->shared->ended[f->op][err], 1);
}

static long judge_list(struct fuzz *f, const char *what, long result, va_list errnos)
{
	int allowed;

	count(f, result);
	if (result >= 0)
		return result;
	while ((allowed = va_arg(errnos, int)))
		if (result == -allowed)
			return result;
	wrong(f, what, result);
	return result;
}

long judge(struct fuzz *f, const char *what, long result, ...)
{
	va_list errnos;

	va_start(errnos, result);
	judge_list(f, what, result, errnos);
	va_end(errnos);
	return result;
}

/* What is of no use any more makes room, sooner or later. */
static void tidy(struct fuzz *f, int fd, long result)
{
	if (f->racing || (result != -EPIPE && result != -EPERM) || !percent(f, 15))
		return;
	for (int i = 0; i < THINGS; i++)
		if (f->things[i].kind & (APP | PEER) && f->things[i].fd == fd)
			forget(f, &f->things[i]);
}

/* Of a descriptor that is another's, none, or of something else. */
static bool of_the_descriptor(long result)
{
	return result == -EBADF || result == -ENOTTY || result == -EPERM || result == -ENOTCONN;
}

long do_value(struct fuzz *f, int fd, unsigned long cmd, uint64_t value, ...)
{
	long result = call_value(fd, cmd, value);
	va_list errnos;

	va_start(errnos, value);
	if (of_the_descriptor(result))
		count(f, result);
	else
		judge_list(f, "ioctl", result, errnos);
	va_end(errnos);
	tidy(f, fd, result);
	return result;
}

long do_ioctl(struct fuzz *f, int fd, unsigned long cmd, void *arg, size_t size, ...)
{
	void *place = percent(f, 90) ? arg : somewhere(f, size);
	va_list errnos;
	long result;

	if (place != arg)
		careful_copy(place, arg, size);
	result = call(fd, cmd, place);
	if (result >= 0 && place != arg && !careful_copy(arg, place, size))
		memset(arg, 0, size);
	va_start(errnos, size);
	if (of_the_descriptor(result) || (result == -EFAULT && place != arg))
		count(f, result);
	else
		judge_list(f, "ioctl", result, errnos);
	va_end(errnos);
	tidy(f, fd, result);
	return result;
}
