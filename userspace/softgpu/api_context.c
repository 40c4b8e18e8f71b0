// SPDX-License-Identifier: MIT
/*
 * The life of a context, whose children are streams, events, modules and
 * memory, and its sticky error. A primary context has one handle for ever and
 * many lives. Which context is current is in api_current.c.
 *
 * The end goes in phases: no new children (alive is cleared), streams run dry,
 * handles of children die, memory goes. Calls that are under way in other
 * threads keep their objects by reference and find the context dead.
 */
#include "softgpu/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cudafront/cudafront.h"

#define EXIT_PATIENCE_S	1

static _Atomic uint64_t next_id = 1;

/* All that exist, for api_context_quiesce(). */
static struct {
	pthread_mutex_t		lock;
	struct api_context	**items;
	unsigned		count, room;
} contexts = { .lock = PTHREAD_MUTEX_INITIALIZER };

static CUresult contexts_add(struct api_context *ctx)
{
	CUresult result = CUDA_SUCCESS;

	pthread_mutex_lock(&contexts.lock);
	if (contexts.count == contexts.room) {
		unsigned room = contexts.room ? 2 * contexts.room : 16;
		void *items = realloc(contexts.items, room * sizeof(ctx));

		if (items) {
			contexts.items = items;
			contexts.room = room;
		} else {
			result = CUDA_ERROR_OUT_OF_MEMORY;
		}
	}
	if (result == CUDA_SUCCESS)
		contexts.items[contexts.count++] = ctx;
	pthread_mutex_unlock(&contexts.lock);
	return result;
}

static void contexts_remove(struct api_context *ctx)
{
	pthread_mutex_lock(&contexts.lock);
	for (unsigned i = 0; i < contexts.count; i++) {
		if (contexts.items[i] != ctx)
			continue;
		contexts.items[i] = contexts.items[--contexts.count];
		break;
	}
	pthread_mutex_unlock(&contexts.lock);
}

static void context_release(struct api_object *obj)
{
	struct api_context *ctx = api_container(obj, struct api_context, obj);

	pthread_mutex_destroy(&ctx->lock);
	pthread_cond_destroy(&ctx->drained);
	free(ctx);
}

/* A dead context; api_context_start() gives it a life. */
CUresult api_context_create(struct api_device *dev, unsigned flags, bool primary,
			    struct api_context **out)
{
	struct api_context *ctx = calloc(1, sizeof(*ctx));
	CUresult result;

	if (!ctx)
		return CUDA_ERROR_OUT_OF_MEMORY;
	ctx->dev = dev;
	ctx->primary = primary;
	ctx->flags = flags;
	pthread_mutex_init(&ctx->lock, NULL);
	pthread_cond_init(&ctx->drained, NULL);
	api_list_init(&ctx->streams);
	api_list_init(&ctx->objects);
	result = api_object_init(&ctx->obj, API_CONTEXT, NULL, context_release);
	if (result != CUDA_SUCCESS) {
		context_release(&ctx->obj);
		return result;
	}
	result = contexts_add(ctx);
	if (result != CUDA_SUCCESS) {
		api_object_kill(&ctx->obj);
		api_context_put(ctx);
		return result;
	}
	*out = ctx;
	return CUDA_SUCCESS;
}

void api_context_start(struct api_context *ctx)
{
	static const size_t limits[API_LIMITS] = {
		[CU_LIMIT_STACK_SIZE] = 1024,
		[CU_LIMIT_PRINTF_FIFO_SIZE] = 1 << 20,
		[CU_LIMIT_MALLOC_HEAP_SIZE] = 8 << 20,
		[CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH] = 2,
		[CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = 2048,
		[CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64,
	};

	for (int i = 0; i < API_LIMITS; i++)
		ctx->limits[i] = limits[i];
	ctx->error = CUDA_SUCCESS;
	ctx->cache_config = CU_FUNC_CACHE_PREFER_NONE;
	ctx->shared_config = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
	ctx->peers = 0;
	ctx->attached = 1;
	ctx->id = atomic_fetch_add(&next_id, 1);
	atomic_store(&ctx->alive, true);
}

CUresult api_context_get(CUcontext handle, struct api_context **ctx)
{
	struct api_object *obj;

	if (!handle) {
		*ctx = api_current();
		if (!*ctx)
			return CUDA_ERROR_INVALID_CONTEXT;
		api_object_hold(&(*ctx)->obj);
		return CUDA_SUCCESS;
	}
	obj = api_object_get(handle, API_CONTEXT);
	if (!obj)
		return CUDA_ERROR_INVALID_CONTEXT;
	*ctx = api_container(obj, struct api_context, obj);
	return CUDA_SUCCESS;
}

void api_context_put(struct api_context *ctx)
{
	api_object_put(&ctx->obj);
}

CUresult api_context_check(struct api_context *ctx)
{
	if (!atomic_load_explicit(&ctx->alive, memory_order_acquire))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	return atomic_load_explicit(&ctx->error, memory_order_acquire);
}

void api_context_fault(struct api_context *ctx, CUresult error, const char *text)
{
	const char *name = "unknown error";
	int none = CUDA_SUCCESS;

	if (!atomic_compare_exchange_strong(&ctx->error, &none, error))
		return;
	if (api_stopping())	/* a kernel that exit has stopped is nobody's fault */
		return;
	cudafront_error_name(error, &name);
	fprintf(stderr, "softgpu: device %d: %s: %s\n", ctx->dev->ordinal, name, text);
}

CUresult api_context_adopt(struct api_context *ctx, struct api_object *child)
{
	CUresult result = CUDA_ERROR_CONTEXT_IS_DESTROYED;

	pthread_mutex_lock(&ctx->lock);
	if (atomic_load(&ctx->alive)) {
		api_list_add(child->kind == API_STREAM ? &ctx->streams : &ctx->objects,
			     &child->link);
		result = CUDA_SUCCESS;
	}
	pthread_mutex_unlock(&ctx->lock);
	return result;
}

void api_context_unlink(struct api_object *child)
{
	struct api_context *ctx = child->ctx;

	pthread_mutex_lock(&ctx->lock);
	api_list_del(&child->link);
	if (api_list_empty(&ctx->streams))
		pthread_cond_broadcast(&ctx->drained);
	pthread_mutex_unlock(&ctx->lock);
}

/* ---- waiting ---- */

/* Hold every stream of @ctx; the caller waits for and puts them. */
static struct api_stream **hold_streams(struct api_context *ctx, unsigned *count)
{
	struct api_stream **streams = NULL;
	unsigned n = 0;

	pthread_mutex_lock(&ctx->lock);
	for (struct api_list *l = ctx->streams.next; l != &ctx->streams; l = l->next)
		n++;
	streams = malloc((n + 1) * sizeof(*streams));
	n = 0;
	for (struct api_list *l = ctx->streams.next; streams && l != &ctx->streams;
	     l = l->next) {
		streams[n] = api_container(l, struct api_stream, obj.link);
		api_object_hold(&streams[n++]->obj);
	}
	pthread_mutex_unlock(&ctx->lock);
	*count = n;
	return streams;
}

CUresult api_context_sync(struct api_context *ctx)
{
	unsigned count;
	struct api_stream **streams = hold_streams(ctx, &count);

	if (!streams)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (unsigned i = 0; i < count; i++) {
		api_stream_wait(streams[i], atomic_load(&streams[i]->issued));
		api_stream_put(streams[i]);
	}
	free(streams);
	return api_context_check(ctx);
}

static bool uses_memory_of(const struct api_context *user, const struct api_device *dev)
{
	return user->dev == dev || atomic_load(&user->peers) >> dev->ordinal & 1;
}

/* The context of the lowest id above @after that uses @dev's memory, held. */
static struct api_context *next_user(const struct api_device *dev, uint64_t after)
{
	struct api_context *best = NULL;

	pthread_mutex_lock(&contexts.lock);
	for (unsigned i = 0; i < contexts.count; i++) {
		struct api_context *c = contexts.items[i];

		if (c->id > after && (!best || c->id < best->id) && uses_memory_of(c, dev))
			best = c;
	}
	if (best)
		api_object_hold(&best->obj);
	pthread_mutex_unlock(&contexts.lock);
	return best;
}

void api_context_quiesce(const struct api_device *dev)
{
	struct api_context *user;
	uint64_t id = 0;

	while ((user = next_user(dev, id))) {
		id = user->id;
		api_context_sync(user);
		api_context_put(user);
	}
}

/* ---- the end ---- */

/* A stream whose handle still lives, held. */
static struct api_stream *open_stream(struct api_context *ctx)
{
	struct api_stream *found = NULL;

	pthread_mutex_lock(&ctx->lock);
	for (struct api_list *l = ctx->streams.next; l != &ctx->streams; l = l->next) {
		struct api_stream *s = api_container(l, struct api_stream, obj.link);

		if (!api_object_alive(&s->obj))
			continue;
		api_object_hold(&s->obj);
		found = s;
		break;
	}
	pthread_mutex_unlock(&ctx->lock);
	return found;
}

/*
 * false: exit would be held up, for instance by a host function that waits for
 * a thread which is gone.
 */
static bool end_streams(struct api_context *ctx)
{
	struct timespec until;
	struct api_stream *s;
	int err = 0;

	while ((s = open_stream(ctx))) {
		api_stream_close(s);
		api_stream_put(s);
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += EXIT_PATIENCE_S;
	pthread_mutex_lock(&ctx->lock);
	ctx->legacy = NULL;
	while (!api_list_empty(&ctx->streams) && !err) {
		if (api_exiting())
			err = pthread_cond_timedwait(&ctx->drained, &ctx->lock, &until);
		else
			pthread_cond_wait(&ctx->drained, &ctx->lock);
	}
	pthread_mutex_unlock(&ctx->lock);
	return !err;
}

/*
 * Whoever kills a handle drops its reference, after it took the object from
 * the list under the lock: so what is in the list exists.
 */
static void end_objects(struct api_context *ctx)
{
	pthread_mutex_lock(&ctx->lock);
	while (!api_list_empty(&ctx->objects)) {
		struct api_object *obj = api_container(ctx->objects.next, struct api_object, link);

		api_object_hold(obj);
		api_list_del(&obj->link);
		pthread_mutex_unlock(&ctx->lock);
		if (obj->kind == API_MODULE)
			api_module_close(api_container(obj, struct api_module, obj));
		else if (api_object_kill(obj))
			api_object_put(obj);
		api_object_put(obj);
		pthread_mutex_lock(&ctx->lock);
	}
	pthread_mutex_unlock(&ctx->lock);
}

static void end_locked(struct api_context *ctx)
{
	struct api_range range;
	uint64_t id = ctx->id;

	pthread_mutex_lock(&ctx->lock);
	if (!atomic_exchange(&ctx->alive, false)) {
		pthread_mutex_unlock(&ctx->lock);
		return;
	}
	pthread_mutex_unlock(&ctx->lock);
	if (api_exiting())
		__atomic_store_n(&api_stop, true, __ATOMIC_RELAXED);
	if (!end_streams(ctx))
		return;		/* the process takes it all along */
	end_objects(ctx);
	api_libraries_context_ended(ctx);
	while (api_range_take_owned(ctx, id, &range))
		api_memory_free(&range);
}

/*
 * The device's lock keeps a primary context from being revived half way. The
 * destructors of context-local storage call the driver, so they come before.
 */
void api_context_end(struct api_context *ctx, bool reset)
{
	if (!atomic_load(&ctx->alive))
		return;
	cudafront_context_ended(api_handle(&ctx->obj));
	if (ctx->primary) {
		pthread_mutex_lock(&ctx->dev->lock);
		if (reset)
			ctx->dev->retained = 0;
		if (!ctx->dev->retained)
			end_locked(ctx);
		pthread_mutex_unlock(&ctx->dev->lock);
	} else {
		end_locked(ctx);
		contexts_remove(ctx);
	}
}
