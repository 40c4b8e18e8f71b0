/* SPDX-License-Identifier: MIT */
/* Memory that is given back all at once: what a module is made of. */
#ifndef SOFTGPU_ARENA_H
#define SOFTGPU_ARENA_H

#include <stddef.h>

struct sg_arena_chunk;

struct sg_arena {
	struct sg_arena_chunk	*chunks;
	size_t			left;	/* of the first chunk */
};

/* Zeroed, aligned to 64 bytes from 64 bytes on, else to 16; NULL: no memory. */
void *sg_arena_alloc(struct sg_arena *a, size_t size);
void sg_arena_free(struct sg_arena *a);

#endif /* SOFTGPU_ARENA_H */
