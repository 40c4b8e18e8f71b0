/* SPDX-License-Identifier: MIT */
/* Addresses: how they are written, what connects and listens there, who is there. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include "link/stream.h"
#include "test.h"

static char why[256];

TEST(good_addresses)
{
	static const struct { const char *text, *host, *port; } good[] = {
		{ "gpu1", "gpu1", "7667" },
		{ "gpu1:80", "gpu1", "80" },
		{ "10.9.0.2", "10.9.0.2", "7667" },
		{ "10.9.0.2:65535", "10.9.0.2", "65535" },
		{ "::1", "::1", "7667" },
		{ "fe80::1%eth0", "fe80::1%eth0", "7667" },
		{ "[::1]", "::1", "7667" },
		{ "[fe80::1%eth0]:0080", "fe80::1%eth0", "80" },
		{ "*", "*", "7667" },
		{ "*:0", "*", "0" },
	};
	char host[64], port[8];

	for (unsigned int i = 0; i < sizeof(good) / sizeof(*good); i++) {
		CHECK_EQ(vgpu_address_parse(good[i].text, host, sizeof(host), port), 0);
		CHECK(!strcmp(host, good[i].host) && !strcmp(port, good[i].port));
	}
}

TEST(bad_addresses)
{
	static const char *const bad[] = {
		"", ":", ":80", "gpu1:", "gpu1:x", "gpu1:-1", "gpu1:65536", "gpu1:123456",
		"gpu1:80:90", "gpu1: 80", "gpu 1", "[::1", "[]", "[]:80", "[gpu1]:80", "[::1]80",
		"[::1]:", "[::1]:80x", "::g", "user@gpu1", "https://gpu1", "g\npu1", "\xe4",
		"::1]:80",
	};
	char host[64], port[8];

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int err = vgpu_address_parse(bad[i], host, sizeof(host), port);

		CHECK_EQ(err, -EINVAL);
		if (!err)
			printf("# \"%s\"\n", bad[i]);
	}
	CHECK_EQ(vgpu_address_parse("12345678", host, 8, port), -EINVAL);
	CHECK_EQ(vgpu_address_parse("1234567", host, 8, port), 0);
}

/* ---- sockets ---- */

static int port_of(int fd)
{
	struct sockaddr_storage a;
	socklen_t length = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &length))
		return -1;
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port :
		     ((struct sockaddr_in *)&a)->sin_port);
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	getsockopt(fd, level, name, &value, &length);
	return value;
}

static void check_options(int fd)
{
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	CHECK_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 10);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 5);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 20000);
}

/* Over @form, in which %d is the port, to whatever listens at @where. */
static void connect_and_accept(const char *where, const char *form, const char *peer)
{
	int listeners[4], n, fd, client, accepted;
	char text[64];

	n = vgpu_address_listen(where, listeners, 4, why, sizeof(why));
	REQUIRE(n == 1);
	CHECK(fcntl(listeners[0], F_GETFL) & O_NONBLOCK);
	CHECK(fcntl(listeners[0], F_GETFD) & FD_CLOEXEC);
	CHECK(accept(listeners[0], NULL, NULL) < 0 && errno == EAGAIN);
	snprintf(text, sizeof(text), form, port_of(listeners[0]));
	client = vgpu_address_connect(text, why, sizeof(why));
	REQUIRE(client >= 0);
	CHECK(fcntl(client, F_GETFL) & O_NONBLOCK);
	CHECK(fcntl(client, F_GETFD) & FD_CLOEXEC);
	check_options(client);
	CHECK_EQ(poll(&(struct pollfd){ client, POLLOUT, 0 }, 1, 5000), 1);
	CHECK_EQ(option(client, SOL_SOCKET, SO_ERROR), 0);
	CHECK_EQ(poll(&(struct pollfd){ listeners[0], POLLIN, 0 }, 1, 5000), 1);
	accepted = accept(listeners[0], NULL, NULL);
	CHECK_EQ(vgpu_address_tune(accepted), 0);
	check_options(accepted);
	CHECK(vgpu_address_loopback(client) && vgpu_address_loopback(accepted));
	vgpu_address_peer(accepted, text, sizeof(text));
	CHECK(!strncmp(text, peer, strlen(peer)));
	/* while it listens nobody else can */
	snprintf(text, sizeof(text), form, port_of(listeners[0]));
	CHECK_EQ(vgpu_address_listen(text, &fd, 1, why, sizeof(why)), -EADDRINUSE);
	CHECK(strstr(why, "in use"));
	close(accepted);
	close(client);
	close(listeners[0]);
}

TEST(connect_v4)
{
	connect_and_accept("127.0.0.1:0", "127.0.0.1:%d", "127.0.0.1:");
}

TEST(connect_v6)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)))
		SKIP("this host has no IPv6");
	close(fd);
	connect_and_accept("[::1]:0", "[::1]:%d", "[::1]:");
}

TEST(any_address)
{
	int fds[4], n = vgpu_address_listen("*:0", fds, 4, why, sizeof(why));

	CHECK(n >= 1 && n <= 2);
	for (int i = 0; i < n; i++)
		close(fds[i]);
	n = vgpu_address_listen("*:0", fds, 1, why, sizeof(why));
	CHECK_EQ(n, 1);
	close(fds[0]);
}

TEST(refusals)
{
	int fd;

	CHECK_EQ(vgpu_address_connect("gpu1:x", why, sizeof(why)), -EINVAL);
	CHECK(!strcmp(why, "gpu1:x: not an address: HOST, HOST:PORT or [IPV6]:PORT"));
	CHECK_EQ(vgpu_address_connect("*", why, sizeof(why)), -EINVAL);
	CHECK_EQ(vgpu_address_connect("127.0.0.1:0", why, sizeof(why)), -EINVAL);
	CHECK_EQ(vgpu_address_listen("", &fd, 1, why, sizeof(why)), -EINVAL);
	CHECK(vgpu_address_connect("no-such-host.invalid", why, sizeof(why)) < 0);
	CHECK(!strncmp(why, "no-such-host.invalid: ", 22));
	/* an address that is not this host's */
	CHECK_EQ(vgpu_address_listen("192.0.2.1:0", &fd, 1, why, sizeof(why)), -EADDRNOTAVAIL);
	CHECK(strstr(why, "192.0.2.1:0: "));
}

TEST(nobody_listens)
{
	int listener, port, fd;
	char text[32];

	REQUIRE(vgpu_address_listen("127.0.0.1:0", &listener, 1, why, sizeof(why)) == 1);
	port = port_of(listener);
	close(listener);
	snprintf(text, sizeof(text), "127.0.0.1:%d", port);
	fd = vgpu_address_connect(text, why, sizeof(why));
	if (fd >= 0) {
		poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, 5000);
		CHECK_EQ(option(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
		close(fd);
	} else {
		CHECK_EQ(fd, -ECONNREFUSED);
		CHECK(strstr(why, "refused"));
	}
}

TEST(peers)
{
	char text[64];
	int pair[2], udp;

	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK(vgpu_address_loopback(pair[0]));
	vgpu_address_peer(pair[0], text, sizeof(text));
	CHECK(!strcmp(text, "this host"));
	close(pair[0]);
	close(pair[1]);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(!vgpu_address_loopback(udp));
	vgpu_address_peer(udp, text, sizeof(text));
	CHECK(!strcmp(text, "nobody"));
	close(udp);
}

/* Addresses that only look like this host's: nothing is sent, UDP connects at once. */
TEST(not_loopback)
{
	static const struct { const char *address; bool loopback; } cases[] = {
		{ "127.255.0.1", true }, { "128.0.0.1", false }, { "10.0.0.127", false },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9) };
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		inet_pton(AF_INET, cases[i].address, &a.sin_addr);
		if (!connect(fd, (struct sockaddr *)&a, sizeof(a)))
			CHECK_EQ(vgpu_address_loopback(fd), cases[i].loopback);
		else
			CHECK(errno == ENETUNREACH && !cases[i].loopback);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
