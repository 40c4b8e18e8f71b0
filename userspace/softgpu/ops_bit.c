// SPDX-License-Identifier: MIT
/*
 * Bits: counting, fields, permutation; carry chains; comparison and selection
 * of integers; special registers.
 */
#include "softgpu/ops.h"

#include <time.h>

typedef uint32_t u32;
typedef uint64_t u64;
typedef unsigned __int128 u128;

HANDLER(nop)
{
}

static u32 pred_in(const struct sg_warp *w, const struct sg_insn *in, int opd, u32 neg)
{
	u32 v = sg_pred(w, in->opd[opd]);

	return in->flags & neg ? ~v : v;
}

#define PRED2(name, expr)							\
	HANDLER(name)								\
	{									\
		u32 a = pred_in(w, in, SG_A, SG_F_NEG_A);			\
		u32 b = pred_in(w, in, SG_B, SG_F_NEG_B);			\
										\
		sg_set_pred(w, in->opd[SG_D], mask, expr);			\
	}
PRED2(and_p, a & b)
PRED2(or_p, a | b)
PRED2(xor_p, a ^ b)

HANDLER(not_p)
{
	sg_set_pred(w, in->opd[SG_D], mask, ~pred_in(w, in, SG_A, SG_F_NEG_A));
}

/* ---- counting ---- */

static inline u64 reverse64(u64 v)
{
	v = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
	v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
	v = (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
	return __builtin_bswap64(v);
}

static inline u32 find32(u32 v, bool shift)
{
	u32 n = v ? 31u - (u32)__builtin_clz(v) : SG_ALL;

	return shift && v ? 31 - n : n;
}

static inline u32 find64(u64 v, bool shift)
{
	u32 n = v ? 63u - (u32)__builtin_clzll(v) : SG_ALL;

	return shift && v ? 63 - n : n;
}

OP1(popc_32, u32, u32, (u32)__builtin_popcount(a[i]))
OP1(popc_64, u32, u64, (u32)__builtin_popcountll(a[i]))
OP1(clz_32, u32, u32, a[i] ? (u32)__builtin_clz(a[i]) : 32)
OP1(clz_64, u32, u64, a[i] ? (u32)__builtin_clzll(a[i]) : 64)
OP1(brev_32, u32, u32, (u32)(reverse64(a[i]) >> 32))
OP1(brev_64, u64, u64, reverse64(a[i]))
OP1(bfind_u32, u32, u32, find32(a[i], in->sub))
OP1(bfind_s32, u32, u32, find32((int32_t)a[i] < 0 ? ~a[i] : a[i], in->sub))
OP1(bfind_u64, u32, u64, find64(a[i], in->sub))
OP1(bfind_s64, u32, u64, find64((int64_t)a[i] < 0 ? ~a[i] : a[i], in->sub))

/* ---- fields ---- */

static inline u64 ones(u32 n)
{
	return n >= 64 ? ~0ull : (1ull << n) - 1;
}

static inline u64 extract(u64 v, u32 pos, u32 len, u32 width, bool is_signed)
{
	u32 room, n, top;
	u64 r;

	pos &= 0xff;
	len &= 0xff;
	if (!len)
		return 0;
	room = pos < width ? width - pos : 0;
	n = len < room ? len : room;
	r = n ? v >> pos & ones(n) : 0;
	top = pos + len - 1 < width ? pos + len - 1 : width - 1;
	if (is_signed && v >> top & 1)
		r |= ~ones(n);
	return r;
}

static inline u64 insert(u64 f, u64 into, u32 pos, u32 len, u32 width)
{
	u64 m;

	pos &= 0xff;
	len &= 0xff;
	if (pos >= width)
		return into;
	m = ones(len) << pos;
	return (into & ~m) | (f << pos & m);
}

OP3T(bfe_u32, u32, u32, u32, u32, (u32)extract(a[i], b[i], c[i], 32, false))
OP3T(bfe_s32, u32, u32, u32, u32, (u32)extract(a[i], b[i], c[i], 32, true))
OP3T(bfe_u64, u64, u64, u32, u32, extract(a[i], b[i], c[i], 64, false))
OP3T(bfe_s64, u64, u64, u32, u32, extract(a[i], b[i], c[i], 64, true))

HANDLER(bfi_32)
{
	u32 *d = sg_reg(w, in->opd[SG_D]);
	const u32 *a = sg_reg(w, in->opd[SG_A]), *b = sg_reg(w, in->opd[SG_B]);
	const u32 *c = sg_reg(w, in->opd[SG_C]), *e = sg_reg(w, in->opd[SG_E]);

	EACH(d, (u32)insert(a[i], b[i], c[i], e[i], 32));
}

HANDLER(bfi_64)
{
	u64 *d = sg_reg(w, in->opd[SG_D]);
	const u64 *a = sg_reg(w, in->opd[SG_A]), *b = sg_reg(w, in->opd[SG_B]);
	const u32 *c = sg_reg(w, in->opd[SG_C]), *e = sg_reg(w, in->opd[SG_E]);

	EACH(d, insert(a[i], b[i], c[i], e[i], 64));
}

static inline u32 bit_mask(u32 pos, u32 width, bool wrap)
{
	u64 end;

	if (wrap) {
		pos &= 31;
		width &= 31;
	}
	if (pos > 31)
		return 0;
	end = (u64)pos + width;
	return (u32)(ones(end > 32 ? 32 : end) & ~ones(pos));
}

static inline u32 extend(u32 v, u32 n, bool wrap, bool is_signed)
{
	n = wrap ? n & 31 : n;
	if (n > 31)
		return v;
	v &= (u32)ones(n);
	return is_signed && n && v >> (n - 1) & 1 ? v | ~(u32)ones(n) : v;
}

OP2(bmsk, u32, u32, bit_mask(a[i], b[i], in->sub))
OP2(szext_u32, u32, u32, extend(a[i], b[i], in->sub, false))
OP2(szext_s32, u32, u32, extend(a[i], b[i], in->sub, true))

static u32 nth_set(u32 v, u32 base, int32_t offset)
{
	int32_t step = offset < 0 ? -1 : 1, pos = base & 31;
	u32 count = offset < 0 ? 0u - (u32)offset : (u32)offset;

	if (!count)
		return v >> pos & 1 ? (u32)pos : SG_ALL;
	for (; pos >= 0 && pos < 32; pos += step)
		if (v >> pos & 1 && !--count)
			return pos;
	return SG_ALL;
}

OP3T(fns, u32, u32, u32, int32_t, nth_set(a[i], b[i], c[i]))

/* Selectors of prmt's modes, by the two low bits of the control. */
static const uint16_t prmt_modes[][4] = {
	{ 0 },
	{ 0x5670, 0x6701, 0x7012, 0x0123 },	/* b4e */
	{ 0x3210, 0x4321, 0x5432, 0x6543 },	/* f4e */
	{ 0x0000, 0x1111, 0x2222, 0x3333 },	/* rc8 */
	{ 0x3210, 0x3211, 0x3222, 0x3333 },	/* ecl */
	{ 0x0000, 0x1110, 0x2210, 0x3210 },	/* ecr */
	{ 0x1010, 0x3232, 0x1010, 0x3232 },	/* rc16 */
};

static inline u32 permute(u32 a, u32 b, u32 c, unsigned mode)
{
	u64 v = (u64)b << 32 | a;
	u32 sel = mode ? prmt_modes[mode][c & 3] : c, r = 0;

	for (unsigned k = 0; k < 4; k++) {
		u32 s = sel >> 4 * k, byte = v >> 8 * (s & 7) & 0xff;

		if (s & 8)
			byte = byte & 0x80 ? 0xff : 0;
		r |= byte << 8 * k;
	}
	return r;
}

OP3(prmt, u32, u32, permute(a[i], b[i], c[i], in->sub))

static inline u32 funnel(u32 lo, u32 hi, u32 n, unsigned how)
{
	u64 v = (u64)hi << 32 | lo;

	n = how & 2 ? n & 31 : n > 32 ? 32 : n;
	return how & 1 ? (u32)(v >> n) : (u32)(v << n >> 32);
}

OP3(shf, u32, u32, funnel(a[i], b[i], c[i], in->sub))

static inline u32 logic3(u32 a, u32 b, u32 c, unsigned table)
{
	u32 r = 0;

	for (unsigned k = 0; k < 8; k++)
		r |= (table >> k & 1 ? SG_ALL : 0) & (k & 4 ? a : ~a) & (k & 2 ? b : ~b) &
		     (k & 1 ? c : ~c);
	return r;
}

HANDLER(lop3)
{
	u32 *d = sg_reg(w, in->opd[SG_D]);
	const u32 *a = sg_reg(w, in->opd[SG_A]), *b = sg_reg(w, in->opd[SG_B]);
	const u32 *c = sg_reg(w, in->opd[SG_C]);
	const unsigned table = in->imm;

	EACH(d, logic3(a[i], b[i], c[i], table));
}

HANDLER(lop3_p)
{
	const u32 *a = sg_reg(w, in->opd[SG_A]), *b = sg_reg(w, in->opd[SG_B]);
	const u32 *c = sg_reg(w, in->opd[SG_C]);
	u32 r[SG_LANES], bits = 0, q = pred_in(w, in, SG_E, SG_F_NEG_C);

	for (unsigned i = 0; i < SG_LANES; i++) {
		r[i] = logic3(a[i], b[i], c[i], in->imm);
		bits |= (u32)(r[i] != 0) << i;
	}
	sg_store32(w, in->opd[SG_D], mask, r);
	sg_set_pred(w, in->opd[SG_D2], mask, in->sub ? bits & q : bits | q);
}

/* ---- sums of products of bytes ---- */

static inline int64_t byte_of(u32 v, unsigned k, bool is_signed)
{
	return is_signed ? (int8_t)(v >> 8 * k) : (uint8_t)(v >> 8 * k);
}

static inline u32 dot4(u32 a, u32 b, u32 c, unsigned how)
{
	for (unsigned k = 0; k < 4; k++)
		c += (u32)(byte_of(a, k, how & 1) * byte_of(b, k, how & 2));
	return c;
}

static inline u32 dot2(u32 a, u32 b, u32 c, unsigned how)
{
	for (unsigned k = 0; k < 2; k++) {
		int64_t h = how & 1 ? (int16_t)(a >> 16 * k) : (uint16_t)(a >> 16 * k);

		c += (u32)(h * byte_of(b, k + (how & 4 ? 2 : 0), how & 2));
	}
	return c;
}

static inline u32 absdiff4(u32 a, u32 b, u32 c, unsigned how)
{
	u32 r = 0, sum = c;

	for (unsigned k = 0; k < 4; k++) {
		int64_t x = byte_of(a, k, how & 1) - byte_of(b, k, how & 2);

		x = x < 0 ? -x : x;
		sum += (u32)x;
		r |= (u32)(x & 0xff) << 8 * k;
	}
	return how & 4 ? sum : r;
}

OP3(dp4a, u32, u32, dot4(a[i], b[i], c[i], in->sub))
OP3(dp2a, u32, u32, dot2(a[i], b[i], c[i], in->sub))
OP3(vabsdiff4, u32, u32, absdiff4(a[i], b[i], c[i], in->sub))

/* ---- carry chains ---- */

/* sum and carry of one lane are computed in a type twice as wide */
#define CARRY(name, T, W, expr)							\
	HANDLER(name)								\
	{									\
		T *d = sg_reg(w, in->opd[SG_D]);				\
		const T *a = sg_reg(w, in->opd[SG_A]);				\
		const T *b = sg_reg(w, in->opd[SG_B]);				\
		const T *c = sg_reg(w, in->opd[SG_C]);				\
		u32 cin = in->flags & SG_F_CC_IN ? sg_pred(w, in->opd[SG_E]) : 0; \
		u32 out = 0;							\
										\
		(void)c;							\
		for (unsigned i = 0; i < SG_LANES; i++) {			\
			W k = cin >> i & 1, r = (expr);				\
										\
			out |= (u32)(r >> (8 * sizeof(T)) & 1) << i;		\
			d[i] = mask >> i & 1 ? (T)r : d[i];			\
		}								\
		if (in->flags & SG_F_CC_OUT)					\
			sg_set_pred(w, in->opd[SG_E], mask, out);		\
	}
CARRY(addc_32, u32, u64, (u64)a[i] + b[i] + k)
CARRY(addc_64, u64, u128, (u128)a[i] + b[i] + k)
CARRY(subc_32, u32, u64, (u64)a[i] - b[i] - k)
CARRY(subc_64, u64, u128, (u128)a[i] - b[i] - k)
CARRY(madclo_32, u32, u64, (u64)(u32)(a[i] * b[i]) + c[i] + k)
CARRY(madclo_64, u64, u128, (u128)(u64)(a[i] * b[i]) + c[i] + k)
CARRY(madchi_u32, u32, u64, ((u64)a[i] * b[i] >> 32) + c[i] + k)
CARRY(madchi_s32, u32, u64,
      (u64)(u32)((int64_t)(int32_t)a[i] * (int32_t)b[i] >> 32) + c[i] + k)
CARRY(madchi_u64, u64, u128, ((u128)a[i] * b[i] >> 64) + c[i] + k)
CARRY(madchi_s64, u64, u128,
      (u128)(u64)((__int128)(int64_t)a[i] * (int64_t)b[i] >> 64) + c[i] + k)

/* ---- comparison and selection ---- */

#define COMPARE(op, V)								\
	LANES bits |= ((V)a[i] op (V)b[i]) ? 1u << i : 0

#define SETP(name, S, V)							\
	HANDLER(setp_##name)							\
	{									\
		const S *a = sg_reg(w, in->opd[SG_A]);				\
		const S *b = sg_reg(w, in->opd[SG_B]);				\
		u32 bits = 0;							\
										\
		switch (in->sub) {						\
		case SG_CMP_EQ: COMPARE(==, V); break;				\
		case SG_CMP_NE: COMPARE(!=, V); break;				\
		case SG_CMP_LT: COMPARE(<, V); break;				\
		case SG_CMP_LE: COMPARE(<=, V); break;				\
		case SG_CMP_GT: COMPARE(>, V); break;				\
		default: COMPARE(>=, V); break;					\
		}								\
		sg_finish_setp(w, in, mask, bits);				\
	}
SETP(u16, u32, uint16_t)
SETP(s16, u32, int16_t)
SETP(u32, u32, u32)
SETP(s32, int32_t, int32_t)
SETP(u64, u64, u64)
SETP(s64, int64_t, int64_t)

#define SELP(name, T)								\
	HANDLER(name)								\
	{									\
		T *d = sg_reg(w, in->opd[SG_D]);				\
		const T *a = sg_reg(w, in->opd[SG_A]);				\
		const T *b = sg_reg(w, in->opd[SG_B]);				\
		const u32 p = sg_pred(w, in->opd[SG_C]);			\
										\
		EACH(d, p >> i & 1 ? a[i] : b[i]);				\
	}
SELP(selp_32, u32)
SELP(selp_64, u64)

/* set.f16x2: imm in the halves whose predicates hold */
HANDLER(selp2)
{
	u32 *d = sg_reg(w, in->opd[SG_D]);
	const u32 lo = sg_pred(w, in->opd[SG_A]), hi = sg_pred(w, in->opd[SG_B]), v = in->imm;

	EACH(d, (lo >> i & 1 ? v : 0) | (hi >> i & 1 ? v << 16 : 0));
}

/* c >= 0, where NaN is not and -0.0 is */
static inline bool not_negative(float c)
{
	return c >= 0;
}

OP3T(slct_32_s32, u32, u32, u32, int32_t, c[i] >= 0 ? a[i] : b[i])
OP3T(slct_64_s32, u64, u64, u64, int32_t, c[i] >= 0 ? a[i] : b[i])
OP3T(slct_32_f32, u32, u32, u32, float, not_negative(c[i]) ? a[i] : b[i])
OP3T(slct_64_f32, u64, u64, u64, float, not_negative(c[i]) ? a[i] : b[i])

/* ---- vectors in one register ---- */

static const void *part_of(const struct sg_warp *w, const struct sg_insn *in, int k)
{
	return sg_reg(w, in->opd[SG_V + k]);
}

HANDLER(pack_2x16)
{
	const u32 *x = part_of(w, in, 0), *y = part_of(w, in, 1);
	u32 *d = sg_reg(w, in->opd[SG_D]);

	EACH(d, (x[i] & 0xffff) | y[i] << 16);
}

HANDLER(pack_2x32)
{
	const u32 *x = part_of(w, in, 0), *y = part_of(w, in, 1);
	u64 *d = sg_reg(w, in->opd[SG_D]);

	EACH(d, x[i] | (u64)y[i] << 32);
}

HANDLER(pack_4x16)
{
	const u32 *x = part_of(w, in, 0), *y = part_of(w, in, 1);
	const u32 *z = part_of(w, in, 2), *t = part_of(w, in, 3);
	u64 *d = sg_reg(w, in->opd[SG_D]);

	EACH(d, (x[i] & 0xffff) | (u64)(y[i] & 0xffff) << 16 | (u64)(z[i] & 0xffff) << 32 |
	     (u64)t[i] << 48);
}

static void unpack(struct sg_warp *w, const struct sg_insn *in, uint32_t mask, unsigned n,
		   unsigned bits, bool wide)
{
	const u32 *a32 = sg_reg(w, in->opd[SG_A]);
	const u64 *a64 = (const u64 *)a32;
	u64 v[SG_LANES];

	/* A part may be written to the register that is taken apart. */
	for (unsigned i = 0; i < SG_LANES; i++)
		v[i] = wide ? a64[i] : a32[i];
	for (unsigned k = 0; k < n; k++) {
		u32 *d = sg_reg(w, in->opd[SG_V + k]);

		EACH(d, (u32)(v[i] >> (k * bits) & ones(bits)));
	}
}

HANDLER(unpack_2x16)
{
	unpack(w, in, mask, 2, 16, false);
}

HANDLER(unpack_2x32)
{
	unpack(w, in, mask, 2, 32, true);
}

HANDLER(unpack_4x16)
{
	unpack(w, in, mask, 4, 16, true);
}

/* ---- special registers ---- */

static u64 timer(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

/* What is the same in all lanes. */
static u64 uniform_sreg(const struct sg_warp *w, unsigned which)
{
	const struct sg_block *b = w->block;
	const struct sg_job *job = b->worker->job;
	const struct sg_launch *l = job->launch;

	switch (which) {
	case SG_SREG_NTID: case SG_SREG_NTID_Y: case SG_SREG_NTID_Z:
		return l->block[which - SG_SREG_NTID];
	case SG_SREG_CTAID: case SG_SREG_CTAID_Y: case SG_SREG_CTAID_Z:
		return b->id[which - SG_SREG_CTAID];
	case SG_SREG_NCTAID: case SG_SREG_NCTAID_Y: case SG_SREG_NCTAID_Z:
		return l->grid[which - SG_SREG_NCTAID];
	case SG_SREG_WARPID: return w->index;
	case SG_SREG_NWARPID: return SG_MAX_WARPS;
	case SG_SREG_SMID: return b->number % SG_SMS;
	case SG_SREG_NSMID: return SG_SMS;
	case SG_SREG_GRIDID: return job->grid_id;
	case SG_SREG_CLOCK: return (u32)__builtin_ia32_rdtsc();
	case SG_SREG_CLOCK_HI: return __builtin_ia32_rdtsc() >> 32;
	case SG_SREG_CLOCK64: return __builtin_ia32_rdtsc();
	case SG_SREG_GLOBALTIMER: return timer();
	case SG_SREG_GLOBALTIMER_LO: return (u32)timer();
	case SG_SREG_GLOBALTIMER_HI: return timer() >> 32;
	case SG_SREG_TOTAL_SMEM: return job->shared_bytes;
	case SG_SREG_DYNAMIC_SMEM: return l->dynamic_shared;
	case SG_SREG_ENVREG1: return job->envreg >> 32;
	case SG_SREG_ENVREG2: return (u32)job->envreg;
	default: return 0;
	}
}

static u32 lane_sreg(unsigned which, unsigned lane)
{
	u32 below = (1u << lane) - 1;

	switch (which) {
	case SG_SREG_LANEID: return lane;
	case SG_SREG_LANEMASK_EQ: return 1u << lane;
	case SG_SREG_LANEMASK_LT: return below;
	case SG_SREG_LANEMASK_LE: return below | 1u << lane;
	case SG_SREG_LANEMASK_GE: return ~below;
	default: return ~below & ~(1u << lane);
	}
}

static void read_sreg(const struct sg_warp *w, unsigned which, u64 *v)
{
	bool per_lane = which == SG_SREG_LANEID ||
			(which >= SG_SREG_LANEMASK_EQ && which <= SG_SREG_LANEMASK_GT);
	u64 u = per_lane ? 0 : uniform_sreg(w, which);

	for (unsigned i = 0; i < SG_LANES; i++)
		v[i] = per_lane ? lane_sreg(which, i) : u;
}

HANDLER(sreg_32)
{
	u32 *d = sg_reg(w, in->opd[SG_D]);
	u64 v[SG_LANES];

	if (in->sub <= SG_SREG_TID_Z) {
		const u32 *tid = w->block->worker->job->tid[in->sub - SG_SREG_TID];

		tid += w->index * SG_WARP;
		EACH(d, tid[i]);
		return;
	}
	read_sreg(w, in->sub, v);
	EACH(d, (u32)v[i]);
}

HANDLER(sreg_64)
{
	u64 v[SG_LANES];

	if (in->sub <= SG_SREG_TID_Z) {
		u64 *d = sg_reg(w, in->opd[SG_D]);
		const u32 *tid = w->block->worker->job->tid[in->sub - SG_SREG_TID];

		tid += w->index * SG_WARP;
		EACH(d, tid[i]);
		return;
	}
	read_sreg(w, in->sub, v);
	sg_store64(w, in->opd[SG_D], mask, v);
}

HANDLER(local_32)
{
	u32 *d = sg_reg(w, in->opd[SG_D]), v = (u32)in->imm + w->frame->local;

	EACH(d, v);
}

HANDLER(local_64)
{
	u64 *d = sg_reg(w, in->opd[SG_D]), v = (u64)in->imm + w->frame->local;

	EACH(d, v);
}

HANDLER(dyn_32)
{
	u32 *d = sg_reg(w, in->opd[SG_D]), v = (u32)in->imm + w->block->worker->job->dyn_offset;

	EACH(d, v);
}

HANDLER(dyn_64)
{
	u64 *d = sg_reg(w, in->opd[SG_D]), v = (u64)in->imm + w->block->worker->job->dyn_offset;

	EACH(d, v);
}

HANDLER(activemask)
{
	u32 *d = sg_reg(w, in->opd[SG_D]), v = mask;

	EACH(d, v);
}
