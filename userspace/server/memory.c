/* SPDX-License-Identifier: MIT */
/*
 * Device memory: allocating it where the client can have it, too. Which ranges
 * those are the client finds out: of one that is taken in its own address space
 * it tells us, and gets another. Pointers are the client's to use or misuse: they
 * are addresses of this process, which has no other tenant, and the driver checks
 * them.
 */
#include <stdlib.h>
#include "server/worker.h"

#define CLASHES_MAX	64	/* kept at once */

/* Memory kept so that the driver does not give its address again. */
struct vgpu_clash {
	struct vgpu_clash	*next;
	struct vgpu_context	*ctx;
	CUdeviceptr		ptr;
	size_t			size;
};

/* The chain of all clashes, taken from the worker. */
static struct vgpu_clash *clashes_take(struct vgpu_worker *w, struct vgpu_context *ctx)
{
	struct vgpu_clash **p = &w->clashes, *taken = NULL;

	pthread_mutex_lock(&w->life);
	while (*p) {
		struct vgpu_clash *c = *p;

		if (c->ctx != ctx) {
			p = &c->next;
			continue;
		}
		*p = c->next;
		c->next = taken;
		taken = c;
		w->nclashes--;
	}
	pthread_mutex_unlock(&w->life);
	return taken;
}

/*
 * The client has found a range that suits it. Of what was kept, block the
 * addresses, if the driver gives them up with the memory.
 */
static void clashes_end(struct vgpu_worker *w, struct vgpu_context *ctx)
{
	struct vgpu_clash *c, *next;

	if (likely(!atomic_load_explicit(&w->nclashes, memory_order_relaxed)))
		return;
	for (c = clashes_take(w, ctx); c; c = next) {
		const uint64_t page = VGPU_PAGE_SIZE - 1;
		struct vgpu_range r = { c->ptr & ~page, (c->ptr + c->size + page) & ~page };

		next = c->next;
		if (!w->driver->cuMemFree_v2(c->ptr))
			vgpu_steer_block(&r, 1);
		free(c);
	}
}

void vgpu_memory_drop(struct vgpu_worker *w, struct vgpu_context *ctx)
{
	struct vgpu_clash *c, *next;

	for (c = clashes_take(w, ctx); c; c = next) {
		next = c->next;
		free(c);
	}
}

/*
 * A driver may wait for the GPU before it maps or unmaps. In the dispatcher that
 * must not be, but where the GPU is idle the way over a helper is the longer one.
 */
static bool may_wait(struct vgpu_worker *w)
{
	struct vgpu_context *ctx = vgpu_thread.context;

	return vgpu_thread.dispatcher && atomic_load(&ctx->finished) != ctx->issued &&
	       vgpu_context_query(w, ctx) == CUDA_ERROR_NOT_READY;
}

CUresult vgpu_hook_cuMemAlloc_v2(struct vgpu_worker *w, const struct vgpu_request *q,
				 CUdeviceptr *dptr, size_t bytesize)
{
	if (may_wait(w))
		return vgpu_helper_take(w, q, q->r.length);
	clashes_end(w, vgpu_thread.context);
	return w->driver->cuMemAlloc_v2(dptr, bytesize);
}

CUresult vgpu_hook_cuMemFree_v2(struct vgpu_worker *w, const struct vgpu_request *q,
				CUdeviceptr dptr)
{
	if (may_wait(w))
		return vgpu_helper_take(w, q, q->r.length);
	clashes_end(w, vgpu_thread.context);
	return w->driver->cuMemFree_v2(dptr);
}

CUresult vgpu_hook_cuMemAllocPitch_v2(struct vgpu_worker *w, const struct vgpu_request *q,
				      CUdeviceptr *dptr, size_t *pPitch, size_t WidthInBytes,
				      size_t Height, unsigned int ElementSizeBytes)
{
	if (may_wait(w))
		return vgpu_helper_take(w, q, q->r.length);
	clashes_end(w, vgpu_thread.context);
	return w->driver->cuMemAllocPitch_v2(dptr, pPitch, WidthInBytes, Height,
					     ElementSizeBytes);
}

/* False: too many. */
static bool clash_keep(struct vgpu_worker *w, struct vgpu_clash *c)
{
	bool room;

	pthread_mutex_lock(&w->life);
	room = w->nclashes < CLASHES_MAX;
	if (room) {
		c->next = w->clashes;
		w->clashes = c;
		w->nclashes++;
	}
	pthread_mutex_unlock(&w->life);
	return room;
}

CUresult vgpu_hook_vgpu_mem_clash(struct vgpu_worker *w, const struct vgpu_request *q,
				  CUdeviceptr *dptr, CUdeviceptr clashing, size_t bytesize)
{
	struct vgpu_context *ctx = vgpu_thread.context;
	struct vgpu_clash *c = calloc(1, sizeof(*c));
	CUresult r;

	if (!c)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*c = (struct vgpu_clash){ .ctx = ctx, .ptr = clashing, .size = bytesize };
	if (!clash_keep(w, c)) {
		free(c);
		w->driver->cuMemFree_v2(clashing);
		clashes_end(w, ctx);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	r = w->driver->cuMemAlloc_v2(dptr, bytesize);
	if (r != CUDA_ERROR_OUT_OF_MEMORY)
		return r;
	/* Not room enough for both: give up the old one and hope for another address. */
	clashes_end(w, ctx);
	return w->driver->cuMemAlloc_v2(dptr, bytesize);
}
