/* SPDX-License-Identifier: MIT */
/*
 * The fuzzer of vgpu.ko: processes that call whatever can be called, mostly with
 * arguments that make sense, on what earlier calls gave them.
 *
 *	fuzz_sequences.c	main: processes, the end, what must be left
 *	fuzz_world.c		chance, and what a process has
 *	fuzz_calls.c		calls on descriptors
 *	fuzz_memory.c		calls on mappings
 *	fuzz_processes.c	fork, descriptors that are passed on, death
 *	fuzz_devices.c		netlink, sysfs
 *	fuzz_cover.c		which code of the module was reached
 *	fuzz_run.py		runs it and says which was not
 */
#ifndef VGPU_SELFTESTS_KMOD_FUZZ_H
#define VGPU_SELFTESTS_KMOD_FUZZ_H

#include <stdatomic.h>
#include "testbed.h"

#define WORKERS		4
#define THINGS		24	/* descriptors of a process */
#define AREAS		24	/* its mappings */
#define HANDLES		16
#define NODES		6	/* device numbers that are plausible */
#define CHILDREN	3
#define OPS_MAX		64
#define ERRNO_MAX	134
#define TEXT_MAX	(1u << 20)	/* of the module, in bytes */
#define SHARED_FD	200	/* of struct shared, also after exec */

/* Ordinary memory, at the same address in each process: apps register it. */
#define ARENA		((char *)0x200000000000)
#define ARENA_SIZE	(64 * PAGE)

enum kind {
	NOTHING	= 0,
	DEVICE	= 1 << 0,	/* of /dev/vgpuN, not set up as far as known */
	APP	= 1 << 1,
	PEER	= 1 << 2,
	CTL	= 1 << 3,
	OTHER	= 1 << 4,
	ANY	= 31,
};

struct thing {
	int			fd;
	enum kind		kind;
	struct vgpu_ring_sizes	sizes;	/* of a channel's, if known */
};

struct area {
	char		*at;		/* NULL: none */
	size_t		size;
	enum kind	kind;		/* of what it maps */
	uint64_t	offset;
};

struct buffer {
	uint64_t	handle;		/* 0: none */
	size_t		size;
	int		fd;		/* of the app's descriptor */
};

/* Of all processes. */
struct shared {
	atomic_ulong	steps, wanted;
	atomic_bool	failed;
	atomic_bool	stop;
	atomic_ulong	ended[OPS_MAX][ERRNO_MAX];	/* operations, with 0 or an errno */
	int		box[WORKERS][2];	/* sockets: descriptors for a worker */
	uintptr_t	text;			/* where the module is; 0: nobody knows */
	atomic_uchar	reached[TEXT_MAX];	/* of it */
};

struct fuzz {
	struct shared	*shared;
	uint64_t	random;
	int		worker;
	int		depth;		/* of forks */
	bool		racing;		/* a second thread: it makes and closes nothing */
	struct thing	*things;	/* THINGS of them */
	struct area	areas[AREAS];
	struct buffer	buffers[HANDLES];
	pid_t		children[CHILDREN];
	int		genl;
	uint16_t	family;
	uint64_t	seen;		/* bells */
	unsigned int	op;		/* that is under way */
};

/* ---- fuzz_world.c ---- */

uint64_t rnd(struct fuzz *f);
/* Below @n. */
uint64_t below(struct fuzz *f, uint64_t n);
bool percent(struct fuzz *f, unsigned int p);
/* A number that has made trouble before, somewhere. */
uint64_t odd(struct fuzz *f);
/* Mostly @value. */
uint64_t mostly(struct fuzz *f, uint64_t value);

/* One that is of a kind of @kinds, or NULL. */
struct thing *pick(struct fuzz *f, unsigned int kinds);
/* Its descriptor, or now and then another one or none. */
int pick_fd(struct fuzz *f, unsigned int kinds);
/* Remember @fd; another is closed if there is no room. */
struct thing *keep(struct fuzz *f, int fd, enum kind kind);
void forget(struct fuzz *f, struct thing *thing);

/* Somewhere in the arena, mostly; @size bytes. */
char *somewhere(struct fuzz *f, size_t size);

/*
 * An ioctl with a structure of @size bytes at @arg, which the call may find in all
 * sorts of places. 0 or more, or -errno, which has to be one of those that follow,
 * ended by 0, or of those that any call may end with.
 */
long do_ioctl(struct fuzz *f, int fd, unsigned long cmd, void *arg, size_t size, ...);
/* The same with a value. */
long do_value(struct fuzz *f, int fd, unsigned long cmd, uint64_t value, ...);
/* Another call that ended with @result. */
long judge(struct fuzz *f, const char *what, long result, ...);
/* It is not as it should be. Does not return. */
void wrong(struct fuzz *f, const char *what, long value);

/* Copy, of memory that may not be there: false if it is not. */
bool careful_copy(void *to, const void *from, size_t n);
void catch_faults(void);

/* ---- operations ---- */

struct op {
	const char	*name;
	unsigned int	weight;
	void		(*run)(struct fuzz *f);
	bool		race;		/* the second thread does it as well */
};

#define OP(n, w, f)		{ .name = (n), .weight = (w), .run = (f) }
#define RACING_OP(n, w, f)	{ .name = (n), .weight = (w), .run = (f), .race = true }

/* Of the files, each ended by an empty one. */
extern const struct op fuzz_calls[], fuzz_memory[], fuzz_processes[], fuzz_devices[];

const struct op *fuzz_op(unsigned int number);
/* @left operations, whichever, or as many as are wanted of all: false. */
bool fuzz_steps(struct fuzz *f, unsigned long left);
/* A process that begins: its memory, what it catches. */
void fuzz_begin(struct fuzz *f);
/* Become the program anew and do @left operations with the descriptors that are left. */
void fuzz_exec(struct fuzz *f, unsigned long left) __attribute__((noreturn));

/* ---- fuzz_cover.c ---- */

/* Before the first process: false if this kernel cannot tell. */
bool cover_init(struct shared *shared);
/* For this thread, from here on. */
void cover_begin(struct shared *shared);
/* Add what it reached since. */
void cover_take(struct shared *shared);
/* All of it: lines "base SECTION ADDRESS" and "pc ADDRESS". */
bool cover_write(const struct shared *shared, const char *path);

#endif /* VGPU_SELFTESTS_KMOD_FUZZ_H */
