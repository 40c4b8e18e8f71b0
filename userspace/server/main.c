/* SPDX-License-Identifier: MIT */
/* vgpu-server: the command line. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "server/server.h"

#define USAGE								\
	"usage: vgpu-server [-v] [--socket PATH] [--ctl PATH] [--libcuda PATH] [--cache DIR]\n" \
	"\t[--cache-limit BYTES] [--devices LIST] [--max-sessions N]\n"

enum { SOCKET = 256, CTL, LIBCUDA, CACHE, CACHE_LIMIT, DEVICES, MAX_SESSIONS, HELP,
       CONNECTION, CHANNEL, SESSION, GPUS, PARENT, REFUSE };

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, SOCKET },
	{ "ctl", required_argument, NULL, CTL },
	{ "libcuda", required_argument, NULL, LIBCUDA },
	{ "cache", required_argument, NULL, CACHE },
	{ "cache-limit", required_argument, NULL, CACHE_LIMIT },
	{ "devices", required_argument, NULL, DEVICES },
	{ "max-sessions", required_argument, NULL, MAX_SESSIONS },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, HELP },
	/* For workers, which this program starts itself. */
	{ "connection", required_argument, NULL, CONNECTION },
	{ "channel", required_argument, NULL, CHANNEL },
	{ "session", required_argument, NULL, SESSION },
	{ "gpus", required_argument, NULL, GPUS },
	{ "parent", required_argument, NULL, PARENT },
	{ "refuse", required_argument, NULL, REFUSE },
	{}
};

static void wrong(const char *what, const char *value)
{
	fprintf(stderr, "vgpu-server: %s: %s\n" USAGE, what, value);
	exit(2);
}

/* A number with K, M, G or T behind it, if @units. */
static uint64_t number(const char *name, const char *text, uint64_t most, bool units)
{
	static const char letters[] = "KMGT";
	unsigned long long n;
	const char *unit;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		wrong(name, text);
	unit = units && *end ? strchr(letters, *end) : NULL;
	for (int i = 0; unit && i <= unit - letters; i++)
		if (__builtin_mul_overflow(n, 1024ull, &n))
			wrong(name, text);
	if (end[unit ? 1 : 0] || n > most)
		wrong(name, text);
	return n;
}

static void option(struct vgpu_options *o, int c)
{
	switch (c) {
	case SOCKET:
		o->socket = optarg;
		break;
	case CTL:
		o->ctl = optarg;
		break;
	case LIBCUDA:
		o->libcuda = optarg;
		break;
	case CACHE:
		o->cache = optarg;
		break;
	case CACHE_LIMIT:
		o->cache_limit = number("--cache-limit", optarg, INT64_MAX, true);
		break;
	case DEVICES:
		o->devices = optarg;
		break;
	case MAX_SESSIONS:
		o->max_sessions = number("--max-sessions", optarg, 65536, false);
		break;
	case 'v':
		o->verbose = true;
		break;
	case HELP:
		fputs(USAGE, stdout);
		exit(0);
	case CONNECTION:
	case CHANNEL:
	case SESSION:
		o->worker = number("a worker's descriptor", optarg, INT32_MAX, false);
		o->channel = c == CHANNEL;
		o->session = c == SESSION;
		break;
	case GPUS:
		o->gpus = optarg;
		break;
	case PARENT:
		o->parent = number("--parent", optarg, INT32_MAX, false);
		break;
	case REFUSE:
		o->refuse = optarg;
		break;
	default:
		fputs(USAGE, stderr);
		exit(2);
	}
}

/*
 * The module's devices: as told; else if there is a module, we are root, and no
 * other daemon serves them. 0 or 1 sources; -errno.
 */
static int open_ctl(const struct vgpu_options *o, const struct vgpu_probe *p,
		    struct vgpu_source **source)
{
	const char *path = o->ctl ?: VGPU_CTL_NODE;
	int err;

	if (!strcmp(path, "none") || (!o->ctl && (geteuid() || access(path, F_OK))))
		return 0;
	err = vgpu_ctl_open(source, path, p->gpus, p->count);
	if (err && o->ctl)
		return err;
	return !err;
}

static int open_sources(const struct vgpu_options *o, const struct vgpu_probe *p,
			struct vgpu_source **sources)
{
	int n, err = vgpu_socket_open(&sources[0], o->socket);

	if (err)
		return err;
	n = open_ctl(o, p, &sources[1]);
	if (n >= 0)
		return 1 + n;
	sources[0]->close(sources[0]);
	return n;
}

static int serve(const struct vgpu_options *o)
{
	static struct vgpu_probe probe;
	struct vgpu_source *sources[VGPU_SOURCES_MAX];
	int n, signals;

	if (vgpu_probe(o, &probe))
		return 1;
	/* Before there is a socket that must be removed. */
	signals = vgpu_signals_take();
	if (signals < 0) {
		vgpu_log("no signals: %s", strerror(errno));
		return 1;
	}
	n = open_sources(o, &probe, sources);
	if (n < 0)
		return 1;
	printf("vgpu-server: ready on %s%s%s, driver %d, %u devices\n", o->socket,
	       n > 1 ? " and " : "", n > 1 ? o->ctl ?: VGPU_CTL_NODE : "", probe.version,
	       probe.count);
	fflush(stdout);
	vgpu_serve_sessions(o, sources, n, signals);
	for (int i = 0; i < n; i++)
		sources[i]->close(sources[i]);
	return 0;
}

/*
 * Whoever starts it may have closed these. No client is to get one of the numbers:
 * what a driver prints would be sent there.
 */
static void standard_files(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
		;
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct vgpu_options o = {
		.socket = "/run/vgpu/server.sock", .libcuda = "libcuda.so.1",
		.cache = "/var/cache/vgpu", .cache_limit = 4ull << 30, .max_sessions = 256,
		.worker = -1,
	};
	int c;

	vgpu_log_as("vgpu-server");
	standard_files();
	while ((c = getopt_long(argc, argv, "v", long_options, NULL)) != -1)
		option(&o, c);
	if (optind < argc)
		wrong("not an option", argv[optind]);
	return o.worker >= 0 ? vgpu_worker_main(&o) : serve(&o);
}
