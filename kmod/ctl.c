// SPDX-License-Identifier: GPL-2.0-only
/* /dev/vgpuctl: the one daemon, and how it accepts channels. */
#include <linux/anon_inodes.h>
#include <linux/bitops.h>
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "internal.h"

static DECLARE_WAIT_QUEUE_HEAD(ctl_wait);
static unsigned long opened;		/* bit 0 */

bool vgpu_ctl_attended(void)
{
	return test_bit(0, &opened);
}

void vgpu_ctl_wake(void)
{
	wake_up_interruptible(&ctl_wait);
}

static int ctl_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (test_and_set_bit(0, &opened))
		return -EBUSY;
	vgpu_devices_tell();
	return nonseekable_open(inode, file);
}

static int ctl_release(struct inode *inode, struct file *file)
{
	clear_bit(0, &opened);
	vgpu_devices_tell();
	return 0;
}

/* All that can fail comes first: a channel that was accepted has a peer. */
static long accept(unsigned long flags)
{
	struct vgpu_channel *channel;
	struct file *file;
	int fd;

	if (flags)
		return -EINVAL;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = anon_inode_getfile("[vgpu-peer]", &vgpu_peer_fops, NULL, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	channel = vgpu_channel_accept();
	if (!channel) {
		fput(file);
		put_unused_fd(fd);
		return -EAGAIN;
	}
	file->private_data = channel;
	fd_install(fd, file);
	return fd;
}

static long ctl_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return cmd == VGPU_CTL_ACCEPT ? accept(arg) : -ENOTTY;
}

static __poll_t ctl_poll(struct file *file, poll_table *table)
{
	poll_wait(file, &ctl_wait, table);
	smp_mb();	/* as in vgpu_channel_poll() */
	return vgpu_channel_pending() ? EPOLLIN | EPOLLRDNORM : 0;
}

static const struct file_operations ctl_fops = {
	.owner		= THIS_MODULE,
	.open		= ctl_open,
	.release	= ctl_release,
	.unlocked_ioctl	= ctl_ioctl,
	.poll		= ctl_poll,
};

static struct miscdevice ctl = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "vgpuctl",
	.fops	= &ctl_fops,
	.mode	= 0600,
};

int vgpu_ctl_init(void)
{
	return misc_register(&ctl);
}

void vgpu_ctl_exit(void)
{
	misc_deregister(&ctl);
}
