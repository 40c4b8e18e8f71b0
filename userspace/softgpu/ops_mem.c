// SPDX-License-Identifier: MIT
/*
 * Loads and stores. The handlers for plain words of global and shared memory
 * first see whether the lanes touch one piece of memory in order, which is
 * checked and moved at once; else each lane is looked up.
 */
#include "softgpu/ops.h"

#include <string.h>

typedef uint32_t u32;
typedef uint64_t u64;

/* Other threads may write what a kernel reads: its race, not the engine's. */
#define RACY	__attribute__((no_sanitize("thread")))

static inline const struct sg_span *span_of(const struct sg_warp *w, const struct sg_insn *in)
{
	return &w->block->worker->tlb[((uintptr_t)in / sizeof(*in)) % SG_TLB];
}

/* The .param bytes of one lane. */
static void *param_access(struct sg_warp *w, unsigned lane, u64 off, u64 size)
{
	const struct sg_frame *f = w->frame;
	u64 room = f->func->param_bytes;

	if (off > room || room - off < size)
		return NULL;
	return f->params + lane * room + off;
}

static void *resolve(struct sg_warp *w, const struct sg_insn *in, unsigned lane, u64 addr, u64 size)
{
	switch (in->flags & SG_F_SPACE) {
	case SG_SHARED:
		return addr >> SG_WINDOW_SHIFT ? NULL :
		       sg_access(w, in, lane, SG_WINDOW_SHARED | addr, size);
	case SG_LOCAL:
		return addr >> SG_WINDOW_SHIFT ? NULL :
		       sg_access(w, in, lane, SG_WINDOW_LOCAL | addr, size);
	case SG_PARAM_ENTRY:
		return addr >> SG_WINDOW_SHIFT ? NULL :
		       sg_access(w, in, lane, SG_WINDOW_PARAM | addr, size);
	case SG_PARAM_FRAME:
		return param_access(w, lane, addr, size);
	case SG_GENERIC:
		return sg_access(w, in, lane, addr, size);
	default:
		return addr >> SG_WINDOW_SHIFT ? NULL : sg_access(w, in, lane, addr, size);
	}
}

static u64 address_of(const struct sg_warp *w, const struct sg_insn *in, unsigned lane)
{
	u64 a = (u64)in->imm;

	if (in->flags & SG_F_ADDRLESS)
		return in->flags & SG_F_FRAME ? a + w->frame->local : a;
	if (in->flags & SG_F_A32) {
		const u32 *r = sg_reg(w, in->opd[SG_A]);

		return (u32)(a + r[lane]);
	}
	return a + ((const u64 *)sg_reg(w, in->opd[SG_A]))[lane];
}

/* Memory of a lane, or NULL after a fault was set. */
static void *lane_memory(struct sg_warp *w, const struct sg_insn *in, unsigned lane, u64 addr,
			 u64 size, bool write)
{
	void *p;

	if (addr & (size - 1)) {
		sg_warp_fault(w, in, lane, CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned address",
			      addr);
		return NULL;
	}
	p = resolve(w, in, lane, addr, size);
	if (write && p && (in->flags & SG_F_SPACE) == SG_GENERIC &&
	    addr >> SG_WINDOW_SHIFT == SG_WINDOW_PARAM >> SG_WINDOW_SHIFT)
		p = NULL;		/* parameters are constant */
	if (!p)
		sg_warp_fault(w, in, lane, CUDA_ERROR_ILLEGAL_ADDRESS, "illegal address", addr);
	return p;
}

/* ---- one element ---- */

RACY static inline u64 read_plain(const void *p, unsigned size)
{
	switch (size) {
	case 1: return *(const uint8_t *)p;
	case 2: return *(const uint16_t *)p;
	case 4: return *(const u32 *)p;
	default: return *(const u64 *)p;
	}
}

static inline u64 read_strong(const void *p, unsigned size)
{
	switch (size) {
	case 1: return __atomic_load_n((const uint8_t *)p, __ATOMIC_ACQUIRE);
	case 2: return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
	case 4: return __atomic_load_n((const u32 *)p, __ATOMIC_ACQUIRE);
	default: return __atomic_load_n((const u64 *)p, __ATOMIC_ACQUIRE);
	}
}

RACY static inline void write_plain(void *p, unsigned size, u64 v)
{
	switch (size) {
	case 1: *(uint8_t *)p = v; break;
	case 2: *(uint16_t *)p = v; break;
	case 4: *(u32 *)p = v; break;
	default: *(u64 *)p = v;
	}
}

static inline void write_strong(void *p, unsigned size, u64 v)
{
	switch (size) {
	case 1: __atomic_store_n((uint8_t *)p, v, __ATOMIC_RELEASE); break;
	case 2: __atomic_store_n((uint16_t *)p, v, __ATOMIC_RELEASE); break;
	case 4: __atomic_store_n((u32 *)p, v, __ATOMIC_RELEASE); break;
	default: __atomic_store_n((u64 *)p, v, __ATOMIC_RELEASE);
	}
}

static inline u64 extend(u64 v, unsigned size, bool is_signed)
{
	unsigned shift = 64 - 8 * size;

	return is_signed ? (u64)((int64_t)(v << shift) >> shift) : v;
}

static void load_lane(struct sg_warp *w, const struct sg_insn *in, unsigned lane)
{
	unsigned size = (in->flags & SG_F_SIZE) >> 3, n = (in->flags & SG_F_ELEMS) >> 11;
	const uint8_t *p = lane_memory(w, in, lane, address_of(w, in, lane), size * n, false);
	u64 v[4];

	if (!p)
		return;
	for (unsigned k = 0; k < n; k++) {
		v[k] = in->flags & SG_F_STRONG ? read_strong(p + k * size, size)
					       : read_plain(p + k * size, size);
		v[k] = extend(v[k], size, in->flags & SG_F_SIGNED);
	}
	for (unsigned k = 0; k < n; k++) {
		void *d = sg_reg(w, in->opd[SG_V + k]);

		if (in->flags & SG_F_WIDE)
			((u64 *)d)[lane] = v[k];
		else
			((u32 *)d)[lane] = (u32)v[k];
	}
}

HANDLER(ld)
{
	for (u32 m = mask; m && !w->fault; m &= m - 1)
		load_lane(w, in, __builtin_ctz(m));
}

static void store_lane(struct sg_warp *w, const struct sg_insn *in, unsigned lane)
{
	unsigned size = (in->flags & SG_F_SIZE) >> 3, n = (in->flags & SG_F_ELEMS) >> 11;
	uint8_t *p = lane_memory(w, in, lane, address_of(w, in, lane), size * n, true);

	if (!p)
		return;
	for (unsigned k = 0; k < n; k++) {
		const void *s = sg_reg(w, in->opd[SG_V + k]);
		u64 v = in->flags & SG_F_WIDE ? ((const u64 *)s)[lane] : ((const u32 *)s)[lane];

		if (in->flags & SG_F_STRONG)
			write_strong(p + k * size, size, v);
		else
			write_plain(p + k * size, size, v);
	}
}

HANDLER(st)
{
	for (u32 m = mask; m && !w->fault; m &= m - 1)
		store_lane(w, in, __builtin_ctz(m));
}

/* ---- words of global memory ---- */

/* Do all lanes touch one run of @size-byte words from the first lane's on? */
static inline bool in_order(const u64 *a, unsigned size)
{
	u64 differ = 0, first = a[0];

	LANES differ |= a[i] ^ (first + i * size);
	return !differ;
}

/* The run's memory if it can be reached at once; NULL: lane by lane. */
static inline void *run_memory(struct sg_warp *w, const struct sg_insn *in, u64 addr,
			       unsigned size)
{
	if (addr & (size - 1))
		return NULL;
	if (!sg_span_holds(span_of(w, in), addr, size * SG_LANES))
		return NULL;
	return (void *)(uintptr_t)addr;
}

/* All lanes within the instruction's span, and aligned? */
static inline bool all_in_span(struct sg_warp *w, const struct sg_insn *in, const u64 *a, u64 imm,
			       unsigned size)
{
	const struct sg_span s = *span_of(w, in);
	u64 bad = 0, last = s.size - size;

	if (s.size < size)
		return false;
	LANES bad |= (a[i] + imm - s.base > last) | ((a[i] + imm) & (size - 1));
	return !bad;
}

#define LOAD_WORDS(T)								\
	do {									\
		const u64 *a = sg_reg(w, in->opd[SG_A]);			\
		const u64 imm = (u64)in->imm;					\
		T *d = sg_reg(w, in->opd[SG_V]);				\
		const T *run;							\
										\
		if (mask == SG_ALL && in_order(a, sizeof(T))) {			\
			run = run_memory(w, in, a[0] + imm, sizeof(T));		\
			if (run) {						\
				memcpy(d, run, SG_LANES * sizeof(T));		\
				return;						\
			}							\
		}								\
		if (mask == SG_ALL && all_in_span(w, in, a, imm, sizeof(T))) {	\
			T v[SG_LANES];						\
										\
			for (unsigned i = 0; i < SG_LANES; i++)			\
				v[i] = *(const T *)(uintptr_t)(a[i] + imm);	\
			memcpy(d, v, sizeof(v));				\
			return;							\
		}								\
		for (u32 m = mask; m && !w->fault; m &= m - 1)			\
			load_lane(w, in, __builtin_ctz(m));			\
	} while (0)

RACY HANDLER(ld_32)
{
	LOAD_WORDS(u32);
}

RACY HANDLER(ld_64)
{
	LOAD_WORDS(u64);
}

#define STORE_WORDS(T)								\
	do {									\
		const u64 *a = sg_reg(w, in->opd[SG_A]);			\
		const T *s = sg_reg(w, in->opd[SG_V]);				\
		T *run;								\
										\
		if (mask == SG_ALL && in_order(a, sizeof(T))) {			\
			run = run_memory(w, in, a[0] + (u64)in->imm, sizeof(T)); \
			if (run) {						\
				memcpy(run, s, SG_LANES * sizeof(T));		\
				return;						\
			}							\
		}								\
		for (u32 m = mask; m && !w->fault; m &= m - 1)			\
			store_lane(w, in, __builtin_ctz(m));			\
	} while (0)

RACY HANDLER(st_32)
{
	STORE_WORDS(u32);
}

RACY HANDLER(st_64)
{
	STORE_WORDS(u64);
}

/* ---- words of shared memory ---- */

/* Offsets of all lanes; false: a lane that takes part is out of bounds. */
static inline bool shared_offsets(const struct sg_warp *w, const struct sg_insn *in, u32 mask,
				  u32 *off)
{
	u32 size = w->block->shared_bytes, bad = 0;

	if (size < 4)
		return false;
	if (in->flags & SG_F_A32) {
		const u32 *a = sg_reg(w, in->opd[SG_A]), imm = (u32)in->imm;

		LANES off[i] = a[i] + imm;
	} else {
		const u64 *a = sg_reg(w, in->opd[SG_A]), imm = (u64)in->imm;

		LANES off[i] = a[i] + imm < size ? (u32)(a[i] + imm) : SG_ALL;
	}
	LANES bad |= (off[i] > size - 4 || off[i] & 3) && mask >> i & 1;
	return !bad;
}

HANDLER(ld_shared_32)
{
	const uint8_t *base = w->block->shared;
	u32 *d = sg_reg(w, in->opd[SG_V]), off[SG_LANES], v[SG_LANES];

	if (!shared_offsets(w, in, mask, off)) {
		for (u32 m = mask; m && !w->fault; m &= m - 1)
			load_lane(w, in, __builtin_ctz(m));
		return;
	}
	if (mask == SG_ALL) {
		for (unsigned i = 0; i < SG_LANES; i++)
			v[i] = *(const u32 *)(base + off[i]);
		memcpy(d, v, sizeof(v));
		return;
	}
	for (u32 m = mask; m; m &= m - 1)
		d[__builtin_ctz(m)] = *(const u32 *)(base + off[__builtin_ctz(m)]);
}

HANDLER(st_shared_32)
{
	uint8_t *base = w->block->shared;
	const u32 *s = sg_reg(w, in->opd[SG_V]);
	u32 off[SG_LANES];

	if (!shared_offsets(w, in, mask, off)) {
		for (u32 m = mask; m && !w->fault; m &= m - 1)
			store_lane(w, in, __builtin_ctz(m));
		return;
	}
	for (u32 m = mask; m; m &= m - 1)
		*(u32 *)(base + off[__builtin_ctz(m)]) = s[__builtin_ctz(m)];
}

/* ---- parameters of the kernel ---- */

/* The decoder saw to it that the access is inside of a parameter. */
HANDLER(ld_entry)
{
	unsigned size = (in->flags & SG_F_SIZE) >> 3, n = (in->flags & SG_F_ELEMS) >> 11;
	const uint8_t *p = w->block->worker->job->params + in->imm;

	for (unsigned k = 0; k < n; k++) {
		void *dst = sg_reg(w, in->opd[SG_V + k]);
		u64 v = 0;

		memcpy(&v, p + k * size, size);
		v = extend(v, size, in->flags & SG_F_SIGNED);
		if (in->flags & SG_F_WIDE)
			EACH((u64 *)dst, v);
		else
			EACH((u32 *)dst, (u32)v);
	}
}

HANDLER(isspacep)
{
	const u64 *a = sg_reg(w, in->opd[SG_A]);
	u32 bits = 0;

	for (unsigned i = 0; i < SG_LANES; i++) {
		u64 window = a[i] >> SG_WINDOW_SHIFT << SG_WINDOW_SHIFT;
		bool yes;

		switch (in->sub) {
		case SG_SHARED: yes = window == SG_WINDOW_SHARED; break;
		case SG_LOCAL: yes = window == SG_WINDOW_LOCAL; break;
		case SG_PARAM_ENTRY: yes = window == SG_WINDOW_PARAM; break;
		case SG_CONST: yes = false; break;
		default: yes = !window;
		}
		bits |= (u32)yes << i;
	}
	sg_set_pred(w, in->opd[SG_D], mask, bits);
}

HANDLER(fence)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
