/* SPDX-License-Identifier: MIT */
/* See copier.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "vgpud/copier.h"

struct queue {
	struct vgpu_app_job	*jobs[VGPU_COPIER_JOBS];
	unsigned		count;
};

struct vgpu_copier {
	struct vgpu_channel	*channel;
	int			event;
	unsigned		busy;		/* the caller's own count */
	bool			started;
	pthread_t		thread;
	pthread_mutex_t		lock;		/* guards what is below */
	pthread_cond_t		cond;		/* there is something to do */
	struct queue		todo, done;
	bool			quit;
};

static void push(struct queue *q, struct vgpu_app_job *job)
{
	q->jobs[q->count++] = job;	/* there are no more jobs than places */
}

static struct vgpu_app_job *pop(struct queue *q)
{
	struct vgpu_app_job *job = q->count ? q->jobs[0] : NULL;

	if (!job)
		return NULL;
	q->count--;
	for (unsigned i = 0; i < q->count; i++)
		q->jobs[i] = q->jobs[i + 1];
	return job;
}

static void finish(struct vgpu_copier *c, struct vgpu_app_job *job, int error)
{
	job->error = error;
	pthread_mutex_lock(&c->lock);
	push(&c->done, job);
	pthread_mutex_unlock(&c->lock);
	eventfd_write(c->event, 1);
}

/* The next one, or NULL: that was all. */
static struct vgpu_app_job *await(struct vgpu_copier *c)
{
	struct vgpu_app_job *job;

	pthread_mutex_lock(&c->lock);
	while (!(job = pop(&c->todo)) && !c->quit)
		pthread_cond_wait(&c->cond, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return job;
}

static void *run(void *arg)
{
	struct vgpu_copier *c = arg;
	struct vgpu_app_job *job;

	while ((job = await(c)))
		finish(c, job, job->write ?
		       vgpu_app_write(c->channel, job->address, job->local, job->length) :
		       vgpu_app_read(c->channel, job->local, job->address, job->length));
	return NULL;
}

int vgpu_copier_create(struct vgpu_copier **out, struct vgpu_channel *ch)
{
	struct vgpu_copier *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->channel = ch;
	c->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = c->event < 0 ? -errno : 0;
	if (err) {
		free(c);
		return err;
	}
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->cond, NULL);
	*out = c;
	return 0;
}

void vgpu_copier_destroy(struct vgpu_copier *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->quit = true;
	pthread_cond_signal(&c->cond);
	pthread_mutex_unlock(&c->lock);
	if (c->started)
		pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->cond);
	pthread_mutex_destroy(&c->lock);
	close(c->event);
	free(c);
}

int vgpu_copier_fd(const struct vgpu_copier *c)
{
	return c->event;
}

void vgpu_copier_add(struct vgpu_copier *c, struct vgpu_app_job *job)
{
	int err = c->started ? 0 : -pthread_create(&c->thread, NULL, run, c);

	c->busy++;
	if (err) {
		finish(c, job, err);
		return;
	}
	c->started = true;
	pthread_mutex_lock(&c->lock);
	push(&c->todo, job);
	pthread_cond_signal(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

void vgpu_copier_hear(struct vgpu_copier *c)
{
	eventfd_t count;

	eventfd_read(c->event, &count);
}

struct vgpu_app_job *vgpu_copier_take(struct vgpu_copier *c)
{
	struct vgpu_app_job *job;

	pthread_mutex_lock(&c->lock);
	job = pop(&c->done);
	pthread_mutex_unlock(&c->lock);
	c->busy -= job != NULL;
	return job;
}

bool vgpu_copier_busy(const struct vgpu_copier *c)
{
	return c->busy;
}
