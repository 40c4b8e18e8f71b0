// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of the app that its peer may copy from and to: ranges that the app
 * registered, nothing else, whoever the peer is. A range is a permission; what
 * is there is looked up page by page when it is copied.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/rbtree.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "internal.h"
#include "trace.h"

#define RANGES_MAX	65536
#define BATCH		32		/* pages that are pinned at a time */

static_assert(sizeof(struct vgpu_ioc_appmem) == 24);
static_assert(sizeof(struct vgpu_ioc_copy) == 32);
static_assert(offsetof(struct vgpu_ioc_copy, flags) == 24);

/* ---- ranges ---- */

/* Disjoint, so that a tree by address finds what holds an address. */
struct vgpu_range {
	struct rb_node	node;
	u64		first;
	u64		last;
};

static struct vgpu_range *to_range(struct rb_node *node)
{
	return rb_entry(node, struct vgpu_range, node);
}

void vgpu_ranges_init(struct vgpu_ranges *ranges)
{
	spin_lock_init(&ranges->lock);
	ranges->tree = RB_ROOT;
}

void vgpu_ranges_fini(struct vgpu_ranges *ranges)
{
	struct vgpu_range *range, *next;

	rbtree_postorder_for_each_entry_safe(range, next, &ranges->tree, node)
		kfree(range);
}

/* The range that has a byte in common with [@first, @last], or NULL. */
static struct vgpu_range *find(struct vgpu_ranges *ranges, u64 first, u64 last)
{
	struct rb_node *node = ranges->tree.rb_node;

	lockdep_assert_held(&ranges->lock);
	while (node) {
		struct vgpu_range *range = to_range(node);

		if (last < range->first)
			node = node->rb_left;
		else if (first > range->last)
			node = node->rb_right;
		else
			return range;
	}
	return NULL;
}

static bool before(struct rb_node *a, const struct rb_node *b)
{
	return to_range(a)->first < rb_entry(b, struct vgpu_range, node)->first;
}

static int insert(struct vgpu_ranges *ranges, struct vgpu_range *range)
{
	int err = 0;

	spin_lock(&ranges->lock);
	if (find(ranges, range->first, range->last))
		err = -EEXIST;
	else if (ranges->count == RANGES_MAX)
		err = -ENOSPC;
	if (!err) {
		rb_add(&range->node, &ranges->tree, before);
		ranges->count++;
	}
	spin_unlock(&ranges->lock);
	return err;
}

static struct vgpu_range *remove(struct vgpu_ranges *ranges, u64 first, u64 last)
{
	struct vgpu_range *range;

	spin_lock(&ranges->lock);
	range = find(ranges, first, last);
	if (range && range->first == first && range->last == last) {
		rb_erase(&range->node, &ranges->tree);
		ranges->count--;
	} else {
		range = NULL;
	}
	spin_unlock(&ranges->lock);
	return range;
}

static bool registered(struct vgpu_ranges *ranges, u64 first, u64 last)
{
	struct vgpu_range *range;
	bool found;

	spin_lock(&ranges->lock);
	range = find(ranges, first, first);
	found = range && range->last >= last;
	spin_unlock(&ranges->lock);
	return found;
}

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

long vgpu_appmem_register(struct vgpu_channel *channel,
			  struct vgpu_ioc_appmem __user *arg)
{
	struct vgpu_ioc_appmem given;
	struct vgpu_range *range;
	int err;

	err = get_range(&given, arg);
	if (err)
		return err;
	range = kmalloc(sizeof(*range), GFP_KERNEL_ACCOUNT);
	if (!range)
		return -ENOMEM;
	range->first = given.addr;
	range->last = given.addr + given.size - 1;
	err = insert(&channel->ranges, range);
	if (err)
		kfree(range);
	return err;
}

long vgpu_appmem_unregister(struct vgpu_channel *channel,
			    struct vgpu_ioc_appmem __user *arg)
{
	struct vgpu_ioc_appmem given;
	struct vgpu_range *range;
	int err;

	err = get_range(&given, arg);
	if (err)
		return err;
	range = remove(&channel->ranges, given.addr, given.addr + given.size - 1);
	if (!range)
		return -ENOENT;
	kfree(range);
	return 0;
}

/* ---- copies ---- */

struct copy {
	struct vgpu_channel	*channel;
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
	c->app += n - missed;
	c->local += n - missed;
	c->left -= n - missed;
	return missed ? -EFAULT : 0;
}

/* How many pages; none is an error. */
static long pin(const struct copy *c, struct page **pages)
{
	u64 span = offset_in_page(c->app) + c->left;
	unsigned long n = min_t(u64, DIV_ROUND_UP_ULL(span, PAGE_SIZE), BATCH);
	struct mm_struct *mm = c->channel->mm;
	int locked = 1;
	long pinned;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	pinned = vgpu_pin_pages(mm, c->app & PAGE_MASK, n, c->to_app ? FOLL_WRITE : 0,
				pages, &locked);
	if (locked)
		mmap_read_unlock(mm);
	return pinned ?: -EFAULT;
}

/* As many pages as are pinned at a time; nothing is locked while they are copied. */
static int copy_batch(struct copy *c)
{
	struct page *pages[BATCH];
	long pinned = pin(c, pages), i;
	int err = 0;

	if (pinned < 0)
		return pinned;
	for (i = 0; i < pinned && !err; i++)
		err = copy_in_page(c, pages[i]);
	unpin_user_pages_dirty_lock(pages, pinned, c->to_app);
	return err;
}

/* Asked before every batch: an app that took it back will use the memory anew. */
static int allowed(const struct copy *c)
{
	if (vgpu_channel_state(c->channel) == VGPU_CHANNEL_LOST)
		return -EPIPE;
	return registered(&c->channel->ranges, c->app, c->app + c->left - 1) ? 0 : -EPERM;
}

static int copy_all(struct copy *c)
{
	int err = 0;

	while (c->left && !err) {
		if (fatal_signal_pending(current))
			return -EINTR;
		err = allowed(c);
		if (!err)
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
	if (copy.app + copy.length - 1 < copy.app)
		return -EPERM;
	if (!access_ok(u64_to_user_ptr(copy.local), copy.length))
		return -EFAULT;
	c = (struct copy){
		.channel = channel, .app = copy.app, .local = copy.local,
		.left = copy.length, .to_app = copy.flags & VGPU_COPY_TO_APP,
	};
	err = allowed(&c);
	if (err)
		return err;
	/* The app dies from its memory on; that it closed comes a moment later. */
	if (!mmget_not_zero(channel->mm))
		return -ESRCH;
	err = copy_all(&c);
	mmput(channel->mm);
	atomic64_add(copy.length - c.left, &channel->devices[0]->copied);
	trace_vgpu_copy(channel, &copy, err);
	return err;
}
