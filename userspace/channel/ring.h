/* SPDX-License-Identifier: MIT */
/*
 * The memory order of a channel: every acquire, release and full barrier on
 * shared memory is in this file, and each names its partner on the other
 * side. What a ring holds is known to record.c and bytes.c, not here.
 */
#ifndef VGPU_CHANNEL_RING_H
#define VGPU_CHANNEL_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/vgpu.h>

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define RING_THREAD_SANITIZER
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define RING_THREAD_SANITIZER
#endif

/*
 * Producer: the bytes before @tail are written. Pairs with ring_load_tail():
 * whoever sees the tail sees the bytes.
 */
static inline void ring_store_tail(struct vgpu_position *p, uint64_t tail)
{
	__atomic_store_n(&p->value, tail, __ATOMIC_RELEASE);
}

/* Consumer: pairs with ring_store_tail(). */
static inline uint64_t ring_load_tail(const struct vgpu_position *p)
{
	return __atomic_load_n(&p->value, __ATOMIC_ACQUIRE);
}

/*
 * Consumer: the bytes before @head were read and are given back. Pairs with
 * ring_load_head(): the reads are over before the bytes are written again.
 */
static inline void ring_store_head(struct vgpu_position *p, uint64_t head)
{
	__atomic_store_n(&p->value, head, __ATOMIC_RELEASE);
}

/* Producer: pairs with ring_store_head(). */
static inline uint64_t ring_load_head(const struct vgpu_position *p)
{
	return __atomic_load_n(&p->value, __ATOMIC_ACQUIRE);
}

/*
 * A look at a position that decides nothing but whether to look properly; what
 * the caller loads after it (is somebody else at it?) is not loaded before.
 */
static inline uint64_t ring_peek(const struct vgpu_position *p)
{
	return __atomic_load_n(&p->value, __ATOMIC_ACQUIRE);
}

/* The sleep word carries no data; ring_barrier() orders it. */
static inline void ring_store_sleep(struct vgpu_position *p, uint64_t word)
{
	__atomic_store_n(&p->value, word, __ATOMIC_RELAXED);
}

static inline uint64_t ring_load_sleep(const struct vgpu_position *p)
{
	return __atomic_load_n(&p->value, __ATOMIC_RELAXED);
}

/*
 * The full barrier of sleeping, used in pairs:
 *
 *	mover				sleeper
 *	store tail or head		store sleep word
 *	ring_barrier()			ring_barrier()
 *	load sleep word: ring?		load tail or head: sleep?
 *
 * At least one of the two loads sees the other side's store. The same holds
 * inside a process between vgpu_channel_kick() (the condition, the number of
 * waiters) and a waiter (the number of waiters, the condition).
 */
static inline void ring_barrier(void)
{
#ifdef RING_THREAD_SANITIZER
	/* The sanitizer knows no fences; a locked add on x86 and arm is one. */
	static uint64_t dummy;

	__atomic_fetch_add(&dummy, 0, __ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/*
 * A word of a record's header, read once: the compiler must not fetch it
 * again after it was checked. Ordered by the tail that was loaded before.
 */
static inline uint64_t ring_read_word(const void *at)
{
	return __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
}

/*
 * Words of one process that threads look at without a lock: counters and
 * flags that are hints, or that ring_barrier() orders.
 */
#define ring_get(word)		__atomic_load_n(&(word), __ATOMIC_RELAXED)
#define ring_set(word, v)	__atomic_store_n(&(word), v, __ATOMIC_RELAXED)

static inline void ring_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("isb" ::: "memory");
#else
	__asm__ __volatile__("" ::: "memory");
#endif
}

#endif /* VGPU_CHANNEL_RING_H */
