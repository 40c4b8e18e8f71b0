/* SPDX-License-Identifier: MIT */
/* Telling systemd(1), if it started us, how far we are: sd_notify(3) without its library. */
#ifndef VGPU_VGPUD_NOTIFY_H
#define VGPU_VGPUD_NOTIFY_H

/* @state: "READY=1" and the like. */
void vgpu_notify(const char *state);

#endif /* VGPU_VGPUD_NOTIFY_H */
