/* SPDX-License-Identifier: MIT */
/*
 * Messages of a control connection: all types there and back, what is refused, and
 * how they travel.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "channel/channel.h"
#include "link/control.h"
#include "test.h"

#define SESSION	"00112233445566778899aabbccddeeff"
#define HEX32	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define UUID	"\"uuid\":\"" SESSION "\""
#define GPU	"{\"ordinal\":0,\"number\":3," UUID "}"
#define RINGS	"\"rings\":{\"sq\":4096,\"cq\":65536,\"up\":1048576,\"down\":1048576}"
#define APP	"\"pid\":1,\"uid\":2,\"program\":\"p\""

static const char *parse(const char *text, struct vgpu_control *c)
{
	return vgpu_control_parse(text, strlen(text), c);
}

/* @m as text and back; what does not belong to its type must be zero in it. */
static bool survives(const struct vgpu_control *m)
{
	static struct vgpu_control back;
	char *text = vgpu_control_format(m);
	const char *wrong;
	bool same;

	if (!text)
		return false;
	wrong = parse(text, &back);
	same = !wrong && !memcmp(m, &back, sizeof(back));
	if (!same)
		printf("# %s: %s\n", wrong ?: "differs", text);
	free(text);
	return same;
}

static void fill(uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = i * 37 + 200;
}

static struct vgpu_control *message(enum vgpu_control_type type)
{
	static struct vgpu_control m;

	memset(&m, 0, sizeof(m));
	m.type = type;
	return &m;
}

/* ---- there and back ---- */

TEST(the_hello_of_a_client)
{
	struct vgpu_control *m = message(VGPU_CONTROL_HELLO);

	m->hello.version = 1;
	strcpy(m->hello.host, "node-17");
	CHECK(survives(m));
	memset(m->hello.host, 0, sizeof(m->hello.host));
	CHECK(survives(m));
}

TEST(the_hello_of_a_server)
{
	struct vgpu_control *m = message(VGPU_CONTROL_HELLO);

	m->hello.version = UINT32_MAX;
	memset(m->hello.host, 'h', sizeof(m->hello.host) - 1);
	m->hello.grace = 60;
	fill(m->hello.nonce, VGPU_NONCE);
	m->hello.ngpus = VGPU_CONTROL_GPUS;
	for (int i = 0; i < VGPU_CONTROL_GPUS; i++) {
		memset(m->hello.gpus[i].name, 'A' + i % 26, VGPU_NAME_MAX);
		m->hello.gpus[i].memory = INT64_MAX - i;
	}
	CHECK(survives(m));
}

TEST(open_and_its_answers)
{
	struct vgpu_control *m = message(VGPU_CONTROL_OPEN);

	m->request = INT64_MAX;
	m->open.sizes = (struct vgpu_ring_sizes)VGPU_DEFAULT_SIZES;
	m->open.pid = INT32_MAX;
	m->open.uid = UINT32_MAX;
	strcpy(m->open.program, "a \"program\" \\ with signs");
	m->open.ngpus = VGPU_CHANNEL_DEVICES;
	for (int i = 0; i < VGPU_CHANNEL_DEVICES; i++) {
		m->open.gpus[i].ordinal = VGPU_CONTROL_GPUS - 1 - i;
		m->open.gpus[i].number = VGPU_MINORS - 1 - i;
		fill(m->open.gpus[i].uuid, 16);
	}
	CHECK(survives(m));
	m = message(VGPU_CONTROL_OPENED);
	m->request = 1;
	fill(m->session, VGPU_SESSION_ID);
	fill(m->opened.secret, VGPU_SECRET);
	CHECK(survives(m));
	m = message(VGPU_CONTROL_OPENED);
	m->status = 46;
	strcpy(m->text, "no");
	CHECK(survives(m));
}

TEST(adopt_and_its_answers)
{
	struct vgpu_control *m = message(VGPU_CONTROL_ADOPT);

	m->request = 7;
	fill(m->session, VGPU_SESSION_ID);
	fill(m->adopt.proof, 32);
	CHECK(survives(m));
	memset(&m->adopt, 0, sizeof(m->adopt));
	m->type = VGPU_CONTROL_ADOPTED;
	CHECK(survives(m));
	memset(m->session, 0, sizeof(m->session));
	m->status = 1;
	memset(m->text, '.', sizeof(m->text) - 1);
	CHECK(survives(m));
}

TEST(ends_and_pings)
{
	struct vgpu_control *m = message(VGPU_CONTROL_CLOSE);

	fill(m->session, VGPU_SESSION_ID);
	CHECK(survives(m));
	m->type = VGPU_CONTROL_ENDED;
	strcpy(m->text, "the worker was killed by signal 9");
	CHECK(survives(m));
	m = message(VGPU_CONTROL_PING);
	m->request = 12;
	CHECK(survives(m));
	m->type = VGPU_CONTROL_PONG;
	CHECK(survives(m));
}

/* ---- text ---- */

TEST(what_is_not_printable_is_not_sent)
{
	struct vgpu_control *m = message(VGPU_CONTROL_HELLO), back;
	char *text;

	m->hello.version = 1;
	strcpy(m->hello.host, "a\nb\xff\xc3\xa4\x7f" "c");
	text = vgpu_control_format(m);
	REQUIRE(text);
	CHECK(!parse(text, &back));
	CHECK(!strcmp(back.hello.host, "a?b????c"));
	free(text);
}

TEST(keys_that_are_not_known_are_passed_over)
{
	struct vgpu_control c;

	CHECK(!parse("{\"type\":\"ping\",\"request\":3,\"later\":[{\"x\":null}]}", &c));
	CHECK_EQ(c.type, VGPU_CONTROL_PING);
	CHECK_EQ(c.request, 3);
}

/* ---- what is refused ---- */

static bool refused(const char *text)
{
	struct vgpu_control c;
	const char *wrong = parse(text, &c);

	if (!wrong)
		printf("# not refused: %s\n", text);
	return wrong && *wrong;
}

/* Each of the bad ones is this but for one thing. */
static const char open_good[] =
	"{\"type\":\"open\",\"request\":1," RINGS "," APP ",\"gpus\":[" GPU "]}";

TEST(opens_that_are_refused)
{
	static const char *const bad[] = {
		"{\"type\":\"open\"," RINGS "," APP ",\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":-1," RINGS "," APP ",\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":1.0," RINGS "," APP ",\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":9223372036854775808," RINGS "," APP
			",\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":1," APP ",\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":1,\"rings\":[]," APP ",\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":1," RINGS "," APP "}",
		"{\"type\":\"open\",\"request\":1," RINGS "," APP ",\"gpus\":[]}",
		"{\"type\":\"open\",\"request\":1," RINGS "," APP ",\"gpus\":{}}",
		"{\"type\":\"open\",\"request\":1," RINGS "," APP ",\"gpus\":[1]}",
		"{\"type\":\"open\",\"request\":1," RINGS "," APP ",\"gpus\":["
			GPU "," GPU "," GPU "," GPU "," GPU "," GPU "," GPU "," GPU "," GPU ","
			GPU "," GPU "," GPU "," GPU "," GPU "," GPU "," GPU "," GPU "]}",
		"{\"type\":\"open\",\"request\":1," RINGS "," APP
			",\"gpus\":[{\"ordinal\":64,\"number\":3," UUID "}]}",
		"{\"type\":\"open\",\"request\":1," RINGS "," APP
			",\"gpus\":[{\"ordinal\":0,\"number\":1024," UUID "}]}",
		"{\"type\":\"open\",\"request\":1," RINGS "," APP
			",\"gpus\":[{\"ordinal\":0,\"number\":3,\"uuid\":\"00\"}]}",
		"{\"type\":\"open\",\"request\":1," RINGS "," APP ",\"gpus\":[" GPU "],"
			"\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":1," RINGS ",\"uid\":2,\"program\":\"p\","
			"\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":1," RINGS ",\"pid\":2147483648,\"uid\":2,"
			"\"program\":\"p\",\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":1," RINGS ",\"pid\":1,\"uid\":4294967296,"
			"\"program\":\"p\",\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":1," RINGS ",\"pid\":1,\"uid\":2,"
			"\"program\":\"\\n\",\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":1," RINGS ",\"pid\":1,\"uid\":2,"
			"\"program\":\"\\u00e4\",\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":1," RINGS ",\"pid\":1,\"uid\":2,"
			"\"program\":\"a\\u0000b\",\"gpus\":[" GPU "]}",
		"{\"type\":\"open\",\"request\":1," RINGS ",\"pid\":1,\"uid\":2,"
			"\"program\":\"" HEX32 "\",\"gpus\":[" GPU "]}",
	};

	struct vgpu_control c;

	CHECK(!parse(open_good, &c));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(refused(bad[i]));
}

TEST(rings_that_are_refused)
{
	static const char *const sizes[] = {
		"0", "2048", "4097", "12288", "134217728", "-4096", "\"4096\"", "null",
		"4294971392",
	};
	char text[512];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(text, sizeof(text), "{\"type\":\"open\",\"request\":1,\"rings\":"
			 "{\"sq\":4096,\"cq\":4096,\"up\":4096,\"down\":%s}," APP
			 ",\"gpus\":[" GPU "]}", sizes[i]);
		CHECK(refused(text));
	}
}

TEST(others_that_are_refused)
{
	static const char *const bad[] = {
		"", "x", "[]", "null", "{}", "{\"type\":1}", "{\"type\":\"Ping\",\"request\":1}",
		"{\"type\":\"\",\"request\":1}", "{\"type\":\"ping\"}",
		"{\"type\":\"ping\",\"request\":true}",
		"{\"type\":\"ping\",\"request\":1}{}", "{\"type\":\"ping\",\"request\":1",
		"{\"type\":\"hello\",\"host\":\"h\"}", "{\"type\":\"hello\",\"version\":1}",
		"{\"type\":\"hello\",\"version\":4294967296,\"host\":\"h\"}",
		"{\"type\":\"hello\",\"version\":1,\"host\":\"h\",\"gpus\":"
			"[{\"name\":\"g\",\"memory\":1}]}",
		"{\"type\":\"hello\",\"version\":1,\"host\":\"h\",\"grace\":1,\"nonce\":\""
			SESSION "\",\"gpus\":[]}",
		"{\"type\":\"hello\",\"version\":1,\"host\":\"h\",\"grace\":1,\"nonce\":\""
			SESSION "\",\"gpus\":[{\"name\":\"g\"}]}",
		"{\"type\":\"close\"}", "{\"type\":\"close\",\"session\":\"\"}",
		"{\"type\":\"close\",\"session\":\"00112233445566778899aabbccddeefg\"}",
		"{\"type\":\"close\",\"session\":\"00112233445566778899AABBCCDDEEFF\"}",
		"{\"type\":\"close\",\"session\":\"" SESSION "00\"}",
		"{\"type\":\"ended\",\"session\":\"" SESSION "\"}",
		"{\"type\":\"opened\",\"request\":1,\"status\":0,\"session\":\"" SESSION "\"}",
		"{\"type\":\"opened\",\"request\":1,\"status\":0,\"secret\":\"" HEX32 "\"}",
		"{\"type\":\"opened\",\"request\":1,\"status\":4}",
		"{\"type\":\"opened\",\"request\":1,\"session\":\"" SESSION "\",\"secret\":\""
			HEX32 "\"}",
		"{\"type\":\"adopt\",\"request\":1,\"session\":\"" SESSION "\"}",
		"{\"type\":\"adopt\",\"request\":1,\"proof\":\"" HEX32 "\"}",
		"{\"type\":\"adopted\",\"request\":1,\"status\":0}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(refused(bad[i]));
}

TEST(bombs)
{
	static char text[VGPU_CONTROL_MAX + 2];
	struct vgpu_control c;

	memset(text, '[', VGPU_CONTROL_MAX);
	CHECK(refused(text));
	memset(text, '1', VGPU_CONTROL_MAX);
	CHECK(refused(text));
	strcpy(text, "{\"type\":\"ping\",\"request\":1}");
	memset(text + strlen(text), ' ', VGPU_CONTROL_MAX - strlen(text));
	text[VGPU_CONTROL_MAX] = 0;
	CHECK(!parse(text, &c));
	text[VGPU_CONTROL_MAX] = ' ';
	CHECK(refused(text));
}

/* ---- proofs ---- */

TEST(a_proof_is_of_all_three)
{
	uint8_t session[VGPU_SESSION_ID] = {}, secret[VGPU_SECRET] = {}, nonce[VGPU_NONCE] = {};
	uint8_t proof[32], again[32];

	vgpu_control_proof(session, secret, nonce, proof);
	vgpu_control_proof(session, secret, nonce, again);
	CHECK(!memcmp(proof, again, 32));
	session[15] = 1;
	vgpu_control_proof(session, secret, nonce, again);
	CHECK(memcmp(proof, again, 32));
	session[15] = 0;
	secret[31] = 1;
	vgpu_control_proof(session, secret, nonce, again);
	CHECK(memcmp(proof, again, 32));
	secret[31] = 0;
	nonce[15] = 1;
	vgpu_control_proof(session, secret, nonce, again);
	CHECK(memcmp(proof, again, 32));
}

/* ---- a connection ---- */

/* Our end of one; *@other is the bare other one. */
static struct vgpu_control_channel *connection(int *other)
{
	struct vgpu_control_channel *c;
	struct vgpu_stream *s;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return NULL;
	*other = fds[1];
	if (vgpu_stream_plain(&s, fds[0]) || vgpu_control_channel_create(&c, s))
		return NULL;
	return c;
}

static bool say(int fd, const void *bytes, size_t n)
{
	return send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
}

/* A message as it travels: its length. */
static size_t packed(uint8_t *bytes, size_t room, uint64_t request)
{
	int n = snprintf((char *)bytes + 4, room - 4, "{\"type\":\"ping\",\"request\":%llu}",
			 (unsigned long long)request);

	bytes[0] = n;
	bytes[1] = bytes[2] = bytes[3] = 0;
	return n + 4;
}

TEST(a_message_in_single_bytes)
{
	struct vgpu_control m;
	uint8_t bytes[64];
	size_t n = packed(bytes, sizeof(bytes), 77);
	int fd;
	struct vgpu_control_channel *c = connection(&fd);

	REQUIRE(c);
	CHECK_EQ(vgpu_control_channel_step(c, &m), 0);
	CHECK(vgpu_control_channel_established(c));
	for (size_t i = 0; i < n; i++) {
		CHECK(say(fd, bytes + i, 1));
		CHECK_EQ(vgpu_control_channel_step(c, &m), i + 1 == n);
	}
	CHECK_EQ(m.type, VGPU_CONTROL_PING);
	CHECK_EQ(m.request, 77);
	CHECK_EQ(vgpu_control_channel_events(c), POLLIN);
	vgpu_control_channel_close(c);
	close(fd);
}

/* The last words of one that goes are heard. */
TEST(many_messages_at_once_and_the_end)
{
	uint8_t bytes[1000 * 64];
	struct vgpu_control m;
	size_t n = 0;
	int fd;
	struct vgpu_control_channel *c = connection(&fd);

	REQUIRE(c);
	for (int i = 0; i < 1000; i++)
		n += packed(bytes + n, sizeof(bytes) - n, i);
	CHECK(say(fd, bytes, n));
	close(fd);
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(vgpu_control_channel_step(c, &m), 1);
		CHECK_EQ(m.request, i);
	}
	CHECK_EQ(vgpu_control_channel_step(c, &m), -EPIPE);
	CHECK(*vgpu_control_channel_error(c));
	vgpu_control_channel_close(c);
}

/* @n bytes, and what comes of them. */
static int verdict(const void *bytes, size_t n, const char *word)
{
	struct vgpu_control m;
	int fd, err;
	struct vgpu_control_channel *c = connection(&fd);

	if (!c || !say(fd, bytes, n))
		return 1;
	err = vgpu_control_channel_step(c, &m);
	if (err < 0)
		CHECK(strstr(vgpu_control_channel_error(c), word));
	vgpu_control_channel_close(c);
	close(fd);
	return err;
}

TEST(lengths_that_are_refused)
{
	static const uint8_t one_more[4] = { 1, 0, 1, 0 }, huge[4] = { 255, 255, 255, 255 };
	static const uint8_t most[4] = { 0, 0, 1, 0 }, none[4];

	CHECK_EQ(verdict(one_more, 4, "long"), -EPROTO);
	CHECK_EQ(verdict(huge, 4, "long"), -EPROTO);
	CHECK_EQ(verdict(none, 4, "JSON"), -EPROTO);
	CHECK_EQ(verdict(most, 4, ""), 0);
}

TEST(random_bytes)
{
	uint8_t bytes[4096];

	srand(4711);
	for (int i = 0; i < 200; i++) {
		size_t n = 4 + rand() % (sizeof(bytes) - 4);

		for (size_t at = 0; at < n; at++)
			bytes[at] = rand() >> 7;
		/* Half of them have a length that lets them be looked at. */
		if (i % 2) {
			bytes[0] = (n - 4) & 255;
			bytes[1] = (n - 4) >> 8;
			bytes[2] = bytes[3] = 0;
		}
		CHECK_EQ(verdict(bytes, n, "message"), -EPROTO);
	}
}

/* All that @c sends, until it has no more: how many pings, in order. */
static int drain(struct vgpu_control_channel *c, int fd)
{
	struct vgpu_control_channel *other;
	struct vgpu_control m;
	struct vgpu_stream *s;
	int n = 0, idle = 0;

	if (vgpu_stream_plain(&s, fd) || vgpu_control_channel_create(&other, s))
		return -1;
	while (idle < 2 && !vgpu_control_channel_step(c, &m)) {
		for (idle++; vgpu_control_channel_step(other, &m) > 0; idle = 0)
			CHECK_EQ(m.request, n++);
	}
	vgpu_control_channel_close(other);
	return n;
}

TEST(who_does_not_read)
{
	struct vgpu_control *m = message(VGPU_CONTROL_PING), in;
	int fd, sent = 0, err;
	struct vgpu_control_channel *c = connection(&fd);

	REQUIRE(c);
	CHECK_EQ(vgpu_control_channel_step(c, &in), 0);
	while (!(err = vgpu_control_channel_send(c, m)) && sent < 1000000)
		m->request = ++sent;
	CHECK_EQ(err, -ENOBUFS);
	CHECK(vgpu_control_channel_events(c) & POLLOUT);
	/* It is kept, and nothing of it is lost should it be read after all. */
	CHECK_EQ(drain(c, fd), sent);
	vgpu_control_channel_close(c);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
