/* SPDX-License-Identifier: MIT */
/* The checks of hello and answer: a good one, and one test for each refusal. */
#include "proto/proto.h"
#include "test.h"

static struct vgpu_hello good_hello(unsigned nranges)
{
	struct vgpu_hello h = { .magic = VGPU_HELLO_MAGIC,
				.version = VGPU_HELLO_VERSION,
				.nranges = nranges };

	for (unsigned i = 0; i < nranges; i++)
		h.ranges[i] = (struct vgpu_range){ (2 * i + 1) * 4096ul, (2 * i + 2) * 4096ul };
	return h;
}

static bool hello_ok(const struct vgpu_hello *h, size_t length)
{
	return !vgpu_hello_check(h, length);
}

TEST(good_hellos)
{
	struct vgpu_hello h = good_hello(VGPU_RANGES_MAX);

	CHECK(hello_ok(&h, sizeof(h)));
	h.nranges = 0;
	CHECK(hello_ok(&h, vgpu_hello_length(0)));
	h.nranges = 2;
	h.ranges[1].start = h.ranges[0].end;
	CHECK(hello_ok(&h, vgpu_hello_length(2)));
}

TEST(hello_lengths)
{
	struct vgpu_hello h = good_hello(2);

	for (size_t n = 0; n <= sizeof(h); n++)
		CHECK_EQ(hello_ok(&h, n), n == vgpu_hello_length(2));
	h.nranges = VGPU_RANGES_MAX + 1;
	CHECK(!hello_ok(&h, vgpu_hello_length(VGPU_RANGES_MAX + 1)));
}

TEST(hello_head)
{
	struct vgpu_hello h = good_hello(0);
	size_t length = vgpu_hello_length(0);

	h.magic++;
	CHECK(!hello_ok(&h, length));
	h = good_hello(0);
	h.version++;
	CHECK(!hello_ok(&h, length));
	h = good_hello(0);
	h.features = 1;
	CHECK(!hello_ok(&h, length));
}

TEST(hello_ranges)
{
	struct vgpu_hello h = good_hello(2);
	size_t length = vgpu_hello_length(2);

	h.ranges[0].end = h.ranges[0].start;
	CHECK(!hello_ok(&h, length));
	h = good_hello(2);
	h.ranges[0].end = h.ranges[1].start + 4096;
	CHECK(!hello_ok(&h, length));
	h = good_hello(2);
	h.ranges[1].end++;
	CHECK(!hello_ok(&h, length));
}

TEST(answers)
{
	const struct vgpu_answer good = { .magic = VGPU_HELLO_MAGIC,
					  .version = VGPU_HELLO_VERSION };
	struct vgpu_answer a = good;

	CHECK(!vgpu_answer_check(&a, sizeof(a)));
	CHECK(vgpu_answer_check(&a, sizeof(a) - 1));
	a.magic = 0;
	CHECK(vgpu_answer_check(&a, sizeof(a)));
	a = good;
	a.version++;
	CHECK(vgpu_answer_check(&a, sizeof(a)));
	a = good;
	a.reserved = 1;
	CHECK(vgpu_answer_check(&a, sizeof(a)));
	a = good;
	a.features = VGPU_FEATURE_REMOTE;
	CHECK(!vgpu_answer_check(&a, sizeof(a)));
	a.features |= 1ull << 63;
	CHECK(vgpu_answer_check(&a, sizeof(a)));
	a = good;
	memset(a.text, 'x', sizeof(a.text));
	CHECK(vgpu_answer_check(&a, sizeof(a)));
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
