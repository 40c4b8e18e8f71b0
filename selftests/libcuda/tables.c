/* SPDX-License-Identifier: MIT */
/* libcuda's own tables: handles, known memory, reserved ranges, JIT options. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "libcuda/code.h"
#include "libcuda/memory.h"
#include "libcuda/output.h"
#include "libcuda/steer.h"
#include "test.h"

/* A session whose channel nobody reads: what is registered is told to it. */
static struct vgpu_session session, *const some = &session;

static bool have_channel(void)
{
	static struct vgpu_channel *peer;
	const struct vgpu_ring_sizes sizes = VGPU_DEFAULT_SIZES;

	return session.channel || !vgpu_channel_pair(&session.channel, &peer, &sizes);
}

TEST(handle_lives_until_freed)
{
	uint64_t h, again;
	struct vgpu_object *o = vgpu_object_new(some, VGPU_KIND_STREAM, 7, &h);

	REQUIRE(o);
	CHECK(!vgpu_object_get(h, VGPU_KIND_STREAM));	/* not published yet */
	vgpu_object_publish(o, h);
	CHECK(vgpu_object_get(h, VGPU_KIND_STREAM) == o);
	CHECK(!vgpu_object_get(h, VGPU_KIND_EVENT));
	CHECK(!vgpu_object_get(h + (1ull << 32), VGPU_KIND_STREAM));
	vgpu_object_free(h);
	CHECK(!vgpu_object_get(h, VGPU_KIND_STREAM));
	o = vgpu_object_new(some, VGPU_KIND_STREAM, 7, &again);
	vgpu_object_publish(o, again);
	CHECK(again != h);
	CHECK_EQ(vgpu_handle_index(again), vgpu_handle_index(h));
	CHECK(!vgpu_object_get(h, VGPU_KIND_STREAM));
	vgpu_object_free(h);	/* stale: not the one that has the slot now */
	CHECK(vgpu_object_get(again, VGPU_KIND_STREAM) == o);
	vgpu_object_free(again);
	vgpu_object_free(again);
	CHECK(!vgpu_object_get(again, VGPU_KIND_STREAM));
}

TEST(foreign_handles_are_refused)
{
	static const uint64_t bad[] = {
		0, 1, 2, ~0ull, 0x7fff00000000, (uint64_t)VGPU_KIND_STREAM << 56,
		(uint64_t)VGPU_KIND_STREAM << 56 | 0xffffffff,
		(uint64_t)VGPU_KIND_STREAM << 56 | 1ull << 32 | VGPU_HANDLE_SLOTS,
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(!vgpu_object_get(bad[i], VGPU_KIND_STREAM));
}

TEST(a_kernel_is_a_function_but_not_the_reverse)
{
	uint64_t k, f;
	struct vgpu_object *ko = vgpu_object_new(some, VGPU_KIND_KERNEL, 0, &k);
	struct vgpu_object *fo = vgpu_object_new(some, VGPU_KIND_FUNCTION, 0, &f);

	vgpu_object_publish(ko, k);
	vgpu_object_publish(fo, f);
	CHECK(vgpu_object_get(k, VGPU_KIND_FUNCTION) == ko);
	CHECK(!vgpu_object_get(f, VGPU_KIND_KERNEL));
	vgpu_object_free(k);
	vgpu_object_free(f);
}

TEST(a_context_takes_its_objects_along)
{
	uint64_t mine[3000], other;
	struct vgpu_object *o;

	for (int i = 0; i < 3000; i++) {	/* more than a chunk of slots */
		o = vgpu_object_new(some, VGPU_KIND_EVENT, 0x51ull << 56 | 5, &mine[i]);
		vgpu_object_publish(o, mine[i]);
	}
	o = vgpu_object_new(some, VGPU_KIND_EVENT, 0x51ull << 56 | 6, &other);
	vgpu_object_publish(o, other);
	vgpu_objects_drop(0x51ull << 56 | 5);
	for (int i = 0; i < 3000; i++)
		CHECK(!vgpu_object_get(mine[i], VGPU_KIND_EVENT));
	CHECK(vgpu_object_get(other, VGPU_KIND_EVENT) == o);
	vgpu_object_free(other);
}

static uint64_t code_new(enum vgpu_kind kind, uint64_t root)
{
	uint64_t h;
	struct vgpu_object *o = vgpu_object_new(some, kind, 0, &h);

	o->code.root = root;
	vgpu_object_publish(o, h);
	return h;
}

TEST(a_library_takes_its_code_along)
{
	uint64_t library = code_new(VGPU_KIND_LIBRARY, 0), other = code_new(VGPU_KIND_MODULE, 0);
	uint64_t kernel = code_new(VGPU_KIND_KERNEL, library);
	uint64_t function = code_new(VGPU_KIND_FUNCTION, library);
	uint64_t others = code_new(VGPU_KIND_FUNCTION, other);

	vgpu_objects_drop_code(library);
	CHECK(vgpu_object_get(library, VGPU_KIND_LIBRARY));
	CHECK(!vgpu_object_get(kernel, VGPU_KIND_KERNEL));
	CHECK(!vgpu_object_get(function, VGPU_KIND_FUNCTION));
	CHECK(vgpu_object_get(others, VGPU_KIND_FUNCTION));
	vgpu_object_free(library);
	vgpu_objects_drop_code(other);
	vgpu_object_free(other);
}

/* ---- known memory ---- */

static void add(uint64_t start, uint64_t size, enum vgpu_memory_kind kind, uint64_t ctx)
{
	struct vgpu_memory m = { .start = start, .size = size, .kind = kind, .session = some,
				 .ctx = ctx };

	CHECK_EQ(vgpu_memory_add(&m), 0);
}

TEST(memory_is_found_by_any_address_in_it)
{
	struct vgpu_call_place p = { .session = some };
	struct vgpu_memory m;
	bool host = false;

	for (uint64_t i = 0; i < 500; i++)	/* not in order: 0, 7, 14, ... modulo 500 */
		add(0x10000 + (i * 7 % 500) * 0x1000, 0x800, VGPU_MEMORY_DEVICE, 1);
	for (uint64_t i = 0; i < 500; i++) {
		uint64_t start = 0x10000 + i * 0x1000;

		vgpu_memory_find(start + 0x7ff, &m);
		CHECK_EQ(m.start, start);
		vgpu_memory_find(start + 0x800, &m);
		CHECK_EQ(m.kind, VGPU_MEMORY_HOST);
		CHECK_EQ(vgpu_memory_within(&p, start, 0x800, &host), CUDA_SUCCESS);
		CHECK_EQ(vgpu_memory_within(&p, start, 0x801, &host), CUDA_ERROR_INVALID_VALUE);
		CHECK_EQ(vgpu_memory_within(&p, start + 1, 0x800, &host), CUDA_ERROR_INVALID_VALUE);
		CHECK_EQ(vgpu_memory_within(&p, start + 8, ~0ull, &host), CUDA_ERROR_INVALID_VALUE);
	}
	CHECK(!host);
	vgpu_memory_find(0xffff, &m);
	CHECK_EQ(m.kind, VGPU_MEMORY_HOST);
	CHECK(!vgpu_memory_take(0x10001, VGPU_MEMORY_DEVICE, &m));
	CHECK(!vgpu_memory_take(0x10000, VGPU_MEMORY_PINNED, &m));
	CHECK(vgpu_memory_take(0x10000, VGPU_MEMORY_DEVICE, &m));
	CHECK(!vgpu_memory_take(0x10000, VGPU_MEMORY_DEVICE, &m));
	add(0x10000, 0x800, VGPU_MEMORY_GLOBAL, 2);
	vgpu_memory_drop(some, 1);
	vgpu_memory_find(0x11000, &m);
	CHECK_EQ(m.kind, VGPU_MEMORY_HOST);
	vgpu_memory_find(0x10000, &m);
	CHECK_EQ(m.kind, VGPU_MEMORY_GLOBAL);
	vgpu_memory_drop(some, 2);
}

static int add_registered(uint64_t start, uint64_t size)
{
	struct vgpu_memory m = { .start = start, .size = size, .session = some, .ctx = 3,
				 .kind = VGPU_MEMORY_REGISTERED };

	return vgpu_memory_add(&m);
}

TEST(registered_memory_overlaps_nothing)
{
	REQUIRE(have_channel());
	add(0x20000, 0x1000, VGPU_MEMORY_DEVICE, 4);
	CHECK_EQ(add_registered(0x1f000, 0x1001), -EEXIST);
	CHECK_EQ(add_registered(0x1f000, 0x4000), -EEXIST);	/* all of it inside */
	CHECK_EQ(add_registered(0x20fff, 1), -EEXIST);
	CHECK_EQ(add_registered(0x1f000, 0x1000), 0);
	CHECK_EQ(add_registered(0x21000, 0x1000), 0);
	CHECK_EQ(add_registered(0, ~0ull), -EEXIST);
	vgpu_memory_drop(some, 3);
	CHECK_EQ(add_registered(0x1f000, 0x1000), 0);
	vgpu_memory_drop(some, 3);
	vgpu_memory_drop(some, 4);
}

/* ---- reserved ranges ---- */

TEST(own_memory_is_among_the_ranges)
{
	static struct vgpu_range r[VGPU_RANGES_MAX];
	unsigned n = vgpu_steer_ranges(r, VGPU_RANGES_MAX), few = vgpu_steer_ranges(r, 8);
	uint64_t here = (uintptr_t)&r, stack = (uintptr_t)&n;
	bool has_data = false, has_stack = false;

	CHECK(n > 0);
	CHECK(few > 0 && few <= 8);
	for (unsigned i = 0; i < few; i++) {
		has_data |= r[i].start <= here && here < r[i].end;
		has_stack |= r[i].start <= stack && stack < r[i].end;
		CHECK(r[i].start < r[i].end);
		CHECK(!i || r[i - 1].end <= r[i].start);
	}
	CHECK(has_data && has_stack);
}

TEST(what_the_app_has_is_not_reserved)
{
	size_t page = VGPU_PAGE_SIZE;
	char *p = mmap(NULL, 8 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t at = (uintptr_t)p;

	REQUIRE(p != MAP_FAILED);
	CHECK(!vgpu_steer_reserve(at + page, page));
	munmap(p + page, 2 * page);
	CHECK(!vgpu_steer_reserve(at + page, 3 * page));	/* the third page is the app's */
	CHECK(vgpu_steer_reserve(at + page + 512, 100));	/* two allocations on a page */
	CHECK(vgpu_steer_reserve(at + page + 1024, page));
	CHECK(vgpu_steer_reserve(at + page, 2 * page));		/* again, wholly reserved */
	CHECK(mmap(p + page, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		   -1, 0) == MAP_FAILED);
	CHECK(!vgpu_steer_reserve(0, 0));
	CHECK(!vgpu_steer_reserve(1ull << 47, page));
	CHECK(!vgpu_steer_reserve(~0ull - 10, 100));
	munmap(p, 8 * page);
}

/* ---- JIT options ---- */

TEST(jit_options_travel_or_are_refused)
{
	char log[8] = "........";
	CUjit_option o[] = { CU_JIT_MAX_REGISTERS, CU_JIT_ERROR_LOG_BUFFER,
			     CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES };
	void *v[] = { (void *)32, log, (void *)sizeof(log) };
	CUjit_option pointer[] = { CU_JIT_GLOBAL_SYMBOL_NAMES };
	struct vgpu_jit jit;

	CHECK_EQ(vgpu_jit_begin(&jit, 3, o, v), CUDA_SUCCESS);
	CHECK_EQ(jit.length, 8);
	CHECK_EQ(jit.pairs[0], CU_JIT_MAX_REGISTERS);
	CHECK_EQ(jit.pairs[1], 32);
	strcpy(jit.error, "line 7: what?");
	jit.error_length = strlen(jit.error);
	vgpu_jit_end(&jit, 3, o, v);
	CHECK(!strcmp(log, "line 7:"));
	CHECK_EQ((uintptr_t)v[2], 7);
	memset(&jit, 'x', sizeof(jit));
	v[2] = (void *)sizeof(log);
	CHECK_EQ(vgpu_jit_begin(&jit, 3, o, v), CUDA_SUCCESS);
	vgpu_jit_end(&jit, 3, o, v);		/* refused before it was compiled */
	CHECK(!log[0] && !v[2]);
	CHECK_EQ(vgpu_jit_begin(&jit, 1, pointer, v), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(vgpu_jit_begin(&jit, 1, NULL, v), CUDA_ERROR_INVALID_VALUE);
}

/* ---- output of kernels ---- */

TEST(output_is_kept_then_written_in_order)
{
	static char much[600 << 10], got[8];
	FILE *file = tmpfile();
	int out = dup(1);

	REQUIRE(file && out >= 0);
	fflush(stdout);
	dup2(fileno(file), 1);
	vgpu_output_keep(1, "ab", 2);
	vgpu_output_keep(1, "c", 1);
	vgpu_output_write();
	vgpu_output_write();
	dup2(out, 1);
	CHECK_EQ(pread(fileno(file), got, sizeof(got), 0), 3);
	CHECK(!strcmp(got, "abc"));
	dup2(fileno(file), 1);
	vgpu_output_keep(1, much, sizeof(much));
	CHECK(!vgpu_output_full());
	vgpu_output_keep(1, much, sizeof(much));
	CHECK(vgpu_output_full());
	vgpu_output_write();
	CHECK(!vgpu_output_full());
	dup2(out, 1);
	close(out);
	fclose(file);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
