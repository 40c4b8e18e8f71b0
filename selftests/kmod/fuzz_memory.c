// SPDX-License-Identifier: MIT
/* Calls on mappings of channels, and on the arena; see fuzz.h. */
#include "fuzz.h"

/*
 * Every mapping has a place of its own, which nothing else of the process can come
 * to be in when parts of it are cut out.
 */
#define ZONE		((char *)0x300000000000)
#define PLACE		((size_t)VGPU_RING_MAX * 4)

static char *place_of(struct fuzz *f, const struct area *area)
{
	return ZONE + (area - f->areas) * PLACE;
}

static struct area *pick_area(struct fuzz *f)
{
	unsigned int start = below(f, AREAS);

	for (unsigned int i = 0; i < AREAS; i++) {
		struct area *area = &f->areas[(start + i) % AREAS];

		if (area->at)
			return area;
	}
	return NULL;
}

static void unmap(struct fuzz *f, struct area *area)
{
	judge(f, "munmap", munmap(place_of(f, area), area->size) ? -errno : 0, ENOMEM, 0);
	*area = (struct area){};
}

static struct area *free_area(struct fuzz *f)
{
	struct area *area = &f->areas[below(f, AREAS)];

	if (area->at)
		unmap(f, area);
	return area;
}

static size_t half_size(const struct vgpu_ring_sizes *sizes, uint64_t offset)
{
	return offset == VGPU_MMAP_APP ? app_half(sizes) : peer_half(sizes);
}

static bool is_half(uint64_t offset)
{
	return offset == VGPU_MMAP_APP || offset == VGPU_MMAP_PEER;
}

static struct thing *find_thing(struct fuzz *f, int fd, struct thing *other)
{
	for (int i = 0; i < THINGS; i++)
		if (f->things[i].kind && f->things[i].fd == fd)
			return &f->things[i];
	return other;
}

static void map_something(struct fuzz *f)
{
	static const uint64_t halves[] = { VGPU_MMAP_APP, VGPU_MMAP_PEER };
	struct thing *thing = pick(f, percent(f, 97) ? APP | PEER : ANY);
	int prot = percent(f, 97) ? PROT_READ | (percent(f, 50) ? PROT_WRITE : 0) : below(f, 8);
	const struct buffer *buffer = &f->buffers[below(f, HANDLES)];
	uint64_t offset = halves[below(f, 2)];
	struct area *area;
	size_t size;
	void *at;

	if (!thing)
		return;
	size = half_size(&thing->sizes, offset);
	if (buffer->handle && percent(f, 50)) {
		offset = buffer->handle;
		size = buffer->size;
		thing = percent(f, 80) ? find_thing(f, buffer->fd, thing) : thing;
	}
	offset = mostly(f, offset) & ~(PAGE - 1);
	size = mostly(f, size);
	area = free_area(f);
	at = mmap(place_of(f, area), size, prot, MAP_FIXED_NOREPLACE |
		  (percent(f, 97) ? MAP_SHARED : MAP_PRIVATE), thing->fd, offset);
	judge(f, "mmap", at == MAP_FAILED ? -errno : 0, EINVAL, EACCES, EPIPE, ENOENT, EPERM,
	      ENOTCONN, ENOMEM, ENODEV, EBADF, EOVERFLOW, EAGAIN, EEXIST, 0);
	if (at == MAP_FAILED)
		return;
	if (thing->kind == APP && offset == VGPU_MMAP_PEER && prot & PROT_WRITE)
		wrong(f, "an app can write what is its peer's", prot);
	*area = (struct area){ .at = at, .size = size, .kind = thing->kind, .offset = offset };
}

static void unmap_something(struct fuzz *f)
{
	struct area *area = pick_area(f);

	if (area)
		unmap(f, area);
}

/* Some pages of one: what is cut out of a buffer stays known as if it was there. */
static void unmap_part(struct fuzz *f)
{
	struct area *area = pick_area(f);
	size_t pages = area ? area->size / PAGE : 0;
	size_t begin;

	if (pages < 2)
		return;
	begin = below(f, pages);
	if (!judge(f, "munmap", munmap(area->at + begin * PAGE, PAGE) ? -errno : 0, EINVAL,
		   ENOMEM, 0) && is_half(area->offset) && (area->kind & (APP | PEER)))
		wrong(f, "a part of a half was unmapped", begin);
}

static void protect_part(struct fuzz *f)
{
	struct area *area = pick_area(f);
	int prot = below(f, 4);
	bool whole = percent(f, 50);
	size_t begin = area && !whole ? below(f, area->size / PAGE) * PAGE : 0;
	long err;

	if (!area)
		return;
	err = mprotect(area->at + begin, whole ? area->size : PAGE, prot) ? -errno : 0;
	judge(f, "mprotect", err, EACCES, EINVAL, ENOMEM, EAGAIN, 0);
	if (!err && area->kind == APP && area->offset == VGPU_MMAP_PEER && prot & PROT_WRITE)
		wrong(f, "an app made writable what is its peer's", prot);
}

/* To the place of another, or not at all. */
static void move_something(struct fuzz *f)
{
	struct area *area = pick_area(f), *to, old;
	size_t size;
	char *at;

	if (!area)
		return;
	to = free_area(f);
	old = *area;
	if (!old.at)
		return;
	size = percent(f, 60) ? old.size : (1 + below(f, 32)) * PAGE;
	at = mremap(old.at, percent(f, 95) ? old.size : 0, size, percent(f, 70) ?
		    MREMAP_MAYMOVE | MREMAP_FIXED : 0, place_of(f, to));
	judge(f, "mremap", at == MAP_FAILED ? -errno : 0, EFAULT, EINVAL, ENOMEM, EAGAIN, 0);
	if (at == MAP_FAILED)
		return;
	if (size > old.size)
		wrong(f, "a mapping grew", size);
	*area = (struct area){};
	to = at == old.at ? area : to;
	*to = (struct area){ .at = at, .size = size, .kind = old.kind, .offset = old.offset };
}

static void advise(struct fuzz *f)
{
	static const int advices[] = {
		MADV_NORMAL, MADV_WILLNEED, MADV_DONTNEED, MADV_DONTFORK, MADV_DOFORK,
		MADV_DONTDUMP, MADV_DODUMP, MADV_MERGEABLE, MADV_HUGEPAGE, MADV_COLD,
		MADV_PAGEOUT, MADV_FREE, MADV_REMOVE, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
	};
	struct area *area = pick_area(f);
	int advice = advices[below(f, sizeof(advices) / sizeof(*advices))];

	if (!area)
		return;
	judge(f, "madvise", madvise(area->at, area->size, advice) ? -errno : 0, EINVAL, ENOMEM,
	      EACCES, EPERM, EBADF, EFAULT, EAGAIN, EINTR, EIO, EBUSY, ENODEV, 0);
}

static void lock(struct fuzz *f)
{
	struct area *area = pick_area(f);

	if (!area)
		return;
	if (percent(f, 50))
		judge(f, "mlock", mlock(area->at, area->size) ? -errno : 0, ENOMEM, EAGAIN,
		      EINVAL, EPERM, EINTR, 0);
	else
		judge(f, "munlock", munlock(area->at, area->size) ? -errno : 0, ENOMEM, EINVAL,
		      EAGAIN, 0);
}

static void touch_something(struct fuzz *f)
{
	struct area *area = pick_area(f);
	char bytes[64];
	char *at;

	if (!area)
		return;
	at = area->at + below(f, area->size);
	if (percent(f, 50))
		careful_copy(bytes, at, sizeof(bytes));
	else
		careful_copy(at, bytes, sizeof(bytes));
}

/* The arena gets holes, pages that cannot be written, and whole again. */
static void change_arena(struct fuzz *f)
{
	char *at = ARENA + below(f, ARENA_SIZE / PAGE) * PAGE;
	size_t size = (1 + below(f, 8)) * PAGE;

	if (at + size > ARENA + ARENA_SIZE)
		size = PAGE;
	switch (below(f, 4)) {
	case 0:
		munmap(at, size);
		break;
	case 1:
		mprotect(at, size, below(f, 4));
		break;
	case 2:
		madvise(at, size, MADV_DONTNEED);
		break;
	default:
		judge(f, "mmap", mmap(at, size, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		      MAP_FAILED ? -errno : 0, ENOMEM, EAGAIN, 0);
	}
}

const struct op fuzz_memory[] = {
	OP("mmap", 70, map_something),
	OP("munmap", 40, unmap_something),
	OP("munmap of a part", 15, unmap_part),
	OP("mprotect", 25, protect_part),
	OP("mremap", 20, move_something),
	OP("madvise", 20, advise),
	OP("mlock", 6, lock),
	RACING_OP("touch", 40, touch_something),
	OP("the arena", 25, change_arena),
	{}
};
