/* SPDX-License-Identifier: MIT */
/*
 * Linked into a libcuda.so.1 of the benchmarks: counts how often a program waits
 * for an answer of the worker, which is what its time grows by with the distance.
 * The count is kept in the file that VGPU_BENCH_WAITS names, 8 bytes, so that it
 * is there however the program ends.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "libcuda/submit.h"

static uint64_t *count;

/* The linker has made these of vgpu_submit_wait(): --wrap. */
CUresult __real_vgpu_submit_wait(struct vgpu_session *s, uint64_t ctx, uint16_t opcode,
				 unsigned int flags, void *reply, size_t room, size_t *length);
CUresult __wrap_vgpu_submit_wait(struct vgpu_session *s, uint64_t ctx, uint16_t opcode,
				 unsigned int flags, void *reply, size_t room, size_t *length);

CUresult __wrap_vgpu_submit_wait(struct vgpu_session *s, uint64_t ctx, uint16_t opcode,
				 unsigned int flags, void *reply, size_t room, size_t *length)
{
	if (count)
		__atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
	return __real_vgpu_submit_wait(s, ctx, opcode, flags, reply, room, length);
}

__attribute__((constructor)) static void count_in_file(void)
{
	const char *path = getenv("VGPU_BENCH_WAITS");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	void *map;

	if (fd < 0)
		return;
	if (!ftruncate(fd, sizeof(*count))) {
		map = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		count = map == MAP_FAILED ? NULL : map;
	}
	close(fd);
}
