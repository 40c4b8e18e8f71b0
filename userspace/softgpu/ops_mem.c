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

/* ---- all lanes at once ---- */

/* Where the lanes' memory is, if the checks of all of @mask can be made together. */
struct lanes {
	u64		addr[SG_LANES];		/* offsets from base */
	uint8_t		*base;
	u64		stride;			/* from lane to lane */
	u64		size;			/* that a lane can reach */
};

static void lane_addresses(const struct sg_warp *w, const struct sg_insn *in, u64 *addr)
{
	const u64 imm = (u64)in->imm, frame = in->flags & SG_F_FRAME ? w->frame->local : 0;

	if (in->flags & SG_F_ADDRLESS) {
		LANES addr[i] = imm + frame;
	} else if (in->flags & SG_F_A32) {
		const u32 *a = sg_reg(w, in->opd[SG_A]), imm32 = (u32)imm;

		LANES addr[i] = a[i] + imm32;
	} else {
		const u64 *a = sg_reg(w, in->opd[SG_A]);

		LANES addr[i] = a[i] + imm;
	}
}

static bool lane_space(const struct sg_warp *w, const struct sg_insn *in, struct lanes *l)
{
	const struct sg_block *b = w->block;
	const struct sg_span *span;

	l->stride = 0;
	switch (in->flags & SG_F_SPACE) {
	case SG_SHARED:
		l->base = b->shared;
		l->size = b->shared_bytes;
		return true;
	case SG_LOCAL:
		l->stride = l->size = b->worker->job->stack_bytes;
		l->base = b->locals + (u64)w->index * SG_WARP * l->stride;
		return true;
	case SG_PARAM_FRAME:
		l->stride = l->size = w->frame->func->param_bytes;
		l->base = w->frame->params;
		return true;
	case SG_PARAM_ENTRY:
		return false;
	default:
		span = span_of(w, in);
		l->base = (uint8_t *)(uintptr_t)span->base;
		l->size = span->size;
		LANES l->addr[i] -= span->base;
		return true;
	}
}

static bool lanes_ok(const struct sg_warp *w, const struct sg_insn *in, u32 mask, u64 bytes,
		     struct lanes *l)
{
	u64 bad = 0, last, low = 0, m = bytes - 1;

	lane_addresses(w, in, l->addr);
	LANES low |= mask >> i & 1 ? l->addr[i] : 0;
	if (low & m || !lane_space(w, in, l) || l->size < bytes)
		return false;
	last = l->size - bytes;
	LANES bad |= l->addr[i] > last && mask >> i & 1;
	return !bad;
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

/* One element of all lanes; @T is its type in memory, signed to be extended. */
#define LOAD_ELEMENT(T)								\
	do {									\
		for (u32 m = mask; m; m &= m - 1) {				\
			unsigned i = __builtin_ctz(m);				\
										\
			v[i] = (u64)(int64_t)*(const T *)(p + l->addr[i] + i * l->stride); \
		}								\
	} while (0)

RACY static void load_element(struct sg_warp *w, const struct sg_insn *in, u32 mask,
			      const struct lanes *l, unsigned k)
{
	unsigned size = (in->flags & SG_F_SIZE) >> 3;
	bool is_signed = in->flags & SG_F_SIGNED;
	const uint8_t *p = l->base + k * size;
	u32 *d = sg_reg(w, in->opd[SG_V + k]);
	u64 v[SG_LANES] = { 0 };

	if (size == 1 && is_signed)
		LOAD_ELEMENT(int8_t);
	else if (size == 1)
		LOAD_ELEMENT(uint8_t);
	else if (size == 2 && is_signed)
		LOAD_ELEMENT(int16_t);
	else if (size == 2)
		LOAD_ELEMENT(uint16_t);
	else if (size == 4 && is_signed)
		LOAD_ELEMENT(int32_t);
	else if (size == 4)
		LOAD_ELEMENT(u32);
	else
		LOAD_ELEMENT(u64);
	if (in->flags & SG_F_WIDE)
		sg_store64(w, in->opd[SG_V + k], mask, v);
	else
		EACH(d, (u32)v[i]);
}

/* All lanes want the same: it is read once. */
static bool load_same(struct sg_warp *w, const struct sg_insn *in, const struct lanes *l,
		      unsigned size, unsigned n)
{
	u64 differ = l->stride;

	LANES differ |= l->addr[i] ^ l->addr[0];
	if (differ)
		return false;
	for (unsigned k = 0; k < n; k++) {
		u64 v = extend(read_plain(l->base + l->addr[0] + k * size, size), size,
			       in->flags & SG_F_SIGNED);
		void *d = sg_reg(w, in->opd[SG_V + k]);
		u64 *wide = d;
		u32 *narrow = d;

		if (in->flags & SG_F_WIDE)
			LANES wide[i] = v;
		else
			LANES narrow[i] = (u32)v;
	}
	return true;
}

HANDLER(ld)
{
	unsigned size = (in->flags & SG_F_SIZE) >> 3, n = (in->flags & SG_F_ELEMS) >> 11;
	struct lanes l;

	if (!(in->flags & SG_F_STRONG) && lanes_ok(w, in, mask, size * n, &l)) {
		if (mask == SG_ALL && load_same(w, in, &l, size, n))
			return;
		for (unsigned k = 0; k < n; k++)
			load_element(w, in, mask, &l, k);
		return;
	}
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

#define STORE_ELEMENT(T)							\
	do {									\
		for (u32 m = mask; m; m &= m - 1) {				\
			unsigned i = __builtin_ctz(m);				\
										\
			*(T *)(p + l->addr[i] + i * l->stride) =		\
				(T)(wide ? ((const u64 *)s)[i] : ((const u32 *)s)[i]); \
		}								\
	} while (0)

RACY static void store_element(struct sg_warp *w, const struct sg_insn *in, u32 mask,
			       const struct lanes *l, unsigned k)
{
	unsigned size = (in->flags & SG_F_SIZE) >> 3;
	bool wide = in->flags & SG_F_WIDE;
	const void *s = sg_reg(w, in->opd[SG_V + k]);
	uint8_t *p = l->base + k * size;

	if (size == 1)
		STORE_ELEMENT(uint8_t);
	else if (size == 2)
		STORE_ELEMENT(uint16_t);
	else if (size == 4)
		STORE_ELEMENT(u32);
	else
		STORE_ELEMENT(u64);
}

HANDLER(st)
{
	unsigned size = (in->flags & SG_F_SIZE) >> 3, n = (in->flags & SG_F_ELEMS) >> 11;
	struct lanes l;

	if (!(in->flags & SG_F_STRONG) && lanes_ok(w, in, mask, size * n, &l)) {
		for (unsigned k = 0; k < n; k++)
			store_element(w, in, mask, &l, k);
		return;
	}
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
		OP(ld)(w, in, mask);						\
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
		OP(st)(w, in, mask);						\
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

/* 4: the lanes' words lie in a row; 0: all want the same one; -1: neither. */
static inline int word_step(const u32 *off)
{
	u32 row = 0, same = 0;

	LANES row |= off[i] ^ (off[0] + 4 * i);
	LANES same |= off[i] ^ off[0];
	return !row ? 4 : !same ? 0 : -1;
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
		int step = word_step(off);

		if (step == 4) {
			memcpy(d, base + off[0], sizeof(v));
		} else if (step == 0) {
			const u32 x = *(const u32 *)(base + off[0]);

			LANES d[i] = x;
		} else {
			for (unsigned i = 0; i < SG_LANES; i++)
				v[i] = *(const u32 *)(base + off[i]);
			memcpy(d, v, sizeof(v));
		}
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
	if (mask == SG_ALL && word_step(off) == 4) {
		memcpy(base + off[0], s, SG_LANES * sizeof(*s));
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
#ifdef __SANITIZE_THREAD__
	/* The sanitizer knows no fences; a locked add is one. */
	static u64 dummy;

	__atomic_fetch_add(&dummy, 0, __ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}
