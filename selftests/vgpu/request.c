/* SPDX-License-Identifier: MIT */
/* What vgpu understands of a command line, and how it complains. */
#include <errno.h>
#include <stdlib.h>
#include "../../tools/vgpu/vgpu.h"
#include "test.h"

#define ALL	(OPTION_JSON | OPTION_PLACE | OPTION_SETTING)
#define HAS(a)	VGPU_NL_HAS(VGPU_ATTR_##a)

static struct vgpu_request request;
static char *complaint;

/* Words, NULL at the end; what comes on standard error is kept. */
static int parse(unsigned allowed, ...)
{
	char *argv[16] = { (char *)"vgpu" };
	FILE *terminal = stderr;
	int argc = 1, err;
	size_t size;
	va_list args;

	va_start(args, allowed);
	while ((argv[argc] = va_arg(args, char *)))
		argc++;
	va_end(args);
	vgpu_request_free(&request);
	free(complaint);
	stderr = open_memstream(&complaint, &size);
	err = vgpu_request_parse(&request, argc, argv, allowed);
	fclose(stderr);
	stderr = terminal;
	return err;
}

static bool complained(const char *what)
{
	if (!strncmp(complaint, "vgpu: ", 6) && strstr(complaint, what))
		return true;
	printf("# said: %s\n", complaint);
	return false;
}

TEST(nothing)
{
	CHECK_EQ(parse(ALL, NULL), 0);
	CHECK(!request.json && !request.want.has && !request.ntargets);
	CHECK(!complaint[0]);
}

TEST(settings)
{
	CHECK_EQ(parse(ALL, "--name", "Tesla T4", "--backend=local:3", "--memory", "16G",
		       "--budget", "2g", "--channel-budget=64M", "-n", "12", "-j", NULL), 0);
	CHECK(request.json);
	CHECK_EQ(request.want.has, HAS(NAME) | HAS(BACKEND) | HAS(MEMORY) | HAS(BUDGET) |
		 HAS(CHANNEL_BUDGET) | HAS(DEVICE));
	CHECK(!strcmp(request.want.name, "Tesla T4"));
	CHECK(!strcmp(request.want.backend, "local:3"));
	CHECK_EQ(request.want.memory, 16ll << 30);
	CHECK_EQ(request.want.budget, 2ll << 30);
	CHECK_EQ(request.want.channel_budget, 64 << 20);
	CHECK_EQ(request.want.number, 12);
}

TEST(empty_strings_are_given)
{
	CHECK_EQ(parse(ALL, "--backend=", "--name", "", NULL), 0);
	CHECK_EQ(request.want.has, HAS(NAME) | HAS(BACKEND));
	CHECK(!request.want.name[0] && !request.want.backend[0]);
}

TEST(uuid)
{
	CHECK_EQ(parse(ALL, "--uuid", "GPU-00000000-0000-0000-0000-0000000000fe", NULL), 0);
	CHECK_EQ(request.want.has, HAS(UUID));
	CHECK_EQ(request.want.uuid[15], 0xfe);
	CHECK_EQ(parse(ALL, "--uuid", "fe", NULL), -EINVAL);
	CHECK(complained("--uuid fe: not a UUID"));
}

TEST(places_of_daemons)
{
	CHECK_EQ(parse(OPTION_JSON | OPTION_DAEMONS, "--vgpud-status", "/a", "-j",
		       "--server-status=/b", NULL), 0);
	CHECK(request.json && !strcmp(request.vgpud_status, "/a") &&
	      !strcmp(request.server_status, "/b"));
	CHECK_EQ(parse(OPTION_DAEMONS, NULL), 0);
	CHECK(!request.vgpud_status && !request.server_status);
	CHECK_EQ(parse(OPTION_DAEMONS, "--vgpud-status", NULL), -EINVAL);
	CHECK(complained("requires an argument"));
	CHECK_EQ(parse(ALL, "--server-status", "/b", NULL), -EINVAL);
	CHECK(complained("--server-status"));
}

TEST(devices)
{
	CHECK_EQ(parse(OPTION_JSON, "vgpu1", "-j", "/dev/vgpu0", "7", NULL), 0);
	CHECK(request.json);
	CHECK_EQ(request.ntargets, 3);
	CHECK_EQ(request.targets[0].number, 1);
	CHECK_EQ(request.targets[1].number, 0);
	CHECK_EQ(request.targets[2].number, 7);
	CHECK_EQ(parse(OPTION_JSON, "1", "one", NULL), -EINVAL);
	CHECK(complained("one: not a device"));
}

TEST(what_follows_two_dashes_is_a_device)
{
	CHECK_EQ(parse(ALL, "--", "-j", NULL), -EINVAL);
	CHECK(complained("-j: not a device"));
}

TEST(options_of_other_commands)
{
	CHECK_EQ(parse(0, "-j", NULL), -EINVAL);
	CHECK(complained("invalid option -- 'j'"));
	CHECK_EQ(parse(OPTION_JSON, "--memory", "1", NULL), -EINVAL);
	CHECK(complained("--memory"));
	CHECK_EQ(parse(OPTION_SETTING, "-n", "1", NULL), -EINVAL);
	CHECK(complained("invalid option -- 'n'"));
	CHECK_EQ(parse(OPTION_SETTING, "--uuid", "1", NULL), -EINVAL);
	CHECK(complained("--uuid"));
}

TEST(help_is_everywhere)
{
	CHECK_EQ(parse(0, "-h", NULL), -ECANCELED);
	CHECK_EQ(parse(OPTION_SETTING, "1", "--help", NULL), -ECANCELED);
}

TEST(values_that_are_missing_or_wrong)
{
	CHECK_EQ(parse(ALL, "--memory", NULL), -EINVAL);
	CHECK(complained("requires an argument"));
	CHECK_EQ(parse(ALL, "--memory", "12Q", NULL), -EINVAL);
	CHECK(complained("--memory 12Q: not a size"));
	CHECK_EQ(parse(ALL, "--budget", "17E", NULL), -EINVAL);
	CHECK(complained("--budget 17E: larger than there can be"));
	CHECK_EQ(parse(ALL, "--channel-budget", "-1", NULL), -EINVAL);
	CHECK(complained("--channel-budget -1: not a size"));
	CHECK_EQ(parse(ALL, "-n", "vgpu1", NULL), -EINVAL);
	CHECK(complained("--number vgpu1: not a number"));
	CHECK_EQ(parse(ALL, "-n", "1024", NULL), -EINVAL);
	CHECK(complained("--number 1024: numbers go from 0 to 1023"));
	CHECK_EQ(parse(ALL, "-n", "4294967296", NULL), -EINVAL);
	CHECK(complained("--number 4294967296: numbers go from 0 to 1023"));
}

TEST(longest_strings)
{
	char text[VGPU_BACKEND_MAX + 2];

	memset(text, 'x', sizeof(text));
	text[VGPU_NAME_MAX] = '\0';
	CHECK_EQ(parse(ALL, "--name", text, NULL), 0);
	CHECK(!strcmp(request.want.name, text));
	text[VGPU_NAME_MAX] = 'x';
	text[VGPU_NAME_MAX + 1] = '\0';
	CHECK_EQ(parse(ALL, "--name", text, NULL), -EINVAL);
	CHECK(complained("--name: longer than 63 bytes"));
	text[VGPU_NAME_MAX + 1] = 'x';
	text[VGPU_BACKEND_MAX] = '\0';
	CHECK_EQ(parse(ALL, "--backend", text, NULL), 0);
	CHECK(!strcmp(request.want.backend, text));
	text[VGPU_BACKEND_MAX] = 'x';
	text[VGPU_BACKEND_MAX + 1] = '\0';
	CHECK_EQ(parse(ALL, "--backend", text, NULL), -EINVAL);
	CHECK(complained("--backend: longer than 127 bytes"));
}

int main(int argc, char **argv)
{
	int result = test_main(argc, argv);

	vgpu_request_free(&request);
	free(complaint);
	return result;
}
