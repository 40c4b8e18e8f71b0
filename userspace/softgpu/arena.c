// SPDX-License-Identifier: MIT
/* Memory that is given back all at once. */
#include "softgpu/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK	(64u << 10)

struct sg_arena_chunk {
	struct sg_arena_chunk	*next;
	size_t			size;
	alignas(64) char	bytes[];
};

static struct sg_arena_chunk *chunk_new(size_t size)
{
	struct sg_arena_chunk *c;

	if (size > SIZE_MAX / 2)
		return NULL;
	c = aligned_alloc(64, (sizeof(*c) + size + 63) & ~(size_t)63);
	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c) + size);
	c->size = size;
	return c;
}

void *sg_arena_alloc(struct sg_arena *a, size_t size)
{
	size_t align = size >= 64 ? 64 : 16;
	struct sg_arena_chunk *c;

	size = (size + 15) & ~(size_t)15;
	if (a->chunks && a->left >= size) {
		size_t at = a->chunks->size - a->left;

		at = (at + align - 1) & ~(align - 1);
		if (at + size <= a->chunks->size) {
			a->left = a->chunks->size - at - size;
			return a->chunks->bytes + at;
		}
	}
	c = chunk_new(size > CHUNK / 4 ? size : CHUNK);
	if (!c)
		return NULL;
	if (size > CHUNK / 4 && a->chunks) {
		/* A large piece gets a chunk of its own behind the current one. */
		c->next = a->chunks->next;
		a->chunks->next = c;
		return c->bytes;
	}
	c->next = a->chunks;
	a->chunks = c;
	a->left = c->size - size;
	return c->bytes;
}

void sg_arena_free(struct sg_arena *a)
{
	while (a->chunks) {
		struct sg_arena_chunk *c = a->chunks;

		a->chunks = c->next;
		free(c);
	}
	a->left = 0;
}
