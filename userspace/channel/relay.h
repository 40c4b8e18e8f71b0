/* SPDX-License-Identifier: MIT */
/*
 * Channels whose two sides are on different hosts. On the app's host a daemon
 * holds the peer's end without being the peer: a relay. On the GPU's host the
 * worker has a channel whose app is elsewhere: a remote channel. What keeps the
 * two alike is link/mirror.h, which knows their memory by vgpu_channel_view().
 */
#ifndef VGPU_CHANNEL_RELAY_H
#define VGPU_CHANNEL_RELAY_H

#include "channel/channel.h"

/* Where the parts of a channel's memory are, on either side of it. */
struct vgpu_channel_view {
	struct vgpu_ctrl_app	*app;	/* of a relay: read only */
	struct vgpu_ctrl_peer	*peer;
	uint8_t			*sq, *cq, *up, *down;
	struct vgpu_ring_sizes	sizes;
	void			*kept;	/* VGPU_CHANNEL_KEPT bytes, zero at first */
};

/* Behind struct vgpu_ctrl_peer in its page: what a relay's successor must know. */
#define VGPU_CHANNEL_KEPT	1024u

void vgpu_channel_view(struct vgpu_channel *ch, struct vgpu_channel_view *view);

/* ---- relay (relay.c) ---- */

/*
 * As vgpu_channel_adopt(), but no hello is received: all records are the other
 * host's to receive. The channel may have been another relay's before.
 */
int vgpu_relay_adopt(struct vgpu_channel **out, int fd);
/* As vgpu_channel_accept(), the same. Waits at most @timeout_ms for the app's message. */
int vgpu_relay_accept(struct vgpu_channel **out, int fd, int timeout_ms);

/*
 * A descriptor, the channel's, that poll(2) says is readable when the app rang or
 * is gone. (The module's bells are counted: a bell stays until it was taken.)
 */
int vgpu_relay_fd(const struct vgpu_channel *ch);
/*
 * Take all bells: 0, also if there are none; 1: buffers were announced as well, see
 * vgpu_relay_hostmem(); -EPIPE: the app is gone. Never waits.
 */
int vgpu_relay_take_bells(struct vgpu_channel *ch);

/*
 * A page-locked buffer that the app announced over its socket: 1, and it is the
 * caller's, mapped at *@at, to be unmapped by vgpu_hostmem_unmap(). 0: none was, and
 * never for the module's. -errno: that one cannot be had, or the channel is lost.
 */
int vgpu_relay_hostmem(struct vgpu_channel *ch, uint64_t *handle, uint64_t *size, void **at);

/*
 * Before poll(2): ask for a bell when a tail moves or, with @room, a head as well.
 * The caller looks at the positions once more after it. After poll(2): disarm, so
 * that nobody rings while somebody looks anyway.
 */
void vgpu_relay_arm(struct vgpu_channel *ch, bool room);
void vgpu_relay_disarm(struct vgpu_channel *ch);

/*
 * A tail (or, with @head, only a head) of this side was moved: ring the app's
 * bell if it sleeps and wants to know.
 */
void vgpu_relay_announce(struct vgpu_channel *ch, bool head);

/* ---- remote (remote.c) ---- */

struct vgpu_remote_ops {
	/* This side moved a tail or head: have it sent. Any thread. */
	void (*send)(void *arg);
	/*
	 * Take what has come, without waiting; called over and over by threads that
	 * spin. True: something has.
	 */
	bool (*look)(void *arg);
	/*
	 * Wait until something came and take it: 0; or vgpu_channel_kick() was called
	 * (poke): 0; -ETIMEDOUT; -EPIPE: the session is over. One thread at a time.
	 * @deadline is in ns of CLOCK_MONOTONIC.
	 */
	int (*sleep)(void *arg, int64_t deadline);
	void (*poke)(void *arg);
	/* Copy between @local and the app's memory: vgpu_app_read(), vgpu_app_write(). */
	int (*app_copy)(void *arg, void *local, uint64_t app_addr, size_t n, bool write);
	/* The same with a page-locked buffer: vgpu_hostmem_read(), vgpu_hostmem_write(). */
	int (*hostmem_copy)(void *arg, uint64_t handle, uint64_t size, uint64_t offset,
			    void *local, size_t n, bool write);
	/* The buffer is not used any more: vgpu_hostmem_release(). */
	void (*hostmem_release)(void *arg, uint64_t handle);
	void (*close)(void *arg);
};

/*
 * Peer's end of a channel with memory of its own; the app's end is whoever calls
 * vgpu_channel_view() and moves the app's positions. @ops are not called before
 * this returns. Receiving the hello is the caller's: vgpu_remote_hello().
 */
int vgpu_remote_create(struct vgpu_channel **out, const struct vgpu_ring_sizes *sizes,
		       const struct vgpu_remote_ops *ops, void *arg);
/* As vgpu_channel_accept() receives it. */
int vgpu_remote_hello(struct vgpu_channel *ch, void *hello, size_t *hello_len, int timeout_ms);
/* The app's side moved something: threads that sleep look at it. Any thread. */
void vgpu_remote_moved(struct vgpu_channel *ch);

/* Is the app on another host, so that nothing of its memory can be mapped? */
bool vgpu_channel_is_remote(const struct vgpu_channel *ch);

/* Peer, remote channels only (-EOPNOTSUPP): bytes of a page-locked buffer. */
int vgpu_hostmem_read(struct vgpu_channel *ch, uint64_t handle, uint64_t size, uint64_t offset,
		      void *to, size_t n);
int vgpu_hostmem_write(struct vgpu_channel *ch, uint64_t handle, uint64_t size,
		       uint64_t offset, const void *from, size_t n);
void vgpu_hostmem_release(struct vgpu_channel *ch, uint64_t handle);

#endif /* VGPU_CHANNEL_RELAY_H */
