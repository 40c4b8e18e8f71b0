/* SPDX-License-Identifier: MIT */
/* See loop.h. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>
#include "server/loop.h"

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT, "events of poll(2)");

int64_t vgpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

int vgpu_loop_open(void)
{
	int loop = epoll_create1(EPOLL_CLOEXEC);

	return loop < 0 ? -errno : loop;
}

static int control(int loop, int what, struct vgpu_watch *w, short events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	return epoll_ctl(loop, what, w->fd, &e) ? -errno : 0;
}

int vgpu_loop_add(int loop, struct vgpu_watch *w, short events)
{
	return control(loop, EPOLL_CTL_ADD, w, events);
}

int vgpu_loop_change(int loop, struct vgpu_watch *w, short events)
{
	return control(loop, EPOLL_CTL_MOD, w, events);
}

void vgpu_loop_remove(int loop, struct vgpu_watch *w)
{
	control(loop, EPOLL_CTL_DEL, w, 0);
}

static int timeout(int64_t until)
{
	int64_t left;

	if (until == VGPU_NEVER)
		return -1;
	left = until - vgpu_now();
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : left;
}

int vgpu_loop_step(int loop, int64_t until)
{
	struct epoll_event e;
	struct vgpu_watch *w;
	int n = epoll_wait(loop, &e, 1, timeout(until));

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (!n)
		return 0;
	w = e.data.ptr;
	w->ready(w);
	return 0;
}
