// SPDX-License-Identifier: MIT
/*
 * The app's own memory, read and written from the peer's process by address:
 * what the socket backend has in place of the module's copy ioctl.
 */
#include <poll.h>
#include <sys/uio.h>

#include "channel/socket.h"

/* The kernel moves less than 2 GiB in a call. */
#define PIECE_MAX	((size_t)1 << 30)

static bool alive(const struct socket_channel *s)
{
	struct pollfd p = { .fd = s->pidfd, .events = POLLIN };

	return s->pidfd < 0 || poll(&p, 1, 0) == 0;
}

static ssize_t move(int pid, struct iovec *local, struct iovec *app, bool write)
{
	return write ? process_vm_writev(pid, local, 1, app, 1, 0) :
		       process_vm_readv(pid, local, 1, app, 1, 0);
}

/*
 * A process id can be given to another process when its owner is gone; the
 * pidfd tells, before the copy so that nothing is written there, and after it
 * so that nothing read there is used.
 */
int vgpu_socket_app_copy(struct vgpu_channel *ch, void *local, uint64_t app_addr,
			 size_t n, bool write)
{
	struct socket_channel *s = to_socket(ch);
	uint8_t *at = local;

	if (!ch->pid || !alive(s))
		return -ESRCH;
	while (n) {
		size_t piece = n < PIECE_MAX ? n : PIECE_MAX;
		struct iovec here = { at, piece };
		struct iovec there = { (void *)(uintptr_t)app_addr, piece };
		ssize_t moved = move(ch->pid, &here, &there, write);

		if (moved < 0)
			return -errno;
		if (!moved)
			return -EFAULT;
		at += moved;
		app_addr += moved;
		n -= moved;
	}
	return alive(s) ? 0 : -ESRCH;
}
