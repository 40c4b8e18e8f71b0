/* SPDX-License-Identifier: MIT */
/*
 * Two hosts for tests of mirrors: a channel and a mirror at each, and between them
 * a wire whose ends are here.
 */
#ifndef VGPU_SELFTESTS_MIRROR_WORLD_H
#define VGPU_SELFTESTS_MIRROR_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "channel/relay.h"
#include "link/mirror.h"
#include "test.h"

#define HOSTMEM		(1 << 20)
#define REGISTERED	(1 << 19)
#define STORES		8
#define PULLED		(1 << 16)		/* the end of it, where nothing is stored */
#define SECTION		((HOSTMEM - PULLED) / STORES)
#define PULLS		3

static const struct vgpu_ring_sizes sizes = {
	.sq = 16384, .cq = 8192, .up = 65536, .down = 32768,
};

static uint64_t random_state;

static inline uint64_t draw(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

static void pattern(uint8_t *to, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (seed * 2654435761u + i * 40503u) >> 5;
}

static inline bool matches(const uint8_t *at, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		if (at[i] != (uint8_t)((seed * 2654435761u + i * 40503u) >> 5))
			return false;
	return true;
}

/* ---- the two hosts ---- */

struct message {
	struct vgpu_record	r;
	uint64_t		count;
	uint64_t		pos;		/* of bytes, if length */
	uint32_t		length;
	uint32_t		store;		/* 1 + the store that comes before it, or 0 */
	uint64_t		fill;		/* of the store */
};

struct lane_test {
	uint64_t	sent, received;
};

struct store_test {
	struct vgpu_store	s;
	uint8_t			bytes[SECTION];
	uint64_t		fill;
	bool			busy;		/* until its witness was received */
};

struct world {
	struct vgpu_channel	*app, *relay;		/* client host */
	struct vgpu_channel	*stub, *worker;		/* GPU host */
	struct vgpu_mirror	*client, *server;
	int			wire[2][2];		/* [host][0: mirror's, 1: ours] */
	struct lane_test	up, down;
	uint8_t			*hostmem, *registered;
	struct vgpu_app_job	*jobs[4];
	unsigned int		njobs;
	struct store_test	stores[STORES];
	struct vgpu_pull	pull[PULLS];
	uint8_t			pulled[PULLS][HOSTMEM];
	bool			pulling[PULLS];
	unsigned int		pulls, stored, cuts, forgotten;
	int			err;
};

static void ring_client(void *arg, bool head)
{
}

static void *client_hostmem(void *arg, uint64_t handle, uint64_t size)
{
	struct world *w = arg;

	errno = ENOENT;
	return (handle == 77 || handle == 79) && size == HOSTMEM ? w->hostmem : NULL;
}

static void client_forget(void *arg, uint64_t handle)
{
	((struct world *)arg)->forgotten += handle == 77;
}

static void client_copy(void *arg, struct vgpu_app_job *job)
{
	struct world *w = arg;

	w->jobs[w->njobs++] = job;
}

static const struct vgpu_mirror_ops client_ops = {
	.ring = ring_client, .hostmem = client_hostmem, .forget = client_forget,
	.app_copy = client_copy,
};
static const struct vgpu_mirror_ops server_ops = { .ring = ring_client };

static void nonblock(int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* A new connection: the old one, with what was on its way, is gone. What the client says. */
static int reconnect(struct world *w)
{
	struct vgpu_stream *s[2];
	uint64_t epoch = vgpu_mirror_next_epoch(w->client);

	for (int i = 0; i < 2; i++) {
		if (w->wire[i][1] >= 0)
			close(w->wire[i][1]);
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->wire[i]);
		nonblock(w->wire[i][0]);
		nonblock(w->wire[i][1]);
		vgpu_stream_plain(&s[i], w->wire[i][0]);
	}
	CHECK_EQ(vgpu_mirror_attach(w->server, s[1], epoch), 0);
	return vgpu_mirror_attach(w->client, s[0], epoch);
}

static void connect_hosts(struct world *w)
{
	CHECK_EQ(reconnect(w), 0);
}

static void world_start(struct world *w, uint64_t seed)
{
	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	memset(w, 0, sizeof(*w));
	w->wire[0][1] = w->wire[1][1] = -1;
	w->hostmem = calloc(1, HOSTMEM);
	w->registered = malloc(REGISTERED);
	pattern(w->hostmem + HOSTMEM - PULLED, PULLED, 98);
	pattern(w->registered, REGISTERED, 99);
	CHECK_EQ(vgpu_channel_pair(&w->app, &w->relay, &sizes), 0);
	CHECK_EQ(vgpu_channel_pair(&w->stub, &w->worker, &sizes), 0);
	CHECK_EQ(vgpu_mirror_create(&w->client, VGPU_ROLE_CLIENT, w->relay, &client_ops, w), 0);
	CHECK_EQ(vgpu_mirror_create(&w->server, VGPU_ROLE_WORKER, w->stub, &server_ops, w), 0);
	connect_hosts(w);
}

static void run_job(struct world *w)
{
	struct vgpu_app_job *job = w->jobs[--w->njobs];
	uint8_t *at = w->registered + job->address;

	job->error = 0;
	if (job->address > REGISTERED || job->length > REGISTERED - job->address)
		job->error = -EFAULT;
	else if (job->write)
		memcpy(at, job->local, job->length);
	else
		memcpy(job->local, at, job->length);
	CHECK_EQ(vgpu_mirror_copied(w->client, job), 0);
}

static void world_end(struct world *w)
{
	while (w->njobs)
		run_job(w);
	vgpu_mirror_destroy(w->client);
	vgpu_mirror_destroy(w->server);
	for (int i = 0; i < 2; i++)
		close(w->wire[i][1]);
	vgpu_channel_close(w->app);
	vgpu_channel_close(w->relay);
	vgpu_channel_close(w->stub);
	vgpu_channel_close(w->worker);
	free(w->hostmem);
	free(w->registered);
}

#endif /* VGPU_SELFTESTS_MIRROR_WORLD_H */
