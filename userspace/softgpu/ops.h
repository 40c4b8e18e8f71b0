/* SPDX-License-Identifier: MIT */
/*
 * For the ops_*.c files, each of which is compiled twice: with SG_ISA base for
 * any x86-64 and with SG_ISA v3 for processors with AVX2 and FMA. Loops over
 * lanes are written so that the compiler makes vectors of them.
 */
#ifndef SOFTGPU_OPS_H
#define SOFTGPU_OPS_H

#include "softgpu/exec.h"

#ifndef SG_ISA
#error "compile with -DSG_ISA=base or -DSG_ISA=v3"
#endif

#define SG_PASTE_(a, b)	a##b
#define SG_PASTE(a, b)	SG_PASTE_(a, b)
#define OP(name)	SG_PASTE(sg_op_##name##_, SG_ISA)

#define X(name) sg_op_fn OP(name);
SG_OPLIST_INT(X) SG_OPLIST_BIT(X) SG_OPLIST_FLOAT(X) SG_OPLIST_CVT(X)
SG_OPLIST_MEM(X) SG_OPLIST_SYNC(X)
#undef X

/*
 * A destination may be a source too, but then lane by lane: lane i is written
 * after lane i was read, so no lane depends on another one.
 */
#ifdef __clang__
#define LANES	_Pragma("clang loop vectorize(assume_safety)")			\
		for (unsigned i = 0; i < SG_LANES; i++)
#else
#define LANES	_Pragma("GCC ivdep")						\
		for (unsigned i = 0; i < SG_LANES; i++)
#endif

/* dst[i] = expr in the lanes of mask; expr must be harmless in all. */
#define EACH(dst, expr)								\
	do {									\
		if (mask == SG_ALL) {						\
			LANES (dst)[i] = (expr);				\
		} else {							\
			LANES (dst)[i] = mask >> i & 1 ? (expr) : (dst)[i];	\
		}								\
	} while (0)

#define HANDLER(name)								\
	void OP(name)(struct sg_warp *w, const struct sg_insn *in, uint32_t mask)

/* d = expr of a[i], b[i], c[i]; D and S are the element types */
#define OP1(name, D, S, expr)							\
	HANDLER(name)								\
	{									\
		D *d = sg_reg(w, in->opd[SG_D]);				\
		const S *a = sg_reg(w, in->opd[SG_A]);				\
		EACH(d, expr);							\
	}
#define OP2T(name, D, S, T, expr)						\
	HANDLER(name)								\
	{									\
		D *d = sg_reg(w, in->opd[SG_D]);				\
		const S *a = sg_reg(w, in->opd[SG_A]);				\
		const T *b = sg_reg(w, in->opd[SG_B]);				\
		EACH(d, expr);							\
	}
#define OP2(name, D, S, expr)	OP2T(name, D, S, S, expr)
#define OP3T(name, D, S, T, U, expr)						\
	HANDLER(name)								\
	{									\
		D *d = sg_reg(w, in->opd[SG_D]);				\
		const S *a = sg_reg(w, in->opd[SG_A]);				\
		const T *b = sg_reg(w, in->opd[SG_B]);				\
		const U *c = sg_reg(w, in->opd[SG_C]);				\
		EACH(d, expr);							\
	}
#define OP3(name, D, S, expr)	OP3T(name, D, S, S, S, expr)

/* A vector result that was made aside goes to its register. */
static inline void sg_store32(struct sg_warp *w, sg_opd o, uint32_t mask, const uint32_t *v)
{
	uint32_t *d = sg_reg(w, o);

	EACH(d, v[i]);
}

static inline void sg_store64(struct sg_warp *w, sg_opd o, uint32_t mask, const uint64_t *v)
{
	uint64_t *d = sg_reg(w, o);

	EACH(d, v[i]);
}

/* The end of every setp: @bits combined with the predicate in C. */
static inline uint32_t sg_combine(uint32_t bits, uint32_t c, uint32_t how)
{
	return how == 1 ? bits & c : how == 2 ? bits | c : how == 3 ? bits ^ c : bits;
}

static inline void sg_finish_setp(struct sg_warp *w, const struct sg_insn *in, uint32_t mask,
				  uint32_t bits)
{
	uint32_t how = (in->flags & SG_F_BOOL) >> 12, c = 0, no = ~bits;

	if (how) {
		c = sg_pred(w, in->opd[SG_C]);
		c = in->flags & SG_F_NEG_C ? ~c : c;
		bits = sg_combine(bits, c, how);
		no = sg_combine(no, c, how);
	}
	sg_set_pred(w, in->opd[SG_D], mask, bits);
	if (in->opd[SG_D2])
		sg_set_pred(w, in->opd[SG_D2], mask, no);
}

#endif /* SOFTGPU_OPS_H */
