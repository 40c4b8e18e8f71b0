/* SPDX-License-Identifier: MIT */
/*
 * The messages of the socket backend: one SOCK_SEQPACKET datagram each, a
 * header, a body and descriptors, as many of each as the kind has.
 *
 *	kind	way		body				descriptors
 *	SETUP	app -> peer	struct vgpu_ring_sizes		memory, app's bell, peer's bell
 *	HOSTMEM	app -> peer	struct message_hostmem		memory
 */
#ifndef VGPU_CHANNEL_MESSAGE_H
#define VGPU_CHANNEL_MESSAGE_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/vgpu.h>

#define MESSAGE_MAGIC		0x75706776u	/* "vgpu" */
#define MESSAGE_VERSION		2
#define MESSAGE_FDS_MAX		3

enum message_kind {
	MESSAGE_SETUP	= 1,
	MESSAGE_HOSTMEM	= 2,
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

/* What a message carries, to send, or expected and as received. */
struct message {
	enum message_kind	kind;
	void			*body;
	size_t			length;		/* of the body */
	int			fds[MESSAGE_FDS_MAX];
	int			nfds;
};

/* Send, waiting for room until @deadline. 0, -EPIPE, -ETIMEDOUT. */
int vgpu_message_send(int sock, const struct message *m, int64_t deadline);

/*
 * Receive a message of @m->kind, whose body has @m->length bytes, with @m->nfds
 * descriptors, which become the caller's. -ETIMEDOUT, -EPIPE (end), -EPROTO
 * (anything else than that message; all descriptors are closed).
 */
int vgpu_message_receive(int sock, struct message *m, int64_t deadline);

/* poll(2) until @deadline; 0 when one of @p is ready, -ETIMEDOUT. */
int vgpu_message_poll(struct pollfd *p, int n, int64_t deadline);

void vgpu_message_close(const int *fds, int nfds);

#endif /* VGPU_CHANNEL_MESSAGE_H */
