// SPDX-License-Identifier: MIT
/*
 * A hostile app against the peer's end of a channel. The first byte chooses:
 * shared memory written as the input says while records and bulk bytes are
 * taken out of it, or the input as a message on a new connection, with a hello.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/internal.h"
#include "channel/message.h"

#define RING 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct vgpu_ring_sizes small = {
	.sq = RING, .cq = RING, .up = RING, .down = RING,
};

struct input {
	const uint8_t	*data;
	size_t		left;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static uint64_t take(struct input *in, size_t n)
{
	uint64_t value = 0;

	if (n > in->left)
		n = in->left;
	memcpy(&value, in->data, n);
	in->data += n;
	in->left -= n;
	return value;
}

/* What comes out was inside the ring, in sequence, and copied. */
static void receive(struct vgpu_channel *ch)
{
	static uint8_t buf[RING] __attribute__((aligned(8)));
	const struct vgpu_record *rec = (const void *)buf;
	uint64_t seq = ch->records_in.seq, at;
	int n = vgpu_record_receive(ch, buf, sizeof(buf));

	require(n >= 0 || n == -EPROTO);
	require((n < 0) == (vgpu_channel_fault(ch) != NULL));
	require(ch->records_in.head <= ch->records_in.tail || n < 0);
	if (n <= 0)
		return;
	at = (ch->records_in.head - n) % RING;
	require(n >= 16 && n % 8 == 0 && n <= RING / 4 && at + n <= RING);
	require(rec->length == (uint32_t)n && rec->opcode != VGPU_OP_PAD);
	require(rec->seq == seq + 1);
	require(!memcmp(buf + 16, ch->records_in.base + at + 16, n - 16));
}

static void bytes(struct vgpu_channel *ch, uint64_t pos, uint64_t length)
{
	const uint8_t *base = ch->bytes_in.base, *p = vgpu_bytes_at(ch, pos, length);

	if (!p)
		return;
	require(p >= base && length && length <= RING);
	require((size_t)(p - base) <= RING - length);
	require(pos + length <= ch->bytes_in.tail && pos >= ch->bytes_in.head);
	if (length & 1)
		vgpu_bytes_release(ch, pos, length);
}

static void send_back(struct vgpu_channel *ch, size_t length)
{
	const uint8_t *base = ch->records_out.base;
	uint8_t *p = vgpu_record_reserve(ch, length), *b;
	uint64_t pos;

	require(!p || (p >= base && p + length <= base + RING));
	if (p) {
		memset(p, 0xaa, length);
		vgpu_record_commit(ch, 1, 0);
	}
	base = ch->bytes_out.base;
	b = vgpu_bytes_reserve(ch, length, &pos);
	require(!b || (b >= base && b + length <= base + RING));
	if (b)
		vgpu_bytes_publish(ch, pos, length);
}

static void step(struct vgpu_channel *peer, struct input *in)
{
	uint8_t *base = peer->memory->half[VGPU_SIDE_APP], *sq = base + VGPU_PAGE_SIZE;
	struct vgpu_position *app = (void *)base;
	uint8_t what = take(in, 1);
	struct vgpu_record rec = { 0 };
	uint64_t at;

	switch (what % 8) {
	case 0:		/* a position of the app's, by a little or altogether */
		at = take(in, 1) % 5;
		app[at].value = what & 8 ? take(in, 8) : app[at].value + take(in, 2);
		break;
	case 1:		/* noise in the ring */
		at = take(in, 2) % (RING - 8);
		rec.seq = take(in, 8);
		memcpy(sq + at, &rec.seq, 8);
		break;
	case 2:		/* a nearly good record where the next one is read */
		rec.length = take(in, 2);
		rec.opcode = what & 8 ? VGPU_OP_PAD : take(in, 1);
		rec.seq = peer->records_in.seq + 1 + (what >> 7);
		at = peer->records_in.head % RING;
		memcpy(sq + at, &rec, RING - at < 16 ? RING - at : 16);
		break;
	case 3:		/* and its length published */
		app[0].value = peer->records_in.head + (rec.length = take(in, 2));
		break;
	case 4:
	case 5:
		receive(peer);
		break;
	case 6:
		at = what & 8 ? take(in, 8) : peer->bytes_in.head + take(in, 2);
		bytes(peer, at, take(in, 2));
		break;
	case 7:
		send_back(peer, take(in, 2));
		break;
	}
}

static void memory(struct input *in)
{
	struct vgpu_channel *app, *peer;

	require(!vgpu_channel_pair(&app, &peer, &small));
	while (in->left)
		step(peer, in);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

static int send_message(int sock, const struct input *in, int *fds, int n)
{
	struct iovec iov = { (void *)in->data, in->left };
	union { struct cmsghdr align; char room[CMSG_SPACE(8 * sizeof(int))]; } control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (n) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	return sendmsg(sock, &msg, MSG_DONTWAIT) < 0 ? -1 : 0;
}

/* A channel's memory whose first record is a hello, one as the input says, or none. */
static int hello_memory(struct input *in, int kinds)
{
	size_t size = vgpu_memory_half(&small, VGPU_SIDE_APP) +
		      vgpu_memory_half(&small, VGPU_SIDE_PEER);
	int fd = vgpu_memory_make("fuzz", size);
	struct { struct greeting g; uint64_t word; } hello = {
		.g.head = { .length = sizeof(hello), .opcode = VGPU_OP_HELLO, .seq = 1 },
		.g.length = 3, .word = 0x010203,
	};
	uint64_t tail = kinds & 48 ? sizeof(hello) : 0;

	if (kinds & 32) {
		hello.g.head.length = take(in, 1);
		hello.g.head.opcode ^= take(in, 1);
		hello.g.length = take(in, 4);
		hello.word = take(in, 8);
		tail = take(in, 1);
	}
	require(pwrite(fd, &hello, sizeof(hello), VGPU_PAGE_SIZE) == sizeof(hello));
	require(pwrite(fd, &tail, sizeof(tail), 0) == sizeof(tail));
	return fd;
}

/*
 * Accept must never hang, nor let anything through that does not fit. If it
 * leaked descriptors, socketpair() would soon fail.
 */
static void accept_message(struct input *in)
{
	int kinds = take(in, 1), n = kinds % 8, fds[8], sock[2];
	struct vgpu_channel *ch = NULL;
	char hello[64];
	size_t len = sizeof(hello);

	require(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock));
	for (int i = 0; i < n; i++)
		fds[i] = i == (kinds & 8 ? 1 : 0) ? hello_memory(in, kinds) :
						    eventfd(0, 0);
	require(!send_message(sock[0], in, fds, n) || in->left > 65536);
	vgpu_message_close(fds, n);
	if (!vgpu_channel_accept(&ch, sock[1], hello, &len, 0)) {
		require(n == 3 && len <= sizeof(hello));
		vgpu_channel_close(ch);
	}
	close(sock[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	if (take(&in, 1) & 1)
		accept_message(&in);
	else
		memory(&in);
	return 0;
}
