/* SPDX-License-Identifier: MIT */
/* What vgpu prints for people and for programs. */
#include <errno.h>
#include <stdlib.h>
#include "../../tools/vgpu/daemons.h"
#include "test.h"

static const struct vgpu_nl_device first = {
	.number = 0, .state = VGPU_DEVICE_READY, .uuid = { 0x12, [15] = 0xef },
	.name = "Tesla T4", .backend = "local:0",
	.memory = 16ull << 30, .budget = 0, .channel_budget = 64 << 20,
	.charged = 1536 << 10, .channels = 2, .channels_total = 14, .channels_lost = 1,
	.copied = 1000,
};

static const struct vgpu_nl_device tenth = {
	.number = 10, .state = VGPU_DEVICE_UNBOUND, .name = "\xc3\x9c" "ber", .memory = UINT64_MAX,
};

static struct vgpu_daemons nobody;

static const struct vgpu_daemons daemons = {
	.vgpud = true, .server = true, .nfars = 1, .nnears = 3, .nserved = 2,
	.fars = (struct vgpu_far[]){ {
		.name = "lab", .address = "gpu1:7667", .state = "up", .link = "ktls",
		.rtt_us = 120,
	} },
	.nears = (struct vgpu_near_session[]){
		{ .server = "lab", .devices = { 2, { 3, 10 } } },
		{ .server = "lab", .devices = { 1, { 3 } } },
		{ .server = "lab" },
	},
	.served = (struct vgpu_far_session[]){
		{ .link = "local", .gpus = { 2, { 1, 0 } } },
		{ .link = "tls", .gpus = { 1, { 0 } } },
	},
};

/* ---- what was printed ---- */

static FILE *out;
static char *printed;
static size_t printed_size;

static FILE *begin(void)
{
	free(printed);
	out = open_memstream(&printed, &printed_size);
	return out;
}

static bool is(const char *expected)
{
	fclose(out);
	if (!strcmp(printed, expected))
		return true;
	printf("# printed:\n%s# expected:\n%s", printed, expected);
	return false;
}

static bool json_is(json_t *json, const char *expected)
{
	CHECK_EQ(vgpu_json_print(begin(), json, JSON_COMPACT), 0);
	return is(expected);
}

/* ---- values ---- */

TEST(sizes)
{
	static const struct {
		uint64_t	bytes;
		const char	*text;
	} sizes[] = {
		{ 0, "0B" },
		{ 1023, "1023B" },
		{ 1024, "1K" },
		{ 1025, "1K" },
		{ 1075, "1K" },
		{ 1076, "1.1K" },
		{ 1536, "1.5K" },
		{ 10188, "9.9K" },
		{ 10189, "10K" },
		{ (1 << 20) - 52, "1023.9K" },
		{ (1 << 20) - 51, "1M" },
		{ (1 << 20) - 1, "1M" },
		{ 16ull << 30, "16G" },
		{ 15843721216, "14.8G" },
		{ (1ull << 60) - 1, "1E" },
		{ UINT64_MAX, "16E" },
	};
	char text[VGPU_SIZE_TEXT];

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		vgpu_size_format(sizes[i].bytes, text);
		if (strcmp(text, sizes[i].text))
			printf("# %llu: %s, not %s\n", (unsigned long long)sizes[i].bytes, text,
			       sizes[i].text);
		CHECK(!strcmp(text, sizes[i].text));
	}
}

#define BAD "\xef\xbf\xbd"

TEST(strings_of_others)
{
	static const struct {
		const char	*in, *out;
	} strings[] = {
		{ "", "" },
		{ "plain ~", "plain ~" },
		{ "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "a\nb\x1b[31m\x7f", "a" BAD "b" BAD "[31m" BAD },
		{ "\xc2\x9b" "31m", BAD BAD "31m" },		/* a control of the second set */
		{ "\xc2\xa0", "\xc2\xa0" },
		{ "\x80", BAD },
		{ "\xc3", BAD },				/* cut off */
		{ "\xe2\x82", BAD BAD },
		{ "\xc0\x80", BAD BAD },			/* longer than need be */
		{ "\xe0\x9f\xbf", BAD BAD BAD },
		{ "\xf0\x8f\xbf\xbf", BAD BAD BAD BAD },
		{ "\xed\xa0\x80", BAD BAD BAD },		/* a surrogate */
		{ "\xf4\x90\x80\x80", BAD BAD BAD BAD },	/* beyond the last one */
		{ "\xff\xfe", BAD BAD },
	};
	char text[VGPU_CLEAN_TEXT(16)];

	for (unsigned i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
		vgpu_text_clean(strings[i].in, text, sizeof(text));
		if (strcmp(text, strings[i].out))
			printf("# string %u\n", i);
		CHECK(!strcmp(text, strings[i].out));
	}
}

TEST(strings_without_room_end_between_characters)
{
	char text[4];

	CHECK(!strcmp(vgpu_text_clean("abcdef", text, sizeof(text)), "abc"));
	CHECK(!strcmp(vgpu_text_clean("ab\xc3\xbc", text, sizeof(text)), "ab"));
	CHECK(!strcmp(vgpu_text_clean("\x01\x01", text, sizeof(text)), BAD));
	CHECK(!strcmp(vgpu_text_clean("a\x01", text, sizeof(text)), "a"));
}

/* ---- for people ---- */

TEST(list)
{
	const struct vgpu_nl_device devices[] = { first, tenth };

	CHECK_EQ(vgpu_devices_print(begin(), devices, 2, &nobody), 0);
	CHECK(is("DEVICE  STATE    NAME      MEMORY  CHANNELS  CHARGED  BACKEND  SERVER  LINK  "
		 "CONNECTION  SESSIONS\n"
		 "vgpu0   ready    Tesla T4     16G         2     1.5M  local:0  -       -     "
		 "-                  -\n"
		 "vgpu10  unbound  \xc3\x9c" "ber         16E         0       0B  -        -       "
		 "-     -                  -\n"));
}

TEST(list_with_daemons)
{
	struct vgpu_nl_device devices[] = { first, tenth, { .number = 3 }, { .number = 4 } };

	strcpy(devices[2].backend, "lab:1");
	strcpy(devices[3].backend, "other:1");
	CHECK_EQ(vgpu_devices_print(begin(), devices, 4, &daemons), 0);
	CHECK(is("DEVICE  STATE    NAME      MEMORY  CHANNELS  CHARGED  BACKEND  SERVER  LINK   "
		 "CONNECTION  SESSIONS\n"
		 "vgpu0   ready    Tesla T4     16G         2     1.5M  local:0  local   local  "
		 "up                 1\n"
		 "vgpu10  unbound  \xc3\x9c" "ber         16E         0       0B  -        -       "
		 "-      -                  -\n"
		 "vgpu3   unbound  -             0B         0       0B  lab:1    lab     ktls   "
		 "up                 2\n"
		 "vgpu4   unbound  -             0B         0       0B  other:1  -       -      "
		 "-                  -\n"));
}

TEST(list_of_none)
{
	CHECK_EQ(vgpu_devices_print(begin(), NULL, 0, &nobody), 0);
	CHECK(is("DEVICE  STATE  NAME  MEMORY  CHANNELS  CHARGED  BACKEND  SERVER  LINK  "
		 "CONNECTION  SESSIONS\n"));
}

/* What a backend must be for a device to lead anywhere. */
TEST(leads)
{
	static const struct {
		const char	*backend, *name;
	} backends[] = {
		{ "lab:0", "lab" }, { "lab:12", "lab" }, { "local:0", "local" },
		{ "", NULL }, { "lab", NULL }, { "lab:", NULL }, { ":0", NULL }, { "lab:x", NULL },
		{ "lab:-1", NULL }, { "la:0", NULL }, { "labs:0", NULL }, { "lab:0:0", NULL },
	};
	struct vgpu_lead lead;

	for (unsigned i = 0; i < sizeof(backends) / sizeof(*backends); i++) {
		struct vgpu_nl_device d = {};
		bool found;

		strcpy(d.backend, backends[i].backend);
		found = vgpu_daemons_lead(&daemons, &d, &lead);
		if (found != !!backends[i].name)
			printf("# backend %s\n", d.backend);
		CHECK_EQ(found, !!backends[i].name);
		CHECK(!found || !strcmp(lead.far.name, backends[i].name));
		CHECK(!vgpu_daemons_lead(&nobody, &d, &lead));
	}
}

TEST(longest_strings)
{
	struct vgpu_nl_device d = {};

	memset(d.name, 1, VGPU_NAME_MAX);
	memset(d.backend, 1, VGPU_BACKEND_MAX);
	CHECK_EQ(vgpu_devices_print(begin(), &d, 1, &nobody), 0);
	fclose(out);
	CHECK(printed_size > 3 * (VGPU_NAME_MAX + VGPU_BACKEND_MAX));
	CHECK(strstr(printed, BAD BAD "  -"));
}

TEST(show)
{
	vgpu_device_print(begin(), &first);
	CHECK(is("device           /dev/vgpu0\n"
		 "state            ready\n"
		 "name             Tesla T4\n"
		 "uuid             12000000-0000-0000-0000-0000000000ef\n"
		 "backend          local:0\n"
		 "memory           16G (17179869184 bytes)\n"
		 "budget           a quarter of the host's memory\n"
		 "channel budget   64M (67108864 bytes)\n"
		 "charged          1.5M (1572864 bytes)\n"
		 "channels         2\n"
		 "channels total   14\n"
		 "channels lost    1\n"
		 "copied           1000B\n"));
}

TEST(show_with_daemons)
{
	struct vgpu_nl_device d = { .number = 3, .backend = "lab:1" };
	struct vgpu_lead lead;

	REQUIRE(vgpu_daemons_lead(&daemons, &d, &lead));
	vgpu_lead_print(begin(), &lead);
	CHECK(is("server           lab\n"
		 "address          gpu1:7667\n"
		 "link             ktls\n"
		 "connection       up\n"
		 "round trip       120 us\n"
		 "sessions         2\n"));
	strcpy(lead.far.error, "no\x1b[31m route");
	strcpy(lead.far.link, "");
	lead.far.rtt_us = 0;
	vgpu_lead_print(begin(), &lead);
	CHECK(is("server           lab\n"
		 "address          gpu1:7667\n"
		 "link             -\n"
		 "connection       up\n"
		 "error            no" BAD "[31m route\n"
		 "sessions         2\n"));
}

/* ---- for programs ---- */

#define FIRST "\"device\":0,\"node\":\"/dev/vgpu0\",\"name\":\"Tesla T4\","		\
	"\"uuid\":\"12000000-0000-0000-0000-0000000000ef\",\"state\":\"ready\","	\
	"\"backend\":\"local:0\",\"memory\":17179869184,\"budget\":0,"			\
	"\"channel_budget\":67108864,\"charged\":1572864,\"channels\":2,"		\
	"\"channels_total\":14,\"channels_lost\":1,\"copied\":1000"
#define NOWHERE	",\"server\":null"

TEST(json_of_a_device)
{
	CHECK(json_is(vgpu_device_json(&first, &nobody), "{" FIRST NOWHERE "}\n"));
}

TEST(json_of_a_device_that_leads_somewhere)
{
	struct vgpu_nl_device d = first;
	json_t *json;

	strcpy(d.backend, "lab:0");
	d.number = 10;
	json = vgpu_device_json(&d, &daemons);
	REQUIRE(json);
	CHECK(json_is(json_incref(json_object_get(json, "server")),
		      "{\"name\":\"lab\",\"address\":\"gpu1:7667\",\"state\":\"up\","
		      "\"error\":\"\",\"rtt_us\":120,\"link\":\"ktls\",\"sessions\":1}\n"));
	json_decref(json);
}

TEST(json_of_devices)
{
	const struct vgpu_nl_device devices[] = { first, first };

	CHECK(json_is(vgpu_devices_json(devices, 2, &nobody),
		      "{\"devices\":[{" FIRST NOWHERE "},{" FIRST NOWHERE "}]}\n"));
	CHECK(json_is(vgpu_devices_json(NULL, 0, &nobody), "{\"devices\":[]}\n"));
}

TEST(json_of_what_json_cannot_say)
{
	struct vgpu_nl_device d = { .name = "a\"b\\\xff\n", .memory = UINT64_MAX };
	json_t *json = vgpu_device_json(&d, &nobody);

	REQUIRE(json);
	CHECK(!strcmp(json_string_value(json_object_get(json, "name")), "a\"b\\" BAD BAD));
	CHECK(json_number_value(json_object_get(json, "memory")) == 18446744073709551615.0);
	json_decref(json);
}

TEST(json_on_a_full_disk)
{
	FILE *full = fopen("/dev/full", "w");

	REQUIRE(full);
	setvbuf(full, NULL, _IONBF, 0);
	CHECK_EQ(vgpu_json_print(full, vgpu_device_json(&first, &nobody), 0), -EIO);
	fclose(full);
	CHECK_EQ(vgpu_json_print(stdout, NULL, 0), -ENOMEM);
}

/* ---- events ---- */

TEST(events_of_devices)
{
	struct vgpu_nl_event e = { .device = first };
	static const struct {
		enum vgpu_cmd	cmd;
		const char	*text, *json;
	} events[] = {
		{ VGPU_CMD_DEVICE_NEW_NTF, "added", "device_add" },
		{ VGPU_CMD_DEVICE_SET_NTF, "changed", "device_set" },
		{ VGPU_CMD_DEVICE_DEL_NTF, "removed", "device_rm" },
	};

	for (unsigned i = 0; i < 3; i++) {
		char text[512];

		e.cmd = events[i].cmd;
		vgpu_event_print(begin(), &e);
		snprintf(text, sizeof(text), "vgpu0 %s state=ready name=\"Tesla T4\" memory=16G "
			 "backend=\"local:0\"\n", events[i].text);
		CHECK(is(text));
		snprintf(text, sizeof(text), "{\"event\":\"%s\"," FIRST "}\n", events[i].json);
		CHECK(json_is(vgpu_event_json(&e), text));
	}
}

TEST(events_of_channels)
{
	struct vgpu_nl_event e = { .device.number = 3, .channel = 17 };
	static const struct {
		enum vgpu_cmd			cmd;
		enum vgpu_channel_state		state;
		const char			*text, *json;
	} events[] = {
		{ VGPU_CMD_CHANNEL_OPEN_NTF, VGPU_CHANNEL_WAITING, "opened state=waiting",
		  "\"channel_open\",\"device\":3,\"channel\":17,\"channel_state\":\"waiting\"" },
		{ VGPU_CMD_CHANNEL_CHANGE_NTF, VGPU_CHANNEL_FROZEN, "changed state=frozen",
		  "\"channel_change\",\"device\":3,\"channel\":17,\"channel_state\":\"frozen\"" },
		{ VGPU_CMD_CHANNEL_CLOSE_NTF, VGPU_CHANNEL_LOST, "closed state=lost",
		  "\"channel_close\",\"device\":3,\"channel\":17,\"channel_state\":\"lost\"" },
	};

	for (unsigned i = 0; i < 3; i++) {
		char text[256];

		e.cmd = events[i].cmd;
		e.channel_state = events[i].state;
		vgpu_event_print(begin(), &e);
		snprintf(text, sizeof(text), "vgpu3 channel 17 %s\n", events[i].text);
		CHECK(is(text));
		snprintf(text, sizeof(text), "{\"event\":%s}\n", events[i].json);
		CHECK(json_is(vgpu_event_json(&e), text));
	}
}

int main(int argc, char **argv)
{
	int result = test_main(argc, argv);

	free(printed);
	return result;
}
