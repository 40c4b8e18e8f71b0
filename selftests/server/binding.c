/* SPDX-License-Identifier: MIT */
/* Which GPU a virtual one is: backends, the list a worker gets, what is decided. */
#include <errno.h>
#include "server/binding.h"
#include "test.h"

TEST(backends)
{
	static const char *const bad[] = {
		"", "local", "local:", "local:-1", "local:+1", "local: 1", "local:1 ", "local:01",
		"local:1x", "local:0x1", "local:2147483648", "local:99999999999999999999",
		"Local:1", "remote:1", " local:1", "local:1,2",
	};
	char text[32];
	unsigned k = 77;

	CHECK_EQ(vgpu_backend_parse("local:0", &k), 0);
	CHECK_EQ(k, 0);
	CHECK_EQ(vgpu_backend_parse("local:12", &k), 0);
	CHECK_EQ(k, 12);
	CHECK_EQ(vgpu_backend_parse("local:2147483647", &k), 0);
	CHECK_EQ(k, 2147483647);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (vgpu_backend_parse(bad[i], &k) != -EINVAL)
			printf("# \"%s\"\n", bad[i]);
		CHECK_EQ(vgpu_backend_parse(bad[i], &k), -EINVAL);
	}
	vgpu_backend_format(5, text, sizeof(text));
	CHECK(!strcmp(text, "local:5"));
}

/* ---- lists ---- */

#define UUID	"00010203-0405-0607-0809-0a0b0c0d0e0f"

static struct vgpu_gpu_list full_list(unsigned count)
{
	struct vgpu_gpu_list list = { .count = count };

	for (unsigned i = 0; i < count; i++) {
		list.gpus[i].ordinal = i % 2 ? 2147483647 : i;
		list.gpus[i].number = i % 3 ? 2147483647 : 5 * i;
		for (unsigned k = 0; k < 16; k++)
			list.gpus[i].uuid[k] = 16 * i + k;
	}
	return list;
}

TEST(a_list_there_and_back)
{
	for (unsigned n = 1; n <= VGPU_CHANNEL_DEVICES; n++) {
		struct vgpu_gpu_list list = full_list(n), back;
		char text[VGPU_GPU_LIST_TEXT];

		memset(&back, 0, sizeof(back));
		vgpu_gpu_list_format(&list, text, sizeof(text));
		CHECK(strlen(text) < sizeof(text) - 1 || n == VGPU_CHANNEL_DEVICES);
		CHECK_EQ(vgpu_gpu_list_parse(text, &back), 0);
		CHECK_EQ(back.count, n);
		CHECK(!memcmp(&back, &list, sizeof(list)));
	}
}

TEST(a_short_list_reads_so)
{
	struct vgpu_gpu_list list;

	CHECK_EQ(vgpu_gpu_list_parse("0=3:" UUID ",17=3:" UUID, &list), 0);
	CHECK_EQ(list.count, 2);
	CHECK_EQ(list.gpus[1].number, 17);
	CHECK_EQ(list.gpus[1].ordinal, 3);
	CHECK_EQ(list.gpus[1].uuid[15], 15);
}

TEST(lists_that_are_none)
{
	static const char *const bad[] = {
		"", ",", "0", "0=", "0=0", "0=0:", "0:" UUID, "=0:" UUID, "0=:" UUID,
		"0=0:" UUID ",", ",0=0:" UUID, "0=0:" UUID ";1=1:" UUID, "0=0:" UUID "0",
		"0=0:" UUID " ", "00=0:" UUID, "0=00:" UUID, "-1=0:" UUID, "0=-1:" UUID,
		"0=0: " UUID, "0=0:00010203-0405-0607-0809-0a0b0c0d0e0",
		"0=0:00010203-0405-0607-0809-0a0b0c0d0e0g",
	};
	char many[(VGPU_CHANNEL_DEVICES + 1) * 42] = "0=0:" UUID;
	struct vgpu_gpu_list list;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (vgpu_gpu_list_parse(bad[i], &list) != -EINVAL)
			printf("# \"%s\"\n", bad[i]);
		CHECK_EQ(vgpu_gpu_list_parse(bad[i], &list), -EINVAL);
	}
	for (unsigned i = 1; i < VGPU_CHANNEL_DEVICES; i++)
		strcat(many, ",0=0:" UUID);
	CHECK_EQ(vgpu_gpu_list_parse(many, &list), 0);
	strcat(many, ",0=0:" UUID);
	CHECK_EQ(vgpu_gpu_list_parse(many, &list), -EINVAL);
}

/* ---- decisions ---- */

static const struct vgpu_gpu gpus[] = {
	{ "Tesla T4", 16ull << 30 }, { "", 24ull << 30 }, { "H100", 80ull << 30 },
};

#define HAS(a)	VGPU_NL_HAS(VGPU_ATTR_##a)

static int decide(uint32_t number, const char *backend, const char *name, uint64_t memory,
		  unsigned *ordinal, struct vgpu_nl_device *change)
{
	struct vgpu_nl_device d = { .number = number, .memory = memory };

	strcpy(d.backend, backend);
	strcpy(d.name, name);
	return vgpu_binding_decide(&d, gpus, 3, ordinal, change);
}

TEST(a_device_without_a_backend_gets_one)
{
	struct vgpu_nl_device change;
	unsigned k;

	CHECK_EQ(decide(5, "", "", 0, &k, &change), 0);
	CHECK_EQ(k, 2);
	CHECK_EQ(change.number, 5);
	CHECK_EQ(change.has, HAS(BACKEND) | HAS(NAME) | HAS(MEMORY));
	CHECK(!strcmp(change.backend, "local:2"));
	CHECK(!strcmp(change.name, "H100"));
	CHECK_EQ(change.memory, 80ull << 30);
	/* There is no name to give. */
	CHECK_EQ(decide(1, "", "", 0, &k, &change), 0);
	CHECK_EQ(k, 1);
	CHECK_EQ(change.has, HAS(BACKEND) | HAS(MEMORY));
}

TEST(what_an_operator_gave_stays)
{
	struct vgpu_nl_device change;
	unsigned k;

	CHECK_EQ(decide(5, "local:0", "Half a T4", 8ull << 30, &k, &change), 0);
	CHECK_EQ(k, 0);
	CHECK_EQ(change.has, 0);
	CHECK_EQ(decide(5, "local:0", "", 8ull << 30, &k, &change), 0);
	CHECK_EQ(change.has, HAS(NAME));
	CHECK_EQ(decide(5, "", "mine", 1, &k, &change), 0);
	CHECK_EQ(change.has, HAS(BACKEND));
}

TEST(backends_that_are_not_ours)
{
	struct vgpu_nl_device change;
	unsigned k;

	CHECK_EQ(decide(0, "local:3", "", 0, &k, &change), -EINVAL);
	CHECK_EQ(decide(0, "gpuhost:0", "", 0, &k, &change), -EINVAL);
	CHECK_EQ(decide(0, "local:", "", 0, &k, &change), -EINVAL);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
