/* SPDX-License-Identifier: MIT */
/*
 * Page-locked host memory. What is allocated here is shared with the worker, or
 * with the daemon of a GPU that is on another host, which copies from and to it in
 * place; what is registered stays the app's own and is reached through the channel,
 * or, where that is not allowed, is staged like pageable memory.
 */
#include <errno.h>
#include <sys/prctl.h>
#include "libcuda/memory.h"
#include "libcuda/submit.h"

#define ALLOC_FLAGS	(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | \
			 CU_MEMHOSTALLOC_WRITECOMBINED)
#define REGISTER_FLAGS	(CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP)

VGPU_PUBLIC CUresult CUDAAPI cuMemHostAlloc(void **pp, size_t bytesize, unsigned int flags)
{
	struct vgpu_call_place p;
	struct vgpu_memory m;
	CUdeviceptr mapped = 0;
	void *address;
	CUresult r;
	int err;

	r = vgpu_place(&p);
	if (r)
		return r;
	if (!pp || !bytesize || flags & ~ALLOC_FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	m = (struct vgpu_memory){
		.size = bytesize, .kind = VGPU_MEMORY_PINNED, .flags = flags,
		.device = p.context->context.device, .session = p.session, .ctx = p.ctx,
		.room = (bytesize + VGPU_PAGE_SIZE - 1) & ~(size_t)(VGPU_PAGE_SIZE - 1),
	};
	if (m.room < bytesize)
		return CUDA_ERROR_OUT_OF_MEMORY;
	err = vgpu_hostmem_create(p.session->channel, m.room, &address, &m.hostmem);
	if (err)
		return err == -EPIPE ? vgpu_submit_lost(p.session) : CUDA_ERROR_OUT_OF_MEMORY;
	m.start = (uintptr_t)address;
	r = vgpu_call_cuMemHostAlloc(p.session, p.ctx, p.flags, m.hostmem, m.start, m.room, flags,
				     &mapped);
	if (r)
		goto unmap;
	m.mapped = mapped;
	if (vgpu_memory_add(&m)) {
		r = CUDA_ERROR_OUT_OF_MEMORY;
		goto free;
	}
	*pp = address;
	return CUDA_SUCCESS;
free:
	vgpu_call_cuMemFreeHost(p.session, p.ctx, p.flags, m.hostmem);
unmap:
	vgpu_memory_forget(&m);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuMemAllocHost_v2(void **pp, size_t bytesize)
{
	return cuMemHostAlloc(pp, bytesize, 0);
}

VGPU_PUBLIC CUresult CUDAAPI cuMemFreeHost(void *ptr)
{
	struct vgpu_call_place p;
	struct vgpu_memory m;
	uint64_t now;
	CUresult r;

	r = vgpu_place_noctx(&p);
	if (r)
		return r;
	if (!vgpu_memory_take((uintptr_t)ptr, VGPU_MEMORY_PINNED, &m))
		return CUDA_ERROR_INVALID_VALUE;
	now = vgpu_early_now(&m.session->early);
	/* The worker waits for everything before it lets go. */
	r = vgpu_call_cuMemFreeHost(m.session, m.ctx, p.flags, m.hostmem);
	if (!r)
		vgpu_early_context_done(&m.session->early, 0, now);
	vgpu_memory_forget(&m);
	return r;
}

/*
 * Ask the worker whether it can reach the pages. Yama lets only a parent look
 * into a process, or whom that names, with all descendants: here the server.
 */
static CUresult registration_ask(struct vgpu_call_place *p, uint64_t start, size_t size,
				 unsigned int flags)
{
	CUresult r = vgpu_call_cuMemHostRegister_v2(p->session, p->ctx, p->flags, start, size,
						    flags);
	int server = vgpu_channel_peer_pid(p->session->channel);

	if (r != CUDA_ERROR_NOT_PERMITTED || !server || prctl(PR_SET_PTRACER, server))
		return r;
	return vgpu_call_cuMemHostRegister_v2(p->session, p->ctx, p->flags, start, size, flags);
}

static CUresult registration_error(struct vgpu_session *s, int err)
{
	switch (err) {
	case -EEXIST:
		return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
	case -EPIPE:
		return vgpu_submit_lost(s);
	case -EINVAL:
		return CUDA_ERROR_INVALID_VALUE;
	default:
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
}

/*
 * The channel first: the worker reaches nothing that was not registered there.
 * What it cannot reach although it was need not stay so.
 */
static CUresult registration_make(struct vgpu_call_place *p, struct vgpu_memory *m)
{
	struct vgpu_channel *ch = p->session->channel;
	void *start = (void *)(uintptr_t)m->start;
	int err = vgpu_appmem_register(ch, start, m->size);
	CUresult r;

	if (err)
		return registration_error(p->session, err);
	r = registration_ask(p, m->start, m->size, m->flags);
	m->kind = r ? VGPU_MEMORY_STAGED : VGPU_MEMORY_REGISTERED;
	if (r)
		vgpu_appmem_unregister(ch, start, m->size);
	return r == CUDA_ERROR_NOT_PERMITTED ? CUDA_SUCCESS : r;
}

VGPU_PUBLIC CUresult CUDAAPI cuMemHostRegister_v2(void *ptr, size_t bytesize, unsigned int flags)
{
	struct vgpu_call_place p;
	struct vgpu_memory m;
	uint64_t end;
	CUresult r;
	int err;

	r = vgpu_place(&p);
	if (r)
		return r;
	if (!ptr || !bytesize || __builtin_add_overflow((uintptr_t)ptr, bytesize, &end))
		return CUDA_ERROR_INVALID_VALUE;
	if (flags & ~REGISTER_FLAGS)	/* I/O memory and read-only pages of this host */
		return CUDA_ERROR_NOT_SUPPORTED;
	m = (struct vgpu_memory){
		.start = (uintptr_t)ptr, .size = bytesize, .flags = flags,
		.device = p.context->context.device, .session = p.session, .ctx = p.ctx,
	};
	r = registration_make(&p, &m);
	if (r)
		return r;
	/* The worker keeps nothing of it. */
	err = vgpu_memory_add(&m);
	if (err)
		vgpu_memory_forget(&m);
	return err ? registration_error(p.session, err) : CUDA_SUCCESS;
}

struct contexts {
	struct vgpu_session	*session;
	uint64_t		handles[256];
	unsigned		n;
};

static void context_note(struct vgpu_object *o, void *arg)
{
	uint64_t handle = atomic_load_explicit(&o->handle, memory_order_relaxed);
	struct contexts *c = arg;

	if (vgpu_handle_kind(handle) == VGPU_KIND_CONTEXT && o->session == c->session &&
	    o->context.active && c->n < 256)
		c->handles[c->n++] = handle;
}

VGPU_PUBLIC CUresult CUDAAPI cuMemHostUnregister(void *ptr)
{
	struct vgpu_call_place p;
	struct contexts c = { .n = 0 };
	struct vgpu_memory m;
	uint64_t now;
	CUresult r;

	r = vgpu_place(&p);
	if (r)
		return r;
	if (vgpu_memory_take((uintptr_t)ptr, VGPU_MEMORY_STAGED, &m))
		return CUDA_SUCCESS;
	if (!vgpu_memory_take((uintptr_t)ptr, VGPU_MEMORY_REGISTERED, &m))
		return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
	/* The worker may still copy from or to these pages, for any context. */
	c.session = m.session;
	now = vgpu_early_now(&m.session->early);
	vgpu_objects_each(context_note, &c);
	for (unsigned i = 0; i < c.n; i++) {
		CUresult one = vgpu_call_cuCtxSynchronize(m.session, c.handles[i], p.flags);

		r = r ? r : one;
	}
	if (!r)
		vgpu_early_context_done(&m.session->early, 0, now);
	vgpu_memory_forget(&m);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuMemHostGetDevicePointer_v2(CUdeviceptr *dptr, void *ptr,
							  unsigned int flags)
{
	struct vgpu_call_place p;
	struct vgpu_memory m;
	CUresult r;

	r = vgpu_place(&p);
	if (r)
		return r;
	if (!dptr || flags)
		return CUDA_ERROR_INVALID_VALUE;
	vgpu_memory_find((uintptr_t)ptr, &m);
	if (m.kind == VGPU_MEMORY_HOST || vgpu_memory_on_device(&m))
		return CUDA_ERROR_INVALID_VALUE;
	/*
	 * Kernels reach host memory only where the worker has it at the same address. Of
	 * another host it never has: its devices say so, and this is their error.
	 */
	if (!m.mapped)
		return m.session->remote ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_SUPPORTED;
	*dptr = m.mapped + ((uintptr_t)ptr - m.start);
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuMemHostGetFlags(unsigned int *flags, void *ptr)
{
	struct vgpu_call_place p;
	struct vgpu_memory m;
	CUresult r;

	r = vgpu_place(&p);
	if (r)
		return r;
	vgpu_memory_find((uintptr_t)ptr, &m);
	if (!flags || m.kind != VGPU_MEMORY_PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	/* Under unified addressing all of it is portable and mapped. */
	*flags = m.flags | CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP;
	return CUDA_SUCCESS;
}
