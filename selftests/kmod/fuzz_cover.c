// SPDX-License-Identifier: MIT
/* Which code of the module was reached, by KCOV; see Documentation/dev-tools/kcov. */
#include <sys/ioctl.h>
#include <linux/kcov.h>

#include "fuzz.h"

#define ENTRIES		(16u << 10)	/* of one step, in words */

static const char *const sections[] = { ".text", ".text.unlikely" };
static _Thread_local unsigned long *trace;

static uintptr_t base_of(const char *section)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/vgpu/sections/%s", section);
	return strtoull(read_text(path), NULL, 16);
}

bool cover_init(struct shared *shared)
{
	if (access("/sys/kernel/debug/kcov", R_OK | W_OK))
		return false;
	for (int i = 0; i < 2; i++) {
		uintptr_t base = base_of(sections[i]);

		if (base && (!shared->text || base < shared->text))
			shared->text = base;
	}
	return shared->text;
}

void cover_begin(struct shared *shared)
{
	int fd = shared->text ? open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC) : -1;
	void *at;

	trace = NULL;
	if (fd < 0)
		return;
	at = ioctl(fd, KCOV_INIT_TRACE, ENTRIES) ? MAP_FAILED :
	     mmap(NULL, ENTRIES * sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED && !ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC)) {
		/* A child has to begin for itself. */
		madvise(at, ENTRIES * sizeof(*trace), MADV_DONTFORK);
		trace = at;
	}
	close(fd);
}

void cover_take(struct shared *shared)
{
	unsigned long n;

	if (!trace)
		return;
	n = __atomic_load_n(&trace[0], __ATOMIC_RELAXED);
	for (unsigned long i = 1; i <= n && i < ENTRIES; i++)
		if (trace[i] - shared->text < TEXT_MAX)
			atomic_store_explicit(&shared->reached[trace[i] - shared->text], 1,
					      memory_order_relaxed);
	__atomic_store_n(&trace[0], 0, __ATOMIC_RELAXED);
}

bool cover_write(const struct shared *shared, const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		return false;
	for (int i = 0; i < 2; i++)
		fprintf(file, "base %s %#lx\n", sections[i], base_of(sections[i]));
	for (unsigned int i = 0; i < TEXT_MAX; i++)
		if (shared->reached[i])
			fprintf(file, "pc %#lx\n", shared->text + i);
	return !fclose(file);
}
