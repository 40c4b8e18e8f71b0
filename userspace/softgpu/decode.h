/* SPDX-License-Identifier: MIT */
/*
 * From parsed instructions to predecoded ones. decode.c has the table of
 * opcodes and what all share, decode_*.c the families.
 */
#ifndef SOFTGPU_DECODE_H
#define SOFTGPU_DECODE_H

#include "softgpu/build.h"
#include "softgpu/ptx.h"

typedef void sg_decode_fn(struct sg_parser *p, const struct ptx_insn *pi);

enum ptx_mod sg_mod_named(const char *text, unsigned len);
bool sg_opcode_known(const struct ptx_insn *pi);

/* Formals that are registers are loaded at the function's beginning. */
void sg_decode_prologue(struct sg_parser *p);

/* Emits with the guard of @pi. */
struct sg_insn *sg_emit(struct sg_parser *p, const struct ptx_insn *pi, unsigned op,
			enum sg_kind kind);
void sg_emit_unsupported(struct sg_parser *p, const struct ptx_insn *pi);

/* Operands; each fails on what does not fit. */
sg_opd sg_dst(struct sg_parser *p, const struct ptx_insn *pi, unsigned i,
	      enum sg_reg_class class);
sg_opd sg_src(struct sg_parser *p, const struct ptx_insn *pi, unsigned i, enum ptx_type type);
sg_opd sg_src_opd(struct sg_parser *p, const struct ptx_insn *pi, const struct ptx_opd *o,
		  enum ptx_type type);
/* A predicate; *neg tells that it is negated. */
sg_opd sg_src_pred(struct sg_parser *p, const struct ptx_insn *pi, unsigned i, bool *neg);
sg_opd sg_temp(struct sg_parser *p, enum sg_reg_class class);
void sg_need_opds(struct sg_parser *p, const struct ptx_insn *pi, unsigned min, unsigned max);
enum sg_reg_class sg_type_class(enum ptx_type t);
enum ptx_type sg_need_type(struct sg_parser *p, const struct ptx_insn *pi, unsigned i);
uint32_t sg_float_flags(const struct ptx_insn *pi);

/* The address operand @i into A and imm; true: of a symbol in *space. */
struct sg_addr {
	sg_opd				a;
	int64_t				imm;
	uint32_t			flags;
	enum sg_space			space;		/* of the symbol */
	bool				symbol;
	const struct sg_symbol		*reloc;
};
struct sg_addr sg_address(struct sg_parser *p, const struct ptx_insn *pi, unsigned i);
void sg_set_address(struct sg_parser *p, struct sg_insn *in, const struct sg_addr *a);

sg_decode_fn sg_decode_mov, sg_decode_cvta, sg_decode_cvt, sg_decode_setp, sg_decode_set,
	     sg_decode_selp, sg_decode_slct, sg_decode_alu, sg_decode_mul, sg_decode_mad,
	     sg_decode_carry, sg_decode_logic, sg_decode_lop3, sg_decode_prmt, sg_decode_shf,
	     sg_decode_shift, sg_decode_bit, sg_decode_bfind, sg_decode_bfe,
	     sg_decode_bfi, sg_decode_dp,
	     sg_decode_float, sg_decode_testp, sg_decode_ld, sg_decode_st, sg_decode_atom,
	     sg_decode_prefetch, sg_decode_isspacep, sg_decode_shfl, sg_decode_vote,
	     sg_decode_match, sg_decode_redux, sg_decode_activemask, sg_decode_bar,
	     sg_decode_membar, sg_decode_bra, sg_decode_brx, sg_decode_call, sg_decode_ret,
	     sg_decode_simple, sg_decode_vabsdiff, sg_decode_elect;

#endif /* SOFTGPU_DECODE_H */
