/* SPDX-License-Identifier: MIT */
/*
 * A channel's insides, shared by the files of this folder only. What differs
 * between the socket and the module's device is behind struct channel_ops.
 */
#ifndef VGPU_CHANNEL_INTERNAL_H
#define VGPU_CHANNEL_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "channel/channel.h"
#include "channel/ring.h"

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define CACHE_LINE	64

#define NEVER		INT64_MAX	/* a deadline, in ns of CLOCK_MONOTONIC */

struct channel_ops {
	/* Wake the other side. Never blocks on an honest other side. */
	void (*bell)(struct vgpu_channel *ch);
	/* Wake the thread of this side that is in sleep(), or the next one. */
	void (*poke)(struct vgpu_channel *ch);
	/*
	 * Wait for a bell or poke and take all that there are: 0. -ETIMEDOUT,
	 * or -EPIPE if the other side is gone. One thread at a time.
	 */
	int (*sleep)(struct vgpu_channel *ch, int64_t deadline);
	/*
	 * Where nothing comes by itself: take what has come, without waiting; did
	 * something? Called by threads that spin. NULL: memory is looked at, no more.
	 */
	bool (*look)(struct vgpu_channel *ch);
	/* Of a relay: a descriptor to poll for the other side; take its bells or -EPIPE. */
	int (*bell_fd)(const struct vgpu_channel *ch);
	int (*take_bells)(struct vgpu_channel *ch);

	int (*hostmem_create)(struct vgpu_channel *ch, size_t size, void **addr,
			      uint64_t *handle);
	/* Forget @handle; the caller unmapped its memory. NULL: nothing to do. */
	void (*hostmem_forget)(struct vgpu_channel *ch, uint64_t handle);
	int (*hostmem_map)(struct vgpu_channel *ch, uint64_t handle, size_t size,
			   void *hint, void **addr);
	/* vgpu_relay_hostmem(). NULL: nothing is announced. */
	int (*hostmem_take)(struct vgpu_channel *ch, uint64_t *handle, uint64_t *size,
			    void **addr);
	/* Of the app's memory, which app_copy may reach. NULL: it may reach all. */
	int (*appmem_register)(struct vgpu_channel *ch, uint64_t addr, size_t size);
	int (*appmem_unregister)(struct vgpu_channel *ch, uint64_t addr, size_t size);
	/* Copy between @local and the app's @app_addr. */
	int (*app_copy)(struct vgpu_channel *ch, void *local, uint64_t app_addr,
			size_t n, bool write);

	/* Release what the backend holds and the channel with it. */
	void (*close)(struct vgpu_channel *ch);
	/* The same in a fork child: the other side must not notice. */
	void (*forget)(struct vgpu_channel *ch);
};

/*
 * This side's end of a ring it writes. Everything but what the pointers lead
 * to is private, so nothing the other side does can change it.
 */
struct ring_out {
	struct vgpu_position		*tail_word;	/* ours */
	const struct vgpu_position	*head_word;	/* theirs */
	uint8_t				*base;
	uint64_t			size;
	uint64_t			tail;		/* all reserved or sent */
	uint64_t			head;		/* as last seen, checked */
	bool				starved;	/* the last look found no room */
} __attribute__((aligned(CACHE_LINE)));

struct ring_in {
	const struct vgpu_position	*tail_word;	/* theirs */
	struct vgpu_position		*head_word;	/* ours */
	const uint8_t			*base;
	uint64_t			size;
	uint64_t			head;		/* all before is released */
	uint64_t			tail;		/* as last seen, checked */
	uint64_t			announced;	/* head when a bell was last considered */
	uint64_t			seq;		/* of the last record received */
} __attribute__((aligned(CACHE_LINE)));

/* Does spinning pay? Hints, read and written by any thread. */
struct spin_worth {
	uint32_t	budget_ns;	/* how long to spin after the first burst */
	uint32_t	probe_in;	/* waits until a full spin is tried */
	uint32_t	probe_every;
};

/*
 * Room comes as fast as the other side reads, records when it likes: what the
 * one wait teaches says nothing of the other.
 */
struct spin {
	struct spin_worth for_records;
	struct spin_worth for_room;
	int		spinners;	/* threads of this side that spin now */
	int		processors;	/* that both sides may run on */
};

/* The threads of this side that sleep. All but @waiters is under @lock. */
struct waiters {
	pthread_mutex_t	lock;
	pthread_cond_t	cond;		/* generation or on_bell changed */
	uint64_t	generation;	/* grows when conditions must be looked at */
	uint64_t	armed;		/* value of our sleep word; 0: take a new one */
	uint64_t	values;		/* how many values were taken */
	uint32_t	sleeps;
	int		waiters;	/* threads on the way to sleep or asleep */
	bool		on_bell;	/* one of them is in ops->sleep() */
};

/*
 * The mapped memory of a channel: the halves that the app and the peer write,
 * by enum vgpu_side. Both ends of a pair share one.
 */
struct channel_memory {
	uint8_t	*half[2];
	size_t	size[2];
	int	users;
};

struct vgpu_channel {
	/* The way of every call: producer, consumer, bell. */
	struct ring_out			records_out;
	uint64_t			seq_out;	/* of the last record sent */
	uint64_t			reserved;	/* length of the open record, 0: none */
	const struct vgpu_position	*their_sleep;
	uint64_t			rung;		/* sleep word we last rang for */

	struct ring_in			records_in;
	struct ring_out			bytes_out;
	struct ring_in			bytes_in;

	const struct channel_ops	*ops;
	enum vgpu_side			side;
	bool				lost;
	const char			*fault;
	int				pid;		/* of the other side */
	struct vgpu_position		*our_sleep;
	struct spin			spin;
	struct waiters			wait;
	struct channel_memory		*memory;
	struct vgpu_ring_sizes		sizes;
};

/* ---- bells (wait.c) ---- */

void vgpu_spin_init(struct spin *s, int their_pid);

/* Take the other side's sleep word @word as rung and ring, if nobody did. */
void vgpu_channel_ring(struct vgpu_channel *ch, uint64_t word);

/* After a tail moved: whoever sleeps on the other side wants to know. */
static inline void channel_announce_tail(struct vgpu_channel *ch)
{
	uint64_t word;

	ring_barrier();
	word = ring_load_sleep(ch->their_sleep);
	if (unlikely(word) && word != ring_get(ch->rung))
		vgpu_channel_ring(ch, word);
}

/* After a head moved: only a side that waits for room wants to know. */
static inline void channel_announce_head(struct vgpu_channel *ch)
{
	uint64_t word;

	ring_barrier();
	word = ring_load_sleep(ch->their_sleep);
	if (unlikely(word & VGPU_SLEEP_ROOM) && word != ring_get(ch->rung))
		vgpu_channel_ring(ch, word);
}

/* ---- channel.c ---- */

/*
 * A backend's channel, zeroed, whose struct of @size bytes begins with the
 * vgpu_channel; NULL: no memory. It ends by vgpu_channel_fini(), if it was
 * initialised, and free().
 */
void *vgpu_channel_alloc(size_t size, const struct channel_ops *ops, enum vgpu_side side);
/*
 * Fill @ch (zeroed, with its backend's ops, side and pid) and take a reference of
 * @memory, whose size fits @sizes.
 */
void vgpu_channel_init(struct vgpu_channel *ch, struct channel_memory *memory,
		       const struct vgpu_ring_sizes *sizes);
/* Undo it. @unmap: false in a fork child, which has no such mapping. */
void vgpu_channel_fini(struct vgpu_channel *ch, bool unmap);

/* The other side broke the format: remember @what, lose the channel; -EPROTO. */
int vgpu_channel_fail(struct vgpu_channel *ch, const char *what);
/* The other side is gone, or this one gave up. */
void vgpu_channel_lose(struct vgpu_channel *ch);

/* Position of the producer's ring, checked: false and a fault if it is a lie. */
bool vgpu_ring_refresh_head(struct vgpu_channel *ch, struct ring_out *out);
bool vgpu_ring_refresh_tail(struct vgpu_channel *ch, struct ring_in *in,
			    uint64_t align);

/* ---- memory.c ---- */

/* Size of the half that @side writes, or 0 if the ring sizes are not allowed. */
size_t vgpu_memory_half(const struct vgpu_ring_sizes *sizes, enum vgpu_side side);
/* A sealed memfd of @size bytes. */
int vgpu_memory_make(const char *name, size_t size);
/* Is @fd a memfd of exactly @size bytes that nobody can resize any more? */
int vgpu_memory_check(int fd, size_t size);
/*
 * Map a channel's halves, which @fd has at @offset[side]. Only those whose
 * bit (1 << side) is in @writable can be written.
 */
int vgpu_memory_map(struct channel_memory **out, int fd, const uint64_t offset[2],
		    const struct vgpu_ring_sizes *sizes, unsigned int writable);
void vgpu_memory_put(struct channel_memory *memory, bool unmap);
/* Map host memory, at @hint if it is not NULL and free, else elsewhere. */
int vgpu_memory_map_hostmem(int fd, uint64_t offset, size_t size, void *hint, void **addr);

/* ---- hello.c ---- */

/*
 * What comes behind the header of a hello or an answer: how many bytes of the
 * caller's follow. Zeros fill the record up to a multiple of 8.
 */
struct greeting {
	struct vgpu_record	head;
	uint32_t		length;
	uint32_t		reserved;	/* zero */
};

/*
 * Make a hello or answer the first record of this side: 0, -EMSGSIZE, or -EPIPE
 * when the channel is lost.
 */
int vgpu_greeting_send(struct vgpu_channel *ch, uint16_t opcode, const void *bytes,
		       size_t len);

/*
 * Wait for that of the other side until @deadline and copy it to @bytes (*@len in:
 * room, out: length). -ETIMEDOUT, -EPIPE; -EPROTO for anything but that record;
 * -EMSGSIZE: it has more bytes than there is room.
 */
int vgpu_greeting_await(struct vgpu_channel *ch, uint16_t opcode, void *bytes,
			size_t *len, int64_t deadline);

/* App: both in turn. */
int vgpu_greeting_exchange(struct vgpu_channel *ch, const void *hello, size_t hello_len,
			   void *answer, size_t *answer_len, int64_t deadline);

/* ---- the peer's end without the hello: device.c, socket.c ---- */

/* @fd is owned from here on, also when this fails. */
int vgpu_device_take(struct vgpu_channel **out, int fd);
int vgpu_socket_take(struct vgpu_channel **out, int fd, int64_t deadline);

static inline int64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static inline int64_t clock_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? NEVER : clock_now() + timeout_ms * 1000000ll;
}

/* ---- nodes.c ---- */

/* vgpu_nodes_open() in a folder other than /dev, for tests. */
int vgpu_nodes_open_in(const char *folder, const char *list, int *fds, unsigned int max);

#endif /* VGPU_CHANNEL_INTERNAL_H */
