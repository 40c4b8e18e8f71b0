/* SPDX-License-Identifier: MIT */
/* The heap from which kernels malloc(): one a device, made on first use. */
#ifndef SOFTGPU_HEAP_H
#define SOFTGPU_HEAP_H

#include "softgpu/engine.h"

struct sg_heap;
struct sg_heap *sg_heap_create(struct sg_device *dev);

#endif /* SOFTGPU_HEAP_H */
