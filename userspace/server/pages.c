/* SPDX-License-Identifier: MIT */
/*
 * Copies between the device and pages of the client's that are not mapped here:
 * its own (cuMemHostRegister), and all page-locked ones of a client on another
 * host. Bytes are read or written by the channel, through staging, and that must
 * happen when the stream gets there, not before and not after.
 *
 * So the stream is given a gate: a host function that hands the copy to the
 * copier, a thread, and returns when it is finished. What the stream was given
 * before is done when the gate is called, and what it is given later starts
 * after it returned; the dispatcher waits for neither. The copier uses a stream
 * of its own, which waits for nothing, and takes copies whose gate has been
 * reached only. Hence a gate waits for finite work that depends on no other
 * host function, and gates cannot wait for one another in a circle, even if the
 * driver calls all host functions from one thread. While one piece is copied
 * by the GPU, the next is read, or the last one written; what has to come from
 * another host is asked for while the piece before is still on its way.
 */
#include <errno.h>
#include <stdlib.h>
#include "server/ahead.h"
#include "server/remote.h"
#include "server/worker.h"

#define STAGING		VGPU_AHEAD_PIECE	/* bytes of a piece; two for a context */

struct vgpu_page_copy {
	struct vgpu_callback	callback;	/* first */
	struct vgpu_page_copy	*next;
	struct vgpu_request	q;
	unsigned		way;
	CUdeviceptr		dev;
	struct vgpu_place	place;
	size_t			length;
	bool			finished;
	/* From another host: the first pieces, if they were asked for early; */
	struct vgpu_ahead	*ahead;
	struct vgpu_pull	pulls[2];	/* those after them, to the bytes of staging; */
	uint64_t		asked, got;	/* how many of them all */
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

static CUresult app_status(int err)
{
	return err ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
}

static int app_write(struct vgpu_worker *w, const struct vgpu_place *p, uint64_t at,
		     const void *from, size_t n)
{
	if (p->hostmem)
		return vgpu_hostmem_write(w->channel, p->hostmem, p->size, p->at + at, from, n);
	return vgpu_app_write(w->channel, p->at + at, from, n);
}

static size_t piece(const struct vgpu_page_copy *c, uint64_t offset)
{
	return c->length - offset < STAGING ? c->length - offset : STAGING;
}

/* ---- to the device ---- */

/* Is the place of the next piece in staging free, or one that came by it on its way? */
static bool may_ask(const struct vgpu_page_copy *c)
{
	return c->asked < c->got + 2 || c->asked < vgpu_ahead_pieces(c->ahead) + 2u;
}

/* Have the next piece sent, if it is on another host and there is one. */
static CUresult ask(struct vgpu_worker *w, struct vgpu_page_copy *c, struct vgpu_staging *s)
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
static CUresult get(struct vgpu_worker *w, struct vgpu_page_copy *c, struct vgpu_staging *s,
		    const void **bytes)
{
	uint64_t at = c->got * STAGING;
	unsigned k = c->got++ % 2;
	CUresult r;

	if (c->got <= vgpu_ahead_pieces(c->ahead))
		return app_status(vgpu_ahead_finish(c->ahead, c->got - 1, bytes));
	*bytes = s->bytes[k];
	if (w->remote)
		return app_status(vgpu_far_read_finish(w->remote, &c->pulls[k]));
	r = w->driver->cuEventSynchronize(s->copied[k]);
	return r ? r : app_status(vgpu_app_read(w->channel, s->bytes[k], c->place.at + at,
						piece(c, at)));
}

static CUresult to_device(struct vgpu_worker *w, struct vgpu_page_copy *c, struct vgpu_staging *s)
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

/* ---- to the host ---- */

static CUresult fetch(struct vgpu_worker *w, struct vgpu_page_copy *c, struct vgpu_staging *s,
		      uint64_t at)
{
	unsigned k = at / STAGING % 2;
	CUresult r;

	if (at >= c->length)
		return CUDA_SUCCESS;
	r = w->driver->cuMemcpyDtoHAsync_v2(s->bytes[k], c->dev + at, piece(c, at), s->stream);
	return r ? r : w->driver->cuEventRecord(s->copied[k], s->stream);
}

static CUresult to_host(struct vgpu_worker *w, struct vgpu_page_copy *c, struct vgpu_staging *s)
{
	CUresult r = fetch(w, c, s, 0);

	for (uint64_t at = 0; at < c->length && !r; at += STAGING) {
		unsigned k = at / STAGING % 2;

		r = fetch(w, c, s, at + STAGING);
		if (!r)
			r = w->driver->cuEventSynchronize(s->copied[k]);
		if (!r)
			r = app_status(app_write(w, &c->place, at, s->bytes[k], piece(c, at)));
	}
	return r;
}

static void copy(struct vgpu_worker *w, struct vgpu_page_copy *c)
{
	struct vgpu_staging *s = &c->callback.ctx->staging;
	CUresult r = vgpu_context_use(w, c->callback.ctx), synced;

	if (!r)
		r = staging_make(w, s);
	if (!r) {
		r = c->way == VGPU_COPY_TO_DEVICE ? to_device(w, c, s) : to_host(w, c, s);
		synced = w->driver->cuStreamSynchronize(s->stream);
		r = r ? r : synced;
	}
	if (r)
		vgpu_error(w, c->q.ctx, r, c->q.r.seq, c->q.r.opcode);
}

static void *copier_run(void *arg)
{
	struct vgpu_worker *w = arg;
	struct vgpu_copier *p = &w->copier;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct vgpu_page_copy *c = p->first;

		if (!c) {
			pthread_cond_wait(&p->work, &p->lock);
			continue;
		}
		p->first = c->next;
		if (!p->first)
			p->last = &p->first;
		pthread_mutex_unlock(&p->lock);
		copy(w, c);
		pthread_mutex_lock(&p->lock);
		c->finished = true;
		pthread_cond_broadcast(&p->finished);
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
	struct vgpu_page_copy *c = arg;
	struct vgpu_worker *w = c->callback.w;
	struct vgpu_context *ctx = c->callback.ctx;
	struct vgpu_copier *p = &w->copier;

	vgpu_context_pin(w, ctx);
	vgpu_callback_remove(&c->callback);
	pthread_mutex_lock(&p->lock);
	c->next = NULL;
	*p->last = c;
	p->last = &c->next;
	pthread_cond_signal(&p->work);
	while (!c->finished)
		pthread_cond_wait(&p->finished, &p->lock);
	pthread_mutex_unlock(&p->lock);
	vgpu_context_unpin(w, ctx);
	vgpu_ahead_end(c->ahead);
	free(c);
}

/* The stream never gets there. */
static void dropped(struct vgpu_callback *callback)
{
	struct vgpu_page_copy *c = (struct vgpu_page_copy *)callback;

	vgpu_ahead_end(c->ahead);
	free(c);
}

/* ---- small copies ---- */

#define SMALL		(64u << 10)

/*
 * A small copy on a stream that has nothing to do: the stream has got there,
 * so the dispatcher copies at once. It waits for that copy and nothing else.
 */
static CUresult copy_small(struct vgpu_worker *w, unsigned way, CUdeviceptr dev,
			   const struct vgpu_place *p, size_t length, CUstream s)
{
	struct vgpu_context *ctx = vgpu_thread.context;
	CUresult r = CUDA_SUCCESS;

	if (!ctx->small)
		r = w->driver->cuMemHostAlloc(&ctx->small, SMALL, 0);
	if (!r && way == VGPU_COPY_TO_DEVICE)
		r = app_status(vgpu_app_read(w->channel, ctx->small, p->at, length));
	if (r)
		return r;
	if (way == VGPU_COPY_TO_DEVICE)
		r = w->driver->cuMemcpyHtoDAsync_v2(dev, ctx->small, length, s);
	else
		r = w->driver->cuMemcpyDtoHAsync_v2(ctx->small, dev, length, s);
	if (!r)
		r = w->driver->cuStreamSynchronize(s);
	if (!r && way == VGPU_COPY_TO_HOST)
		r = app_status(app_write(w, p, 0, ctx->small, length));
	return r;
}

/* The dispatcher does not wait for another host: records of other streams go on. */
static bool is_small(struct vgpu_worker *w, unsigned way, size_t length)
{
	if (length > SMALL)
		return false;
	return !w->remote || (way == VGPU_COPY_TO_HOST && vgpu_far_writable(w->remote, length));
}

static CUresult copy_later(struct vgpu_worker *w, const struct vgpu_page_copy *like, bool early,
			   CUstream s)
{
	struct vgpu_page_copy *c;
	CUresult r = copier_start(w);

	if (r)
		return r;
	c = malloc(sizeof(*c));
	if (!c)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*c = *like;
	c->callback.dropped = dropped;
	if (early && w->remote)
		c->ahead = vgpu_ahead_begin(w->remote, &c->place, c->length);
	vgpu_callback_add(w, vgpu_thread.context, &c->callback);
	r = w->driver->cuLaunchHostFunc(s, gate, c);
	if (r) {
		vgpu_callback_remove(&c->callback);
		dropped(&c->callback);
	}
	return r;
}

CUresult vgpu_pages_copy(struct vgpu_worker *w, const struct vgpu_request *q, unsigned way,
			 CUdeviceptr dev, const struct vgpu_place *place, size_t length,
			 uint64_t stream)
{
	const bool early = way == VGPU_COPY_TO_DEVICE_EARLY;
	const struct vgpu_page_copy c = {
		.q = *q, .way = early ? VGPU_COPY_TO_DEVICE : way, .dev = dev, .place = *place,
		.length = length,
	};
	CUstream s;
	CUresult r = vgpu_stream_own(w, stream, &s);

	if (r)
		return r;
	if (place->at + length < place->at || dev + length < dev)
		return CUDA_ERROR_INVALID_VALUE;
	if (is_small(w, c.way, length) && vgpu_stream_idle(w, s))
		return copy_small(w, c.way, dev, place, length, s);
	return copy_later(w, &c, early, s);
}

CUresult vgpu_hook_vgpu_memcpy_registered(struct vgpu_worker *w, const struct vgpu_request *q,
					  unsigned int way, CUdeviceptr dev, uint64_t address,
					  size_t length, uint64_t stream)
{
	const struct vgpu_place place = { .at = address };

	return vgpu_pages_copy(w, q, way, dev, &place, length, stream);
}

/* ---- registering ---- */

/* Its first and its last byte, asked for together where that takes time. */
static int try_ends(struct vgpu_worker *w, uint64_t address, size_t size)
{
	uint8_t bytes[2];
	struct vgpu_pull p[2] = {
		{ .from.offset = address, .to = &bytes[0], .length = 1 },
		{ .from.offset = address + size - 1, .to = &bytes[1], .length = 1 },
	};
	int err, second;

	if (!w->remote) {
		err = vgpu_app_read(w->channel, &bytes[0], address, 1);
		return err ? err : vgpu_app_read(w->channel, &bytes[1], address + size - 1, 1);
	}
	vgpu_far_read_begin(w->remote, &p[0]);
	vgpu_far_read_begin(w->remote, &p[1]);
	err = vgpu_far_read_finish(w->remote, &p[0]);
	second = vgpu_far_read_finish(w->remote, &p[1]);
	return err ? err : second;
}

/*
 * Registering: can this worker reach both ends? If not, the client treats the
 * memory as pageable.
 */
CUresult vgpu_hook_cuMemHostRegister_v2(struct vgpu_worker *w, const struct vgpu_request *q,
					uint64_t address, size_t bytesize, unsigned int Flags)
{
	int err;

	if (address + bytesize < address)
		return CUDA_ERROR_INVALID_VALUE;
	err = try_ends(w, address, bytesize);
	if (err == -EFAULT)
		return CUDA_ERROR_INVALID_VALUE;
	return err ? CUDA_ERROR_NOT_PERMITTED : CUDA_SUCCESS;
}
