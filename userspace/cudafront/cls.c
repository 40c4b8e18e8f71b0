// SPDX-License-Identifier: MIT
/*
 * Context-local storage: values that NVIDIA's runtimes keep per (context, key).
 * A runtime asks for its value at the start of every call, so a get that was
 * answered before costs no lock: each thread keeps what it found, and all that
 * was found is void once the generation moves.
 */
#include "internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BUCKETS 64 /* chains of the table */
#define CACHED	16 /* entries a thread keeps; a process has some ten runtimes */

struct entry {
	struct entry		 *next;
	CUcontext		  ctx;
	void			 *key;
	void			 *value;
	cudafront_cls_destructor *destructor;
};

/* Guards the table and every entry in it. No destructor runs under it. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *table[BUCKETS];

/*
 * Moves, under table_lock, when an entry that may have been found vanishes or
 * changes. Pairs with the load in cudafront_cls_get().
 */
static _Atomic uint64_t generation = 1;

struct cached {
	uint64_t  generation; /* 0: empty */
	CUcontext ctx;
	void	 *key;
	void	 *value;
};
static __thread struct cached cache[CACHED];

static unsigned hash(CUcontext ctx, const void *key)
{
	uint64_t h = (uintptr_t)ctx * 31 ^ (uintptr_t)key;

	return (h * 0x9E3779B97F4A7C15ULL) >> 58;
}
_Static_assert(BUCKETS == 1 << (64 - 58), "hash() is a number of a bucket");

static CUcontext resolve(CUcontext ctx)
{
	if (!ctx || ctx == (CUcontext)-1)
		return cudafront_ops->current_context();
	return ctx;
}

/* The link that points to the entry, or that a new one is to be put in. */
static struct entry **find(CUcontext ctx, const void *key)
{
	struct entry **link = &table[hash(ctx, key)];

	while (*link && ((*link)->ctx != ctx || (*link)->key != key))
		link = &(*link)->next;
	return link;
}

static void move_generation(void)
{
	atomic_fetch_add_explicit(&generation, 1, memory_order_release);
}

static CUresult get_slowly(void **value, CUcontext ctx, void *key)
{
	CUresult r = CUDA_ERROR_INVALID_HANDLE;
	struct entry *e;

	pthread_mutex_lock(&table_lock);
	e = *find(ctx, key);
	if (e) {
		cache[hash(ctx, key) % CACHED] = (struct cached){
			.generation = atomic_load_explicit(&generation, memory_order_relaxed),
			.ctx = ctx,
			.key = key,
			.value = e->value,
		};
		*value = e->value;
		r = CUDA_SUCCESS;
	}
	pthread_mutex_unlock(&table_lock);
	return r;
}

CUresult cudafront_cls_get(void **value, CUcontext ctx, void *key)
{
	const struct cached *c;

	ctx = resolve(ctx);
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	if (!ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	c = &cache[hash(ctx, key) % CACHED];
	if (c->key == key && c->ctx == ctx &&
	    c->generation == atomic_load_explicit(&generation, memory_order_acquire)) {
		*value = c->value;
		return CUDA_SUCCESS;
	}
	return get_slowly(value, ctx, key);
}

/*
 * Under the lock, so that an entry is either put before the end of its context
 * is told to cudafront_context_ended(), which drops it, or refused.
 */
static CUresult put_locked(struct entry *new, struct entry **old)
{
	struct entry **link = find(new->ctx, new->key);

	if (!cudafront_ops->context_alive(new->ctx))
		return CUDA_ERROR_INVALID_CONTEXT;
	*old = *link;
	if (*old) {
		new->next = (*old)->next;
		move_generation();
	}
	*link = new;
	return CUDA_SUCCESS;
}

CUresult cudafront_cls_put(CUcontext ctx, void *key, void *value,
			   cudafront_cls_destructor *destructor)
{
	struct entry *new, *old = NULL;
	CUresult r;

	ctx = resolve(ctx);
	if (!ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	new = malloc(sizeof(*new));
	if (!new)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*new = (struct entry){ NULL, ctx, key, value, destructor };
	pthread_mutex_lock(&table_lock);
	r = put_locked(new, &old);
	pthread_mutex_unlock(&table_lock);
	free(r ? new : old);
	return r;
}

CUresult cudafront_cls_delete(CUcontext ctx, void *key)
{
	struct entry **link, *e;

	ctx = resolve(ctx);
	if (!ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	pthread_mutex_lock(&table_lock);
	link = find(ctx, key);
	e = *link;
	if (e) {
		*link = e->next;
		move_generation();
	}
	pthread_mutex_unlock(&table_lock);
	free(e);
	return e ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* Take the entries of @ctx out of the table. */
static struct entry *take(CUcontext ctx)
{
	struct entry *taken = NULL;

	pthread_mutex_lock(&table_lock);
	for (int i = 0; i < BUCKETS; i++) {
		struct entry **link = &table[i];

		while (*link) {
			struct entry *e = *link;

			if (e->ctx != ctx) {
				link = &e->next;
				continue;
			}
			*link = e->next;
			e->next = taken;
			taken = e;
		}
	}
	if (taken)
		move_generation();
	pthread_mutex_unlock(&table_lock);
	return taken;
}

void cudafront_context_ended(CUcontext ctx)
{
	struct entry *e = take(ctx);

	while (e) {
		struct entry *next = e->next;

		if (e->destructor)
			e->destructor(e->ctx, e->key, e->value);
		free(e);
		e = next;
	}
}

static void lock_table(void)
{
	pthread_mutex_lock(&table_lock);
}

static void unlock_table(void)
{
	pthread_mutex_unlock(&table_lock);
}

/*
 * A child of fork() whose parent used CUDA still runs the exit handlers of its
 * runtimes, which delete their entries: the lock must not stay taken there.
 */
void cudafront_cls_init(void)
{
	pthread_atfork(lock_table, unlock_table, unlock_table);
}
