// SPDX-License-Identifier: GPL-2.0-only
/*
 * A channel's life: made by an app, accepted by the daemon, frozen when that
 * goes and wants to come back, lost for good when either side has ended.
 *
 * How it ends without anybody left hanging: LOST is set under vgpu_state_lock
 * and every sleeper is woken after that; no transition leads out of it. Memory
 * goes with the last reference, which the app's file, the peer's file and the
 * mappings, through their files, hold. The work that ends a channel which nobody
 * accepts needs no reference: it is queued only while the app has not ended,
 * and the app's file, which is the last to know of it, waits for it.
 */
#include <linux/cred.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/moduleparam.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "internal.h"
#include "trace.h"

static unsigned int accept_timeout = 60;
module_param(accept_timeout, uint, 0644);
MODULE_PARM_DESC(accept_timeout,
		 "seconds until a channel that no daemon accepts is lost (default 60)");

DEFINE_MUTEX(vgpu_state_lock);	/* states of channels, the line to be accepted */
static LIST_HEAD(pending);	/* vgpu_state_lock; oldest first */

/* ---- set-up ---- */

static bool ring_allowed(u32 size)
{
	return size >= VGPU_RING_MIN && size <= VGPU_RING_MAX && is_power_of_2(size);
}

static bool sizes_allowed(const struct vgpu_ring_sizes *s)
{
	return ring_allowed(s->sq) && ring_allowed(s->cq) &&
	       ring_allowed(s->up) && ring_allowed(s->down);
}

static u64 half_size(const struct vgpu_ring_sizes *s, enum vgpu_side side)
{
	return VGPU_PAGE_SIZE + (side == VGPU_APP ? (u64)s->sq + s->up : (u64)s->cq + s->down);
}

int vgpu_channel_charge(struct vgpu_channel *channel, u64 bytes)
{
	return vgpu_charge(&channel->budget, &channel->devices[0]->budget, bytes);
}

void vgpu_channel_refund(struct vgpu_channel *channel, u64 bytes)
{
	vgpu_refund(&channel->budget, &channel->devices[0]->budget, bytes);
}

/* Channels of a device are counted from their making to the app's end. */
static int count(struct vgpu_channel *channel)
{
	unsigned int i;

	for (i = 0; i < channel->ndevices; i++) {
		atomic64_t *channels = &channel->devices[i]->channels;

		if (!atomic64_add_unless(channels, 1, VGPU_DEVICE_CHANNELS))
			goto uncount;
	}
	return 0;
uncount:
	while (i--)
		atomic64_dec(&channel->devices[i]->channels);
	return -EUSERS;
}

static void uncount(struct vgpu_channel *channel)
{
	unsigned int i;

	for (i = 0; i < channel->ndevices; i++)
		atomic64_dec(&channel->devices[i]->channels);
}

static int half_alloc(struct vgpu_channel *channel, enum vgpu_side side)
{
	u64 size = half_size(&channel->sizes, side);
	int err;

	err = vgpu_channel_charge(channel, size);
	if (err)
		return err;
	err = vgpu_pages_alloc(&channel->end[side].half, size);
	if (err)
		vgpu_channel_refund(channel, size);
	return err;
}

static void half_free(struct vgpu_channel *channel, enum vgpu_side side)
{
	u64 size = vgpu_pages_size(&channel->end[side].half);

	vgpu_pages_free(&channel->end[side].half);
	vgpu_channel_refund(channel, size);
}

static void remember_app(struct vgpu_channel *channel)
{
	channel->owner = current->files;	/* a name; what it points to is not used */
	channel->mm = current->mm;
	mmgrab(channel->mm);
	channel->pid = get_pid(task_tgid(current));
	channel->uid = current_euid();
	channel->gid = current_egid();
}

static void expire(struct work_struct *work);

static void init(struct vgpu_channel *channel, const struct vgpu_ring_sizes *sizes,
		 struct vgpu_device **devices, unsigned int ndevices)
{
	static atomic64_t ids;

	kref_init(&channel->ref);
	channel->id = atomic64_inc_return(&ids);
	channel->sizes = *sizes;
	channel->budget.limit = READ_ONCE(devices[0]->channel_budget);
	channel->ndevices = ndevices;
	memcpy(channel->devices, devices, ndevices * sizeof(*devices));
	vgpu_end_init(&channel->end[VGPU_APP]);
	vgpu_end_init(&channel->end[VGPU_PEER]);
	xa_init_flags(&channel->hostmem, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	vgpu_ranges_init(&channel->ranges);
	INIT_LIST_HEAD(&channel->pending);
	INIT_DELAYED_WORK(&channel->expire, expire);
}

struct vgpu_channel *vgpu_channel_create(const struct vgpu_ring_sizes *sizes,
					 struct vgpu_device **devices,
					 unsigned int ndevices)
{
	struct vgpu_channel *channel;
	int err;

	if (!sizes_allowed(sizes))
		return ERR_PTR(-EINVAL);
	channel = kzalloc(sizeof(*channel), GFP_KERNEL_ACCOUNT);
	if (!channel)
		return ERR_PTR(-ENOMEM);
	init(channel, sizes, devices, ndevices);
	err = count(channel);
	if (err)
		goto free_channel;
	err = half_alloc(channel, VGPU_APP);
	if (err)
		goto uncount;
	err = half_alloc(channel, VGPU_PEER);
	if (err)
		goto free_half;
	remember_app(channel);
	return channel;

free_half:
	half_free(channel, VGPU_APP);
uncount:
	uncount(channel);
free_channel:
	kfree(channel);
	return ERR_PTR(err);
}

static void release(struct kref *ref)
{
	struct vgpu_channel *channel = container_of(ref, struct vgpu_channel, ref);
	unsigned int i;

	/* A buffer that was allocated while the app ended. */
	vgpu_hostmem_forget(channel);
	vgpu_ranges_fini(&channel->ranges);
	half_free(channel, VGPU_PEER);
	half_free(channel, VGPU_APP);
	put_pid(channel->pid);
	mmdrop(channel->mm);
	for (i = 0; i < channel->ndevices; i++) {
		vgpu_device_unuse(channel->devices[i]);
		vgpu_device_put(channel->devices[i]);
	}
	kfree(channel);
}

void vgpu_channel_put(struct vgpu_channel *channel)
{
	kref_put(&channel->ref, release);
}

/* ---- states ---- */

/* Events are sent under the lock, so that they arrive in the order of the states. */
static void set_state(struct vgpu_channel *channel, enum vgpu_channel_state state)
{
	lockdep_assert_held(&vgpu_state_lock);
	trace_vgpu_state(channel, state);
	WRITE_ONCE(channel->state, state);
	if (channel->announced)
		vgpu_notify_channel(channel, VGPU_CMD_CHANNEL_CHANGE_NTF);
}

/* Into the line of those who wait to be accepted. */
static void enqueue(struct vgpu_channel *channel)
{
	unsigned long timeout = (unsigned long)READ_ONCE(accept_timeout) * HZ;

	lockdep_assert_held(&vgpu_state_lock);
	list_add_tail(&channel->pending, &pending);
	channel->expires = jiffies + timeout;
	schedule_delayed_work(&channel->expire, timeout);
	vgpu_ctl_wake();
}

static void dequeue(struct vgpu_channel *channel)
{
	lockdep_assert_held(&vgpu_state_lock);
	list_del_init(&channel->pending);
	cancel_delayed_work(&channel->expire);
}

static void lose(struct vgpu_channel *channel)
{
	lockdep_assert_held(&vgpu_state_lock);
	if (channel->state == VGPU_CHANNEL_LOST)
		return;
	dequeue(channel);
	set_state(channel, VGPU_CHANNEL_LOST);
	vgpu_channel_wake(channel);
}

/* By anybody but the app. */
static void lose_to_peer(struct vgpu_channel *channel)
{
	unsigned int i;

	lockdep_assert_held(&vgpu_state_lock);
	if (channel->state == VGPU_CHANNEL_LOST)
		return;
	for (i = 0; i < channel->ndevices; i++)
		atomic64_inc(&channel->devices[i]->channels_lost);
	lose(channel);
}

/* Another thread may have closed the descriptor already: then it never was. */
void vgpu_channel_announce(struct vgpu_channel *channel)
{
	unsigned int i;

	mutex_lock(&vgpu_state_lock);
	if (!channel->ended) {
		for (i = 0; i < channel->ndevices; i++)
			atomic64_inc(&channel->devices[i]->channels_total);
		channel->announced = true;
		vgpu_notify_channel(channel, VGPU_CMD_CHANNEL_OPEN_NTF);
		enqueue(channel);
	}
	mutex_unlock(&vgpu_state_lock);
}

struct vgpu_channel *vgpu_channel_accept(void)
{
	struct vgpu_channel *channel;

	mutex_lock(&vgpu_state_lock);
	channel = list_first_entry_or_null(&pending, struct vgpu_channel, pending);
	if (channel) {
		kref_get(&channel->ref);
		dequeue(channel);
		set_state(channel, VGPU_CHANNEL_ACTIVE);
	}
	mutex_unlock(&vgpu_state_lock);
	return channel;
}

bool vgpu_channel_pending(void)
{
	return !list_empty_careful(&pending);
}

/* ---- ends ---- */

static void expire(struct work_struct *work)
{
	struct vgpu_channel *channel = container_of(to_delayed_work(work),
						    struct vgpu_channel, expire);

	mutex_lock(&vgpu_state_lock);
	/* It may just have been accepted, and even be back. */
	if (!list_empty(&channel->pending) && time_after_eq(jiffies, channel->expires))
		lose_to_peer(channel);
	mutex_unlock(&vgpu_state_lock);
}

void vgpu_channel_lose(struct vgpu_channel *channel)
{
	mutex_lock(&vgpu_state_lock);
	lose_to_peer(channel);
	mutex_unlock(&vgpu_state_lock);
}

static bool has_cookie(const struct vgpu_channel *channel)
{
	return memchr_inv(&channel->cookie, 0, sizeof(channel->cookie));
}

void vgpu_channel_leave(struct vgpu_channel *channel)
{
	mutex_lock(&vgpu_state_lock);
	if (channel->state == VGPU_CHANNEL_ACTIVE && has_cookie(channel)) {
		set_state(channel, VGPU_CHANNEL_FROZEN);
		enqueue(channel);
	} else {
		lose_to_peer(channel);
	}
	mutex_unlock(&vgpu_state_lock);
}

void vgpu_channel_end(struct vgpu_channel *channel)
{
	mutex_lock(&vgpu_state_lock);
	if (!channel->ended) {
		channel->ended = true;
		lose(channel);
		if (channel->announced)
			vgpu_notify_channel(channel, VGPU_CMD_CHANNEL_CLOSE_NTF);
		uncount(channel);
	}
	mutex_unlock(&vgpu_state_lock);
	/* Mappings keep their memory; nobody will map it again. */
	vgpu_hostmem_forget(channel);
}
