/* SPDX-License-Identifier: MIT */
/*
 * The objects behind the handles an app holds. A handle is a number (see
 * proto/proto.h), never an address: a slot of the table and the generation
 * that slot had. Slots are never freed, so looking at a stale handle is safe;
 * the generation tells that it is stale.
 */
#ifndef LIBCUDA_OBJECT_H
#define LIBCUDA_OBJECT_H

#include "proto/cuda_api.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "proto/proto.h"

#define VGPU_MAX_DEVICES	64

struct vgpu_session;
struct vgpu_function;		/* function.h: what is known of one on a device */
struct vgpu_names;

struct vgpu_context {
	int			device;		/* CUdevice */
	bool			primary;
	unsigned		flags;
	unsigned		retained;	/* or attached; guarded by the context lock */
	_Atomic bool		active;		/* the worker has it */
	_Atomic unsigned	sticky;		/* the GPU's fault: returned until reset */
	_Atomic unsigned	deferred;	/* an asynchronous call's error, not told yet */
	unsigned long long	id;
};

struct vgpu_stream {
	unsigned		flags;
	int			priority;
	unsigned long long	id;
};

struct vgpu_event {
	unsigned		flags;
};

/* A kernel or function; a library or module that has such. */
struct vgpu_code {
	uint64_t		owner;		/* what it was got from; 0: it was loaded */
	uint64_t		root;		/* the library or module it ends with */
	char			*name;		/* of a kernel or function */
	_Atomic(struct vgpu_function *) *on;	/* by device number */
	uint64_t		next;		/* owner: first kernel; kernel: next of its owner */
	struct vgpu_globals	*globals;	/* owner: names already looked up */
};

struct vgpu_object {
	_Atomic uint64_t	handle;		/* 0: free */
	uint32_t		generation;
	uint32_t		next_free;
	struct vgpu_session	*session;
	uint64_t		ctx;		/* handle of the context it belongs to, or 0 */
	union {
		struct vgpu_context	context;
		struct vgpu_stream	stream;
		struct vgpu_event	event;
		struct vgpu_code	code;
	};
};

/* A new object of @kind, zeroed; NULL: no room. Its handle is not valid before
 * vgpu_object_publish(). */
struct vgpu_object *vgpu_object_new(struct vgpu_session *s, enum vgpu_kind kind, uint64_t ctx,
				    uint64_t *handle);
static inline void vgpu_object_publish(struct vgpu_object *o, uint64_t handle)
{
	atomic_store_explicit(&o->handle, handle, memory_order_release);
}

/* Give the slot back; its handle is stale from here on. The worker must have
 * been told before, for the slot may be given out again at once. Nothing
 * happens to a handle that is stale already. */
void vgpu_object_free(uint64_t handle);

/* The live object of @kind, or NULL. VGPU_KIND_FUNCTION also finds kernels. */
struct vgpu_object *vgpu_object_get(uint64_t handle, enum vgpu_kind kind);

/* Free all objects that belong to @ctx: it was reset or destroyed. */
void vgpu_objects_drop(uint64_t ctx);

/* Free all that came out of the library or module @root: it was unloaded. */
void vgpu_objects_drop_code(uint64_t root);

/* Call @f for each live object; the table is locked meanwhile. */
void vgpu_objects_each(void (*f)(struct vgpu_object *o, void *arg), void *arg);

#endif /* LIBCUDA_OBJECT_H */
