/* SPDX-License-Identifier: MIT */
/*
 * Whether the source of a copy may be read at the call: not while something that
 * is under way could write to it, and again when that was waited for.
 */
#include "libcuda/early.h"
#include "test.h"

#define A	0x10000ull
#define B	0x20000ull
#define PAGE	0x1000ull

static struct vgpu_early e;

static void begin(void)
{
	memset(&e, 0, sizeof(e));
	pthread_mutex_init(&e.lock, NULL);
}

TEST(nothing_is_under_way)
{
	begin();
	CHECK(vgpu_early_idle(&e));
	CHECK(vgpu_early_allowed(&e, A, PAGE));
}

TEST(a_host_function_may_write_anywhere)
{
	begin();
	atomic_store(&e.hostfns, 1);
	CHECK(!vgpu_early_idle(&e));
	CHECK(!vgpu_early_allowed(&e, A, PAGE));
	atomic_store(&e.hostfns, 0);
	CHECK(vgpu_early_allowed(&e, A, PAGE));
}

TEST(a_write_forbids_its_own_bytes)
{
	begin();
	vgpu_early_write(&e, 1, 2, A, PAGE);
	CHECK(!vgpu_early_allowed(&e, A, PAGE));
	CHECK(!vgpu_early_allowed(&e, A + PAGE - 1, 1));
	CHECK(!vgpu_early_allowed(&e, A - 1, 2));
	CHECK(!vgpu_early_allowed(&e, A - 1, 2 * PAGE));
	CHECK(vgpu_early_allowed(&e, A - 1, 1));
	CHECK(vgpu_early_allowed(&e, A + PAGE, 1));
}

TEST(its_stream_or_context_ends_it)
{
	begin();
	vgpu_early_write(&e, 1, 2, A, PAGE);
	vgpu_early_stream_done(&e, 1, 3, vgpu_early_now(&e));
	vgpu_early_stream_done(&e, 2, 2, vgpu_early_now(&e));
	vgpu_early_context_done(&e, 2, vgpu_early_now(&e));
	CHECK(!vgpu_early_allowed(&e, A, 1));
	vgpu_early_stream_done(&e, 1, 2, vgpu_early_now(&e));
	CHECK(vgpu_early_allowed(&e, A, 1));
	vgpu_early_write(&e, 1, 2, A, PAGE);
	vgpu_early_context_done(&e, 1, vgpu_early_now(&e));
	CHECK(vgpu_early_allowed(&e, A, 1));
	vgpu_early_write(&e, 1, 2, A, PAGE);
	vgpu_early_context_done(&e, 0, vgpu_early_now(&e));
	CHECK(vgpu_early_allowed(&e, A, 1));
	CHECK_EQ(atomic_load(&e.count), 0);
}

TEST(a_later_write_is_not_ended)
{
	uint64_t now;

	begin();
	vgpu_early_write(&e, 1, 2, A, PAGE);
	now = vgpu_early_now(&e);
	vgpu_early_write(&e, 1, 2, B, PAGE);
	vgpu_early_stream_done(&e, 1, 2, now);
	CHECK(!vgpu_early_allowed(&e, B, 1));
	/* What lies between two of one stream is taken for both. */
	CHECK(!vgpu_early_allowed(&e, A + PAGE, 1));
	vgpu_early_stream_done(&e, 1, 2, vgpu_early_now(&e));
	CHECK(vgpu_early_allowed(&e, A, B + PAGE - A));
}

TEST(streams_are_told_apart)
{
	begin();
	vgpu_early_write(&e, 1, 2, A, PAGE);
	vgpu_early_write(&e, 1, 3, B, PAGE);
	CHECK(vgpu_early_allowed(&e, A + PAGE, 1));
	vgpu_early_stream_done(&e, 1, 2, vgpu_early_now(&e));
	CHECK(vgpu_early_allowed(&e, A, PAGE));
	CHECK(!vgpu_early_allowed(&e, B, PAGE));
}

/* None is forgotten, and all end when all of the session was waited for. */
TEST(more_streams_than_places)
{
	const unsigned n = 2 * VGPU_EARLY_WRITES;

	begin();
	for (unsigned i = 0; i < n; i++)
		vgpu_early_write(&e, 1, 2 + i, A + i * PAGE, PAGE);
	for (unsigned i = 0; i < n; i++)
		CHECK(!vgpu_early_allowed(&e, A + i * PAGE, PAGE));
	for (unsigned i = VGPU_EARLY_WRITES - 1; i < n; i++)
		vgpu_early_stream_done(&e, 1, 2 + i, vgpu_early_now(&e));
	for (unsigned i = VGPU_EARLY_WRITES - 1; i < n; i++)
		CHECK(!vgpu_early_allowed(&e, A + i * PAGE, PAGE));
	vgpu_early_context_done(&e, 0, vgpu_early_now(&e));
	CHECK(vgpu_early_allowed(&e, A, n * PAGE));
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
