/* SPDX-License-Identifier: MIT */
/*
 * Helpers: threads that run what may wait. They are made when all others are
 * busy, and end when there was nothing to do for a while. Each waiting thread of
 * the client holds at most one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "server/worker.h"

#define HELPERS_MAX	512u
#define QUEUE_MAX	1024u
#define IDLE_S		10

struct helper {
	struct helper	*next;
	uint64_t	whole;		/* number of the whole call it runs, or 0 */
};

struct vgpu_helpers {
	pthread_mutex_t	lock;
	pthread_cond_t	work;		/* for idle helpers */
	pthread_cond_t	over;		/* a whole call is over, or the queue has room */
	struct vgpu_job	*first, **last;
	unsigned	queued, threads, idle;
	uint64_t	numbers;
	unsigned	watched;	/* threads that wait for .over */
	struct helper	*helpers;
};

CUresult vgpu_helpers_start(struct vgpu_worker *w)
{
	struct vgpu_helpers *h = calloc(1, sizeof(*h));
	pthread_condattr_t attr;

	if (!h)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->work, &attr);
	pthread_cond_init(&h->over, NULL);
	pthread_condattr_destroy(&attr);
	h->last = &h->first;
	w->helpers = h;
	return CUDA_SUCCESS;
}

/* The next job, or NULL when it is time to end. h->lock is held. */
static struct vgpu_job *next_job(struct vgpu_helpers *h)
{
	struct timespec until;
	struct vgpu_job *job;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_S;
	h->idle++;
	while (!h->first && !err)
		err = pthread_cond_timedwait(&h->work, &h->lock, &until);
	h->idle--;
	job = h->first;
	if (!job)
		return NULL;
	h->first = job->next;
	if (!h->first)
		h->last = &h->first;
	if (h->queued-- == QUEUE_MAX)
		pthread_cond_broadcast(&h->over);
	return job;
}

static void run_job(struct vgpu_worker *w, struct vgpu_job *job, struct vgpu_reply *reply)
{
	CUresult r;

	reply->length = 0;
	if (job->run)
		r = job->run(w, job, reply);
	else
		r = vgpu_serve(w, &job->q, job->length, reply);
	if (r != VGPU_STATUS_DEFERRED)
		vgpu_finish(w, &job->q, r, reply);
	free(job);
}

static void helper_enlist(struct vgpu_helpers *h, struct helper *me)
{
	me->next = h->helpers;
	h->helpers = me;
}

static void helper_leave(struct vgpu_helpers *h, struct helper *me)
{
	struct helper **p = &h->helpers;

	while (*p != me)
		p = &(*p)->next;
	*p = me->next;
	h->threads--;
}

static void *helper_run(void *arg)
{
	struct vgpu_worker *w = arg;
	struct vgpu_helpers *h = w->helpers;
	struct vgpu_reply reply;
	struct helper me = {};
	struct vgpu_job *job;

	pthread_mutex_lock(&h->lock);
	helper_enlist(h, &me);
	while ((job = next_job(h))) {
		me.whole = job->run ? 0 : job->number;
		pthread_mutex_unlock(&h->lock);
		run_job(w, job, &reply);
		pthread_mutex_lock(&h->lock);
		if (me.whole && h->watched)
			pthread_cond_broadcast(&h->over);
		me.whole = 0;
	}
	helper_leave(h, &me);
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* One more thread if all are busy. h->lock is held. False: there is none at all. */
static bool helper_add(struct vgpu_worker *w, struct vgpu_helpers *h)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (h->idle > h->queued || h->threads == HELPERS_MAX)
		return true;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (!pthread_create(&thread, &attr, helper_run, w))
		h->threads++;
	pthread_attr_destroy(&attr);
	return h->threads != 0;
}

static CUresult queue(struct vgpu_worker *w, struct vgpu_job *job)
{
	struct vgpu_helpers *h = w->helpers;

	pthread_mutex_lock(&h->lock);
	h->watched++;
	/* Only a client that sends without waiting for answers gets here. */
	while (h->queued >= QUEUE_MAX && vgpu_thread.dispatcher)
		pthread_cond_wait(&h->over, &h->lock);
	h->watched--;
	if (!helper_add(w, h)) {
		pthread_mutex_unlock(&h->lock);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	job->number = ++h->numbers;
	job->next = NULL;
	*h->last = job;
	h->last = &job->next;
	h->queued++;
	pthread_cond_signal(&h->work);
	pthread_mutex_unlock(&h->lock);
	return VGPU_STATUS_DEFERRED;
}

CUresult vgpu_helper_take(struct vgpu_worker *w, const struct vgpu_request *q, size_t length)
{
	struct vgpu_job *job = malloc(offsetof(struct vgpu_job, q) + length);
	CUresult r;

	if (!job)
		return CUDA_ERROR_OUT_OF_MEMORY;
	job->run = NULL;
	job->length = length;
	memcpy(&job->q, q, length);
	r = queue(w, job);
	if (r != VGPU_STATUS_DEFERRED)
		free(job);
	return r;
}

struct vgpu_job *vgpu_job_create(const struct vgpu_request *q,
				 CUresult (*run)(struct vgpu_worker *w, struct vgpu_job *job,
						 struct vgpu_reply *p))
{
	struct vgpu_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->run = run;
	job->length = sizeof(*q);
	job->q = *q;
	return job;
}

CUresult vgpu_job_submit(struct vgpu_worker *w, struct vgpu_job *job)
{
	CUresult r = queue(w, job);

	/* No thread for it: better late here than never. */
	if (r != VGPU_STATUS_DEFERRED) {
		static struct vgpu_reply reply;

		run_job(w, job, &reply);
	}
	return VGPU_STATUS_DEFERRED;
}

/* Is a whole call under way that began before @number was given? h->lock is held. */
static bool busy_before(struct vgpu_helpers *h, uint64_t number)
{
	for (struct helper *p = h->helpers; p; p = p->next)
		if (p->whole && p->whole <= number)
			return true;
	return false;
}

void vgpu_helpers_quiesce(struct vgpu_worker *w)
{
	struct vgpu_helpers *h = w->helpers;
	uint64_t number;

	pthread_mutex_lock(&h->lock);
	number = h->numbers;
	h->watched++;
	while (busy_before(h, number))
		pthread_cond_wait(&h->over, &h->lock);
	h->watched--;
	pthread_mutex_unlock(&h->lock);
}
