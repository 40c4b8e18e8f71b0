// SPDX-License-Identifier: MIT
/*
 * What all backends have in common: the ends of the rings, the checks of the
 * other side's positions, and how a channel is lost and closed.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "channel/internal.h"

_Static_assert(sizeof(struct vgpu_ctrl_app) <= VGPU_PAGE_SIZE, "one page");
_Static_assert(sizeof(struct vgpu_ctrl_peer) <= VGPU_PAGE_SIZE, "one page");
_Static_assert(sizeof(struct vgpu_position) == 128, "two lines");
_Static_assert(offsetof(struct vgpu_ctrl_app, sleep) == 512, "fixed");
_Static_assert(offsetof(struct vgpu_ctrl_peer, sleep) == 512, "fixed");

static void set_out(struct ring_out *out, struct vgpu_position *tail,
		    const struct vgpu_position *head, uint8_t *base, uint64_t size)
{
	*out = (struct ring_out){
		.tail_word = tail, .head_word = head, .base = base, .size = size,
	};
}

static void set_in(struct ring_in *in, const struct vgpu_position *tail,
		   struct vgpu_position *head, const uint8_t *base, uint64_t size)
{
	*in = (struct ring_in){
		.tail_word = tail, .head_word = head, .base = base, .size = size,
	};
}

static void set_rings(struct vgpu_channel *ch, const struct vgpu_ring_sizes *s)
{
	uint8_t *app_half = ch->memory->half[VGPU_SIDE_APP];
	uint8_t *peer_half = ch->memory->half[VGPU_SIDE_PEER];
	struct vgpu_ctrl_app *app = (void *)app_half;
	struct vgpu_ctrl_peer *peer = (void *)peer_half;
	uint8_t *sq = app_half + VGPU_PAGE_SIZE, *up = sq + s->sq;
	uint8_t *cq = peer_half + VGPU_PAGE_SIZE, *down = cq + s->cq;

	if (ch->side == VGPU_SIDE_APP) {
		set_out(&ch->records_out, &app->sq_tail, &peer->sq_head, sq, s->sq);
		set_out(&ch->bytes_out, &app->up_tail, &peer->up_head, up, s->up);
		set_in(&ch->records_in, &peer->cq_tail, &app->cq_head, cq, s->cq);
		set_in(&ch->bytes_in, &peer->down_tail, &app->down_head, down, s->down);
		ch->our_sleep = &app->sleep;
		ch->their_sleep = &peer->sleep;
	} else {
		set_out(&ch->records_out, &peer->cq_tail, &app->cq_head, cq, s->cq);
		set_out(&ch->bytes_out, &peer->down_tail, &app->down_head, down, s->down);
		set_in(&ch->records_in, &app->sq_tail, &peer->sq_head, sq, s->sq);
		set_in(&ch->bytes_in, &app->up_tail, &peer->up_head, up, s->up);
		ch->our_sleep = &peer->sleep;
		ch->their_sleep = &app->sleep;
	}
}

void *vgpu_channel_alloc(size_t size, const struct channel_ops *ops, enum vgpu_side side)
{
	struct vgpu_channel *ch;

	size = (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
	ch = aligned_alloc(CACHE_LINE, size);
	if (!ch)
		return NULL;
	memset(ch, 0, size);
	ch->ops = ops;
	ch->side = side;
	return ch;
}

void vgpu_channel_init(struct vgpu_channel *ch, struct channel_memory *memory,
		       const struct vgpu_ring_sizes *sizes)
{
	pthread_condattr_t attr;

	ch->memory = memory;
	ch->sizes = *sizes;
	__atomic_add_fetch(&memory->users, 1, __ATOMIC_RELAXED);
	set_rings(ch, sizes);
	pthread_mutex_init(&ch->wait.lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ch->wait.cond, &attr);
	pthread_condattr_destroy(&attr);
	vgpu_spin_init(&ch->spin, ch->pid);
}

/*
 * In a fork child the locks may be held by threads that do not exist there:
 * nothing is destroyed that could wait for them.
 */
void vgpu_channel_fini(struct vgpu_channel *ch, bool unmap)
{
	if (unmap) {
		pthread_cond_destroy(&ch->wait.cond);
		pthread_mutex_destroy(&ch->wait.lock);
	}
	vgpu_memory_put(ch->memory, unmap);
}

bool vgpu_ring_refresh_head(struct vgpu_channel *ch, struct ring_out *out)
{
	uint64_t head = ring_load_head(out->head_word);

	/* Between what was seen before and what was sent. */
	if (unlikely(head - out->head > out->tail - out->head)) {
		vgpu_channel_fail(ch, "head of a ring moved back or past its tail");
		return false;
	}
	out->head = head;
	return true;
}

bool vgpu_ring_refresh_tail(struct vgpu_channel *ch, struct ring_in *in,
			    uint64_t align)
{
	uint64_t tail = ring_load_tail(in->tail_word);

	if (unlikely(tail - in->head > in->size ||
		     tail - in->head < in->tail - in->head)) {
		vgpu_channel_fail(ch, "tail of a ring moved back or past its size");
		return false;
	}
	if (unlikely(tail & (align - 1))) {
		vgpu_channel_fail(ch, "tail of a ring is not aligned");
		return false;
	}
	in->tail = tail;
	return true;
}

void vgpu_channel_lose(struct vgpu_channel *ch)
{
	ring_set(ch->lost, true);
	vgpu_channel_kick(ch);
}

int vgpu_channel_fail(struct vgpu_channel *ch, const char *what)
{
	const char *none = NULL;

	/* The first fault is the cause; what follows is noise. */
	__atomic_compare_exchange_n(&ch->fault, &none, what, false,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	vgpu_channel_lose(ch);
	return -EPROTO;
}

void vgpu_channel_shutdown(struct vgpu_channel *ch)
{
	vgpu_channel_lose(ch);
}

bool vgpu_channel_lost(const struct vgpu_channel *ch)
{
	return ring_get(ch->lost);
}

const char *vgpu_channel_fault(const struct vgpu_channel *ch)
{
	return ring_get(ch->fault);
}

int vgpu_channel_peer_pid(const struct vgpu_channel *ch)
{
	return ch->pid;
}

void vgpu_channel_close(struct vgpu_channel *ch)
{
	if (ch)
		ch->ops->close(ch);
}

void vgpu_channel_forget(struct vgpu_channel *ch)
{
	if (ch)
		ch->ops->forget(ch);
}

int vgpu_hostmem_create(struct vgpu_channel *ch, size_t size, void **addr,
			uint64_t *handle)
{
	if (ch->side != VGPU_SIDE_APP || !size || size % VGPU_PAGE_SIZE)
		return -EINVAL;
	return ch->ops->hostmem_create(ch, size, addr, handle);
}

void vgpu_hostmem_destroy(struct vgpu_channel *ch, void *addr, size_t size,
			  uint64_t handle)
{
	munmap(addr, size);
	if (ch->ops->hostmem_forget)
		ch->ops->hostmem_forget(ch, handle);
}

int vgpu_hostmem_map(struct vgpu_channel *ch, uint64_t handle, size_t size,
		     void *hint, void **addr)
{
	if (ch->side != VGPU_SIDE_PEER || !size || size % VGPU_PAGE_SIZE)
		return -EINVAL;
	return ch->ops->hostmem_map(ch, handle, size, hint, addr);
}

void vgpu_hostmem_unmap(struct vgpu_channel *ch, void *addr, size_t size)
{
	munmap(addr, size);
}

static bool is_range(const void *addr, size_t size)
{
	uintptr_t end;

	return size && !__builtin_add_overflow((uintptr_t)addr, size, &end);
}

int vgpu_appmem_register(struct vgpu_channel *ch, void *addr, size_t size)
{
	if (ch->side != VGPU_SIDE_APP || !is_range(addr, size))
		return -EINVAL;
	if (!ch->ops->appmem_register)
		return 0;
	return ch->ops->appmem_register(ch, (uintptr_t)addr, size);
}

int vgpu_appmem_unregister(struct vgpu_channel *ch, void *addr, size_t size)
{
	if (ch->side != VGPU_SIDE_APP || !is_range(addr, size))
		return -EINVAL;
	if (!ch->ops->appmem_unregister)
		return 0;
	return ch->ops->appmem_unregister(ch, (uintptr_t)addr, size);
}

int vgpu_app_read(struct vgpu_channel *ch, void *to, uint64_t app_addr, size_t n)
{
	return n ? ch->ops->app_copy(ch, to, app_addr, n, false) : 0;
}

int vgpu_app_write(struct vgpu_channel *ch, uint64_t app_addr, const void *from,
		   size_t n)
{
	return n ? ch->ops->app_copy(ch, (void *)from, app_addr, n, true) : 0;
}
