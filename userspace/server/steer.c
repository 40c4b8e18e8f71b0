/* SPDX-License-Identifier: MIT */
/*
 * Keeping device memory off addresses that the client uses: a range is mapped
 * here without access, where it is free, so that no driver finds room there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "server/worker.h"

/* Above are the kernel's half and what no mmap() without a hint gives out. */
#define USER_END	(1ull << 47)

static uint64_t block(uint64_t start, uint64_t end)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	void *want = (void *)(uintptr_t)start, *got;

	if (start >= end)
		return 0;
	got = mmap(want, end - start, PROT_NONE, flags, -1, 0);
	if (got == MAP_FAILED)
		return 0;
	if (got == want)
		return end - start;
	/* A kernel that takes the address for a hint. */
	munmap(got, end - start);
	return 0;
}

/* What of the ranges lies in the gap from @start to @end. */
static uint64_t block_gap(const struct vgpu_range *ranges, unsigned n, uint64_t start, uint64_t end)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t from = ranges[i].start > start ? ranges[i].start : start;
		uint64_t to = ranges[i].end < end ? ranges[i].end : end;

		if (from < to)
			bytes += block(from, to);
	}
	return bytes;
}

struct map {
	struct vgpu_range	*ranges;
	size_t			count, room;
};

/* Read first, then act on it: each block would change what is being read. */
static bool map_read(struct map *m)
{
	FILE *f = fopen("/proc/self/maps", "re");
	struct vgpu_range r;
	bool good = f;

	while (good && fscanf(f, "%" SCNx64 "-%" SCNx64 "%*[^\n]", &r.start, &r.end) == 2) {
		if (m->count == m->room) {
			void *more;

			m->room = m->room ? 2 * m->room : 256;
			more = reallocarray(m->ranges, m->room, sizeof(r));
			good = more;
			m->ranges = more ? more : m->ranges;
		}
		if (good)
			m->ranges[m->count++] = r;
	}
	if (f)
		fclose(f);
	return good;
}

uint64_t vgpu_steer_block(const struct vgpu_range *ranges, unsigned n)
{
	struct map m = {};
	uint64_t at = 0, bytes = 0;

	if (map_read(&m)) {
		for (size_t i = 0; i < m.count && at < USER_END; i++) {
			uint64_t end = m.ranges[i].start < USER_END ? m.ranges[i].start : USER_END;

			if (at < end)
				bytes += block_gap(ranges, n, at, end);
			at = m.ranges[i].end;
		}
		if (at < USER_END)
			bytes += block_gap(ranges, n, at, USER_END);
	}
	free(m.ranges);
	return bytes;
}
