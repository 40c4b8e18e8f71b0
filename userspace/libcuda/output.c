/* SPDX-License-Identifier: MIT */
/*
 * Output of kernels goes through stdio, to stay in order with what the app
 * itself prints. Whoever receives it keeps it; whoever comes out of the
 * receiver, or out of a wait, writes what is kept, unless another is at it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libcuda/output.h"

struct text {
	struct text	*next;
	unsigned	fd;
	size_t		length;
	char		bytes[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* the list */
static pthread_mutex_t writer = PTHREAD_MUTEX_INITIALIZER;	/* one writes at a time */
static struct text *first, **last = &first;
static _Atomic size_t kept;		/* bytes on the list or being written */

#define KEPT_MAX	(1u << 20)

bool vgpu_output_full(void)
{
	return atomic_load_explicit(&kept, memory_order_relaxed) >= KEPT_MAX;
}

void vgpu_output_keep(unsigned fd, const void *bytes, size_t length)
{
	struct text *t = malloc(sizeof(*t) + length);

	if (!t)		/* what a kernel says is not worth more than that */
		return;
	t->next = NULL;
	t->fd = fd;
	t->length = length;
	memcpy(t->bytes, bytes, length);
	pthread_mutex_lock(&lock);
	*last = t;
	last = &t->next;
	atomic_fetch_add_explicit(&kept, length, memory_order_relaxed);
	pthread_mutex_unlock(&lock);
}

static struct text *take(void)
{
	struct text *t;

	pthread_mutex_lock(&lock);
	t = first;
	if (t) {
		first = t->next;
		if (!first)
			last = &first;
	}
	pthread_mutex_unlock(&lock);
	return t;
}

static void write_text(struct text *t)
{
	FILE *to = t->fd == 2 ? stderr : stdout;

	fwrite(t->bytes, 1, t->length, to);
	fflush(to);
	atomic_fetch_sub_explicit(&kept, t->length, memory_order_relaxed);
	free(t);
}

void vgpu_output_write(void)
{
	struct text *t;

	/*
	 * Not waiting for another writer: it may wait for a lock of stdout that
	 * this thread's caller holds.
	 */
	while (atomic_load_explicit(&kept, memory_order_relaxed) &&
	       !pthread_mutex_trylock(&writer)) {
		while ((t = take()))
			write_text(t);
		pthread_mutex_unlock(&writer);
	}
}
