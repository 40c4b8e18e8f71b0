// SPDX-License-Identifier: MIT
/*
 * Launches: the pool of host threads, and how blocks of a grid are dealt out.
 *
 * A worker normally runs one block to its end. When a block does not end
 * within its budget the worker takes one more beside it, and they have turns:
 * so blocks that wait for other blocks make progress, and with a cooperative
 * launch, whose budget is small, all blocks are soon resident.
 */
#include "softgpu/exec.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUDGET		(8l << 20)
#define BUDGET_COOP	(64l << 10)
#define MAX_RESIDENT	256
#define MAX_POOL	256
#define STACK_CALLS	(64u << 10)	/* local memory for what a kernel calls */

/* pool_lock guards jobs, and helpers of each. */
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pool_work = PTHREAD_COND_INITIALIZER;
static pthread_cond_t pool_left = PTHREAD_COND_INITIALIZER;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;
static struct sg_job *jobs;
static unsigned pool_size;	/* helpers beside the launching thread */
static uint64_t grid_ids;

/* ---- a worker in a job ---- */

static void set_error(struct sg_job *job, CUresult error, const char *text)
{
	bool expected = false;

	if (!__atomic_compare_exchange_n(&job->failed, &expected, true, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return;
	job->fault.error = error;
	snprintf(job->fault.text, sizeof(job->fault.text), "kernel %.100s: %s", job->func->name,
		 text);
}

/* The next block that nobody has; NULL: none, or no memory. */
static struct sg_block *take_block(struct sg_worker *wk)
{
	struct sg_job *job = wk->job;
	uint64_t n = __atomic_load_n(&job->next_block, __ATOMIC_RELAXED);
	struct sg_block *b;

	if (n >= job->nblocks || __atomic_load_n(&job->failed, __ATOMIC_RELAXED))
		return NULL;
	b = sg_block_new(wk);
	if (!b)
		return NULL;
	n = __atomic_fetch_add(&job->next_block, 1, __ATOMIC_RELAXED);
	if (n >= job->nblocks) {
		b->next = wk->free_blocks;
		wk->free_blocks = b;
		return NULL;
	}
	sg_block_start(b, n);
	return b;
}

static void drop_block(struct sg_block *b)
{
	for (unsigned i = 0; i < b->nwarps; i++)
		sg_warp_drop(&b->warp[i]);
}

static void retire(struct sg_worker *wk, struct sg_block **at)
{
	struct sg_block *b = *at;

	*at = b->next;
	b->next = wk->free_blocks;
	wk->free_blocks = b;
}

/* One turn for each resident block; true: one of them did not end. */
static bool run_resident(struct sg_worker *wk, struct sg_block **resident, unsigned *n)
{
	long budget = wk->job->launch->cooperative ? BUDGET_COOP : BUDGET;
	struct sg_block **at = resident;
	bool slow = false, asleep = true;

	while (*at) {
		enum sg_run r = sg_block_run(*at, budget);

		if (r == SG_RUN_SLICE) {
			at = &(*at)->next;
			slow = true;
			asleep &= wk->yielded;
			continue;
		}
		if (r == SG_RUN_FAULT) {	/* of this block, another, or a stop */
			set_error(wk->job, CUDA_ERROR_LAUNCH_TIMEOUT, "stopped");
			drop_block(*at);
		}
		retire(wk, at);
		(*n)--;
	}
	if (slow && asleep)
		sched_yield();
	return slow;
}

static void work(struct sg_job *job)
{
	struct sg_worker wk = { .job = job };
	struct sg_block *resident = NULL, *b;
	unsigned n = 0, want = 1;

	for (;;) {
		while (n < want && (b = take_block(&wk))) {
			b->next = resident;
			resident = b;
			n++;
		}
		if (!n)
			break;
		if (run_resident(&wk, &resident, &n) &&
		    (want < MAX_RESIDENT || job->launch->cooperative))
			want = n + 1;
	}
	while (wk.free_blocks) {
		b = wk.free_blocks;
		wk.free_blocks = b->next;
		sg_block_free(&wk, b);
	}
	sg_frames_drain(&wk);
}

/* ---- the pool ---- */

static bool has_blocks(const struct sg_job *job)
{
	return __atomic_load_n(&job->next_block, __ATOMIC_RELAXED) < job->nblocks &&
	       !__atomic_load_n(&job->failed, __ATOMIC_RELAXED);
}

static struct sg_job *find_job(void)
{
	for (struct sg_job *j = jobs; j; j = j->next)
		if (has_blocks(j))
			return j;
	return NULL;
}

static void *helper(void *unused)
{
	pthread_mutex_lock(&pool_lock);
	for (;;) {
		struct sg_job *job = find_job();

		if (!job) {
			pthread_cond_wait(&pool_work, &pool_lock);
			continue;
		}
		job->helpers++;
		pthread_mutex_unlock(&pool_lock);
		work(job);
		pthread_mutex_lock(&pool_lock);
		job->helpers--;
		pthread_cond_broadcast(&pool_left);
	}
	return NULL;
}

static void pool_start(void)
{
	const char *env = getenv("SOFTGPU_THREADS");
	long n = env ? atol(env) : sysconf(_SC_NPROCESSORS_ONLN);
	pthread_attr_t attr;
	pthread_t thread;

	n = n < 1 ? 1 : n > MAX_POOL ? MAX_POOL : n;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (long i = 1; i < n; i++)
		if (!pthread_create(&thread, &attr, helper, NULL))
			pool_size++;
	pthread_attr_destroy(&attr);
}

static void run_job(struct sg_job *job)
{
	struct sg_job **at;

	pthread_once(&pool_once, pool_start);
	if (job->nblocks > 1 && pool_size) {
		pthread_mutex_lock(&pool_lock);
		job->next = jobs;
		jobs = job;
		pthread_cond_broadcast(&pool_work);
		pthread_mutex_unlock(&pool_lock);
	}
	work(job);
	pthread_mutex_lock(&pool_lock);
	for (at = &jobs; *at && *at != job; at = &(*at)->next)
		;
	if (*at)
		*at = job->next;
	while (job->helpers)
		pthread_cond_wait(&pool_left, &pool_lock);
	pthread_mutex_unlock(&pool_lock);
}

/* ---- launches ---- */

static uint32_t stack_bytes(const struct sg_function *f)
{
	uint32_t n = f->local_bytes + (f->calls ? STACK_CALLS : 0);

	return (n + 63) & ~63u;
}

/* %tid for all warps, so that none has to divide. */
static void number_threads(struct sg_job *job)
{
	const unsigned *n = job->launch->block;

	for (unsigned t = 0; t < job->nwarps * SG_WARP; t++) {
		job->tid[0][t] = t % n[0];
		job->tid[1][t] = t / n[0] % n[1];
		job->tid[2][t] = t / n[0] / n[1];
	}
}

static CUresult prepare(struct sg_job *job, const struct sg_launch *l)
{
	const struct sg_function *f = l->function;
	uint32_t align = f->mod->dyn_align;

	job->launch = l;
	job->func = f;
	job->dev = f->mod->dev;
	job->nblocks = (uint64_t)l->grid[0] * l->grid[1] * l->grid[2];
	for (int i = 0; i < 3; i++)
		if (!l->block[i] || l->block[i] > SG_MAX_THREADS)
			return CUDA_ERROR_INVALID_VALUE;
	job->nthreads = l->block[0] * l->block[1] * l->block[2];
	job->nwarps = (job->nthreads + SG_WARP - 1) / SG_WARP;
	job->dyn_offset = (f->shared_bytes + align - 1) & -align;
	job->shared_bytes = job->dyn_offset + l->dynamic_shared;
	job->stack_bytes = stack_bytes(f);
	job->grid_id = __atomic_add_fetch(&grid_ids, 1, __ATOMIC_RELAXED);
	if (!job->nblocks || !job->nthreads || job->nthreads > f->max_threads ||
	    l->param_bytes > sizeof(job->params) || l->dynamic_shared > SG_SHARED_OPTIN)
		return CUDA_ERROR_INVALID_VALUE;
	number_threads(job);
	if (l->param_bytes)
		memcpy(job->params, l->params, l->param_bytes);
	return CUDA_SUCCESS;
}

CUresult sg_launch(const struct sg_launch *l, struct sg_fault *fault)
{
	struct sg_job *job = calloc(1, sizeof(*job));
	CUdeviceptr barrier = 0;
	uint64_t ticket;
	CUresult res;

	*fault = (struct sg_fault){ 0 };
	if (!job)
		return fault->error = CUDA_ERROR_OUT_OF_MEMORY;
	res = prepare(job, l);
	if (res == CUDA_SUCCESS && l->cooperative) {
		res = sg_mem_alloc_static(job->dev, 64, &barrier);
		job->envreg = barrier;
	}
	if (res != CUDA_SUCCESS)
		goto out;
	ticket = sg_mem_enter();
	run_job(job);
	sg_mem_leave(ticket);
	if (!job->failed && job->next_block < job->nblocks)
		set_error(job, CUDA_ERROR_OUT_OF_MEMORY, "no memory to run a block");
	*fault = job->fault;
	res = job->fault.error;
	if (job->printed)
		fflush(stdout);
	if (barrier)
		sg_mem_free_static(job->dev, barrier);
out:
	free(job);
	return res;
}
