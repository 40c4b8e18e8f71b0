/* SPDX-License-Identifier: MIT */
/* See loop.h. */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "vgpud/loop.h"

#define BATCH	64

int vgpu_loop_open(struct vgpu_loop *l)
{
	*l = (struct vgpu_loop){ .epoll = epoll_create1(EPOLL_CLOEXEC) };
	return l->epoll < 0 ? -errno : 0;
}

/* ---- descriptors ---- */

int vgpu_watch_add(struct vgpu_loop *l, struct vgpu_watch *w, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e))
		return -errno;
	w->loop = l;
	w->fd = fd;
	w->events = events;
	return 0;
}

void vgpu_watch_change(struct vgpu_watch *w, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	if (!w->loop || w->events == events)
		return;
	/* What is registered can be changed: there is nothing to be out of. */
	epoll_ctl(w->loop->epoll, EPOLL_CTL_MOD, w->fd, &e);
	w->events = events;
}

void vgpu_watch_remove(struct vgpu_watch *w)
{
	if (w->loop)
		epoll_ctl(w->loop->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	w->loop = NULL;
}

/* ---- times ---- */

/* Few are set at a time, and seldom: on the way of a command none is. */
void vgpu_timer_set(struct vgpu_loop *l, struct vgpu_timer *t, int64_t ms)
{
	struct vgpu_timer **p = &l->timers;

	vgpu_timer_cancel(t);
	t->at = vgpu_now() + ms * 1000000;
	while (*p && (*p)->at <= t->at)
		p = &(*p)->next;
	t->next = *p;
	if (t->next)
		t->next->link = &t->next;
	t->link = p;
	*p = t;
}

void vgpu_timer_cancel(struct vgpu_timer *t)
{
	if (!t->link)
		return;
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	t->link = NULL;
}

/* Those that are set meanwhile wait for the next step. */
static void run_timers(struct vgpu_loop *l)
{
	int64_t now;

	if (!l->timers)
		return;
	now = vgpu_now();
	while (l->timers && l->timers->at <= now) {
		struct vgpu_timer *t = l->timers;

		vgpu_timer_cancel(t);
		t->due(t);
	}
}

static int timeout_ms(const struct vgpu_loop *l, bool block)
{
	int64_t left;

	if (!block)
		return 0;
	if (!l->timers)
		return -1;
	left = l->timers->at - vgpu_now();
	if (left <= 0)
		return 0;
	left = (left + 999999) / 1000000;
	return left < INT_MAX ? left : INT_MAX;
}

/* ---- both ---- */

void vgpu_loop_free(struct vgpu_loop *l, void *p)
{
	*(void **)p = l->garbage;
	l->garbage = p;
}

static void free_garbage(struct vgpu_loop *l)
{
	void *p;

	while ((p = l->garbage)) {
		l->garbage = *(void **)p;
		free(p);
	}
}

void vgpu_loop_close(struct vgpu_loop *l)
{
	free_garbage(l);
	close(l->epoll);
}

int vgpu_loop_step(struct vgpu_loop *l, bool block)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(l->epoll, events, BATCH, timeout_ms(l, block));

	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		struct vgpu_watch *w = events[i].data.ptr;

		/* One before it may have removed it. */
		if (w->loop)
			w->ready(w, events[i].events);
	}
	run_timers(l);
	free_garbage(l);
	return 0;
}
