/* SPDX-License-Identifier: MIT */
/* vgpu: the commands there are, and how one is run. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include "pki.h"
#include "vgpu.h"

static const char usage[] =
	"usage: vgpu list [STATUS]... [-j]\n"
	"       vgpu show DEVICE [STATUS]... [-j]\n"
	"       vgpu servers [STATUS]... [-j]\n"
	"       vgpu sessions [STATUS]... [-j]\n"
	"       vgpu add [-n NUMBER] [--uuid UUID] [SETTING]... [-j]\n"
	"       vgpu set DEVICE SETTING...\n"
	"       vgpu rm DEVICE...\n"
	"       vgpu monitor [-j]\n"
	"       vgpu pki init|server|client|revoke|list ...\n"
	"       vgpu help\n"
	"\n"
	"DEVICE:  a number, vgpuN, /dev/vgpuN or a UUID\n"
	"SETTING: --name TEXT, --backend TEXT, --memory SIZE,\n"
	"         --budget SIZE, --channel-budget SIZE\n"
	"STATUS:  --vgpud-status PATH, --server-status PATH\n"
	"SIZE:    a number; K, M, G, T, P or E may follow\n"
	"-j:      print JSON\n";

/* Traits of commands. */
enum {
	CHANGES		= 1 << 0,		/* needs a setting */
	NO_KERNEL	= 1 << 1,		/* does not ask it */
};

struct command {
	const char	*name;
	unsigned	options;
	unsigned	least, most;		/* devices */
	unsigned	traits;
	int		(*run)(struct vgpu_nl *nl, const struct vgpu_request *r);
};

static const struct command commands[] = {
	{ "list",     OPTION_JSON | OPTION_DAEMONS, 0, 0, 0, vgpu_list },
	{ "show",     OPTION_JSON | OPTION_DAEMONS, 1, 1, 0, vgpu_show },
	{ "servers",  OPTION_JSON | OPTION_DAEMONS, 0, 0, NO_KERNEL, vgpu_servers },
	{ "sessions", OPTION_JSON | OPTION_DAEMONS, 0, 0, NO_KERNEL, vgpu_sessions },
	{ "add",      OPTION_JSON | OPTION_PLACE | OPTION_SETTING, 0, 0, 0, vgpu_add },
	{ "set",      OPTION_SETTING, 1, 1, CHANGES, vgpu_set },
	{ "rm",	      0, 1, UINT_MAX, 0, vgpu_rm },
	{ "monitor",  OPTION_JSON, 0, 0, 0, vgpu_monitor },
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
	if ((c->traits & CHANGES) && !r->want.has)
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
	if (c->traits & NO_KERNEL)
		return c->run(NULL, r);
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
	if (argc && !strcmp(argv[0], "pki"))
		return vgpu_pki(argc, argv);
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
