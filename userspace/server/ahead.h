/* SPDX-License-Identifier: MIT */
/*
 * The beginning of a copy from the memory of a client on another host, asked for
 * when the record comes instead of when the stream gets there: the way there and
 * back is over by then. Only if the client says that the bytes are what they will
 * be (VGPU_COPY_TO_DEVICE_EARLY).
 */
#ifndef VGPU_SERVER_AHEAD_H
#define VGPU_SERVER_AHEAD_H

#include <stddef.h>
#include <stdint.h>

#define VGPU_AHEAD_PIECE	(1u << 20)

struct vgpu_ahead;
struct vgpu_far;
struct vgpu_place;

/* As many pieces of the copy as there is memory for; NULL: none at all. */
struct vgpu_ahead *vgpu_ahead_begin(struct vgpu_far *r, const struct vgpu_place *from,
				    size_t length);
/* How many; NULL has none. */
unsigned int vgpu_ahead_pieces(const struct vgpu_ahead *a);
/* Wait for piece @k; its bytes stay until the end. 0, or -errno as of a read. */
int vgpu_ahead_finish(struct vgpu_ahead *a, unsigned int k, const void **bytes);
/* What was not waited for is waited for now. NULL is nothing. */
void vgpu_ahead_end(struct vgpu_ahead *a);

#endif /* VGPU_SERVER_AHEAD_H */
