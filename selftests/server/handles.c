/* SPDX-License-Identifier: MIT */
/* The table of handles: what finds something, what does not, what ends with what. */
#include <stdlib.h>
#include "server/worker.h"
#include "test.h"

static struct vgpu_worker w;

static void *at(uintptr_t n)
{
	return (void *)n;
}

static uint64_t made(enum vgpu_kind kind, unsigned generation, unsigned index)
{
	return vgpu_handle_make(kind, generation, index);
}

static CUresult get(uint64_t wire, enum vgpu_kind kind, uintptr_t expect)
{
	void *driver = NULL;
	CUresult r = vgpu_handle_get(&w, wire, kind, &driver);

	if (!r)
		CHECK_EQ((uintptr_t)driver, expect);
	return r;
}

static CUresult take(uint64_t wire, enum vgpu_kind kind)
{
	struct vgpu_object *objects;
	void *driver;
	CUresult r = vgpu_handle_take(&w, wire, kind, &driver, &objects);

	if (!r)
		vgpu_objects_end(&w, objects);
	return r;
}

TEST(live_handles_are_found)
{
	uint64_t s = made(VGPU_KIND_STREAM, 1, 5);

	CHECK_EQ(vgpu_handle_put(&w, s, VGPU_KIND_STREAM, 0, at(77)), CUDA_SUCCESS);
	CHECK_EQ(get(s, VGPU_KIND_STREAM, 77), CUDA_SUCCESS);
	CHECK_EQ(take(s, VGPU_KIND_STREAM), CUDA_SUCCESS);
	CHECK_EQ(get(s, VGPU_KIND_STREAM, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(take(s, VGPU_KIND_STREAM), CUDA_ERROR_INVALID_HANDLE);
}

TEST(stale_foreign_and_invented_ones_are_not)
{
	uint64_t s = made(VGPU_KIND_STREAM, 1, 6);

	CHECK_EQ(vgpu_handle_put(&w, s, VGPU_KIND_STREAM, 0, at(1)), CUDA_SUCCESS);
	CHECK_EQ(get(made(VGPU_KIND_STREAM, 2, 6), VGPU_KIND_STREAM, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(get(made(VGPU_KIND_EVENT, 1, 6), VGPU_KIND_EVENT, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(get(s, VGPU_KIND_EVENT, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(get(s, VGPU_KIND_CONTEXT, 0), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(get(0, VGPU_KIND_STREAM, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(get(6, VGPU_KIND_STREAM, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(get(~0ull, VGPU_KIND_STREAM, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(get(made(VGPU_KIND_STREAM, 1, VGPU_HANDLE_SLOTS), VGPU_KIND_STREAM, 0),
		 CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(take(s, VGPU_KIND_EVENT), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(take(s, VGPU_KIND_STREAM), CUDA_SUCCESS);
	/* The slot again, one generation later. */
	CHECK_EQ(vgpu_handle_put(&w, made(VGPU_KIND_EVENT, 2, 6), VGPU_KIND_EVENT, 0, at(2)),
		 CUDA_SUCCESS);
	CHECK_EQ(get(s, VGPU_KIND_STREAM, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(take(made(VGPU_KIND_EVENT, 2, 6), VGPU_KIND_EVENT), CUDA_SUCCESS);
}

TEST(numbers_that_cannot_be_given)
{
	uint64_t s = made(VGPU_KIND_STREAM, 1, 7);

	CHECK_EQ(vgpu_handle_put(&w, s, VGPU_KIND_EVENT, 0, at(1)), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(vgpu_handle_put(&w, 0, VGPU_KIND_STREAM, 0, at(1)), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(vgpu_handle_put(&w, made(VGPU_KIND_STREAM, 1, VGPU_HANDLE_SLOTS),
				 VGPU_KIND_STREAM, 0, at(1)), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(vgpu_handle_put(&w, s, VGPU_KIND_STREAM, 0, at(1)), CUDA_SUCCESS);
	CHECK_EQ(vgpu_handle_put(&w, s, VGPU_KIND_STREAM, 0, at(2)), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(vgpu_handle_put(&w, made(VGPU_KIND_EVENT, 2, 7), VGPU_KIND_EVENT, 0, at(2)),
		 CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(vgpu_handle_free(&w, s, VGPU_KIND_STREAM), CUDA_ERROR_INVALID_VALUE);
	/* Below what does not live. */
	CHECK_EQ(vgpu_handle_put(&w, made(VGPU_KIND_STREAM, 1, 8), VGPU_KIND_STREAM,
				 made(VGPU_KIND_CONTEXT, 1, 9), at(2)), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(take(s, VGPU_KIND_STREAM), CUDA_SUCCESS);
}

TEST(the_last_slot_can_be_used)
{
	uint64_t s = made(VGPU_KIND_STREAM, 0xffffff, VGPU_HANDLE_SLOTS - 1);

	CHECK_EQ(vgpu_handle_put(&w, s, VGPU_KIND_STREAM, 0, at(3)), CUDA_SUCCESS);
	CHECK_EQ(get(s, VGPU_KIND_STREAM, 3), CUDA_SUCCESS);
	CHECK_EQ(take(s, VGPU_KIND_STREAM), CUDA_SUCCESS);
}

static int ended;

static void count_end(struct vgpu_worker *worker, struct vgpu_object *o)
{
	ended++;
	free(o);
}

static struct vgpu_object *object(void)
{
	struct vgpu_object *o = calloc(1, sizeof(*o));

	o->end = count_end;
	return o;
}

TEST(children_end_with_their_context)
{
	uint64_t ctx = made(VGPU_KIND_CONTEXT, 1, 20), mod = made(VGPU_KIND_MODULE, 1, 21);
	uint64_t fun = made(VGPU_KIND_FUNCTION, 1, 22), other = made(VGPU_KIND_CONTEXT, 1, 23);
	uint64_t ev = made(VGPU_KIND_EVENT, 1, 24), ev2 = made(VGPU_KIND_EVENT, 1, 25);

	ended = 0;
	CHECK_EQ(vgpu_handle_add(&w, ctx, VGPU_KIND_CONTEXT, 0, 0, at(1), object()), 0);
	CHECK_EQ(vgpu_handle_add(&w, other, VGPU_KIND_CONTEXT, 0, 0, at(2), object()), 0);
	CHECK_EQ(vgpu_handle_add(&w, mod, VGPU_KIND_MODULE, ctx, 0, at(3), object()), 0);
	CHECK_EQ(vgpu_handle_add(&w, fun, VGPU_KIND_FUNCTION, mod, 0, at(4), NULL), 0);
	CHECK(vgpu_handle_attach(&w, fun, object()));
	CHECK_EQ(vgpu_handle_put(&w, ev, VGPU_KIND_EVENT, ctx, at(5)), 0);
	CHECK_EQ(vgpu_handle_put(&w, ev2, VGPU_KIND_EVENT, other, at(6)), 0);
	CHECK_EQ(vgpu_handle_ancestor(&w, fun, VGPU_KIND_CONTEXT), ctx);
	CHECK_EQ(vgpu_handle_ancestor(&w, ev2, VGPU_KIND_LIBRARY), 0);
	CHECK_EQ(take(ctx, VGPU_KIND_CONTEXT), CUDA_SUCCESS);
	CHECK_EQ(ended, 3);
	CHECK_EQ(get(fun, VGPU_KIND_FUNCTION, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(get(mod, VGPU_KIND_MODULE, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(get(ev, VGPU_KIND_EVENT, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(get(ev2, VGPU_KIND_EVENT, 6), CUDA_SUCCESS);
	CHECK_EQ(take(other, VGPU_KIND_CONTEXT), CUDA_SUCCESS);
	CHECK_EQ(ended, 4);
}

TEST(modules_of_a_library_end_with_either)
{
	uint64_t ctx = made(VGPU_KIND_CONTEXT, 1, 30), lib = made(VGPU_KIND_LIBRARY, 1, 31);
	uint64_t ker = made(VGPU_KIND_KERNEL, 1, 32), mod = made(VGPU_KIND_MODULE, 1, 33);
	uint64_t fun = made(VGPU_KIND_FUNCTION, 1, 34);

	CHECK_EQ(vgpu_handle_put(&w, ctx, VGPU_KIND_CONTEXT, 0, at(1)), 0);
	CHECK_EQ(vgpu_handle_put(&w, lib, VGPU_KIND_LIBRARY, 0, at(2)), 0);
	CHECK_EQ(vgpu_handle_put(&w, ker, VGPU_KIND_KERNEL, lib, at(3)), 0);
	CHECK_EQ(vgpu_handle_add(&w, mod, VGPU_KIND_MODULE, ctx, lib, at(4), NULL), 0);
	CHECK_EQ(vgpu_handle_add(&w, fun, VGPU_KIND_FUNCTION, mod, 0, at(5), NULL), 0);
	/* A kernel is taken where a function is, not the reverse. */
	CHECK_EQ(get(ker, VGPU_KIND_FUNCTION, 3), CUDA_SUCCESS);
	CHECK_EQ(get(fun, VGPU_KIND_KERNEL, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(take(ctx, VGPU_KIND_CONTEXT), CUDA_SUCCESS);
	CHECK_EQ(get(mod, VGPU_KIND_MODULE, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(get(ker, VGPU_KIND_KERNEL, 3), CUDA_SUCCESS);
	CHECK_EQ(w.handles.of_libraries, 0);
	CHECK_EQ(vgpu_handle_put(&w, ctx, VGPU_KIND_CONTEXT, 0, at(1)), 0);
	CHECK_EQ(vgpu_handle_add(&w, mod, VGPU_KIND_MODULE, ctx, lib, at(4), NULL), 0);
	CHECK_EQ(vgpu_handle_add(&w, fun, VGPU_KIND_FUNCTION, mod, 0, at(5), NULL), 0);
	CHECK_EQ(take(lib, VGPU_KIND_LIBRARY), CUDA_SUCCESS);
	CHECK_EQ(get(fun, VGPU_KIND_FUNCTION, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(get(mod, VGPU_KIND_MODULE, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(get(ctx, VGPU_KIND_CONTEXT, 1), CUDA_SUCCESS);
	CHECK_EQ(take(ctx, VGPU_KIND_CONTEXT), CUDA_SUCCESS);
}

TEST(an_object_is_hung_once)
{
	uint64_t f = made(VGPU_KIND_FUNCTION, 1, 40);
	struct vgpu_object *second = object();

	CHECK_EQ(vgpu_handle_put(&w, f, VGPU_KIND_FUNCTION, 0, at(1)), 0);
	CHECK(vgpu_handle_attach(&w, f, object()));
	CHECK(!vgpu_handle_attach(&w, f, second));
	CHECK_EQ(take(f, VGPU_KIND_FUNCTION), CUDA_SUCCESS);
	CHECK(!vgpu_handle_attach(&w, f, second));
	free(second);
}

int main(int argc, char **argv)
{
	vgpu_handles_init(&w.handles);
	return test_main(argc, argv);
}
