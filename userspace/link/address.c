/* SPDX-License-Identifier: MIT */
/*
 * Addresses as people write them, and the TCP sockets for them. What is said over
 * a connection is not known here.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "link/stream.h"

#define STRING(x)	#x
#define TEXT(x)		STRING(x)
#define DEFAULT_PORT	TEXT(VGPU_WIRE_PORT)
#define BACKLOG		1024

/* A host that is gone is noticed in 25 s when idle, in 20 s when it owes an answer. */
#define IDLE_SECONDS	10
#define PROBE_SECONDS	5
#define PROBES		3
#define UNACKED_MS	20000

/* ---- words ---- */

static int take_host(const char *text, size_t n, char *host, size_t room)
{
	if (!n || n >= room)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f || strchr("[]/@", text[i]))
			return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	return 0;
}

static int take_port(const char *text, char port[8])
{
	const size_t digits = strspn(text, "0123456789");

	if (!digits || digits > 5 || text[digits] || atoi(text) > 65535)
		return -EINVAL;
	snprintf(port, 8, "%d", atoi(text));
	return 0;
}

/* An address of IPv6, maybe with the interface that it is valid at: "fe80::1%eth0". */
static bool is_v6(const char *host)
{
	char address[INET6_ADDRSTRLEN];
	const size_t n = strcspn(host, "%");
	struct in6_addr in6;

	if (n >= sizeof(address))
		return false;
	memcpy(address, host, n);
	address[n] = '\0';
	return inet_pton(AF_INET6, address, &in6) == 1;
}

static int parse_bracketed(const char *text, char *host, size_t room, char port[8])
{
	const char *end = strchr(text, ']');

	if (!end || take_host(text + 1, end - text - 1, host, room) || !is_v6(host))
		return -EINVAL;
	if (!end[1])
		return 0;
	return end[1] == ':' ? take_port(end + 2, port) : -EINVAL;
}

int vgpu_address_parse(const char *text, char *host, size_t room, char port[8])
{
	const char *colon = strchr(text, ':');

	strcpy(port, DEFAULT_PORT);
	if (text[0] == '[')
		return parse_bracketed(text, host, room, port);
	if (!colon)
		return take_host(text, strlen(text), host, room);
	if (strchr(colon + 1, ':'))
		return !take_host(text, strlen(text), host, room) && is_v6(host) ? 0 : -EINVAL;
	if (take_host(text, colon - text, host, room))
		return -EINVAL;
	return take_port(colon + 1, port);
}

static int find(const char *text, int flags, struct addrinfo **found, char *why, size_t room)
{
	const struct addrinfo hints = { .ai_flags = flags | AI_NUMERICSERV,
					.ai_socktype = SOCK_STREAM };
	char host[256], port[8];
	bool any;
	int err;

	if (vgpu_address_parse(text, host, sizeof(host), port)) {
		snprintf(why, room, "%s: not an address: HOST, HOST:PORT or [IPV6]:PORT", text);
		return -EINVAL;
	}
	any = !strcmp(host, "*");
	if (!(flags & AI_PASSIVE) && (any || !strcmp(port, "0"))) {
		snprintf(why, room, "%s: not an address to connect to", text);
		return -EINVAL;
	}
	err = getaddrinfo(any ? NULL : host, port, &hints, found);
	if (!err)
		return 0;
	snprintf(why, room, "%s: %s", text,
		 err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err));
	return err == EAI_MEMORY ? -ENOMEM : err == EAI_AGAIN ? -EAGAIN : -ENOENT;
}

/* ---- sockets ---- */

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

int vgpu_address_tune(int fd)
{
	const struct { int level, option, value; } options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, IDLE_SECONDS },
		{ IPPROTO_TCP, TCP_KEEPINTVL, PROBE_SECONDS },
		{ IPPROTO_TCP, TCP_KEEPCNT, PROBES },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS },
	};
	int err = 0;

	for (unsigned int i = 0; !err && i < sizeof(options) / sizeof(*options); i++)
		err = set(fd, options[i].level, options[i].option, options[i].value);
	return err;
}

static int make_socket(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
			a->ai_protocol);

	return fd < 0 ? -errno : fd;
}

static int connect_to(const struct addrinfo *a)
{
	int fd = make_socket(a), err;

	if (fd < 0)
		return fd;
	err = vgpu_address_tune(fd);
	if (!err && connect(fd, a->ai_addr, a->ai_addrlen) && errno != EINPROGRESS)
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

static unsigned int count(const struct addrinfo *a)
{
	unsigned int n = 0;

	for (; a; a = a->ai_next)
		n++;
	return n;
}

static const struct addrinfo *nth(const struct addrinfo *a, unsigned int n)
{
	while (n--)
		a = a->ai_next;
	return a;
}

/*
 * Which of several addresses of a host answers is known only later: each call
 * begins with the next, so who tries again gets to all of them.
 */
int vgpu_address_connect(const char *text, char *why, size_t room)
{
	static atomic_uint calls;
	struct addrinfo *found;
	unsigned int n, first;
	int fd = find(text, 0, &found, why, room);

	if (fd)
		return fd;
	n = count(found);
	first = n > 1 ? atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) % n : 0;
	fd = -ENOENT;
	for (unsigned int i = 0; fd < 0 && i < n; i++)
		fd = connect_to(nth(found, (first + i) % n));
	freeaddrinfo(found);
	if (fd < 0)
		snprintf(why, room, "%s: %s", text, strerror(-fd));
	return fd;
}

static int listen_at(const struct addrinfo *a)
{
	int fd = make_socket(a), err;

	if (fd < 0)
		return fd;
	err = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	/* each family has its own socket */
	if (!err && a->ai_family == AF_INET6)
		err = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!err && (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, BACKLOG)))
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* Of "*" a family that this host does not have is not missed. */
static bool is_missing(int err)
{
	return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL;
}

int vgpu_address_listen(const char *text, int *fds, unsigned int max, char *why, size_t room)
{
	struct addrinfo *found;
	unsigned int n = 0;
	int err = find(text, AI_PASSIVE, &found, why, room), missing = -ENOENT, fd;

	if (err)
		return err;
	for (const struct addrinfo *a = found; a && !err && n < max; a = a->ai_next) {
		fd = listen_at(a);
		if (fd >= 0)
			fds[n++] = fd;
		else if (is_missing(fd))
			missing = fd;
		else
			err = fd;
	}
	freeaddrinfo(found);
	if (!err && n)
		return n;
	while (n)
		close(fds[--n]);
	err = err ? err : missing;
	snprintf(why, room, "%s: %s", text, strerror(-err));
	return err;
}

/* ---- the other end ---- */

static bool is_loopback_v4(uint32_t address)
{
	return ntohl(address) >> 24 == IN_LOOPBACKNET;
}

static bool is_loopback_v6(const struct in6_addr *a)
{
	if (IN6_IS_ADDR_V4MAPPED(a))
		return is_loopback_v4(a->s6_addr32[3]);
	return IN6_IS_ADDR_LOOPBACK(a);
}

static bool other_end(int fd, struct sockaddr_storage *a)
{
	socklen_t length = sizeof(*a);

	memset(a, 0, sizeof(*a));
	return !getpeername(fd, (struct sockaddr *)a, &length);
}

bool vgpu_address_loopback(int fd)
{
	struct sockaddr_storage a;

	if (!other_end(fd, &a))
		return false;
	switch (a.ss_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return is_loopback_v4(((struct sockaddr_in *)&a)->sin_addr.s_addr);
	case AF_INET6:
		return is_loopback_v6(&((struct sockaddr_in6 *)&a)->sin6_addr);
	}
	return false;
}

void vgpu_address_peer(int fd, char *text, size_t room)
{
	char host[INET6_ADDRSTRLEN + 32], port[8];
	struct sockaddr_storage a;

	if (!other_end(fd, &a))
		snprintf(text, room, "nobody");
	else if (a.ss_family == AF_UNIX)
		snprintf(text, room, "this host");
	else if (getnameinfo((struct sockaddr *)&a, sizeof(a), host, sizeof(host), port,
			     sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(text, room, "unknown");
	else
		snprintf(text, room, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}
