/* SPDX-License-Identifier: MIT */
/* What the server's main process waits for, and the clock that it goes by. */
#ifndef VGPU_SERVER_LOOP_H
#define VGPU_SERVER_LOOP_H

#include <stdint.h>

/* A descriptor; embedded in what it belongs to. */
struct vgpu_watch {
	int	fd;
	void	(*ready)(struct vgpu_watch *w);
};

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t vgpu_now(void);
#define VGPU_NEVER	INT64_MAX

/* A loop is a descriptor; -errno. @events are those of poll(2). */
int vgpu_loop_open(void);
int vgpu_loop_add(int loop, struct vgpu_watch *w, short events);
int vgpu_loop_change(int loop, struct vgpu_watch *w, short events);
void vgpu_loop_remove(int loop, struct vgpu_watch *w);
/*
 * Wait until @until for something to be ready and call that, one at a time: it
 * may free itself and others. Those that are ready take turns. -errno.
 */
int vgpu_loop_step(int loop, int64_t until);

#endif /* VGPU_SERVER_LOOP_H */
