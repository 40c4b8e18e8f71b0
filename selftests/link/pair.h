/* SPDX-License-Identifier: MIT */
/* Two streams that are connected with each other, for tests of them. */
#ifndef VGPU_SELFTESTS_LINK_PAIR_H
#define VGPU_SELFTESTS_LINK_PAIR_H

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "link/stream.h"

struct pair {
	struct vgpu_stream	*server, *client;
};

/* Connected TCP sockets at an address of this host; [0] is the one that accepted. */
static inline int pair_sockets_at(int fds[2], in_addr_t address)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = address };
	socklen_t length = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&a, length) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&a, &length) ||
	    connect(fds[1], (struct sockaddr *)&a, length))
		return -errno;
	fds[0] = accept(listener, NULL, NULL);
	close(listener);
	return fds[0] < 0 ? -errno : 0;
}

static inline int pair_sockets(int fds[2])
{
	return pair_sockets_at(fds, htonl(INADDR_LOOPBACK));
}

/* Until there is something to do; what is sent to this host takes its time, too. */
static inline void pair_wait(struct vgpu_stream *s)
{
	struct pollfd p = { vgpu_stream_fd(s), vgpu_stream_events(s), 0 };

	if (!vgpu_stream_pending(s))
		poll(&p, 1, 1000);
}

/* All @n bytes: 0, or what came instead. */
static inline int pair_read(struct vgpu_stream *s, void *to, size_t n)
{
	size_t done = 0;

	for (int turns = 0; done < n && turns < 1000; turns++) {
		ssize_t got = vgpu_stream_read(s, (char *)to + done, n - done);

		if (got < 0 && got != -EAGAIN)
			return got;
		if (got < 0)
			pair_wait(s);
		done += got > 0 ? got : 0;
	}
	return done < n ? -ETIMEDOUT : 0;
}

/* Both sides' handshakes until each is through or has failed. */
static inline void pair_shake(struct pair *p, int *server, int *client)
{
	*server = *client = -EAGAIN;
	for (int turns = 0; turns < 100 && (*server == -EAGAIN || *client == -EAGAIN); turns++) {
		struct pollfd fds[2];

		if (*client == -EAGAIN)
			*client = vgpu_stream_handshake(p->client);
		if (*server == -EAGAIN)
			*server = vgpu_stream_handshake(p->server);
		/* poll() does not look at those who are done */
		fds[0] = (struct pollfd){ *client == -EAGAIN ? vgpu_stream_fd(p->client) : -1,
					  vgpu_stream_events(p->client), 0 };
		fds[1] = (struct pollfd){ *server == -EAGAIN ? vgpu_stream_fd(p->server) : -1,
					  vgpu_stream_events(p->server), 0 };
		if (fds[0].fd >= 0 || fds[1].fd >= 0)
			poll(fds, 2, 1000);
	}
}

static inline void pair_close(struct pair *p)
{
	vgpu_stream_close(p->server);
	vgpu_stream_close(p->client);
	p->server = p->client = NULL;
}

static inline struct iovec pair_piece(const void *from, size_t n)
{
	return (struct iovec){ (void *)from, n };
}

#endif /* VGPU_SELFTESTS_LINK_PAIR_H */
