// SPDX-License-Identifier: MIT
/*
 * Host memory both sides see, over the socket: a sealed memfd for each piece,
 * announced by a message before the record that names its handle is sent.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "channel/message.h"
#include "channel/socket.h"

/* A peer that does not read for so long is as good as dead. */
#define ANNOUNCE_MS	10000

static int announce(struct socket_channel *s, int fd, uint64_t handle, size_t size)
{
	struct message_hostmem body = { .handle = handle, .size = size };
	struct message m = {
		.kind = MESSAGE_HOSTMEM, .body = &body, .length = sizeof(body),
		.fds = { fd }, .nfds = 1,
	};

	return vgpu_message_send(s->sock, &m, clock_deadline(ANNOUNCE_MS));
}

/*
 * The mapping is not MADV_DONTFORK: to a program this is memory, and a child
 * may read what its parent allocated.
 */
int vgpu_socket_hostmem_create(struct vgpu_channel *ch, size_t size, void **addr,
			       uint64_t *handle)
{
	struct socket_channel *s = to_socket(ch);
	int fd = vgpu_memory_make("vgpu-hostmem", size), err;
	void *at;

	if (fd < 0)
		return fd;
	err = vgpu_memory_map_hostmem(fd, 0, size, NULL, &at);
	if (err)
		goto close_fd;
	*handle = __atomic_add_fetch(&s->last_handle, 1, __ATOMIC_RELAXED);
	err = announce(s, fd, *handle, size);
	if (err)
		munmap(at, size);
	else
		*addr = at;
close_fd:
	close(fd);
	return err;
}

/* The caller holds unclaimed_lock for this and the next two. */
static struct unclaimed *find(struct socket_channel *s, uint64_t handle)
{
	for (int i = 0; i < s->unclaimed_count; i++)
		if (s->unclaimed[i].handle == handle)
			return &s->unclaimed[i];
	return NULL;
}

/* Take one message that waits: 0; -EAGAIN: none does; else the channel is lost. */
static int receive(struct socket_channel *s)
{
	struct message_hostmem body;
	struct message m = {
		.kind = MESSAGE_HOSTMEM, .body = &body, .length = sizeof(body), .nfds = 1,
	};
	int err = vgpu_message_receive(s->sock, &m, 0);

	if (err == -ETIMEDOUT)
		return -EAGAIN;
	if (err == -EPROTO)
		return vgpu_channel_fail(&s->ch, "malformed message on the socket");
	if (err) {
		vgpu_channel_lose(&s->ch);
		return -EPIPE;
	}
	if (find(s, body.handle) || s->unclaimed_count == UNCLAIMED_MAX) {
		close(m.fds[0]);
		return vgpu_channel_fail(&s->ch, "host memory announced wrongly or too often");
	}
	s->unclaimed[s->unclaimed_count++] = (struct unclaimed){
		.handle = body.handle, .size = body.size, .fd = m.fds[0],
	};
	return 0;
}

/* The descriptor announced as @handle, which becomes the caller's. */
static int claim(struct socket_channel *s, uint64_t handle, size_t size)
{
	struct unclaimed *u;
	int err = 0, fd;

	while (!(u = find(s, handle)) && !err)
		err = receive(s);
	if (!u)
		return err == -EAGAIN ? -ENOENT : err;
	fd = u->fd;
	err = u->size == size ? 0 : -EINVAL;
	*u = s->unclaimed[--s->unclaimed_count];
	if (!err)
		err = vgpu_memory_check(fd, size);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int take(struct socket_channel *s, struct unclaimed *u)
{
	int err;

	pthread_mutex_lock(&s->unclaimed_lock);
	err = s->unclaimed_count ? 0 : receive(s);
	if (!err)
		*u = s->unclaimed[--s->unclaimed_count];
	pthread_mutex_unlock(&s->unclaimed_lock);
	return err;
}

int vgpu_socket_hostmem_take(struct vgpu_channel *ch, uint64_t *handle, uint64_t *size,
			     void **addr)
{
	struct unclaimed u;
	int err = take(to_socket(ch), &u);

	if (err)
		return err == -EAGAIN ? 0 : err;
	err = vgpu_memory_check(u.fd, u.size);
	if (!err)
		err = vgpu_memory_map_hostmem(u.fd, 0, u.size, NULL, addr);
	close(u.fd);
	*handle = u.handle;
	*size = u.size;
	return err ? err : 1;
}

int vgpu_socket_hostmem_map(struct vgpu_channel *ch, uint64_t handle, size_t size,
			    void *hint, void **addr)
{
	struct socket_channel *s = to_socket(ch);
	int fd, err;

	pthread_mutex_lock(&s->unclaimed_lock);
	fd = claim(s, handle, size);
	pthread_mutex_unlock(&s->unclaimed_lock);
	if (fd < 0)
		return fd;
	err = vgpu_memory_map_hostmem(fd, 0, size, hint, addr);
	close(fd);
	return err;
}
