// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vgpuN: the app's descriptor. An open file is that of a device until it is
 * set up; then it is that of a channel, for one process.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "internal.h"

static_assert(sizeof(struct vgpu_ring_sizes) == 16);
static_assert(sizeof(struct vgpu_ioc_setup) == 48);
static_assert(offsetof(struct vgpu_ioc_setup, sizes) == 16);
static_assert(offsetof(struct vgpu_ioc_setup, channel) == 40);

struct vgpu_file {
	struct vgpu_device	*device;
	struct vgpu_channel	*channel;	/* set once, by cmpxchg */
};

static struct vgpu_channel *channel_of(struct file *file)
{
	struct vgpu_file *f = file->private_data;

	return smp_load_acquire(&f->channel);	/* pairs with setup()'s cmpxchg */
}

/*
 * The channel, for those who may use it: a process that got hold of the
 * descriptor otherwise has another memory, and another life.
 */
static struct vgpu_channel *own_channel(struct file *file)
{
	struct vgpu_channel *channel = channel_of(file);

	if (!channel)
		return ERR_PTR(-ENOTCONN);
	return channel->mm == current->mm ? channel : ERR_PTR(-EPERM);
}

static int vgpu_open(struct inode *inode, struct file *file)
{
	struct vgpu_device *device = container_of(inode->i_cdev, struct vgpu_device, cdev);
	struct vgpu_file *f;
	int err;

	/* A channel is read and written, or not used. */
	if ((file->f_mode & (FMODE_READ | FMODE_WRITE)) != (FMODE_READ | FMODE_WRITE))
		return -EACCES;
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		return -ENOMEM;
	err = vgpu_device_use(device);
	if (err) {
		kfree(f);
		return err;
	}
	f->device = device;
	file->private_data = f;
	return nonseekable_open(inode, file);
}

/* ---- set-up ---- */

static void put_devices(struct vgpu_device **devices, unsigned int n)
{
	while (n--) {
		vgpu_device_unuse(devices[n]);
		vgpu_device_put(devices[n]);
	}
}

/* The device of a descriptor of the caller's, with a use and a reference. */
static struct vgpu_device *device_of(int fd)
{
	struct vgpu_device *device = ERR_PTR(-EBADF);
	struct fd f = fdget(fd);
	int err;

	if (!fd_file(f))
		return device;
	if (fd_file(f)->f_op == &vgpu_device_fops) {
		device = ((struct vgpu_file *)fd_file(f)->private_data)->device;
		err = vgpu_device_use(device);
		if (err)
			device = ERR_PTR(err);
		else
			get_device(&device->dev);
	}
	fdput(f);
	return device;
}

static bool contains(struct vgpu_device **devices, unsigned int n,
		     const struct vgpu_device *device)
{
	while (n--)
		if (devices[n] == device)
			return true;
	return false;
}

/* @first and those that @setup names: all of them, or an error. */
static int get_devices(struct vgpu_device *first, const struct vgpu_ioc_setup *setup,
		       struct vgpu_device **devices)
{
	s32 fds[VGPU_CHANNEL_DEVICES - 1];
	unsigned int n = 1, i;
	int err;

	if (setup->ndevices > ARRAY_SIZE(fds))
		return -EINVAL;
	if (copy_from_user(fds, u64_to_user_ptr(setup->devices),
			   setup->ndevices * sizeof(*fds)))
		return -EFAULT;
	err = vgpu_device_use(first);
	if (err)
		return err;
	get_device(&first->dev);
	devices[0] = first;
	for (i = 0; i < setup->ndevices; i++) {
		struct vgpu_device *device = device_of(fds[i]);

		if (IS_ERR(device)) {
			err = PTR_ERR(device);
			goto put;
		}
		err = contains(devices, n, device) ? -EEXIST : 0;
		devices[n++] = device;
		if (err)
			goto put;
	}
	return 0;
put:
	put_devices(devices, n);
	return err;
}

static struct vgpu_channel *create_channel(struct vgpu_device *first,
					   const struct vgpu_ioc_setup *setup)
{
	struct vgpu_device *devices[VGPU_CHANNEL_DEVICES];
	struct vgpu_channel *channel;
	int err;

	err = get_devices(first, setup, devices);
	if (err)
		return ERR_PTR(err);
	channel = vgpu_channel_create(&setup->sizes, devices, setup->ndevices + 1);
	if (IS_ERR(channel))
		put_devices(devices, setup->ndevices + 1);
	return channel;
}

/* The answer is written before the channel is anybody's: nothing is half made. */
static long setup(struct file *file, struct vgpu_ioc_setup __user *arg)
{
	struct vgpu_file *f = file->private_data;
	struct vgpu_channel *channel;
	struct vgpu_ioc_setup setup;
	int err;

	if (copy_from_user(&setup, arg, sizeof(setup)))
		return -EFAULT;
	if (setup.flags)
		return -EINVAL;
	if (channel_of(file))
		return -EBUSY;
	if (!vgpu_ctl_attended())
		return -EHOSTDOWN;
	channel = create_channel(f->device, &setup);
	if (IS_ERR(channel))
		return PTR_ERR(channel);
	setup.features = VGPU_FEATURES;
	setup.channel = channel->id;
	err = copy_to_user(arg, &setup, sizeof(setup)) ? -EFAULT : 0;
	if (!err && cmpxchg(&f->channel, NULL, channel))
		err = -EBUSY;
	if (err) {
		vgpu_channel_end(channel);
		vgpu_channel_put(channel);
		return err;
	}
	vgpu_channel_announce(channel);
	return 0;
}

/* ---- use ---- */

static long vgpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct vgpu_channel *channel;

	if (cmd == VGPU_IOC_SETUP)
		return setup(file, user);
	channel = own_channel(file);
	if (IS_ERR(channel))
		return PTR_ERR(channel);
	switch (cmd) {
	case VGPU_IOC_BELL:
		return vgpu_channel_bell(channel, VGPU_APP, arg);
	case VGPU_IOC_WAIT:
		return vgpu_channel_wait(channel, VGPU_APP, user);
	case VGPU_IOC_HOSTMEM_ALLOC:
		return vgpu_hostmem_alloc(channel, user);
	case VGPU_IOC_HOSTMEM_FREE:
		return vgpu_hostmem_free(channel, user);
	case VGPU_IOC_REGISTER:
		return vgpu_appmem_register(channel, user);
	case VGPU_IOC_UNREGISTER:
		return vgpu_appmem_unregister(channel, user);
	default:
		return -ENOTTY;
	}
}

static int vgpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vgpu_channel *channel = own_channel(file);

	if (IS_ERR(channel))
		return PTR_ERR(channel);
	return vgpu_channel_mmap(channel, VGPU_APP, vma);
}

static __poll_t vgpu_poll(struct file *file, poll_table *table)
{
	struct vgpu_channel *channel = channel_of(file);

	return channel ? vgpu_channel_poll(channel, VGPU_APP, file, table) : EPOLLERR;
}

/* ---- the end ---- */

/*
 * Not release(): a fork child, or whoever was sent the descriptor, may keep the
 * file open for ever. Its files are not those of the process that set it up.
 */
static int vgpu_flush(struct file *file, fl_owner_t id)
{
	struct vgpu_channel *channel = channel_of(file);

	if (channel && channel->owner == id)
		vgpu_channel_end(channel);
	return 0;
}

static int vgpu_release(struct inode *inode, struct file *file)
{
	struct vgpu_file *f = file->private_data;

	if (f->channel) {
		vgpu_channel_end(f->channel);
		/* Nobody queues it again: the channel is lost. */
		cancel_delayed_work_sync(&f->channel->expire);
		vgpu_channel_put(f->channel);
	}
	vgpu_device_unuse(f->device);
	kfree(f);
	return 0;
}

const struct file_operations vgpu_device_fops = {
	.owner		= THIS_MODULE,
	.open		= vgpu_open,
	.unlocked_ioctl	= vgpu_ioctl,
	.mmap		= vgpu_mmap,
	.poll		= vgpu_poll,
	.flush		= vgpu_flush,
	.release	= vgpu_release,
};
