/* SPDX-License-Identifier: MIT */
/* Starting a worker: this program again, with the way to one client and no other. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "server/server.h"

#define WORKER_FD	3

static struct rlimit files_before;

void vgpu_files_raise(unsigned files)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	files_before = r;
	if (r.rlim_cur >= files)
		return;
	r.rlim_cur = r.rlim_max < files ? r.rlim_max : files;
	setrlimit(RLIMIT_NOFILE, &r);
}

struct command {
	const char	*args[32];
	unsigned	n;
	char		client[16], parent[16], limit[32];
};

static void add(struct command *c, const char *option, const char *value)
{
	c->args[c->n++] = option;
	if (value)
		c->args[c->n++] = value;
}

static void command_make(struct command *c, const struct vgpu_options *o,
			 const struct vgpu_client *client, pid_t server, const char *refuse)
{
	memset(c, 0, sizeof(*c));
	snprintf(c->client, sizeof(c->client), "%d", WORKER_FD);
	snprintf(c->parent, sizeof(c->parent), "%d", (int)server);
	snprintf(c->limit, sizeof(c->limit), "%llu", (unsigned long long)o->cache_limit);
	add(c, "vgpu-server", NULL);
	add(c, client->channel ? "--channel" : client->session ? "--session" : "--connection",
	    c->client);
	add(c, "--parent", c->parent);
	add(c, "--libcuda", o->libcuda);
	add(c, "--cache", o->cache);
	add(c, "--cache-limit", c->limit);
	if (o->devices)
		add(c, "--devices", o->devices);
	if (*client->gpus)
		add(c, "--gpus", client->gpus);
	if (o->verbose)
		add(c, "-v", NULL);
	if (refuse)
		add(c, "--refuse", refuse);
}

/* Signals are as a program expects them; no descriptor but these four is open. */
static void become_worker(const struct command *c, int client)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (files_before.rlim_max)
		setrlimit(RLIMIT_NOFILE, &files_before);
	dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	/* dup2() of a descriptor to itself would leave it to be closed. */
	if (client == WORKER_FD)
		client = dup(client);
	if (dup2(client, WORKER_FD) >= 0 && !close_range(WORKER_FD + 1, ~0u, 0))
		execv("/proc/self/exe", (char **)c->args);
	vgpu_log("cannot start a worker: %s", strerror(errno));
	_exit(VGPU_END_INTERNAL);
}

pid_t vgpu_worker_spawn(const struct vgpu_options *o, const struct vgpu_client *client,
			const char *refuse)
{
	struct command c;
	pid_t pid;

	command_make(&c, o, client, getpid(), refuse);
	pid = fork();
	if (!pid)
		become_worker(&c, client->fd);
	return pid < 0 ? -errno : pid;
}
