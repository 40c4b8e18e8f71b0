/* SPDX-License-Identifier: MIT */
/*
 * A session whose client is on another host, with this test in the place of that
 * host's daemon and program: records and memory both ways, connections that end at
 * any moment, and each way in which a session ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "channel/relay.h"
#include "server/remote.h"
#include "server/worker.h"
#include "test.h"

#define WAIT_MS		20000
#define BUFFER		(3u << 20)
#define HANDLE		7u

static const struct vgpu_ring_sizes sizes = VGPU_DEFAULT_SIZES;

static struct {
	/* the GPU host */
	struct vgpu_far		*far;
	struct vgpu_channel	*worker;
	atomic_int		ended;		/* how, + 1 */
	/* the client host */
	int			server;		/* where the session's messages go */
	struct vgpu_channel	*app, *relay;
	struct vgpu_mirror	*mirror;	/* the daemon thread's */
	struct vgpu_app_job	*job;
	uint8_t			*buffer;	/* page-locked */
	uint8_t			*own;		/* registered */
	atomic_bool		stop, cut, deaf;
	atomic_uint		attaches, forgotten;
	atomic_int		over;		/* what ended the mirror */
	bool			plain, wrong_secret;
	pthread_t		daemon;
} t;

static void on_end(enum vgpu_worker_end how)
{
	atomic_store(&t.ended, how + 1);
}

static void sleep_a_little(void)
{
	poll(NULL, 0, 5);
}

/* ---- the client host's daemon ---- */

static void ring_app(void *arg, bool head)
{
	vgpu_relay_announce(t.relay, head);
}

static void *buffer_of(void *arg, uint64_t handle, uint64_t size)
{
	if (handle == HANDLE && size == BUFFER)
		return t.buffer;
	errno = ENOENT;
	return NULL;
}

static void forget_buffer(void *arg, uint64_t handle)
{
	if (handle)
		atomic_fetch_add(&t.forgotten, 1);
}

/* Later: not while the mirror is at it. */
static void copy_app(void *arg, struct vgpu_app_job *job)
{
	t.job = job;
}

static const struct vgpu_mirror_ops ops = {
	.ring = ring_app, .hostmem = buffer_of, .forget = forget_buffer, .app_copy = copy_app,
};

static void job_run(void)
{
	struct vgpu_app_job *job = t.job;
	uint8_t *at = (uint8_t *)(uintptr_t)job->address;

	t.job = NULL;
	if (at < t.own || at + job->length > t.own + BUFFER)
		job->error = -EFAULT;
	else if (job->write)
		memcpy(at, job->local, job->length);
	else
		memcpy(job->local, at, job->length);
	vgpu_mirror_copied(t.mirror, job);
}

static void send_message(const struct vgpu_session_message *m, int fd)
{
	union { struct cmsghdr align; char room[CMSG_SPACE(sizeof(int))]; } control = {};
	struct iovec iov = { (void *)m, sizeof(*m) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c = &control.align;

		h.msg_control = &control;
		h.msg_controllen = sizeof(control);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(t.server, &h, MSG_NOSIGNAL) != sizeof(*m) && errno != EPIPE)
		abort();
}

/* A connection, of which the worker gets one end and we the other. */
static int offer(uint64_t epoch)
{
	const struct vgpu_session_message m = {
		.kind = VGPU_SESSION_ATTACH, .epoch = epoch,
		.flags = t.plain ? VGPU_PREFACE_PLAIN : 0,
	};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		abort();
	send_message(&m, pair[1]);
	close(pair[1]);
	return pair[0];
}

static struct vgpu_stream *stream_of(int fd)
{
	static const uint8_t id[VGPU_SESSION_ID] = { 1 };
	uint8_t secret[VGPU_SECRET] = { t.wrong_secret ? 9 : 2 };
	struct vgpu_stream *s;
	struct vgpu_tls *tls;

	if (t.plain) {
		CHECK_EQ(vgpu_stream_plain(&s, fd), 0);
		return s;
	}
	CHECK_EQ(vgpu_tls_session(&tls, id, secret, false), 0);
	CHECK_EQ(vgpu_stream_tls(&s, fd, tls, NULL), 0);
	vgpu_tls_close(tls);
	return s;
}

static int establish(struct vgpu_stream *s)
{
	int err;

	while ((err = vgpu_stream_handshake(s)) == -EAGAIN) {
		struct pollfd p = { vgpu_stream_fd(s), vgpu_stream_events(s), 0 };

		if (poll(&p, 1, WAIT_MS) != 1)
			return -ETIMEDOUT;
	}
	return err;
}

static void connect_anew(void)
{
	uint64_t epoch = vgpu_mirror_next_epoch(t.mirror);
	struct vgpu_stream *s = stream_of(offer(epoch));
	int err = establish(s);

	if (err) {
		vgpu_stream_close(s);
		atomic_store(&t.over, err);
	} else if (!vgpu_mirror_attach(t.mirror, s, epoch)) {
		atomic_fetch_add(&t.attaches, 1);
	}
}

static void daemon_step(void)
{
	struct pollfd p[2] = {
		{ vgpu_relay_fd(t.relay), POLLIN, 0 },
		{ vgpu_stream_fd(vgpu_mirror_stream(t.mirror)), 0, 0 },
	};
	int in = 0, out = 0;

	if (t.job)
		job_run();
	if (!atomic_load(&t.deaf))
		in = vgpu_mirror_receive(t.mirror);
	if (in >= 0)
		out = vgpu_mirror_send(t.mirror);
	if (in == -EPIPE || out == -EPIPE) {
		vgpu_mirror_detach(t.mirror);
		return;
	}
	if (in < 0 || (out < 0 && out != -EAGAIN)) {
		vgpu_mirror_detach(t.mirror);
		atomic_store(&t.over, in < 0 ? in : out);
		return;
	}
	if (in || out > 0 || t.job)
		return;
	vgpu_relay_arm(t.relay, true);
	p[1].events = vgpu_mirror_events(t.mirror);
	if (atomic_load(&t.deaf))
		p[1].events &= ~POLLIN;
	if (out == -EAGAIN || !vgpu_mirror_pending(t.mirror))
		poll(p, 2, 5);
	vgpu_relay_disarm(t.relay);
	vgpu_relay_take_bells(t.relay);
}

static void *daemon_run(void *arg)
{
	while (!atomic_load(&t.stop)) {
		if (atomic_exchange(&t.cut, false) && vgpu_mirror_attached(t.mirror))
			shutdown(vgpu_stream_fd(vgpu_mirror_stream(t.mirror)), SHUT_RDWR);
		if (atomic_load(&t.over))
			poll(NULL, 0, 1);
		else if (vgpu_mirror_attached(t.mirror))
			daemon_step();
		else
			connect_anew();
	}
	return NULL;
}

/* ---- beginning and end ---- */

static char path[64];

static void *app_connect(void *arg)
{
	char answer[16];
	size_t length = sizeof(answer);

	return (void *)(intptr_t)vgpu_channel_connect(&t.app, path, &sizes, "hello", 5, answer,
						      &length, WAIT_MS);
}

static int listen_here(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(path, sizeof(path), "/tmp/vgpu-test-far-%d.sock", (int)getpid());
	strcpy(addr.sun_path, path);
	unlink(path);
	if (bind(fd, (void *)&addr, sizeof(addr)) || listen(fd, 1))
		abort();
	return fd;
}

static void start_daemon(void)
{
	pthread_create(&t.daemon, NULL, daemon_run, NULL);
}

static void stop_daemon(void)
{
	atomic_store(&t.stop, true);
	pthread_join(t.daemon, NULL);
	atomic_store(&t.stop, false);
}

static bool open_session(unsigned int grace)
{
	struct vgpu_session_message got, start = {
		.kind = VGPU_SESSION_START, .grace = grace, .sizes = sizes,
		.session = { 1 }, .secret = { 2 }, .tenant = "test",
	};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return false;
	t.server = pair[0];
	send_message(&start, -1);
	if (vgpu_far_start(pair[1], &got) || vgpu_far_open(&t.far, pair[1], &got, on_end))
		return false;
	t.worker = t.far->channel;
	return true;
}

/* A session whose program has said hello; the daemon runs. */
static bool begin(bool plain, unsigned int grace)
{
	int listener = listen_here(), fd;
	size_t length = 16;
	pthread_t program;
	char hello[16];
	void *err;

	memset(&t, 0, sizeof(t));
	t.plain = plain;
	t.buffer = malloc(BUFFER);
	t.own = malloc(BUFFER);
	pthread_create(&program, NULL, app_connect, NULL);
	fd = accept(listener, NULL, NULL);
	close(listener);
	unlink(path);
	if (vgpu_relay_accept(&t.relay, fd, WAIT_MS) || !open_session(grace) ||
	    vgpu_mirror_create(&t.mirror, VGPU_ROLE_CLIENT, t.relay, &ops, NULL))
		return false;
	start_daemon();
	if (vgpu_remote_hello(t.worker, hello, &length, WAIT_MS) ||
	    vgpu_channel_answer(t.worker, "welcome", 7))
		return false;
	pthread_join(program, &err);
	return !err && length == 5 && !memcmp(hello, "hello", 5);
}

static void end(void)
{
	int told = atomic_load(&t.ended);

	vgpu_channel_close(t.worker);
	/* an end that the worker brings about itself is not told to it */
	CHECK_EQ(atomic_load(&t.ended), told);
	stop_daemon();
	if (t.job)
		job_run();
	vgpu_mirror_destroy(t.mirror);
	vgpu_channel_close(t.app);
	vgpu_channel_close(t.relay);
	close(t.server);
	free(t.buffer);
	free(t.own);
}

static bool ended_within(int ms)
{
	for (; ms > 0 && !atomic_load(&t.ended); ms -= 5)
		poll(NULL, 0, 5);
	return atomic_load(&t.ended);
}

/* ---- records ---- */

struct word {
	struct vgpu_record	head;
	uint64_t		value;
};

static bool pending(void *arg)
{
	return vgpu_record_pending(arg);
}

static bool has_room(void *arg)
{
	return vgpu_record_room(arg, sizeof(struct word));
}

static void send_word(struct vgpu_channel *ch, uint64_t value)
{
	struct word *w;

	while (!(w = vgpu_record_reserve(ch, sizeof(*w))))
		if (vgpu_channel_wait(ch, has_room, ch, WAIT_MS))
			return;
	w->value = value;
	vgpu_record_commit(ch, 1, 0);
}

/* UINT64_MAX: none came. */
static uint64_t receive_word(struct vgpu_channel *ch)
{
	_Alignas(8) uint8_t buf[64];

	while (!vgpu_record_receive(ch, buf, sizeof(buf)))
		if (vgpu_channel_wait(ch, pending, ch, WAIT_MS))
			return UINT64_MAX;
	return ((struct word *)buf)->value;
}

/* The worker's dispatcher: sends back what comes, one more, up to a zero. */
static void *echo(void *arg)
{
	uint64_t value;

	while ((value = receive_word(t.worker)) && value != UINT64_MAX)
		send_word(t.worker, value + 1);
	return NULL;
}

static void ping(unsigned int rounds)
{
	pthread_t thread;

	pthread_create(&thread, NULL, echo, NULL);
	for (unsigned int i = 1; i <= rounds; i++) {
		send_word(t.app, i);
		REQUIRE(receive_word(t.app) == i + 1);
	}
	/* Many at once, as asynchronous calls come. */
	for (unsigned int i = 1; i <= 200; i++)
		send_word(t.app, i);
	for (unsigned int i = 1; i <= 200; i++)
		REQUIRE(receive_word(t.app) == i + 1);
	send_word(t.app, 0);
	pthread_join(thread, NULL);
}

TEST(records_go_there_and_back)
{
	REQUIRE(begin(true, 60));
	ping(2000);
	end();
}

TEST(the_same_over_tls)
{
	REQUIRE(begin(false, 60));
	ping(500);
	CHECK_EQ(atomic_load(&t.attaches), 1);
	end();
}

/* The driver keeps the dispatcher: nobody receives but the relief. */
TEST(records_come_while_the_dispatcher_is_held_up)
{
	static struct vgpu_worker w;
	_Alignas(8) uint8_t buf[64];

	REQUIRE(begin(true, 60));
	w.channel = t.worker;
	vgpu_relief_init(&w.relief);
	REQUIRE(vgpu_relief_start(&w));
	vgpu_relief_due(&w, 1);
	send_word(t.app, 5);
	for (int i = 0; i < WAIT_MS && !atomic_load(&w.relief.bytes); i += 5)
		sleep_a_little();
	/* which does not look at the channel any more when this returns */
	vgpu_relief_due(&w, -1);
	CHECK_EQ(atomic_load(&w.relief.bytes), sizeof(struct word));
	CHECK_EQ(vgpu_relief_receive(&w, buf, sizeof(buf)), sizeof(struct word));
	CHECK_EQ(((struct word *)buf)->value, 5);
	end();
}

/* ---- memory ---- */

/*
 * The program's memory is filled before it says so, and looked at when it was told;
 * but a race detector does not see that through a channel that is mapped twice.
 */
#define ORDERED_BY_CHANNEL __attribute__((no_sanitize("thread")))

ORDERED_BY_CHANNEL static void fill(uint8_t *bytes, size_t n, unsigned int seed)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (i * 2654435761u + seed) >> 11;
}

ORDERED_BY_CHANNEL static bool holds(const uint8_t *bytes, size_t n, unsigned int seed)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != (uint8_t)((i * 2654435761u + seed) >> 11))
			return false;
	return true;
}

static uint64_t own_address(size_t offset)
{
	return (uintptr_t)t.own + offset;
}

static void read_all(unsigned int seed)
{
	uint8_t *to = calloc(1, BUFFER);

	fill(t.buffer, BUFFER, seed);
	fill(t.own, BUFFER, seed + 1);
	CHECK_EQ(vgpu_hostmem_read(t.worker, HANDLE, BUFFER, 0, to, BUFFER), 0);
	CHECK(holds(to, BUFFER, seed));
	CHECK_EQ(vgpu_app_read(t.worker, to, own_address(0), BUFFER), 0);
	CHECK(holds(to, BUFFER, seed + 1));
	free(to);
}

/* What a record says is there is there when the program has the record. */
static void write_all(unsigned int seed)
{
	uint8_t *from = malloc(BUFFER);

	fill(from, BUFFER, seed);
	CHECK_EQ(vgpu_hostmem_write(t.worker, HANDLE, BUFFER, 0, from, BUFFER), 0);
	send_word(t.worker, seed);
	/* It may be used again at once. */
	fill(from, BUFFER, seed + 1);
	CHECK_EQ(vgpu_app_write(t.worker, own_address(0), from, BUFFER), 0);
	memset(from, 0, BUFFER);
	send_word(t.worker, seed + 1);
	CHECK_EQ(receive_word(t.app), seed);
	CHECK(holds(t.buffer, BUFFER, seed));
	CHECK_EQ(receive_word(t.app), seed + 1);
	CHECK(holds(t.own, BUFFER, seed + 1));
	free(from);
}

TEST(memory_is_read)
{
	REQUIRE(begin(true, 60));
	read_all(1);
	end();
}

TEST(memory_is_written_before_what_is_said_after)
{
	REQUIRE(begin(true, 60));
	for (unsigned int i = 1; i < 10; i += 2)
		write_all(i);
	end();
}

TEST(several_reads_at_once)
{
	struct vgpu_pull p[8];
	uint8_t *to = calloc(1, BUFFER);

	REQUIRE(begin(false, 60));
	fill(t.buffer, BUFFER, 3);
	for (unsigned int i = 0; i < 8; i++) {
		p[i] = (struct vgpu_pull){
			.from = { HANDLE, BUFFER, i * (BUFFER / 8) }, .to = to + i * (BUFFER / 8),
			.length = BUFFER / 8,
		};
		vgpu_far_read_begin(t.far, &p[i]);
	}
	for (unsigned int i = 8; i-- > 0;)
		CHECK_EQ(vgpu_far_read_finish(t.far, &p[i]), 0);
	CHECK(holds(to, BUFFER, 3));
	free(to);
	end();
}

TEST(memory_that_is_not_there)
{
	uint8_t bytes[64] = { 0 };
	int err = 0;

	REQUIRE(begin(true, 60));
	CHECK_EQ(vgpu_hostmem_read(t.worker, HANDLE + 1, BUFFER, 0, bytes, 64), -ENOENT);
	CHECK_EQ(vgpu_app_read(t.worker, bytes, own_address(0) - 1, 64), -EFAULT);
	CHECK_EQ(vgpu_app_write(t.worker, own_address(BUFFER), bytes, 64), 0);
	/* The client's host finds out later; a later write is told, once. */
	for (int i = 0; i < 1000 && !err; i++) {
		vgpu_channel_wait(t.worker, pending, t.worker, 5);
		err = vgpu_app_write(t.worker, own_address(0), bytes, 64);
	}
	CHECK_EQ(err, -EFAULT);
	CHECK_EQ(vgpu_app_write(t.worker, own_address(0), bytes, 64), 0);
	end();
}

TEST(a_buffer_is_forgotten_when_its_writes_are_done)
{
	uint8_t *bytes = calloc(1, BUFFER);

	REQUIRE(begin(true, 60));
	CHECK_EQ(vgpu_hostmem_write(t.worker, HANDLE, BUFFER, 0, bytes, BUFFER), 0);
	vgpu_hostmem_release(t.worker, HANDLE);
	vgpu_far_lock(t.far);
	CHECK(!t.far->stores && !t.far->storing);
	vgpu_far_unlock(t.far);
	for (int i = 0; i < 1000 && !atomic_load(&t.forgotten); i++)
		sleep_a_little();
	CHECK_EQ(atomic_load(&t.forgotten), 1);
	free(bytes);
	end();
}

/* ---- connections ---- */

static atomic_bool cutting;

/* More and more rarely: on the slowest machine a copy gets through between two. */
static void *cut_often(void *arg)
{
	unsigned int seed = 1, cuts = 0;

	while (atomic_load(&cutting)) {
		poll(NULL, 0, 1 + rand_r(&seed) % 7 + cuts++ / 4);
		atomic_store(&t.cut, true);
	}
	return NULL;
}

static void work_through_cuts(bool plain)
{
	pthread_t thread;

	REQUIRE(begin(plain, 60));
	atomic_store(&cutting, true);
	pthread_create(&thread, NULL, cut_often, NULL);
	for (unsigned int i = 1; i < 9; i += 2) {
		read_all(i);
		write_all(i);
		ping(200);
	}
	atomic_store(&cutting, false);
	pthread_join(thread, NULL);
	CHECK(atomic_load(&t.attaches) > 5);
	CHECK(!atomic_load(&t.ended) && !atomic_load(&t.over));
	end();
}

TEST(nothing_is_lost_or_done_twice_when_connections_end)
{
	work_through_cuts(true);
}

TEST(the_same_over_tls_when_connections_end)
{
	work_through_cuts(false);
}

/* What does not fit into the connection does not keep who committed it waiting. */
TEST(a_client_that_does_not_read)
{
	int64_t words = sizes.cq / sizeof(struct word) - 8;
	uint8_t *bytes = malloc(BUFFER);

	REQUIRE(begin(true, 60));
	fill(bytes, BUFFER, 5);
	atomic_store(&t.deaf, true);
	CHECK_EQ(vgpu_hostmem_write(t.worker, HANDLE, BUFFER, 0, bytes, BUFFER), 0);
	for (int64_t i = 1; i <= words; i++)
		send_word(t.worker, i);
	CHECK(!vgpu_far_writable(t.far, VGPU_FAR_BYTES));
	atomic_store(&t.deaf, false);
	for (int64_t i = 1; i <= words; i++)
		REQUIRE(receive_word(t.app) == (uint64_t)i);
	CHECK(holds(t.buffer, BUFFER, 5));
	free(bytes);
	end();
}

/* Who has the session's number and an epoch, but not its secret. */
TEST(a_stranger_does_not_disturb)
{
	struct vgpu_stream *s;
	int silent;

	REQUIRE(begin(false, 60));
	t.wrong_secret = true;
	s = stream_of(offer(1000));
	t.wrong_secret = false;
	CHECK(establish(s) < 0);
	vgpu_stream_close(s);
	silent = offer(1001);
	ping(100);
	CHECK_EQ(atomic_load(&t.attaches), 1);
	/* It is not waited for when the client itself comes again. */
	atomic_store(&t.cut, true);
	ping(100);
	CHECK_EQ(atomic_load(&t.attaches), 2);
	close(silent);
	end();
}

/* ---- the end ---- */

static void *wait_for_ever(void *arg)
{
	return (void *)(intptr_t)receive_word(t.worker);
}

static void check_end(enum vgpu_worker_end how, const char *why, int ms)
{
	CHECK(ended_within(ms));
	CHECK_EQ(atomic_load(&t.ended), how + 1);
	CHECK(strstr(t.far->why, why));
	CHECK(vgpu_channel_lost(t.worker));
}

TEST(the_client_does_not_come_back)
{
	uint8_t byte;
	pthread_t thread;
	void *got;

	REQUIRE(begin(true, 1));
	pthread_create(&thread, NULL, wait_for_ever, NULL);
	stop_daemon();
	vgpu_mirror_detach(t.mirror);
	check_end(VGPU_END_CLIENT_LEFT, "did not come back", 5000);
	pthread_join(thread, &got);
	CHECK_EQ((intptr_t)got, -1);
	CHECK_EQ(vgpu_app_read(t.worker, &byte, own_address(0), 1), -EPIPE);
	CHECK_EQ(vgpu_app_write(t.worker, own_address(0), &byte, 1), -EPIPE);
	vgpu_hostmem_release(t.worker, HANDLE);
	end();
}

TEST(the_client_never_came)
{
	memset(&t, 0, sizeof(t));
	REQUIRE(open_session(0));
	check_end(VGPU_END_CLIENT_LEFT, "did not come back", 5000);
	vgpu_channel_close(t.worker);
	close(t.server);
}

TEST(the_client_ends_it)
{
	REQUIRE(begin(false, 60));
	stop_daemon();
	vgpu_mirror_say_bye(t.mirror, "the program left");
	vgpu_mirror_detach(t.mirror);
	check_end(VGPU_END_CLIENT_LEFT, "the program left", 5000);
	end();
}

TEST(the_server_ends_it)
{
	struct vgpu_session_message m = { .kind = VGPU_SESSION_END };

	REQUIRE(begin(false, 60));
	strcpy(m.text, "the certificate was revoked");
	send_message(&m, -1);
	check_end(VGPU_END_CLIENT_LEFT, "revoked", 5000);
	stop_daemon();
	CHECK_EQ(atomic_load(&t.over), -ESHUTDOWN);
	CHECK(!strcmp(vgpu_mirror_bye(t.mirror) ?: "", "the certificate was revoked"));
	end();
}

TEST(the_server_is_gone)
{
	REQUIRE(begin(true, 60));
	shutdown(t.server, SHUT_RDWR);
	check_end(VGPU_END_CLIENT_LEFT, "the server has ended", 5000);
	end();
}

TEST(the_client_breaks_the_format)
{
	static const struct vgpu_frame wrong = { .type = VGPU_FRAME_STORE, .length = 24 };
	pthread_t thread;

	REQUIRE(begin(true, 60));
	pthread_create(&thread, NULL, wait_for_ever, NULL);
	stop_daemon();
	CHECK_EQ(send(vgpu_stream_fd(vgpu_mirror_stream(t.mirror)), &wrong, sizeof(wrong), 0),
		 sizeof(wrong));
	check_end(VGPU_END_PROTOCOL, "", 5000);
	pthread_join(thread, NULL);
	end();
}

/* The last word of a worker that refuses a program comes through. */
TEST(what_was_said_last_is_heard)
{
	REQUIRE(begin(false, 60));
	send_word(t.worker, 42);
	vgpu_far_goodbye(t.far, "not you");
	CHECK_EQ(receive_word(t.app), 42);
	for (int i = 0; i < 1000 && !atomic_load(&t.over); i++)
		sleep_a_little();
	CHECK_EQ(atomic_load(&t.over), -ESHUTDOWN);
	CHECK(!strcmp(vgpu_mirror_bye(t.mirror) ?: "", "not you"));
	end();
}

TEST(a_start_that_makes_no_sense)
{
	struct vgpu_session_message m = { .kind = VGPU_SESSION_ATTACH }, got;
	int pair[2];

	REQUIRE(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	t.server = pair[0];
	send_message(&m, pair[0]);
	CHECK_EQ(vgpu_far_start(pair[1], &got), -EPROTO);
	m.kind = VGPU_SESSION_START;
	memset(m.tenant, 'x', sizeof(m.tenant));
	send_message(&m, -1);
	CHECK_EQ(vgpu_far_start(pair[1], &got), -EPROTO);
	CHECK_EQ(send(pair[0], &m, sizeof(m) - 1, 0), sizeof(m) - 1);
	CHECK_EQ(vgpu_far_start(pair[1], &got), -EPROTO);
	close(pair[0]);
	CHECK_EQ(vgpu_far_start(pair[1], &got), -EPIPE);
	close(pair[1]);
}

int main(int argc, char **argv)
{
	vgpu_log_to(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
	return test_main(argc, argv);
}
