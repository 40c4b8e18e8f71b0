/* SPDX-License-Identifier: MIT */
/*
 * Contexts: making them current, keeping them while something of theirs is
 * under way, ending them; and what each has for the worker's own use.
 *
 * A context ends in two steps. The dispatcher takes its handle, and all below,
 * out of the table: from then on nobody finds it. A helper then waits for those
 * who had found it before, which are whole calls on other helpers and pins, and
 * only then calls the driver. Nobody's wait depends on the dispatcher, which
 * goes on serving host functions meanwhile.
 */
#include <stdlib.h>
#include "server/worker.h"

static struct vgpu_context *to_context(struct vgpu_object *o)
{
	return (struct vgpu_context *)o;
}

static void context_free(struct vgpu_worker *w, struct vgpu_object *o)
{
	pthread_mutex_destroy(&to_context(o)->lock);
	free(o);
}

static struct vgpu_context *context_new(uint64_t wire, int ordinal, bool primary)
{
	struct vgpu_context *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->object.end = context_free;
	c->wire = wire;
	c->ordinal = ordinal;
	c->primary = primary;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

/* ---- current ---- */

static CUresult make_current(struct vgpu_worker *w, struct vgpu_context *c, uint64_t wire)
{
	struct vgpu_thread *t = &vgpu_thread;
	unsigned epoch = atomic_load(&w->epoch);
	CUresult r = w->driver->cuCtxSetCurrent(c->driver);

	t->ctx = r ? 0 : wire;
	t->context = r ? NULL : c;
	t->epoch = epoch;
	return r;
}

static void make_none_current(struct vgpu_worker *w)
{
	w->driver->cuCtxSetCurrent(NULL);
	vgpu_thread.ctx = 0;
	vgpu_thread.context = NULL;
}

static bool thread_is_fresh(struct vgpu_worker *w)
{
	return vgpu_thread.epoch == atomic_load_explicit(&w->epoch, memory_order_relaxed);
}

CUresult vgpu_context_enter(struct vgpu_worker *w, uint64_t wire)
{
	struct vgpu_object *o;

	if (likely(vgpu_thread.ctx == wire && wire && thread_is_fresh(w)))
		return CUDA_SUCCESS;
	o = vgpu_handle_kind(wire) == VGPU_KIND_CONTEXT ? vgpu_handle_object(w, wire) : NULL;
	return o ? make_current(w, to_context(o), wire) : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult vgpu_context_use(struct vgpu_worker *w, struct vgpu_context *ctx)
{
	if (vgpu_thread.context == ctx && thread_is_fresh(w))
		return CUDA_SUCCESS;
	return make_current(w, ctx, atomic_load(&ctx->ending) ? 0 : ctx->wire);
}

/* ---- pins ---- */

void vgpu_context_pin(struct vgpu_worker *w, struct vgpu_context *ctx)
{
	pthread_mutex_lock(&w->life);
	ctx->pins++;
	pthread_mutex_unlock(&w->life);
}

void vgpu_context_unpin(struct vgpu_worker *w, struct vgpu_context *ctx)
{
	pthread_mutex_lock(&w->life);
	if (!--ctx->pins && ctx->ending)
		pthread_cond_broadcast(&w->unused);
	pthread_mutex_unlock(&w->life);
}

struct vgpu_context *vgpu_context_of(struct vgpu_worker *w, uint64_t wire)
{
	uint64_t ctx = vgpu_handle_ancestor(w, wire, VGPU_KIND_CONTEXT);

	return to_context(vgpu_handle_object(w, ctx));
}

struct vgpu_context *vgpu_context_any(struct vgpu_worker *w, int ordinal)
{
	struct vgpu_context *c;

	pthread_mutex_lock(&w->life);
	for (c = w->contexts; c; c = c->next)
		if (ordinal < 0 || c->ordinal == ordinal)
			break;
	if (c)
		c->pins++;
	pthread_mutex_unlock(&w->life);
	return c;
}

/* Pin all contexts that live. How many; -1: no memory. */
static int pin_all(struct vgpu_worker *w, struct vgpu_context ***all)
{
	struct vgpu_context *c;
	int n = 0;

	pthread_mutex_lock(&w->life);
	for (c = w->contexts; c; c = c->next)
		n++;
	*all = calloc(n + 1, sizeof(**all));
	if (*all) {
		n = 0;
		for (c = w->contexts; c; c = c->next) {
			c->pins++;
			(*all)[n++] = c;
		}
	}
	pthread_mutex_unlock(&w->life);
	return *all ? n : -1;
}

CUresult vgpu_contexts_drain(struct vgpu_worker *w)
{
	struct vgpu_context **all;
	int n = pin_all(w, &all);

	if (n < 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (int i = 0; i < n; i++) {
		/* A context at fault has nothing under way. */
		if (!vgpu_context_use(w, all[i]))
			w->driver->cuCtxSynchronize();
		vgpu_context_unpin(w, all[i]);
	}
	free(all);
	return CUDA_SUCCESS;
}

/* ---- the worker's own events and streams ---- */

CUresult vgpu_event_get(struct vgpu_worker *w, struct vgpu_context *ctx,
			enum vgpu_event_kind kind, CUevent *event)
{
	struct vgpu_events *e = &ctx->events[kind];
	unsigned flags = CU_EVENT_DISABLE_TIMING;

	pthread_mutex_lock(&ctx->lock);
	*event = e->count ? e->kept[--e->count] : NULL;
	pthread_mutex_unlock(&ctx->lock);
	if (*event)
		return CUDA_SUCCESS;
	if (kind == VGPU_EVENT_SLEEP)
		flags |= CU_EVENT_BLOCKING_SYNC;
	return w->driver->cuEventCreate(event, flags);
}

void vgpu_event_put(struct vgpu_worker *w, struct vgpu_context *ctx, enum vgpu_event_kind kind,
		    CUevent event)
{
	struct vgpu_events *e = &ctx->events[kind];
	bool kept;

	pthread_mutex_lock(&ctx->lock);
	kept = e->count < VGPU_EVENTS_KEPT;
	if (kept)
		e->kept[e->count++] = event;
	pthread_mutex_unlock(&ctx->lock);
	if (!kept)
		w->driver->cuEventDestroy_v2(event);
}

CUresult vgpu_context_copies(struct vgpu_worker *w, struct vgpu_context *ctx, CUstream *stream)
{
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&ctx->lock);
	if (!ctx->copies)
		r = w->driver->cuStreamCreateWithPriority(&ctx->copies, CU_STREAM_NON_BLOCKING, 0);
	*stream = ctx->copies;
	pthread_mutex_unlock(&ctx->lock);
	return r;
}

/* ---- host functions given to the driver ---- */

void vgpu_callback_add(struct vgpu_worker *w, struct vgpu_context *ctx, struct vgpu_callback *c)
{
	c->w = w;
	c->ctx = ctx;
	pthread_mutex_lock(&ctx->lock);
	c->next = ctx->callbacks;
	c->link = &ctx->callbacks;
	if (c->next)
		c->next->link = &c->next;
	ctx->callbacks = c;
	pthread_mutex_unlock(&ctx->lock);
}

void vgpu_callback_remove(struct vgpu_callback *c)
{
	pthread_mutex_lock(&c->ctx->lock);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	pthread_mutex_unlock(&c->ctx->lock);
}

/* Those that the driver never called: a stream at fault runs nothing any more. */
static void callbacks_drop(struct vgpu_context *ctx)
{
	while (ctx->callbacks) {
		struct vgpu_callback *c = ctx->callbacks;

		ctx->callbacks = c->next;
		c->dropped(c);
	}
}

/* ---- beginning ---- */

/* w->life is held. */
static struct vgpu_context *listed_primary(struct vgpu_worker *w, int ordinal)
{
	struct vgpu_context *c;

	for (c = w->contexts; c; c = c->next)
		if (c->primary && c->ordinal == ordinal)
			break;
	return c;
}

static struct vgpu_context *find_primary(struct vgpu_worker *w, int ordinal)
{
	struct vgpu_context *c;

	pthread_mutex_lock(&w->life);
	c = listed_primary(w, ordinal);
	pthread_mutex_unlock(&w->life);
	return c;
}

/* Whoever finds the number finds it listed, too; and a device has one primary context. */
static CUresult context_list(struct vgpu_worker *w, struct vgpu_context *c)
{
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	pthread_mutex_lock(&w->life);
	if (!c->primary || !listed_primary(w, c->ordinal))
		r = vgpu_handle_add(w, c->wire, VGPU_KIND_CONTEXT, 0, 0, c->driver, &c->object);
	if (!r) {
		c->next = w->contexts;
		w->contexts = c;
	}
	pthread_mutex_unlock(&w->life);
	return r;
}

/* @c is the driver's, and current: let its number name it. */
static CUresult context_begin(struct vgpu_worker *w, struct vgpu_context *c)
{
	CUresult r = context_list(w, c);

	if (!r)
		vgpu_rings_lock(w, c);
	return r;
}

static CUresult primary_begin(struct vgpu_worker *w, const struct vgpu_served_device *d,
			      CUcontext *driver)
{
	if (!d->twin)
		return w->driver->cuDevicePrimaryCtxRetain(driver, d->driver);
	/* It would be pushed. */
	make_none_current(w);
	return w->driver->cuCtxCreate_v2(driver, d->flags, d->driver);
}

static CUresult primary_end(struct vgpu_worker *w, const struct vgpu_served_device *d,
			    CUcontext driver)
{
	if (d->twin)
		return w->driver->cuCtxDestroy_v2(driver);
	return w->driver->cuDevicePrimaryCtxRelease_v2(d->driver);
}

CUresult vgpu_hook_cuDevicePrimaryCtxRetain(struct vgpu_worker *w, const struct vgpu_request *q,
					    uint64_t pctx, int dev)
{
	struct vgpu_context *c = find_primary(w, dev);
	CUresult r;

	/* Whoever retains counts for itself; here it is there or not. */
	if (c)
		return c->wire == pctx ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	c = context_new(pctx, dev, true);
	if (!c)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = primary_begin(w, &w->devices[dev], &c->driver);
	if (r)
		goto free;
	r = make_current(w, c, 0);
	if (!r)
		r = context_begin(w, c);
	if (!r)
		return CUDA_SUCCESS;
	make_none_current(w);
	primary_end(w, &w->devices[dev], c->driver);
free:
	context_free(w, &c->object);
	return r;
}

/* Of the next one, or, as far as a driver allows it, the one that there is. */
CUresult vgpu_hook_cuDevicePrimaryCtxSetFlags_v2(struct vgpu_worker *w,
						 const struct vgpu_request *q, int dev,
						 unsigned int flags)
{
	struct vgpu_served_device *d = &w->devices[dev];

	if (!d->twin)
		return w->driver->cuDevicePrimaryCtxSetFlags_v2(d->driver, flags);
	d->flags = flags;
	return CUDA_SUCCESS;
}

CUresult vgpu_hook_cuCtxCreate_v2(struct vgpu_worker *w, const struct vgpu_request *q,
				  uint64_t pctx, unsigned int flags, int dev)
{
	struct vgpu_context *c = context_new(pctx, dev, false);
	CUresult r;

	if (!c)
		return CUDA_ERROR_OUT_OF_MEMORY;
	/* It would be pushed; the stacks are the client's business. */
	make_none_current(w);
	r = w->driver->cuCtxCreate_v2(&c->driver, flags, w->devices[dev].driver);
	if (r)
		goto free;
	r = make_current(w, c, 0);
	if (!r)
		r = context_begin(w, c);
	if (!r)
		return CUDA_SUCCESS;
	w->driver->cuCtxDestroy_v2(c->driver);
	make_none_current(w);
free:
	context_free(w, &c->object);
	return r;
}

/* ---- ending ---- */

enum { END_DESTROY, END_RELEASE, END_RESET };

static CUresult driver_end(struct vgpu_worker *w, struct vgpu_context *c, unsigned how)
{
	const struct vgpu_served_device *d = &w->devices[c->ordinal];
	CUresult r;

	if (how == END_DESTROY)
		return w->driver->cuCtxDestroy_v2(c->driver);
	if (how == END_RELEASE || d->twin)
		return primary_end(w, d, c->driver);
	/* Its number is gone: who goes on retains again, so this ends one. */
	r = w->driver->cuDevicePrimaryCtxReset_v2(d->driver);
	primary_end(w, d, c->driver);
	return r;
}

static void wait_until_unused(struct vgpu_worker *w, struct vgpu_context *c)
{
	vgpu_helpers_quiesce(w);
	pthread_mutex_lock(&w->life);
	while (c->pins)
		pthread_cond_wait(&w->unused, &w->life);
	pthread_mutex_unlock(&w->life);
}

static CUresult context_finish(struct vgpu_worker *w, struct vgpu_job *job, struct vgpu_reply *p)
{
	struct vgpu_context *c = job->data[0];
	CUresult r;

	wait_until_unused(w, c);
	/* One that cannot be entered has nothing under way, but things of ours. */
	if (!vgpu_context_use(w, c)) {
		w->driver->cuCtxSynchronize();
		/* A host function that was due meanwhile. */
		wait_until_unused(w, c);
	}
	vgpu_hostmem_drop(w, c);
	vgpu_rings_unlock(w, c);
	vgpu_memory_drop(w, c);
	make_none_current(w);
	r = driver_end(w, c, job->words[0]);
	callbacks_drop(c);
	vgpu_errors_forget(w, c->wire);
	/* Threads that used the context while it ended forget it as well. */
	atomic_fetch_add(&w->epoch, 1);
	vgpu_objects_end(w, job->data[1]);
	vgpu_rings_relock(w);
	vgpu_output_drain(w);
	return r;
}

static void unlist(struct vgpu_worker *w, struct vgpu_context *c)
{
	struct vgpu_context **p = &w->contexts;

	pthread_mutex_lock(&w->life);
	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	atomic_store(&c->ending, true);
	pthread_mutex_unlock(&w->life);
}

static CUresult context_end(struct vgpu_worker *w, const struct vgpu_request *q,
			    struct vgpu_context *c, unsigned how)
{
	struct vgpu_job *job = vgpu_job_create(q, context_finish);
	struct vgpu_object *objects;
	void *driver;
	CUresult r;

	if (!job)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = vgpu_handle_take(w, c->wire, VGPU_KIND_CONTEXT, &driver, &objects);
	if (r) {
		free(job);
		return r;
	}
	unlist(w, c);
	atomic_fetch_add(&w->epoch, 1);
	make_none_current(w);
	job->data[0] = c;
	job->data[1] = objects;
	job->words[0] = how;
	return vgpu_job_submit(w, job);
}

CUresult vgpu_hook_cuDevicePrimaryCtxRelease_v2(struct vgpu_worker *w, const struct vgpu_request *q,
						int dev)
{
	struct vgpu_context *c = find_primary(w, dev);

	return c ? context_end(w, q, c, END_RELEASE) : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult vgpu_hook_cuDevicePrimaryCtxReset_v2(struct vgpu_worker *w, const struct vgpu_request *q,
					      int dev)
{
	struct vgpu_context *c = find_primary(w, dev);

	return c ? context_end(w, q, c, END_RESET) : CUDA_SUCCESS;
}

CUresult vgpu_hook_cuCtxDestroy_v2(struct vgpu_worker *w, const struct vgpu_request *q,
				   uint64_t ctx)
{
	struct vgpu_context *c = to_context(vgpu_handle_object(w, ctx));

	return c->primary ? CUDA_ERROR_INVALID_CONTEXT : context_end(w, q, c, END_DESTROY);
}

/* ---- waiting for all of a context ---- */

struct streams {
	struct vgpu_worker	*w;
	unsigned		left;
	CUresult		r;
};

/* With more streams than this a helper is the better place to wait. */
#define STREAMS_ASKED	16

static bool stream_done(void *arg, void *stream)
{
	struct streams *s = arg;

	s->r = s->left-- ? s->w->driver->cuStreamQuery(stream) : CUDA_ERROR_NOT_READY;
	return !s->r;
}

CUresult vgpu_context_query(struct vgpu_worker *w, struct vgpu_context *ctx)
{
	struct streams s = { .w = w, .left = STREAMS_ASKED };

	if (ctx->orphans != atomic_load(&ctx->orphans_over))
		return CUDA_ERROR_NOT_READY;
	s.r = w->driver->cuStreamQuery(CU_STREAM_LEGACY);
	if (!s.r)
		vgpu_handle_each(w, ctx->wire, VGPU_KIND_STREAM, stream_done, &s);
	return s.r;
}
