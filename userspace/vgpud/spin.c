/* SPDX-License-Identifier: MIT */
/*
 * See spin.h. The program and the worker wait in the same manner, and where there
 * are fewer processors than threads that look, looking is what keeps the others
 * from doing anything: it must wear off by itself.
 */
#include <sched.h>
#include <stdbool.h>
#include "vgpud/spin.h"

/* What a sleep and a wake-up cost where they are slow. */
#define SPIN_MAX	100000u
#define SPIN_MIN	3000u
/* So long that both sides' wake-ups are over, or spinning would never be found to pay. */
#define PROBE		250000u
#define PROBE_MIN	8u
#define PROBE_MAX	1024u		/* as in channel/wait.c, for its reason */

static bool is_alone(void)
{
	cpu_set_t set;

	/* A set that is too small means a machine that is large enough. */
	return !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) < 2;
}

void vgpu_spin_reset(struct vgpu_spin *s)
{
	*s = (struct vgpu_spin){
		.budget = SPIN_MAX, .probe_in = PROBE_MIN, .probe_every = PROBE_MIN,
	};
	if (is_alone())
		*s = (struct vgpu_spin){};
}

uint32_t vgpu_spin_begin(struct vgpu_spin *s)
{
	s->probing = s->probe_every && !s->probe_in;
	if (s->probing)
		return s->limit = PROBE;
	if (s->probe_in)
		s->probe_in--;
	return s->limit = s->budget;
}

void vgpu_spin_paid(struct vgpu_spin *s, int64_t took)
{
	uint32_t want = took * 4 < SPIN_MAX ? took * 4 : SPIN_MAX;

	if (!s->probe_every)
		return;
	if (s->budget < want)
		s->budget = want;
	s->probe_in = s->probe_every = PROBE_MIN;
}

void vgpu_spin_failed(struct vgpu_spin *s)
{
	s->budget = s->budget / 2 < SPIN_MIN ? 0 : s->budget / 2;
	if (!s->probing)
		return;
	if (s->probe_every < PROBE_MAX)
		s->probe_every *= 2;
	s->probe_in = s->probe_every;
}
