/* SPDX-License-Identifier: MIT */
/*
 * Copies that happen when the stream gets there, through staging. The stream is
 * given a gate: a host function that hands the copy to the copier, a thread, and
 * returns when it is finished. What the stream was given before is done when the
 * gate is called, and what it is given later starts after it returned; the
 * dispatcher waits for neither. The copier uses a stream of its own, which waits for
 * nothing, and takes copies whose gate has been reached only. Hence a gate waits for
 * finite work that depends on no other host function, and gates cannot wait for one
 * another in a circle, even if the driver calls all host functions from one thread.
 * While one piece is copied by the GPU, the next is read, or the last one written;
 * what has to come from another host is asked for while the piece before is still on
 * its way.
 *
 * A copy whose record comes right behind that of another one, the same way on the
 * same stream, goes through the same gate: nothing can have been given to any stream
 * in between. So a burst of small ones costs a gate and few waits, not one for each.
 */
#include <stdlib.h>
#include "server/ahead.h"
#include "server/remote.h"
#include "server/worker.h"

#define STAGING		VGPU_AHEAD_PIECE	/* bytes of a piece; two for a context */
#define SETTLE		(512u << 10)		/* bytes to the device, between two waits for it */

struct page_copy {
	struct page_copy	*next;
	struct vgpu_request	q;
	unsigned		way;
	CUdeviceptr		dev;
	struct vgpu_place	place;
	size_t			length;
	uint64_t		issued;		/* to the host: bytes that the GPU was told of */
	CUresult		r;
	/* From another host: the first pieces, if they were asked for early; */
	struct vgpu_ahead	*ahead;
	struct vgpu_pull	pulls[2];	/* those after them, to the bytes of staging; */
	uint64_t		asked, got;	/* how many of them all */
};

struct vgpu_gate {
	struct vgpu_callback	callback;	/* first */
	struct vgpu_gate	*next;		/* that was reached later */
	CUstream		stream;
	unsigned		way;
	uint64_t		seq;		/* of the last copy's record */
	bool			finished;	/* the rest: copier.lock */
	struct page_copy	*first, **last;	/* that nobody has begun */
};

/* ---- the copier ---- */

/* What a context needs for this; made when needed, by the copier alone; ends with it. */
static CUresult staging_make(struct vgpu_worker *w, struct vgpu_staging *s)
{
	CUresult r = CUDA_SUCCESS;

	if (!s->stream)
		r = w->driver->cuStreamCreateWithPriority(&s->stream, CU_STREAM_NON_BLOCKING, 0);
	for (int i = 0; i < 2 && !r; i++) {
		if (!s->bytes[i])
			r = w->driver->cuMemHostAlloc(&s->bytes[i], STAGING, 0);
		if (!r && !s->copied[i])
			r = w->driver->cuEventCreate(&s->copied[i], CU_EVENT_DISABLE_TIMING);
	}
	return r;
}

static size_t piece(const struct page_copy *c, uint64_t offset)
{
	return c->length - offset < STAGING ? c->length - offset : STAGING;
}

static struct page_copy *next_copy(struct vgpu_copier *p, struct vgpu_gate *g)
{
	struct page_copy *c;

	pthread_mutex_lock(&p->lock);
	c = g->first;
	if (c)
		g->first = c->next;
	if (!g->first)
		g->last = &g->first;
	pthread_mutex_unlock(&p->lock);
	return c;
}

static void end_copy(struct vgpu_worker *w, struct page_copy *c)
{
	if (c->r)
		vgpu_error(w, c->q.ctx, c->r, c->q.r.seq, c->q.r.opcode);
	vgpu_ahead_end(c->ahead);
	free(c);
}

/* ---- to the device ---- */

/* Is the place of the next piece in staging free, or one that came by it on its way? */
static bool may_ask(const struct page_copy *c)
{
	return c->asked < c->got + 2 || c->asked < vgpu_ahead_pieces(c->ahead) + 2u;
}

/* Have the next piece sent, if it is on another host and there is one. */
static CUresult ask(struct vgpu_worker *w, struct page_copy *c, struct vgpu_staging *s)
{
	uint64_t at = c->asked * STAGING;
	unsigned k = c->asked % 2;
	CUresult r;

	if (!w->remote || at >= c->length || !may_ask(c))
		return CUDA_SUCCESS;
	/* An event that was never recorded has happened. */
	r = w->driver->cuEventSynchronize(s->copied[k]);
	if (r)
		return r;
	c->pulls[k] = (struct vgpu_pull){
		.from = { c->place.hostmem, c->place.size, c->place.at + at },
		.to = s->bytes[k], .length = piece(c, at),
	};
	c->asked++;
	vgpu_far_read_begin(w->remote, &c->pulls[k]);
	return CUDA_SUCCESS;
}

/* The next piece, in *@bytes. */
static CUresult get(struct vgpu_worker *w, struct page_copy *c, struct vgpu_staging *s,
		    const void **bytes)
{
	uint64_t at = c->got * STAGING;
	unsigned k = c->got++ % 2;
	CUresult r;

	if (c->got <= vgpu_ahead_pieces(c->ahead))
		return vgpu_app_status(vgpu_ahead_finish(c->ahead, c->got - 1, bytes));
	*bytes = s->bytes[k];
	if (w->remote)
		return vgpu_app_status(vgpu_far_read_finish(w->remote, &c->pulls[k]));
	r = w->driver->cuEventSynchronize(s->copied[k]);
	return r ? r : vgpu_app_status(vgpu_app_read(w->channel, s->bytes[k], c->place.at + at,
						piece(c, at)));
}

/* Have the GPU told of all of it. */
static CUresult send_copy(struct vgpu_worker *w, struct page_copy *c, struct vgpu_staging *s)
{
	const void *bytes;
	CUresult r;

	c->asked = vgpu_ahead_pieces(c->ahead);
	r = ask(w, c, s);
	for (uint64_t at = 0, i = 0; at < c->length && !r; at += STAGING, i++) {
		unsigned k = i % 2;

		r = ask(w, c, s);
		if (!r)
			r = get(w, c, s, &bytes);
		if (!r)
			r = w->driver->cuMemcpyHtoDAsync_v2(c->dev + at, bytes, piece(c, at),
							    s->stream);
		if (!r)
			r = w->driver->cuEventRecord(s->copied[k], s->stream);
	}
	/* What was asked for comes, and must find its place. */
	while (c->got < c->asked)
		get(w, c, s, &bytes);
	return r;
}

/* What the GPU was told of. */
static void settle(struct vgpu_worker *w, struct page_copy *sent, struct vgpu_staging *s)
{
	CUresult r = w->driver->cuStreamSynchronize(s->stream);

	while (sent) {
		struct page_copy *c = sent;

		sent = c->next;
		c->r = c->r ? c->r : r;
		end_copy(w, c);
	}
}

static void to_device(struct vgpu_worker *w, struct vgpu_gate *g, struct page_copy *c,
		      struct vgpu_staging *s)
{
	struct page_copy *sent = NULL, **last = &sent;
	uint64_t bytes = 0;

	for (; c; c = next_copy(&w->copier, g)) {
		c->r = send_copy(w, c, s);
		c->next = NULL;
		*last = c;
		last = &c->next;
		bytes += c->length;
		if (bytes < SETTLE)
			continue;
		settle(w, sent, s);
		sent = NULL;
		last = &sent;
		bytes = 0;
	}
	if (sent)
		settle(w, sent, s);
}

/* ---- to the host ---- */

#define SEGMENTS	64

/* A part of a copy, or all of it, in a buffer of staging; and all that is in one. */
struct segment {
	struct page_copy	*c;
	uint64_t		at;		/* in the copy */
	size_t			length, pos;	/* pos: in the buffer */
	bool			last;		/* of the copy, which ends with it */
};

struct load {
	unsigned		count;
	size_t			used;
	CUresult		r;		/* of the event behind them */
	struct segment		segments[SEGMENTS];
};

/* As much of @c as there is room for. */
static void load_part(struct vgpu_worker *w, struct load *l, struct page_copy *c,
		      const struct vgpu_staging *s, unsigned k)
{
	struct segment *part = &l->segments[l->count++];
	uint64_t left = c->length - c->issued;

	*part = (struct segment){ .c = c, .at = c->issued, .pos = l->used };
	part->length = left < STAGING - l->used ? left : STAGING - l->used;
	c->issued += part->length;
	c->r = w->driver->cuMemcpyDtoHAsync_v2((char *)s->bytes[k] + part->pos, c->dev + part->at,
					       part->length, s->stream);
	part->last = c->r || c->issued == c->length;
	l->used += (part->length + 63) & ~(size_t)63;
}

/* Have the GPU fill a buffer with what there is: *@c, if it was begun, and those behind it. */
static void load(struct vgpu_worker *w, struct load *l, struct vgpu_gate *g,
		 const struct vgpu_staging *s, unsigned k, struct page_copy **c)
{
	l->count = 0;
	l->used = 0;
	l->r = CUDA_SUCCESS;
	while (l->count < SEGMENTS && l->used < STAGING) {
		if (!*c)
			*c = next_copy(&w->copier, g);
		if (!*c)
			break;
		load_part(w, l, *c, s, k);
		if (l->segments[l->count - 1].last)
			*c = NULL;
	}
	if (l->count)
		l->r = w->driver->cuEventRecord(s->copied[k], s->stream);
}

static void unload(struct vgpu_worker *w, const struct load *l, const struct vgpu_staging *s,
		   unsigned k)
{
	CUresult r = l->r ? l->r : w->driver->cuEventSynchronize(s->copied[k]);

	if (w->remote && l->count > 1)
		vgpu_far_hold(w->remote, true);
	for (unsigned i = 0; i < l->count; i++) {
		const struct segment *part = &l->segments[i];
		struct page_copy *c = part->c;

		if (!c->r)
			c->r = r;
		if (!c->r)
			c->r = vgpu_app_status(vgpu_place_write(w, &c->place, part->at,
						    (char *)s->bytes[k] + part->pos,
						    part->length));
		if (part->last)
			end_copy(w, c);
	}
	if (w->remote && l->count > 1)
		vgpu_far_hold(w->remote, false);
}

static void to_host(struct vgpu_worker *w, struct vgpu_gate *g, struct page_copy *c,
		    struct vgpu_staging *s)
{
	static struct load loads[2];	/* the copier's */
	unsigned k = 0;

	for (load(w, &loads[k], g, s, k, &c); loads[k].count; k = !k) {
		load(w, &loads[!k], g, s, !k, &c);
		unload(w, &loads[k], s, k);
	}
}

/* Does what the gate has. */
static void copy(struct vgpu_worker *w, struct vgpu_gate *g, struct page_copy *c)
{
	struct vgpu_staging *s = &g->callback.ctx->staging;

	c->r = vgpu_context_use(w, g->callback.ctx);
	if (!c->r)
		c->r = staging_make(w, s);
	if (c->r)
		end_copy(w, c);
	else if (c->way == VGPU_COPY_TO_HOST)
		to_host(w, g, c, s);
	else
		to_device(w, g, c, s);
}

/* p->lock is held when this is called and left. */
static void pass(struct vgpu_worker *w, struct vgpu_copier *p, struct vgpu_gate *g)
{
	while (g->first) {
		struct page_copy *c;

		pthread_mutex_unlock(&p->lock);
		c = next_copy(p, g);
		copy(w, g, c);
		pthread_mutex_lock(&p->lock);
	}
	if (p->open == g)
		p->open = NULL;
	g->finished = true;
	pthread_cond_broadcast(&p->finished);
}

static void *copier_run(void *arg)
{
	struct vgpu_worker *w = arg;
	struct vgpu_copier *p = &w->copier;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct vgpu_gate *g = p->first;

		if (!g) {
			pthread_cond_wait(&p->work, &p->lock);
			continue;
		}
		p->first = g->next;
		if (!p->first)
			p->last = &p->first;
		pass(w, p, g);
	}
	return NULL;
}

void vgpu_copier_init(struct vgpu_copier *p)
{
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->finished, NULL);
	p->last = &p->first;
}

/* In the dispatcher, before the first gate. */
static CUresult copier_start(struct vgpu_worker *w)
{
	pthread_t thread;

	if (!w->copier.runs)
		w->copier.runs = !pthread_create(&thread, NULL, copier_run, w);
	return w->copier.runs ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* ---- the gate ---- */

/* Called by the driver, on a thread of its own, which may not call the driver. */
static void CUDA_CB gate(void *arg)
{
	struct vgpu_gate *g = arg;
	struct vgpu_worker *w = g->callback.w;
	struct vgpu_context *ctx = g->callback.ctx;
	struct vgpu_copier *p = &w->copier;

	vgpu_context_pin(w, ctx);
	vgpu_callback_remove(&g->callback);
	pthread_mutex_lock(&p->lock);
	g->next = NULL;
	*p->last = g;
	p->last = &g->next;
	pthread_cond_signal(&p->work);
	while (!g->finished)
		pthread_cond_wait(&p->finished, &p->lock);
	pthread_mutex_unlock(&p->lock);
	vgpu_context_unpin(w, ctx);
	free(g);
}

/* The stream never gets there. */
static void dropped(struct vgpu_callback *callback)
{
	struct vgpu_gate *g = (struct vgpu_gate *)callback;
	struct vgpu_copier *p = &callback->w->copier;
	struct page_copy *c;

	pthread_mutex_lock(&p->lock);
	if (p->open == g)
		p->open = NULL;
	pthread_mutex_unlock(&p->lock);
	while ((c = next_copy(p, g)))
		end_copy(callback->w, c);
	free(g);
}

/* Through the gate of the copy before it, if there is that. In the dispatcher. */
static bool follow(struct vgpu_worker *w, struct page_copy *c, CUstream s)
{
	struct vgpu_copier *p = &w->copier;
	struct vgpu_gate *g;
	bool good;

	if (!vgpu_thread.dispatcher)
		return false;
	pthread_mutex_lock(&p->lock);
	g = p->open;
	good = g && g->way == c->way && g->stream == s &&
	       g->callback.ctx == vgpu_thread.context && c->q.r.seq == g->seq + 1;
	if (good) {
		g->seq = c->q.r.seq;
		*g->last = c;
		g->last = &c->next;
	}
	pthread_mutex_unlock(&p->lock);
	return good;
}

/* @c becomes the gate's, also if it fails. */
static CUresult lead(struct vgpu_worker *w, struct page_copy *c, CUstream s)
{
	struct vgpu_gate *g = calloc(1, sizeof(*g));
	CUresult r;

	if (!g) {
		end_copy(w, c);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	g->callback.dropped = dropped;
	g->stream = s;
	g->way = c->way;
	g->seq = c->q.r.seq;
	g->first = c;
	g->last = &c->next;
	vgpu_callback_add(w, vgpu_thread.context, &g->callback);
	/* Before it can be reached, and be no more. */
	pthread_mutex_lock(&w->copier.lock);
	w->copier.open = vgpu_thread.dispatcher ? g : NULL;
	pthread_mutex_unlock(&w->copier.lock);
	r = w->driver->cuLaunchHostFunc(s, gate, g);
	if (r) {
		vgpu_callback_remove(&g->callback);
		dropped(&g->callback);
	}
	return r;
}

/* ---- the call ---- */

CUresult vgpu_gate_copy(struct vgpu_worker *w, const struct vgpu_request *q, unsigned way,
			CUdeviceptr dev, const struct vgpu_place *place, size_t length, CUstream s)
{
	const bool early = way == VGPU_COPY_TO_DEVICE_EARLY;
	struct page_copy *c;
	CUresult r = copier_start(w);

	if (r)
		return r;
	c = malloc(sizeof(*c));
	if (!c)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*c = (struct page_copy){
		.q = *q, .way = early ? VGPU_COPY_TO_DEVICE : way, .dev = dev, .place = *place,
		.length = length,
	};
	if (early && w->remote)
		c->ahead = vgpu_ahead_begin(w->remote, &c->place, c->length);
	return follow(w, c, s) ? CUDA_SUCCESS : lead(w, c, s);
}
