/* SPDX-License-Identifier: MIT */
/*
 * What this process knows of memory that CUDA handed out or was told of: by
 * address, so that a copy knows what its pointers are, a bad range is refused
 * at the call, and questions about a pointer need no round trip.
 */
#ifndef LIBCUDA_MEMORY_H
#define LIBCUDA_MEMORY_H

#include "proto/cuda_api.h"
#include <stdbool.h>
#include "libcuda/api.h"

enum vgpu_memory_kind {
	VGPU_MEMORY_HOST,		/* nothing of ours: the app's own */
	VGPU_MEMORY_DEVICE,
	VGPU_MEMORY_GLOBAL,		/* a variable of a module: device memory, not to be freed */
	VGPU_MEMORY_PINNED,		/* cuMemHostAlloc: shared with the worker */
	VGPU_MEMORY_REGISTERED,		/* cuMemHostRegister: the app's own pages */
	VGPU_MEMORY_STAGED,		/* registered, but the worker cannot reach it */
};

struct vgpu_memory {
	uint64_t		start;
	uint64_t		size;
	enum vgpu_memory_kind	kind;
	int			device;		/* CUdevice of the context */
	struct vgpu_session	*session;
	uint64_t		ctx;		/* handle; 0: survives contexts */
	uint64_t		hostmem;	/* PINNED: the channel's handle */
	uint64_t		mapped;		/* PINNED: device pointer, or 0 */
	size_t			room;		/* PINNED: bytes mapped */
	unsigned		flags;		/* host memory: as given */
	unsigned long long	id;		/* CU_POINTER_ATTRIBUTE_BUFFER_ID */
};

/*
 * Remember @m (its id is given here). -ENOMEM; -EEXIST: memory that the app
 * registers overlaps what is known already.
 */
int vgpu_memory_add(struct vgpu_memory *m);

/* The range that holds @address, copied to *@m; kind HOST if there is none. */
void vgpu_memory_find(uint64_t address, struct vgpu_memory *m);

/* Take the range that starts at @start and is of @kind from the table; false: none. */
bool vgpu_memory_take(uint64_t start, enum vgpu_memory_kind kind, struct vgpu_memory *m);

/*
 * Page-locked memory that is no longer in the table, and that the worker does
 * not use any more, is nothing to the channel either.
 */
void vgpu_memory_forget(const struct vgpu_memory *m);

/* All of a context is gone. */
void vgpu_memory_drop(struct vgpu_session *s, uint64_t ctx);

/*
 * @size bytes at @address can be reached by the devices of @p's session, else
 * CUDA_ERROR_INVALID_VALUE. *@host becomes true if it is host memory that is
 * mapped for them: a synchronous call must not leave it to the stream then.
 */
CUresult vgpu_memory_within(const struct vgpu_call_place *p, uint64_t address, uint64_t size,
			    bool *host);

static inline bool vgpu_memory_on_device(const struct vgpu_memory *m)
{
	return m->kind == VGPU_MEMORY_DEVICE || m->kind == VGPU_MEMORY_GLOBAL;
}

#endif /* LIBCUDA_MEMORY_H */
