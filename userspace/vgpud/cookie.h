/* SPDX-License-Identifier: MIT */
/*
 * What vgpud leaves with a channel for the vgpud after it: which session of which
 * server is the channel's, and the secret that proves it. The module shows it to
 * nobody but who has /dev/vgpuctl.
 */
#ifndef VGPU_VGPUD_COOKIE_H
#define VGPU_VGPUD_COOKIE_H

#include <stdbool.h>
#include <linux/vgpu.h>
#include "link/frame.h"

struct vgpu_session_cookie {
	uint64_t	server;		/* vgpu_name_hash() of its name */
	uint8_t		id[VGPU_SESSION_ID];
	uint8_t		secret[VGPU_SECRET];
};

/* Names are told from each other by it, not kept from each other. */
uint64_t vgpu_name_hash(const char *name);
void vgpu_cookie_make(struct vgpu_cookie *cookie, const struct vgpu_session_cookie *s);
/* 0; -ENOENT: there is none; -EPROTO: another program's, or another version's. */
int vgpu_cookie_read(const struct vgpu_cookie *cookie, struct vgpu_session_cookie *s);

#endif /* VGPU_VGPUD_COOKIE_H */
