/* SPDX-License-Identifier: MIT */
/* Ranges of the client that no driver is to find free, and opening them again. */
#include <sys/mman.h>
#include "server/worker.h"
#include "test.h"

#define PAGE	((uint64_t)VGPU_PAGE_SIZE)

/* Free room of @pages, for this moment. */
static uint64_t room(unsigned pages)
{
	void *at = mmap(NULL, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(at, pages * PAGE);
	return (uintptr_t)at;
}

/* Is that page free? Looking leaves it so. */
static bool is_free(uint64_t page)
{
	void *want = (void *)(uintptr_t)page;
	void *at = mmap(want, PAGE, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (at == MAP_FAILED)
		return false;
	munmap(at, PAGE);
	return at == want;
}

/* Bit n: page n is free. */
static unsigned free_pages(uint64_t start, unsigned n)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < n; i++)
		bits |= is_free(start + i * PAGE) << i;
	return bits;
}

TEST(what_is_free_is_blocked)
{
	uint64_t at = room(8);
	struct vgpu_range r[] = { { at, at + 2 * PAGE }, { at + 4 * PAGE, at + 5 * PAGE } };

	CHECK_EQ(vgpu_steer_block(r, 2), 3 * PAGE);
	CHECK_EQ(free_pages(at, 8), 0xec);
	CHECK_EQ(vgpu_steer_block(r, 2), 0);
	vgpu_steer_open(&r[0]);
	vgpu_steer_open(&r[1]);
	CHECK_EQ(free_pages(at, 8), 0xff);
}

TEST(what_is_used_stays)
{
	uint64_t at = room(8);
	struct vgpu_range r = { at, at + 8 * PAGE };
	char *used = mmap((void *)(uintptr_t)(at + 3 * PAGE), PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	*used = 7;
	CHECK_EQ(vgpu_steer_block(&r, 1), 7 * PAGE);
	CHECK_EQ(*used, 7);
	/* Opened, it is there as well. */
	vgpu_steer_open(&r);
	CHECK_EQ(*used, 7);
	CHECK_EQ(free_pages(at, 8), 0xf7);
	munmap(used, PAGE);
}

TEST(a_part_is_opened)
{
	uint64_t at = room(8);
	struct vgpu_range r = { at, at + 8 * PAGE };
	struct vgpu_range middle = { at + 2 * PAGE, at + 4 * PAGE };
	struct vgpu_range across = { at + 3 * PAGE, at + 6 * PAGE };

	CHECK_EQ(vgpu_steer_block(&r, 1), 8 * PAGE);
	vgpu_steer_open(&middle);
	CHECK_EQ(free_pages(at, 8), 0x0c);
	vgpu_steer_open(&across);
	CHECK_EQ(free_pages(at, 8), 0x3c);
	CHECK_EQ(vgpu_steer_block(&middle, 1), 2 * PAGE);
	CHECK_EQ(free_pages(at, 8), 0x30);
	vgpu_steer_open(&r);
	CHECK_EQ(free_pages(at, 8), 0xff);
}

TEST(ranges_that_are_none)
{
	struct vgpu_range r[] = {
		{ 0, 0 }, { PAGE, 0 }, { ~0ull << 12, ~0ull << 12 },
		{ 1ull << 63, ~0ull << 12 }, { 0xffffffffff600000, 0xffffffffff601000 },
	};

	CHECK_EQ(vgpu_steer_block(r, sizeof(r) / sizeof(r[0])), 0);
	vgpu_steer_open(&r[1]);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
