// SPDX-License-Identifier: GPL-2.0-only
/* Who maps what of a channel, and may write what. */
#include <linux/capability.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "compat.h"
#include "internal.h"

#define BATCH	512UL	/* pages that are mapped before others may run */

/* A half is mapped and unmapped in one piece. */
static int refuse_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static const struct vm_operations_struct half_vm_ops = {
	.may_split = refuse_split,
};

int vgpu_pages_map(const struct vgpu_pages *pages, struct vm_area_struct *vma)
{
	unsigned long i, n, left;
	int err = 0;

	for (i = 0; i < pages->count && !err; i += n) {
		if (fatal_signal_pending(current))
			return -EINTR;
		n = min(pages->count - i, BATCH);
		left = n;
		err = vm_insert_pages(vma, vma->vm_start + i * PAGE_SIZE, pages->page + i,
				      &left);
		cond_resched();
	}
	return err;
}

/*
 * What the other side writes loses VM_MAYWRITE, or mprotect() would give it
 * back. Not for a daemon that could write to the app anyway: kernels before 6.2
 * let ibv_reg_mr() pin writable mappings only. The pages live as long as the
 * channel, which the mapping's file holds.
 */
static int map_half(const struct vgpu_pages *half, struct vm_area_struct *vma,
		    bool writable)
{
	if (vma->vm_end - vma->vm_start != vgpu_pages_size(half))
		return -EINVAL;
	if (!writable && vma->vm_flags & VM_WRITE)
		return -EACCES;
	if (!writable)
		vm_flags_clear(vma, VM_MAYWRITE);
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY);
	vma->vm_ops = &half_vm_ops;
	return vgpu_pages_map(half, vma);
}

int vgpu_channel_mmap(struct vgpu_channel *channel, enum vgpu_side side,
		      struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vgpu_channel_state(channel) == VGPU_CHANNEL_LOST)
		return -EPIPE;
	/* There is no code in it. */
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;
	vm_flags_clear(vma, VM_MAYEXEC);
	switch ((u64)vma->vm_pgoff << PAGE_SHIFT) {
	case VGPU_MMAP_APP:
		return map_half(&channel->end[VGPU_APP].half, vma,
				side == VGPU_APP || capable(CAP_SYS_ADMIN));
	case VGPU_MMAP_PEER:
		return map_half(&channel->end[VGPU_PEER].half, vma, side == VGPU_PEER);
	default:
		return vgpu_hostmem_mmap(channel, vma);
	}
}
