/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * vgpu: virtual GPUs. The contract between the kernel module and user space,
 * and between the two sides of a channel, whoever gives them their memory.
 *
 *	/dev/vgpuN	a virtual GPU. A process that uses it makes a channel.
 *	/dev/vgpuctl	for the one daemon that accepts channels.
 *	"vgpu"		generic netlink family for management.
 *
 * Rules that hold throughout: flags and reserved words that are not described
 * must be zero (-EINVAL); a field is read by the kernel unless it is marked
 * "out"; integers are in the machine's order; sizes and offsets never change.
 */
#ifndef _UAPI_LINUX_VGPU_H
#define _UAPI_LINUX_VGPU_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VGPU_PAGE_SIZE		4096

/* ==== the memory of a channel ==== */

/*
 * A channel is two control pages and four single-producer rings, in two halves,
 * each one piece of memory that one side writes and the other side reads:
 *
 *	written by the app	written by the peer
 *	ctrl.app		ctrl.peer
 *	sq	commands	cq	completions and notices
 *	up	bulk bytes	down	bulk bytes
 *
 * sq and cq hold records, up and down the bytes that records of sq and cq
 * refer to. A half is a page and the sizes of its two rings long.
 *
 * A head or tail counts bytes since the channel was made. It never wraps and
 * never moves back; the byte it names lies at (position & (size - 1)) of its
 * ring. The producer stores the tail with release semantics after the bytes
 * before it; the consumer loads it with acquire semantics, and the same goes
 * for the head in the other direction. tail - head never exceeds the size.
 *
 * A side that goes to sleep sets its own sleep word, makes a full memory
 * barrier, looks at the other side's positions once more, and only then
 * waits. A side that moved a position makes a full barrier, reads the other
 * side's sleep word and rings its bell if it is set. No sleeper, no bell.
 *
 * Nobody may trust a word that the other side can write: read it once, check
 * the copy, use the copy. The kernel never looks at any of it.
 */

/* Ring sizes are powers of two of bytes between these bounds. */
#define VGPU_RING_MIN		4096
#define VGPU_RING_MAX		(64u << 20)

/*
 * A sleep word is zero, or VGPU_SLEEP with a count of the sleeps above it, so
 * that it differs from one sleep to the next: one bell for a value is enough.
 * VGPU_SLEEP_ROOM is added if the sleeper also wants to hear of moved heads.
 */
#define VGPU_SLEEP		(1ull << 0)
#define VGPU_SLEEP_ROOM		(1ull << 1)
#define VGPU_SLEEP_COUNT	(1ull << 2)

/* Positions lie on lines of their own: two processors write side by side. */
struct vgpu_position {
	__u64	value;
	__u64	reserved[15];		/* zero */
};

struct vgpu_ctrl_app {
	struct vgpu_position	sq_tail;
	struct vgpu_position	up_tail;
	struct vgpu_position	cq_head;
	struct vgpu_position	down_head;
	struct vgpu_position	sleep;	/* nonzero: the app waits for its bell */
};

struct vgpu_ctrl_peer {
	struct vgpu_position	cq_tail;
	struct vgpu_position	down_tail;
	struct vgpu_position	sq_head;
	struct vgpu_position	up_head;
	struct vgpu_position	sleep;	/* nonzero: the peer waits for its bell */
};

/* Sizes of the four rings in bytes, as the app asked for them at set-up. */
struct vgpu_ring_sizes {
	__u32	sq;
	__u32	cq;
	__u32	up;
	__u32	down;
};

/*
 * Offsets for mmap(2) of a descriptor of a channel, on either side. MAP_SHARED,
 * the exact offset and the exact length are required (-EINVAL); no PROT_EXEC
 * (-EACCES); not of a channel that is lost (-EPIPE).
 *
 * A half that the other side writes can be mapped with PROT_READ only and never
 * be made writable (-EACCES); but a peer with CAP_SYS_ADMIN may map the app's
 * half writable, since ibv_reg_mr(3) needs that before Linux 6.2. A mapping of
 * a half cannot be split: parts of it cannot be unmapped or given other
 * protections (-EINVAL). It does not grow, is not inherited by a fork child
 * (unless the app asks for that by madvise(MADV_DOFORK)), nor in core dumps.
 *
 * The handle of a page-locked buffer is its offset, a multiple of
 * VGPU_MMAP_HOSTMEM and never zero. Both sides may write it, parts of it may be
 * unmapped or protected, and a fork child shares it. It does not grow and is
 * not in core dumps. -ENOENT if there is no such handle.
 */
#define VGPU_MMAP_APP		0ull
#define VGPU_MMAP_PEER		(1ull << 36)
#define VGPU_MMAP_HOSTMEM	(1ull << 40)

/* ==== a channel's life ==== */

/*
 *	     setup                accept               app's end,
 *	app ------> WAITING ------------------> ACTIVE ----------------> LOST
 *	               |                        |  ^    peer's end, LOSE  ^
 *	               |     peer's end, with   |  | accept               |
 *	               |     a cookie set       v  |                      |
 *	               |                       FROZEN                     |
 *	               +--------------------------+-----------------------+
 *	                app's end, or not accepted within accept_timeout
 *
 * The app's end is the first close of a descriptor of the channel in the table
 * of descriptors that its process had at set-up, be it by its exit (of all that
 * share the table, see CLONE_FILES in clone(2)); what a fork child or another
 * process has of it does not matter. The peer's end is the last close of its
 * descriptor and mappings. LOST is final: every wait returns -EPIPE.
 */
enum vgpu_channel_state {
	VGPU_CHANNEL_WAITING,
	VGPU_CHANNEL_ACTIVE,
	VGPU_CHANNEL_FROZEN,
	VGPU_CHANNEL_LOST,
};

/* Devices of one channel, channels of one device, devices there can be. */
#define VGPU_CHANNEL_DEVICES	16
#define VGPU_DEVICE_CHANNELS	1024
#define VGPU_MINORS	1024

/* Bits of "features": what this kernel knows beyond this description. None yet. */
#define VGPU_FEATURES		0ull

#define VGPU_IOC		0xBB

/* ==== /dev/vgpuN: the app's side ==== */

/*
 * open(2) for reading and writing (-EACCES); -ENODEV while it is being removed.
 * What is not described here is -ENOTTY; a pointer that is wrong, -EFAULT. Before
 * set-up everything else is -ENOTCONN, and poll(2) says EPOLLERR.
 *
 * VGPU_IOC_SETUP: make the descriptor of an open /dev/vgpuN that of a channel.
 * @devices names further devices by descriptors of them that the caller has
 * open, which proves that it may use them; all of them or none are taken, and
 * their descriptors are not needed afterwards. The memory is charged to the
 * caller's cgroup and to the budget of the descriptor's device.
 *
 * From here on only the process that called this may use the descriptor for
 * ioctl(2) and mmap(2) (-EPERM for others).
 *
 *	-EBUSY		the descriptor has a channel
 *	-EINVAL		ring sizes; flags; more devices than a channel can have
 *	-EBADF		an entry of @devices is not a descriptor of /dev/vgpuN
 *	-EEXIST		a device is named twice
 *	-ENODEV		a device is being removed
 *	-EHOSTDOWN	no daemon has /dev/vgpuctl open
 *	-EUSERS		a device has VGPU_DEVICE_CHANNELS channels
 *	-EDQUOT		the budget of a channel, of the device, or of the host
 *			(module parameter memory_percent)
 *	-ENOMEM, -EINTR	(the caller is being killed)
 */
struct vgpu_ioc_setup {
	__u64			devices;	/* of __s32[ndevices], user pointer */
	__u32			ndevices;	/* 0 .. VGPU_CHANNEL_DEVICES - 1 */
	__u32			flags;
	struct vgpu_ring_sizes	sizes;
	__u64			features;	/* out */
	__u64			channel;	/* out: number of it, as events name it */
};

#define VGPU_IOC_SETUP		_IOWR(VGPU_IOC, 0x01, struct vgpu_ioc_setup)

/*
 * VGPU_IOC_HOSTMEM_ALLOC: a page-locked buffer of @size bytes, zeroed, for both
 * sides to map. It is charged as the rings are, until it was freed and the last
 * mapping is gone.
 *	-EINVAL		size is zero, not a multiple of the page size, or not
 *			below VGPU_MMAP_HOSTMEM; flags
 *	-EDQUOT, -ENOMEM, -EINTR, -ENOSPC (65535 buffers are there)
 *	-EPIPE		the channel is lost
 */
struct vgpu_ioc_hostmem_alloc {
	__u64	size;
	__u64	handle;			/* out: for mmap, and to name it to the peer */
	__u32	flags;
	__u32	reserved;
};

#define VGPU_IOC_HOSTMEM_ALLOC	_IOWR(VGPU_IOC, 0x02, struct vgpu_ioc_hostmem_alloc)

/*
 * VGPU_IOC_HOSTMEM_FREE: forget the handle; mappings keep the memory.
 *	-ENOENT		no such handle
 */
struct vgpu_ioc_hostmem_free {
	__u64	handle;
};

#define VGPU_IOC_HOSTMEM_FREE	_IOW(VGPU_IOC, 0x03, struct vgpu_ioc_hostmem_free)

/*
 * VGPU_IOC_REGISTER: let the peer read and write [@addr, @addr + @size) of the
 * caller's memory by VGPU_IOC_COPY. Whatever lies there then is what is
 * copied; nothing is pinned. VGPU_IOC_UNREGISTER: no longer; of a copy that is
 * under way at most the next 128 KiB are still copied. The app's end has the
 * same effect.
 *	-EINVAL		empty, or not within the address space; flags
 *	-EEXIST		overlaps a registered range
 *	-ENOSPC		65536 ranges are registered
 *	-ENOMEM
 *	-ENOENT		(unregister) no range is registered at exactly @addr, @size
 */
struct vgpu_ioc_appmem {
	__u64	addr;
	__u64	size;
	__u32	flags;
	__u32	reserved;
};

#define VGPU_IOC_REGISTER	_IOW(VGPU_IOC, 0x04, struct vgpu_ioc_appmem)
#define VGPU_IOC_UNREGISTER	_IOW(VGPU_IOC, 0x05, struct vgpu_ioc_appmem)

/* ==== both sides ==== */

/*
 * VGPU_IOC_BELL: ring. The argument is a value, not a pointer: which side's
 * bell. Each side has a count of how often it was rung, which only grows.
 *	-EINVAL		another value
 *	-EPIPE		the channel is lost
 */
#define VGPU_BELL_OTHER		0
#define VGPU_BELL_OWN		1
#define VGPU_IOC_BELL		_IO(VGPU_IOC, 0x10)

/*
 * VGPU_IOC_WAIT: sleep until the count of the own bell is not @bells, and take
 * it. A count that was already different returns at once, so a bell between
 * a look at the rings and this call is not lost. A new channel's counts are 0;
 * those of a frozen one go on.
 *	-ETIME		@deadline passed (@bells is unchanged)
 *	-EPIPE		the channel is lost; bells do not matter any more
 *	-EINVAL		flags, or @deadline is negative
 *	-EINTR		a signal, unless its handler has SA_RESTART
 *
 * poll(2): readable when the count differs from the last one taken by a wait of
 * this side; readable, hung up and in error when the channel is lost.
 */
struct vgpu_ioc_wait {
	__u64	bells;			/* in: last seen; out: now */
	__s64	deadline;		/* ns of CLOCK_MONOTONIC */
	__u32	flags;
	__u32	state;			/* out, of success: enum vgpu_channel_state */
};

#define VGPU_WAIT_FOREVER	0x7fffffffffffffffll
#define VGPU_IOC_WAIT		_IOWR(VGPU_IOC, 0x11, struct vgpu_ioc_wait)

/* ==== the peer's side: descriptors that VGPU_CTL_ACCEPT returns ==== */

/* What the daemon keeps with a channel, to find its session after a restart. */
struct vgpu_cookie {
	__u8	bytes[64];		/* all zero: none */
};

/*
 * VGPU_IOC_INFO: whose channel this is. @pid is as the caller's pid namespace
 * sees it, 0 if it does not or the app is gone; @uid and @gid as its user
 * namespace does. The first device is that of the descriptor that was set up.
 * The cookie is zero for a caller without CAP_SYS_ADMIN.
 */
struct vgpu_ioc_info {
	__u64			channel;
	__u64			features;
	struct vgpu_ring_sizes	sizes;
	__u32			state;		/* enum vgpu_channel_state */
	__u32			pid;		/* thread group */
	__u32			uid;		/* effective, at set-up */
	__u32			gid;
	__u32			ndevices;
	__u32			reserved;	/* zero */
	__u32			devices[VGPU_CHANNEL_DEVICES];	/* N of /dev/vgpuN */
	struct vgpu_cookie	cookie;
};

#define VGPU_IOC_INFO		_IOR(VGPU_IOC, 0x20, struct vgpu_ioc_info)

/*
 * VGPU_IOC_COOKIE: with a cookie the peer's end freezes the channel, and the
 * next accept gives it to a new peer with the cookie; without one it loses it.
 */
#define VGPU_IOC_COOKIE		_IOW(VGPU_IOC, 0x21, struct vgpu_cookie)

/* VGPU_IOC_LOSE: the session is over, the channel is lost. No argument. */
#define VGPU_IOC_LOSE		_IO(VGPU_IOC, 0x22)

/*
 * VGPU_IOC_COPY: copy @length bytes between the caller's memory at @local and
 * the app's at @app, which must lie in one registered range. What it copied
 * before an error is not told. It takes as long as the app's memory takes to be
 * read or written, which is as long as the app likes if a file system of its own
 * is behind it: not for a thread that serves other apps.
 *	-EPERM		not, or no longer, within one registered range
 *	-EFAULT		either side cannot be read or written
 *	-ESRCH		the app's address space is gone
 *	-EPIPE		the channel is lost
 *	-EINVAL		flags
 *	-ENOMEM, -EINTR	(the caller is being killed)
 */
#define VGPU_COPY_TO_APP	(1u << 0)	/* else from it */
struct vgpu_ioc_copy {
	__u64	app;
	__u64	local;
	__u64	length;
	__u32	flags;
	__u32	reserved;
};

#define VGPU_IOC_COPY		_IOW(VGPU_IOC, 0x23, struct vgpu_ioc_copy)

/* ==== /dev/vgpuctl ==== */

/*
 * Opening needs CAP_SYS_ADMIN (-EPERM); one open file at a time (-EBUSY), however
 * many descriptors and processes it has.
 *
 * VGPU_CTL_ACCEPT: the oldest channel that is waiting or frozen becomes active;
 * returns the descriptor of its peer's side, close-on-exec, which may be passed
 * on. The argument is a value and zero (-EINVAL).
 *	-EAGAIN		there is none; poll(2) says readable when there is
 *	-EMFILE, -ENFILE, -ENOMEM; no channel is taken then
 */
#define VGPU_CTL_ACCEPT		_IO(VGPU_IOC, 0x40)

/* ==== generic netlink ==== */

/*
 * Initial network namespace only. Commands that change need CAP_SYS_ADMIN in
 * the initial user namespace (-EPERM); what is told is for everybody there, as
 * sysfs is. Attributes that a command does not take are refused (-EINVAL), and
 * strings that are too long (-EINVAL, -ERANGE) or not printable ASCII (-EINVAL). Events go
 * to the group VGPU_GENL_EVENTS, those of one device or channel in the order in
 * which things happened; -ENOBUFS from recv(2) says that some are missing.
 */
#define VGPU_GENL_NAME		"vgpu"
#define VGPU_GENL_VERSION	1
#define VGPU_GENL_EVENTS	"events"

#define VGPU_NAME_MAX		63	/* bytes, without the final NUL */
#define VGPU_BACKEND_MAX	127

enum vgpu_cmd {
	VGPU_CMD_UNSPEC,
	/*
	 * Make a device: DEVICE (else the lowest free one), NAME, UUID (else a
	 * random one), BACKEND, MEMORY, BUDGET, CHANNEL_BUDGET, all optional.
	 * Answers as GET does.
	 *	-EEXIST		the number or the UUID is taken
	 *	-EINVAL		the number is VGPU_MINORS or above
	 *	-ENOSPC		there are VGPU_MINORS
	 */
	VGPU_CMD_DEVICE_NEW,
	/*
	 * Remove DEVICE. -EINVAL without one, -ENODEV; -EBUSY while it is open
	 * or a channel uses it.
	 */
	VGPU_CMD_DEVICE_DEL,
	/*
	 * All attributes of DEVICE (-ENODEV), or, as a dump, of all devices; one
	 * during which devices came or went has NLM_F_DUMP_INTR.
	 */
	VGPU_CMD_DEVICE_GET,
	/*
	 * Change what is given of NAME, BACKEND, MEMORY, BUDGET and, for channels
	 * to come, CHANNEL_BUDGET. A budget below what is in use refuses more.
	 */
	VGPU_CMD_DEVICE_SET,

	/* Events of a device, or of its state, carry what GET answers, */
	VGPU_CMD_DEVICE_NEW_NTF,
	VGPU_CMD_DEVICE_DEL_NTF,
	VGPU_CMD_DEVICE_SET_NTF,
	/* those of a channel DEVICE, its first, CHANNEL and CHANNEL_STATE. */
	VGPU_CMD_CHANNEL_OPEN_NTF,
	VGPU_CMD_CHANNEL_CHANGE_NTF,	/* accepted, frozen or lost */
	VGPU_CMD_CHANNEL_CLOSE_NTF,

	__VGPU_CMD_MAX
};

#define VGPU_CMD_MAX		(__VGPU_CMD_MAX - 1)

enum vgpu_attr {
	VGPU_ATTR_UNSPEC,
	VGPU_ATTR_PAD,
	VGPU_ATTR_DEVICE,		/* u32: N of /dev/vgpuN */
	VGPU_ATTR_NAME,			/* string, of the GPU's model */
	VGPU_ATTR_UUID,			/* 16 bytes, in the order they are printed */
	VGPU_ATTR_STATE,		/* u32: enum vgpu_device_state */
	VGPU_ATTR_BACKEND,		/* string: where its GPU is; the daemon's affair */
	VGPU_ATTR_MEMORY,		/* u64, bytes of the GPU's memory */
	/* Host memory: u64, bytes; 0 is a quarter of the host's for a budget. */
	VGPU_ATTR_BUDGET,		/* for all channels of the device together */
	VGPU_ATTR_CHANNEL_BUDGET,	/* for one channel */
	VGPU_ATTR_CHARGED,		/* out: bytes in use now */
	/* Counters, out, u64 */
	VGPU_ATTR_CHANNELS,		/* there are now */
	VGPU_ATTR_CHANNELS_TOTAL,	/* were set up */
	VGPU_ATTR_CHANNELS_LOST,	/* by their peer, or for want of one */
	VGPU_ATTR_COPIED,		/* bytes by VGPU_IOC_COPY, at a channel's first */
	/* Of events */
	VGPU_ATTR_CHANNEL,		/* u64 */
	VGPU_ATTR_CHANNEL_STATE,	/* u32: enum vgpu_channel_state */

	__VGPU_ATTR_MAX
};

#define VGPU_ATTR_MAX		(__VGPU_ATTR_MAX - 1)

enum vgpu_device_state {
	VGPU_DEVICE_UNBOUND,		/* no backend */
	VGPU_DEVICE_DOWN,		/* no daemon has /dev/vgpuctl open */
	VGPU_DEVICE_READY,
};

#endif /* _UAPI_LINUX_VGPU_H */
