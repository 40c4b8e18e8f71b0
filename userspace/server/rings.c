/* SPDX-License-Identifier: MIT */
/*
 * The bulk rings as memory the driver copies from and to without staging: locked
 * in the first context, for all. The worker has `up` mapped read-only, which not
 * every driver accepts: then a page-locked mirror of it is used.
 */
#include "server/worker.h"

void vgpu_rings_init(struct vgpu_worker *w)
{
	struct vgpu_rings *r = &w->rings;

	pthread_mutex_init(&r->lock, NULL);
	r->up = vgpu_bytes_ring(w->channel, true, &r->up_size);
	r->down = vgpu_bytes_ring(w->channel, false, &r->down_size);
}

static bool lock_up(struct vgpu_worker *w)
{
	const unsigned flags = CU_MEMHOSTREGISTER_PORTABLE;
	struct vgpu_rings *r = &w->rings;

	return !w->driver->cuMemHostRegister_v2(r->up, r->up_size,
						flags | CU_MEMHOSTREGISTER_READ_ONLY) ||
	       !w->driver->cuMemHostRegister_v2(r->up, r->up_size, flags);
}

/* r->lock is held, @ctx current. */
static void lock_rings(struct vgpu_worker *w, struct vgpu_context *ctx)
{
	struct vgpu_rings *r = &w->rings;
	void *mirror = NULL;

	r->owner = ctx;
	r->up_locked = lock_up(w);
	if (!r->up_locked)
		w->driver->cuMemHostAlloc(&mirror, r->up_size, CU_MEMHOSTALLOC_PORTABLE);
	atomic_store(&r->mirror, mirror);
	atomic_store(&r->down_locked, !w->driver->cuMemHostRegister_v2(
		r->down, r->down_size, CU_MEMHOSTREGISTER_PORTABLE));
}

void vgpu_rings_lock(struct vgpu_worker *w, struct vgpu_context *ctx)
{
	pthread_mutex_lock(&w->rings.lock);
	if (!w->rings.owner)
		lock_rings(w, ctx);
	pthread_mutex_unlock(&w->rings.lock);
}

/*
 * Contexts that live on copy by staging until another one has locked the rings.
 * Copies from the mirror may be under way in them: they are waited for.
 */
void vgpu_rings_unlock(struct vgpu_worker *w, struct vgpu_context *ctx)
{
	struct vgpu_rings *r = &w->rings;
	void *mirror;

	pthread_mutex_lock(&r->lock);
	if (r->owner != ctx)
		goto out;
	pthread_mutex_lock(&w->up.lock);
	mirror = atomic_exchange(&r->mirror, NULL);
	pthread_mutex_unlock(&w->up.lock);
	vgpu_contexts_drain(w);
	vgpu_context_use(w, ctx);
	if (r->up_locked)
		w->driver->cuMemHostUnregister(r->up);
	if (atomic_load(&r->down_locked))
		w->driver->cuMemHostUnregister(r->down);
	if (mirror)
		w->driver->cuMemFreeHost(mirror);
	r->up_locked = false;
	atomic_store(&r->down_locked, false);
	r->owner = NULL;
out:
	pthread_mutex_unlock(&r->lock);
}

void vgpu_rings_relock(struct vgpu_worker *w)
{
	struct vgpu_context *other = vgpu_context_any(w, -1);

	if (!other)
		return;
	if (!vgpu_context_use(w, other))
		vgpu_rings_lock(w, other);
	vgpu_context_unpin(w, other);
}
