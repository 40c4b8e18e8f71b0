// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of the app that its peer may copy from and to: ranges that the app
 * registered, nothing else, whoever the peer is. A range is a permission; what
 * is there is looked up page by page when it is copied.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "internal.h"
#include "trace.h"

#define APPMEM_MAX	65536
#define BATCH		32		/* pages that are pinned at a time */

/* ---- ranges ---- */

static int get_range(struct vgpu_ioc_appmem *range, struct vgpu_ioc_appmem __user *arg)
{
	if (copy_from_user(range, arg, sizeof(*range)))
		return -EFAULT;
	if (range->flags || range->reserved || !range->size)
		return -EINVAL;
	if (range->addr + range->size < range->addr ||
	    !access_ok(u64_to_user_ptr(range->addr), range->size))
		return -EINVAL;
	return 0;
}

/* Room for one more: the count is taken first, and given back on failure. */
static bool count_up(struct vgpu_channel *channel)
{
	bool room;

	mtree_lock(&channel->appmem);
	room = channel->appmem_count < APPMEM_MAX;
	channel->appmem_count += room;
	mtree_unlock(&channel->appmem);
	return room;
}

static void count_down(struct vgpu_channel *channel)
{
	mtree_lock(&channel->appmem);
	channel->appmem_count--;
	mtree_unlock(&channel->appmem);
}

long vgpu_appmem_register(struct vgpu_channel *channel,
			  struct vgpu_ioc_appmem __user *arg)
{
	struct vgpu_ioc_appmem range;
	int err;

	err = get_range(&range, arg);
	if (err)
		return err;
	if (!count_up(channel))
		return -ENOSPC;
	/* The address as the entry: neighbours must not look like one range. */
	err = mtree_insert_range(&channel->appmem, range.addr, range.addr + range.size - 1,
				 xa_mk_value(range.addr), GFP_KERNEL_ACCOUNT);
	if (err)
		count_down(channel);
	return err;
}

long vgpu_appmem_unregister(struct vgpu_channel *channel,
			    struct vgpu_ioc_appmem __user *arg)
{
	struct vgpu_ioc_appmem range;
	int err;

	err = get_range(&range, arg);
	if (err)
		return err;

	MA_STATE(mas, &channel->appmem, range.addr, range.addr);

	mas_lock(&mas);
	if (!mas_walk(&mas) || mas.index != range.addr ||
	    mas.last != range.addr + range.size - 1)
		err = -ENOENT;
	else
		err = mas_store_gfp(&mas, NULL, GFP_KERNEL_ACCOUNT);
	if (!err)
		channel->appmem_count--;
	mas_unlock(&mas);
	return err;
}

static bool registered(struct vgpu_channel *channel, u64 addr, u64 size)
{
	MA_STATE(mas, &channel->appmem, addr, addr);
	bool found;

	mas_lock(&mas);
	found = mas_walk(&mas) && mas.last - addr >= size - 1;
	mas_unlock(&mas);
	return found;
}

/* ---- copies ---- */

struct copy {
	struct mm_struct	*mm;		/* of the app, in use */
	unsigned long		app;
	unsigned long		local;
	u64			left;
	bool			to_app;
};

/* Within one page of the app's. */
static int copy_in_page(struct copy *c, struct page *page)
{
	unsigned long offset = offset_in_page(c->app);
	size_t n = min_t(u64, c->left, PAGE_SIZE - offset);
	void *at = kmap_local_page(page);
	unsigned long missed;

	if (c->to_app)
		missed = copy_from_user(at + offset, (void __user *)c->local, n);
	else
		missed = copy_to_user((void __user *)c->local, at + offset, n);
	kunmap_local(at);
	c->app += n;
	c->local += n;
	c->left -= n;
	return missed ? -EFAULT : 0;
}

static long pin(const struct copy *c, struct page **pages)
{
	u64 span = offset_in_page(c->app) + c->left;
	unsigned long n = min_t(u64, DIV_ROUND_UP_ULL(span, PAGE_SIZE), BATCH);
	int locked = 1;
	long pinned;

	if (mmap_read_lock_killable(c->mm))
		return -EINTR;
	pinned = vgpu_pin_pages(c->mm, c->app & PAGE_MASK, n,
				c->to_app ? FOLL_WRITE : 0, pages, &locked);
	if (locked)
		mmap_read_unlock(c->mm);
	return pinned ?: -EFAULT;
}

/* As many pages as are pinned at a time; nothing is locked while they are copied. */
static int copy_batch(struct copy *c)
{
	struct page *pages[BATCH];
	long pinned = pin(c, pages), i;
	int err = 0;

	if (pinned < 0)
		return pinned == -EINTR ? -EINTR : -EFAULT;
	for (i = 0; i < pinned && !err; i++)
		err = copy_in_page(c, pages[i]);
	unpin_user_pages_dirty_lock(pages, pinned, c->to_app);
	return err;
}

static int copy_all(struct copy *c)
{
	int err = 0;

	while (c->left && !err) {
		if (fatal_signal_pending(current))
			return -EINTR;
		err = copy_batch(c);
		cond_resched();
	}
	return err;
}

long vgpu_appmem_copy(struct vgpu_channel *channel, struct vgpu_ioc_copy __user *arg)
{
	struct vgpu_ioc_copy copy;
	struct copy c;
	int err;

	if (copy_from_user(&copy, arg, sizeof(copy)))
		return -EFAULT;
	if (copy.flags & ~VGPU_COPY_TO_APP || copy.reserved)
		return -EINVAL;
	if (!copy.length)
		return 0;
	if (!access_ok(u64_to_user_ptr(copy.local), copy.length))
		return -EFAULT;
	if (!registered(channel, copy.app, copy.length))
		return -EPERM;
	if (!mmget_not_zero(channel->mm))
		return -ESRCH;
	c = (struct copy){
		.mm = channel->mm, .app = copy.app, .local = copy.local,
		.left = copy.length, .to_app = copy.flags & VGPU_COPY_TO_APP,
	};
	err = copy_all(&c);
	mmput(channel->mm);
	atomic64_add(copy.length - c.left, &channel->devices[0]->copied);
	trace_vgpu_copy(channel, &copy, err);
	return err;
}
