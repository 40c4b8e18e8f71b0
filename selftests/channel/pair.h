/* SPDX-License-Identifier: MIT */
/*
 * Two ends of a channel for a test, over the backend that it is linked with:
 * pair_socket.c, or pair_device.c, which needs the module, one device at least
 * and the rights of the daemon.
 */
#ifndef VGPU_SELFTESTS_CHANNEL_PAIR_H
#define VGPU_SELFTESTS_CHANNEL_PAIR_H

#include "channel/channel.h"

/* Both ends in this process. */
int test_pair(struct vgpu_channel **app, struct vgpu_channel **peer,
	      const struct vgpu_ring_sizes *sizes);

/* The same, but the peer's end is a relay, which has answered "welcome". */
int test_relay_pair(struct vgpu_channel **app, struct vgpu_channel **relay,
		    const struct vgpu_ring_sizes *sizes);

/* ---- pair_device.c only ---- */

/*
 * Be the daemon, from here on and in children forked later: the descriptor of
 * /dev/vgpuctl, or -errno.
 */
int device_listen(void);
void device_listen_no_more(void);

/* The descriptor of the next channel that is set up, or -errno. */
int device_accept(int timeout_ms);

/* App: a channel of the first device whose peer is, or will be, this test. */
int device_open(struct vgpu_channel **app, const struct vgpu_ring_sizes *sizes);
/* Peer: its other end. Both say what the other expects. */
int device_adopt(struct vgpu_channel **peer);

#endif /* VGPU_SELFTESTS_CHANNEL_PAIR_H */
