/* SPDX-License-Identifier: MIT */
/*
 * A launch while it runs: job, workers, blocks, warps, splits, frames.
 *
 * A warp is a set of splits, each a group of lanes at one place of one frame.
 * A frame is one call's registers and .param bytes, shared by all splits that
 * are inside of that call. All of a block belongs to the one worker thread
 * that runs it; only the job is shared between workers.
 */
#ifndef SOFTGPU_EXEC_H
#define SOFTGPU_EXEC_H

#include "softgpu/engine.h"
#include "softgpu/insn.h"
#include "softgpu/memory.h"
#include "softgpu/ptx.h"

#define SG_BARRIERS	16
#define SG_MAX_WARPS	(SG_MAX_THREADS / SG_WARP)
#define SG_TLB		16
#define SG_MAX_DEPTH	2048

struct sg_frame {
	struct sg_frame			*parent;
	const struct sg_function	*func;
	const struct sg_call		*call;
	uint8_t				*regs;
	uint8_t				*params;	/* lane-major */
	uint32_t			ret_pc;
	uint32_t			lanes;		/* inside, or deeper */
	uint32_t			depth;
	uint32_t			local;		/* offset in each lane's stack */
	uint32_t			size_class;
};

enum sg_state { SG_READY, SG_WAIT_LANES, SG_WAIT_BARRIER };

struct sg_split {
	struct sg_frame	*frame;
	uint32_t	pc;
	uint32_t	mask;
	uint32_t	member;		/* SG_WAIT_LANES: who is waited for */
	uint8_t		state;
	uint8_t		barrier;
};

struct sg_warp {
	uint8_t			*base[2];	/* registers, constants */
	struct sg_frame		*frame;		/* of the split that runs */
	struct sg_block		*block;
	uint32_t		active;		/* mask of the split that runs */
	uint32_t		member;		/* lanes that take part in a sync */
	uint32_t		index;
	uint32_t		exited;		/* lanes, those that never were included */
	uint32_t		nsplits;
	uint32_t		turn;
	bool			fault;
	struct sg_split		split[SG_LANES];
	uint64_t		xchg[SG_LANES];	/* what waiting lanes brought along */
	struct sg_frame		root;
};

struct sg_barrier {
	uint32_t	arrived[SG_MAX_WARPS];
	uint32_t	expected;	/* threads; 0: all of the block */
	uint32_t	waiting;	/* threads that came and wait */
	uint32_t	extra;		/* threads that came by bar.arrive */
	uint32_t	votes;		/* of bar.red: how many true, */
	uint32_t	voters;		/* of how many */
	bool		busy;
};

struct sg_block {
	struct sg_block		*next;
	struct sg_worker	*worker;
	uint32_t		id[3];
	uint64_t		number;
	unsigned		nwarps;
	unsigned		nthreads;
	unsigned		live;		/* threads that did not exit */
	unsigned		done;		/* warps */
	uint8_t			*shared;
	uint32_t		shared_bytes;
	uint8_t			*regs;
	uint8_t			*params;
	uint8_t			*locals;
	size_t			locals_size;
	struct sg_barrier	barrier[SG_BARRIERS];
	struct sg_warp		warp[];
};

#define SG_FRAME_CLASSES	24

struct sg_worker {
	struct sg_job		*job;
	uint64_t		generation;
	struct sg_span		tlb[SG_TLB];
	struct sg_block		*free_blocks;
	struct sg_frame		*free_frames[SG_FRAME_CLASSES];
	size_t			frame_bytes;	/* all that were made */
	bool			yielded;
};

struct sg_job {
	struct sg_job			*next;
	const struct sg_launch		*launch;
	const struct sg_function	*func;
	struct sg_device		*dev;
	uint64_t			nblocks;
	uint64_t			next_block;	/* atomic */
	unsigned			nthreads, nwarps;
	uint32_t			dyn_offset;
	uint32_t			shared_bytes;
	uint32_t			stack_bytes;	/* local memory a thread */
	uint64_t			grid_id;
	uint64_t			envreg;		/* address for grid.sync(), or 0 */
	bool				failed;		/* atomic */
	bool				printed;	/* atomic */
	unsigned			helpers;	/* threads of the pool in it */
	uint32_t			tid[3][SG_MAX_THREADS];
	uint8_t				params[SG_MAX_PARAM_BYTES];
	struct sg_fault			fault;
};

/* ---- ops*.c ---- */

sg_op_fn * const *sg_op_table(void);

static inline void *sg_reg(const struct sg_warp *w, sg_opd o)
{
	return w->base[o & 1] + (o & ~1u);
}

static inline uint32_t sg_pred(const struct sg_warp *w, sg_opd o)
{
	return *(const uint32_t *)sg_reg(w, o);
}

static inline void sg_set_pred(struct sg_warp *w, sg_opd o, uint32_t mask, uint32_t bits)
{
	uint32_t *p = sg_reg(w, o);

	*p = (*p & ~mask) | (bits & mask);
}

/* ---- warp.c ---- */

enum sg_run { SG_RUN_SLICE, SG_RUN_BLOCKED, SG_RUN_DONE, SG_RUN_FAULT };

/* Runs until nothing can, or about @budget instructions are spent. */
enum sg_run sg_warp_run(struct sg_warp *w, long budget);
void sg_warp_start(struct sg_warp *w);
/* Lanes whose companions are all there go on; with @force all that wait. */
bool sg_warp_wake(struct sg_warp *w, bool force);
/* Frees what frames are left after a fault or a stop. */
void sg_warp_drop(struct sg_warp *w);
bool sg_warp_fault(struct sg_warp *w, const struct sg_insn *in, unsigned lane, CUresult error,
		   const char *what, uint64_t addr);

/* frame.c */
struct sg_frame *sg_frame_new(struct sg_warp *w, const struct sg_function *f);
void sg_frame_free(struct sg_warp *w, struct sg_frame *f);
void sg_frames_drain(struct sg_worker *wk);
/* builtin.c: false: a fault was set */
bool sg_builtin_call(struct sg_warp *w, const struct sg_insn *in, uint32_t mask);
/* printf.c */
/* false: a fault was set; *result: what vprintf() returns. */
bool sg_printf(struct sg_warp *w, const struct sg_insn *in, unsigned lane, uint64_t fmt,
	       uint64_t args, int32_t *result);
/* A string of the kernel, cut at @room - 1 bytes; false: a fault was set. */
bool sg_read_string(struct sg_warp *w, const struct sg_insn *in, unsigned lane, uint64_t addr,
		    char *to, size_t room);
/* access.c: memory seen through generic addresses, any space */
void *sg_access(struct sg_warp *w, const struct sg_insn *in, unsigned lane, uint64_t addr,
		uint64_t size);
/* How many bytes are accessible from a generic address on; 0: none. */
uint64_t sg_access_room(struct sg_warp *w, const struct sg_insn *in, unsigned lane,
			uint64_t addr, const void **p);
bool sg_span_load(struct sg_worker *wk, const struct sg_insn *in, uint64_t addr, uint64_t size);

/* barrier.c */
/* The lanes of @mask arrive; true: they wait. */
bool sg_barrier_arrive(struct sg_warp *w, const struct sg_insn *in, uint32_t mask,
		       struct sg_split *s);
/* Lanes left the block: waiting may be over. */
void sg_barrier_check(struct sg_block *b);

/* block.c */
struct sg_block *sg_block_new(struct sg_worker *wk);
void sg_block_start(struct sg_block *b, uint64_t number);
enum sg_run sg_block_run(struct sg_block *b, long budget);
void sg_block_free(struct sg_worker *wk, struct sg_block *b);

#endif /* SOFTGPU_EXEC_H */
