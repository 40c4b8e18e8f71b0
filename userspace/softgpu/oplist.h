/* SPDX-License-Identifier: MIT */
/*
 * All operations, once. A handler op_<name>() exists for each in one of the
 * ops_*.c files; the table of handlers and enum sg_op are made from this list.
 */
#ifndef SOFTGPU_OPLIST_H
#define SOFTGPU_OPLIST_H

#define SG_OPS_US(X, n)							\
	X(n##_u16) X(n##_s16) X(n##_u32) X(n##_s32) X(n##_u64) X(n##_s64)
#define SG_OPS_ANY(X, n)	X(n##_16) X(n##_32) X(n##_64)
#define SG_OPS_WIDE(X, n)	X(n##_u16) X(n##_s16) X(n##_u32) X(n##_s32)

#define SG_OPLIST_INT(X)						\
	X(mov_32) X(mov_64) X(mov_p) X(movi_32) X(movi_64)		\
	SG_OPS_ANY(X, add) SG_OPS_ANY(X, sub) SG_OPS_ANY(X, mul)	\
	SG_OPS_ANY(X, mad) SG_OPS_ANY(X, neg)				\
	X(addsat_s32) X(subsat_s32)					\
	SG_OPS_US(X, mulhi) SG_OPS_WIDE(X, mulw) SG_OPS_WIDE(X, madw)	\
	SG_OPS_US(X, madhi)						\
	SG_OPS_US(X, sad) SG_OPS_US(X, div) SG_OPS_US(X, rem)		\
	SG_OPS_US(X, min) SG_OPS_US(X, max)				\
	X(abs_s16) X(abs_s32) X(abs_s64)				\
	X(mul24lo_u32) X(mul24lo_s32) X(mul24hi_u32) X(mul24hi_s32)	\
	X(and_32) X(and_64) X(or_32) X(or_64) X(xor_32) X(xor_64)	\
	X(not_32) X(not_64) SG_OPS_ANY(X, cnot)				\
	SG_OPS_ANY(X, shl) SG_OPS_US(X, shr)

#define SG_OPLIST_BIT(X)						\
	X(nop) X(and_p) X(or_p) X(xor_p) X(not_p)			\
	X(popc_32) X(popc_64) X(clz_32) X(clz_64) X(brev_32) X(brev_64)	\
	X(bfind_u32) X(bfind_s32) X(bfind_u64) X(bfind_s64)		\
	X(bfe_u32) X(bfe_s32) X(bfe_u64) X(bfe_s64) X(bfi_32) X(bfi_64)	\
	X(bmsk) X(szext_u32) X(szext_s32) X(fns) X(prmt) X(shf)		\
	X(lop3) X(lop3_p) X(dp4a) X(dp2a) X(vabsdiff4)			\
	X(addc_32) X(addc_64) X(subc_32) X(subc_64)			\
	X(madclo_32) X(madclo_64) X(madchi_u32) X(madchi_s32)		\
	X(madchi_u64) X(madchi_s64)					\
	SG_OPS_US(X, setp)						\
	X(selp_32) X(selp_64) X(selp2)					\
	X(slct_32_s32) X(slct_64_s32) X(slct_32_f32) X(slct_64_f32)	\
	X(pack_2x16) X(pack_2x32) X(pack_4x16)				\
	X(unpack_2x16) X(unpack_2x32) X(unpack_4x16)			\
	X(sreg_32) X(sreg_64) X(local_32) X(local_64) X(dyn_32) X(dyn_64) \
	X(activemask)

#define SG_OPLIST_FLOAT(X)						\
	X(add_f32) X(sub_f32) X(mul_f32) X(fma_f32) X(f32x)		\
	X(add_f64) X(sub_f64) X(mul_f64) X(fma_f64) X(f64x)		\
	X(half) X(half2) X(setp_f32) X(setp_f64) X(setp_half) X(setp_half2) \
	X(testp_f32) X(testp_f64)

#define SG_OPLIST_CVT(X)						\
	X(cvt) X(cvt2) X(sext_32)					\
	X(cvt_s64_s32) X(cvt_u64_u32) X(cvt_32_64)			\
	X(cvt_f32_s32) X(cvt_f32_u32) X(cvt_f64_s32) X(cvt_f64_u32)	\
	X(cvt_f64_f32) X(cvt_f32_f64) X(cvt_s32_f32) X(cvt_u32_f32)

#define SG_OPLIST_MEM(X)						\
	X(ld) X(st) X(ld_32) X(st_32) X(ld_64) X(st_64)			\
	X(ld_shared_32) X(st_shared_32)					\
	X(ld_entry) X(atom) X(isspacep) X(fence)

#define SG_OPLIST_SYNC(X)						\
	X(shfl) X(vote) X(match) X(redux) X(barwarp) X(elect)

/* Carried out by the warp's loop. */
#define SG_OPLIST_CONTROL(X)						\
	X(bra) X(brx) X(call) X(ret) X(exit) X(bar) X(trap) X(nanosleep) \
	X(unsupported)

#define SG_OPLIST(X)							\
	SG_OPLIST_INT(X) SG_OPLIST_BIT(X) SG_OPLIST_FLOAT(X)		\
	SG_OPLIST_CVT(X) SG_OPLIST_MEM(X) SG_OPLIST_SYNC(X)		\
	SG_OPLIST_CONTROL(X)

/* sub of f32x, f64x, half, half2 */
enum sg_fx {
	SG_FX_ADD, SG_FX_SUB, SG_FX_MUL, SG_FX_FMA, SG_FX_DIV, SG_FX_RCP, SG_FX_SQRT,
	SG_FX_RSQRT, SG_FX_MIN, SG_FX_MAX, SG_FX_ABS, SG_FX_NEG, SG_FX_EX2, SG_FX_LG2,
	SG_FX_SIN, SG_FX_COS, SG_FX_TANH, SG_FX_COPYSIGN, SG_FX_RCP64H, SG_FX_RSQRT64H,
};

/* sub of setp_u16 .. setp_s64 */
enum sg_cmp { SG_CMP_EQ, SG_CMP_NE, SG_CMP_LT, SG_CMP_LE, SG_CMP_GT, SG_CMP_GE };

/* truth table of float comparisons, SG_F_CMP */
#define SG_TT_LT	1u
#define SG_TT_EQ	2u
#define SG_TT_GT	4u
#define SG_TT_UN	8u

/* sub of sync operations */
enum sg_shfl { SG_SHFL_UP, SG_SHFL_DOWN, SG_SHFL_BFLY, SG_SHFL_IDX };
enum sg_vote { SG_VOTE_ALL, SG_VOTE_ANY, SG_VOTE_UNI, SG_VOTE_BALLOT };
enum sg_match { SG_MATCH_ANY_32, SG_MATCH_ANY_64, SG_MATCH_ALL_32, SG_MATCH_ALL_64 };
enum sg_redux {
	SG_REDUX_ADD, SG_REDUX_MIN_U, SG_REDUX_MIN_S, SG_REDUX_MAX_U, SG_REDUX_MAX_S,
	SG_REDUX_AND, SG_REDUX_OR, SG_REDUX_XOR,
};

/* sub of bar */
enum sg_bar {
	SG_BAR_SYNC, SG_BAR_ARRIVE, SG_BAR_POPC, SG_BAR_AND, SG_BAR_OR,
};

/* sub of atom; the type is in imm's place of flags: see ops_atom.c */
enum sg_atom {
	SG_ATOM_ADD, SG_ATOM_AND, SG_ATOM_OR, SG_ATOM_XOR, SG_ATOM_EXCH, SG_ATOM_CAS,
	SG_ATOM_MIN, SG_ATOM_MAX, SG_ATOM_INC, SG_ATOM_DEC,
};

/* sub of testp */
enum sg_testp {
	SG_TESTP_FINITE, SG_TESTP_INFINITE, SG_TESTP_NUMBER, SG_TESTP_NAN, SG_TESTP_NORMAL,
	SG_TESTP_SUBNORMAL,
};

/* sub of sreg_32 and sreg_64 */
enum sg_sreg {
	SG_SREG_TID, SG_SREG_TID_Y, SG_SREG_TID_Z, SG_SREG_NTID, SG_SREG_NTID_Y, SG_SREG_NTID_Z,
	SG_SREG_CTAID, SG_SREG_CTAID_Y, SG_SREG_CTAID_Z,
	SG_SREG_NCTAID, SG_SREG_NCTAID_Y, SG_SREG_NCTAID_Z,
	SG_SREG_LANEID, SG_SREG_WARPID, SG_SREG_NWARPID, SG_SREG_SMID, SG_SREG_NSMID,
	SG_SREG_GRIDID, SG_SREG_LANEMASK_EQ, SG_SREG_LANEMASK_LE, SG_SREG_LANEMASK_LT,
	SG_SREG_LANEMASK_GE, SG_SREG_LANEMASK_GT, SG_SREG_CLOCK, SG_SREG_CLOCK_HI,
	SG_SREG_CLOCK64, SG_SREG_GLOBALTIMER, SG_SREG_GLOBALTIMER_LO, SG_SREG_GLOBALTIMER_HI,
	SG_SREG_TOTAL_SMEM, SG_SREG_DYNAMIC_SMEM, SG_SREG_ENVREG1, SG_SREG_ENVREG2,
	SG_SREG_ZERO,
};

#endif /* SOFTGPU_OPLIST_H */
