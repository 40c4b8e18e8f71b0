/* SPDX-License-Identifier: MIT */
/*
 * Copies. What the two addresses are decides the way:
 *
 *	pageable to device	through the up ring in chunks; returns when the
 *				bytes are in the ring, as a driver returns when
 *				they are staged
 *	device to pageable	through the down ring; returns when they are here
 *	page-locked, allocated	one record; the worker copies in place when the
 *				stream gets there
 *	page-locked, registered	one record; the worker reads or writes the app's
 *				pages when the stream gets there. A synchronous
 *				copy goes as if pageable: that is no slower
 *	device to device	one record
 *
 * To a worker on another host page-locked bytes go as pageable ones do where that
 * saves the way there and back: a synchronous copy, or a small one, whose source
 * may be read now (early.h); from it, a small synchronous one.
 */
#include <string.h>
#include "libcuda/copy.h"
#include "libcuda/memory.h"
#include "libcuda/stream.h"
#include "libcuda/submit.h"

#define SMALL_UP	VGPU_CHUNK_MAX		/* one piece */
#define SMALL_DOWN	(256u << 10)
#define ROOM_SOON_MS	20
#define NEAR_NS		500000			/* up is larger than what is on its way */

struct copy {
	struct vgpu_call_place	p;
	uint64_t		stream;
	bool			sync;
	bool			host;	/* a device address is mapped host memory */
};

static CUresult copy_begin(struct copy *c, CUstream stream, bool sync)
{
	CUresult r = vgpu_place(&c->p);

	c->sync = sync;
	c->host = false;
	return r ? r : vgpu_wire_stream(&c->p, stream, &c->stream);
}

static CUresult copy_wait(struct copy *c)
{
	return vgpu_stream_wait(&c->p, c->stream);
}

/* What the app may look at or overwrite when the call returns has been copied. */
static CUresult copy_end(struct copy *c, CUresult r)
{
	return r || !c->sync || !c->host ? r : copy_wait(c);
}

/* The kind of host memory at @address if all @n bytes are of one piece, else pageable. */
static enum vgpu_memory_kind host_kind(struct copy *c, const void *address, size_t n,
				       struct vgpu_memory *m)
{
	uint64_t at = (uintptr_t)address;

	vgpu_memory_find(at, m);
	if (m->kind == VGPU_MEMORY_HOST || m->session != c->p.session ||
	    n > m->size - (at - m->start))
		return VGPU_MEMORY_HOST;
	return m->kind;
}

/* What is left to the stream: wait for it if the call must, or remember what it will write. */
static CUresult copy_left(struct copy *c, unsigned way, const void *host, size_t n, CUresult r)
{
	if (r)
		return r;
	if (c->sync)
		return copy_wait(c);
	if (way == VGPU_COPY_TO_HOST)
		vgpu_early_write(&c->p.session->early, c->p.ctx, c->stream, (uintptr_t)host, n);
	return CUDA_SUCCESS;
}

static CUresult copy_pinned(struct copy *c, unsigned way, CUdeviceptr dev, const void *host,
			    size_t n, const struct vgpu_memory *m)
{
	CUresult r = vgpu_call_vgpu_memcpy_pinned(c->p.session, c->p.ctx, c->p.flags, way, dev,
						  m->hostmem, (uintptr_t)host - m->start, n,
						  c->stream);

	return copy_left(c, way, host, n, r);
}

static CUresult copy_registered(struct copy *c, unsigned way, CUdeviceptr dev, const void *host,
				size_t n)
{
	CUresult r = vgpu_call_vgpu_memcpy_registered(c->p.session, c->p.ctx, c->p.flags, way, dev,
						      (uintptr_t)host, n, c->stream);

	return copy_left(c, way, host, n, r);
}

/* s->upload is locked. */
static CUresult chunk_up_locked(struct copy *c, CUdeviceptr dst, const void *src, size_t n)
{
	struct vgpu_session *s = c->p.session;
	uint64_t pos;
	CUresult r = vgpu_upload(s, src, n, &pos);

	if (r)
		return r;
	return vgpu_call_vgpu_memcpy_up(s, c->p.ctx, c->p.flags, dst, c->stream, pos, n);
}

static CUresult chunk_up(struct copy *c, CUdeviceptr dst, const void *src, size_t n)
{
	struct vgpu_session *s = c->p.session;
	CUresult r;

	pthread_mutex_lock(&s->upload);
	r = chunk_up_locked(c, dst, src, n);
	pthread_mutex_unlock(&s->upload);
	return r;
}

static CUresult copy_up(struct copy *c, CUdeviceptr dst, const uint8_t *src, size_t n)
{
	CUresult r = CUDA_SUCCESS;

	while (n && !r) {
		size_t part = n < VGPU_CHUNK_MAX ? n : VGPU_CHUNK_MAX;

		r = chunk_up(c, dst, src, part);
		dst += part;
		src += part;
		n -= part;
	}
	return r;
}

static CUresult copy_down(struct copy *c, void *dst, CUdeviceptr src, size_t n)
{
	struct vgpu_transfer t = { .to = dst, .length = n };
	CUresult r;

	vgpu_transfer_add(c->p.session, &t);
	r = vgpu_call_vgpu_memcpy_down(c->p.session, c->p.ctx, c->p.flags, src, n, t.id, c->stream);
	vgpu_transfer_remove(c->p.session, &t);
	return r ? r : t.received == n ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN;
}

static CUresult copy_locked(struct copy *c, unsigned way, CUdeviceptr dev, const void *host,
			    size_t n, const struct vgpu_memory *m)
{
	if (m->kind == VGPU_MEMORY_PINNED)
		return copy_pinned(c, way, dev, host, n, m);
	return copy_registered(c, way, dev, host, n);
}

/* How long room in up is worth waiting for, in ms: the further, the longer it takes. */
static int patience(const struct vgpu_session *s)
{
	if (s->stalled || atomic_load_explicit(&s->nearest, memory_order_relaxed) > NEAR_NS)
		return 0;
	return ROOM_SOON_MS;
}

/*
 * A small piece by up, if there is room soon. It may be that no room comes before
 * the app does something else, say because the stream waits for that: an
 * asynchronous call does not wait for ever, and the next ones not at all.
 */
static CUresult chunk_soon(struct copy *c, CUdeviceptr dst, const void *src, size_t n, bool *done)
{
	struct vgpu_session *s = c->p.session;
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&s->upload);
	*done = vgpu_upload_room(s, n, patience(s));
	s->stalled = !*done;
	if (*done)
		r = chunk_up_locked(c, dst, src, n);
	pthread_mutex_unlock(&s->upload);
	return r;
}

/* From page-locked memory to another host. */
static CUresult to_far_device(struct copy *c, CUdeviceptr dst, const void *src, size_t n,
			      const struct vgpu_memory *m)
{
	bool done = false;
	CUresult r = CUDA_SUCCESS;

	if (!vgpu_early_allowed(&c->p.session->early, (uintptr_t)src, n))
		return copy_locked(c, VGPU_COPY_TO_DEVICE, dst, src, n, m);
	if (c->sync) {
		r = copy_up(c, dst, src, n);
		return r ? r : copy_wait(c);
	}
	if (n <= SMALL_UP)
		r = chunk_soon(c, dst, src, n, &done);
	return r || done ? r : copy_locked(c, VGPU_COPY_TO_DEVICE_EARLY, dst, src, n, m);
}

/*
 * A synchronous copy of what a host function or a copy before it has still to write
 * begins when the stream has got so far.
 */
static CUresult to_device_now(struct copy *c, CUdeviceptr dst, const void *src, size_t n)
{
	CUresult r = CUDA_SUCCESS;

	if (c->sync && !vgpu_early_allowed(&c->p.session->early, (uintptr_t)src, n))
		r = copy_wait(c);
	return r ? r : copy_up(c, dst, src, n);
}

static CUresult to_device(struct copy *c, CUdeviceptr dst, const void *src, size_t n)
{
	CUresult r = vgpu_memory_within(&c->p, dst, n, &c->host);
	struct vgpu_memory m;
	bool locked;

	if (r)
		return r;
	switch (host_kind(c, src, n, &m)) {
	case VGPU_MEMORY_PINNED:
		locked = true;
		break;
	case VGPU_MEMORY_REGISTERED:
		locked = !c->sync || c->p.session->remote;
		break;
	default:
		locked = false;
	}
	if (!locked)
		return to_device_now(c, dst, src, n);
	if (c->p.session->remote)
		return to_far_device(c, dst, src, n, &m);
	return copy_locked(c, VGPU_COPY_TO_DEVICE, dst, src, n, &m);
}

/* As if pageable: by down, which the thread that waits for it reads anyway. */
static bool comes_down(const struct copy *c, enum vgpu_memory_kind kind, size_t n)
{
	if (kind == VGPU_MEMORY_REGISTERED)
		return c->sync;
	return kind != VGPU_MEMORY_PINNED ||
	       (c->sync && c->p.session->remote && n <= SMALL_DOWN);
}

static CUresult to_host(struct copy *c, void *dst, CUdeviceptr src, size_t n)
{
	CUresult r = vgpu_memory_within(&c->p, src, n, &c->host);
	struct vgpu_memory m;

	if (r)
		return r;
	if (comes_down(c, host_kind(c, dst, n, &m), n))
		return copy_down(c, dst, src, n);
	return copy_locked(c, VGPU_COPY_TO_HOST, src, dst, n, &m);
}

static CUresult on_device(struct copy *c, CUdeviceptr dst, CUdeviceptr src, size_t n)
{
	CUresult r = vgpu_memory_within(&c->p, dst, n, &c->host);

	if (!r)
		r = vgpu_memory_within(&c->p, src, n, &c->host);
	if (r)
		return r;
	return vgpu_call_cuMemcpyDtoDAsync_v2(c->p.session, c->p.ctx, c->p.flags, dst, src, n,
					      c->stream);
}

static bool device_side(uint64_t address)
{
	struct vgpu_memory m;

	vgpu_memory_find(address, &m);
	return vgpu_memory_on_device(&m);
}

static CUresult htod(CUdeviceptr dst, const void *src, size_t n, CUstream stream, bool sync)
{
	struct copy c;
	CUresult r = copy_begin(&c, stream, sync);

	if (r || !n)
		return r;
	return src ? copy_end(&c, to_device(&c, dst, src, n)) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult dtoh(void *dst, CUdeviceptr src, size_t n, CUstream stream, bool sync)
{
	struct copy c;
	CUresult r = copy_begin(&c, stream, sync);

	if (r || !n)
		return r;
	return dst ? to_host(&c, dst, src, n) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult dtod(CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream stream, bool sync)
{
	struct copy c;
	CUresult r = copy_begin(&c, stream, sync);

	return r || !n ? r : copy_end(&c, on_device(&c, dst, src, n));
}

CUresult vgpu_copy(CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream stream, bool sync)
{
	struct copy c;
	CUresult r = copy_begin(&c, stream, sync);

	if (r || !n)
		return r;
	if (!dst || !src)
		return CUDA_ERROR_INVALID_VALUE;
	if (device_side(dst) && device_side(src))
		return on_device(&c, dst, src, n);
	if (device_side(dst))
		return to_device(&c, dst, (const void *)(uintptr_t)src, n);
	if (device_side(src))
		return to_host(&c, (void *)(uintptr_t)dst, src, n);
	r = copy_wait(&c);
	if (!r)
		memcpy((void *)(uintptr_t)dst, (const void *)(uintptr_t)src, n);
	return r;
}

static CUresult peer(CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx,
		     size_t n, CUstream stream)
{
	uint64_t dst_wire, src_wire;
	struct copy c;
	CUresult r = copy_begin(&c, stream, false);

	if (!r)
		r = vgpu_wire_ctx(&c.p, dst_ctx, &dst_wire);
	if (!r)
		r = vgpu_wire_ctx(&c.p, src_ctx, &src_wire);
	if (r || !n)
		return r;
	r = vgpu_memory_within(&c.p, dst, n, &c.host);
	if (!r)
		r = vgpu_memory_within(&c.p, src, n, &c.host);
	if (r)
		return r;
	return vgpu_call_cuMemcpyPeerAsync(c.p.session, c.p.ctx, c.p.flags, dst, dst_wire, src,
					   src_wire, n, c.stream);
}

/* A NULL stream in the per-thread form of a function. */
static CUstream ptsz(CUstream stream)
{
	return stream ? stream : CU_STREAM_PER_THREAD;
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyHtoD_v2(CUdeviceptr dst, const void *src, size_t n)
{
	return htod(dst, src, n, NULL, true);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyHtoD_v2_ptds(CUdeviceptr dst, const void *src, size_t n)
{
	return htod(dst, src, n, CU_STREAM_PER_THREAD, true);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t n,
						  CUstream stream)
{
	return htod(dst, src, n, stream, false);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyHtoDAsync_v2_ptsz(CUdeviceptr dst, const void *src, size_t n,
						       CUstream stream)
{
	return htod(dst, src, n, ptsz(stream), false);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyDtoH_v2(void *dst, CUdeviceptr src, size_t n)
{
	return dtoh(dst, src, n, NULL, true);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyDtoH_v2_ptds(void *dst, CUdeviceptr src, size_t n)
{
	return dtoh(dst, src, n, CU_STREAM_PER_THREAD, true);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t n,
						  CUstream stream)
{
	return dtoh(dst, src, n, stream, false);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyDtoHAsync_v2_ptsz(void *dst, CUdeviceptr src, size_t n,
						       CUstream stream)
{
	return dtoh(dst, src, n, ptsz(stream), false);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyDtoD_v2(CUdeviceptr dst, CUdeviceptr src, size_t n)
{
	return dtod(dst, src, n, NULL, true);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyDtoD_v2_ptds(CUdeviceptr dst, CUdeviceptr src, size_t n)
{
	return dtod(dst, src, n, CU_STREAM_PER_THREAD, true);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t n,
						  CUstream stream)
{
	return dtod(dst, src, n, stream, false);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t n)
{
	return vgpu_copy(dst, src, n, NULL, true);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpy_ptds(CUdeviceptr dst, CUdeviceptr src, size_t n)
{
	return vgpu_copy(dst, src, n, CU_STREAM_PER_THREAD, true);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t n,
					   CUstream stream)
{
	return vgpu_copy(dst, src, n, stream, false);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyAsync_ptsz(CUdeviceptr dst, CUdeviceptr src, size_t n,
						CUstream stream)
{
	return vgpu_copy(dst, src, n, ptsz(stream), false);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyPeer(CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src,
					  CUcontext src_ctx, size_t n)
{
	return peer(dst, dst_ctx, src, src_ctx, n, NULL);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyPeer_ptds(CUdeviceptr dst, CUcontext dst_ctx,
					       CUdeviceptr src, CUcontext src_ctx, size_t n)
{
	return peer(dst, dst_ctx, src, src_ctx, n, CU_STREAM_PER_THREAD);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemcpyPeerAsync(CUdeviceptr dst, CUcontext dst_ctx,
					       CUdeviceptr src, CUcontext src_ctx, size_t n,
					       CUstream stream)
{
	return peer(dst, dst_ctx, src, src_ctx, n, stream);
}
