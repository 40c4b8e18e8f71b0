/* SPDX-License-Identifier: MIT */
/*
 * Makes a port of this host further away: accepts connections, connects to that
 * port for each, and passes on in both directions what comes, so much later. For
 * kernels without netem. Prints the port that it listens on.
 *
 *	far PORT MICROSECONDS		of a round trip: half of it each way
 *
 * In each direction one thread receives and says when a piece is due, another
 * waits until it is and sends it; so the delay does not depend on the rate.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "stats.h"

#define PIECE	(64u << 10)
#define PIECES	1024u		/* on the way in one direction */

struct piece {
	uint64_t	due;
	ssize_t		length;		/* 0: there is no more */
	uint8_t		bytes[PIECE];
};

struct direction {
	struct pair	*pair;
	int		from, to;
	struct piece	*pieces;
	pthread_mutex_t	lock;
	pthread_cond_t	moved;
	uint64_t	received, sent;	/* pieces; under lock */
};

struct pair {
	struct direction there, back;
	int		threads;	/* that use it, atomic */
};

static uint64_t delay_ns;

static void leave(struct pair *p)
{
	if (__atomic_sub_fetch(&p->threads, 1, __ATOMIC_ACQ_REL))
		return;
	close(p->there.from);
	close(p->there.to);
	munmap(p->there.pieces, PIECES * sizeof(struct piece));
	munmap(p->back.pieces, PIECES * sizeof(struct piece));
	free(p);
}

static void move(struct direction *d, uint64_t *position)
{
	pthread_mutex_lock(&d->lock);
	++*position;
	pthread_cond_signal(&d->moved);
	pthread_mutex_unlock(&d->lock);
}

static struct piece *free_piece(struct direction *d)
{
	struct piece *p;

	pthread_mutex_lock(&d->lock);
	while (d->received - d->sent == PIECES)
		pthread_cond_wait(&d->moved, &d->lock);
	p = &d->pieces[d->received % PIECES];
	pthread_mutex_unlock(&d->lock);
	return p;
}

static struct piece *next_piece(struct direction *d)
{
	struct piece *p;

	pthread_mutex_lock(&d->lock);
	while (d->received == d->sent)
		pthread_cond_wait(&d->moved, &d->lock);
	p = &d->pieces[d->sent % PIECES];
	pthread_mutex_unlock(&d->lock);
	return p;
}

static void *receiver(void *arg)
{
	struct direction *d = arg;
	struct piece *p;

	do {
		p = free_piece(d);
		p->length = recv(d->from, p->bytes, PIECE, 0);
		if (p->length < 0)
			p->length = 0;
		p->due = clock_ns(CLOCK_MONOTONIC) + delay_ns;
		move(d, &d->received);
	} while (p->length);
	leave(d->pair);
	return NULL;
}

static void wait_until(uint64_t ns)
{
	const struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	if (delay_ns)
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
			;
}

/* Whoever cannot be sent to any more is not waited for: the rest is dropped. */
static void *sender(void *arg)
{
	struct direction *d = arg;
	struct piece *p;
	ssize_t length;

	prctl(PR_SET_TIMERSLACK, 1);
	do {
		p = next_piece(d);
		length = p->length;
		wait_until(p->due);
		for (ssize_t sent = 0, n; sent < length; sent += n) {
			n = send(d->to, p->bytes + sent, length - sent, MSG_NOSIGNAL);
			if (n < 0)
				break;
		}
		move(d, &d->sent);
	} while (length);
	shutdown(d->to, SHUT_WR);
	leave(d->pair);
	return NULL;
}

/* ---- connections ---- */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void start(void *(*thread)(void *arg), struct direction *d)
{
	pthread_t t;

	if (pthread_create(&t, NULL, thread, d))
		die("far: thread");
	pthread_detach(t);
}

static void begin(struct pair *pair, struct direction *d, int from, int to)
{
	*d = (struct direction){
		.pair = pair, .from = from, .to = to,
		.pieces = mmap(NULL, PIECES * sizeof(struct piece), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
		.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER,
	};
	if (d->pieces == MAP_FAILED)
		die("far: memory");
	start(receiver, d);
	start(sender, d);
}

static void join_ends(int client, const struct sockaddr_in *to)
{
	struct pair *p = malloc(sizeof(*p));
	int one = 1, server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!p || server < 0)
		die("far");
	if (connect(server, (const struct sockaddr *)to, sizeof(*to))) {
		close(server);
		close(client);
		free(p);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	p->threads = 4;
	begin(p, &p->there, client, server);
	begin(p, &p->back, server, client);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	}, to = at;
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client;

	if (argc != 3) {
		fprintf(stderr, "usage: far PORT MICROSECONDS\n");
		return 2;
	}
	to.sin_port = htons(atoi(argv[1]));
	delay_ns = strtoul(argv[2], NULL, 10) * 500;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, length) || listen(fd, 64) ||
	    getsockname(fd, (struct sockaddr *)&at, &length))
		die("far: listen");
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	while ((client = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		join_ends(client, &to);
	die("far: accept");
}
