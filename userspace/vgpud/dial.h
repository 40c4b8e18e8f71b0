/* SPDX-License-Identifier: MIT */
/*
 * The first half of a connection to an address that may be a name: resolving one
 * blocks, so a short-lived thread does it.
 */
#ifndef VGPU_VGPUD_DIAL_H
#define VGPU_VGPUD_DIAL_H

#include <stddef.h>

struct vgpu_dial;

int vgpu_dial_start(struct vgpu_dial **out, const char *address);
/* Readable when vgpu_dial_take() may be called. */
int vgpu_dial_fd(const struct vgpu_dial *d);
/* As vgpu_address_connect(). @d is gone. */
int vgpu_dial_take(struct vgpu_dial *d, char *why, size_t room);
/* Nobody wants it any more. NULL is nothing. */
void vgpu_dial_drop(struct vgpu_dial *d);

#endif /* VGPU_VGPUD_DIAL_H */
