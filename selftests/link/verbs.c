/* SPDX-License-Identifier: MIT */
/*
 * Streams that offer RDMA. In a virtual machine with a verbs device,
 * TEST_VERBS=ADDRESS is the device's, and bytes have to go that way: all of them,
 * both ways at once, with both ends asleep whenever they may be. Anywhere else the
 * two ends have to agree that they do not.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include "link/pair.h"
#include "test.h"

#define TOTAL	(24u << 20)
#define ROOM	(300u << 10)

static const uint8_t session[VGPU_SESSION_ID] = "this session";
static const uint8_t secret[VGPU_SECRET] = "its secret is thirty-two bytes.";

static in_addr_t address(void)
{
	const char *text = getenv("TEST_VERBS");

	return text ? inet_addr(text) : htonl(INADDR_LOOPBACK);
}

static int make(struct vgpu_stream **out, int fd, bool tls, bool server)
{
	struct vgpu_tls *key;
	int err;

	if (!tls)
		return vgpu_stream_plain(out, fd);
	err = vgpu_tls_session(&key, session, secret, server);
	if (err)
		return err;
	err = vgpu_stream_tls(out, fd, key, NULL);
	vgpu_tls_close(key);
	return err;
}

static void connect_pair(struct pair *p, bool tls)
{
	int fds[2] = { -1, -1 }, server, client;

	*p = (struct pair){};
	CHECK_EQ(pair_sockets_at(fds, address()), 0);
	CHECK_EQ(make(&p->server, fds[0], tls, true), 0);
	CHECK_EQ(make(&p->client, fds[1], tls, false), 0);
	CHECK_EQ(vgpu_stream_offer_verbs(p->server), 0);
	CHECK_EQ(vgpu_stream_offer_verbs(p->client), 0);
	pair_shake(p, &server, &client);
	CHECK_EQ(server, 0);
	CHECK_EQ(client, 0);
	if (getenv("TEST_VERBS"))
		printf("# notes: \"%s\", \"%s\"\n", vgpu_stream_note(p->server),
		       vgpu_stream_note(p->client));
}

TEST(kinds)
{
	const bool device = getenv("TEST_VERBS");
	struct pair p;

	for (int tls = 0; tls < 2; tls++) {
		connect_pair(&p, tls);
		CHECK_EQ(vgpu_stream_by_verbs(p.client), device);
		CHECK_EQ(vgpu_stream_by_verbs(p.server), device);
		CHECK_EQ(!strcmp(vgpu_stream_kind(p.client), "verbs-send"), device);
		CHECK_EQ(!vgpu_stream_note(p.client)[0], device);
		CHECK_EQ(vgpu_stream_verbs_here(vgpu_stream_socket(p.client)), device);
		pair_close(&p);
	}
}

/* ---- bytes ---- */

static uint8_t byte_at(uint64_t position)
{
	return position * 0x9e3779b97f4a7c15u >> 56;
}

struct end {
	struct vgpu_stream	*s;
	uint64_t		dice;
	uint64_t		sent, got;
	uint64_t		wrong;
	int			err;
	uint8_t			bytes[ROOM];
};

static uint32_t dice(struct end *e, uint32_t below)
{
	e->dice = e->dice * 6364136223846793005u + 1442695040888963407u;
	return (e->dice >> 33) % below;
}

/* Returns whether the stream took all. */
static bool write_some(struct end *e)
{
	uint32_t n = 1 + dice(e, dice(e, 3) ? 3000 : ROOM), cut;
	struct iovec iov[3];
	ssize_t took;

	n = n < TOTAL - e->sent ? n : TOTAL - e->sent;
	for (uint32_t i = 0; i < n; i++)
		e->bytes[i] = byte_at(e->sent + i);
	cut = dice(e, n + 1);
	iov[0] = pair_piece(e->bytes, cut);
	iov[1] = pair_piece(NULL, 0);
	iov[2] = pair_piece(e->bytes + cut, n - cut);
	took = vgpu_stream_write(e->s, iov, 3);
	if (took < 0 && took != -EAGAIN)
		e->err = took;
	e->sent += took > 0 ? took : 0;
	return took == (ssize_t)n;
}

static bool read_some(struct end *e)
{
	ssize_t n = vgpu_stream_read(e->s, e->bytes, 1 + dice(e, dice(e, 3) ? ROOM : 100));

	if (n < 0 && n != -EAGAIN)
		e->err = n;
	for (ssize_t i = 0; i < n; i++)
		e->wrong += e->bytes[i] != byte_at(e->got + i);
	e->got += n > 0 ? n : 0;
	return n > 0;
}

static void sleep_until_moved(struct end *e, bool blocked)
{
	struct pollfd p = { vgpu_stream_fd(e->s), vgpu_stream_events(e->s), 0 };

	if (blocked)
		p.events |= vgpu_stream_room_events(e->s);
	if (!vgpu_stream_pending(e->s) && poll(&p, 1, 10000) == 0)
		e->err = -ETIMEDOUT;
}

static void *run_end(void *arg)
{
	struct end *e = arg;
	bool blocked = false;

	while (!e->err && (e->sent < TOTAL || e->got < TOTAL)) {
		bool read = false;

		for (int i = dice(e, 8); i && !e->err && e->got < TOTAL; i--)
			read |= read_some(e);
		for (int i = dice(e, 8); i && !e->err && e->sent < TOTAL; i--)
			blocked = !write_some(e);
		if (e->sent == TOTAL)
			blocked = false;
		/* Only when nothing more can be done now. */
		if (!e->err && !read && (blocked || e->sent == TOTAL) && e->got < TOTAL &&
		    !read_some(e))
			sleep_until_moved(e, blocked);
		else if (!e->err && blocked && e->got == TOTAL)
			sleep_until_moved(e, true);
	}
	return NULL;
}

static void both_ways(bool tls)
{
	static struct end ends[2];
	pthread_t thread;
	struct pair p;

	connect_pair(&p, tls);
	for (int i = 0; i < 2; i++)
		ends[i] = (struct end){ .s = i ? p.client : p.server, .dice = 7 + i };
	REQUIRE(!pthread_create(&thread, NULL, run_end, &ends[0]));
	run_end(&ends[1]);
	pthread_join(thread, NULL);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(ends[i].err, 0);
		CHECK_EQ(ends[i].sent, TOTAL);
		CHECK_EQ(ends[i].got, TOTAL);
		CHECK_EQ(ends[i].wrong, 0);
		if (ends[i].err)
			printf("# %s: sent %lu got %lu\n", vgpu_stream_error(ends[i].s),
			       ends[i].sent, ends[i].got);
	}
	pair_close(&p);
}

TEST(both_ways_plain) { both_ways(false); }
TEST(both_ways_tls) { both_ways(true); }

/* One side alone sends until no more is taken; it may go on when the other reads. */
TEST(nobody_reads)
{
	static uint8_t bytes[ROOM], away[ROOM];
	struct iovec piece = pair_piece(bytes, ROOM);
	struct pair p;
	ssize_t n = 0;

	connect_pair(&p, true);
	for (int i = 0; i < 1000 && n >= 0; i++)
		n = vgpu_stream_write(p.client, &piece, 1);
	CHECK_EQ(n, -EAGAIN);
	CHECK_EQ(vgpu_stream_write(p.client, &piece, 1), -EAGAIN);
	for (int i = 0; i < 1000 && n == -EAGAIN; i++) {
		n = vgpu_stream_read(p.server, away, ROOM);
		REQUIRE(n > 0 || n == -EAGAIN);
		n = vgpu_stream_write(p.client, &piece, 1);
		if (n == -EAGAIN)
			poll(NULL, 0, 1);
	}
	CHECK(n > 0);
	pair_close(&p);
}

TEST(last_words)
{
	struct iovec piece = pair_piece("last words", 10);
	struct timespec a, b;
	char got[16] = "";
	struct pair p;

	for (int tls = 0; tls < 2; tls++) {
		connect_pair(&p, tls);
		CHECK_EQ(vgpu_stream_write(p.client, &piece, 1), 10);
		clock_gettime(CLOCK_MONOTONIC, &a);
		vgpu_stream_close(p.client);
		p.client = NULL;
		CHECK_EQ(pair_read(p.server, got, 10), 0);
		CHECK(!memcmp(got, "last words", 10));
		CHECK_EQ(pair_read(p.server, got, 1), -EPIPE);
		clock_gettime(CLOCK_MONOTONIC, &b);
		CHECK(b.tv_sec - a.tv_sec < 10);
		pair_close(&p);
	}
}

/* ---- offers that are none; by hand, against a plain stream ---- */

struct offer {
	uint32_t	magic;
	uint16_t	version;
	uint8_t		usable, mtu;
	uint32_t	qpn, psn;
	uint8_t		gid[16];
	uint32_t	lid, slots, slot_bytes, reserved[5];
};

static const struct offer none = { .magic = 0x76706776, .version = 1 };

/* What the stream makes of @o and the two words behind it. */
static int offered(const struct offer *o, const char *words, struct vgpu_stream **out)
{
	int fds[2] = { -1, -1 }, err = -EAGAIN;

	CHECK_EQ(pair_sockets_at(fds, address()), 0);
	CHECK_EQ(vgpu_stream_plain(out, fds[0]), 0);
	CHECK_EQ(vgpu_stream_offer_verbs(*out), 0);
	CHECK_EQ(send(fds[1], o, sizeof(*o), 0), sizeof(*o));
	CHECK_EQ(send(fds[1], words, strlen(words), 0), strlen(words));
	for (int i = 0; i < 100 && err == -EAGAIN; i++) {
		err = vgpu_stream_handshake(*out);
		if (err == -EAGAIN)
			poll(NULL, 0, 10);
	}
	close(fds[1]);
	return err;
}

TEST(strange_offers)
{
	const struct offer good = { .magic = none.magic, .version = 1, .usable = 1, .mtu = 3,
				    .qpn = 17, .psn = 5, .slots = 32, .slot_bytes = 32 << 10 };
	struct offer bad[10];
	struct vgpu_stream *s;

	for (int i = 0; i < 10; i++)
		bad[i] = good;
	bad[0].magic++;
	bad[1].version++;
	bad[2].usable = 2;
	bad[3].mtu = 0;
	bad[4].mtu = 6;
	bad[5].qpn = 1 << 24;
	bad[6].psn = 1 << 24;
	bad[7].lid = 1 << 16;
	bad[8].slots = 33;
	bad[9].reserved[4] = 1;
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(offered(&bad[i], "", &s), -EPROTO);
		CHECK(strstr(vgpu_stream_error(s), "queue pair"));
		vgpu_stream_close(s);
	}
	/* No device there, and whatever it says after that: by the socket. */
	for (int word = 0; word < 3; word++) {
		const char words[] = { (char)(word ? word : 9), 0 };

		CHECK_EQ(offered(&none, words, &s), 0);
		CHECK(!vgpu_stream_by_verbs(s));
		CHECK(vgpu_stream_note(s)[0]);
		vgpu_stream_close(s);
	}
	/* It goes away in between. */
	CHECK_EQ(offered(&good, "", &s), -EAGAIN);
	CHECK_EQ(vgpu_stream_handshake(s), -EPIPE);
	vgpu_stream_close(s);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	return test_main(argc, argv);
}
