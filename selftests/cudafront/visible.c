// SPDX-License-Identifier: MIT
/*
 * CUDA_VISIBLE_DEVICES.
 */
#include "cudafront/cudafront.h"
#include "test.h"

#define COUNT 12

static CUuuid uuids[COUNT];

/* Device i: first byte 0x80 + i; 10 and 11 differ in their last byte only. */
static void make_uuids(void)
{
	for (int i = 0; i < COUNT; i++)
		for (int k = 0; k < 16; k++)
			uuids[i].bytes[k] = (char)(k ? 0xa0 + k : 0x80 + i);
	uuids[11] = uuids[10];
	uuids[11].bytes[15] ^= 1;
}

/* Is @value seen as the devices of @expected, one character each ('a' is 10)? */
static bool sees(const char *value, const char *expected)
{
	int order[COUNT], n;

	make_uuids();
	n = cudafront_visible_devices(value, COUNT, uuids, order);
	if (n != (int)strlen(expected)) {
		printf("# \"%s\": %d devices\n", value ? value : "(null)", n);
		return false;
	}
	for (int i = 0; i < n; i++)
		if ("0123456789ab"[order[i]] != expected[i])
			return false;
	return true;
}

TEST(all_unless_set)
{
	CHECK(sees(NULL, "0123456789ab"));
	CHECK(sees("", ""));
	CHECK(sees("   ", ""));
}

TEST(indices_in_their_order)
{
	CHECK(sees("0", "0"));
	CHECK(sees("3,1,2", "312"));
	CHECK(sees(" 3 ,\t1", "31"));
	CHECK(sees("11,10", "ba"));
	CHECK(sees("007", "7"));
}

TEST(ends_at_the_first_that_is_not_valid)
{
	CHECK(sees("-1", ""));
	CHECK(sees("0,-1,1", "0"));
	CHECK(sees("0,12,1", "0"));
	CHECK(sees("1,,2", "1"));
	CHECK(sees("1,", "1"));
	CHECK(sees(",1", ""));
	CHECK(sees("1,2x,3", "1"));
	CHECK(sees("1 2", ""));
	CHECK(sees("+1", ""));
	CHECK(sees("NoDevFiles", ""));
	CHECK(sees("2,99999999999999999999999999,1", "2"));
	CHECK(sees("2,4294967296,1", "2"));
	CHECK(sees("1,MIG-8aa1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf,2", "1"));
}

TEST(a_double_hides_all)
{
	CHECK(sees("1,1", ""));
	CHECK(sees("0,1,2,1,3", ""));
	CHECK(sees("1,GPU-81", ""));
	CHECK(sees("1,-1,1", "1"));
}

TEST(uuids_whole_and_abbreviated)
{
	CHECK(sees("GPU-83a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf", "3"));
	CHECK(sees("GPU-83A1A2A3-A4A5-A6A7-A8A9-AAABACADAEAF", "3"));
	CHECK(sees("GPU-85,2,GPU-81a1", "521"));
	CHECK(sees("GPU-8aa1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf", "a"));
	CHECK(sees("GPU-8aa1a2a3-a4a5-a6a7-a8a9-aaabacadaeae", "b"));
	CHECK(sees("1,GPU-8a,2", "1")); /* 10 or 11? */
	CHECK(sees("1,GPU-8,2", "1"));
	CHECK(sees("1,GPU-,2", "1"));
	CHECK(sees("1,GPU-90,2", "1"));
	CHECK(sees("1,83a1a2a3,2", "1"));
	CHECK(sees("GPU-83a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf0", ""));
	CHECK(sees("GPU-83a1a2a3a4a5", ""));
}

TEST(no_device_at_all)
{
	int order[1] = { 7 };

	CHECK_EQ(cudafront_visible_devices(NULL, 0, NULL, order), 0);
	CHECK_EQ(cudafront_visible_devices("0", 0, NULL, order), 0);
	CHECK_EQ(cudafront_visible_devices("GPU-80", 0, NULL, order), 0);
	CHECK_EQ(order[0], 7);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
