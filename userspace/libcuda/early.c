/* SPDX-License-Identifier: MIT */
/* See early.h. Writes of one stream are kept as one range, so that a few places are enough. */
#include "libcuda/early.h"

static bool in_use(const struct vgpu_early_write *w)
{
	return w->start != w->end;
}

bool vgpu_early_allowed(struct vgpu_early *e, uint64_t start, uint64_t n)
{
	bool clear = true;

	if (!vgpu_early_idle(e))
		return false;
	if (!atomic_load_explicit(&e->count, memory_order_acquire))
		return true;
	pthread_mutex_lock(&e->lock);
	for (int i = 0; i < VGPU_EARLY_WRITES; i++) {
		const struct vgpu_early_write *w = &e->writes[i];

		clear &= !in_use(w) || start >= w->end || start + n <= w->start;
	}
	pthread_mutex_unlock(&e->lock);
	return clear;
}

/* The place of that stream's writes, else a free one. NULL: there is neither. */
static struct vgpu_early_write *place(struct vgpu_early *e, uint64_t ctx, uint64_t stream)
{
	struct vgpu_early_write *free = NULL;

	for (int i = 0; i < VGPU_EARLY_WRITES; i++) {
		struct vgpu_early_write *w = &e->writes[i];

		if (!in_use(w))
			free = w;
		else if (w->ctx == ctx && w->stream == stream)
			return w;
	}
	return free;
}

static void extend(struct vgpu_early_write *w, uint64_t start, uint64_t end)
{
	if (start < w->start)
		w->start = start;
	if (end > w->end)
		w->end = end;
}

/*
 * More streams than there are places share the last one, which then is nobody's in
 * particular: it ends when all of the session was waited for.
 */
static struct vgpu_early_write *shared(struct vgpu_early *e)
{
	struct vgpu_early_write *w = &e->writes[VGPU_EARLY_WRITES - 1];

	w->ctx = w->stream = UINT64_MAX;
	return w;
}

void vgpu_early_write(struct vgpu_early *e, uint64_t ctx, uint64_t stream, uint64_t start,
		      uint64_t n)
{
	struct vgpu_early_write *w;

	pthread_mutex_lock(&e->lock);
	w = place(e, ctx, stream);
	if (!w)
		w = shared(e);
	if (in_use(w)) {
		extend(w, start, start + n);
	} else {
		*w = (struct vgpu_early_write){
			.start = start, .end = start + n, .ctx = ctx, .stream = stream,
		};
		atomic_fetch_add(&e->count, 1);
	}
	w->number = atomic_fetch_add(&e->last, 1) + 1;
	pthread_mutex_unlock(&e->lock);
}

static void end_writes(struct vgpu_early *e, uint64_t now,
		       bool (*which)(const struct vgpu_early_write *w, uint64_t ctx,
				     uint64_t stream), uint64_t ctx, uint64_t stream)
{
	if (!atomic_load(&e->count))
		return;
	pthread_mutex_lock(&e->lock);
	for (int i = 0; i < VGPU_EARLY_WRITES; i++) {
		struct vgpu_early_write *w = &e->writes[i];

		/* One that came while somebody waited for those before keeps all of them. */
		if (!in_use(w) || w->number > now || !which(w, ctx, stream))
			continue;
		w->start = w->end = 0;
		atomic_fetch_sub(&e->count, 1);
	}
	pthread_mutex_unlock(&e->lock);
}

static bool of_stream(const struct vgpu_early_write *w, uint64_t ctx, uint64_t stream)
{
	return w->ctx == ctx && w->stream == stream;
}

static bool of_context(const struct vgpu_early_write *w, uint64_t ctx, uint64_t stream)
{
	return !ctx || w->ctx == ctx;
}

void vgpu_early_stream_done(struct vgpu_early *e, uint64_t ctx, uint64_t stream, uint64_t now)
{
	end_writes(e, now, of_stream, ctx, stream);
}

void vgpu_early_context_done(struct vgpu_early *e, uint64_t ctx, uint64_t now)
{
	end_writes(e, now, of_context, ctx, 0);
}
