/* SPDX-License-Identifier: MIT */
/* The words of vgpu's command line: sizes, numbers, devices. */
#include <errno.h>
#include "../../tools/vgpu/vgpu.h"
#include "test.h"

static void size_is(const char *text, uint64_t expected)
{
	uint64_t bytes = ~expected;
	int err = vgpu_size_parse(text, &bytes);

	if (err || bytes != expected)
		printf("# %s: %d, %llu\n", text, err, (unsigned long long)bytes);
	CHECK(!err && bytes == expected);
}

static void size_fails(const char *text, int expected)
{
	uint64_t bytes = 12345;
	int err = vgpu_size_parse(text, &bytes);

	if (err != expected || bytes != 12345)
		printf("# '%s': %d, %llu\n", text, err, (unsigned long long)bytes);
	CHECK(err == expected && bytes == 12345);
}

TEST(sizes)
{
	size_is("0", 0);
	size_is("1", 1);
	size_is("512B", 512);
	size_is("007", 7);
	size_is("1K", 1024);
	size_is("1k", 1024);
	size_is("3KB", 3 * 1024);
	size_is("3KiB", 3 * 1024);
	size_is("5M", 5ull << 20);
	size_is("16G", 16ull << 30);
	size_is("16gib", 16ull << 30);
	size_is("2T", 2ull << 40);
	size_is("2P", 2ull << 50);
	size_is("0E", 0);
}

TEST(largest_sizes)
{
	size_is("18446744073709551615", UINT64_MAX);
	size_fails("18446744073709551616", -ERANGE);
	size_fails("184467440737095516150", -ERANGE);
	size_is("15E", 15ull << 60);
	size_fails("16E", -ERANGE);
	size_is("18014398509481983K", UINT64_MAX << 10);
	size_fails("18014398509481984K", -ERANGE);
}

TEST(no_sizes)
{
	static const char *const texts[] = {
		"", " ", "-1", "+1", " 1", "1 ", "1 K", "K", "1X", "1KK", "1iB", "1Ki", "1Kib ",
		"1BB", "0x10", "1.5G", "1e3", "G1",
	};

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		size_fails(texts[i], -EINVAL);
}

TEST(numbers)
{
	uint32_t n = 7;

	CHECK(!vgpu_number_parse("0", &n) && n == 0);
	CHECK(!vgpu_number_parse("4294967295", &n) && n == UINT32_MAX);
	CHECK_EQ(vgpu_number_parse("4294967296", &n), -ERANGE);
	CHECK_EQ(vgpu_number_parse("18446744073709551616", &n), -ERANGE);
	CHECK_EQ(vgpu_number_parse("", &n), -EINVAL);
	CHECK_EQ(vgpu_number_parse("1x", &n), -EINVAL);
	CHECK_EQ(vgpu_number_parse("-1", &n), -EINVAL);
	CHECK_EQ(n, UINT32_MAX);
}

TEST(devices_by_number)
{
	static const char *const texts[] = { "31", "vgpu31", "/dev/vgpu31", "/dev/31" };
	struct vgpu_target t;

	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(vgpu_target_parse(texts[i], &t), 0);
		CHECK(!t.by_uuid && t.number == 31 && t.text == texts[i]);
	}
	CHECK_EQ(vgpu_target_parse(texts[3], &t), -EINVAL);
}

TEST(no_devices)
{
	static const char *const texts[] = {
		"", "vgpu", "/dev/vgpu", "vgpuctl", "/dev/vgpuctl", "vgpu1x", "vgpu-1", "gpu1",
		"/dev//vgpu1", "dev/vgpu1", "VGPU1", "/sys/vgpu1", "vgpu 1",
	};
	struct vgpu_target t;

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		int err = vgpu_target_parse(texts[i], &t);

		if (err != -EINVAL)
			printf("# '%s': %d\n", texts[i], err);
		CHECK_EQ(err, -EINVAL);
	}
	CHECK_EQ(vgpu_target_parse("vgpu4294967296", &t), -ERANGE);
}

TEST(devices_by_uuid)
{
	static const char text[] = "GPU-00112233-4455-6677-8899-AABBCCDDeeff";
	struct vgpu_target t;

	CHECK_EQ(vgpu_target_parse(text, &t), 0);
	CHECK(t.by_uuid && t.text == text);
	for (int i = 0; i < VGPU_UUID_BYTES; i++)
		CHECK_EQ(t.uuid[i], i * 0x11);
	CHECK(!vgpu_target_parse(text + 4, &t) && t.by_uuid && t.uuid[15] == 0xff);
	/* as long, but something else */
	CHECK_EQ(vgpu_target_parse("00112233-4455-6677-8899+aabbccddeeff", &t), -EINVAL);
	CHECK_EQ(vgpu_target_parse("GPU-GPU-00112233-4455-6677-8899-aabbccddeeff", &t), -EINVAL);
	CHECK_EQ(vgpu_target_parse("00112233-4455-6677-8899-aabbccddeeff0", &t), -EINVAL);
	CHECK_EQ(vgpu_target_parse("GPU-", &t), -EINVAL);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
