// SPDX-License-Identifier: MIT
/* Two ends over the socket backend. */
#include "pair.h"

int test_pair(struct vgpu_channel **app, struct vgpu_channel **peer,
	      const struct vgpu_ring_sizes *sizes)
{
	return vgpu_channel_pair(app, peer, sizes);
}
