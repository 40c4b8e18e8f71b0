/* SPDX-License-Identifier: MIT */
/*
 * What vgpu makes of what daemons say: tables and JSON of what is right, a line
 * about what is not, and an end to what does not end.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "../../tools/vgpu/daemons.h"
#include "test.h"

#define LAB \
	"{\"name\":\"lab\",\"address\":\"gpu1.lab:7667\",\"state\":\"up\",\"error\":\"\"," \
	"\"rtt_us\":135,\"link\":\"ktls\"}"
#define FAR \
	"{\"name\":\"far\",\"address\":\"[2001:db8::7]\",\"state\":\"connecting\"," \
	"\"error\":\"no route\\u001b[31m\",\"rtt_us\":0,\"link\":\"\",\"later\":{}}"
#define ID "00112233445566778899aabbccddeeff"
#define TRAIN \
	"{\"id\":\"" ID "\",\"pid\":4711,\"uid\":4294967295,\"program\":\"train\"," \
	"\"devices\":[0,12],\"server\":\"lab\",\"state\":\"running\",\"link\":\"tls\"," \
	"\"bytes_out\":1610612736,\"bytes_in\":1000,\"attaches\":3,\"seconds\":7265}"
#define START \
	"{\"id\":\"\",\"pid\":12,\"uid\":4294967295,\"program\":\"start\"," \
	"\"devices\":[],\"server\":\"far\",\"state\":\"opening\",\"link\":\"\"," \
	"\"bytes_out\":0,\"bytes_in\":0,\"attaches\":0,\"seconds\":0}"
#define VGPUD \
	"{\"version\":1,\"daemon\":\"vgpud\",\"servers\":[" LAB "," FAR "]," \
	"\"sessions\":[" TRAIN "," START "]}"

#define SERVED \
	"{\"id\":\"" ID "\",\"client\":\"client7 10.9.0.1\",\"identity\":\"client7\"," \
	"\"pid\":4711,\"uid\":1000,\"program\":\"train\",\"gpus\":[1,0],\"link\":\"tls\"," \
	"\"state\":\"running\",\"seconds\":65,\"worker\":815}"
#define SERVER \
	"{\"version\":1,\"daemon\":\"vgpu-server\",\"listen\":[\"*:7667\"]," \
	"\"gpus\":[{\"ordinal\":0,\"name\":\"T4\",\"memory\":1}],\"sessions\":[" SERVED "]}"

static struct vgpu_daemons daemons;
static char why[VGPU_WHY];

static int take_text(const char *text, size_t length, bool server)
{
	json_t *json = json_loadb(text, length, 0, NULL);
	int err = -EBADMSG;

	if (json)
		err = server ? vgpu_daemons_take_server(&daemons, json, why) :
			vgpu_daemons_take_vgpud(&daemons, json, why);
	json_decref(json);
	return err;
}

static int take(const char *text, bool server)
{
	vgpu_daemons_free(&daemons);
	return take_text(text, strlen(text), server);
}

/* @print into a string that is @expected. */
static bool prints(int (*print)(FILE *out, const struct vgpu_daemons *d), const char *expected)
{
	char *printed = NULL;
	size_t size;
	FILE *out = open_memstream(&printed, &size);
	int err = print(out, &daemons);
	bool same;

	fclose(out);
	same = !err && !strcmp(printed, expected);
	if (!same)
		printf("# %d printed:\n%s# expected:\n%s", err, printed, expected);
	free(printed);
	return same;
}

/* ---- what is right ---- */

TEST(servers)
{
	REQUIRE(!take(VGPUD, false));
	CHECK(daemons.vgpud && !daemons.server);
	CHECK(prints(vgpu_servers_print,
		     "NAME  ADDRESS        STATE       LINK    RTT  SESSIONS  ERROR\n"
		     "lab   gpu1.lab:7667  up          ktls  135us         1  -\n"
		     "far   [2001:db8::7]  connecting  -         -         1  "
		     "no route\xef\xbf\xbd[31m\n"));
}

TEST(sessions)
{
	REQUIRE(!take(VGPUD, false));
	CHECK(prints(vgpu_near_sessions_print,
		     " PID  USER        PROGRAM  DEVICES  SERVER  STATE    LINK  "
		     "SENT  RECEIVED    AGE  SESSION\n"
		     "4711  4294967295  train    0,12     lab     running  tls   "
		     "1.5G     1000B  2h01m  00112233\n"
		     "  12  4294967295  start    -        far     opening  -     "
		     "  0B        0B     0s  -\n"));
}

TEST(sessions_of_a_server)
{
	REQUIRE(!take(SERVER, true));
	CHECK(!daemons.vgpud && daemons.server);
	CHECK(prints(vgpu_far_sessions_print,
		     "CLIENT            IDENTITY   PID   UID  PROGRAM  GPUS  STATE    LINK  WORKER"
		     "    AGE  SESSION\n"
		     "client7 10.9.0.1  client7   4711  1000  train    1,0   running  tls      815"
		     "  1m05s  00112233\n"));
}

TEST(nothing)
{
	REQUIRE(!take("{\"version\":1,\"daemon\":\"vgpud\",\"servers\":[],"
		      "\"sessions\":[]}", false));
	CHECK(prints(vgpu_servers_print,
		     "NAME  ADDRESS  STATE  LINK  RTT  SESSIONS  ERROR\n"));
	CHECK(prints(vgpu_near_sessions_print, "PID  USER  PROGRAM  DEVICES  SERVER  STATE  LINK"
		     "  SENT  RECEIVED  AGE  SESSION\n"));
}

TEST(what_is_taken_comes_out_as_json)
{
	char *text;

	REQUIRE(!take(VGPUD, false) && !take_text(SERVER, strlen(SERVER), true));
	CHECK(daemons.vgpud && daemons.server);
	json_t *json[] = {
		vgpu_far_json(&daemons.fars[0]), vgpu_near_session_json(&daemons.nears[0]),
		vgpu_near_session_json(&daemons.nears[1]),
		vgpu_far_session_json(&daemons.served[0]),
	};
	static const char *const expected[] = { LAB, TRAIN, START, SERVED };

	for (unsigned i = 0; i < 4; i++) {
		text = json[i] ? json_dumps(json[i], JSON_COMPACT) : NULL;
		CHECK(text && !strcmp(text, expected[i]));
		free(text);
		json_decref(json[i]);
	}
}

/* ---- what is not ---- */

/* @text, in which @from is @to. */
static char *with(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *out = malloc(strlen(text) + strlen(to) + 1);

	sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return out;
}

TEST(what_is_wrong_is_named)
{
	static const char x64[] = "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaa\"";
	static const struct {
		const char	*from, *to, *why;
	} wrongs[] = {
		{ "\"vgpud\"", "\"vgpu-server\"", "that is not vgpud" },
		{ "\"daemon\"", "\"demon\"", "that is not vgpud" },
		{ "\"version\":1", "\"version\":2", "another version" },
		{ "\"version\":1", "\"version\":\"1\"", "another version" },
		{ "\"servers\"", "\"server\"", "servers is not an array" },
		{ "\"sessions\":[", "\"sessions\":{},\"x\":[", "sessions is not an array" },
		{ "{\"name\":\"lab\"", "1,{\"name\":\"lab\"", "servers[0] is not an object" },
		{ "\"rtt_us\":0", "\"rtt_us\":-1", "servers[1].rtt_us is less than zero" },
		{ "\"rtt_us\":0", "\"rtt_us\":1.5", "servers[1].rtt_us is not a whole number" },
		{ "\"rtt_us\":0", "\"rtt_us\":null", "servers[1].rtt_us is not a whole number" },
		{ "\"rtt_us\":0,", "", "servers[1].rtt_us is missing" },
		{ "\"lab\"", x64, "servers[0].name is too long" },
		{ "\"lab\"", "[]", "servers[0].name is not a string" },
		{ "[0,12]", "0", "sessions[0].devices is not an array" },
		{ "[0,12]", "[0,\"1\"]", "sessions[0].devices is not a whole number" },
		{ "[0,12]", "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
			"0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]",
			"sessions[0].devices is too long" },
		{ "\"" ID "\"", "\"" ID "0\"", "sessions[0].id is too long" },
	};

	for (unsigned i = 0; i < sizeof(wrongs) / sizeof(*wrongs); i++) {
		char *text = with(VGPUD, wrongs[i].from, wrongs[i].to);

		why[0] = '\0';
		CHECK_EQ(take(text, false), -EPROTO);
		if (!strstr(why, wrongs[i].why))
			printf("# %u: %s\n", i, why);
		CHECK(strstr(why, wrongs[i].why));
		CHECK(!daemons.vgpud && !daemons.fars && !daemons.nears);
		free(text);
	}
}

TEST(what_is_wrong_changes_nothing)
{
	char *text = with(VGPUD, "\"seconds\":0", "\"seconds\":-1");

	REQUIRE(!take(VGPUD, false));
	CHECK_EQ(take_text(text, strlen(text), false), -EPROTO);
	CHECK_EQ(daemons.nfars, 2);
	CHECK_EQ(daemons.nears[0].pid, 4711);
	free(text);
}

TEST(too_many)
{
	char *text = malloc(200000), *end = text;

	end += sprintf(end, "{\"version\":1,\"daemon\":\"vgpud\",\"servers\":[");
	for (unsigned i = 0; i <= 16384; i++)
		end += sprintf(end, "%s{}", i ? "," : "");
	sprintf(end, "],\"sessions\":[]}");
	CHECK_EQ(take(text, false), -EPROTO);
	CHECK(!strcmp(why, "servers is too long"));
	free(text);
}

/* Bytes changed, dropped and doubled: whatever is taken can be printed. */
TEST(random_changes)
{
	const char *const texts[] = { VGPUD, SERVER };
	unsigned taken = 0, seed = 1;

	for (unsigned i = 0; i < 20000; i++) {
		char text[4096];
		size_t length = strlen(texts[i % 2]);
		FILE *null;

		memcpy(text, texts[i % 2], length);
		for (unsigned k = rand_r(&seed) % 4; k < 5; k++) {
			size_t at = rand_r(&seed) % length, n = rand_r(&seed) % (length - at);

			if (rand_r(&seed) % 4)
				text[at] = "\"{}[],:0129e-\\u\xff a"[rand_r(&seed) % 18];
			else if (length > 64 && length < 2000)
				memmove(text + at + 1, text + at, length++ - at);
			else if (length > 64)
				memmove(text + at, text + at + n, (length -= n) - at);
		}
		vgpu_daemons_free(&daemons);
		if (take_text(text, length, i % 2))
			continue;
		taken++;
		null = fopen("/dev/null", "w");
		vgpu_servers_print(null, &daemons);
		vgpu_near_sessions_print(null, &daemons);
		vgpu_far_sessions_print(null, &daemons);
		fclose(null);
	}
	CHECK(taken > 100 && taken < 19000);
}

/* ---- asking ---- */

static char path[64];

struct speaker {
	int		listener;
	const char	*text;
	size_t		length;
	unsigned	piece;		/* bytes at a time */
	unsigned	pause_ms;	/* at the end */
	pthread_t	thread;
};

static void *speak(void *arg)
{
	struct speaker *s = arg;
	int fd = accept(s->listener, NULL, NULL);
	size_t done = 0;

	while (done < s->length) {
		size_t n = s->length - done < s->piece ? s->length - done : s->piece;

		if (send(fd, s->text + done, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		done += n;
		if (s->piece < 1000)
			usleep(1000);
	}
	usleep(s->pause_ms * 1000);
	close(fd);
	return NULL;
}

static bool listen_at(struct speaker *s, int backlog)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strcpy(a.sun_path, path);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return !bind(s->listener, (struct sockaddr *)&a, sizeof(a)) &&
	       !listen(s->listener, backlog);
}

static int ask(struct speaker s, json_t **document)
{
	int err;

	if (!listen_at(&s, 1) || pthread_create(&s.thread, NULL, speak, &s))
		return -EIO;
	why[0] = '\0';
	err = vgpu_status_ask(path, document, why);
	pthread_join(s.thread, NULL);
	close(s.listener);
	unlink(path);
	return err;
}

TEST(a_document_in_pieces)
{
	json_t *document;

	REQUIRE(!ask((struct speaker){ .text = VGPUD, .length = strlen(VGPUD), .piece = 17 },
		     &document));
	vgpu_daemons_free(&daemons);
	CHECK_EQ(vgpu_daemons_take_vgpud(&daemons, document, why), 0);
	CHECK_EQ(daemons.nnears, 2);
	json_decref(document);
}

TEST(answers_that_are_none)
{
	static const struct {
		const char	*text, *why;
	} answers[] = {
		{ "", "there was no answer" },
		{ "hello", "that is no JSON" },
		{ "{\"version\":1", "that is no JSON" },
		{ "{} {}", "that is no JSON" },
		{ "{\"a\":1,\"a\":1}", "that is no JSON" },
		{ "{\"a\":\"\xff\"}", "that is no JSON" },
		{ "{\"a\":18446744073709551616}", "that is no JSON" },
	};
	json_t *document;

	for (unsigned i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		struct speaker s = {
			.text = answers[i].text, .length = strlen(answers[i].text), .piece = 4096,
		};

		CHECK_EQ(ask(s, &document), -EPROTO);
		CHECK(!strncmp(why, answers[i].why, strlen(answers[i].why)));
	}
}

TEST(a_bomb_of_brackets)
{
	char *text = malloc(3 << 20);
	json_t *document;

	memset(text, '[', 3 << 20);
	CHECK_EQ(ask((struct speaker){ .text = text, .length = 3 << 20, .piece = 65536 },
		     &document), -EPROTO);
	free(text);
}

TEST(an_answer_that_does_not_end)
{
	char *text = calloc(1, 6 << 20);
	json_t *document;

	CHECK_EQ(ask((struct speaker){ .text = text, .length = 6 << 20, .piece = 65536 },
		     &document), -EFBIG);
	CHECK(!strcmp(why, "the answer does not end"));
	free(text);
}

TEST(an_answer_that_does_not_come)
{
	struct timespec begin, end;
	json_t *document;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	CHECK_EQ(ask((struct speaker){ .text = "{", .length = 1, .piece = 1, .pause_ms = 3500 },
		     &document), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(end.tv_sec - begin.tv_sec >= 3);
	CHECK(!strcmp(why, "there was no answer in time"));
}

TEST(nobody_is_there)
{
	struct speaker s = {};
	char long_path[200];
	json_t *document;

	unlink(path);
	CHECK_EQ(vgpu_status_ask(path, &document, why), -ENOENT);
	REQUIRE(listen_at(&s, 1));
	close(s.listener);
	CHECK_EQ(vgpu_status_ask(path, &document, why), -ENOENT);	/* and nobody listens */
	unlink(path);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	CHECK_EQ(vgpu_status_ask(long_path, &document, why), -ENAMETOOLONG);
}

TEST(a_full_queue_is_not_waited_for)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct speaker s = {};
	json_t *document;
	int fds[4];

	REQUIRE(listen_at(&s, 0));
	strcpy(a.sun_path, path);
	for (unsigned i = 0; i < 4; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(fds[i], (struct sockaddr *)&a, sizeof(a));
	}
	CHECK_EQ(vgpu_status_ask(path, &document, why), -EAGAIN);
	CHECK(!strcmp(why, "too many ask at the same time"));
	for (unsigned i = 0; i < 4; i++)
		close(fds[i]);
	close(s.listener);
	unlink(path);
}

int main(int argc, char **argv)
{
	int result;

	snprintf(path, sizeof(path), "/tmp/vgpu-ask-%d", getpid());
	result = test_main(argc, argv);
	vgpu_daemons_free(&daemons);
	return result;
}
