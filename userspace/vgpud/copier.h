/* SPDX-License-Identifier: MIT */
/*
 * Copies of registered memory, which may take as long as the app likes: in a
 * thread of the session's own, made when the first copy is.
 */
#ifndef VGPU_VGPUD_COPIER_H
#define VGPU_VGPUD_COPIER_H

#include <stdbool.h>
#include "channel/channel.h"
#include "link/mirror.h"

#define VGPU_COPIER_JOBS	2	/* at once: one of each direction */

struct vgpu_copier;

/* @ch must live longer. */
int vgpu_copier_create(struct vgpu_copier **out, struct vgpu_channel *ch);
/* No job may be under way. NULL is nothing. */
void vgpu_copier_destroy(struct vgpu_copier *c);
/* Readable when jobs are done: then it is to be heard, before all of them are taken. */
int vgpu_copier_fd(const struct vgpu_copier *c);
void vgpu_copier_hear(struct vgpu_copier *c);
void vgpu_copier_add(struct vgpu_copier *c, struct vgpu_app_job *job);
/* A job that is done, or NULL. */
struct vgpu_app_job *vgpu_copier_take(struct vgpu_copier *c);
/* Was a job added that was not taken? */
bool vgpu_copier_busy(const struct vgpu_copier *c);

#endif /* VGPU_VGPUD_COPIER_H */
