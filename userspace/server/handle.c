/* SPDX-License-Identifier: MIT */
/*
 * The table from the client's numbers to the driver's handles. Reading takes no
 * lock. A slot is found by the index in the number and holds the whole number,
 * generation and kind included, so a stale, foreign or made-up number finds
 * nothing. Slots form a tree: what is below a context or library ends with it.
 */
#include <stdlib.h>
#include "server/worker.h"

void vgpu_handles_init(struct vgpu_handles *h)
{
	pthread_mutex_init(&h->lock, NULL);
}

static struct vgpu_slot *slot_at(struct vgpu_handles *h, uint32_t index)
{
	struct vgpu_slot *chunk;

	if (index >= VGPU_HANDLE_SLOTS)
		return NULL;
	chunk = atomic_load_explicit(&h->chunks[index / VGPU_HANDLE_CHUNK], memory_order_acquire);
	return chunk ? &chunk[index % VGPU_HANDLE_CHUNK] : NULL;
}

/* The slot of a live handle, or NULL. */
static struct vgpu_slot *slot_of(struct vgpu_handles *h, uint64_t wire)
{
	struct vgpu_slot *s = slot_at(h, vgpu_handle_index(wire));

	if (!s || !wire || atomic_load_explicit(&s->wire, memory_order_acquire) != wire)
		return NULL;
	return s;
}

/*
 * A helper's look may meet the dispatcher's reuse of the slot: what was loaded
 * from it (acquire, stored with release after its number was cleared) is not of
 * @wire then.
 */
static bool reused(struct vgpu_slot *s, uint64_t wire)
{
	return atomic_load_explicit(&s->wire, memory_order_relaxed) != wire;
}

static bool kind_fits(uint64_t wire, enum vgpu_kind kind)
{
	enum vgpu_kind is = vgpu_handle_kind(wire);

	return is == kind || (kind == VGPU_KIND_FUNCTION && is == VGPU_KIND_KERNEL);
}

static CUresult unknown(enum vgpu_kind kind)
{
	return kind == VGPU_KIND_CONTEXT ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_HANDLE;
}

CUresult vgpu_handle_get(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind,
			 void **driver_handle)
{
	struct vgpu_slot *s = slot_of(&w->handles, wire);
	void *driver;

	if (unlikely(!s || !kind_fits(wire, kind)))
		return unknown(kind);
	driver = atomic_load_explicit(&s->driver, memory_order_acquire);
	if (unlikely(reused(s, wire)))
		return unknown(kind);
	*driver_handle = driver;
	return CUDA_SUCCESS;
}

struct vgpu_object *vgpu_handle_object(struct vgpu_worker *w, uint64_t wire)
{
	struct vgpu_slot *s = slot_of(&w->handles, wire);
	struct vgpu_object *o = NULL;

	if (s)
		o = atomic_load_explicit(&s->object, memory_order_acquire);
	return o && likely(!reused(s, wire)) ? o : NULL;
}

/* The slot for a number that is to become live; h->lock is held. */
static CUresult slot_make(struct vgpu_handles *h, uint64_t wire, struct vgpu_slot **slot)
{
	uint32_t index = vgpu_handle_index(wire);
	struct vgpu_slot *chunk;

	if (index >= VGPU_HANDLE_SLOTS)
		return CUDA_ERROR_INVALID_VALUE;
	*slot = slot_at(h, index);
	if (*slot)
		return (*slot)->wire ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
	chunk = calloc(VGPU_HANDLE_CHUNK, sizeof(*chunk));
	if (!chunk)
		return CUDA_ERROR_OUT_OF_MEMORY;
	atomic_store_explicit(&h->chunks[index / VGPU_HANDLE_CHUNK], chunk, memory_order_release);
	*slot = &chunk[index % VGPU_HANDLE_CHUNK];
	return CUDA_SUCCESS;
}

CUresult vgpu_handle_free(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind)
{
	struct vgpu_handles *h = &w->handles;
	struct vgpu_slot *s;
	CUresult r;

	if (vgpu_handle_kind(wire) != kind)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&h->lock);
	r = slot_make(h, wire, &s);
	pthread_mutex_unlock(&h->lock);
	return r;
}

/* h->lock is held. */
static void link_below(struct vgpu_handles *h, struct vgpu_slot *s, uint32_t number,
		       uint32_t parent)
{
	struct vgpu_slot *up = slot_at(h, parent - 1);

	s->parent = parent;
	s->prev = 0;
	s->next = up->child;
	if (up->child)
		slot_at(h, up->child - 1)->prev = number;
	up->child = number;
}

static void unlink_slot(struct vgpu_handles *h, struct vgpu_slot *s)
{
	if (s->next)
		slot_at(h, s->next - 1)->prev = s->prev;
	if (s->prev)
		slot_at(h, s->prev - 1)->next = s->next;
	else if (s->parent)
		slot_at(h, s->parent - 1)->child = s->next;
	s->parent = s->next = s->prev = 0;
}

static CUresult add(struct vgpu_handles *h, uint64_t wire, uint64_t parent, uint64_t library,
		    void *driver_handle, struct vgpu_object *object)
{
	struct vgpu_slot *s;
	CUresult r = slot_make(h, wire, &s);

	if (r)
		return r;
	/* Its parent may have ended while the driver worked on it. */
	if ((parent && !slot_of(h, parent)) || (library && !slot_of(h, library)))
		return CUDA_ERROR_INVALID_HANDLE;
	if (parent)
		link_below(h, s, vgpu_handle_index(wire) + 1, vgpu_handle_index(parent) + 1);
	s->library = library ? vgpu_handle_index(library) + 1 : 0;
	h->of_libraries += library != 0;
	atomic_store_explicit(&s->object, object, memory_order_release);
	atomic_store_explicit(&s->driver, driver_handle, memory_order_release);
	atomic_store_explicit(&s->wire, wire, memory_order_release);
	return CUDA_SUCCESS;
}

CUresult vgpu_handle_add(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind,
			 uint64_t parent, uint64_t library, void *driver_handle,
			 struct vgpu_object *object)
{
	CUresult r;

	if (vgpu_handle_kind(wire) != kind)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&w->handles.lock);
	r = add(&w->handles, wire, parent, library, driver_handle, object);
	pthread_mutex_unlock(&w->handles.lock);
	return r;
}

CUresult vgpu_handle_put(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind, uint64_t ctx,
			 void *driver_handle)
{
	return vgpu_handle_add(w, wire, kind, ctx, 0, driver_handle, NULL);
}

bool vgpu_handle_attach(struct vgpu_worker *w, uint64_t wire, struct vgpu_object *object)
{
	struct vgpu_slot *s;
	bool free;

	pthread_mutex_lock(&w->handles.lock);
	s = slot_of(&w->handles, wire);
	free = s && !s->object;
	if (free)
		atomic_store_explicit(&s->object, object, memory_order_release);
	pthread_mutex_unlock(&w->handles.lock);
	return free;
}

uint64_t vgpu_handle_ancestor(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind)
{
	struct vgpu_handles *h = &w->handles;
	struct vgpu_slot *s;
	uint64_t found = 0;

	pthread_mutex_lock(&h->lock);
	for (s = slot_of(h, wire); s && !found && s->parent;) {
		s = slot_at(h, s->parent - 1);
		if (vgpu_handle_kind(s->wire) == kind)
			found = s->wire;
	}
	pthread_mutex_unlock(&h->lock);
	return found;
}

/* Empty the slot and all below it; h->lock is held. The tree is a few levels deep. */
static void take(struct vgpu_handles *h, struct vgpu_slot *s, struct vgpu_object **objects)
{
	struct vgpu_object *o;

	while (s->child)
		take(h, slot_at(h, s->child - 1), objects);
	unlink_slot(h, s);
	h->of_libraries -= s->library != 0;
	s->library = 0;
	o = atomic_exchange_explicit(&s->object, NULL, memory_order_relaxed);
	if (o) {
		o->next = *objects;
		*objects = o;
	}
	atomic_store_explicit(&s->wire, 0, memory_order_release);
}

/* Modules and functions live in a context, but end with their library, too. */
static void take_of_library(struct vgpu_handles *h, uint32_t library,
			    struct vgpu_object **objects)
{
	for (uint32_t i = 0; i < VGPU_HANDLE_SLOTS && h->of_libraries; i++) {
		struct vgpu_slot *s = slot_at(h, i);

		if (!s)
			i += VGPU_HANDLE_CHUNK - 1;
		else if (s->wire && s->library == library)
			take(h, s, objects);
	}
}

CUresult vgpu_handle_take(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind,
			  void **driver_handle, struct vgpu_object **objects)
{
	struct vgpu_handles *h = &w->handles;
	struct vgpu_slot *s;

	*objects = NULL;
	pthread_mutex_lock(&h->lock);
	s = slot_of(h, wire);
	if (!s || vgpu_handle_kind(wire) != kind) {
		pthread_mutex_unlock(&h->lock);
		return unknown(kind);
	}
	*driver_handle = s->driver;
	if (kind == VGPU_KIND_LIBRARY)
		take_of_library(h, vgpu_handle_index(wire) + 1, objects);
	take(h, s, objects);
	pthread_mutex_unlock(&h->lock);
	return CUDA_SUCCESS;
}

void vgpu_objects_end(struct vgpu_worker *w, struct vgpu_object *o)
{
	while (o) {
		struct vgpu_object *next = o->next;

		o->end(w, o);
		o = next;
	}
}

bool vgpu_handle_each(struct vgpu_worker *w, uint64_t parent, enum vgpu_kind kind,
		      bool (*f)(void *arg, void *driver_handle), void *arg)
{
	struct vgpu_handles *h = &w->handles;
	struct vgpu_slot *up, *s;
	bool all = true;

	pthread_mutex_lock(&h->lock);
	up = slot_of(h, parent);
	for (uint32_t n = up ? up->child : 0; n && all; n = s->next) {
		s = slot_at(h, n - 1);
		if (vgpu_handle_kind(s->wire) == kind)
			all = f(arg, s->driver);
	}
	pthread_mutex_unlock(&h->lock);
	return all;
}
