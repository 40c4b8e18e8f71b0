/* SPDX-License-Identifier: MIT */
/*
 * The socket backend's own part of a channel: its descriptors, and the host
 * memory that the app announced and the peer did not map yet.
 */
#ifndef VGPU_CHANNEL_SOCKET_H
#define VGPU_CHANNEL_SOCKET_H

#include "channel/internal.h"

/*
 * Memory objects an honest app can have announced before the peer gets to the
 * records that claim them: one for each of its threads.
 */
#define UNCLAIMED_MAX	256

struct unclaimed {
	uint64_t	handle;
	uint64_t	size;
	int		fd;
};

struct socket_channel {
	struct vgpu_channel	ch;
	int			sock;
	int			our_bell;
	int			their_bell;
	int			pidfd;		/* of the app, or -1 */
	int			gathered;	/* relay: an epoll of the three above, or -1 */
	uint64_t		last_handle;	/* app: of hostmem; atomic */
	pthread_mutex_t		unclaimed_lock;	/* guards the two below */
	struct unclaimed	*unclaimed;	/* peer, UNCLAIMED_MAX */
	int			unclaimed_count;
};

static inline struct socket_channel *to_socket(struct vgpu_channel *ch)
{
	return (struct socket_channel *)ch;	/* ch is its first member */
}

/* socket.c: a relay's one descriptor for all that there is to hear. */
int vgpu_socket_gather(struct vgpu_channel *ch);

/* hostmem.c */
int vgpu_socket_hostmem_create(struct vgpu_channel *ch, size_t size, void **addr,
			       uint64_t *handle);
int vgpu_socket_hostmem_map(struct vgpu_channel *ch, uint64_t handle, size_t size,
			    void *hint, void **addr);
int vgpu_socket_hostmem_take(struct vgpu_channel *ch, uint64_t *handle, uint64_t *size,
			     void **addr);

/* appmem.c */
int vgpu_socket_app_copy(struct vgpu_channel *ch, void *local, uint64_t app_addr,
			 size_t n, bool write);

#endif /* VGPU_CHANNEL_SOCKET_H */
