// SPDX-License-Identifier: MIT
/*
 * The backend of a channel whose app is on another host: memory of this process
 * alone, and functions of the caller's that carry it there and back. No byte is
 * sent or received here.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "channel/internal.h"
#include "channel/relay.h"

struct remote_channel {
	struct vgpu_channel		ch;
	const struct vgpu_remote_ops	*ops;
	void				*arg;
	uint64_t			words;	/* sleep words the app had; atomic */
};

static const struct channel_ops remote_ops;

static struct remote_channel *to_remote(struct vgpu_channel *ch)
{
	return (struct remote_channel *)ch;	/* ch is its first member */
}

bool vgpu_channel_is_remote(const struct vgpu_channel *ch)
{
	return ch->ops == &remote_ops;
}

/* ---- from here to the app ---- */

/* The app is far away and wants to hear of everything that it has not heard of. */
static void app_sleeps(struct remote_channel *r)
{
	struct vgpu_ctrl_app *app = (void *)r->ch.memory->half[VGPU_SIDE_APP];
	uint64_t n = __atomic_add_fetch(&r->words, 1, __ATOMIC_RELAXED);

	ring_store_sleep(&app->sleep, n * VGPU_SLEEP_COUNT | VGPU_SLEEP | VGPU_SLEEP_ROOM);
}

/*
 * A thread that moved a position and finds the word as it was before this one's
 * store does not ring, since somebody has rung for that word: us. The barrier pairs
 * with the one of that thread between its position and the word, as a sleeper's
 * does: what we send includes what it moved. Whoever finds the new word rings.
 */
static void bell(struct vgpu_channel *ch)
{
	struct remote_channel *r = to_remote(ch);

	app_sleeps(r);
	ring_barrier();
	r->ops->send(r->arg);
}

/* ---- from the app to here ---- */

static void poke(struct vgpu_channel *ch)
{
	to_remote(ch)->ops->poke(to_remote(ch)->arg);
}

static int sleep_on(struct vgpu_channel *ch, int64_t deadline)
{
	return to_remote(ch)->ops->sleep(to_remote(ch)->arg, deadline);
}

static bool look(struct vgpu_channel *ch)
{
	return to_remote(ch)->ops->look(to_remote(ch)->arg);
}

/*
 * Who moved the positions did so before; the kick's barrier stands between that
 * and its look for waiters, a waiter's between its entry and its look at positions.
 */
void vgpu_remote_moved(struct vgpu_channel *ch)
{
	vgpu_channel_kick(ch);
}

/* ---- the app's memory ---- */

static int app_copy(struct vgpu_channel *ch, void *local, uint64_t app_addr, size_t n,
		    bool write)
{
	struct remote_channel *r = to_remote(ch);

	return r->ops->app_copy(r->arg, local, app_addr, n, write);
}

static int hostmem_map(struct vgpu_channel *ch, uint64_t handle, size_t size, void *hint,
		       void **addr)
{
	return -EOPNOTSUPP;
}

static int hostmem_copy(struct vgpu_channel *ch, uint64_t handle, uint64_t size,
			uint64_t offset, void *local, size_t n, bool write)
{
	struct remote_channel *r = to_remote(ch);

	if (!vgpu_channel_is_remote(ch))
		return -EOPNOTSUPP;
	if (!handle || offset > size || n > size - offset)
		return -EINVAL;
	return n ? r->ops->hostmem_copy(r->arg, handle, size, offset, local, n, write) : 0;
}

int vgpu_hostmem_read(struct vgpu_channel *ch, uint64_t handle, uint64_t size, uint64_t offset,
		      void *to, size_t n)
{
	return hostmem_copy(ch, handle, size, offset, to, n, false);
}

int vgpu_hostmem_write(struct vgpu_channel *ch, uint64_t handle, uint64_t size,
		       uint64_t offset, const void *from, size_t n)
{
	return hostmem_copy(ch, handle, size, offset, (void *)from, n, true);
}

void vgpu_hostmem_release(struct vgpu_channel *ch, uint64_t handle)
{
	if (vgpu_channel_is_remote(ch))
		to_remote(ch)->ops->hostmem_release(to_remote(ch)->arg, handle);
}

/* ---- life ---- */

static void forget_channel(struct vgpu_channel *ch)
{
	vgpu_channel_fini(ch, false);
	free(to_remote(ch));
}

/* Its user first: nobody is to move a position in memory that is gone. */
static void close_channel(struct vgpu_channel *ch)
{
	struct remote_channel *r = to_remote(ch);

	r->ops->close(r->arg);
	vgpu_channel_fini(ch, true);
	free(r);
}

static const struct channel_ops remote_ops = {
	.bell		= bell,
	.poke		= poke,
	.sleep		= sleep_on,
	.look		= look,
	.hostmem_map	= hostmem_map,
	.app_copy	= app_copy,
	.close		= close_channel,
	.forget		= forget_channel,
};

static int half_make(struct channel_memory *m, const struct vgpu_ring_sizes *sizes,
		     enum vgpu_side side)
{
	void *at;

	m->size[side] = vgpu_memory_half(sizes, side);
	at = mmap(NULL, m->size[side], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	m->half[side] = at;
	return 0;
}

static int memory_make(struct channel_memory **out, const struct vgpu_ring_sizes *sizes)
{
	struct channel_memory *m;
	int err = 0;

	if (!vgpu_memory_half(sizes, VGPU_SIDE_PEER))
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->users = 1;
	for (int i = VGPU_SIDE_APP; i <= VGPU_SIDE_PEER && !err; i++)
		err = half_make(m, sizes, i);
	if (err)
		vgpu_memory_put(m, true);
	else
		*out = m;
	return err;
}

int vgpu_remote_create(struct vgpu_channel **out, const struct vgpu_ring_sizes *sizes,
		       const struct vgpu_remote_ops *ops, void *arg)
{
	struct channel_memory *memory;
	struct remote_channel *r;
	int err = memory_make(&memory, sizes);

	if (err)
		return err;
	r = vgpu_channel_alloc(sizeof(*r), &remote_ops, VGPU_SIDE_PEER);
	if (r) {
		r->ops = ops;
		r->arg = arg;
		vgpu_channel_init(&r->ch, memory, sizes);
		app_sleeps(r);
		*out = &r->ch;
	}
	vgpu_memory_put(memory, true);
	return r ? 0 : -ENOMEM;
}

int vgpu_remote_hello(struct vgpu_channel *ch, void *hello, size_t *hello_len, int timeout_ms)
{
	return vgpu_greeting_await(ch, VGPU_OP_HELLO, hello, hello_len,
				   clock_deadline(timeout_ms));
}
