/* SPDX-License-Identifier: MIT */
/*
 * The daemon's one thread: descriptors that are watched and times that are
 * waited for. Nothing that is called from here may block.
 */
#ifndef VGPU_VGPUD_LOOP_H
#define VGPU_VGPUD_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct vgpu_loop;

/* A member of what it is about. Zeroed, or removed, it watches nothing. */
struct vgpu_watch {
	struct vgpu_loop	*loop;		/* NULL: it is not watched */
	int			fd;
	uint32_t		events;		/* EPOLLIN, EPOLLOUT; level-triggered */
	void			(*ready)(struct vgpu_watch *w, uint32_t events);
};

struct vgpu_timer {
	struct vgpu_timer	*next;
	struct vgpu_timer	**link;		/* NULL: it is not set */
	int64_t			at;		/* ns of CLOCK_MONOTONIC */
	void			(*due)(struct vgpu_timer *t);
};

struct vgpu_loop {
	int			epoll;
	void			*garbage;
	struct vgpu_timer	*timers;	/* the next one first */
};

#define vgpu_container(at, type, member) \
	((type *)((char *)(at) - __builtin_offsetof(type, member)))

static inline int64_t vgpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int vgpu_loop_open(struct vgpu_loop *l);
void vgpu_loop_close(struct vgpu_loop *l);

/*
 * Handle what there is: descriptors, then timers. If there is nothing, and
 * @block, wait until there is. -errno.
 */
int vgpu_loop_step(struct vgpu_loop *l, bool block);

/*
 * Memory that holds a watch can be freed only between two steps: an event of it may
 * be fetched already. This frees @p then; a pointer at its beginning is not needed
 * any more.
 */
void vgpu_loop_free(struct vgpu_loop *l, void *p);

int vgpu_watch_add(struct vgpu_loop *l, struct vgpu_watch *w, int fd, uint32_t events);
/* Does nothing if it watches for that already, or not at all. */
void vgpu_watch_change(struct vgpu_watch *w, uint32_t events);
/* Before the descriptor is closed. */
void vgpu_watch_remove(struct vgpu_watch *w);

/* In so many milliseconds, whatever it was set to. */
void vgpu_timer_set(struct vgpu_loop *l, struct vgpu_timer *t, int64_t ms);
void vgpu_timer_cancel(struct vgpu_timer *t);
static inline bool vgpu_timer_is_set(const struct vgpu_timer *t)
{
	return t->link;
}

#endif /* VGPU_VGPUD_LOOP_H */
