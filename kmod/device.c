// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual GPUs: their nodes, who uses them, and what sysfs shows. sysfs only
 * shows; netlink.c changes.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "compat.h"
#include "internal.h"

static dev_t first_devt;
static DEFINE_XARRAY_ALLOC(devices);
static DEFINE_MUTEX(vgpu_devices_lock);	/* one at a time is made or deleted */
static unsigned int generation = 1;	/* counts that; never 0 */

static struct vgpu_device *to_device(struct device *dev)
{
	return container_of(dev, struct vgpu_device, dev);
}

/* ---- sysfs ---- */

enum vgpu_device_state vgpu_device_state(struct vgpu_device *device)
{
	bool bound;

	mutex_lock(&device->lock);
	bound = device->backend[0];
	mutex_unlock(&device->lock);
	if (!bound)
		return VGPU_DEVICE_UNBOUND;
	return vgpu_ctl_attended() ? VGPU_DEVICE_READY : VGPU_DEVICE_DOWN;
}

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	static const char * const names[] = {
		[VGPU_DEVICE_UNBOUND]	= "unbound",
		[VGPU_DEVICE_DOWN]	= "down",
		[VGPU_DEVICE_READY]	= "ready",
	};

	return sysfs_emit(buf, "%s\n", names[vgpu_device_state(to_device(dev))]);
}
static DEVICE_ATTR_RO(state);

static ssize_t uuid_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%pUb\n", &to_device(dev)->uuid);
}
static DEVICE_ATTR_RO(uuid);

/* A member that device->lock guards. */
#define LOCKED_ATTR(_name, _format)						\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	struct vgpu_device *device = to_device(dev);				\
	ssize_t n;								\
										\
	mutex_lock(&device->lock);						\
	n = sysfs_emit(buf, _format "\n", device->_name);			\
	mutex_unlock(&device->lock);						\
	return n;								\
}										\
static DEVICE_ATTR_RO(_name)

LOCKED_ATTR(name, "%s");
LOCKED_ATTR(backend, "%s");
LOCKED_ATTR(memory, "%llu");

static struct attribute *device_attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_uuid.attr,
	&dev_attr_state.attr,
	&dev_attr_backend.attr,
	&dev_attr_memory.attr,
	NULL
};

static const struct attribute_group device_group = {
	.attrs	= device_attrs,
};

#define COUNTER_ATTR(_name, _member)						\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	return sysfs_emit(buf, "%lld\n",					\
			  atomic64_read(&to_device(dev)->_member));		\
}										\
static DEVICE_ATTR_RO(_name)

COUNTER_ATTR(channels, channels);
COUNTER_ATTR(channels_total, channels_total);
COUNTER_ATTR(channels_lost, channels_lost);
COUNTER_ATTR(charged, budget.used);
COUNTER_ATTR(copied, copied);

static struct attribute *counter_attrs[] = {
	&dev_attr_channels.attr,
	&dev_attr_channels_total.attr,
	&dev_attr_channels_lost.attr,
	&dev_attr_charged.attr,
	&dev_attr_copied.attr,
	NULL
};

static const struct attribute_group counter_group = {
	.name	= "counters",
	.attrs	= counter_attrs,
};

static const struct attribute_group *device_groups[] = {
	&device_group,
	&counter_group,
	NULL
};

static void device_release(struct device *dev)
{
	struct vgpu_device *device = to_device(dev);

	mutex_destroy(&device->lock);
	kfree(device);
}

static char *device_node(VGPU_CLASS_CONST struct device *dev, umode_t *mode)
{
	if (mode)
		*mode = 0660;
	return NULL;
}

static struct class vgpu_class = {
	.name		= "vgpu",
	.dev_groups	= device_groups,
	.dev_release	= device_release,
	.devnode	= device_node,
};

/* ---- life ---- */

void vgpu_device_configure(struct vgpu_device *device,
			   const struct vgpu_device_config *config)
{
	mutex_lock(&device->lock);
	if (config->name)
		strscpy(device->name, config->name, sizeof(device->name));
	if (config->backend)
		strscpy(device->backend, config->backend, sizeof(device->backend));
	if (config->memory)
		device->memory = *config->memory;
	if (config->budget)
		WRITE_ONCE(device->budget.limit, *config->budget);
	if (config->channel_budget)
		WRITE_ONCE(device->channel_budget, *config->channel_budget);
	mutex_unlock(&device->lock);
}

static struct vgpu_device *device_alloc(const struct vgpu_device_config *config)
{
	struct vgpu_device *device = kzalloc(sizeof(*device), GFP_KERNEL);

	if (!device)
		return NULL;
	mutex_init(&device->lock);
	device_initialize(&device->dev);
	device->dev.class = &vgpu_class;
	cdev_init(&device->cdev, &vgpu_device_fops);
	device->cdev.owner = THIS_MODULE;
	if (config->uuid)
		device->uuid = *config->uuid;
	else
		uuid_gen(&device->uuid);
	vgpu_device_configure(device, config);
	return device;
}

static bool uuid_taken(const uuid_t *uuid)
{
	struct vgpu_device *device;
	unsigned long index;

	lockdep_assert_held(&vgpu_devices_lock);
	xa_for_each(&devices, index, device)
		if (uuid_equal(&device->uuid, uuid))
			return true;
	return false;
}

/* Take the number that @config wants, or the lowest, for a device to come. */
static int reserve(const struct vgpu_device_config *config, u32 *index)
{
	int err;

	lockdep_assert_held(&vgpu_devices_lock);
	if (config->uuid && uuid_taken(config->uuid))
		return -EEXIST;
	if (!config->index) {
		err = xa_alloc(&devices, index, NULL, XA_LIMIT(0, VGPU_MINORS - 1), GFP_KERNEL);
		return err == -EBUSY ? -ENOSPC : err;
	}
	*index = *config->index;
	if (*index >= VGPU_MINORS)
		return -EINVAL;
	err = xa_insert(&devices, *index, NULL, GFP_KERNEL);
	return err == -EBUSY ? -EEXIST : err;
}

unsigned int vgpu_devices_generation(void)
{
	return READ_ONCE(generation);
}

/* After the table of devices changed. */
static void next_generation(void)
{
	lockdep_assert_held(&vgpu_devices_lock);
	WRITE_ONCE(generation, generation + 1 ?: 1);
}

static int publish(struct vgpu_device *device, u32 index)
{
	int err;

	device->index = index;
	device->dev.devt = first_devt + index;
	err = dev_set_name(&device->dev, "vgpu%u", index);
	if (err)
		return err;
	err = cdev_device_add(&device->cdev, &device->dev);
	if (err)
		return err;
	get_device(&device->dev);
	xa_store(&devices, index, device, GFP_KERNEL);
	next_generation();
	return 0;
}

struct vgpu_device *vgpu_device_create(const struct vgpu_device_config *config)
{
	struct vgpu_device *device;
	u32 index;
	int err;

	mutex_lock(&vgpu_devices_lock);
	err = reserve(config, &index);
	if (err)
		goto unlock;
	err = -ENOMEM;
	device = device_alloc(config);
	if (!device)
		goto release_index;
	err = publish(device, index);
	if (err)
		goto put_device;
	vgpu_notify_device(device, VGPU_CMD_DEVICE_NEW_NTF);
	mutex_unlock(&vgpu_devices_lock);
	return device;

put_device:
	put_device(&device->dev);
release_index:
	xa_release(&devices, index);
unlock:
	mutex_unlock(&vgpu_devices_lock);
	return ERR_PTR(err);
}

/* No new users, if there are none. */
static int close_down(struct vgpu_device *device)
{
	int err = 0;

	mutex_lock(&device->lock);
	if (device->gone)
		err = -ENODEV;
	else if (device->users)
		err = -EBUSY;
	else
		device->gone = true;
	mutex_unlock(&device->lock);
	return err;
}

static void unpublish(struct vgpu_device *device)
{
	lockdep_assert_held(&vgpu_devices_lock);
	cdev_device_del(&device->cdev, &device->dev);
	xa_erase(&devices, device->index);
	next_generation();
	put_device(&device->dev);
}

int vgpu_device_delete(struct vgpu_device *device)
{
	int err = close_down(device);

	if (err)
		return err;
	mutex_lock(&vgpu_devices_lock);
	unpublish(device);
	vgpu_notify_device(device, VGPU_CMD_DEVICE_DEL_NTF);
	mutex_unlock(&vgpu_devices_lock);
	return 0;
}

struct vgpu_device *vgpu_device_get_next(unsigned long index)
{
	struct vgpu_device *device;

	xa_lock(&devices);
	device = xa_find(&devices, &index, ULONG_MAX, XA_PRESENT);
	if (device)
		get_device(&device->dev);
	xa_unlock(&devices);
	return device;
}

struct vgpu_device *vgpu_device_get(unsigned long index)
{
	struct vgpu_device *device = vgpu_device_get_next(index);

	if (!device || device->index == index)
		return device;
	put_device(&device->dev);
	return NULL;
}

void vgpu_devices_tell(void)
{
	struct vgpu_device *device;
	unsigned long index;

	mutex_lock(&vgpu_devices_lock);
	xa_for_each(&devices, index, device)
		vgpu_notify_device(device, VGPU_CMD_DEVICE_SET_NTF);
	mutex_unlock(&vgpu_devices_lock);
}

void vgpu_device_put(struct vgpu_device *device)
{
	put_device(&device->dev);
}

int vgpu_device_use(struct vgpu_device *device)
{
	int err;

	mutex_lock(&device->lock);
	err = device->gone ? -ENODEV : 0;
	device->users += !err;
	mutex_unlock(&device->lock);
	return err;
}

void vgpu_device_unuse(struct vgpu_device *device)
{
	mutex_lock(&device->lock);
	WARN_ON_ONCE(!device->users);
	device->users--;
	mutex_unlock(&device->lock);
}

int vgpu_devices_init(void)
{
	int err;

	err = class_register(&vgpu_class);
	if (err)
		return err;
	err = alloc_chrdev_region(&first_devt, 0, VGPU_MINORS, "vgpu");
	if (err)
		class_unregister(&vgpu_class);
	return err;
}

void vgpu_devices_exit(void)
{
	struct vgpu_device *device;
	unsigned long index;

	mutex_lock(&vgpu_devices_lock);
	xa_for_each(&devices, index, device)
		unpublish(device);
	mutex_unlock(&vgpu_devices_lock);
	unregister_chrdev_region(first_devt, VGPU_MINORS);
	class_unregister(&vgpu_class);
}
