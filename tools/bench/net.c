/* SPDX-License-Identifier: MIT */
/*
 * The bare network that vgpu is measured against: two processes, a connection
 * over loopback, nothing else. As blocking sockets do it, unless it says spin.
 *
 *	net echo tcp|tls		1 and 64 bytes there and back
 *	net stream tcp|tls [LARGEST]	messages by size, an acknowledgement after the last
 *	net exchange tcp|tls [LARGEST]	messages by size, each acknowledged before the next
 *
 * Each prints lines "metric size value" (ns or GB/s). What is sent is random.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "net.h"
#include "stats.h"

#define ROUNDS		20000
#define WARM_UP		500

/* What the other process is to do next. */
struct order {
	enum { ECHO, SPIN, TAKE } what;
	unsigned int	messages, per_ack;
	size_t		size;
};

static void die(const char *what)
{
	fprintf(stderr, "net: %s: %s\n", what, errno ? strerror(errno) : "failed");
	_exit(1);
}

/* ---- a connection ---- */

static void send_all(struct wire *w, const void *from, size_t n)
{
	for (size_t sent = 0; sent < n;) {
		ssize_t some = w->tls ? tls_write(w->tls, from + sent, n - sent) :
					send(w->fd, from + sent, n - sent, MSG_NOSIGNAL);

		if (some <= 0)
			die("send");
		sent += some;
	}
}

static void receive_all(struct wire *w, void *to, size_t n, bool spin)
{
	for (size_t got = 0; got < n;) {
		ssize_t some = w->tls ? tls_read(w->tls, to + got, n - got) :
					recv(w->fd, to + got, n - got, spin ? MSG_DONTWAIT : 0);

		if (some < 0 && spin && errno == EAGAIN)
			continue;
		if (some <= 0)
			die("receive");
		got += some;
	}
}

static int listener(struct sockaddr_in *at)
{
	socklen_t length = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (fd < 0 || bind(fd, (struct sockaddr *)at, length) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)at, &length))
		die("listen");
	return fd;
}

static void tune(int fd)
{
	int one = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		die("connect");
}

/* ---- the other process ---- */

static void echo_back(struct wire *w, const struct order *o, void *room)
{
	for (unsigned int i = 0; i < o->messages; i++) {
		receive_all(w, room, o->size, o->what == SPIN);
		send_all(w, room, o->size);
	}
}

static void take(struct wire *w, const struct order *o, void *room)
{
	for (unsigned int i = 0; i < o->messages; i++) {
		receive_all(w, room, o->size, false);
		if ((i + 1) % o->per_ack == 0)
			send_all(w, "", 1);
	}
}

/* Until it is told to do nothing. */
static void serve(const struct sockaddr_in *at, bool tls, size_t largest)
{
	struct wire w = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	void *room = malloc(largest);
	struct order o;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!room || connect(w.fd, (const struct sockaddr *)at, sizeof(*at)))
		die("connect");
	memset(room, 1, largest);
	tune(w.fd);
	if (tls && !(w.tls = tls_open(w.fd, false)))
		die("TLS");
	for (;;) {
		receive_all(&w, &o, sizeof(o), false);
		if (!o.messages)
			_exit(0);
		if (o.what == TAKE)
			take(&w, &o, room);
		else
			echo_back(&w, &o, room);
	}
}

static void other_process(struct wire *w, bool tls, size_t largest)
{
	struct sockaddr_in at;
	int fd = listener(&at);
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (!child)
		serve(&at, tls, largest);
	*w = (struct wire){ .fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC) };
	tune(w->fd);
	close(fd);
	if (tls && !(w->tls = tls_open(w->fd, true)))
		die("TLS");
}

static void command(struct wire *w, const struct order *o)
{
	send_all(w, o, sizeof(*o));
}

/* ---- what is measured ---- */

static void echo(struct wire *w, const char *kind, size_t size, bool spin)
{
	const struct order o = {
		.what = spin ? SPIN : ECHO, .messages = ROUNDS + WARM_UP, .size = size,
	};
	static uint64_t took[ROUNDS];
	char message[64] = "";

	command(w, &o);
	for (int i = -WARM_UP; i < ROUNDS; i++) {
		uint64_t t = clock_ns(CLOCK_MONOTONIC);

		send_all(w, message, size);
		receive_all(w, message, size, spin);
		if (i >= 0)
			took[i] = clock_ns(CLOCK_MONOTONIC) - t;
	}
	printf("echo_%s%s_p50 %zu %lu\n", kind, spin ? "_spin" : "", size,
	       percentile(took, ROUNDS, 50));
	printf("echo_%s%s_p99 %zu %lu\n", kind, spin ? "_spin" : "", size,
	       percentile(took, ROUNDS, 99));
}

static double rate(struct wire *w, const void *from, size_t size, unsigned int n, bool each)
{
	const struct order o = {
		.what = TAKE, .messages = n, .per_ack = each ? 1 : n, .size = size,
	};
	uint64_t t = clock_ns(CLOCK_MONOTONIC);
	char ack;

	command(w, &o);
	for (unsigned int i = 0; i < n; i++) {
		send_all(w, from, size);
		if (each || i + 1 == n)
			receive_all(w, &ack, 1, false);
	}
	return (double)size * n / (clock_ns(CLOCK_MONOTONIC) - t);
}

static void rates(struct wire *w, const char *metric, const char *kind, size_t largest)
{
	bool each = !strcmp(metric, "exchange");
	uint8_t *from = malloc(largest);

	if (!from)
		die("malloc");
	fill_random(from, largest);
	for (size_t size = COPY_MIN; size <= largest; size *= COPY_STEP) {
		unsigned int n = copy_repeats(size, largest);

		rate(w, from, size, 1, each);
		printf("%s_%s %zu %.3f\n", metric, kind, size,
		       median3(rate(w, from, size, n, each), rate(w, from, size, n, each),
			       rate(w, from, size, n, each)));
	}
	free(from);
}

static void echoes(struct wire *w, const char *kind)
{
	static const size_t sizes[] = { 1, 64 };

	for (unsigned int i = 0; i < 2; i++) {
		echo(w, kind, sizes[i], false);
		if (!w->tls)
			echo(w, kind, sizes[i], true);
	}
}

int main(int argc, char **argv)
{
	bool known = argc > 2 && (!strcmp(argv[2], "tcp") || !strcmp(argv[2], "tls"));
	bool is_echo = known && argc == 3 && !strcmp(argv[1], "echo");
	bool is_rate = known && argc < 5 &&
		       (!strcmp(argv[1], "stream") || !strcmp(argv[1], "exchange"));
	size_t largest = is_rate ? copy_largest(argv[3]) : COPY_MIN;
	struct wire w;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if ((!is_echo && !is_rate) || !largest) {
		fprintf(stderr, "usage: net echo tcp|tls | stream|exchange tcp|tls [LARGEST]\n");
		return 2;
	}
	other_process(&w, !strcmp(argv[2], "tls"), largest);
	if (is_echo)
		echoes(&w, argv[2]);
	else
		rates(&w, argv[1], argv[2], largest);
	command(&w, &(struct order){ .messages = 0 });
	return 0;
}
