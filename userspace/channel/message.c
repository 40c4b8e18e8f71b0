// SPDX-License-Identifier: MIT
/*
 * Sending and receiving the messages of message.h. A message is taken as a
 * whole or refused as a whole, with every descriptor that came along.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/internal.h"
#include "channel/message.h"

/* Room for more descriptors than any message has, so that excess is seen. */
#define FDS_ROOM	8

union control {
	struct cmsghdr	align;
	char		room[CMSG_SPACE(FDS_ROOM * sizeof(int))];
};

int vgpu_message_poll(struct pollfd *p, int n, int64_t deadline)
{
	for (;;) {
		int64_t left = deadline == NEVER ? 0 : deadline - clock_now();
		struct timespec t = {
			.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000,
		};
		int ready;

		if (left < 0)
			t = (struct timespec){ 0 };
		ready = ppoll(p, n, deadline == NEVER ? NULL : &t, NULL);
		if (ready > 0)
			return 0;
		if (ready == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int wait_for(int sock, short events, int64_t deadline)
{
	struct pollfd p = { .fd = sock, .events = events };

	return vgpu_message_poll(&p, 1, deadline);
}

void vgpu_message_close(const int *fds, int nfds)
{
	while (nfds > 0)
		close(fds[--nfds]);
}

static void attach(struct msghdr *msg, union control *c, const struct message *m)
{
	struct cmsghdr *cmsg;

	if (!m->nfds)
		return;
	memset(c, 0, sizeof(*c));
	msg->msg_control = c;
	msg->msg_controllen = CMSG_SPACE(m->nfds * sizeof(int));
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(m->nfds * sizeof(int));
	memcpy(CMSG_DATA(cmsg), m->fds, m->nfds * sizeof(int));
}

int vgpu_message_send(int sock, const struct message *m, int64_t deadline)
{
	struct message_header head = {
		.magic = MESSAGE_MAGIC, .version = MESSAGE_VERSION,
		.kind = m->kind, .length = m->length,
	};
	struct iovec iov[2] = { { &head, sizeof(head) }, { m->body, m->length } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	union control control;
	int err;

	attach(&msg, &control, m);
	while (sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == ECONNRESET || errno == ENOTCONN)
			return -EPIPE;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		err = wait_for(sock, POLLOUT, deadline);
		if (err)
			return err;
	}
	return 0;
}

/* All descriptors of @msg to @fds (FDS_ROOM); their number. */
static int collect(struct msghdr *msg, int *fds)
{
	struct cmsghdr *c;
	int n = 0;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds + n, CMSG_DATA(c), bytes);
		n += bytes / sizeof(int);
	}
	return n;
}

/* @len bytes came: are they the message that @m says? */
static bool expected(const struct message_header *head, size_t len,
		     const struct msghdr *msg, const struct message *m, int nfds)
{
	return !(msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	       len == sizeof(*head) + m->length && head->magic == MESSAGE_MAGIC &&
	       head->version == MESSAGE_VERSION && head->kind == m->kind &&
	       head->length == m->length && !head->reserved && nfds == m->nfds;
}

int vgpu_message_receive(int sock, struct message *m, int64_t deadline)
{
	struct message_header head;
	struct iovec iov[2] = { { &head, sizeof(head) }, { m->body, m->length } };
	int fds[FDS_ROOM], nfds, err;
	union control control;
	struct msghdr msg;
	ssize_t len;

	for (;;) {
		msg = (struct msghdr){
			.msg_iov = iov, .msg_iovlen = 2, .msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		len = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (len >= 0)
			break;
		if (errno != EAGAIN && errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
		err = wait_for(sock, POLLIN, deadline);
		if (err)
			return err;
	}
	nfds = collect(&msg, fds);
	if (!expected(&head, len, &msg, m, nfds)) {
		vgpu_message_close(fds, nfds);
		return len ? -EPROTO : -EPIPE;
	}
	memcpy(m->fds, fds, nfds * sizeof(int));
	return 0;
}
