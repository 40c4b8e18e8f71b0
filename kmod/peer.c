// SPDX-License-Identifier: GPL-2.0-only
/* The peer's descriptor of a channel, made by accept and passed to who works on it. */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/uaccess.h>

#include "internal.h"

static_assert(sizeof(struct vgpu_cookie) == 64);
static_assert(sizeof(struct vgpu_ioc_info) == 184);
static_assert(offsetof(struct vgpu_ioc_info, state) == 32);
static_assert(offsetof(struct vgpu_ioc_info, devices) == 56);
static_assert(offsetof(struct vgpu_ioc_info, cookie) == 120);

/* Once a process is gone, its number may be another's. */
static u32 app_pid(const struct vgpu_channel *channel)
{
	u32 pid = 0;

	rcu_read_lock();
	if (pid_task(channel->pid, PIDTYPE_TGID))
		pid = pid_vnr(channel->pid);
	rcu_read_unlock();
	return pid;
}

static long info(struct vgpu_channel *channel, struct vgpu_ioc_info __user *arg)
{
	struct user_namespace *ns = current_user_ns();
	struct vgpu_ioc_info info = {
		.channel	= channel->id,
		.features	= VGPU_FEATURES,
		.sizes		= channel->sizes,
		.pid		= app_pid(channel),
		.uid		= from_kuid_munged(ns, channel->uid),
		.gid		= from_kgid_munged(ns, channel->gid),
		.ndevices	= channel->ndevices,
	};
	unsigned int i;

	for (i = 0; i < channel->ndevices; i++)
		info.devices[i] = channel->devices[i]->index;
	mutex_lock(&vgpu_state_lock);
	info.state = channel->state;
	/* A session's secret: a worker has no business with it. */
	if (capable(CAP_SYS_ADMIN))
		info.cookie = channel->cookie;
	mutex_unlock(&vgpu_state_lock);
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long set_cookie(struct vgpu_channel *channel, struct vgpu_cookie __user *arg)
{
	struct vgpu_cookie cookie;

	if (copy_from_user(&cookie, arg, sizeof(cookie)))
		return -EFAULT;
	mutex_lock(&vgpu_state_lock);
	channel->cookie = cookie;
	mutex_unlock(&vgpu_state_lock);
	return 0;
}

static long peer_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vgpu_channel *channel = file->private_data;
	void __user *user = (void __user *)arg;

	switch (cmd) {
	case VGPU_IOC_BELL:
		return vgpu_channel_bell(channel, VGPU_PEER, arg);
	case VGPU_IOC_WAIT:
		return vgpu_channel_wait(channel, VGPU_PEER, user);
	case VGPU_IOC_INFO:
		return info(channel, user);
	case VGPU_IOC_COOKIE:
		return set_cookie(channel, user);
	case VGPU_IOC_LOSE:
		if (arg)
			return -EINVAL;
		vgpu_channel_lose(channel);
		return 0;
	case VGPU_IOC_COPY:
		return vgpu_appmem_copy(channel, user);
	default:
		return -ENOTTY;
	}
}

static int peer_mmap(struct file *file, struct vm_area_struct *vma)
{
	return vgpu_channel_mmap(file->private_data, VGPU_PEER, vma);
}

static __poll_t peer_poll(struct file *file, poll_table *table)
{
	return vgpu_channel_poll(file->private_data, VGPU_PEER, file, table);
}

static int peer_release(struct inode *inode, struct file *file)
{
	struct vgpu_channel *channel = file->private_data;

	/* A file that accept found no channel for has none. */
	if (channel) {
		vgpu_channel_leave(channel);
		vgpu_channel_put(channel);
	}
	return 0;
}

const struct file_operations vgpu_peer_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= peer_ioctl,
	.mmap		= peer_mmap,
	.poll		= peer_poll,
	.release	= peer_release,
};
