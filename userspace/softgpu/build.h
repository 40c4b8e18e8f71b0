/* SPDX-License-Identifier: MIT */
/*
 * A function's code while it is being read: instructions with numbered
 * registers. sg_build_finish() gives registers their places and freezes it.
 */
#ifndef SOFTGPU_BUILD_H
#define SOFTGPU_BUILD_H

#include "softgpu/ptx.h"

enum sg_reg_class { RC_PRED, RC_32, RC_64 };

#define SG_REG_NONE	0u
#define SG_REG_CC	1u		/* the carry flag */
#define SG_REG_FIRST	2u
#define SG_MAX_REGS	(1u << 20)
#define SG_MAX_CODE	(1u << 22)

struct sg_const {
	uint64_t	value;
	uint32_t	next;		/* of the hash chain, + 1 */
	bool		wide;
};

struct sg_patch {
	struct sg_patch	*next;
	const char	*name;
	unsigned	len;
	unsigned	line;
	uint32_t	pc;		/* whose imm is the label's address */
	uint32_t	*slot;		/* or this word */
	struct sg_scope	*scope;
};

struct sg_builder {
	struct sg_insn	*code;
	const char	**text;
	uint32_t	*line;
	uint32_t	ncode, code_room;
	uint8_t		*class;		/* of registers */
	uint32_t	nregs, regs_room;
	struct sg_const	*consts;
	uint32_t	nconsts, const_room;
	uint32_t	hash[1024];	/* of constants, + 1 */
	struct sg_patch	*patches;
	uint32_t	param_top;
	unsigned	depth;		/* of scopes */
	const char	*cur_text;	/* of the instruction being decoded */
	unsigned	cur_line;
};

void sg_build_start(struct sg_parser *p);
void sg_build_finish(struct sg_parser *p);

uint32_t sg_build_regs(struct sg_parser *p, enum sg_reg_class class, uint32_t count);
enum sg_reg_class sg_build_class(struct sg_parser *p, uint32_t reg);
struct sg_insn *sg_build_emit(struct sg_parser *p, enum sg_op op, enum sg_kind kind);
sg_opd sg_build_const(struct sg_parser *p, uint64_t value, bool wide);
void sg_build_patch(struct sg_parser *p, const char *name, unsigned len, uint32_t *slot);
void sg_build_reloc(struct sg_parser *p, const struct sg_symbol *sym, int64_t addend);
/* Bytes of the frame's .param memory; gives their offset. */
uint32_t sg_build_param(struct sg_parser *p, uint64_t size, uint32_t align);

/* regalloc.c: registers that do not live at once share a place */
bool sg_regalloc(const struct sg_builder *b, uint32_t *place, uint32_t *bytes);

#endif /* SOFTGPU_BUILD_H */
