/* SPDX-License-Identifier: MIT */
/*
 * Messages of the family, made and taken apart without the module: attributes,
 * what a hostile or newer kernel could send, the kernel's words in a refusal.
 * What the module does with them is tested where it runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include "nl/internal.h"
#include "test.h"

#define FAMILY	42

static struct nl_msg *message(enum vgpu_cmd cmd)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (!msg || !genlmsg_put(msg, 1, 1, FAMILY, 0, 0, cmd, VGPU_GENL_VERSION))
		abort();
	return msg;
}

static const struct vgpu_nl_device full = {
	.has = VGPU_NL_HAS(VGPU_ATTR_DEVICE) | VGPU_NL_HAS(VGPU_ATTR_NAME) |
	       VGPU_NL_HAS(VGPU_ATTR_UUID) | VGPU_NL_HAS(VGPU_ATTR_STATE) |
	       VGPU_NL_HAS(VGPU_ATTR_BACKEND) | VGPU_NL_HAS(VGPU_ATTR_MEMORY) |
	       VGPU_NL_HAS(VGPU_ATTR_BUDGET) | VGPU_NL_HAS(VGPU_ATTR_CHANNEL_BUDGET) |
	       VGPU_NL_HAS(VGPU_ATTR_CHARGED) | VGPU_NL_HAS(VGPU_ATTR_CHANNELS) |
	       VGPU_NL_HAS(VGPU_ATTR_CHANNELS_TOTAL) | VGPU_NL_HAS(VGPU_ATTR_CHANNELS_LOST) |
	       VGPU_NL_HAS(VGPU_ATTR_COPIED),
	.number = 7, .state = VGPU_DEVICE_READY,
	.uuid = { 0xde, 0xad, 0xbe, 0xef, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff },
	.name = "Tesla T4", .backend = "local:3",
	.memory = 1ull << 40, .budget = 2, .channel_budget = 3, .charged = 4, .channels = 5,
	.channels_total = 6, .channels_lost = 7, .copied = ~0ull,
};

TEST(device_there_and_back)
{
	struct nl_msg *msg = message(VGPU_CMD_DEVICE_SET_NTF);
	struct vgpu_nl_event e;

	CHECK_EQ(vgpu_nl_encode(msg, &full), 0);
	CHECK_EQ(vgpu_nl_decode(nlmsg_hdr(msg), &e), 0);
	CHECK_EQ(e.cmd, VGPU_CMD_DEVICE_SET_NTF);
	CHECK(!memcmp(&e.device, &full, sizeof(full)));
	nlmsg_free(msg);
}

TEST(only_what_is_given_is_sent)
{
	struct nl_msg *msg = message(VGPU_CMD_DEVICE_SET);
	struct vgpu_nl_device some = full;
	struct vgpu_nl_event e;

	some.has = VGPU_NL_HAS(VGPU_ATTR_DEVICE) | VGPU_NL_HAS(VGPU_ATTR_BACKEND);
	CHECK_EQ(vgpu_nl_encode(msg, &some), 0);
	CHECK_EQ(vgpu_nl_decode(nlmsg_hdr(msg), &e), 0);
	CHECK_EQ(e.device.has, some.has);
	CHECK_EQ(e.device.number, 7);
	CHECK(!strcmp(e.device.backend, "local:3"));
	CHECK_EQ(e.device.name[0], 0);
	CHECK_EQ(e.device.memory, 0);
	nlmsg_free(msg);
}

TEST(longest_strings)
{
	struct nl_msg *msg = message(VGPU_CMD_DEVICE_GET);
	struct vgpu_nl_device d = full;
	struct vgpu_nl_event e;

	memset(d.name, 'n', VGPU_NAME_MAX);
	memset(d.backend, 'b', VGPU_BACKEND_MAX);
	CHECK_EQ(vgpu_nl_encode(msg, &d), 0);
	CHECK_EQ(vgpu_nl_decode(nlmsg_hdr(msg), &e), 0);
	CHECK(!memcmp(&e.device, &d, sizeof(d)));
	nlmsg_free(msg);
}

TEST(channel_event)
{
	struct nl_msg *msg = message(VGPU_CMD_CHANNEL_CHANGE_NTF);
	struct vgpu_nl_event e;

	nla_put_u32(msg, VGPU_ATTR_DEVICE, 3);
	nla_put_u64(msg, VGPU_ATTR_CHANNEL, 1ull << 33);
	nla_put_u32(msg, VGPU_ATTR_CHANNEL_STATE, VGPU_CHANNEL_LOST);
	CHECK_EQ(vgpu_nl_decode(nlmsg_hdr(msg), &e), 0);
	CHECK_EQ(e.device.number, 3);
	CHECK_EQ(e.channel, 1ull << 33);
	CHECK_EQ(e.channel_state, VGPU_CHANNEL_LOST);
	nlmsg_free(msg);
}

/* @attr with @length bytes of @byte, beside a good DEVICE. */
static int decode_with(int attr, int length, char byte)
{
	struct nl_msg *msg = message(VGPU_CMD_DEVICE_GET);
	struct vgpu_nl_event e;
	char bytes[512];
	int err;

	memset(bytes, byte, sizeof(bytes));
	nla_put_u32(msg, VGPU_ATTR_DEVICE, 0);
	nla_put(msg, attr, length, bytes);
	err = vgpu_nl_decode(nlmsg_hdr(msg), &e);
	nlmsg_free(msg);
	return err;
}

TEST(attributes_of_wrong_sizes)
{
	CHECK_EQ(decode_with(VGPU_ATTR_UUID, 15, 1), -EPROTO);
	CHECK_EQ(decode_with(VGPU_ATTR_UUID, 17, 1), -EPROTO);
	CHECK_EQ(decode_with(VGPU_ATTR_MEMORY, 4, 1), -EPROTO);
	CHECK_EQ(decode_with(VGPU_ATTR_STATE, 2, 1), -EPROTO);
	CHECK_EQ(decode_with(VGPU_ATTR_NAME, VGPU_NAME_MAX + 1, 'x'), -EPROTO);
	CHECK_EQ(decode_with(VGPU_ATTR_NAME, VGPU_NAME_MAX + 2, 0), -EPROTO);
	CHECK_EQ(decode_with(VGPU_ATTR_BACKEND, VGPU_BACKEND_MAX + 2, 0), -EPROTO);
	CHECK_EQ(decode_with(VGPU_ATTR_BACKEND, 0, 0), -EPROTO);
}

TEST(a_newer_kernel_says_more)
{
	CHECK_EQ(decode_with(VGPU_ATTR_MAX + 1, 8, 1), 0);
	CHECK_EQ(decode_with(VGPU_ATTR_MAX + 100, 3, 1), 0);
}

TEST(no_device_in_it)
{
	struct nl_msg *msg = message(VGPU_CMD_DEVICE_GET);
	struct vgpu_nl_event e;

	nla_put_string(msg, VGPU_ATTR_NAME, "nobody");
	CHECK_EQ(vgpu_nl_decode(nlmsg_hdr(msg), &e), -EPROTO);
	nlmsg_free(msg);
	/* Whoever listens does not stop for an event that it does not know. */
	msg = message(VGPU_CMD_MAX + 1);
	CHECK_EQ(vgpu_nl_decode(nlmsg_hdr(msg), &e), 0);
	CHECK_EQ(e.cmd, VGPU_CMD_MAX + 1);
	CHECK_EQ(e.device.has, 0);
	nlmsg_free(msg);
}

TEST(no_room_for_the_genl_header)
{
	struct nlmsghdr h = { .nlmsg_len = sizeof(h), .nlmsg_type = FAMILY };
	struct vgpu_nl_event e;

	CHECK_EQ(vgpu_nl_decode(&h, &e), -EPROTO);
}

/* ---- the kernel's words ---- */

/* A refusal of a request of @echo bytes, all of which it repeats unless @capped. */
static struct nlmsghdr *refusal(unsigned echo, bool capped, const char *words)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlmsghdr *h = nlmsg_put(msg, 1, 1, NLMSG_ERROR, 0, NLM_F_ACK_TLVS), *copy;
	struct nlmsgerr e = { .error = -EBUSY, .msg = { .nlmsg_len = NLMSG_HDRLEN + echo } };
	char zeroes[64] = "";

	h->nlmsg_flags |= capped ? NLM_F_CAPPED : 0;
	nlmsg_append(msg, &e, sizeof(e), NLMSG_ALIGNTO);
	if (!capped && echo)
		nlmsg_append(msg, zeroes, echo, NLMSG_ALIGNTO);
	nla_put_u32(msg, NLMSGERR_ATTR_OFFS, 20);
	if (words)
		nla_put(msg, NLMSGERR_ATTR_MSG, strlen(words) + 1, words);
	h = nlmsg_hdr(msg);
	copy = malloc(h->nlmsg_len);	/* of its exact size, for a sanitizer to see */
	memcpy(copy, h, h->nlmsg_len);
	nlmsg_free(msg);
	return copy;
}

static void words_come(unsigned echo, bool capped)
{
	struct nlmsghdr *h = refusal(echo, capped, "the device is open");
	char text[64] = "";

	CHECK(vgpu_nl_extack(h, text, sizeof(text)));
	CHECK(!strcmp(text, "the device is open"));
	CHECK(vgpu_nl_extack(h, text, 5));
	CHECK(!strcmp(text, "the "));
	free(h);
}

TEST(words_of_a_refusal)
{
	words_come(0, true);
	words_come(24, true);
	words_come(24, false);
	words_come(21, false);
}

TEST(a_refusal_without_words)
{
	struct nlmsghdr *h = refusal(24, false, NULL);
	char text[64] = "";

	CHECK(!vgpu_nl_extack(h, text, sizeof(text)));
	h->nlmsg_flags = 0;
	CHECK(!vgpu_nl_extack(h, text, sizeof(text)));
	free(h);
}

TEST(a_refusal_that_lies_about_its_length)
{
	struct nlmsghdr *h = refusal(24, false, "the device is open");
	struct nlmsgerr *e = nlmsg_data(h);
	char text[64] = "";

	e->msg.nlmsg_len = 1u << 20;
	CHECK(!vgpu_nl_extack(h, text, sizeof(text)));
	e->msg.nlmsg_len = ~0u;
	CHECK(!vgpu_nl_extack(h, text, sizeof(text)));
	e->msg.nlmsg_len = 3;
	CHECK(!vgpu_nl_extack(h, text, sizeof(text)));
	h->nlmsg_len = NLMSG_HDRLEN + 4;
	CHECK(!vgpu_nl_extack(h, text, sizeof(text)));
	free(h);
}

/* ---- exchanges; with the controller, which every kernel has ---- */

static struct nl_msg *about(const char *family)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (!msg || !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, GENL_ID_CTRL, 0, NLM_F_ACK,
				 CTRL_CMD_GETFAMILY, 1) ||
	    nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, family))
		abort();
	return msg;
}

static int take_count(struct nlmsghdr *h, void *arg)
{
	++*(int *)arg;
	return 0;
}

/* A request that broke off left its answer to be read: it answers no later one. */
TEST(answers_to_an_earlier_request)
{
	struct vgpu_nl nl = { .sock = nl_socket_alloc() };
	int count = 0;

	REQUIRE(nl.sock && !genl_connect(nl.sock));
	for (int i = 0; i < 3; i++) {
		struct nl_msg *broken_off = about("nlctrl");

		CHECK(nl_send_auto(nl.sock, broken_off) > 0);
		nlmsg_free(broken_off);
	}
	CHECK_EQ(vgpu_nl_ask(&nl, about("no such family"), take_count, &count), -ENOENT);
	CHECK_EQ(count, 0);
	CHECK_EQ(vgpu_nl_ask(&nl, about("nlctrl"), take_count, &count), 0);
	CHECK_EQ(count, 1);
	nl_socket_free(nl.sock);
}

/* ---- text ---- */

TEST(uuid_text)
{
	char text[VGPU_UUID_TEXT];
	uint8_t uuid[VGPU_UUID_BYTES];

	vgpu_uuid_format(full.uuid, text);
	CHECK(!strcmp(text, "deadbeef-0405-0607-0809-0a0b0c0d0eff"));
	CHECK_EQ(vgpu_uuid_parse(text, uuid), 0);
	CHECK(!memcmp(uuid, full.uuid, sizeof(uuid)));
	CHECK_EQ(vgpu_uuid_parse("DEADBEEF-0405-0607-0809-0A0B0C0D0EFF", uuid), 0);
	CHECK(!memcmp(uuid, full.uuid, sizeof(uuid)));
}

TEST(no_uuids)
{
	static const char *const bad[] = {
		"", "deadbeef", "deadbeef-0405-0607-0809-0a0b0c0d0ef",
		"deadbeef-0405-0607-0809-0a0b0c0d0eff0", "deadbeef-0405-0607-0809-0a0b0c0d0efg",
		"deadbeef0405-0607-0809-0a0b0c0d0eff00", "deadbeef-0405-0607-0809+0a0b0c0d0eff",
		" eadbeef-0405-0607-0809-0a0b0c0d0eff", "deadbeef-0405-0607-0809-0a0b0c0d0ef\xff",
	};
	uint8_t uuid[VGPU_UUID_BYTES] = { 1, 2, 3 }, before[VGPU_UUID_BYTES];

	memcpy(before, uuid, sizeof(uuid));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK_EQ(vgpu_uuid_parse(bad[i], uuid), -EINVAL);
	CHECK(!memcmp(uuid, before, sizeof(uuid)));
}

TEST(names_of_states)
{
	CHECK(!strcmp(vgpu_device_state_name(VGPU_DEVICE_DOWN), "down"));
	CHECK(!strcmp(vgpu_device_state_name(77), "unknown"));
	CHECK(!strcmp(vgpu_channel_state_name(VGPU_CHANNEL_FROZEN), "frozen"));
	CHECK(!strcmp(vgpu_channel_state_name(~0u), "unknown"));
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
