/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The memory of a channel, as the two sides of it see it.
 *
 * A channel is two control pages and four single-producer rings in one piece
 * of shared memory, in this order, each starting on a page:
 *
 *	ctrl.app	written by the app only
 *	ctrl.peer	written by the peer only
 *	sq		app  -> peer	commands, as records
 *	cq		peer -> app	completions and notices, as records
 *	up		app  -> peer	bulk bytes that records of sq refer to
 *	down		peer -> app	bulk bytes that records of cq refer to
 *
 * A head or tail counts bytes since the channel was made. It never wraps and
 * never moves back; the byte it names lies at (position & (size - 1)) of its
 * ring. The producer stores the tail with release semantics after the bytes
 * before it; the consumer loads it with acquire semantics, and the same goes
 * for the head in the other direction. tail - head never exceeds the size.
 *
 * A side that goes to sleep sets its own sleep word, makes a full memory
 * barrier, looks at the other side's positions once more, and only then
 * waits. A side that moved a position makes a full barrier, reads the other
 * side's sleep word and rings its bell if it is set. No sleeper, no bell.
 *
 * Nobody may trust a word that the other side can write: read it once, check
 * the copy, use the copy.
 */
#ifndef _UAPI_LINUX_VGPU_H
#define _UAPI_LINUX_VGPU_H

#include <linux/types.h>

#define VGPU_PAGE_SIZE		4096

/* Ring sizes are powers of two of bytes between these bounds. */
#define VGPU_RING_MIN		4096
#define VGPU_RING_MAX		(64u << 20)

/*
 * A sleep word is zero, or VGPU_SLEEP with a count of the sleeps above it, so
 * that it differs from one sleep to the next: one bell for a value is enough.
 * VGPU_SLEEP_ROOM is added if the sleeper also wants to hear of moved heads.
 */
#define VGPU_SLEEP		(1ull << 0)
#define VGPU_SLEEP_ROOM		(1ull << 1)
#define VGPU_SLEEP_COUNT	(1ull << 2)

/* Positions lie on lines of their own: two processors write side by side. */
struct vgpu_position {
	__u64	value;
	__u64	reserved[15];		/* zero */
};

struct vgpu_ctrl_app {
	struct vgpu_position	sq_tail;
	struct vgpu_position	up_tail;
	struct vgpu_position	cq_head;
	struct vgpu_position	down_head;
	struct vgpu_position	sleep;	/* nonzero: the app waits for its bell */
};

struct vgpu_ctrl_peer {
	struct vgpu_position	cq_tail;
	struct vgpu_position	down_tail;
	struct vgpu_position	sq_head;
	struct vgpu_position	up_head;
	struct vgpu_position	sleep;	/* nonzero: the peer waits for its bell */
};

/* Sizes of the four rings in bytes, as the app asked for them at set-up. */
struct vgpu_ring_sizes {
	__u32	sq;
	__u32	cq;
	__u32	up;
	__u32	down;
};

#endif /* _UAPI_LINUX_VGPU_H */
