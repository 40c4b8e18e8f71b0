// SPDX-License-Identifier: MIT
/*
 * atom and red. Each lane's operation is one atomic operation of the host; on
 * shared memory it need not be, but generic addresses may be either.
 */
#include "softgpu/fp.h"
#include "softgpu/ops.h"

#include <math.h>
#include <string.h>

typedef uint32_t u32;
typedef uint64_t u64;

static u32 add_halves(u32 x, u32 y, bool bf16)
{
	return sg_to_half(sg_add_odd(sg_from_half(x & 0xffff, bf16),
				     sg_from_half(y & 0xffff, bf16)), bf16, SG_RM_NEAREST);
}

/* NaN loses; -0 is below +0. */
static u32 pick_half(u32 x, u32 y, bool bf16, bool is_min)
{
	double dx = sg_from_half(x & 0xffff, bf16), dy = sg_from_half(y & 0xffff, bf16);

	x &= 0xffff;
	y &= 0xffff;
	if (dx != dx)
		return dy != dy ? SG_NAN_HALF : y;
	if (dy != dy)
		return x;
	if (dx == dy)
		return !!(x & 0x8000) == is_min ? x : y;
	return (dx < dy) == is_min ? x : y;
}

static u32 half_op(unsigned sub, u32 x, u32 y, bool bf16)
{
	return sub == SG_ATOM_ADD ? add_halves(x, y, bf16)
				  : pick_half(x, y, bf16, sub == SG_ATOM_MIN);
}

static u64 float_op(unsigned sub, enum ptx_type t, u64 x, u64 y)
{
	bool bf16 = t == PT_BF16 || t == PT_BF16X2;

	switch (t) {
	case PT_F32:
		return sg_bits32(sg_float(x) + sg_float(y));
	case PT_F64:
		return sg_bits64(sg_double(x) + sg_double(y));
	case PT_F16:
	case PT_BF16:
		return half_op(sub, x, y, bf16);
	default:
		return half_op(sub, x, y, bf16) | half_op(sub, x >> 16, y >> 16, bf16) << 16;
	}
}

static bool less(enum ptx_type t, u64 x, u64 y)
{
	switch (t) {
	case PT_S32: return (int32_t)x < (int32_t)y;
	case PT_S64: return (int64_t)x < (int64_t)y;
	default: return x < y;
	}
}

/* What the memory holds afterwards. */
static u64 combine(unsigned sub, enum ptx_type t, u64 x, u64 y)
{
	if (ptx_type_float(t))
		return float_op(sub, t, x, y);
	switch (sub) {
	case SG_ATOM_ADD: return x + y;
	case SG_ATOM_AND: return x & y;
	case SG_ATOM_OR: return x | y;
	case SG_ATOM_XOR: return x ^ y;
	case SG_ATOM_MIN: return less(t, y, x) ? y : x;
	case SG_ATOM_MAX: return less(t, x, y) ? y : x;
	case SG_ATOM_INC: return x >= y ? 0 : x + 1;
	default: return x == 0 || x > y ? y : x - 1;
	}
}

#define BY_LOOP(T, name)							\
	static T loop_##name(T *p, unsigned sub, enum ptx_type t, T y)		\
	{									\
		T old = __atomic_load_n(p, __ATOMIC_RELAXED);			\
										\
		while (!__atomic_compare_exchange_n(p, &old, (T)combine(sub, t, old, y), \
						    false, __ATOMIC_SEQ_CST,	\
						    __ATOMIC_RELAXED))		\
			;							\
		return old;							\
	}
BY_LOOP(uint16_t, 16)
BY_LOOP(u32, 32)
BY_LOOP(u64, 64)

#define ATOM(T, name)								\
	static T atom_##name(T *p, unsigned sub, enum ptx_type t, T b, T c)	\
	{									\
		if (sub == SG_ATOM_EXCH)					\
			return __atomic_exchange_n(p, b, __ATOMIC_SEQ_CST);	\
		if (sub == SG_ATOM_CAS) {					\
			__atomic_compare_exchange_n(p, &b, c, false, __ATOMIC_SEQ_CST, \
						    __ATOMIC_SEQ_CST);		\
			return b;						\
		}								\
		if (sub == SG_ATOM_ADD && !ptx_type_float(t))			\
			return __atomic_fetch_add(p, b, __ATOMIC_SEQ_CST);	\
		return loop_##name(p, sub, t, b);				\
	}
ATOM(uint16_t, 16)
ATOM(u32, 32)
ATOM(u64, 64)

static u64 atom_lane(const struct sg_insn *in, void *p, unsigned size, u64 b, u64 c)
{
	enum ptx_type t = in->flags >> SG_F_TYPE_SHIFT;

	switch (size) {
	case 2: return atom_16(p, in->sub, t, b, c);
	case 4: return atom_32(p, in->sub, t, b, c);
	default: return atom_64(p, in->sub, t, b, c);
	}
}

static u64 value_of(const void *reg, unsigned size, unsigned lane)
{
	return size == 8 ? ((const u64 *)reg)[lane] : ((const u32 *)reg)[lane];
}

static u64 address_of(const struct sg_warp *w, const struct sg_insn *in, unsigned lane)
{
	const void *a = sg_reg(w, in->opd[SG_A]);
	u64 addr = (u64)in->imm;

	if (in->flags & SG_F_A32)
		addr = (u32)(addr + ((const u32 *)a)[lane]);
	else if (!(in->flags & SG_F_ADDRLESS))
		addr += ((const u64 *)a)[lane];
	if ((in->flags & SG_F_SPACE) == SG_SHARED && !(addr >> SG_WINDOW_SHIFT))
		addr |= SG_WINDOW_SHARED;
	return addr;
}

static void *target(struct sg_warp *w, const struct sg_insn *in, unsigned lane, u64 addr,
		    unsigned size)
{
	void *p = NULL;

	if (addr & (size - 1)) {
		sg_warp_fault(w, in, lane, CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned address",
			      addr);
		return NULL;
	}
	if (addr >> SG_WINDOW_SHIFT != SG_WINDOW_PARAM >> SG_WINDOW_SHIFT)
		p = sg_access(w, in, lane, addr, size);
	if (!p)
		sg_warp_fault(w, in, lane, CUDA_ERROR_ILLEGAL_ADDRESS, "illegal address", addr);
	return p;
}

/*
 * The common case of a histogram: words of shared memory, which only this
 * thread touches. false: not that case, or a lane that needs a closer look.
 */
static bool add_shared(struct sg_warp *w, const struct sg_insn *in, u32 mask)
{
	const struct sg_block *block = w->block;
	const u32 *b = sg_reg(w, in->opd[SG_B]);
	u32 *d = sg_reg(w, in->opd[SG_D]), off[SG_LANES];

	if ((in->flags & SG_F_SPACE) != SG_SHARED || in->sub != SG_ATOM_ADD ||
	    ptx_type_float(in->flags >> SG_F_TYPE_SHIFT) || block->shared_bytes < 4)
		return false;
	for (u32 m = mask; m; m &= m - 1) {
		unsigned lane = __builtin_ctz(m);
		u64 addr = address_of(w, in, lane) ^ SG_WINDOW_SHARED;

		if (addr > block->shared_bytes - 4 || addr & 3)
			return false;
		off[lane] = addr;
	}
	for (u32 m = mask; m; m &= m - 1) {
		unsigned lane = __builtin_ctz(m);
		u32 *p = (u32 *)(block->shared + off[lane]), old = *p;

		*p = old + b[lane];
		d[lane] = old;
	}
	return true;
}

HANDLER(atom)
{
	unsigned size = (in->flags & SG_F_SIZE) >> 3;
	const void *b = sg_reg(w, in->opd[SG_B]), *c = sg_reg(w, in->opd[SG_C]);
	void *d = sg_reg(w, in->opd[SG_D]);

	if (size == 4 && add_shared(w, in, mask))
		return;
	for (u32 m = mask; m; m &= m - 1) {
		unsigned lane = __builtin_ctz(m);
		void *p = target(w, in, lane, address_of(w, in, lane), size);
		u64 old;

		if (!p)
			return;
		old = atom_lane(in, p, size, value_of(b, size, lane), value_of(c, size, lane));
		if (!in->opd[SG_D])
			continue;
		if (size == 8)
			((u64 *)d)[lane] = old;
		else
			((u32 *)d)[lane] = (u32)old;
	}
}
