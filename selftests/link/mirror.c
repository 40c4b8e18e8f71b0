// SPDX-License-Identifier: MIT
/*
 * Two mirrors, a channel at each, and between them a wire that passes on as many
 * bytes as it is told and can be cut anywhere. What a run does is drawn from its
 * seed: records and bytes both ways, pulls and stores, cuts, and daemons that
 * are replaced. Whatever happens, everything arrives once, in order, unharmed.
 */
#include "link/mirror_world.h"

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
	uint64_t first = registered ? 0 : HOSTMEM - PULLED;
	uint64_t most = registered ? REGISTERED / 2 : PULLED, offset = draw(most);
	unsigned int i = draw(PULLS);

	if (w->pulling[i])
		return;
	w->pull[i] = (struct vgpu_pull){
		.from = { .handle = registered ? 0 : 77, .size = registered ? 0 : HOSTMEM,
			  .offset = first + offset },
		.to = w->pulled[i], .length = 1 + draw(most - offset),
	};
	w->pulling[i] = true;
	vgpu_mirror_pull(w->server, &w->pull[i]);
}

/* How many are not there yet. */
static unsigned int pulled(struct world *w)
{
	unsigned int left = 0;

	for (int i = 0; i < PULLS; i++) {
		const struct vgpu_pull *p = &w->pull[i];
		uint8_t *from = p->from.handle ? w->hostmem : w->registered;

		left += w->pulling[i] && !p->done;
		if (!w->pulling[i] || !p->done)
			continue;
		CHECK_EQ(p->error, 0);
		CHECK(!memcmp(w->pulled[i], from + p->from.offset, p->length));
		w->pulling[i] = false;
		w->pulls++;
	}
	return left;
}

/* The daemon ended in the middle of something; another takes over the channel. */
static void replace_client(struct world *w)
{
	struct vgpu_mirror *old = w->client;

	while (w->njobs)
		run_job(w);
	CHECK_EQ(vgpu_mirror_create(&w->client, VGPU_ROLE_CLIENT, w->relay, &client_ops, w), 0);
	vgpu_mirror_destroy(old);
}

static void replace_daemon(struct world *w)
{
	replace_client(w);
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
		if (w->up.sent == w->up.received && w->down.sent == w->down.received &&
		    !pulled(w) && !vgpu_mirror_pending(w->client) &&
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
		.from = { .handle = 78, .size = 4096 }, .to = w.pulled[0], .length = 9,
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
	struct vgpu_pull p = { .from = { .offset = REGISTERED }, .to = w.pulled[0], .length = 9 };
	struct vgpu_pull q = {
		.from = { .offset = 5 }, .to = w.pulled[1], .length = 3 * 262144 / 2,
	};
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
	CHECK(q.done && !q.error && !memcmp(w.pulled[1], w.registered + 5, q.length));
	world_end(&w);
}

/* A store to registered memory, with the client's copier at it. */
static void store_begun(struct world *w, struct vgpu_store *s)
{
	vgpu_mirror_store(w->server, s);
	while (!w->njobs && !w->err) {
		work(w, w->server);
		pass(w, 1, 65536);
		work(w, w->client);
	}
}

/* A connection that begins while the copier is writing: RESUME waits for it, and follows. */
TEST(resumes_after_a_store)
{
	static struct world w;
	struct vgpu_store s = { .from = "12345678", .length = 8 };

	world_start(&w, 1);
	settle(&w);
	store_begun(&w, &s);
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

/* What was said of a store that failed is lost with the connection: the session ends. */
static void a_store_fails(bool before_the_cut, bool new_daemon)
{
	static struct world w;
	struct vgpu_store s = { .to.offset = REGISTERED, .from = "12345678", .length = 8 };

	world_start(&w, 1);
	settle(&w);
	store_begun(&w, &s);
	if (before_the_cut)
		run_job(&w);
	vgpu_mirror_detach(w.client);
	if (!before_the_cut)
		run_job(&w);
	if (new_daemon)
		replace_client(&w);
	CHECK_EQ(reconnect(&w), -EPROTO);
	CHECK(vgpu_mirror_fault(w.client) && strstr(vgpu_mirror_fault(w.client), "written"));
	CHECK(!s.done);
	world_end(&w);
}

TEST(a_store_that_failed_and_a_cut)
{
	a_store_fails(true, false);
	a_store_fails(false, false);
	a_store_fails(true, true);
	a_store_fails(false, true);
}

/* It has been told by now: nothing is wrong but that store. */
TEST(a_store_that_failed_and_was_told)
{
	static struct world w;
	struct vgpu_store s = { .to.offset = REGISTERED, .from = "12345678", .length = 8 };
	struct vgpu_store next = { .from = "12345678", .length = 8 };

	world_start(&w, 1);
	vgpu_mirror_store(w.server, &s);
	settle(&w);
	vgpu_mirror_store(w.server, &next);
	settle(&w);
	CHECK(s.done && next.done);
	CHECK_EQ(s.error, -EFAULT);
	CHECK_EQ(next.error, 0);
	world_end(&w);
}

/* Each tries to send, which fails, with nothing but a RESUME begun. */
TEST(many_connections_that_are_dead)
{
	static struct world w;
	struct vgpu_pull p = { .from.offset = 5, .to = w.pulled[0], .length = 9 };

	world_start(&w, 1);
	for (int i = 0; i < 2000; i++) {
		connect_hosts(&w);
		for (int side = 0; side < 2; side++) {
			shutdown(w.wire[side][1], SHUT_RDWR);
			close(w.wire[side][1]);
			w.wire[side][1] = -1;
		}
		CHECK_EQ(vgpu_mirror_send(w.client), -EPIPE);
		CHECK_EQ(vgpu_mirror_send(w.server), -EPIPE);
		vgpu_mirror_detach(w.client);
		vgpu_mirror_detach(w.server);
	}
	connect_hosts(&w);
	vgpu_mirror_pull(w.server, &p);
	settle(&w);
	CHECK(p.done && !p.error && !memcmp(w.pulled[0], w.registered + 5, 9));
	world_end(&w);
}

/* More than are asked for at once, and nobody commits anything meanwhile. */
TEST(many_pulls)
{
	static struct world w;
	static struct vgpu_pull p[200];

	world_start(&w, 1);
	for (int i = 0; i < 200; i++) {
		p[i] = (struct vgpu_pull){ .from.offset = i, .to = &w.pulled[0][i], .length = 1 };
		vgpu_mirror_pull(w.server, &p[i]);
	}
	settle(&w);
	for (int i = 0; i < 200; i++)
		CHECK(p[i].done && !p[i].error);
	CHECK(!memcmp(w.pulled[0], w.registered, 200));
	world_end(&w);
}

/*
 * A batch holds the end of one pull and the beginning of another, and the connection
 * took the first part only. The worker has its bytes, and gives the buffer back.
 */
TEST(a_buffer_is_forgotten_behind_its_last_bytes)
{
	static struct world w;
	struct vgpu_pull a = {
		.from = { 77, HOSTMEM, HOSTMEM - PULLED }, .to = w.pulled[0], .length = 4096,
	};
	struct vgpu_pull b = {
		.from = { 79, HOSTMEM, HOSTMEM - PULLED }, .to = w.pulled[1], .length = PULLED,
	};
	int small = 4096;

	world_start(&w, 1);
	settle(&w);
	setsockopt(w.wire[0][0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	vgpu_mirror_pull(w.server, &a);
	vgpu_mirror_pull(w.server, &b);
	work(&w, w.server);
	pass(&w, 1, 65536);
	CHECK_EQ(vgpu_mirror_receive(w.client), 1);
	while (!a.done && !w.err) {
		vgpu_mirror_send(w.client);
		pass(&w, 0, 65536);
		vgpu_mirror_receive(w.server);
	}
	vgpu_mirror_forget(w.server, 77);
	work(&w, w.server);
	pass(&w, 1, 65536);
	CHECK_EQ(vgpu_mirror_receive(w.client), 1);
	CHECK(!b.done && !w.forgotten);
	settle(&w);
	CHECK_EQ(w.forgotten, 1);
	CHECK(b.done && !b.error &&
	      !memcmp(w.pulled[1], w.hostmem + HOSTMEM - PULLED, PULLED));
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

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
