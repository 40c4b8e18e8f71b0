/* SPDX-License-Identifier: MIT */
/* The table of known memory, sorted by address. See alloc.c and hostmem.c for who fills it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libcuda/memory.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;	/* the table */
static struct vgpu_memory *table;
static size_t used, room;
static unsigned long long next_id;

/* The index of the first range that starts above @address. */
static size_t above(uint64_t address)
{
	size_t low = 0, high = used;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (table[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct vgpu_memory *holder(uint64_t address)
{
	size_t i = above(address);

	if (!i || address - table[i - 1].start >= table[i - 1].size)
		return NULL;
	return &table[i - 1];
}

static bool registered(const struct vgpu_memory *m)
{
	return m->kind == VGPU_MEMORY_REGISTERED || m->kind == VGPU_MEMORY_STAGED;
}

/* Ranges do not overlap, so of those that start before its end the last one decides. */
static bool overlaps(const struct vgpu_memory *m)
{
	size_t i = above(m->start + m->size - 1);

	return i && table[i - 1].start + table[i - 1].size > m->start;
}

static bool table_grow(void)
{
	size_t more = room ? 2 * room : 128;
	struct vgpu_memory *bigger = realloc(table, more * sizeof(*bigger));

	if (!bigger)
		return false;
	table = bigger;
	room = more;
	return true;
}

int vgpu_memory_add(struct vgpu_memory *m)
{
	int err = 0;
	size_t i;

	pthread_rwlock_wrlock(&lock);
	if (registered(m) && overlaps(m)) {
		err = -EEXIST;
		goto unlock;
	}
	if (used == room && !table_grow()) {
		err = -ENOMEM;
		goto unlock;
	}
	m->id = ++next_id;
	i = above(m->start);
	memmove(table + i + 1, table + i, (used - i) * sizeof(*table));
	table[i] = *m;
	used++;
unlock:
	pthread_rwlock_unlock(&lock);
	return err;
}

void vgpu_memory_find(uint64_t address, struct vgpu_memory *m)
{
	struct vgpu_memory *found;

	pthread_rwlock_rdlock(&lock);
	found = holder(address);
	if (found)
		*m = *found;
	else
		*m = (struct vgpu_memory){ .kind = VGPU_MEMORY_HOST };
	pthread_rwlock_unlock(&lock);
}

static void remove_at(size_t i)
{
	used--;
	memmove(table + i, table + i + 1, (used - i) * sizeof(*table));
}

bool vgpu_memory_take(uint64_t start, enum vgpu_memory_kind kind, struct vgpu_memory *m)
{
	struct vgpu_memory *found;
	bool good;

	pthread_rwlock_wrlock(&lock);
	found = holder(start);
	good = found && found->start == start && found->kind == kind;
	if (good) {
		*m = *found;
		remove_at(found - table);
	}
	pthread_rwlock_unlock(&lock);
	return good;
}

void vgpu_memory_forget(const struct vgpu_memory *m)
{
	struct vgpu_channel *ch = m->session->channel;
	void *start = (void *)(uintptr_t)m->start;

	/* A channel that is lost has forgotten it already. */
	if (m->kind == VGPU_MEMORY_REGISTERED)
		vgpu_appmem_unregister(ch, start, m->size);
	if (m->kind == VGPU_MEMORY_PINNED)
		vgpu_hostmem_destroy(ch, start, m->room, m->hostmem);
}

void vgpu_memory_drop(struct vgpu_session *s, uint64_t ctx)
{
	size_t kept = 0;

	vgpu_early_context_done(&s->early, ctx, vgpu_early_now(&s->early));
	pthread_rwlock_wrlock(&lock);
	for (size_t i = 0; i < used; i++) {
		if (table[i].session != s || table[i].ctx != ctx)
			table[kept++] = table[i];
		else
			vgpu_memory_forget(&table[i]);
	}
	used = kept;
	pthread_rwlock_unlock(&lock);
}

CUresult vgpu_memory_within(const struct vgpu_call_place *p, uint64_t address, uint64_t size,
			    bool *host)
{
	const struct vgpu_memory *m;
	bool good;

	pthread_rwlock_rdlock(&lock);
	m = holder(address);
	good = m && m->session == p->session && size <= m->size - (address - m->start) &&
	       (vgpu_memory_on_device(m) || m->mapped);
	*host |= good && !vgpu_memory_on_device(m);
	pthread_rwlock_unlock(&lock);
	return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
