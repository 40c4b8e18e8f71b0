/* SPDX-License-Identifier: MIT */
/* A worker, as far as generated decoders know it. */
#ifndef VGPU_SERVER_WORKER_H
#define VGPU_SERVER_WORKER_H

#include "gen/driver.h"
#include "gen/serve.h"

struct vgpu_worker {
	struct vgpu_driver *driver;
};

struct vgpu_reply {
	size_t length;
	_Alignas(8) uint8_t bytes[32u << 10];
};

#endif /* VGPU_SERVER_WORKER_H */
