/* SPDX-License-Identifier: MIT */
/*
 * How the two ends of a stream find out whether its bytes go by RDMA: each tells of
 * its queue pair over the socket, or that it has none; each says that it is ready to
 * receive; each sends a message by RDMA and says whether that arrived and the other's
 * came. A device that fails sends an error instead of a completion, so this ends.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include "link/verbs_state.h"

static int watch(struct vgpu_verbs *v, int op, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events };

	return epoll_ctl(v->poll, op, fd, &e) ? -errno : 0;
}

/* The other side says as much. */
static void put_words(struct vgpu_verbs *v, const void *bytes, size_t n)
{
	v->out = (struct words){ .length = n };
	memcpy(v->out.bytes, bytes, n);
	if (v->step != PROVE)
		v->in = (struct words){ .length = n };
}

static int receive_words(struct vgpu_stream *s)
{
	struct words *i = &s->verbs->in;

	while (i->done < i->length) {
		ssize_t n = vgpu_stream_socket_read(s, i->bytes + i->done, i->length - i->done);

		if (n < 0)
			return n;
		i->done += n;
	}
	return 0;
}

/* Send ours, receive theirs: 0 when both are done. */
static int swap_words(struct vgpu_stream *s)
{
	struct words *o = &s->verbs->out;

	while (o->done < o->length) {
		struct iovec iov = { o->bytes + o->done, o->length - o->done };
		ssize_t n = vgpu_stream_socket_write(s, &iov, 1);

		if (n < 0)
			return n;
		o->done += n;
	}
	return receive_words(s);
}

static void make_offer(struct vgpu_stream *s)
{
	struct vgpu_verbs *v = s->verbs;
	struct offer o = { .magic = OFFER_MAGIC, .version = OFFER_VERSION };
	int err = verbs_open_device(v, s->fd);

	if (!err)
		err = verbs_make_pair(v);
	if (!err)
		err = watch(v, EPOLL_CTL_ADD, v->events->fd, EPOLLIN);
	if (!err && getrandom(&v->psn, sizeof(v->psn), 0) != sizeof(v->psn))
		err = verbs_give_up(v, "a random number", errno);
	if (!err) {
		v->psn &= 0xffffff;
		o.usable = 1;
		o.mtu = v->mtu;
		o.qpn = v->qp->qp_num;
		o.psn = v->psn;
		o.lid = v->lid;
		o.slots = SLOTS;
		o.slot_bytes = SLOT_BYTES;
		memcpy(o.gid, &v->gid, 16);
	}
	put_words(v, &o, sizeof(o));
}

static int take_offer(struct vgpu_stream *s)
{
	struct vgpu_verbs *v = s->verbs;
	const char *wrong;
	uint8_t ready;

	memcpy(&v->other, v->in.bytes, sizeof(v->other));
	wrong = verbs_check_offer(&v->other);
	if (wrong)
		return vgpu_stream_fail(s, -EPROTO, "%s", wrong);
	if (!v->other.usable)
		verbs_give_up(v, "the other side has no verbs device for this", ENODEV);
	ready = !v->note[0] && !verbs_connect(v);
	put_words(v, &ready, 1);
	return 0;
}

/*
 * A message each way, or the device says that ours does not arrive, or the other side
 * that its own did not: that is not a failure of the stream.
 */
static int prove(struct vgpu_stream *s)
{
	struct vgpu_verbs *v = s->verbs;
	int err = v->broken ? -EPIPE : verbs_poll(s), told;
	uint8_t verdict;

	if (!err && !(v->sent && v->came))
		err = verbs_arm(s, true);
	if (!err && !(v->sent && v->came)) {
		told = receive_words(s);
		if (told || v->in.bytes[0] == 1)
			return told ?: -EAGAIN;
		err = -EPIPE;
	}
	if (err && s->error[0])
		snprintf(v->note, sizeof(v->note), "%s", s->error);
	if (err) {
		s->failed = 0;
		s->error[0] = 0;
	}
	verdict = !err;
	put_words(v, &verdict, 1);
	v->step = VERDICT;
	return 0;
}

static void begin_probe(struct vgpu_verbs *v)
{
	v->credits = SLOTS;
	v->step = PROVE;
	v->in = (struct words){ .length = 1 };
	v->broken = verbs_send_probe(v) < 0;
}

/* It goes by the socket. */
static void fall_back(struct vgpu_verbs *v)
{
	if (!v->note[0])
		verbs_give_up(v, "the other side could not use its queue pair", EIO);
	v->step = SOCKET;
}

static int next_step(struct vgpu_stream *s)
{
	struct vgpu_verbs *v = s->verbs;
	int err;

	switch (v->step) {
	case SHAKE:
		err = vgpu_stream_socket_handshake(s);
		if (err)
			return err;
		make_offer(s);
		v->step = OFFER;
		return 0;
	case PROVE:
		return prove(s);
	default:
		err = swap_words(s);
		if (err)
			return err;
	}
	switch (v->step) {
	case OFFER:
		v->step = READY;
		return take_offer(s);
	case READY:
		if (v->out.bytes[0] == 1 && v->in.bytes[0] == 1)
			begin_probe(v);
		else
			fall_back(v);
		return 0;
	default:
		if (v->out.bytes[0] == 1 && v->in.bytes[0] == 1)
			v->step = LIVE;
		else
			fall_back(v);
		return 0;
	}
}

int vgpu_verbs_handshake(struct vgpu_stream *s)
{
	struct vgpu_verbs *v = s->verbs;
	uint32_t events = EPOLLIN;
	int err = 0;

	while (!err && v->step < LIVE)
		err = next_step(s);
	if (s->secure && v->step == SHAKE)
		events = (uint32_t)s->events;
	else if (v->out.done < v->out.length)
		events |= EPOLLOUT;
	watch(v, EPOLL_CTL_MOD, s->fd, events);
	return err;
}

/* ---- life ---- */

int vgpu_stream_offer_verbs(struct vgpu_stream *s)
{
	struct vgpu_verbs *v = calloc(1, sizeof(*v));
	int err = 0;

	if (!v)
		return -ENOMEM;
	v->poll = epoll_create1(EPOLL_CLOEXEC);
	if (v->poll < 0)
		err = -errno;
	if (!err)
		err = watch(v, EPOLL_CTL_ADD, s->fd, EPOLLIN | EPOLLOUT);
	if (!err) {
		s->verbs = v;
		return 0;
	}
	if (v->poll >= 0)
		close(v->poll);
	free(v);
	return err;
}

const char *vgpu_stream_note(const struct vgpu_stream *s)
{
	return s->verbs ? s->verbs->note : "";
}

bool vgpu_stream_verbs_here(int fd)
{
	struct vgpu_verbs v = {};

	if (verbs_open_device(&v, fd))
		return false;
	ibv_close_device(v.device);
	return true;
}
