// SPDX-License-Identifier: MIT
/*
 * The table of live objects. A slot is never freed, so that any number that
 * an application hands over can be looked up: a word of the slot holds
 * generation, alive bit and references together and is only changed whole.
 */
#include <stdlib.h>

#include "softgpu/api.h"

/*
 * A handle looks like a pointer of user space: bits 3..24 are the index, bits
 * 25..46 the generation, which is never 0, so it is never one of CUDA's small
 * constants either.
 */
#define INDEX_BITS	22
#define INDEX_SHIFT	3
#define GEN_BITS	22
#define GEN_SHIFT	(INDEX_SHIFT + INDEX_BITS)
#define GEN_MASK	((1u << GEN_BITS) - 1)
#define CHUNK_BITS	10
#define CHUNK_SLOTS	(1u << CHUNK_BITS)
#define CHUNKS		(1u << (INDEX_BITS - CHUNK_BITS))

/* Of a slot's state: generation << 32 | alive << 31 | references. */
#define ALIVE		(1ull << 31)
#define REFS(state)	((uint32_t)(state) & 0x7fffffffu)
#define GEN(state)	((uint32_t)((state) >> 32))

struct slot {
	_Atomic uint64_t		state;
	_Atomic(struct api_object *)	object;
	uint32_t			next;	/* of the free ones */
};

static _Atomic(struct slot *) chunks[CHUNKS];

static struct {
	pthread_mutex_t	lock;	/* guards the rest */
	uint32_t	used;	/* slots ever handed out, 1 more than the highest */
	uint32_t	first;	/* free ones, oldest first, so that a */
	uint32_t	last;	/* generation comes round as late as can be */
} table = { .lock = PTHREAD_MUTEX_INITIALIZER, .used = 1 };

static struct slot *slot_at(uint32_t index)
{
	struct slot *chunk = atomic_load_explicit(&chunks[index >> CHUNK_BITS],
						  memory_order_acquire);

	return chunk ? &chunk[index & (CHUNK_SLOTS - 1)] : NULL;
}

/* A slot that was never used; 0: no memory or table full. */
static uint32_t slot_new(void)
{
	uint32_t index = table.used;
	struct slot *chunk;

	if (index >> INDEX_BITS)
		return 0;
	if (!slot_at(index)) {
		chunk = calloc(CHUNK_SLOTS, sizeof(*chunk));
		if (!chunk)
			return 0;
		for (unsigned i = 0; i < CHUNK_SLOTS; i++)
			atomic_init(&chunk[i].state, 1ull << 32);
		atomic_store_explicit(&chunks[index >> CHUNK_BITS], chunk,
				      memory_order_release);
	}
	table.used++;
	return index;
}

static uint32_t slot_take(void)
{
	uint32_t index;

	pthread_mutex_lock(&table.lock);
	index = table.first;
	if (index) {
		table.first = slot_at(index)->next;
		if (!table.first)
			table.last = 0;
	} else {
		index = slot_new();
	}
	pthread_mutex_unlock(&table.lock);
	return index;
}

static void slot_give(uint32_t index)
{
	struct slot *slot = slot_at(index);
	uint32_t gen = (GEN(atomic_load(&slot->state)) + 1) & GEN_MASK;

	atomic_store(&slot->object, NULL);
	atomic_store(&slot->state, (uint64_t)(gen ? gen : 1) << 32);
	pthread_mutex_lock(&table.lock);
	slot->next = 0;
	if (table.last)
		slot_at(table.last)->next = index;
	else
		table.first = index;
	table.last = index;
	pthread_mutex_unlock(&table.lock);
}

CUresult api_object_init(struct api_object *obj, enum api_kind kind,
			 struct api_context *ctx,
			 void (*release)(struct api_object *obj))
{
	uint32_t index = slot_take();
	struct slot *slot;
	uint64_t gen;

	if (!index)
		return CUDA_ERROR_OUT_OF_MEMORY;
	slot = slot_at(index);
	gen = GEN(atomic_load(&slot->state));
	obj->kind = kind;
	obj->index = index;
	obj->handle = gen << GEN_SHIFT | (uint64_t)index << INDEX_SHIFT;
	obj->ctx = ctx;
	obj->release = release;
	api_list_init(&obj->link);
	if (ctx)
		api_object_hold(&ctx->obj);
	atomic_store(&slot->object, obj);
	atomic_store_explicit(&slot->state, gen << 32 | ALIVE | 1, memory_order_release);
	return CUDA_SUCCESS;
}

struct api_object *api_object_get(const void *handle, enum api_kind kind)
{
	uint64_t value = (uintptr_t)handle, state;
	uint32_t index = (value >> INDEX_SHIFT) & ((1u << INDEX_BITS) - 1);
	struct api_object *obj;
	struct slot *slot = slot_at(index);

	if (!slot || value & ((1 << INDEX_SHIFT) - 1))
		return NULL;
	state = atomic_load_explicit(&slot->state, memory_order_acquire);
	do {
		if (GEN(state) != value >> GEN_SHIFT || !(state & ALIVE))
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(&slot->state, &state, state + 1,
							memory_order_acquire,
							memory_order_acquire));
	obj = atomic_load(&slot->object);
	if (kind == API_NONE || obj->kind == kind)
		return obj;
	api_object_put(obj);
	return NULL;
}

void api_object_hold(struct api_object *obj)
{
	atomic_fetch_add_explicit(&slot_at(obj->index)->state, 1, memory_order_relaxed);
}

void api_object_put(struct api_object *obj)
{
	struct slot *slot = slot_at(obj->index);
	struct api_context *ctx = obj->ctx;
	uint32_t index = obj->index;

	if (REFS(atomic_fetch_sub_explicit(&slot->state, 1, memory_order_acq_rel)) != 1)
		return;
	obj->release(obj);
	slot_give(index);
	if (ctx)
		api_object_put(&ctx->obj);
}

bool api_object_kill(struct api_object *obj)
{
	return atomic_fetch_and(&slot_at(obj->index)->state, ~ALIVE) & ALIVE;
}

bool api_object_alive(const struct api_object *obj)
{
	return atomic_load(&slot_at(obj->index)->state) & ALIVE;
}
