/* SPDX-License-Identifier: MIT */
/* vgpu-server: the command line. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "link/stream.h"
#include "server/server.h"

#define USAGE								\
	"usage: vgpu-server [-v] [--socket PATH] [--ctl PATH] [--libcuda PATH] [--cache DIR]\n" \
	"\t[--cache-limit BYTES] [--devices LIST] [--max-sessions N] [--status PATH]\n" \
	"\t[--listen ADDRESS[:PORT]]... [--tls DIR] [--plain] [--grace SECONDS]\n" \
	"\t[--max-sessions-per-client N] [--uid-base N]\n"

enum { SOCKET = 256, CTL, LIBCUDA, CACHE, CACHE_LIMIT, DEVICES, MAX_SESSIONS, STATUS, HELP,
       LISTEN, TLS, PLAIN, GRACE, MAX_CLIENT_SESSIONS, UID_BASE,
       CONNECTION, CHANNEL, SESSION, GPUS, PARENT, REFUSE };

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, SOCKET },
	{ "ctl", required_argument, NULL, CTL },
	{ "libcuda", required_argument, NULL, LIBCUDA },
	{ "cache", required_argument, NULL, CACHE },
	{ "cache-limit", required_argument, NULL, CACHE_LIMIT },
	{ "devices", required_argument, NULL, DEVICES },
	{ "max-sessions", required_argument, NULL, MAX_SESSIONS },
	{ "status", required_argument, NULL, STATUS },
	{ "listen", required_argument, NULL, LISTEN },
	{ "tls", required_argument, NULL, TLS },
	{ "plain", no_argument, NULL, PLAIN },
	{ "grace", required_argument, NULL, GRACE },
	{ "max-sessions-per-client", required_argument, NULL, MAX_CLIENT_SESSIONS },
	{ "uid-base", required_argument, NULL, UID_BASE },
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

static void listen_option(struct vgpu_options *o, const char *address)
{
	char host[256], port[8];

	if (o->nlisten == VGPU_LISTEN_MAX)
		wrong("too many times --listen", address);
	if (vgpu_address_parse(address, host, sizeof(host), port))
		wrong("--listen", address);
	o->listen[o->nlisten++] = address;
}

/* False: it is another one. */
static bool network_option(struct vgpu_options *o, int c)
{
	switch (c) {
	case LISTEN:
		listen_option(o, optarg);
		return true;
	case TLS:
		o->tls = optarg;
		return true;
	case PLAIN:
		o->plain = true;
		return true;
	case GRACE:
		o->grace = number("--grace", optarg, 86400, false);
		if (!o->grace)
			wrong("--grace", optarg);
		return true;
	case MAX_CLIENT_SESSIONS:
		o->max_client_sessions = number("--max-sessions-per-client", optarg,
						VGPU_SESSIONS_MAX, false);
		return true;
	case UID_BASE:
		o->uid_base = number("--uid-base", optarg, VGPU_UID_END - 2 * VGPU_SESSIONS_MAX,
				     false);
		if (!o->uid_base)
			wrong("--uid-base", optarg);
		return true;
	}
	return false;
}

/* Those for workers. False: it is another one. */
static bool worker_option(struct vgpu_options *o, int c)
{
	switch (c) {
	case CONNECTION:
	case CHANNEL:
	case SESSION:
		o->worker = number("a worker's descriptor", optarg, INT32_MAX, false);
		o->channel = c == CHANNEL;
		o->session = c == SESSION;
		return true;
	case GPUS:
		o->gpus = optarg;
		return true;
	case PARENT:
		o->parent = number("--parent", optarg, INT32_MAX, false);
		return true;
	case REFUSE:
		o->refuse = optarg;
		return true;
	}
	return false;
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
		o->max_sessions = number("--max-sessions", optarg, VGPU_SESSIONS_MAX, false);
		break;
	case STATUS:
		o->status = optarg;
		break;
	case 'v':
		o->verbose = true;
		break;
	case HELP:
		fputs(USAGE, stdout);
		exit(0);
	default:
		if (network_option(o, c) || worker_option(o, c))
			break;
		fputs(USAGE, stderr);
		exit(2);
	}
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
		.max_client_sessions = VGPU_SESSIONS_MAX, .grace = 60, .uid_base = 0x70000000,
		.worker = -1,
	};
	int c;

	vgpu_log_as("vgpu-server");
	standard_files();
	while ((c = getopt_long(argc, argv, "v", long_options, NULL)) != -1)
		option(&o, c);
	if (optind < argc)
		wrong("not an option", argv[optind]);
	return o.worker >= 0 ? vgpu_worker_main(&o) : vgpu_server_run(&o);
}
