/* SPDX-License-Identifier: MIT */
#ifndef LIBCUDA_CONNECT_H
#define LIBCUDA_CONNECT_H

#include "libcuda/session.h"

/*
 * Find this process's server and open @s's channel to it: by the virtual GPUs of
 * this host if there are any, else by the server's socket. Learns the number of
 * devices and the driver's version. A refusal is told on stderr in one line;
 * Documentation/devices.md lists what is returned when. A channel that is open
 * although this fails is the caller's to close.
 */
CUresult vgpu_connect(struct vgpu_session *s);

#endif /* LIBCUDA_CONNECT_H */
