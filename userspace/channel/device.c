// SPDX-License-Identifier: MIT
/*
 * The backend over the kernel module: its memory, bells and end of life are
 * those of a descriptor of /dev/vgpuN (the app) or of one that /dev/vgpuctl
 * gave out (the peer). Which nodes there are is nodes.c's.
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel/internal.h"

_Static_assert(NEVER == VGPU_WAIT_FOREVER, "deadlines are the module's");

struct device_channel {
	struct vgpu_channel	ch;
	int			fd;
	struct stat		node;	/* of fd when it was ours for sure */
	uint64_t		bells;	/* last seen; whoever is in sleep() has it */
};

static struct device_channel *to_device(struct vgpu_channel *ch)
{
	return (struct device_channel *)ch;	/* ch is its first member */
}

/* ---- bells ---- */

/* Lost is the only error there is, and wait says so. */
static void bell(struct vgpu_channel *ch)
{
	ioctl(to_device(ch)->fd, VGPU_IOC_BELL, VGPU_BELL_OTHER);
}

static void poke(struct vgpu_channel *ch)
{
	ioctl(to_device(ch)->fd, VGPU_IOC_BELL, VGPU_BELL_OWN);
}

static int sleep_on(struct vgpu_channel *ch, int64_t deadline)
{
	struct device_channel *d = to_device(ch);
	struct vgpu_ioc_wait wait = { .bells = d->bells, .deadline = deadline };

	while (ioctl(d->fd, VGPU_IOC_WAIT, &wait)) {
		if (errno == ETIME)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -EPIPE;
	}
	d->bells = wait.bells;
	return 0;
}

static int bell_fd(const struct vgpu_channel *ch)
{
	return ((const struct device_channel *)ch)->fd;
}

/* A deadline that has passed: whatever the bells are, this returns. */
static int take_bells(struct vgpu_channel *ch)
{
	int err = sleep_on(ch, 0);

	return err == -ETIMEDOUT ? 0 : err;
}

/* ---- host memory ---- */

/* As far as a number tells: a half must not be mapped by the name of a buffer. */
static bool is_handle(uint64_t handle)
{
	return handle && handle % VGPU_MMAP_HOSTMEM == 0 && handle <= INT64_MAX;
}

static void hostmem_forget(struct vgpu_channel *ch, uint64_t handle)
{
	struct vgpu_ioc_hostmem_free free = { .handle = handle };

	ioctl(to_device(ch)->fd, VGPU_IOC_HOSTMEM_FREE, &free);
}

static int hostmem_create(struct vgpu_channel *ch, size_t size, void **addr,
			  uint64_t *handle)
{
	struct vgpu_ioc_hostmem_alloc alloc = { .size = size };
	int fd = to_device(ch)->fd, err;

	if (ioctl(fd, VGPU_IOC_HOSTMEM_ALLOC, &alloc))
		return -errno;
	err = vgpu_memory_map_hostmem(fd, alloc.handle, size, NULL, addr);
	if (err)
		hostmem_forget(ch, alloc.handle);
	else
		*handle = alloc.handle;
	return err;
}

static int hostmem_map(struct vgpu_channel *ch, uint64_t handle, size_t size,
		       void *hint, void **addr)
{
	if (!is_handle(handle))
		return -ENOENT;
	return vgpu_memory_map_hostmem(to_device(ch)->fd, handle, size, hint, addr);
}

/* ---- the app's own memory ---- */

static int appmem(struct vgpu_channel *ch, unsigned long request, uint64_t addr,
		  size_t size)
{
	struct vgpu_ioc_appmem range = { .addr = addr, .size = size };

	return ioctl(to_device(ch)->fd, request, &range) ? -errno : 0;
}

static int appmem_register(struct vgpu_channel *ch, uint64_t addr, size_t size)
{
	return appmem(ch, VGPU_IOC_REGISTER, addr, size);
}

static int appmem_unregister(struct vgpu_channel *ch, uint64_t addr, size_t size)
{
	return appmem(ch, VGPU_IOC_UNREGISTER, addr, size);
}

static int app_copy(struct vgpu_channel *ch, void *local, uint64_t app_addr, size_t n,
		    bool write)
{
	struct vgpu_ioc_copy copy = {
		.app = app_addr, .local = (uintptr_t)local, .length = n,
		.flags = write ? VGPU_COPY_TO_APP : 0,
	};

	return ioctl(to_device(ch)->fd, VGPU_IOC_COPY, &copy) ? -errno : 0;
}

/* ---- life ---- */

static void release(struct device_channel *d, bool unmap)
{
	if (d->ch.memory)
		vgpu_channel_fini(&d->ch, unmap);
	close(d->fd);
	free(d);
}

/* A program may have closed what it does not know, and have the number for a file of its own. */
static bool still_ours(const struct device_channel *d)
{
	struct stat now;

	return !fstat(d->fd, &now) && now.st_dev == d->node.st_dev &&
	       now.st_ino == d->node.st_ino && now.st_rdev == d->node.st_rdev;
}

/*
 * The app's close is its end. The peer's would be so only with its last mapping
 * and duplicate, and would freeze a channel that has a cookie.
 */
static void close_channel(struct vgpu_channel *ch)
{
	if (ch->side == VGPU_SIDE_PEER)
		ioctl(to_device(ch)->fd, VGPU_IOC_LOSE, 0);
	release(to_device(ch), true);
}

/* Mappings are not inherited, and a child's close ends nothing. */
static void forget_channel(struct vgpu_channel *ch)
{
	struct device_channel *d = to_device(ch);

	if (!still_ours(d))
		d->fd = -1;
	release(d, false);
}

static const struct channel_ops device_ops = {
	.bell			= bell,
	.poke			= poke,
	.sleep			= sleep_on,
	.bell_fd		= bell_fd,
	.take_bells		= take_bells,
	.hostmem_create		= hostmem_create,
	.hostmem_forget		= hostmem_forget,
	.hostmem_map		= hostmem_map,
	.appmem_register	= appmem_register,
	.appmem_unregister	= appmem_unregister,
	.app_copy		= app_copy,
	.close			= close_channel,
	.forget			= forget_channel,
};

static struct device_channel *new_channel(enum vgpu_side side, int fd)
{
	struct device_channel *d = vgpu_channel_alloc(sizeof(*d), &device_ops, side);

	if (!d)
		return NULL;
	d->fd = fd;
	fstat(fd, &d->node);
	return d;
}

static int use_memory(struct device_channel *d, const struct vgpu_ring_sizes *sizes)
{
	static const uint64_t offset[2] = {
		[VGPU_SIDE_APP] = VGPU_MMAP_APP, [VGPU_SIDE_PEER] = VGPU_MMAP_PEER,
	};
	struct channel_memory *memory;
	int err = vgpu_memory_map(&memory, d->fd, offset, sizes, 1u << d->ch.side);

	if (err)
		return err;
	vgpu_channel_init(&d->ch, memory, sizes);
	vgpu_memory_put(memory, true);
	return 0;
}

/* ---- app ---- */

static int set_up(int fd, const int *more, unsigned int n, const struct vgpu_ring_sizes *sizes)
{
	struct vgpu_ioc_setup setup = {
		.devices = (uintptr_t)more, .ndevices = n, .sizes = *sizes,
	};

	return ioctl(fd, VGPU_IOC_SETUP, &setup) ? -errno : 0;
}

/* A channel of fds[0], which it owns when this is done; all others are closed. */
static struct device_channel *own_first(const int *fds, unsigned int n)
{
	struct device_channel *d = new_channel(VGPU_SIDE_APP, fds[0]);

	if (!d)
		close(fds[0]);
	while (n-- > 1)
		close(fds[n]);
	return d;
}

int vgpu_channel_open(struct vgpu_channel **out, const int *fds, unsigned int n,
		      const struct vgpu_ring_sizes *sizes,
		      const void *hello, size_t hello_len,
		      void *answer, size_t *answer_len, int timeout_ms)
{
	int64_t deadline = clock_deadline(timeout_ms);
	struct device_channel *d;
	int err;

	if (!n)
		return -EINVAL;
	err = set_up(fds[0], fds + 1, n - 1, sizes);
	d = own_first(fds, n);
	if (!d)
		return -ENOMEM;
	if (!err)
		err = use_memory(d, sizes);
	if (!err)
		err = vgpu_greeting_send(&d->ch, VGPU_OP_HELLO, hello, hello_len);
	if (!err)
		err = vgpu_greeting_await(&d->ch, VGPU_OP_ANSWER, answer, answer_len,
					  deadline);
	if (err)
		release(d, true);
	else
		*out = &d->ch;
	return err;
}

/* ---- peer ---- */

static int adopt(struct device_channel *d)
{
	struct vgpu_ioc_info info;

	if (ioctl(d->fd, VGPU_IOC_INFO, &info))
		return -errno;
	if (!vgpu_memory_half(&info.sizes, VGPU_SIDE_PEER))
		return -EINVAL;
	d->ch.pid = info.pid;
	return use_memory(d, &info.sizes);
}

int vgpu_device_take(struct vgpu_channel **out, int fd)
{
	struct device_channel *d = new_channel(VGPU_SIDE_PEER, fd);
	int err;

	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	err = adopt(d);
	if (err)
		release(d, true);
	else
		*out = &d->ch;
	return err;
}

int vgpu_channel_adopt(struct vgpu_channel **out, int fd, void *hello,
		       size_t *hello_len, int timeout_ms)
{
	int64_t deadline = clock_deadline(timeout_ms);
	struct vgpu_channel *ch;
	int err = vgpu_device_take(&ch, fd);

	if (err)
		return err;
	err = vgpu_greeting_await(ch, VGPU_OP_HELLO, hello, hello_len, deadline);
	if (err)
		release(to_device(ch), true);
	else
		*out = ch;
	return err;
}
