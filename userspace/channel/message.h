/* SPDX-License-Identifier: MIT */
/*
 * The messages of the socket backend: one SOCK_SEQPACKET datagram each, a
 * header and a body, with a fixed number of descriptors for each kind.
 *
 *	kind	way		body				descriptors
 *	HELLO	app -> peer	ring sizes, bytes of the caller	memory, app's bell, peer's bell
 *	ANSWER	peer -> app	bytes of the caller		none
 *	HOSTMEM	app -> peer	struct message_hostmem		memory
 */
#ifndef VGPU_CHANNEL_MESSAGE_H
#define VGPU_CHANNEL_MESSAGE_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/vgpu.h>

#define MESSAGE_MAGIC		0x75706776u	/* "vgpu" */
#define MESSAGE_VERSION		1
#define MESSAGE_BODY_MAX	(64u << 10)
#define MESSAGE_FDS_MAX		3

enum message_kind {
	MESSAGE_HELLO	= 1,
	MESSAGE_ANSWER	= 2,
	MESSAGE_HOSTMEM	= 3,
};

struct message_header {
	uint32_t	magic;
	uint16_t	version;
	uint16_t	kind;
	uint32_t	length;		/* of the body */
	uint32_t	reserved;	/* zero */
};

struct message_hostmem {
	uint64_t	handle;
	uint64_t	size;
};

_Static_assert(sizeof(struct message_header) == 16, "wire");
_Static_assert(sizeof(struct message_hostmem) == 16, "wire");
_Static_assert(sizeof(struct vgpu_ring_sizes) == 16, "wire");

/* What a message carries, to send or as received. */
struct message {
	enum message_kind	kind;
	const void		*fixed;		/* first part of the body when sent */
	size_t			fixed_len;
	const void		*bytes;		/* second part, when sent */
	size_t			bytes_len;
	int			fds[MESSAGE_FDS_MAX];
	int			nfds;
};

/* Send, waiting for room until @deadline. 0, -EPIPE, -ETIMEDOUT, -EMSGSIZE. */
int vgpu_message_send(int sock, const struct message *m, int64_t deadline);

/*
 * Receive a message of kind @m->kind with exactly @m->nfds descriptors, which
 * become the caller's; its body to @body (@room bytes). The body's length;
 * -ETIMEDOUT, -EPIPE (end), -EPROTO (anything else than that message; all
 * descriptors are closed).
 */
int vgpu_message_receive(int sock, struct message *m, void *body, size_t room,
			 int64_t deadline);

/* poll(2) until @deadline; 0 when one of @p is ready, -ETIMEDOUT. */
int vgpu_message_poll(struct pollfd *p, int n, int64_t deadline);

void vgpu_message_close(const int *fds, int nfds);

#endif /* VGPU_CHANNEL_MESSAGE_H */
