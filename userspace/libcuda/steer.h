/* SPDX-License-Identifier: MIT */
/*
 * Device pointers of the worker are the app's device pointers, so device
 * memory must not lie where the app has memory of its own. The worker is told
 * at the hello what is taken; what it allocates later is reserved here.
 */
#ifndef LIBCUDA_STEER_H
#define LIBCUDA_STEER_H

#include <stdbool.h>
#include <stdint.h>
#include "proto/proto.h"

/* The ranges this process occupies, merged to at most @max; how many. */
unsigned vgpu_steer_ranges(struct vgpu_range *ranges, unsigned max);

/*
 * Keep the pages of [start, start + size) free of the app's memory from here
 * on. False: something of the app lies there already.
 */
bool vgpu_steer_reserve(uint64_t start, uint64_t size);

#endif /* LIBCUDA_STEER_H */
