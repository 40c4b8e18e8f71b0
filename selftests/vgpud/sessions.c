/* SPDX-License-Identifier: MIT */
/*
 * The life of a session, with a server that the test plays: vgpud runs in a thread
 * of its own, the program's end of a channel and the server's ends of connections
 * are here. Over plain TCP on loopback.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "link/control.h"
#include "proto/proto.h"
#include "vgpud/vgpud.h"
#include "test.h"

#define WAIT_MS	10000

static char folder[] = "/tmp/vgpud-sessions-XXXXXX";
static char program_socket[64];
static const struct vgpu_ring_sizes sizes = { 8192, 8192, 8192, 8192 };

/* ---- vgpud ---- */

static struct vgpud vgpud;
static struct vgpu_config *config;
static uint64_t key_bytes = 1ull << 40;
static struct vgpu_watch stopper;
static pthread_t vgpud_thread;
static int listener = -1;

static void on_stop(struct vgpu_watch *w, uint32_t events)
{
	vgpud.stop = true;
}

static void *run(void *arg)
{
	vgpud_run(&vgpud);
	vgpud_stop(&vgpud);
	return NULL;
}

static bool write_config(unsigned port, unsigned grace)
{
	static unsigned times;
	char path[80], why[256];
	FILE *f;

	/* Another each time: its lock is this process's until it ends. */
	snprintf(program_socket, sizeof(program_socket), "%s/sock%u", folder, ++times);
	snprintf(path, sizeof(path), "%s/vgpud.conf", folder);
	f = fopen(path, "w");
	fprintf(f, "[daemon]\nctl = none\nsocket = %s\nstatus = none\ngrace = %u\nsessions = 3\n"
		"[server s]\naddress = 127.0.0.1:%u\nplain = yes\n[socket]\ngpus = s:1, s:1\n",
		program_socket, grace, port);
	fclose(f);
	if (vgpu_config_read(&config, path, why, sizeof(why)))
		return false;
	config->key_bytes = key_bytes;
	return true;
}

static bool listen_anywhere(unsigned *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(a);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 8) ||
	    getsockname(listener, (struct sockaddr *)&a, &length))
		return false;
	*port = ntohs(a.sin_port);
	return true;
}

static bool vgpud_begin(unsigned grace)
{
	unsigned port;

	if (!listen_anywhere(&port) || !write_config(port, grace) || vgpud_start(&vgpud, config))
		return false;
	stopper.ready = on_stop;
	return !vgpu_watch_add(&vgpud.loop, &stopper, eventfd(0, EFD_NONBLOCK), EPOLLIN) &&
	       !pthread_create(&vgpud_thread, NULL, run, NULL);
}

static void vgpud_end(void)
{
	int fd = stopper.fd;

	eventfd_write(fd, 1);
	pthread_join(vgpud_thread, NULL);
	vgpu_loop_close(&vgpud.loop);
	close(vgpud.signals.fd);
	close(fd);
	close(listener);
	vgpu_config_free(config);
}

/* ---- the server's side ---- */

static struct vgpu_control_channel *control;
static uint8_t secret[VGPU_SECRET], id[VGPU_SESSION_ID];

static int accept_one(struct vgpu_preface *p)
{
	struct pollfd poll_it = { .fd = listener, .events = POLLIN };
	int fd = poll(&poll_it, 1, WAIT_MS) > 0 ? accept(listener, NULL, NULL) : -1;

	if (fd >= 0 && recv(fd, p, sizeof(*p), MSG_WAITALL) == sizeof(*p) &&
	    !vgpu_preface_check(p))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The next message that is not a ping, which is answered. */
static bool hear(struct vgpu_control *m)
{
	struct vgpu_control pong = { .type = VGPU_CONTROL_PONG };
	struct pollfd p = { .fd = vgpu_stream_fd(vgpu_control_channel_stream(control)) };
	int n;

	while ((n = vgpu_control_channel_step(control, m)) >= 0) {
		p.events = vgpu_control_channel_events(control);
		if (n && m->type != VGPU_CONTROL_PING)
			return true;
		if (n)
			vgpu_control_channel_send(control, &pong);
		else if (poll(&p, 1, WAIT_MS) <= 0)
			return false;
	}
	return false;
}

static bool say(const struct vgpu_control *m)
{
	/* Small, to who reads: sent at once. */
	return !vgpu_control_channel_send(control, m);
}

static bool greet(void)
{
	struct vgpu_control m, hello = { .type = VGPU_CONTROL_HELLO };
	struct vgpu_stream *s;
	struct vgpu_preface p;
	int fd = accept_one(&p);

	if (fd < 0 || p.kind != VGPU_PREFACE_CONTROL || p.flags != VGPU_PREFACE_PLAIN)
		return false;
	if (vgpu_stream_plain(&s, fd) || vgpu_control_channel_create(&control, s))
		return false;
	if (!hear(&m) || m.type != VGPU_CONTROL_HELLO)
		return false;
	hello.hello.version = VGPU_WIRE_VERSION;
	strcpy(hello.hello.host, "played");
	hello.hello.grace = 60;
	hello.hello.ngpus = 2;
	for (int i = 0; i < 2; i++) {
		strcpy(hello.hello.gpus[i].name, "a GPU");
		hello.hello.gpus[i].memory = 1u << 30;
	}
	memset(hello.hello.nonce, 3, sizeof(hello.hello.nonce));
	return say(&hello);
}

static void hang_up(void)
{
	vgpu_control_channel_close(control);
	control = NULL;
}

/* ---- a data connection ---- */

static int data = -1;
static uint64_t last_epoch;

static bool data_open(void)
{
	struct vgpu_preface p;

	data = accept_one(&p);
	if (data < 0 || p.kind != VGPU_PREFACE_SESSION || p.flags != VGPU_PREFACE_PLAIN ||
	    memcmp(p.session, id, sizeof(id)) || !vgpu_preface_proves(&p, secret))
		return false;
	CHECK(p.epoch > last_epoch);
	last_epoch = p.epoch;
	return true;
}

static bool frame_send(unsigned type, unsigned lane, uint64_t at, const void *body, size_t length)
{
	struct vgpu_frame f = { .length = length, .type = type, .lane = lane, .at = at };

	return send(data, &f, sizeof(f), MSG_NOSIGNAL) == sizeof(f) &&
	       send(data, body, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool frame_receive(struct vgpu_frame *f, void *body, size_t room)
{
	struct pollfd p = { .fd = data, .events = POLLIN };

	return poll(&p, 1, WAIT_MS) > 0 &&
	       recv(data, f, sizeof(*f), MSG_WAITALL) == sizeof(*f) && f->length <= room &&
	       recv(data, body, f->length, MSG_WAITALL) == (ssize_t)f->length;
}

static bool exchange_resume(uint64_t received, struct vgpu_resume *theirs)
{
	struct vgpu_resume ours = { .version = VGPU_WIRE_VERSION, .epoch = last_epoch };
	struct vgpu_frame f;

	ours.received[VGPU_LANE_RECORDS] = ours.head[VGPU_LANE_RECORDS] = received;
	return frame_receive(&f, theirs, sizeof(*theirs)) && f.type == VGPU_FRAME_RESUME &&
	       theirs->epoch == last_epoch &&
	       frame_send(VGPU_FRAME_RESUME, 0, 0, &ours, sizeof(ours));
}

/* Bytes of records until they are published; how many, to @to. */
static ssize_t take_records(uint8_t *to, size_t room)
{
	uint8_t body[8192 + 64];
	struct vgpu_frame f;
	size_t n = 0;

	while (frame_receive(&f, body, sizeof(body))) {
		if (f.type == VGPU_FRAME_PUBLISH)
			return n;
		if (f.type != VGPU_FRAME_PUT || f.lane != VGPU_LANE_RECORDS || n + f.length > room)
			return -1;
		memcpy(to + n, body, f.length);
		n += f.length;
	}
	return -1;
}

#define ANSWER	(sizeof(struct vgpu_record) + 8 + sizeof(struct vgpu_answer))

static bool put_answer(uint64_t read)
{
	/* As channel/hello.c has it: record, length, reserved, bytes. */
	struct {
		struct vgpu_record	head;
		uint32_t		length, reserved;
		struct vgpu_answer	answer;
	} r = {
		.head = { .length = sizeof(r), .opcode = VGPU_OP_ANSWER, .seq = 1 },
		.length = sizeof(r.answer),
		.answer = { .magic = VGPU_HELLO_MAGIC, .version = VGPU_HELLO_VERSION },
	};
	struct vgpu_publish p = {};

	p.tail[VGPU_LANE_RECORDS] = sizeof(r);
	p.head[VGPU_LANE_RECORDS] = read;
	return frame_send(VGPU_FRAME_PUT, VGPU_LANE_RECORDS, 0, &r, sizeof(r)) &&
	       frame_send(VGPU_FRAME_PUBLISH, 0, 0, &p, sizeof(p));
}

/* ---- the program's side, which waits for its answer in a thread ---- */

static struct program {
	pthread_t		thread;
	struct vgpu_channel	*channel;
	struct vgpu_answer	answer;
	int			err;
} program;

static void *connect_program(void *arg)
{
	struct program *p = arg;
	size_t length = sizeof(p->answer);

	p->err = vgpu_channel_connect(&p->channel, program_socket, &sizes, "hello", 5,
				      &p->answer, &length, WAIT_MS);
	return NULL;
}

static bool program_start(struct program *p)
{
	memset(p, 0, sizeof(*p));
	return !pthread_create(&p->thread, NULL, connect_program, p);
}

static int program_connected(struct program *p)
{
	pthread_join(p->thread, NULL);
	return p->err;
}

static bool never(void *arg)
{
	return false;
}

/* ---- the way there ---- */

/* A program comes, and the server hears of it. */
static bool asked(struct vgpu_control *m)
{
	return program_start(&program) && hear(m) && m->type == VGPU_CONTROL_OPEN;
}

static bool grant(const struct vgpu_control *open)
{
	struct vgpu_control m = { .type = VGPU_CONTROL_OPENED, .request = open->request };

	memset(id, 0x5a, sizeof(id));
	memset(secret, 0xc3, sizeof(secret));
	memcpy(m.session, id, sizeof(id));
	memcpy(m.opened.secret, secret, sizeof(secret));
	return say(&m);
}

/* All of it, to a program that has its answer; how many bytes it sent. */
static ssize_t whole_session(void)
{
	struct vgpu_resume theirs;
	struct vgpu_control m;
	uint8_t records[512];
	ssize_t n;

	last_epoch = 0;
	if (!asked(&m) || !grant(&m) || !data_open() || !exchange_resume(0, &theirs))
		return -1;
	n = take_records(records, sizeof(records));
	if (n <= 0 || !put_answer(n) || program_connected(&program))
		return -1;
	return n;
}

/* ---- tests ---- */

TEST(what_the_server_is_asked)
{
	struct vgpu_control m, no = { .type = VGPU_CONTROL_OPENED, .status = 46 };

	REQUIRE(vgpud_begin(5) && greet() && asked(&m));
	CHECK_EQ(m.open.pid, getpid());
	CHECK_EQ(m.open.uid, getuid());
	CHECK(!strcmp(m.open.program, "sessions"));
	CHECK(!memcmp(&m.open.sizes, &sizes, sizeof(sizes)));
	CHECK_EQ(m.open.ngpus, 2);
	CHECK(m.open.gpus[0].ordinal == 1 && m.open.gpus[1].ordinal == 1);
	CHECK(memcmp(m.open.gpus[0].uuid, m.open.gpus[1].uuid, 16));
	/* A refusal is the program's to see, in the server's words. */
	no.request = m.request;
	strcpy(no.text, "not today");
	REQUIRE(say(&no));
	CHECK_EQ(program_connected(&program), 0);
	CHECK_EQ(program.answer.status, 46);
	CHECK(!strcmp(program.answer.text, "server s: not today"));
	vgpu_channel_close(program.channel);
	hang_up();
	vgpud_end();
}

TEST(a_session_from_begin_to_end)
{
	struct vgpu_control m;

	REQUIRE(vgpud_begin(5) && greet());
	REQUIRE(whole_session() > 0);
	CHECK_EQ(program.answer.status, 0);
	vgpu_channel_close(program.channel);
	REQUIRE(hear(&m));
	CHECK_EQ(m.type, VGPU_CONTROL_CLOSE);
	CHECK(!memcmp(m.session, id, sizeof(id)));
	close(data);
	hang_up();
	vgpud_end();
}

TEST(a_connection_that_is_lost_is_made_again)
{
	struct vgpu_resume theirs;
	uint8_t records[512];
	ssize_t sent, more;

	REQUIRE(vgpud_begin(5) && greet());
	sent = whole_session();
	REQUIRE(sent > 0);
	for (int i = 0; i < 5; i++) {
		close(data);
		REQUIRE(data_open() && exchange_resume(sent, &theirs));
		CHECK(theirs.received[VGPU_LANE_RECORDS] > sizeof(struct vgpu_answer));
		REQUIRE(vgpu_record_reserve(program.channel, 64));
		vgpu_record_commit(program.channel, 1, 0);
		more = take_records(records, sizeof(records));
		CHECK_EQ(more, 64);
		sent += 64;
	}
	vgpu_channel_close(program.channel);
	close(data);
	hang_up();
	vgpud_end();
}

TEST(a_control_connection_that_is_lost_is_made_again)
{
	struct vgpu_control m, no = { .type = VGPU_CONTROL_ADOPTED, .status = 1 };
	uint8_t nonce[VGPU_NONCE], proof[32];

	REQUIRE(vgpud_begin(5) && greet());
	REQUIRE(whole_session() > 0);
	memset(nonce, 3, sizeof(nonce));
	vgpu_control_proof(id, secret, nonce, proof);
	for (int i = 0; i < 2; i++) {
		struct vgpu_control yes = { .type = VGPU_CONTROL_ADOPTED };

		hang_up();
		REQUIRE(greet() && hear(&m));
		CHECK_EQ(m.type, VGPU_CONTROL_ADOPT);
		CHECK(!memcmp(m.session, id, sizeof(id)));
		CHECK(!memcmp(m.adopt.proof, proof, sizeof(proof)));
		yes.request = m.request;
		memcpy(yes.session, id, sizeof(id));
		REQUIRE(i || say(&yes));
	}
	/* A server that does not know of it any more: the program hears at once. */
	no.request = m.request;
	memcpy(no.session, id, sizeof(id));
	strcpy(no.text, "never heard of it");
	REQUIRE(say(&no));
	CHECK_EQ(vgpu_channel_wait(program.channel, never, NULL, WAIT_MS), -EPIPE);
	vgpu_channel_close(program.channel);
	close(data);
	hang_up();
	vgpud_end();
}

TEST(the_server_ends_it)
{
	struct vgpu_control m = { .type = VGPU_CONTROL_ENDED };

	REQUIRE(vgpud_begin(5) && greet());
	REQUIRE(whole_session() > 0);
	memcpy(m.session, id, sizeof(id));
	m.session[0]++;		/* another's */
	strcpy(m.text, "enough");
	REQUIRE(say(&m));
	CHECK_EQ(vgpu_channel_wait(program.channel, never, NULL, 100), -ETIMEDOUT);
	m.session[0]--;
	REQUIRE(say(&m));
	CHECK_EQ(vgpu_channel_wait(program.channel, never, NULL, WAIT_MS), -EPIPE);
	vgpu_channel_close(program.channel);
	close(data);
	hang_up();
	vgpud_end();
}

TEST(nobody_comes_back_within_the_grace_period)
{
	int64_t begin;

	REQUIRE(vgpud_begin(3) && greet());
	REQUIRE(whole_session() > 0);
	close(listener);
	begin = vgpu_now();
	close(data);
	hang_up();
	CHECK_EQ(vgpu_channel_wait(program.channel, never, NULL, WAIT_MS), -EPIPE);
	CHECK(vgpu_now() - begin > 2900000000ll && vgpu_now() - begin < 8000000000ll);
	vgpu_channel_close(program.channel);
	listener = -1;
	vgpud_end();
}

/* Frames that make no sense end the session, and it alone. */
TEST(a_server_that_breaks_the_format)
{
	struct vgpu_control m;
	uint64_t junk[8] = { 1 };

	REQUIRE(vgpud_begin(5) && greet());
	REQUIRE(whole_session() > 0);
	REQUIRE(frame_send(VGPU_FRAME_DATA, 0, 0, junk, sizeof(junk)));
	CHECK_EQ(vgpu_channel_wait(program.channel, never, NULL, WAIT_MS), -EPIPE);
	REQUIRE(hear(&m));
	CHECK_EQ(m.type, VGPU_CONTROL_CLOSE);
	vgpu_channel_close(program.channel);
	close(data);
	REQUIRE(whole_session() > 0);
	vgpu_channel_close(program.channel);
	close(data);
	hang_up();
	vgpud_end();
}

/* It was granted a session, and the one who asked has left meanwhile. */
TEST(a_program_that_does_not_wait)
{
	struct vgpu_control m, end;
	pid_t child;

	REQUIRE(vgpud_begin(5) && greet());
	child = fork();
	if (!child) {
		connect_program(&program);
		_exit(0);
	}
	REQUIRE(hear(&m));
	CHECK_EQ(m.open.pid, child);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	poll(NULL, 0, 100);
	REQUIRE(grant(&m) && hear(&end));
	CHECK_EQ(end.type, VGPU_CONTROL_CLOSE);
	CHECK(!memcmp(end.session, id, sizeof(id)));
	hang_up();
	vgpud_end();
}

TEST(limits)
{
	struct program more[4];
	struct vgpu_control m;

	REQUIRE(vgpud_begin(5) && greet());
	for (int i = 0; i < 3; i++) {
		REQUIRE(program_start(&more[i]) && hear(&m));
		CHECK_EQ(m.type, VGPU_CONTROL_OPEN);
	}
	REQUIRE(program_start(&more[3]));
	CHECK_EQ(program_connected(&more[3]), 0);
	CHECK_EQ(more[3].answer.status, 46);
	CHECK(strstr(more[3].answer.text, "all 3 sessions of vgpud are taken"));
	vgpu_channel_close(more[3].channel);
	vgpud_end();
	for (int i = 0; i < 3; i++)
		CHECK(program_connected(&more[i]) < 0);
	hang_up();
}

TEST(one_that_has_ended_makes_place)
{
	struct program three[3];
	struct program more;
	struct vgpu_control m;
	int fds[3];

	REQUIRE(vgpud_begin(5) && greet());
	for (int i = 0; i < 3; i++) {
		REQUIRE(whole_session() > 0);
		three[i] = program;
		fds[i] = data;
	}
	REQUIRE(program_start(&more));
	CHECK_EQ(program_connected(&more), 0);
	CHECK_EQ(more.answer.status, 46);
	vgpu_channel_close(more.channel);
	vgpu_channel_close(three[0].channel);
	REQUIRE(hear(&m));
	CHECK_EQ(m.type, VGPU_CONTROL_CLOSE);
	REQUIRE(whole_session() > 0);
	CHECK_EQ(program.answer.status, 0);
	vgpu_channel_close(program.channel);
	close(data);
	for (int i = 0; i < 3; i++) {
		if (i)
			vgpu_channel_close(three[i].channel);
		close(fds[i]);
	}
	hang_up();
	vgpud_end();
}

/* After so many bytes a session goes on over another connection. */
TEST(keys_are_changed)
{
	struct vgpu_resume theirs;
	struct vgpu_control m;
	ssize_t n;
	int first;

	key_bytes = ANSWER - 1;
	REQUIRE(vgpud_begin(5) && greet());
	n = whole_session();
	REQUIRE(n > 0);
	first = data;
	REQUIRE(data_open() && exchange_resume(n, &theirs));
	CHECK_EQ(theirs.received[VGPU_LANE_RECORDS], ANSWER);
	CHECK(!vgpu_channel_lost(program.channel));
	vgpu_channel_close(program.channel);
	REQUIRE(hear(&m));
	CHECK_EQ(m.type, VGPU_CONTROL_CLOSE);
	key_bytes = 1ull << 40;
	close(first);
	close(data);
	hang_up();
	vgpud_end();
}

/* ---- one of many that have something to do ---- */

static int noisy[2];
static uint64_t noise_read;
static atomic_bool quiet;

/* Frames that say nothing new, so that vgpud looks at these sessions all the time. */
static void *make_noise(void *arg)
{
	struct {
		struct vgpu_frame	f;
		struct vgpu_publish	p;
	} m = {
		.f = { .length = sizeof(m.p), .type = VGPU_FRAME_PUBLISH },
		.p = { .tail = { ANSWER }, .head = { noise_read } },
	};

	while (!atomic_load(&quiet)) {
		for (int i = 0; i < 2; i++)
			if (send(noisy[i], &m, sizeof(m), MSG_NOSIGNAL) != sizeof(m))
				return "a connection ended";
		poll(NULL, 0, 0);
	}
	return NULL;
}

/* Four bytes for the program's memory, and a record that says so, in one piece. */
static bool store_and_tell(uint64_t number, uint64_t read, const void *to, uint32_t value)
{
	struct {
		struct vgpu_frame	store;
		struct vgpu_store_wire	place;
		uint32_t		value;
		struct vgpu_frame	put;
		struct vgpu_record	record;
		struct vgpu_frame	publish;
		struct vgpu_publish	positions;
	} __attribute__((packed)) m = {
		.store = {
			.length = sizeof(m.place) + sizeof(m.value), .type = VGPU_FRAME_STORE,
			.at = number,
		},
		.place.place.offset = (uintptr_t)to,
		.value = value,
		.put = {
			.length = sizeof(m.record), .type = VGPU_FRAME_PUT,
			.lane = VGPU_LANE_RECORDS, .at = ANSWER + (number - 1) * sizeof(m.record),
		},
		.record = { .length = sizeof(m.record), .opcode = 77, .seq = number + 1 },
		.publish = { .length = sizeof(m.positions), .type = VGPU_FRAME_PUBLISH },
		.positions = {
			.tail = { ANSWER + number * sizeof(m.record) }, .head = { read },
		},
	};

	return send(data, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m);
}

static bool record_there(void *arg)
{
	return vgpu_record_pending(arg);
}

TEST(a_store_and_its_record_come_in_one_piece)
{
	struct program three[3];
	uint8_t record[64];
	pthread_t noise;
	uint32_t stored = 0;
	void *wrong;
	ssize_t n = 0;
	int fds[3];

	REQUIRE(vgpud_begin(5) && greet());
	for (int i = 0; i < 3; i++) {
		n = whole_session();
		REQUIRE(n > 0);
		three[i] = program;
		fds[i] = data;
	}
	noise_read = n;
	noisy[0] = fds[0];
	noisy[1] = fds[1];
	REQUIRE(!pthread_create(&noise, NULL, make_noise, NULL));
	for (uint32_t k = 1; k <= 200 && !test_failures; k++) {
		REQUIRE(store_and_tell(k, n, &stored, k));
		CHECK_EQ(vgpu_channel_wait(program.channel, record_there, program.channel,
					   WAIT_MS), 0);
		CHECK_EQ(vgpu_record_receive(program.channel, record, sizeof(record)),
			 sizeof(struct vgpu_record));
		CHECK_EQ(stored, k);
	}
	atomic_store(&quiet, true);
	pthread_join(noise, &wrong);
	CHECK(!wrong);
	for (int i = 0; i < 3; i++) {
		vgpu_channel_close(three[i].channel);
		close(fds[i]);
	}
	hang_up();
	vgpud_end();
}

int main(int argc, char **argv)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), status;
	char command[80];

	if (!mkdtemp(folder) || null < 0)
		return 1;
	if (!getenv("VERBOSE"))
		vgpu_log_to(null);
	status = test_main(argc, argv);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command) ? 1 : status;
}
