/* SPDX-License-Identifier: MIT */
/* The table of objects: chunks of slots that are never freed, and a free list. */
#include <stdlib.h>
#include <string.h>
#include "libcuda/code.h"
#include "libcuda/object.h"

#define CHUNK_SLOTS	1024u
#define CHUNKS		(VGPU_HANDLE_SLOTS / CHUNK_SLOTS)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* free list, growth, generations */
static _Atomic(struct vgpu_object *) chunks[CHUNKS];
static uint32_t nslots = 1;		/* slot 0 is never given out; it ends the free list */
static uint32_t first_free;

static struct vgpu_object *slot_at(uint32_t index)
{
	struct vgpu_object *chunk;

	if (index >= VGPU_HANDLE_SLOTS)
		return NULL;
	chunk = atomic_load_explicit(&chunks[index / CHUNK_SLOTS], memory_order_acquire);
	return chunk ? chunk + index % CHUNK_SLOTS : NULL;
}

static uint32_t slot_take(void)
{
	uint32_t index = first_free;

	if (index) {
		first_free = slot_at(index)->next_free;
		return index;
	}
	if (nslots == VGPU_HANDLE_SLOTS)
		return 0;
	if (!slot_at(nslots)) {
		struct vgpu_object *chunk = calloc(CHUNK_SLOTS, sizeof(*chunk));

		if (!chunk)
			return 0;
		atomic_store_explicit(&chunks[nslots / CHUNK_SLOTS], chunk, memory_order_release);
	}
	return nslots++;
}

struct vgpu_object *vgpu_object_new(struct vgpu_session *s, enum vgpu_kind kind, uint64_t ctx,
				    uint64_t *handle)
{
	struct vgpu_object *o = NULL;
	uint32_t index;

	pthread_mutex_lock(&lock);
	index = slot_take();
	if (index) {
		o = slot_at(index);
		o->generation = (o->generation + 1) & 0xffffff;
		o->session = s;
		o->ctx = ctx;
		o->next_free = 0;
		memset(&o->context, 0, sizeof(*o) - offsetof(struct vgpu_object, context));
		*handle = vgpu_handle_make(kind, o->generation, index);
	}
	pthread_mutex_unlock(&lock);
	return o;
}

static bool is_code(uint64_t handle)
{
	enum vgpu_kind kind = vgpu_handle_kind(handle);

	return kind == VGPU_KIND_LIBRARY || kind == VGPU_KIND_MODULE ||
	       kind == VGPU_KIND_KERNEL || kind == VGPU_KIND_FUNCTION;
}

/* The lock is held. */
static void object_release(struct vgpu_object *o, uint64_t handle)
{
	if (is_code(handle))
		vgpu_code_clear(&o->code);
	atomic_store_explicit(&o->handle, 0, memory_order_relaxed);
	o->next_free = first_free;
	first_free = vgpu_handle_index(handle);
}

void vgpu_object_free(uint64_t handle)
{
	struct vgpu_object *o = slot_at(vgpu_handle_index(handle));

	pthread_mutex_lock(&lock);
	if (o && atomic_load_explicit(&o->handle, memory_order_relaxed) == handle)
		object_release(o, handle);
	pthread_mutex_unlock(&lock);
}

struct vgpu_object *vgpu_object_get(uint64_t handle, enum vgpu_kind kind)
{
	enum vgpu_kind is = vgpu_handle_kind(handle);
	struct vgpu_object *o;

	if (is != kind && !(kind == VGPU_KIND_FUNCTION && is == VGPU_KIND_KERNEL))
		return NULL;
	o = slot_at(vgpu_handle_index(handle));
	if (!o || atomic_load_explicit(&o->handle, memory_order_acquire) != handle)
		return NULL;
	return o;
}

void vgpu_objects_each(void (*f)(struct vgpu_object *o, void *arg), void *arg)
{
	pthread_mutex_lock(&lock);
	for (uint32_t i = 1; i < nslots; i++) {
		struct vgpu_object *o = slot_at(i);

		if (atomic_load_explicit(&o->handle, memory_order_relaxed))
			f(o, arg);
	}
	pthread_mutex_unlock(&lock);
}

static void drop_if_of(struct vgpu_object *o, void *arg)
{
	uint64_t handle = atomic_load_explicit(&o->handle, memory_order_relaxed);
	uint64_t ctx = *(uint64_t *)arg;

	if (vgpu_handle_kind(handle) == VGPU_KIND_LIBRARY)
		vgpu_code_forget(&o->code, ctx);
	if (o->ctx != ctx || vgpu_handle_kind(handle) == VGPU_KIND_CONTEXT)
		return;
	object_release(o, handle);
}

void vgpu_objects_drop(uint64_t ctx)
{
	vgpu_objects_each(drop_if_of, &ctx);
}

static void drop_if_from(struct vgpu_object *o, void *arg)
{
	uint64_t handle = atomic_load_explicit(&o->handle, memory_order_relaxed);

	if (is_code(handle) && o->code.root == *(uint64_t *)arg)
		object_release(o, handle);
}

void vgpu_objects_drop_code(uint64_t root)
{
	vgpu_objects_each(drop_if_from, &root);
}
