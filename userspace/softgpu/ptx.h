/* SPDX-License-Identifier: MIT */
/*
 * What PTX text becomes: symbols, variables, functions, and one parsed
 * instruction on its way through decode.c. parser.c reads, decode*.c
 * translates, build.c collects, link.c places.
 */
#ifndef SOFTGPU_PTX_H
#define SOFTGPU_PTX_H

#include <setjmp.h>

#include "softgpu/arena.h"
#include "softgpu/engine.h"
#include "softgpu/insn.h"
#include "softgpu/lexer.h"

enum ptx_type {
	PT_NONE, PT_PRED,
	PT_B8, PT_U8, PT_S8,
	PT_B16, PT_U16, PT_S16, PT_F16, PT_BF16,
	PT_B32, PT_U32, PT_S32, PT_F32, PT_F16X2, PT_BF16X2,
	PT_B64, PT_U64, PT_S64, PT_F64,
	PT_B128, PT_OTHER, PT_COUNT
};

unsigned ptx_type_size(enum ptx_type t);
bool ptx_type_signed(enum ptx_type t);
bool ptx_type_float(enum ptx_type t);

/* The modifiers that mean something; others make an instruction unsupported. */
enum ptx_mod {
	PM_NONE,
	PM_RN, PM_RZ, PM_RM, PM_RP, PM_RNI, PM_RZI, PM_RMI, PM_RPI,
	PM_FTZ, PM_SAT, PM_APPROX, PM_FULL, PM_CC, PM_HI, PM_LO, PM_WIDE,
	PM_EQ, PM_NE, PM_LT, PM_LE, PM_GT, PM_GE, PM_LS, PM_HS,
	PM_EQU, PM_NEU, PM_LTU, PM_LEU, PM_GTU, PM_GEU, PM_NUM, PM_NAN,
	PM_AND, PM_OR, PM_XOR, PM_POPC, PM_ADD, PM_MIN, PM_MAX, PM_INC, PM_DEC,
	PM_EXCH, PM_CAS, PM_SYNC, PM_ALIGNED, PM_WARP, PM_ARRIVE, PM_RED,
	PM_UP, PM_DOWN, PM_BFLY, PM_IDX, PM_ALL, PM_ANY, PM_UNI, PM_BALLOT,
	PM_GLOBAL, PM_SHARED, PM_LOCAL, PM_CONST, PM_PARAM,
	PM_CTA, PM_GPU, PM_SYS, PM_CLUSTER, PM_GL,
	PM_VOLATILE, PM_RELAXED, PM_ACQUIRE, PM_RELEASE, PM_ACQ_REL, PM_SC, PM_WEAK, PM_MMIO,
	PM_V2, PM_V4, PM_HINT, PM_CLAMP, PM_WRAP, PM_L, PM_R,
	PM_B4E, PM_F4E, PM_RC8, PM_ECL, PM_ECR, PM_RC16,
	PM_TO, PM_SHIFTAMT, PM_NOFTZ, PM_NANPROP, PM_XORSIGN, PM_ABS, PM_RELU,
	PM_FINITE, PM_INFINITE, PM_NUMBER, PM_NOTANUMBER, PM_NORMAL, PM_SUBNORMAL,
	PM_UNKNOWN, PM_COUNT
};

struct sg_symbol;
struct sg_var;

enum ptx_opd_kind {
	PO_NONE, PO_REG, PO_IMM, PO_FLOAT, PO_SREG, PO_SYM, PO_NAME, PO_MEM, PO_VEC,
	PO_LIST, PO_SINK,
};

#define PTX_MAX_OPDS	8
#define PTX_MAX_MODS	16

struct ptx_opd {
	uint8_t			kind;
	bool			neg;		/* !p or -r */
	uint8_t			size;		/* PO_FLOAT: 4, 8, 0 decimal */
	uint8_t			count;		/* PO_VEC, PO_LIST */
	uint32_t		reg;		/* PO_REG, base of PO_MEM; 0: none */
	uint32_t		pair;		/* second of d|p, register; 0: none */
	bool			pair_sink;
	uint64_t		imm;		/* value, offset, number of sreg */
	const struct sg_symbol	*sym;		/* PO_SYM, base of PO_MEM */
	const char		*name;		/* PO_NAME */
	struct ptx_opd		*sub;		/* PO_VEC, PO_LIST */
};

struct ptx_insn {
	const char	*op;			/* without modifiers */
	const char	*text;			/* with them */
	unsigned	line;
	uint64_t	mods[2];		/* set of enum ptx_mod */
	uint8_t		order[PTX_MAX_MODS];	/* the same in order */
	unsigned	nmods;
	uint8_t		type[4];
	unsigned	ntypes;
	unsigned	vec;			/* 1, 2, 4 */
	uint32_t	guard;			/* register; 0: none */
	bool		guard_neg;
	unsigned	nopds;
	struct ptx_opd	opd[PTX_MAX_OPDS];
};

static inline bool ptx_has(const struct ptx_insn *pi, enum ptx_mod m)
{
	return pi->mods[m / 64] >> (m % 64) & 1;
}

/* ---- symbols ---- */

enum sg_symbol_kind { SYM_REG, SYM_VAR, SYM_FUNC, SYM_LABEL, SYM_PROTO, SYM_TARGETS };

struct sg_symbol {
	struct sg_symbol	*next;		/* of the bucket */
	const char		*name;
	unsigned		len;
	uint8_t			kind;
	bool			range;		/* name<count> */
	uint32_t		hash;
	uint32_t		reg;		/* number of the first */
	uint32_t		count;
	union {
		struct sg_var		*var;
		struct sg_function		*func;
		struct sg_proto		*proto;
		struct sg_targets	*targets;
		uint32_t		pc;
	};
};

struct sg_scope {
	struct sg_scope		*parent;
	struct sg_symbol	**buckets;
	unsigned		nbuckets;	/* power of two */
	unsigned		count;
	uint32_t		param_top;	/* .param bytes in use outside */
};

struct sg_symbol *sg_scope_find(const struct sg_scope *s, const char *name, unsigned len);

/* ---- variables ---- */

enum sg_linkage { LINK_STATIC, LINK_VISIBLE, LINK_WEAK, LINK_COMMON, LINK_EXTERN };

struct sg_reloc {
	struct sg_reloc		*next;
	const struct sg_symbol	*sym;
	int64_t			addend;
	union {
		uint64_t	offset;		/* into a variable */
		uint32_t	pc;		/* of an instruction: imm */
	};
	uint8_t			bytes;		/* how many are stored */
	uint8_t			shift;		/* mask(sym): which ones */
};

struct sg_var {
	struct sg_var	*next;
	const char	*name;
	enum sg_space	space;
	enum sg_linkage	linkage;
	enum ptx_type	type;
	uint32_t	align;
	uint64_t	size;
	bool		unsized;		/* extern [] */
	bool		of_entry;		/* a kernel's parameter */
	uint8_t		*init;			/* NULL: zeroes */
	struct sg_reloc	*relocs;
	uint64_t	at;			/* address, or offset in its space */
	bool		common;			/* .shared: used by a device function */
	const struct sg_function *owner;		/* .shared: whose layout at belongs to */
	uint32_t	reg;			/* formal in a register */
};

/* ---- functions ---- */

struct sg_proto {
	unsigned	nparams, nrets;
	struct sg_var	**params;
	struct sg_var	**rets;
};

enum sg_builtin { SG_B_NONE, SG_B_VPRINTF, SG_B_MALLOC, SG_B_FREE, SG_B_ASSERTFAIL };

struct sg_function {
	struct sg_function		*next;
	struct sg_module	*mod;
	const char		*name;
	enum sg_linkage		linkage;
	bool			entry;
	bool			defined;
	bool			calls;		/* anything at all */
	enum sg_builtin		builtin;
	struct sg_proto		proto;
	uint32_t		id;

	struct sg_insn		*code;
	uint32_t		ncode;
	const char		**text;		/* opcode of each instruction */
	uint32_t		*line;
	uint8_t			*consts;
	uint32_t		reg_bytes;
	uint32_t		param_bytes;	/* a lane: formals and call areas */
	uint32_t		local_bytes;	/* a lane */
	uint32_t		local_align;
	uint32_t		shared_bytes;	/* static */
	uint32_t		regs;		/* 32-bit registers a thread */
	uint32_t		cc;		/* offset of the carry predicate */
	struct sg_reloc		*relocs;
	unsigned		max_threads;
	struct sg_function_info	info;
};

/* In the caller's .param bytes. */
struct sg_call_arg {
	uint32_t	at;
	uint32_t	size;
};

struct sg_call {
	const struct sg_function	*callee;	/* NULL: by the address in A */
	const char			*name;
	unsigned			nargs, nrets;
	struct sg_call_arg		*args, *rets;
};

struct sg_module {
	struct sg_arena		arena;
	struct sg_device	*dev;
	struct sg_scope		scope;
	struct sg_function		*funcs;		/* in order of appearance */
	struct sg_function		**table;	/* by id */
	uint32_t		nfuncs;
	uint32_t		serial;
	struct sg_var		*vars;
	uint64_t		dyn_align;
	CUdeviceptr		globals, consts;	/* 0: none */
	uint64_t		const_bytes;
};

/* ---- the reader ---- */

struct sg_builder;

struct sg_parser {
	struct sg_lexer		lex;
	struct sg_module	*mod;
	struct sg_scope		*scope;
	struct sg_function		*func;		/* being read */
	struct sg_builder	*build;
	struct sg_log		*log;
	CUresult		error;
	jmp_buf			fail;
	struct sg_var		**var_tail;
	struct sg_function		**func_tail;
	unsigned		target;
};

/*
 * All reading functions leave by longjmp on the first error: everything made
 * so far is in the module's arena, so there is nothing to unwind.
 */
__attribute__((noreturn, format(printf, 2, 3)))
void sg_parse_fail(struct sg_parser *p, const char *fmt, ...);
__attribute__((noreturn))
void sg_parse_stop(struct sg_parser *p, CUresult error, const char *text);
void sg_log_add(struct sg_log *log, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

void *sg_parse_alloc(struct sg_parser *p, size_t size);
char *sg_parse_name(struct sg_parser *p, const char *text, unsigned len);
struct sg_symbol *sg_parse_define(struct sg_parser *p, struct sg_scope *scope,
				  const char *text, unsigned len, enum sg_symbol_kind kind);
struct sg_scope *sg_scope_push(struct sg_parser *p);
void sg_scope_pop(struct sg_parser *p);

/* parser.c: the level of directives */
void sg_parse_module(struct sg_parser *p);
/* tokens */
bool sg_at_punct(struct sg_parser *p, int c);
bool sg_take_punct(struct sg_parser *p, int c);
void sg_need_punct(struct sg_parser *p, int c);
bool sg_at_dir(struct sg_parser *p, const char *name);
bool sg_take_dir(struct sg_parser *p, const char *name);
/* parse_var.c */
enum ptx_type sg_parse_type(struct sg_parser *p);
enum ptx_type sg_type_named(const char *text, unsigned len);
bool sg_space_named(const struct sg_token *t, enum sg_space *space);
uint64_t sg_parse_const(struct sg_parser *p);
void sg_parse_vars(struct sg_parser *p, enum sg_linkage linkage);
struct sg_var *sg_parse_formal(struct sg_parser *p, bool entry);
/* parse_body.c */
void sg_parse_body(struct sg_parser *p);
struct sg_proto sg_parse_proto(struct sg_parser *p, const char **name, unsigned *len);
void sg_parse_formals(struct sg_parser *p, bool entry, struct sg_var ***vars, unsigned *n);
/* decode.c */
void sg_decode(struct sg_parser *p, const struct ptx_insn *pi);
int sg_sreg_named(const char *text, unsigned len, unsigned axis);
/* link.c */
CUresult sg_module_link(struct sg_module *mod, struct sg_log *log);

#endif /* SOFTGPU_PTX_H */
