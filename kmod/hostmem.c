// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page-locked buffers: memory of an app that its peer maps as well. To programs
 * it is memory like any other, so parts of it can be unmapped or protected, and
 * children inherit it.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "internal.h"
#include "trace.h"

#define HOSTMEM_MAX	65535

static_assert(sizeof(struct vgpu_ioc_hostmem_alloc) == 24);
static_assert(offsetof(struct vgpu_ioc_hostmem_alloc, handle) == 8);
static_assert(sizeof(struct vgpu_ioc_hostmem_free) == 8);

/* Mappings hold a file and that holds the channel: it is there longer. */
struct vgpu_hostmem {
	struct kref		ref;		/* of the handle and of each mapping */
	struct vgpu_channel	*channel;
	struct vgpu_pages	pages;
};

static struct vgpu_hostmem *create(struct vgpu_channel *channel, u64 size)
{
	struct vgpu_hostmem *mem;
	int err;

	mem = kzalloc(sizeof(*mem), GFP_KERNEL_ACCOUNT);
	if (!mem)
		return ERR_PTR(-ENOMEM);
	err = vgpu_channel_charge(channel, size);
	if (err)
		goto free_mem;
	err = vgpu_pages_alloc(&mem->pages, size);
	if (err)
		goto refund;
	kref_init(&mem->ref);
	mem->channel = channel;
	return mem;

refund:
	vgpu_channel_refund(channel, size);
free_mem:
	kfree(mem);
	return ERR_PTR(err);
}

static void release(struct kref *ref)
{
	struct vgpu_hostmem *mem = container_of(ref, struct vgpu_hostmem, ref);
	u64 size = vgpu_pages_size(&mem->pages);

	vgpu_pages_free(&mem->pages);
	vgpu_channel_refund(mem->channel, size);
	kfree(mem);
}

static void put(struct vgpu_hostmem *mem)
{
	kref_put(&mem->ref, release);
}

static bool size_allowed(u64 size)
{
	return size && PAGE_ALIGNED(size) && size < VGPU_MMAP_HOSTMEM;
}

long vgpu_hostmem_alloc(struct vgpu_channel *channel,
			struct vgpu_ioc_hostmem_alloc __user *arg)
{
	struct vgpu_ioc_hostmem_alloc alloc;
	struct vgpu_hostmem *mem;
	u32 number;
	int err;

	if (copy_from_user(&alloc, arg, sizeof(alloc)))
		return -EFAULT;
	if (alloc.flags || alloc.reserved || !size_allowed(alloc.size))
		return -EINVAL;
	if (vgpu_channel_state(channel) == VGPU_CHANNEL_LOST)
		return -EPIPE;
	mem = create(channel, alloc.size);
	if (IS_ERR(mem))
		return PTR_ERR(mem);
	/* A handle comes back late, so that a stale one is found out. */
	err = xa_alloc_cyclic(&channel->hostmem, &number, mem, XA_LIMIT(1, HOSTMEM_MAX),
			      &channel->hostmem_next, GFP_KERNEL_ACCOUNT);
	if (err < 0) {
		put(mem);
		return err == -EBUSY ? -ENOSPC : err;
	}
	alloc.handle = number * VGPU_MMAP_HOSTMEM;
	trace_vgpu_hostmem(channel, alloc.handle, alloc.size);
	if (!copy_to_user(arg, &alloc, sizeof(alloc)))
		return 0;
	/* Another thread may have guessed the handle and freed it. */
	mem = xa_erase(&channel->hostmem, number);
	if (mem)
		put(mem);
	return -EFAULT;
}

/* The number of a handle; 0, which none has, if it cannot be one. */
static unsigned long number_of(u64 handle)
{
	return handle % VGPU_MMAP_HOSTMEM ? 0 : handle / VGPU_MMAP_HOSTMEM;
}

long vgpu_hostmem_free(struct vgpu_channel *channel,
		       struct vgpu_ioc_hostmem_free __user *arg)
{
	struct vgpu_ioc_hostmem_free old;
	struct vgpu_hostmem *mem;

	if (copy_from_user(&old, arg, sizeof(old)))
		return -EFAULT;
	mem = xa_erase(&channel->hostmem, number_of(old.handle));
	if (!mem)
		return -ENOENT;
	trace_vgpu_hostmem(channel, old.handle, 0);
	put(mem);
	return 0;
}

void vgpu_hostmem_forget(struct vgpu_channel *channel)
{
	struct vgpu_hostmem *mem;
	unsigned long number;

	xa_for_each(&channel->hostmem, number, mem) {
		mem = xa_erase(&channel->hostmem, number);
		if (mem)
			put(mem);
	}
}

/* ---- mappings ---- */

static void vma_open(struct vm_area_struct *vma)
{
	struct vgpu_hostmem *mem = vma->vm_private_data;

	kref_get(&mem->ref);
}

static void vma_close(struct vm_area_struct *vma)
{
	put(vma->vm_private_data);
}

/* All is mapped at first; this is for what madvise(MADV_DONTNEED) took out. */
static vm_fault_t vma_fault(struct vm_fault *vmf)
{
	struct vgpu_hostmem *mem = vmf->vma->vm_private_data;
	unsigned long i = vmf->pgoff % (VGPU_MMAP_HOSTMEM >> PAGE_SHIFT);

	if (i >= mem->pages.count)
		return VM_FAULT_SIGBUS;
	vmf->page = mem->pages.page[i];
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct hostmem_vm_ops = {
	.open	= vma_open,
	.close	= vma_close,
	.fault	= vma_fault,
};

static struct vgpu_hostmem *get(struct vgpu_channel *channel, u64 handle)
{
	struct vgpu_hostmem *mem;

	xa_lock(&channel->hostmem);
	mem = xa_load(&channel->hostmem, number_of(handle));
	if (mem)
		kref_get(&mem->ref);
	xa_unlock(&channel->hostmem);
	return mem;
}

/* The mapping takes over the reference; if it fails, its close() is not called. */
int vgpu_hostmem_mmap(struct vgpu_channel *channel, struct vm_area_struct *vma)
{
	u64 handle = (u64)vma->vm_pgoff << PAGE_SHIFT;
	struct vgpu_hostmem *mem = get(channel, handle);
	int err = -EINVAL;

	if (!mem)
		return number_of(handle) ? -ENOENT : -EINVAL;
	if (vma->vm_end - vma->vm_start != vgpu_pages_size(&mem->pages))
		goto put_mem;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &hostmem_vm_ops;
	vma->vm_private_data = mem;
	err = vgpu_pages_map(&mem->pages, vma);
	if (err)
		goto put_mem;
	return 0;

put_mem:
	put(mem);
	return err;
}
