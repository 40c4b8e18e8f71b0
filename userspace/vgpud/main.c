/* SPDX-License-Identifier: MIT */
/* vgpud: the command line. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "vgpud/vgpud.h"

#define USAGE	"usage: vgpud [--config PATH] [--check]\n"

enum { CONFIG = 256, CHECK, HELP };

static const struct option long_options[] = {
	{ "config", required_argument, NULL, CONFIG },
	{ "check", no_argument, NULL, CHECK },
	{ "help", no_argument, NULL, HELP },
	{}
};

/* Whoever starts it may have closed these: no socket is to get one of the numbers. */
static void standard_files(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
		;
	if (fd >= 0)
		close(fd);
}

static void say_ready(const struct vgpud *d)
{
	const struct vgpu_config *c = d->config;
	bool module = vgpu_intake_has_module(d), socket = *c->socket == '/';

	printf("vgpud: ready on %s%s%s, %u server%s\n", socket ? c->socket : "",
	       socket && module ? " and " : "", module ? "the virtual GPUs" : "", c->nservers,
	       c->nservers == 1 ? "" : "s");
	fflush(stdout);
}

static int serve(const struct vgpu_config *config)
{
	static struct vgpud vgpud;
	int err = vgpud_start(&vgpud, config);

	if (!err) {
		say_ready(&vgpud);
		vgpud_run(&vgpud);
	}
	vgpud_stop(&vgpud);
	return err ? 1 : 0;
}

static struct vgpu_config *read_config(const char *path)
{
	struct vgpu_config *config;
	char why[1024];

	if (!vgpu_config_read(&config, path, why, sizeof(why)))
		return config;
	vgpu_log("%s", why);
	exit(2);
}

int main(int argc, char **argv)
{
	const char *path = VGPU_CONFIG_PATH;
	struct vgpu_config *config;
	bool check = false;
	int c, status;

	vgpu_log_as("vgpud");
	standard_files();
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == CONFIG) {
			path = optarg;
		} else if (c == CHECK) {
			check = true;
		} else {
			fputs(USAGE, c == HELP ? stdout : stderr);
			return c == HELP ? 0 : 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "vgpud: not an option: %s\n" USAGE, argv[optind]);
		return 2;
	}
	config = read_config(path);
	status = check ? 0 : serve(config);
	vgpu_config_free(config);
	return status;
}
