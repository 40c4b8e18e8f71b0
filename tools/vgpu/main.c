/* SPDX-License-Identifier: MIT */
/* vgpu: the commands there are, and how one is run. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include "vgpu.h"

static const char usage[] =
	"usage: vgpu list [-j]\n"
	"       vgpu show DEVICE [-j]\n"
	"       vgpu add [-n NUMBER] [--uuid UUID] [SETTING]... [-j]\n"
	"       vgpu set DEVICE SETTING...\n"
	"       vgpu rm DEVICE...\n"
	"       vgpu monitor [-j]\n"
	"       vgpu help\n"
	"\n"
	"DEVICE:  a number, vgpuN, /dev/vgpuN or a UUID\n"
	"SETTING: --name TEXT, --backend TEXT, --memory SIZE,\n"
	"         --budget SIZE, --channel-budget SIZE\n"
	"SIZE:    a number; K, M, G, T, P or E may follow\n"
	"-j:      print JSON\n";

struct command {
	const char	*name;
	unsigned	options;
	unsigned	least, most;		/* devices */
	bool		changes;		/* needs a setting */
	int		(*run)(struct vgpu_nl *nl, const struct vgpu_request *r);
};

static const struct command commands[] = {
	{ "list",    OPTION_JSON, 0, 0, false, vgpu_list },
	{ "show",    OPTION_JSON, 1, 1, false, vgpu_show },
	{ "add",     OPTION_JSON | OPTION_PLACE | OPTION_SETTING, 0, 0, false, vgpu_add },
	{ "set",     OPTION_SETTING, 1, 1, true, vgpu_set },
	{ "rm",	     0, 1, UINT_MAX, false, vgpu_rm },
	{ "monitor", OPTION_JSON, 0, 0, false, vgpu_monitor },
};

static const struct command *find_command(const char *name)
{
	for (unsigned i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int help(void)
{
	fputs(usage, stdout);
	return DONE;
}

/* What is missing or too much; NULL: nothing. */
static const char *misuse(const struct command *c, const struct vgpu_request *r)
{
	if (r->ntargets < c->least)
		return "which device?";
	if (r->ntargets > c->most)
		return c->most ? "one device only" : "takes no device";
	if (c->changes && !r->want.has)
		return "nothing to change was given";
	return NULL;
}

static int run(const struct command *c, const struct vgpu_request *r)
{
	const char *wrong = misuse(c, r);
	struct vgpu_nl *nl;
	int err;

	if (wrong) {
		vgpu_complain("%s: %s", c->name, wrong);
		return USAGE;
	}
	err = vgpu_nl_open(&nl);
	if (err)
		return vgpu_unreachable(err);
	err = c->run(nl, r);
	vgpu_nl_close(nl);
	return err;
}

static int parse_and_run(int argc, char **argv)
{
	const struct command *c = argc ? find_command(argv[0]) : NULL;
	struct vgpu_request r;
	int err;

	if (argc && (!strcmp(argv[0], "help") || !strcmp(argv[0], "--help") ||
		     !strcmp(argv[0], "-h")))
		return help();
	if (!c) {
		if (argc)
			vgpu_complain("there is no command %s", argv[0]);
		fputs(usage, stderr);
		return USAGE;
	}
	argv[0] = (char *)"vgpu";	/* getopt's complaints begin with it */
	err = vgpu_request_parse(&r, argc, argv, c->options);
	if (!err)
		err = run(c, &r);
	else
		err = err == -ECANCELED ? help() : USAGE;
	vgpu_request_free(&r);
	return err;
}

int main(int argc, char **argv)
{
	int result = parse_and_run(argc - 1, argv + 1);

	if (fflush(stdout) || ferror(stdout)) {
		vgpu_complain("cannot write: %s", strerror(errno));
		result = result ? result : REFUSED;
	}
	return result;
}
