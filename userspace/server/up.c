/* SPDX-License-Identifier: MIT */
/*
 * Bytes from the client: copied to the device from where they lie in up, or
 * copied out. Places in up are given back in their order. Pieces of one stream
 * that follow one another make a batch with one event behind it; the dispatcher
 * gives back what is done when it comes by, and before it sleeps leaves the rest
 * to the reclaimer, a thread that waits for the oldest batch.
 */
#include <stdlib.h>
#include <string.h>
#include "server/worker.h"

#define BATCH_BYTES	(128u << 10)	/* or an eighth of the ring */

CUresult vgpu_up_start(struct vgpu_worker *w)
{
	struct vgpu_up *up = &w->up;

	pthread_mutex_init(&up->lock, NULL);
	pthread_cond_init(&up->work, NULL);
	/* A chunk takes up that much at least, and comes once. */
	up->room = w->rings.up_size / VGPU_CHUNK_ALIGN;
	up->batches = malloc(up->room * sizeof(*up->batches));
	return up->batches ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* ---- the ring of batches; up->lock is held ---- */

static struct vgpu_batch *oldest(struct vgpu_up *up)
{
	return up->count ? &up->batches[up->first] : NULL;
}

static void push(struct vgpu_up *up, const struct vgpu_batch *b)
{
	up->batches[(up->first + up->count++) % up->room] = *b;
}

static void give_back(struct vgpu_worker *w, const struct vgpu_batch *b)
{
	vgpu_bytes_release(w->channel, b->pos, b->length);
	if (!b->ctx)
		return;
	vgpu_event_put(w, b->ctx, VGPU_EVENT_SLEEP, b->event);
	vgpu_context_unpin(w, b->ctx);
}

static bool batch_done(struct vgpu_worker *w, const struct vgpu_batch *b)
{
	/* An event of a context at fault answers with the fault: nothing is copied any more. */
	return !b->ctx || w->driver->cuEventQuery(b->event) != CUDA_ERROR_NOT_READY;
}

static void retire(struct vgpu_worker *w)
{
	struct vgpu_up *up = &w->up;
	struct vgpu_batch *b;

	while ((b = oldest(up)) && batch_done(w, b)) {
		give_back(w, b);
		up->first = (up->first + 1) % up->room;
		up->count--;
	}
}

/* ---- the reclaimer ---- */

/* Wait for the oldest batch, without the lock. */
static void wait_oldest(struct vgpu_worker *w, struct vgpu_up *up)
{
	struct vgpu_batch b = *oldest(up);

	if (!b.ctx)
		return;
	/* The dispatcher may retire it meanwhile, and its context then end. */
	vgpu_context_pin(w, b.ctx);
	pthread_mutex_unlock(&up->lock);
	if (!vgpu_context_use(w, b.ctx))
		w->driver->cuEventSynchronize(b.event);
	vgpu_context_unpin(w, b.ctx);
	pthread_mutex_lock(&up->lock);
}

static void *reclaimer_run(void *arg)
{
	struct vgpu_worker *w = arg;
	struct vgpu_up *up = &w->up;

	pthread_mutex_lock(&up->lock);
	for (;;) {
		while (!up->asked)
			pthread_cond_wait(&up->work, &up->lock);
		up->asked = false;
		while (up->count) {
			wait_oldest(w, up);
			retire(w);
		}
	}
	return NULL;
}

/* up->lock is held. */
static void reclaimer_ask(struct vgpu_worker *w, struct vgpu_up *up)
{
	pthread_t thread;

	if (!up->reclaimer)
		up->reclaimer = !pthread_create(&thread, NULL, reclaimer_run, w);
	if (!up->asked) {
		up->asked = true;
		pthread_cond_signal(&up->work);
	}
}

/* ---- batches ---- */

static void append(struct vgpu_worker *w, const struct vgpu_batch *b)
{
	pthread_mutex_lock(&w->up.lock);
	retire(w);
	push(&w->up, b);
	retire(w);
	w->up.holds = w->up.count != 0;
	pthread_mutex_unlock(&w->up.lock);
}

/* Put an event behind the batch; false: there is none, but it is done. */
static bool mark(struct vgpu_worker *w, struct vgpu_batch *b, CUstream stream)
{
	CUresult r = vgpu_context_use(w, b->ctx);

	if (!r)
		r = vgpu_event_get(w, b->ctx, VGPU_EVENT_SLEEP, &b->event);
	if (!r) {
		r = w->driver->cuEventRecord(b->event, stream);
		if (!r)
			return true;
		vgpu_event_put(w, b->ctx, VGPU_EVENT_SLEEP, b->event);
	}
	w->driver->cuStreamSynchronize(stream);
	return false;
}

void vgpu_up_close(struct vgpu_worker *w)
{
	struct vgpu_up *up = &w->up;
	struct vgpu_batch b = {
		.pos = up->open_pos, .length = up->open_length, .ctx = up->open_ctx,
	};

	up->open = false;
	if (!mark(w, &b, up->open_stream)) {
		vgpu_context_unpin(w, b.ctx);
		b.ctx = NULL;
	}
	append(w, &b);
}

static bool joins(const struct vgpu_up *up, CUstream stream)
{
	return up->open_ctx == vgpu_thread.context && up->open_stream == stream;
}

/* The copy from that chunk was issued. */
static void extend(struct vgpu_worker *w, const struct vgpu_chunk *c, CUstream stream)
{
	struct vgpu_up *up = &w->up;
	size_t most = w->rings.up_size / 8;

	if (!up->open) {
		up->open = true;
		up->open_ctx = vgpu_thread.context;
		up->open_stream = stream;
		up->open_bytes = 0;
		vgpu_context_pin(w, up->open_ctx);
	}
	up->open_pos = c->pos;
	up->open_length = c->length;
	up->open_bytes += c->length;
	up->holds = true;
	if (up->open_bytes >= (most < BATCH_BYTES ? most : BATCH_BYTES))
		vgpu_up_close(w);
}

void vgpu_up_retire(struct vgpu_worker *w)
{
	struct vgpu_up *up = &w->up;

	if (up->open)
		vgpu_up_close(w);
	pthread_mutex_lock(&up->lock);
	retire(w);
	up->holds = up->count != 0;
	pthread_mutex_unlock(&up->lock);
}

void vgpu_up_sleep(struct vgpu_worker *w)
{
	struct vgpu_up *up = &w->up;

	vgpu_up_retire(w);
	if (!up->holds)
		return;
	pthread_mutex_lock(&up->lock);
	if (up->count)
		reclaimer_ask(w, up);
	pthread_mutex_unlock(&up->lock);
	/* The rest is the reclaimer's. */
	up->holds = false;
}

/* ---- chunks ---- */

const void *vgpu_up_chunk(struct vgpu_worker *w, const struct vgpu_chunk *c)
{
	struct vgpu_up *up = &w->up;
	const void *bytes = NULL;

	up->taken = true;
	/* The ring of batches has room for chunks that begin where chunks may. */
	if (c->pos < up->end || c->pos % VGPU_CHUNK_ALIGN)
		return NULL;
	pthread_mutex_lock(&up->lock);
	bytes = vgpu_bytes_at(w->channel, c->pos, c->length);
	pthread_mutex_unlock(&up->lock);
	if (bytes)
		up->end = c->pos + c->length;
	return bytes;
}

void vgpu_up_used(struct vgpu_worker *w, const struct vgpu_chunk *c)
{
	struct vgpu_batch b = { .pos = c->pos, .length = c->length };

	if (w->up.open)
		vgpu_up_close(w);
	append(w, &b);
}

/* By the mirror, if it is there still: vgpu_rings_unlock() takes it away under the lock. */
static CUresult copy_mirrored(struct vgpu_worker *w, CUdeviceptr dst, const void *bytes,
			      size_t length, CUstream s)
{
	uint8_t *mirror;
	CUresult r;

	pthread_mutex_lock(&w->up.lock);
	mirror = atomic_load(&w->rings.mirror);
	if (mirror)
		bytes = memcpy(mirror + ((const uint8_t *)bytes - w->rings.up), bytes, length);
	r = w->driver->cuMemcpyHtoDAsync_v2(dst, bytes, length, s);
	pthread_mutex_unlock(&w->up.lock);
	return r;
}

static CUresult copy(struct vgpu_worker *w, CUdeviceptr dst, const void *bytes, size_t length,
		     CUstream s)
{
	if (likely(!atomic_load(&w->rings.mirror)))
		return w->driver->cuMemcpyHtoDAsync_v2(dst, bytes, length, s);
	return copy_mirrored(w, dst, bytes, length, s);
}

CUresult vgpu_hook_vgpu_memcpy_up(struct vgpu_worker *w, const struct vgpu_request *q,
				  CUdeviceptr dst, uint64_t stream, const struct vgpu_chunk *data)
{
	const void *bytes = vgpu_up_chunk(w, data);
	struct vgpu_context *ctx = vgpu_thread.context;
	CUstream s;
	CUresult r;

	if (!bytes)
		return CUDA_ERROR_INVALID_VALUE;
	r = vgpu_stream_get(w, stream, &s);
	if (w->up.open && !joins(&w->up, s))
		vgpu_up_close(w);
	/* The batch may have been another context's. */
	if (!r)
		r = vgpu_context_use(w, ctx);
	if (!r)
		r = copy(w, dst, bytes, data->length, s);
	if (r)
		vgpu_up_used(w, data);
	else
		extend(w, data, s);
	return r;
}
