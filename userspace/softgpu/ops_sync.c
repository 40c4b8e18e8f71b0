// SPDX-License-Identifier: MIT
/*
 * What lanes do together. warp.c calls a handler once the lanes that it names
 * have come: w->member is who takes part, mask which of them are in this
 * split. Lanes that came by another split left their values in w->xchg.
 */
#include "softgpu/ops.h"

#include <string.h>

typedef uint32_t u32;
typedef uint64_t u64;

static bool together(const struct sg_warp *w, u32 mask)
{
	return !(w->member & ~mask);
}

static void values32(const struct sg_warp *w, const struct sg_insn *in, u32 mask, u32 *v)
{
	if (together(w, mask))
		memcpy(v, sg_reg(w, in->opd[SG_A]), SG_LANES * sizeof(*v));
	else
		LANES v[i] = (u32)w->xchg[i];
}

static void values64(const struct sg_warp *w, const struct sg_insn *in, u32 mask, bool wide,
		     u64 *v)
{
	const void *a = sg_reg(w, in->opd[SG_A]);

	for (unsigned i = 0; i < SG_LANES; i++) {
		if (!together(w, mask))
			v[i] = w->xchg[i];
		else
			v[i] = wide ? ((const u64 *)a)[i] : ((const u32 *)a)[i];
	}
}

/* The lane whose value is taken; *in_range as the predicate of shfl has it. */
static unsigned source(unsigned mode, unsigned lane, u32 b, u32 c, bool *in_range)
{
	unsigned clamp = c & 31, seg = c >> 8 & 31, off = b & 31;
	unsigned max = (lane & seg) | (clamp & ~seg), min = lane & seg;
	int j;

	switch (mode) {
	case SG_SHFL_UP:
		j = (int)lane - (int)off;
		*in_range = j >= (int)max;
		break;
	case SG_SHFL_DOWN:
		j = lane + off;
		*in_range = j <= (int)max;
		break;
	case SG_SHFL_BFLY:
		j = lane ^ off;
		*in_range = j <= (int)max;
		break;
	default:
		j = min | (off & ~seg);
		*in_range = j <= (int)max;
	}
	return *in_range ? (unsigned)j : lane;
}

HANDLER(shfl)
{
	const u32 *b = sg_reg(w, in->opd[SG_B]), *c = sg_reg(w, in->opd[SG_C]);
	u32 v[SG_LANES], r[SG_LANES], bits = 0;

	values32(w, in, mask, v);
	for (unsigned i = 0; i < SG_LANES; i++) {
		bool in_range;

		r[i] = v[source(in->sub, i, b[i], c[i], &in_range)];
		bits |= (u32)in_range << i;
	}
	sg_store32(w, in->opd[SG_D], mask, r);
	if (in->opd[SG_D2])
		sg_set_pred(w, in->opd[SG_D2], mask, bits);
}

HANDLER(vote)
{
	u32 p = sg_pred(w, in->opd[SG_A]), *d = sg_reg(w, in->opd[SG_D]), member = w->member;
	bool yes;

	if (!together(w, mask)) {
		p = 0;
		for (unsigned i = 0; i < SG_LANES; i++)
			p |= (u32)(w->xchg[i] & 1) << i;
	}
	p = (in->flags & SG_F_NEG_A ? ~p : p) & member;
	if (in->sub == SG_VOTE_BALLOT) {
		EACH(d, p);
		return;
	}
	yes = in->sub == SG_VOTE_ANY ? p != 0 :
	      p == member || (in->sub == SG_VOTE_UNI && !p);
	sg_set_pred(w, in->opd[SG_D], mask, yes ? mask : 0);
}

HANDLER(match)
{
	bool wide = in->sub == SG_MATCH_ANY_64 || in->sub == SG_MATCH_ALL_64;
	bool all = in->sub == SG_MATCH_ALL_32 || in->sub == SG_MATCH_ALL_64;
	u32 r[SG_LANES], bits = 0;
	u64 v[SG_LANES];

	values64(w, in, mask, wide, v);
	for (unsigned i = 0; i < SG_LANES; i++) {
		u32 same = 0;

		for (unsigned k = 0; k < SG_LANES; k++)
			same |= (u32)(v[k] == v[i]) << k;
		same &= w->member;
		if (all && same != w->member)
			same = 0;
		r[i] = same;
		bits |= (u32)(same != 0) << i;
	}
	sg_store32(w, in->opd[SG_D], mask, r);
	if (in->opd[SG_D2])
		sg_set_pred(w, in->opd[SG_D2], mask, bits);
}

static u32 reduce(unsigned sub, u32 x, u32 y)
{
	switch (sub) {
	case SG_REDUX_ADD: return x + y;
	case SG_REDUX_MIN_U: return x < y ? x : y;
	case SG_REDUX_MAX_U: return x > y ? x : y;
	case SG_REDUX_MIN_S: return (int32_t)x < (int32_t)y ? x : y;
	case SG_REDUX_MAX_S: return (int32_t)x > (int32_t)y ? x : y;
	case SG_REDUX_AND: return x & y;
	case SG_REDUX_OR: return x | y;
	default: return x ^ y;
	}
}

HANDLER(redux)
{
	u32 v[SG_LANES], *d = sg_reg(w, in->opd[SG_D]), m = w->member, r;

	values32(w, in, mask, v);
	r = v[__builtin_ctz(m)];
	for (m &= m - 1; m; m &= m - 1)
		r = reduce(in->sub, r, v[__builtin_ctz(m)]);
	EACH(d, r);
}

HANDLER(elect)
{
	u32 *d = sg_reg(w, in->opd[SG_D]), leader = __builtin_ctz(w->member);

	EACH(d, leader);
	if (in->opd[SG_D2])
		sg_set_pred(w, in->opd[SG_D2], mask, 1u << leader);
}

/* Coming together was all. */
HANDLER(barwarp)
{
}
