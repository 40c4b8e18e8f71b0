/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that this module builds for, 6.1 and newer.
 * The bodies are written for the newest; here older ones are made to look so.
 */
#ifndef VGPU_COMPAT_H
#define VGPU_COMPAT_H

#include <linux/file.h>
#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifndef fd_file
#define fd_file(f) ((f).file)
#endif

/* class.devnode() */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define VGPU_CLASS_CONST
#else
#define VGPU_CLASS_CONST const
#endif

static inline long vgpu_pin_pages(struct mm_struct *mm, unsigned long addr,
				  unsigned long count, unsigned int flags,
				  struct page **pages, int *locked)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	return pin_user_pages_remote(mm, addr, count, flags, pages, NULL, locked);
#else
	return pin_user_pages_remote(mm, addr, count, flags, pages, locked);
#endif
}

#endif /* VGPU_COMPAT_H */
