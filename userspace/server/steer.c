/* SPDX-License-Identifier: MIT */
/*
 * Keeping device memory off addresses that the client uses: a range is mapped
 * here without access, where it is free, so that no driver finds room there. Where
 * the client later has memory that both share, it is opened again for that.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "server/worker.h"

/* Above are the kernel's half and what no mmap() without a hint gives out. */
#define USER_END	(1ull << 47)

struct map {
	struct vgpu_range	*ranges;
	size_t			count, room;
};

static bool map_add(struct map *m, uint64_t start, uint64_t end)
{
	if (m->count == m->room) {
		size_t room = m->room ? 2 * m->room : 256;
		void *more = reallocarray(m->ranges, room, sizeof(*m->ranges));

		if (!more)
			return false;
		m->ranges = more;
		m->room = room;
	}
	m->ranges[m->count++] = (struct vgpu_range){ start, end };
	return true;
}

/* What is blocked, in no order. What is missing here for want of memory stays blocked. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map blocked;

static uint64_t block(uint64_t start, uint64_t end)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	void *want = (void *)(uintptr_t)start, *got;

	if (start >= end)
		return 0;
	got = mmap(want, end - start, PROT_NONE, flags, -1, 0);
	if (got == MAP_FAILED)
		return 0;
	if (got == want) {
		map_add(&blocked, start, end);
		return end - start;
	}
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

/* Read first, then act on it: each block would change what is being read. */
static bool map_read(struct map *m)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uint64_t start, end;
	bool good = f;

	while (good && fscanf(f, "%" SCNx64 "-%" SCNx64 "%*[^\n]", &start, &end) == 2)
		good = map_add(m, start, end);
	if (f)
		fclose(f);
	return good;
}

uint64_t vgpu_steer_block(const struct vgpu_range *ranges, unsigned n)
{
	struct map m = {};
	uint64_t at = 0, bytes = 0;

	pthread_mutex_lock(&lock);
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
	pthread_mutex_unlock(&lock);
	free(m.ranges);
	return bytes;
}

/* Cut @cut out of the i-th block. */
static void open_block(size_t i, const struct vgpu_range *cut)
{
	struct vgpu_range was = blocked.ranges[i];
	uint64_t start = cut->start > was.start ? cut->start : was.start;
	uint64_t end = cut->end < was.end ? cut->end : was.end;

	if (start >= end || munmap((void *)(uintptr_t)start, end - start))
		return;
	blocked.ranges[i] = (struct vgpu_range){ was.start, start };
	if (end < was.end)
		map_add(&blocked, end, was.end);
}

void vgpu_steer_open(const struct vgpu_range *range)
{
	size_t kept = 0;

	pthread_mutex_lock(&lock);
	for (size_t i = blocked.count; i-- > 0;)
		open_block(i, range);
	for (size_t i = 0; i < blocked.count; i++)
		if (blocked.ranges[i].start < blocked.ranges[i].end)
			blocked.ranges[kept++] = blocked.ranges[i];
	blocked.count = kept;
	pthread_mutex_unlock(&lock);
}
