/* SPDX-License-Identifier: MIT */
/* See steer.h. Reservations are PROT_NONE mappings, so following a device pointer traps. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "libcuda/steer.h"

#define ADDRESS_END	(1ull << 47)

static void merge_gaps(struct vgpu_range *all, unsigned *n, uint64_t gap)
{
	unsigned kept = 0;

	for (unsigned i = 1; i < *n; i++) {
		if (all[i].start - all[kept].end <= gap)
			all[kept].end = all[i].end;
		else
			all[++kept] = all[i];
	}
	if (*n)
		*n = kept + 1;
}

static unsigned maps_read(struct vgpu_range **all)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned n = 0, room = 0;
	char line[512];

	*all = NULL;
	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long long start, end;

		if (sscanf(line, "%llx-%llx ", &start, &end) != 2 || end > ADDRESS_END)
			continue;
		if (n == room) {
			struct vgpu_range *more;

			room = room ? 2 * room : 256;
			more = realloc(*all, room * sizeof(**all));
			if (!more)
				break;
			*all = more;
		}
		(*all)[n++] = (struct vgpu_range){ start, end };
	}
	if (maps)
		fclose(maps);
	return n;
}

unsigned vgpu_steer_ranges(struct vgpu_range *ranges, unsigned max)
{
	struct vgpu_range *all;
	unsigned n = maps_read(&all);

	for (uint64_t gap = 0; n > max || !gap; gap = gap ? 2 * gap : VGPU_PAGE_SIZE)
		merge_gaps(all, &n, gap);
	memcpy(ranges, all, n * sizeof(*all));
	free(all);
	return n;
}

/* Reserved already: sorted, merged; guarded by the lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct vgpu_range *reserved;
static unsigned nreserved, reserved_room;

static bool pages_take(uint64_t start, uint64_t end)
{
	void *want = (void *)(uintptr_t)start;
	void *got = mmap(want, end - start, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (got == want)
		return true;
	if (got != MAP_FAILED)		/* a kernel that does not know NOREPLACE */
		munmap(got, end - start);
	return false;
}

/* The first part of [*start, *end) that is not reserved yet. */
static bool gap_first(uint64_t *start, uint64_t *end)
{
	for (unsigned i = 0; i < nreserved && *start < *end; i++) {
		if (reserved[i].end <= *start)
			continue;
		if (reserved[i].start > *start) {
			if (reserved[i].start < *end)
				*end = reserved[i].start;
			break;
		}
		*start = reserved[i].end;
	}
	return *start < *end;
}

static bool reserved_add(uint64_t start, uint64_t end)
{
	unsigned i = 0, j;

	if (nreserved == reserved_room) {
		unsigned room = reserved_room ? 2 * reserved_room : 64;
		struct vgpu_range *more = realloc(reserved, room * sizeof(*more));

		if (!more)
			return false;
		reserved = more;
		reserved_room = room;
	}
	while (i < nreserved && reserved[i].end < start)
		i++;
	for (j = i; j < nreserved && reserved[j].start <= end; j++) {
		if (reserved[j].start < start)
			start = reserved[j].start;
		if (reserved[j].end > end)
			end = reserved[j].end;
	}
	memmove(reserved + i + 1, reserved + j, (nreserved - j) * sizeof(*reserved));
	nreserved += 1 - (j - i);
	reserved[i] = (struct vgpu_range){ start, end };
	return true;
}

bool vgpu_steer_reserve(uint64_t start, uint64_t size)
{
	uint64_t end = (start + size + VGPU_PAGE_SIZE - 1) & ~(uint64_t)(VGPU_PAGE_SIZE - 1);
	uint64_t from = start & ~(uint64_t)(VGPU_PAGE_SIZE - 1), to = end;
	bool good = from < end && end <= ADDRESS_END;

	pthread_mutex_lock(&lock);
	for (start = from; good && gap_first(&from, &to); from = start, to = end)
		good = pages_take(from, to) && reserved_add(from, to);
	pthread_mutex_unlock(&lock);
	return good;
}
