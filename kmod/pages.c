// SPDX-License-Identifier: GPL-2.0-only
/* Host memory: single pages that can be mapped anywhere, and budgets for them. */
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"

/* Rather no memory for this caller than somebody killed for it. */
#define VGPU_GFP	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

static unsigned int memory_percent = 50;
module_param(memory_percent, uint, 0644);
MODULE_PARM_DESC(memory_percent,
		 "of the host's memory that all channels may take together (default 50)");

static struct vgpu_budget host;

static u64 host_memory(void)
{
	return (u64)totalram_pages() << PAGE_SHIFT;
}

static u64 limit_of(const struct vgpu_budget *budget)
{
	if (budget == &host)
		return div_u64(host_memory(), 100) * min(READ_ONCE(memory_percent), 100U);
	return READ_ONCE(budget->limit) ?: host_memory() / 4;
}

static int charge(struct vgpu_budget *budget, u64 bytes)
{
	u64 limit = limit_of(budget);
	s64 used = atomic64_read(&budget->used);

	do {
		if (used > limit || bytes > limit - used)
			return -EDQUOT;
	} while (!atomic64_try_cmpxchg(&budget->used, &used, used + bytes));
	return 0;
}

static void refund(struct vgpu_budget *budget, u64 bytes)
{
	WARN_ON_ONCE(atomic64_sub_return(bytes, &budget->used) < 0);
}

int vgpu_charge(struct vgpu_budget *channel, struct vgpu_budget *device, u64 bytes)
{
	int err;

	err = charge(channel, bytes);
	if (err)
		return err;
	err = charge(device, bytes);
	if (err)
		goto refund_channel;
	err = charge(&host, bytes);
	if (err)
		goto refund_device;
	return 0;

refund_device:
	refund(device, bytes);
refund_channel:
	refund(channel, bytes);
	return err;
}

void vgpu_refund(struct vgpu_budget *channel, struct vgpu_budget *device, u64 bytes)
{
	refund(&host, bytes);
	refund(device, bytes);
	refund(channel, bytes);
}

int vgpu_pages_alloc(struct vgpu_pages *pages, u64 bytes)
{
	unsigned long i, count = bytes >> PAGE_SHIFT;
	int err = -ENOMEM;

	pages->page = kvmalloc_array(count, sizeof(*pages->page), VGPU_GFP);
	if (!pages->page)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			goto free_pages;
		}
		pages->page[i] = alloc_page(VGPU_GFP | __GFP_ZERO);
		if (!pages->page[i])
			goto free_pages;
		cond_resched();
	}
	pages->count = count;
	return 0;

free_pages:
	pages->count = i;
	vgpu_pages_free(pages);
	return err;
}

void vgpu_pages_free(struct vgpu_pages *pages)
{
	unsigned long i;

	for (i = 0; i < pages->count; i++) {
		put_page(pages->page[i]);
		cond_resched();
	}
	kvfree(pages->page);
	*pages = (struct vgpu_pages){};
}
