/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the module share. In the order of a channel's life:
 *
 *	device.c	virtual GPUs and what sysfs shows of them
 *	netlink.c	managing them, and events
 *	chardev.c	/dev/vgpuN: the app's descriptor
 *	channel.c	set-up, the states, the end
 *	pages.c		memory and who pays for it
 *	mmap.c		mapping it
 *	notify.c	bells
 *	hostmem.c	page-locked buffers
 *	copy.c		the app's registered memory
 *	ctl.c		/dev/vgpuctl: the daemon accepts
 *	peer.c		the peer's descriptor
 *
 * Locks, none of which is held while user memory is touched:
 *
 *	vgpu_devices_lock (mutex)	which devices there are
 *	vgpu_state_lock (mutex)		states of channels and who waits to be accepted
 *	  device->lock (mutex)		what can be set of a device; its users
 *	channel->hostmem.xa_lock	the handles of a channel
 *	channel->ranges.lock		its registered ranges
 */
#ifndef VGPU_INTERNAL_H
#define VGPU_INTERNAL_H

#include <linux/atomic.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/uuid.h>
#include <linux/vgpu.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#if PAGE_SIZE != VGPU_PAGE_SIZE
#error "vgpu needs a kernel with pages of 4 KiB"
#endif

#ifndef CONFIG_64BIT
#error "vgpu needs 64 bits, as CUDA's driver does: handles are file offsets"
#endif

struct vm_area_struct;

/* ---- pages.c ---- */

/* Bytes of host memory that may be in use, and are. */
struct vgpu_budget {
	atomic64_t	used;
	u64		limit;		/* 0: a quarter of the host's memory */
};

/*
 * Memory for one channel of one device: it counts for both and for the host.
 * 0, or -EDQUOT if it is too much for one of them.
 */
int vgpu_charge(struct vgpu_budget *channel, struct vgpu_budget *device, u64 bytes);
void vgpu_refund(struct vgpu_budget *channel, struct vgpu_budget *device, u64 bytes);

struct vgpu_pages {
	unsigned long	count;
	struct page	**page;
};

/*
 * @bytes (a multiple of the page size) of zeroed pages, charged to the caller's
 * cgroup: 0, -ENOMEM, or -EINTR if the caller is being killed.
 */
int vgpu_pages_alloc(struct vgpu_pages *pages, u64 bytes);
/* Mappings and registrations that others still have keep their pages. */
void vgpu_pages_free(struct vgpu_pages *pages);

static inline u64 vgpu_pages_size(const struct vgpu_pages *pages)
{
	return (u64)pages->count << PAGE_SHIFT;
}

/* ---- device.c ---- */

struct vgpu_device {
	struct device		dev;
	struct cdev		cdev;
	u32			index;
	uuid_t			uuid;
	struct vgpu_budget	budget;
	u64			channel_budget;	/* limit for new channels; lock */
	atomic64_t		channels;
	atomic64_t		channels_total;
	atomic64_t		channels_lost;
	atomic64_t		copied;
	struct mutex		lock;		/* of all below */
	char			name[VGPU_NAME_MAX + 1];
	char			backend[VGPU_BACKEND_MAX + 1];
	u64			memory;
	unsigned int		users;		/* open files and channels */
	bool			gone;		/* no new users */
};

/* What can be given when a device is made or changed; NULL: is not. */
struct vgpu_device_config {
	const u32	*index;
	const uuid_t	*uuid;
	const char	*name;
	const char	*backend;
	const u64	*memory;
	const u64	*budget;
	const u64	*channel_budget;
};

int vgpu_devices_init(void);
void vgpu_devices_exit(void);

/* Make a device, with a reference for the caller: -EEXIST, -ENOSPC, -ENOMEM. */
struct vgpu_device *vgpu_device_create(const struct vgpu_device_config *config);
void vgpu_device_configure(struct vgpu_device *device,
			   const struct vgpu_device_config *config);
/*
 * -EBUSY while it has users, -ENODEV if somebody else was faster. The caller's
 * reference stays.
 */
int vgpu_device_delete(struct vgpu_device *device);

/* The device of that number; the first one of that number or above: a reference. */
struct vgpu_device *vgpu_device_get(unsigned long index);
struct vgpu_device *vgpu_device_get_next(unsigned long index);
void vgpu_device_put(struct vgpu_device *device);
/* Another number whenever a device was made or deleted; not 0. */
unsigned int vgpu_devices_generation(void);

/* A user more: -ENODEV if it is being deleted. */
int vgpu_device_use(struct vgpu_device *device);
void vgpu_device_unuse(struct vgpu_device *device);

enum vgpu_device_state vgpu_device_state(struct vgpu_device *device);
/* A daemon came or went: tell the state of all of them. */
void vgpu_devices_tell(void);

/* ---- channel.c ---- */

enum vgpu_side {
	VGPU_APP,
	VGPU_PEER,
};

/* What the app registered; copy.c knows the entries. */
struct vgpu_ranges {
	spinlock_t	lock;		/* of the two below */
	struct rb_root	tree;
	u32		count;
};

/* What one side of a channel writes, and what wakes it. */
struct vgpu_end {
	struct vgpu_pages	half;
	wait_queue_head_t	wait;
	atomic64_t		bells;
	u64			taken;		/* by the last wait, for poll */
};

struct vgpu_channel {
	struct kref		ref;
	u64			id;
	struct vgpu_ring_sizes	sizes;
	struct vgpu_end		end[2];		/* by enum vgpu_side */
	struct vgpu_budget	budget;
	struct xarray		hostmem;	/* struct vgpu_hostmem by number */
	u32			hostmem_next;
	struct vgpu_ranges	ranges;		/* registered memory */

	/* The process that set it up; never changes. */
	fl_owner_t		owner;
	struct mm_struct	*mm;		/* held, not its contents */
	struct pid		*pid;
	kuid_t			uid;
	kgid_t			gid;

	/* Under vgpu_state_lock; state may be read without, it goes one way to LOST. */
	enum vgpu_channel_state	state;
	bool			announced;	/* others heard of it */
	bool			ended;		/* the app has */
	struct vgpu_cookie	cookie;
	/* To be accepted; no reference: taken out before the app's file puts its own. */
	struct list_head	pending;
	struct delayed_work	expire;		/* when nobody does */
	unsigned long		expires;	/* jiffies */

	unsigned int		ndevices;
	struct vgpu_device	*devices[VGPU_CHANNEL_DEVICES];
};

extern struct mutex vgpu_state_lock;

/*
 * Make a channel of the current process on @devices, whose references and uses
 * it takes over if this succeeds: -EINVAL, -EUSERS, -EDQUOT, -ENOMEM, -EINTR.
 */
struct vgpu_channel *vgpu_channel_create(const struct vgpu_ring_sizes *sizes,
					 struct vgpu_device **devices,
					 unsigned int ndevices);
void vgpu_channel_put(struct vgpu_channel *channel);

/* Memory of the channel, as vgpu_charge(): its first device pays. */
int vgpu_channel_charge(struct vgpu_channel *channel, u64 bytes);
void vgpu_channel_refund(struct vgpu_channel *channel, u64 bytes);

/*
 * It exists for others now: the daemon may accept it. A channel that was created
 * is announced or ended.
 */
void vgpu_channel_announce(struct vgpu_channel *channel);
/* The oldest channel to be accepted, with a reference, active; or NULL. */
struct vgpu_channel *vgpu_channel_accept(void);
bool vgpu_channel_pending(void);

/* The app ended: its own close, or nobody has its descriptor any more. */
void vgpu_channel_end(struct vgpu_channel *channel);
/* The peer's descriptor and mappings are gone. */
void vgpu_channel_leave(struct vgpu_channel *channel);
/* The peer gave up. */
void vgpu_channel_lose(struct vgpu_channel *channel);

static inline enum vgpu_channel_state vgpu_channel_state(const struct vgpu_channel *channel)
{
	return READ_ONCE(channel->state);
}

/* ---- mmap.c ---- */

int vgpu_channel_mmap(struct vgpu_channel *channel, enum vgpu_side side,
		      struct vm_area_struct *vma);
/* All of @pages at the start of @vma. */
int vgpu_pages_map(const struct vgpu_pages *pages, struct vm_area_struct *vma);

/* ---- notify.c ---- */

void vgpu_end_init(struct vgpu_end *end);
/* Wake all who wait on either side: the state changed. */
void vgpu_channel_wake(struct vgpu_channel *channel);
long vgpu_channel_bell(struct vgpu_channel *channel, enum vgpu_side side,
		       unsigned long which);
long vgpu_channel_wait(struct vgpu_channel *channel, enum vgpu_side side,
		       struct vgpu_ioc_wait __user *arg);
__poll_t vgpu_channel_poll(struct vgpu_channel *channel, enum vgpu_side side,
			   struct file *file, poll_table *table);

/* ---- hostmem.c ---- */

long vgpu_hostmem_alloc(struct vgpu_channel *channel,
			struct vgpu_ioc_hostmem_alloc __user *arg);
long vgpu_hostmem_free(struct vgpu_channel *channel,
		       struct vgpu_ioc_hostmem_free __user *arg);
int vgpu_hostmem_mmap(struct vgpu_channel *channel, struct vm_area_struct *vma);
/* Forget all handles. */
void vgpu_hostmem_forget(struct vgpu_channel *channel);

/* ---- copy.c ---- */

void vgpu_ranges_init(struct vgpu_ranges *ranges);
void vgpu_ranges_fini(struct vgpu_ranges *ranges);
long vgpu_appmem_register(struct vgpu_channel *channel,
			  struct vgpu_ioc_appmem __user *arg);
long vgpu_appmem_unregister(struct vgpu_channel *channel,
			    struct vgpu_ioc_appmem __user *arg);
long vgpu_appmem_copy(struct vgpu_channel *channel, struct vgpu_ioc_copy __user *arg);

/* ---- chardev.c, ctl.c, peer.c ---- */

extern const struct file_operations vgpu_device_fops;
extern const struct file_operations vgpu_peer_fops;

int vgpu_ctl_init(void);
void vgpu_ctl_exit(void);
/* Does a daemon have /dev/vgpuctl open? */
bool vgpu_ctl_attended(void);
/* There is a channel to be accepted. */
void vgpu_ctl_wake(void);

/* ---- netlink.c ---- */

int vgpu_netlink_init(void);
void vgpu_netlink_exit(void);
/* Multicast an event; nobody has to listen. May sleep. */
void vgpu_notify_device(struct vgpu_device *device, enum vgpu_cmd event);
void vgpu_notify_channel(struct vgpu_channel *channel, enum vgpu_cmd event);

#endif /* VGPU_INTERNAL_H */
