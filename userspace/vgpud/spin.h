/* SPDX-License-Identifier: MIT */
/*
 * How long it pays to look for work instead of sleeping until somebody rings: as
 * long as it lately took to find some, and nothing where that did not happen.
 */
#ifndef VGPU_VGPUD_SPIN_H
#define VGPU_VGPUD_SPIN_H

#include <stdbool.h>
#include <stdint.h>

struct vgpu_spin {
	uint32_t	budget;		/* ns */
	uint32_t	probe_in;	/* spins until a long one is tried */
	uint32_t	probe_every;
	bool		probing;
	uint32_t	limit;		/* of the present one */
};

void vgpu_spin_reset(struct vgpu_spin *s);
/* There is nothing to do: how many ns to look for work. */
uint32_t vgpu_spin_begin(struct vgpu_spin *s);
/* Something was found after so many ns; nothing was found. */
void vgpu_spin_paid(struct vgpu_spin *s, int64_t took);
void vgpu_spin_failed(struct vgpu_spin *s);

#endif /* VGPU_VGPUD_SPIN_H */
