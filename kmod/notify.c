// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bells: each side has a count that the other side, or a thread of its own,
 * makes grow, and sleeps until it is not the count it last saw.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/uaccess.h>

#include "internal.h"
#include "trace.h"

static_assert(sizeof(struct vgpu_ioc_wait) == 24);
static_assert(offsetof(struct vgpu_ioc_wait, state) == 20);

void vgpu_end_init(struct vgpu_end *end)
{
	init_waitqueue_head(&end->wait);
}

void vgpu_channel_wake(struct vgpu_channel *channel)
{
	wake_up_interruptible_all(&channel->end[VGPU_APP].wait);
	wake_up_interruptible_all(&channel->end[VGPU_PEER].wait);
}

static bool lost(const struct vgpu_channel *channel)
{
	return vgpu_channel_state(channel) == VGPU_CHANNEL_LOST;
}

long vgpu_channel_bell(struct vgpu_channel *channel, enum vgpu_side side,
		       unsigned long which)
{
	enum vgpu_side rung = which == VGPU_BELL_OWN ? side : !side;
	struct vgpu_end *end = &channel->end[rung];

	if (which != VGPU_BELL_OTHER && which != VGPU_BELL_OWN)
		return -EINVAL;
	if (lost(channel))
		return -EPIPE;
	atomic64_inc(&end->bells);
	trace_vgpu_bell(channel, rung);
	/* Its barrier orders the count before the look for sleepers. */
	if (wq_has_sleeper(&end->wait))
		wake_up_interruptible(&end->wait);
	return 0;
}

static bool rung(const struct vgpu_channel *channel, const struct vgpu_end *end,
		 u64 seen)
{
	return atomic64_read(&end->bells) != seen || lost(channel);
}

static int sleep(struct vgpu_channel *channel, struct vgpu_end *end, u64 seen,
		 s64 deadline)
{
	s64 left;

	if (deadline == VGPU_WAIT_FOREVER)
		return wait_event_interruptible(end->wait, rung(channel, end, seen));
	left = deadline - ktime_get_ns();
	if (left <= 0)
		return rung(channel, end, seen) ? 0 : -ETIME;
	return wait_event_interruptible_hrtimeout(end->wait, rung(channel, end, seen),
						  ns_to_ktime(left));
}

/* The deadline is absolute, so a signal may restart the call as it is. */
long vgpu_channel_wait(struct vgpu_channel *channel, enum vgpu_side side,
		       struct vgpu_ioc_wait __user *arg)
{
	struct vgpu_end *end = &channel->end[side];
	struct vgpu_ioc_wait wait;
	int err;

	if (copy_from_user(&wait, arg, sizeof(wait)))
		return -EFAULT;
	if (wait.flags || wait.deadline < 0)
		return -EINVAL;
	err = sleep(channel, end, wait.bells, wait.deadline);
	trace_vgpu_wait(channel, side, wait.bells, err);
	if (err)
		return err;
	wait.state = vgpu_channel_state(channel);
	if (wait.state == VGPU_CHANNEL_LOST)
		return -EPIPE;
	wait.bells = atomic64_read(&end->bells);
	if (copy_to_user(arg, &wait, sizeof(wait)))
		return -EFAULT;
	WRITE_ONCE(end->taken, wait.bells);
	return 0;
}

__poll_t vgpu_channel_poll(struct vgpu_channel *channel, enum vgpu_side side,
			   struct file *file, poll_table *table)
{
	struct vgpu_end *end = &channel->end[side];
	__poll_t events = 0;

	poll_wait(file, &end->wait, table);
	/* Pairs with wq_has_sleeper() in bell; poll_wait() of old kernels has none. */
	smp_mb();
	if (lost(channel))
		events |= EPOLLHUP | EPOLLERR | EPOLLIN | EPOLLRDNORM;
	if (atomic64_read(&end->bells) != READ_ONCE(end->taken))
		events |= EPOLLIN | EPOLLRDNORM;
	return events;
}
