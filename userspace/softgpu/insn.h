/* SPDX-License-Identifier: MIT */
/*
 * The predecoded instruction and the handlers that carry it out.
 *
 * Registers of a warp are structures of arrays: a 32-bit register is 32
 * words, a 64-bit one 32 double words, a predicate one word with a bit a
 * lane. 16-bit values live in 32-bit registers; their upper half is not
 * defined, so handlers narrow what they read. Constants are registers too,
 * spread over all lanes, in a pool of the function.
 */
#ifndef SOFTGPU_INSN_H
#define SOFTGPU_INSN_H

#include <stdint.h>

#define SG_LANES	32
#define SG_ALL		0xffffffffu

struct sg_warp;
struct sg_insn;

typedef void sg_op_fn(struct sg_warp *w, const struct sg_insn *in, uint32_t mask);

/* How the warp's loop treats an instruction; the handler does the rest. */
enum sg_kind {
	SG_K_ALU,		/* cannot fail */
	SG_K_MEM,		/* may set a fault */
	SG_K_POLL,		/* the same, and others may be waited for with it */
	SG_K_SYNC,		/* waits for the lanes that it names */
	SG_K_BARRIER,
	SG_K_BRANCH,		/* imm: target */
	SG_K_SWITCH,		/* brx.idx; imm: struct sg_targets */
	SG_K_CALL,		/* imm: struct sg_call */
	SG_K_RET,
	SG_K_EXIT,
	SG_K_YIELD,		/* nanosleep */
	SG_K_TRAP,
	SG_K_UNSUPPORTED,
};

/*
 * An operand is a byte offset; bit 0 chooses the base: 0 the registers of the
 * frame, 1 the constants of the function. While a function is being built it
 * is instead the number of the register or constant, shifted left by one.
 */
typedef uint32_t sg_opd;

enum { SG_D, SG_D2, SG_A, SG_B, SG_C, SG_E, SG_X, SG_Y, SG_OPDS };
#define SG_V	SG_C		/* v[0..3] of vector loads and stores */

struct sg_insn {
	sg_op_fn	*fn;
	int64_t		imm;
	sg_opd		opd[SG_OPDS];
	uint32_t	guard;		/* predicate's offset, bit 0: negated; 0: none */
	uint32_t	flags;		/* SG_F_* */
	uint16_t	op;
	uint8_t		kind;
	uint8_t		sub;		/* meaning depends on op */
};

/* sg_insn.flags: floating point */
#define SG_F_FTZ	(1u << 0)
#define SG_F_SAT	(1u << 1)
#define SG_F_ROUND	(3u << 2)	/* 0 nearest even, else SG_RM_* << 2 */
#define SG_F_ABS	(1u << 4)	/* .xorsign.abs */
#define SG_F_RELU	(1u << 5)
#define SG_F_NAN	(1u << 6)	/* min/max.NaN */
#define SG_F_XORSIGN	(1u << 7)
/* setp and set */
#define SG_F_CMP	(15u << 8)	/* truth table: less, equal, greater, unordered */
#define SG_F_BOOL	(3u << 12)	/* 0 none, 1 and, 2 or, 3 xor with operand C */
#define SG_F_NEG_C	(1u << 14)	/* of the predicate in C */
#define SG_F_NEG_A	(1u << 15)	/* a predicate source is negated */
#define SG_F_NEG_B	(1u << 16)
#define SG_F_BF16	(1u << 17)	/* half, half2: bfloat16 */
/* carry: the flag is the predicate in E */
#define SG_F_CC_OUT	(1u << 0)
#define SG_F_CC_IN	(1u << 1)
/* memory */
#define SG_F_SPACE	(7u << 0)
#define SG_F_SIZE	(31u << 3)	/* bytes an element: 1 2 4 8 16 */
#define SG_F_SIGNED	(1u << 8)
#define SG_F_WIDE	(1u << 9)	/* the register has 64 bits */
#define SG_F_A32	(1u << 10)	/* the address register has 32 bits */
#define SG_F_ELEMS	(7u << 11)
#define SG_F_STRONG	(1u << 14)	/* volatile, relaxed or stronger */
#define SG_F_FRAME	(1u << 15)	/* .local symbol: relative to the frame */
#define SG_F_ADDRLESS	(1u << 16)	/* the address is imm alone */
#define SG_F_ACQREL	(1u << 17)
#define SG_F_VWRITE	(1u << 20)	/* v[] is written */
#define SG_F_TYPE_SHIFT	24		/* atom: enum ptx_type */

enum sg_round { SG_RM_NEAREST, SG_RM_ZERO, SG_RM_DOWN, SG_RM_UP };

enum sg_space {
	SG_GENERIC, SG_GLOBAL, SG_SHARED, SG_LOCAL, SG_PARAM_ENTRY, SG_PARAM_FRAME, SG_CONST,
};

/*
 * Windows of the generic address space. No host address is that large, so
 * everything below is global memory.
 */
#define SG_WINDOW_SHIFT		56
#define SG_WINDOW_SHARED	(1ull << SG_WINDOW_SHIFT)
#define SG_WINDOW_LOCAL		(2ull << SG_WINDOW_SHIFT)
#define SG_WINDOW_PARAM		(3ull << SG_WINDOW_SHIFT)
#define SG_WINDOW_CODE		(4ull << SG_WINDOW_SHIFT)

/* sub of cvt: enum sg_round, or that to an integral value */
#define SG_CVT_INTEGRAL		4

/* brx.idx */
struct sg_targets {
	uint32_t	count;
	uint32_t	pc[];
};

#include "softgpu/oplist.h"

enum sg_op {
#define X(name) SG_OP_##name,
	SG_OPLIST(X)
#undef X
	SG_OP_COUNT
};

#endif /* SOFTGPU_INSN_H */
