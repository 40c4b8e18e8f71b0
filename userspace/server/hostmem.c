/* SPDX-License-Identifier: MIT */
/*
 * Page-locked memory that the client allocated: memory shared with it, locked in
 * this driver, which copies from and to it in place. Where the worker can have it
 * at the client's own address, kernels reach it by the client's pointer. That of a
 * client on another host is a number here, and copied by pages.c.
 */
#include <errno.h>
#include <stdlib.h>
#include "channel/relay.h"
#include "server/worker.h"

struct vgpu_hostmem {
	struct vgpu_hostmem	*next;
	uint64_t		handle;
	uint8_t			*addr;	/* NULL: on another host */
	size_t			size;
	struct vgpu_context	*ctx;	/* that it was allocated in, and ends with */
};

static struct vgpu_hostmem **bucket(struct vgpu_worker *w, uint64_t handle)
{
	return &w->hostmem[handle % (sizeof(w->hostmem) / sizeof(w->hostmem[0]))];
}

/* w->hosts is held for this and as long as what it returns is used. */
static struct vgpu_hostmem *find(struct vgpu_worker *w, uint64_t handle)
{
	struct vgpu_hostmem *h;

	for (h = *bucket(w, handle); h; h = h->next)
		if (h->handle == handle)
			break;
	return h;
}

static void insert(struct vgpu_worker *w, struct vgpu_hostmem *h)
{
	struct vgpu_hostmem **b = bucket(w, h->handle);

	pthread_mutex_lock(&w->hosts);
	h->next = *b;
	*b = h;
	pthread_mutex_unlock(&w->hosts);
}

/* Out of the table, its context pinned; NULL: not there, or about to end with that. */
static struct vgpu_hostmem *take(struct vgpu_worker *w, uint64_t handle)
{
	struct vgpu_hostmem **p = bucket(w, handle), *h;

	pthread_mutex_lock(&w->hosts);
	while (*p && (*p)->handle != handle)
		p = &(*p)->next;
	h = *p;
	if (h && atomic_load(&h->ctx->ending))
		h = NULL;
	if (h) {
		*p = h->next;
		vgpu_context_pin(w, h->ctx);
	}
	pthread_mutex_unlock(&w->hosts);
	return h;
}

/* Nothing copies from or to it any more; its context is current. */
static void end(struct vgpu_worker *w, struct vgpu_hostmem *h)
{
	if (h->addr) {
		w->driver->cuMemHostUnregister(h->addr);
		vgpu_hostmem_unmap(w->channel, h->addr, h->size);
	} else {
		vgpu_hostmem_release(w->channel, h->handle);
	}
	free(h);
}

void vgpu_hostmem_drop(struct vgpu_worker *w, struct vgpu_context *ctx)
{
	struct vgpu_hostmem *taken = NULL, *h;

	pthread_mutex_lock(&w->hosts);
	for (size_t i = 0; i < sizeof(w->hostmem) / sizeof(w->hostmem[0]); i++) {
		struct vgpu_hostmem **p = &w->hostmem[i];

		while ((h = *p)) {
			if (h->ctx != ctx) {
				p = &h->next;
				continue;
			}
			*p = h->next;
			h->next = taken;
			taken = h;
		}
	}
	pthread_mutex_unlock(&w->hosts);
	if (!taken)
		return;
	vgpu_contexts_drain(w);
	vgpu_context_use(w, ctx);
	while ((h = taken)) {
		taken = h->next;
		end(w, h);
	}
}

/* At the client's address if that can be, also if the client had other things there before. */
static CUresult map(struct vgpu_worker *w, struct vgpu_hostmem *h, uint64_t address)
{
	struct vgpu_range range = { address, address + h->size };
	void *at;
	int err;

	if (address % VGPU_PAGE_SIZE || h->size % VGPU_PAGE_SIZE || range.end < range.start)
		return CUDA_ERROR_INVALID_VALUE;
	vgpu_steer_open(&range);
	err = vgpu_hostmem_map(w->channel, h->handle, h->size, (void *)(uintptr_t)address, &at);
	if (err || (uintptr_t)at != address)
		vgpu_steer_block(&range, 1);
	if (err)
		return err == -ENOMEM ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
	h->addr = at;
	return CUDA_SUCCESS;
}

/* Mapped, and locked in this driver. */
static CUresult lock_here(struct vgpu_worker *w, struct vgpu_hostmem *h, uint64_t address,
			  CUdeviceptr *device)
{
	/* The flags of both functions have the same values; under unified addressing all is so. */
	const unsigned flags = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP;
	CUresult r = map(w, h, address);

	if (r)
		return r;
	r = w->driver->cuMemHostRegister_v2(h->addr, h->size, flags);
	if (r) {
		vgpu_hostmem_unmap(w->channel, h->addr, h->size);
		return r;
	}
	if ((uintptr_t)h->addr == address &&
	    w->driver->cuMemHostGetDevicePointer_v2(device, h->addr, 0))
		*device = 0;
	return CUDA_SUCCESS;
}

CUresult vgpu_hook_cuMemHostAlloc(struct vgpu_worker *w, const struct vgpu_request *q,
				  uint64_t hostmem, uint64_t address, size_t bytesize,
				  unsigned int Flags, CUdeviceptr *device)
{
	struct vgpu_hostmem *h = calloc(1, sizeof(*h));
	CUresult r = CUDA_SUCCESS;

	if (!h)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*h = (struct vgpu_hostmem){
		.handle = hostmem, .size = bytesize, .ctx = vgpu_thread.context,
	};
	if (!w->remote)
		r = lock_here(w, h, address, device);
	else if (!hostmem || bytesize % VGPU_PAGE_SIZE)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r)
		free(h);
	else
		insert(w, h);
	return r;
}

static CUresult freed(struct vgpu_worker *w, struct vgpu_job *job, struct vgpu_reply *p)
{
	struct vgpu_hostmem *h = job->data[0];
	struct vgpu_context *ctx = h->ctx;
	CUresult r;

	/* Copies from it may be under way in any context; freeing it waits for the GPU anyway. */
	vgpu_contexts_drain(w);
	r = vgpu_context_use(w, ctx);
	end(w, h);
	vgpu_context_unpin(w, ctx);
	return r;
}

/* In the dispatcher: a later record does not find it any more. */
CUresult vgpu_hook_cuMemFreeHost(struct vgpu_worker *w, const struct vgpu_request *q,
				 uint64_t hostmem)
{
	struct vgpu_job *job = vgpu_job_create(q, freed);
	struct vgpu_hostmem *h;

	if (!job)
		return CUDA_ERROR_OUT_OF_MEMORY;
	h = take(w, hostmem);
	if (!h) {
		free(job);
		return CUDA_ERROR_INVALID_VALUE;
	}
	job->data[0] = h;
	return vgpu_job_submit(w, job);
}

static CUresult copy(struct vgpu_worker *w, unsigned way, CUdeviceptr dev, void *host,
		     size_t length, CUstream stream)
{
	if (way != VGPU_COPY_TO_HOST)
		return w->driver->cuMemcpyHtoDAsync_v2(dev, host, length, stream);
	return w->driver->cuMemcpyDtoHAsync_v2(host, dev, length, stream);
}

/* Whether there is such a buffer is known here, what is in it only where it is. */
static CUresult copy_afar(struct vgpu_worker *w, const struct vgpu_request *q, unsigned way,
			  CUdeviceptr dev, const struct vgpu_place *p, size_t length,
			  uint64_t stream)
{
	struct vgpu_place place = *p;
	struct vgpu_hostmem *h;

	pthread_mutex_lock(&w->hosts);
	h = find(w, place.hostmem);
	place.size = h ? h->size : 0;
	pthread_mutex_unlock(&w->hosts);
	if (length > place.size || place.at > place.size - length)
		return CUDA_ERROR_INVALID_VALUE;
	return vgpu_pages_copy(w, q, way, dev, &place, length, stream);
}

CUresult vgpu_hook_vgpu_memcpy_pinned(struct vgpu_worker *w, const struct vgpu_request *q,
				      unsigned int way, CUdeviceptr dev, uint64_t hostmem,
				      uint64_t offset, size_t length, uint64_t stream)
{
	const struct vgpu_place place = { .hostmem = hostmem, .at = offset };
	struct vgpu_hostmem *h;
	CUstream s;
	CUresult r;

	if (w->remote)
		return copy_afar(w, q, way, dev, &place, length, stream);
	r = vgpu_stream_get(w, stream, &s);
	if (r)
		return r;
	pthread_mutex_lock(&w->hosts);
	h = find(w, hostmem);
	if (h && length <= h->size && offset <= h->size - length)
		r = copy(w, way, dev, h->addr + offset, length, s);
	else
		r = CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_unlock(&w->hosts);
	return r;
}
