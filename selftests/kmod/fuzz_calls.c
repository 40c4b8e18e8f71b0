// SPDX-License-Identifier: MIT
/* Calls on descriptors of devices, channels and /dev/vgpuctl; see fuzz.h. */
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "fuzz.h"

#define SIDES	(APP | PEER)

/* ---- devices and channels ---- */

static void open_device(struct fuzz *f)
{
	static const int flags[] = { O_RDWR, O_RDONLY, O_WRONLY, O_RDWR | O_NONBLOCK };
	int flag = flags[percent(f, 95) ? 0 : below(f, 4)] | (percent(f, 50) ? O_CLOEXEC : 0);
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/vgpu%u", (unsigned int)below(f, NODES));
	fd = open(path, flag);
	/* ENXIO: the node is older than its device's end. */
	judge(f, path, fd < 0 ? -errno : 0, ENOENT, ENXIO, ENODEV, EACCES, ENOMEM, EINTR, 0);
	if (fd >= 0 && (flag & O_ACCMODE) != O_RDWR)
		wrong(f, "a device is open for half", fd);
	if (fd >= 0)
		keep(f, fd, DEVICE);
}

static void open_ctl(struct fuzz *f)
{
	int fd = open("/dev/vgpuctl", O_RDWR | (percent(f, 50) ? O_CLOEXEC : 0));

	judge(f, "open", fd < 0 ? -errno : 0, EBUSY, ENOMEM, EINTR, 0);
	if (fd >= 0)
		keep(f, fd, CTL);
}

static uint32_t ring_size(struct fuzz *f)
{
	return mostly(f, VGPU_RING_MIN << (percent(f, 90) ? below(f, 4) : below(f, 16)));
}

static void set_up_channel(struct fuzz *f)
{
	struct thing *thing = pick(f, percent(f, 90) ? DEVICE : DEVICE | APP);
	__s32 more[20];
	struct vgpu_ioc_setup setup = {
		.devices = mostly(f, (uintptr_t)more),
		.ndevices = mostly(f, percent(f, 80) ? 0 : below(f, 4)),
		.flags = mostly(f, 0),
		.sizes = { ring_size(f), ring_size(f), ring_size(f), ring_size(f) },
	};

	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++)
		more[i] = pick_fd(f, DEVICE);
	if (!thing)
		return;
	if (do_ioctl(f, thing->fd, VGPU_IOC_SETUP, &setup, sizeof(setup), EBUSY, EINVAL, EEXIST,
		     ENODEV, EHOSTDOWN, EUSERS, EDQUOT, ENOMEM, EFAULT, 0) < 0)
		return;
	if (setup.flags || setup.ndevices >= VGPU_CHANNEL_DEVICES)
		wrong(f, "set-up took what it does not know", setup.flags);
	thing->sizes = setup.sizes;
	thing->kind = APP;
}

static void accept_one(struct fuzz *f)
{
	uint64_t flags = mostly(f, 0);
	int fd = do_value(f, pick_fd(f, CTL), VGPU_CTL_ACCEPT, flags, EAGAIN, EINVAL, EMFILE,
			  ENFILE, ENOMEM, 0);
	struct vgpu_ioc_info info = {};
	struct thing *thing;

	if (fd < 0)
		return;
	if (flags)
		wrong(f, "accept took what it does not know", flags);
	thing = keep(f, fd, PEER);
	if (!call(fd, VGPU_IOC_INFO, &info))
		thing->sizes = info.sizes;
}

/* ---- bells ---- */

static void ring(struct fuzz *f)
{
	do_value(f, pick_fd(f, SIDES), VGPU_IOC_BELL, mostly(f, below(f, 2)), EINVAL, EPIPE, 0);
}

static void wait_some_time(struct fuzz *f)
{
	struct vgpu_ioc_wait wait = {
		.bells = percent(f, 80) ? f->seen : rnd(f),
		.deadline = from_now(below(f, 4) * MS / 2),
		.flags = mostly(f, 0),
	};

	/* A timer ticks, for the first thread: that one ends too. */
	if (percent(f, 10) && !f->racing)
		wait.deadline = percent(f, 80) ? VGPU_WAIT_FOREVER : (int64_t)odd(f);
	if (!do_ioctl(f, pick_fd(f, SIDES), VGPU_IOC_WAIT, &wait, sizeof(wait), ETIME, EPIPE,
		      EINVAL, EINTR, EFAULT, 0))
		f->seen = wait.bells;
}

static void poll_some(struct fuzz *f)
{
	struct pollfd fds[3];

	for (int i = 0; i < 3; i++)
		fds[i] = (struct pollfd){ .fd = pick_fd(f, ANY), .events = POLLIN | POLLOUT };
	judge(f, "poll", poll(fds, 3, percent(f, 80) ? 0 : 2) < 0 ? -errno : 0, EINTR, ENOMEM, 0);
}

static void epoll_one(struct fuzz *f)
{
	struct epoll_event event = { .events = EPOLLIN | (percent(f, 50) ? EPOLLET : 0) };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	judge(f, "epoll", fd < 0 ? -errno : 0, ENOMEM, EMFILE, 0);
	if (fd < 0)
		return;
	if (!epoll_ctl(fd, EPOLL_CTL_ADD, pick_fd(f, ANY), &event))
		epoll_wait(fd, &event, 1, percent(f, 80) ? 0 : 2);
	if (percent(f, 50))
		close(fd);
	else
		keep(f, fd, OTHER);
}

/* ---- page-locked buffers ---- */

static void alloc_buffer(struct fuzz *f)
{
	int fd = pick_fd(f, APP);
	struct vgpu_ioc_hostmem_alloc alloc = {
		.size = mostly(f, (1 + below(f, percent(f, 95) ? 16 : 1024)) * PAGE),
		.flags = mostly(f, 0), .reserved = mostly(f, 0),
	};

	if (do_ioctl(f, fd, VGPU_IOC_HOSTMEM_ALLOC, &alloc, sizeof(alloc), EINVAL,
		     EDQUOT, ENOMEM, ENOSPC, EPIPE, EFAULT, 0))
		return;
	if (alloc.flags || alloc.reserved || alloc.size % PAGE)
		wrong(f, "a buffer of what is not known", alloc.flags);
	f->buffers[below(f, HANDLES)] = (struct buffer){ alloc.handle, alloc.size, fd };
}

static void free_buffer(struct fuzz *f)
{
	struct buffer *buffer = &f->buffers[below(f, HANDLES)];
	uint64_t handle = buffer->handle ? buffer->handle :
					   (1 + below(f, 8)) * VGPU_MMAP_HOSTMEM;
	struct vgpu_ioc_hostmem_free old = { .handle = mostly(f, handle) };

	do_ioctl(f, percent(f, 70) ? buffer->fd : pick_fd(f, APP), VGPU_IOC_HOSTMEM_FREE, &old,
		 sizeof(old), ENOENT, EPIPE, EFAULT, 0);
}

/* ---- the app's memory ---- */

#define SLICE	(ARENA_SIZE / 8)	/* coarse, so that a range is found again */

static uintptr_t some_slice(struct fuzz *f, size_t size)
{
	return percent(f, 75) ? (uintptr_t)ARENA + below(f, 8) * SLICE :
				(uintptr_t)somewhere(f, size);
}

static struct vgpu_ioc_appmem some_range(struct fuzz *f)
{
	return (struct vgpu_ioc_appmem){
		.addr = some_slice(f, 1),
		.size = mostly(f, percent(f, 75) ? SLICE : 1 + below(f, ARENA_SIZE)),
		.flags = mostly(f, 0), .reserved = mostly(f, 0),
	};
}

static void register_range(struct fuzz *f)
{
	struct vgpu_ioc_appmem range = some_range(f);

	if (!do_ioctl(f, pick_fd(f, APP), VGPU_IOC_REGISTER, &range, sizeof(range), EINVAL,
		      EEXIST, ENOSPC, ENOMEM, EPIPE, EFAULT, 0) &&
	    (range.flags || range.reserved))
		wrong(f, "a range of what is not known", range.flags);
}

static void unregister_range(struct fuzz *f)
{
	struct vgpu_ioc_appmem range = some_range(f);

	do_ioctl(f, pick_fd(f, APP), VGPU_IOC_UNREGISTER, &range, sizeof(range), EINVAL, ENOENT,
		 EPIPE, EFAULT, 0);
}

static void copy_some(struct fuzz *f)
{
	uint64_t length = below(f, percent(f, 90) ? SLICE : ARENA_SIZE);
	struct vgpu_ioc_copy copy = {
		.app = some_slice(f, length), .local = (uintptr_t)somewhere(f, length),
		.length = mostly(f, length), .flags = mostly(f, below(f, 2)),
		.reserved = mostly(f, 0),
	};

	do_ioctl(f, pick_fd(f, PEER), VGPU_IOC_COPY, &copy, sizeof(copy), EPERM, EFAULT, ESRCH,
		 EPIPE, EINVAL, ENOMEM, 0);
}

/* ---- the peer's side ---- */

static void ask_info(struct fuzz *f)
{
	struct vgpu_ioc_info info = {};

	if (do_ioctl(f, pick_fd(f, PEER), VGPU_IOC_INFO, &info, sizeof(info), EFAULT, 0))
		return;
	if (info.reserved || info.ndevices > VGPU_CHANNEL_DEVICES ||
	    info.state > VGPU_CHANNEL_LOST)
		wrong(f, "that is no channel", info.state);
}

static void give_cookie(struct fuzz *f)
{
	struct vgpu_cookie cookie = { .bytes = { percent(f, 70) } };

	do_ioctl(f, pick_fd(f, PEER), VGPU_IOC_COOKIE, &cookie, sizeof(cookie), EPIPE, EFAULT, 0);
}

static void lose(struct fuzz *f)
{
	do_value(f, pick_fd(f, PEER), VGPU_IOC_LOSE, mostly(f, 0), EINVAL, 0);
}

/* ---- what is not for them ---- */

static void unknown_ioctl(struct fuzz *f)
{
	unsigned long cmd = percent(f, 70) ? _IOC(below(f, 4), VGPU_IOC, below(f, 256),
						  below(f, 256)) : odd(f);
	long result;

	/* Those that everybody has, and those that are known: they need their own care. */
	if (_IOC_TYPE(cmd) != VGPU_IOC || cmd == VGPU_CTL_ACCEPT || cmd == VGPU_IOC_SETUP)
		return;
	result = call(pick_fd(f, DEVICE | SIDES | CTL), cmd, somewhere(f, 64));
	judge(f, "ioctl", result < 0 ? result : 0, ENOTTY, EBADF, ENOTCONN, EPERM, EINVAL, EFAULT,
	      EPIPE, ENOENT, ENOMEM, ETIME, EEXIST, ENOSPC, EDQUOT, ESRCH, EINTR, 0);
}

static void read_or_write(struct fuzz *f)
{
	int fd = pick_fd(f, DEVICE | SIDES | CTL);
	char byte = 0;

	/* The parent's output is not to be written to. */
	if (fd <= 2)
		return;
	judge(f, "read", read(fd, &byte, 1) < 0 ? -errno : 0, EINVAL, EBADF, EAGAIN, EINTR, 0);
	judge(f, "write", write(fd, &byte, 1) < 0 ? -errno : 0, EINVAL, EBADF, EPIPE, EAGAIN,
	      EINTR, 0);
	judge(f, "seek", lseek(fd, 0, SEEK_CUR) < 0 ? -errno : 0, ESPIPE, EBADF, 0);
}

static void duplicate(struct fuzz *f)
{
	struct thing *thing = pick(f, ANY), old;
	int fd;

	if (!thing)
		return;
	old = *thing;
	fd = fcntl(old.fd, percent(f, 50) ? F_DUPFD : F_DUPFD_CLOEXEC, 3);
	judge(f, "dup", fd < 0 ? -errno : 0, EMFILE, EBADF, ENOMEM, 0);
	if (fd < 0)
		return;
	thing = keep(f, fd, old.kind);
	thing->sizes = old.sizes;
}

static void close_one(struct fuzz *f)
{
	struct thing *thing = pick(f, percent(f, 95) ? DEVICE | SIDES | OTHER : ANY);

	if (thing)
		forget(f, thing);
}

const struct op fuzz_calls[] = {
	OP("open a device", 30, open_device),
	OP("open ctl", 30, open_ctl),
	RACING_OP("SETUP", 70, set_up_channel),
	OP("ACCEPT", 60, accept_one),
	RACING_OP("BELL", 40, ring),
	RACING_OP("WAIT", 30, wait_some_time),
	RACING_OP("poll", 15, poll_some),
	OP("epoll", 8, epoll_one),
	RACING_OP("HOSTMEM_ALLOC", 40, alloc_buffer),
	RACING_OP("HOSTMEM_FREE", 25, free_buffer),
	RACING_OP("REGISTER", 35, register_range),
	RACING_OP("UNREGISTER", 30, unregister_range),
	RACING_OP("COPY", 60, copy_some),
	RACING_OP("INFO", 10, ask_info),
	RACING_OP("COOKIE", 15, give_cookie),
	OP("LOSE", 2, lose),
	RACING_OP("unknown ioctl", 10, unknown_ioctl),
	OP("read, write", 3, read_or_write),
	OP("dup", 10, duplicate),
	OP("close", 30, close_one),
	{}
};
