/* SPDX-License-Identifier: MIT */
/*
 * Streams, plain and with a session's key: that bytes arrive as they were given,
 * whatever pieces they are written and read in, and how a connection ends. In a
 * virtual machine whose kernel has TLS, TEST_KTLS=1 wants it to be used.
 */
#include <signal.h>
#include "link/pair.h"
#include "test.h"

static const uint8_t session[VGPU_SESSION_ID] = "this session";
static const uint8_t secret[VGPU_SECRET] = "its secret is thirty-two bytes.";

enum kind { PLAIN, KEYED, KINDS };

static int make_keyed(struct vgpu_stream **out, int fd, bool server)
{
	struct vgpu_tls *tls;
	int err = vgpu_tls_session(&tls, session, secret, server);

	if (err)
		return err;
	err = vgpu_stream_tls(out, fd, tls, NULL);
	vgpu_tls_close(tls);
	return err;
}

static void connect_over(struct pair *p, enum kind kind, int fds[2])
{
	int server, client;

	*p = (struct pair){};
	if (kind == PLAIN) {
		CHECK_EQ(vgpu_stream_plain(&p->server, fds[0]), 0);
		CHECK_EQ(vgpu_stream_plain(&p->client, fds[1]), 0);
	} else {
		CHECK_EQ(make_keyed(&p->server, fds[0], true), 0);
		CHECK_EQ(make_keyed(&p->client, fds[1], false), 0);
	}
	pair_shake(p, &server, &client);
	CHECK_EQ(server, 0);
	CHECK_EQ(client, 0);
	if (server || client)
		printf("# %s; %s\n", vgpu_stream_error(p->server), vgpu_stream_error(p->client));
}

static void connect_pair(struct pair *p, enum kind kind)
{
	int fds[2] = { -1, -1 };

	CHECK_EQ(pair_sockets(fds), 0);
	connect_over(p, kind, fds);
}

/* A byte of what is sent, by its position: no two stretches are alike. */
static uint8_t byte_at(uint64_t position)
{
	return position * 0x9e3779b97f4a7c15u >> 56;
}

static void fill(uint8_t *to, uint64_t position, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = byte_at(position + i);
}

static bool matches(const uint8_t *bytes, uint64_t position, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != byte_at(position + i))
			return false;
	return true;
}

static uint32_t dice(uint32_t below)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (state >> 33) % below;
}

TEST(kinds)
{
	const bool ktls = getenv("TEST_KTLS");
	struct pair p;

	connect_pair(&p, PLAIN);
	CHECK(!strcmp(vgpu_stream_kind(p.client), "tcp"));
	pair_close(&p);
	connect_pair(&p, KEYED);
	if (ktls)
		CHECK(!strcmp(vgpu_stream_kind(p.client), "ktls") &&
		      !strcmp(vgpu_stream_kind(p.server), "ktls"));
	else
		CHECK(strstr(vgpu_stream_kind(p.client), "tls"));
	CHECK(!strcmp(vgpu_stream_error(p.client), ""));
	pair_close(&p);
}

/* ---- reading ---- */

static void read_bytewise(enum kind kind)
{
	enum { BYTES = 3000 };
	uint8_t sent[BYTES], got;
	struct iovec piece = pair_piece(sent, BYTES);
	struct pair p;
	int n = 0;

	connect_pair(&p, kind);
	CHECK_EQ(vgpu_stream_read(p.client, &got, 1), -EAGAIN);
	CHECK(!vgpu_stream_pending(p.client));
	CHECK(vgpu_stream_events(p.client) == POLLIN);
	fill(sent, 0, BYTES);
	CHECK_EQ(vgpu_stream_write(p.server, &piece, 1), BYTES);
	while (n < BYTES && !pair_read(p.client, &got, 1) && got == byte_at(n)) {
		n++;
		/* what TLS has taken out of the socket poll() does not see */
		if (kind == KEYED && vgpu_stream_pending(p.client) != (n < BYTES))
			break;
	}
	CHECK_EQ(n, BYTES);
	CHECK_EQ(vgpu_stream_read(p.client, &got, 1), -EAGAIN);
	CHECK(!vgpu_stream_pending(p.client));
	pair_close(&p);
}

TEST(bytewise)
{
	read_bytewise(PLAIN);
	read_bytewise(KEYED);
}

/* ---- a socket between that can be looked at and held up ---- */

struct middle {
	int		server, client;		/* our ends */
	uint64_t	bytes;			/* towards the client */
	unsigned int	records;		/* of TLS that began in them */
	uint64_t	next;			/* position of the next record's header */
	uint8_t		header[5];
};

static void count_records(struct middle *m, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++, m->bytes++) {
		if (m->bytes >= m->next)
			m->header[m->bytes - m->next] = bytes[i];
		if (m->bytes == m->next + 4) {
			m->records++;
			m->next += 5 + m->header[3] * 256 + m->header[4];
		}
	}
}

/* At most @limit bytes towards the client, anything towards the server. */
static size_t pass_on(struct middle *m, size_t limit)
{
	static uint8_t bytes[65536];
	ssize_t n;

	n = recv(m->client, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n > 0)
		CHECK_EQ(send(m->server, bytes, n, 0), n);
	n = recv(m->server, bytes, limit < sizeof(bytes) ? limit : sizeof(bytes), MSG_DONTWAIT);
	if (n <= 0)
		return 0;
	count_records(m, bytes, n);
	CHECK_EQ(send(m->client, bytes, n, 0), n);
	return n;
}

static void connect_middle(struct pair *p, struct middle *m)
{
	int a[2], b[2], server = -EAGAIN, client = -EAGAIN;

	*m = (struct middle){};
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
	m->server = a[1];
	m->client = b[1];
	CHECK_EQ(make_keyed(&p->server, a[0], true), 0);
	CHECK_EQ(make_keyed(&p->client, b[0], false), 0);
	for (int i = 0; i < 100 && (server || client); i++) {
		client = vgpu_stream_handshake(p->client);
		server = vgpu_stream_handshake(p->server);
		pass_on(m, SIZE_MAX);
	}
	CHECK_EQ(server, 0);
	CHECK_EQ(client, 0);
}

static void close_middle(struct pair *p, struct middle *m)
{
	pair_close(p);
	close(m->server);
	close(m->client);
}

/* A header and its payload are whole records, and the end of it. */
TEST(records_are_full)
{
	enum { PAYLOAD = 256 << 10 };
	uint8_t header[16], *payload = malloc(2 * PAYLOAD);
	size_t got = 0, sent = 0;
	unsigned int before;
	struct middle m;
	struct pair p;

	fill(header, 0, sizeof(header));
	fill(payload, sizeof(header), PAYLOAD);
	connect_middle(&p, &m);
	before = m.records;
	for (int turns = 0; turns < 1000 && got < sizeof(header) + PAYLOAD; turns++) {
		struct iovec iov[2] = { pair_piece(header, sizeof(header)),
					pair_piece(payload, PAYLOAD) };
		ssize_t n;

		if (sent >= sizeof(header))
			iov[0] = pair_piece(payload + sent - sizeof(header),
					    PAYLOAD + sizeof(header) - sent);
		if (sent < sizeof(header) + PAYLOAD) {
			n = vgpu_stream_write(p.server, iov, sent ? 1 : 2);
			sent += n > 0 ? n : 0;
		}
		pass_on(&m, SIZE_MAX);
		n = vgpu_stream_read(p.client, payload + PAYLOAD, PAYLOAD);
		if (n > 0)
			CHECK(matches(payload + PAYLOAD, got, n));
		got += n > 0 ? n : 0;
	}
	CHECK_EQ(got, sizeof(header) + PAYLOAD);
	CHECK_EQ(m.records - before, PAYLOAD / 16384 + 1);
	close_middle(&p, &m);
	free(payload);
}

/* Half a record is nothing that could be read, and nothing to come back for. */
TEST(part_of_a_record)
{
	uint8_t sent[5000], got[5000];
	struct iovec piece = pair_piece(sent, sizeof(sent));
	struct middle m;
	struct pair p;

	fill(sent, 0, sizeof(sent));
	connect_middle(&p, &m);
	CHECK_EQ(vgpu_stream_write(p.server, &piece, 1), sizeof(sent));
	CHECK_EQ(pass_on(&m, 3000), 3000);
	CHECK_EQ(vgpu_stream_read(p.client, got, sizeof(got)), -EAGAIN);
	CHECK(!vgpu_stream_pending(p.client));
	while (pass_on(&m, SIZE_MAX))
		;
	CHECK_EQ(vgpu_stream_read(p.client, got, 1000), 1000);
	CHECK(vgpu_stream_pending(p.client));
	CHECK_EQ(vgpu_stream_read(p.client, got + 1000, sizeof(got)), 4000);
	CHECK(!vgpu_stream_pending(p.client));
	CHECK(matches(got, 0, sizeof(got)));
	close_middle(&p, &m);
}

/* ---- writing ---- */

#define ROOM	(300 << 10)

/*
 * Offer up to ROOM bytes from @position in up to 8 pieces, some of them empty.
 * What was not taken is offered again in other pieces, and more or fewer of them.
 */
static ssize_t write_somehow(struct vgpu_stream *s, uint64_t position, uint64_t end)
{
	static uint8_t bytes[ROOM];
	size_t n = 1 + dice(dice(2) ? ROOM : 200), at = 0;
	struct iovec iov[8];

	n = n < end - position ? n : end - position;
	fill(bytes, position, n);
	for (int i = 0; i < 8; i++) {
		size_t length = i == 7 ? n - at : dice(2) ? dice(n - at + 1) : dice(20);

		length = length < n - at ? length : n - at;
		iov[i] = pair_piece(bytes + at, length);
		at += length;
	}
	return vgpu_stream_write(s, iov, 8);
}

static bool read_somehow(struct vgpu_stream *s, uint64_t *position)
{
	static uint8_t bytes[ROOM];
	ssize_t n = vgpu_stream_read(s, bytes, 1 + dice(dice(3) ? ROOM : 50));
	bool good = n > 0 ? matches(bytes, *position, n) : n == -EAGAIN;

	CHECK(good);
	*position += n > 0 ? n : 0;
	return good;
}

static void transfer(enum kind kind, uint64_t total)
{
	const int small = 40000;
	uint64_t sent = 0, got = 0;
	unsigned int blocked = 0;
	struct pair p;

	connect_pair(&p, kind);
	setsockopt(vgpu_stream_fd(p.server), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (got < total) {
		for (int i = dice(40); i && sent < total; i--) {
			ssize_t n = write_somehow(p.server, sent, total);

			REQUIRE(n > 0 || n == -EAGAIN);
			sent += n > 0 ? n : 0;
			blocked += n < 0;
			if (n < 0)
				CHECK(vgpu_stream_events(p.server) & POLLOUT);
		}
		for (int i = dice(40); i; i--)
			REQUIRE(read_somehow(p.client, &got));
	}
	CHECK_EQ(got, total);
	CHECK(blocked > 10);
	pair_close(&p);
}

TEST(random_sizes)
{
	transfer(PLAIN, 16 << 20);
	transfer(KEYED, 16 << 20);
}

/* Who has written less than all waits for POLLOUT, and what is missing is sent then. */
static void fill_socket(enum kind kind)
{
	static uint8_t bytes[ROOM];
	struct iovec piece;
	uint64_t sent = 0, got = 0;
	struct pair p;
	ssize_t n;

	connect_pair(&p, kind);
	do {
		fill(bytes, sent, ROOM);
		piece = pair_piece(bytes, ROOM);
		n = vgpu_stream_write(p.client, &piece, 1);
		sent += n > 0 ? n : 0;
	} while (n == ROOM);
	CHECK(vgpu_stream_events(p.client) & POLLOUT);
	/* what was offered and not taken is at least one byte, and enough */
	while (got < sent) {
		fill(bytes, sent, 1);
		piece = pair_piece(bytes, 1);
		n = vgpu_stream_write(p.client, &piece, 1);
		if (n == 1) {
			sent++;
			break;
		}
		REQUIRE(n == -EAGAIN && read_somehow(p.server, &got));
	}
	for (int i = 0; i < 1000 && got < sent; i++) {
		pair_wait(p.server);
		REQUIRE(read_somehow(p.server, &got));
	}
	CHECK_EQ(got, sent);
	CHECK_EQ(vgpu_stream_read(p.server, bytes, 1), -EAGAIN);
	CHECK_EQ(vgpu_stream_events(p.client), POLLIN);
	pair_close(&p);
}

TEST(full_socket)
{
	fill_socket(PLAIN);
	fill_socket(KEYED);
}

TEST(nothing_to_write)
{
	struct iovec piece = pair_piece(NULL, 0);
	uint8_t byte;
	struct pair p;

	for (enum kind kind = 0; kind < KINDS; kind++) {
		connect_pair(&p, kind);
		CHECK_EQ(vgpu_stream_write(p.client, &piece, 1), 0);
		CHECK_EQ(vgpu_stream_write(p.client, NULL, 0), 0);
		CHECK_EQ(vgpu_stream_read(p.server, &byte, 1), -EAGAIN);
		pair_close(&p);
	}
}

/* ---- the end ---- */

static void end(enum kind kind, bool reset)
{
	const struct linger linger = { 1, 0 };
	struct iovec piece = pair_piece("last words", 10);
	char got[16];
	struct pair p;
	ssize_t n;

	connect_pair(&p, kind);
	CHECK_EQ(vgpu_stream_write(p.server, &piece, 1), 10);
	if (reset)
		setsockopt(vgpu_stream_fd(p.server), SOL_SOCKET, SO_LINGER, &linger,
			   sizeof(linger));
	else
		CHECK_EQ(pair_read(p.client, got, 10), 0);
	vgpu_stream_close(p.server);
	p.server = NULL;
	while ((n = vgpu_stream_read(p.client, got, sizeof(got))) > 0 || n == -EAGAIN)
		;
	CHECK_EQ(n, -EPIPE);
	/* TLS says its farewell before the reset */
	CHECK(strstr(vgpu_stream_error(p.client), "closed") ||
	      (reset && strstr(vgpu_stream_error(p.client), "reset")));
	CHECK_EQ(vgpu_stream_write(p.client, &piece, 1), -EPIPE);
	pair_close(&p);
}

/* No signal: it would end this program. */
static void write_to_nobody(enum kind kind)
{
	static uint8_t bytes[ROOM];
	struct iovec piece = pair_piece(bytes, ROOM);
	struct pair p;
	ssize_t n;

	connect_pair(&p, kind);
	vgpu_stream_close(p.server);
	p.server = NULL;
	while ((n = vgpu_stream_write(p.client, &piece, 1)) > 0 || n == -EAGAIN)
		;
	CHECK_EQ(n, -EPIPE);
	CHECK(vgpu_stream_error(p.client)[0]);
	pair_close(&p);
}

TEST(ends)
{
	for (enum kind kind = 0; kind < KINDS; kind++) {
		end(kind, false);
		end(kind, true);
		write_to_nobody(kind);
	}
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_DFL);
	return test_main(argc, argv);
}
