// SPDX-License-Identifier: MIT
/*
 * Two mirrors, a channel at each, and between them a wire that passes on as many
 * bytes as it is told and can be cut anywhere. What a run does is drawn from its
 * seed: records and bytes both ways, pulls and stores, cuts, and daemons that
 * are replaced. Whatever happens, everything arrives once, in order, unharmed.
 */
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
#define SECTION		(HOSTMEM / STORES)

static const struct vgpu_ring_sizes sizes = {
	.sq = 16384, .cq = 8192, .up = 65536, .down = 32768,
};

static uint64_t random_state;

static uint64_t draw(uint64_t below)
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

static bool matches(const uint8_t *at, size_t n, uint64_t seed)
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
	struct vgpu_pull	pull;
	uint8_t			pulled[HOSTMEM];
	bool			pulling;
	unsigned int		pulls, stored, cuts;
	int			err;
};

static void ring_client(void *arg, bool head)
{
}

static void *client_hostmem(void *arg, uint64_t handle, uint64_t size)
{
	struct world *w = arg;

	errno = ENOENT;
	return handle == 77 && size == HOSTMEM ? w->hostmem : NULL;
}

static void client_forget(void *arg, uint64_t handle)
{
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

/* A new connection: the old one, with what was on its way, is gone. */
static void connect_hosts(struct world *w)
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
	CHECK_EQ(vgpu_mirror_attach(w->client, s[0], epoch), 0);
	CHECK_EQ(vgpu_mirror_attach(w->server, s[1], epoch), 0);
}

static void world_start(struct world *w, uint64_t seed)
{
	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	memset(w, 0, sizeof(*w));
	w->wire[0][1] = w->wire[1][1] = -1;
	w->hostmem = calloc(1, HOSTMEM);
	w->registered = malloc(REGISTERED);
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

/* ---- the wire ---- */

static void pass(struct world *w, int from, size_t most)
{
	uint8_t bytes[65536];
	ssize_t n;
	int space = 0;

	most = most < sizeof(bytes) ? most : sizeof(bytes);
	n = recv(w->wire[from][1], bytes, most, MSG_PEEK);
	if (n <= 0)
		return;
	space = send(w->wire[!from][1], bytes, n, MSG_NOSIGNAL);
	if (space > 0)
		recv(w->wire[from][1], bytes, space, 0);
}

/* As a daemon's loop: what is not said to be pending is not sent. */
static void work(struct world *w, struct vgpu_mirror *m)
{
	int err = vgpu_mirror_receive(m);

	if (err >= 0 && vgpu_mirror_pending(m))
		err = vgpu_mirror_send(m);
	if (err < 0 && err != -EAGAIN && !w->err) {
		w->err = err;
		printf("# %s\n", vgpu_mirror_fault(m) ?: strerror(-err));
	}
}

/* ---- what programs do ---- */

/* Send a record, half of them with bytes; it may name a store that came before. */
static bool produce(struct vgpu_channel *ch, struct lane_test *lane, uint32_t store, uint64_t fill)
{
	struct message m = { .count = lane->sent, .store = store, .fill = fill };
	size_t length = sizeof(m) + draw(6) * 256;
	uint8_t *bytes, *at;

	if (!vgpu_record_room(ch, length))
		return false;
	if (draw(2)) {
		m.length = 1 + draw(vgpu_bytes_max(ch));
		bytes = vgpu_bytes_reserve(ch, m.length, &m.pos);
		if (!bytes)
			return false;
		pattern(bytes, m.length, m.count);
		vgpu_bytes_publish(ch, m.pos, m.length);
	}
	at = vgpu_record_reserve(ch, length);
	CHECK(at);
	memcpy(at + sizeof(m.r), &m.count, sizeof(m) - sizeof(m.r));
	pattern(at + sizeof(m), length - sizeof(m), m.count);
	vgpu_record_commit(ch, 7, 0);
	lane->sent++;
	return true;
}

static bool consume(struct vgpu_channel *ch, struct lane_test *lane, struct message *m)
{
	uint8_t record[4096];
	int n = vgpu_record_receive(ch, record, sizeof(record));
	const uint8_t *bytes;

	CHECK(n >= 0);
	if (n <= 0)
		return false;
	memcpy(m, record, sizeof(*m));
	CHECK_EQ(m->count, lane->received);
	CHECK(matches(record + sizeof(*m), n - sizeof(*m), m->count));
	lane->received++;
	if (m->length) {
		bytes = vgpu_bytes_at(ch, m->pos, m->length);
		CHECK(bytes && matches(bytes, m->length, m->count));
		vgpu_bytes_release(ch, m->pos, m->length);
	}
	return true;
}

/* The worker fills a section of the app's buffer and says so by a record behind it. */
static void store(struct world *w)
{
	unsigned int i = draw(STORES);
	struct store_test *t = &w->stores[i];

	if (t->busy || (t->s.number && !t->s.done) || !vgpu_record_room(w->worker, 2048))
		return;
	t->fill = draw(1u << 30);
	t->s = (struct vgpu_store){
		.to = { .handle = 77, .size = HOSTMEM, .offset = i * SECTION },
		.from = t->bytes, .length = 1 + draw(SECTION),
	};
	if (draw(3) == 0)	/* registered memory: its upper half */
		t->s.to = (struct vgpu_place_wire){
			.offset = REGISTERED / 2 + i * (REGISTERED / 2 / STORES),
		};
	if (!t->s.to.handle && t->s.length > REGISTERED / 2 / STORES)
		t->s.length = REGISTERED / 2 / STORES;
	pattern(t->bytes, t->s.length, t->fill);
	vgpu_mirror_store(w->server, &t->s);
	/* If there is no room for the bytes of its witness, it goes without. */
	t->busy = produce(w->worker, &w->down, i + 1, t->fill);
}

/* The app saw the record: the bytes are there, and nobody writes there any more. */
static void stored(struct world *w, const struct message *m)
{
	struct store_test *t = &w->stores[m->store - 1];
	uint8_t *at = t->s.to.handle ? w->hostmem + t->s.to.offset :
				       w->registered + t->s.to.offset;

	CHECK(matches(at, t->s.length, m->fill));
	/* Reused at once; looked at when the next store has come there. */
	memset(at, 0x5a, t->s.length);
	t->busy = false;
	w->stored++;
}

static void pull(struct world *w)
{
	bool registered = draw(2);
	uint64_t most = registered ? REGISTERED / 2 : 4096, offset = draw(most);

	if (w->pulling)
		return;
	w->pull = (struct vgpu_pull){
		.from = { .handle = registered ? 0 : 77, .size = registered ? 0 : HOSTMEM,
			  .offset = offset },
		.to = w->pulled, .length = 1 + draw(most - offset),
	};
	w->pulling = true;
	vgpu_mirror_pull(w->server, &w->pull);
}

static void pulled(struct world *w)
{
	uint8_t *expect = w->registered + w->pull.from.offset;

	if (!w->pulling || !w->pull.done)
		return;
	CHECK_EQ(w->pull.error, 0);
	if (!w->pull.from.handle)
		CHECK(!memcmp(w->pulled, expect, w->pull.length));
	w->pulling = false;
	w->pulls++;
}

/* The daemon ended in the middle of something; another takes over the channel. */
static void replace_daemon(struct world *w)
{
	struct vgpu_mirror *old = w->client;

	while (w->njobs)
		run_job(w);
	CHECK_EQ(vgpu_mirror_create(&w->client, VGPU_ROLE_CLIENT, w->relay, &client_ops, w), 0);
	vgpu_mirror_destroy(old);
	connect_hosts(w);
}

static void act(struct world *w, bool cuts)
{
	struct message m;

	switch (draw(12)) {
	case 0:
	case 1:
		produce(w->app, &w->up, 0, 0);
		break;
	case 2:
		produce(w->worker, &w->down, 0, 0);
		break;
	case 3:
		consume(w->worker, &w->up, &m);
		break;
	case 4:
		if (consume(w->app, &w->down, &m) && m.store)
			stored(w, &m);
		break;
	case 5:
		store(w);
		break;
	case 6:
		pull(w);
		break;
	case 7:
		if (w->njobs)
			run_job(w);
		break;
	case 8:
		work(w, w->client);
		break;
	case 9:
		work(w, w->server);
		break;
	case 10:
		pass(w, draw(2), 1 + draw(draw(2) ? 100 : 65536));
		break;
	case 11:
		if (!cuts || draw(60))
			break;
		w->cuts++;
		if (draw(3))
			connect_hosts(w);
		else
			replace_daemon(w);
		break;
	}
	pulled(w);
}

/* Until nothing is on its way, and a while longer. */
static void settle(struct world *w)
{
	struct message m;
	int still = 0;

	for (int i = 0; i < 20000 && !w->err; i++) {
		work(w, w->client);
		work(w, w->server);
		pass(w, 0, 65536);
		pass(w, 1, 65536);
		while (w->njobs)
			run_job(w);
		consume(w->worker, &w->up, &m);
		if (consume(w->app, &w->down, &m) && m.store)
			stored(w, &m);
		pulled(w);
		if (w->up.sent == w->up.received && w->down.sent == w->down.received &&
		    !w->pulling && !vgpu_mirror_pending(w->client) &&
		    !vgpu_mirror_pending(w->server) && ++still == 100)
			return;
	}
	CHECK(!"settled");
}

static void run(uint64_t seed, int steps, bool cuts)
{
	static struct world w;

	world_start(&w, seed);
	for (int i = 0; i < steps && !w.err && !test_failures; i++)
		act(&w, cuts);
	CHECK_EQ(w.err, 0);
	if (!w.err)
		settle(&w);
	CHECK(w.up.sent > 0 && w.down.sent > 0);
	CHECK(w.pulls > 0 && w.stored > 0);
	CHECK(!cuts || w.cuts > 0);
	if (test_failures)
		printf("# seed %llu\n", (unsigned long long)seed);
	world_end(&w);
}

TEST(keeps_two_channels_alike)
{
	for (uint64_t seed = 1; seed <= 10 && !test_failures; seed++)
		run(seed, 20000, false);
}

TEST(goes_on_after_cuts)
{
	for (uint64_t seed = 100; seed < 130 && !test_failures; seed++)
		run(seed, 20000, true);
}

/* ---- one at a time ---- */

TEST(a_buffer_that_is_not_there)
{
	static struct world w;
	struct vgpu_pull p = {
		.from = { .handle = 78, .size = 4096 }, .to = w.pulled, .length = 9,
	};
	struct vgpu_store s = {
		.to = { .handle = 77, .size = HOSTMEM, .offset = HOSTMEM - 4 }, .from = "12345678",
		.length = 8,
	};

	world_start(&w, 1);
	vgpu_mirror_pull(w.server, &p);
	vgpu_mirror_store(w.server, &s);
	settle(&w);
	CHECK(p.done && s.done);
	CHECK_EQ(p.error, -ENOENT);
	CHECK_EQ(s.error, -EINVAL);
	CHECK_EQ(vgpu_mirror_stored(w.server), 1);
	world_end(&w);
}

TEST(memory_that_cannot_be_copied)
{
	static struct world w;
	struct vgpu_pull p = { .from = { .offset = REGISTERED }, .to = w.pulled, .length = 9 };
	struct vgpu_pull q = { .from = { .offset = 5 }, .to = w.pulled, .length = 3 * 262144 / 2 };
	struct vgpu_store s = {
		.to = { .offset = REGISTERED - 4 }, .from = "12345678", .length = 8,
	};

	world_start(&w, 1);
	vgpu_mirror_pull(w.server, &p);
	vgpu_mirror_pull(w.server, &q);
	vgpu_mirror_store(w.server, &s);
	settle(&w);
	CHECK_EQ(p.error, -EFAULT);
	CHECK_EQ(s.error, -EFAULT);
	CHECK(q.done && !q.error && !memcmp(w.pulled, w.registered + 5, q.length));
	world_end(&w);
}

/* A connection that begins while the copier is writing: RESUME waits for it, and follows. */
TEST(resumes_after_a_store)
{
	static struct world w;
	struct vgpu_store s = { .from = "12345678", .length = 8 };

	world_start(&w, 1);
	settle(&w);
	vgpu_mirror_store(w.server, &s);
	while (!w.njobs && !w.err) {
		work(&w, w.server);
		pass(&w, 1, 65536);
		work(&w, w.client);
	}
	connect_hosts(&w);
	work(&w, w.server);
	pass(&w, 1, 65536);
	work(&w, w.client);
	CHECK(!vgpu_mirror_pending(w.client) && !vgpu_mirror_resumed(w.client));
	run_job(&w);
	CHECK_EQ(vgpu_mirror_receive(w.client), 1);
	CHECK(vgpu_mirror_resumed(w.client) && vgpu_mirror_pending(w.client));
	settle(&w);
	CHECK(s.done && !s.error && !memcmp(w.registered, s.from, s.length));
	world_end(&w);
}

TEST(bye)
{
	static struct world w;

	world_start(&w, 1);
	settle(&w);
	vgpu_mirror_say_bye(w.server, "the GPU\nfell off");
	pass(&w, 1, 65536);
	CHECK_EQ(vgpu_mirror_receive(w.client), -ESHUTDOWN);
	CHECK(!strcmp(vgpu_mirror_bye(w.client) ?: "", "the GPU?fell off"));
	CHECK_EQ(vgpu_mirror_receive(w.client), -ESHUTDOWN);
	world_end(&w);
}

/* ---- hostile ---- */

struct hostile {
	struct vgpu_frame	f;
	union {
		struct vgpu_resume	resume;
		struct vgpu_publish	publish;
		struct vgpu_pull_wire	pull;
		struct vgpu_store_wire	store;
		uint64_t		words[8];
	};
};

#define FRAME(t, n, ...) { .f = { .type = VGPU_FRAME_##t, .length = n, ##__VA_ARGS__ } }

/* What a worker may not say to a client that has just resumed. */
static const struct hostile lies[] = {
	FRAME(PUT, 0), FRAME(PUT, 8, .at = 8), FRAME(PUT, 8, .lane = 2), FRAME(PUT, 8, .flags = 1),
	FRAME(PUT, VGPU_FRAME_PAYLOAD), FRAME(PUT, 0xffffffff), FRAME(PUT, 8193),
	FRAME(PUT, 8, .at = ~0ull), FRAME(RESUME, 56), FRAME(PULL, 31, .at = 1),
	FRAME(PULL, 32), FRAME(PULL, 32, .at = 1), FRAME(DATA, 16, .at = 1),
	FRAME(STORE, 32, .at = 2), FRAME(STORE, 24, .at = 1), FRAME(FAILED, 8, .at = 1),
	FRAME(FORGET, 0), FRAME(BYE, 257), { .f = { .type = 0 } }, { .f = { .type = 99 } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .tail = { 8, 0 } } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .head = { 8, 0 } } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .head = { 0, ~0ull } } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .stored = 1 } },
};

static int tell_client(struct world *w, const struct hostile *h)
{
	size_t n = sizeof(h->f) + (h->f.length < 64 ? h->f.length : 64);
	int err;

	CHECK_EQ(send(w->wire[0][1], h, n, MSG_NOSIGNAL), (ssize_t)n);
	while ((err = vgpu_mirror_receive(w->client)) == 1)
		;
	return err;
}

static int resume_client(struct world *w)
{
	struct hostile r = {
		.f = { .type = VGPU_FRAME_RESUME, .length = sizeof(struct vgpu_resume) },
		.resume = { .version = VGPU_WIRE_VERSION, .epoch = 1 },
	};

	return tell_client(w, &r);
}

TEST(lies_of_a_worker)
{
	static struct world w;

	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		world_start(&w, 1);
		CHECK_EQ(resume_client(&w), 0);
		if (tell_client(&w, &lies[i]) != -EPROTO || !vgpu_mirror_fault(w.client)) {
			printf("# lie %zu was believed\n", i);
			CHECK(false);
		}
		CHECK_EQ(vgpu_mirror_send(w.client), -EPROTO);
		world_end(&w);
	}
}

TEST(nothing_comes_before_the_resume)
{
	static struct world w;
	struct hostile publish = {
		.f = { .type = VGPU_FRAME_PUBLISH, .length = sizeof(struct vgpu_publish) },
	};
	struct hostile resume = {
		.f = { .type = VGPU_FRAME_RESUME, .length = sizeof(struct vgpu_resume) },
		.resume = { .version = VGPU_WIRE_VERSION, .epoch = 2 },
	};

	world_start(&w, 1);
	CHECK_EQ(tell_client(&w, &publish), -EPROTO);
	world_end(&w);
	world_start(&w, 1);
	CHECK_EQ(tell_client(&w, &resume), -EPROTO);	/* another epoch */
	world_end(&w);
	resume.resume.epoch = 1;
	resume.resume.received[1] = 64;			/* what nobody sent */
	world_start(&w, 1);
	CHECK_EQ(tell_client(&w, &resume), -EPROTO);
	world_end(&w);
}

/* The app's half is the app's to write, with whatever it likes. */
TEST(lies_of_a_program)
{
	static const uint64_t tails[] = { 1ull << 20, ~0ull, 16384 + 8 };
	static struct world w;
	struct vgpu_channel_view v;

	for (size_t i = 0; i < 2 * sizeof(tails) / sizeof(*tails); i++) {
		world_start(&w, 1);
		CHECK_EQ(resume_client(&w), 0);
		vgpu_channel_view(w.relay, &v);
		if (i % 2)
			v.app->sq_tail.value = tails[i / 2];
		else
			v.app->down_head.value = tails[i / 2];
		CHECK_EQ(vgpu_mirror_send(w.client), -EPROTO);
		world_end(&w);
	}
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
