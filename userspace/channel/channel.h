/* SPDX-License-Identifier: MIT */
/*
 * A channel as user space sees it: two lanes of records (sq, cq), two lanes of
 * bulk bytes (up, down), a way to sleep, and host memory that both sides see.
 * Layout and memory order are those of uapi/linux/vgpu.h. Nothing above this
 * folder knows whether the memory is the module's or a memfd's.
 *
 * Threads: each lane has one producer and one consumer at a time; the caller
 * serialises (libcuda and the worker have a mutex per lane they produce).
 * vgpu_channel_wait() and vgpu_channel_kick() may be called by any thread.
 *
 * Functions return 0 or a positive count, or -errno:
 *	-EPIPE		the other side is gone; the channel will never work again
 *	-EPROTO		the other side broke the format (vgpu_channel_fault() says how)
 *	-EMSGSIZE	a record or chunk is larger than its ring allows
 */
#ifndef VGPU_CHANNEL_H
#define VGPU_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/vgpu.h>

/*
 * Every record of sq and cq begins so. length counts the header and is a
 * multiple of 8; a record is at most a quarter of its ring, and lies in one
 * piece: opcode VGPU_OP_PAD fills the end of a ring where it would wrap.
 * seq counts the records of the lane, pads not included, from 1 on.
 */
struct vgpu_record {
	uint32_t	length;
	uint16_t	opcode;
	uint16_t	flags;
	uint64_t	seq;
};

#define VGPU_OP_PAD		0xffffu
#define VGPU_OP_HELLO		0xfffeu
#define VGPU_OP_ANSWER		0xfffdu

/* Bulk bytes are given out in pieces of this alignment and at most this size. */
#define VGPU_CHUNK_ALIGN	64u
#define VGPU_CHUNK_MAX		(256u << 10)

#define VGPU_DEFAULT_SIZES \
	{ .sq = 128u << 10, .cq = 64u << 10, .up = 1u << 20, .down = 1u << 20 }

enum vgpu_side { VGPU_SIDE_APP, VGPU_SIDE_PEER };

struct vgpu_channel;

/*
 * ---- set-up ----
 *
 * Whatever the backend, the first record of sq is the app's hello
 * (VGPU_OP_HELLO), the first record of cq the peer's answer to it
 * (VGPU_OP_ANSWER). The functions below send and receive them. One that is too
 * long for the ring or for the receiver's room is -EMSGSIZE, another record in
 * its place -EPROTO, none in time -ETIMEDOUT, none before the end -EPIPE.
 */

/*
 * App: connect to the server's unix socket (SOCK_SEQPACKET) at @path, make the
 * shared memory (a sealed memfd) and the two bells (eventfds), and send them.
 * @hello is sent; waits at most @timeout_ms in all for the answer and copies it
 * to @answer (*@answer_len in: room, out: length). (socket.c)
 * -ECONNREFUSED, -ENOENT, -EACCES as connect(2); -ETIMEDOUT.
 */
int vgpu_channel_connect(struct vgpu_channel **out, const char *path,
			 const struct vgpu_ring_sizes *sizes,
			 const void *hello, size_t hello_len,
			 void *answer, size_t *answer_len, int timeout_ms);

/*
 * Peer: take the message of vgpu_channel_connect() from the connected socket
 * @fd (owned by the channel from here on, also when this fails). Checks seals
 * and size of the memory, ring sizes, number and type of descriptors. The
 * hello is copied to @hello (*@hello_len in: room, out: length). The channel
 * is lost when the app's process ends, also if a fork child of it keeps @fd.
 */
int vgpu_channel_accept(struct vgpu_channel **out, int fd,
			void *hello, size_t *hello_len, int timeout_ms);

/*
 * App: the same over the kernel module. @fds are descriptors of @n >= 1 open
 * /dev/vgpuN, the devices of the channel in order, owned by this call also when
 * it fails. Errors as of VGPU_IOC_SETUP; -EHOSTDOWN: no daemon. (device.c)
 */
int vgpu_channel_open(struct vgpu_channel **out, const int *fds, unsigned int n,
		      const struct vgpu_ring_sizes *sizes,
		      const void *hello, size_t hello_len,
		      void *answer, size_t *answer_len, int timeout_ms);

/*
 * Peer: the other end of that, from a descriptor that VGPU_CTL_ACCEPT returned
 * (owned by the channel from here on, also when this fails). As
 * vgpu_channel_accept(). (device.c)
 */
int vgpu_channel_adopt(struct vgpu_channel **out, int fd,
		       void *hello, size_t *hello_len, int timeout_ms);

/*
 * The virtual GPUs that this process may use, opened: descriptors in @fds, at
 * most @max and VGPU_CHANNEL_DEVICES; their number, at least 1. @list (of
 * VGPU_DEVICES) holds numbers or paths, separated by commas, in the order of
 * the devices; "none" or "" is an empty one. NULL: every /dev/vgpuN by its
 * number, those that may not be opened passed over. (nodes.c)
 *	-ENOENT		there are none at all, or the list is empty
 *	-EACCES		there are, but none for this process
 *	-EINVAL		@list is malformed
 *	-E2BIG		@list names more devices than there may be
 *	-EEXIST		@list names a device twice
 *	-ENODEV		@list names what is no character device
 * else as open(2) of one that @list names.
 */
int vgpu_nodes_open(const char *list, int *fds, unsigned int max);

/* Peer: send the answer to the hello. */
int vgpu_channel_answer(struct vgpu_channel *ch, const void *answer, size_t len);

/*
 * A pair of ends inside one process, for tests and fuzzers.
 */
int vgpu_channel_pair(struct vgpu_channel **app, struct vgpu_channel **peer,
		      const struct vgpu_ring_sizes *sizes);

/* Give up this end: the other side hears of it at once. NULL is nothing. */
void vgpu_channel_close(struct vgpu_channel *ch);

/* In a fork child: give up this copy without telling the other side. */
void vgpu_channel_forget(struct vgpu_channel *ch);

/* Process id of the other side as this side's pid namespace sees it; 0: unknown. */
int vgpu_channel_peer_pid(const struct vgpu_channel *ch);

/* What the other side did wrong, for a log line; NULL if nothing. */
const char *vgpu_channel_fault(const struct vgpu_channel *ch);

/* True once the other side is known to be gone or broke the format. */
bool vgpu_channel_lost(const struct vgpu_channel *ch);

/* Mark as lost from this side: every waiter of this process returns -EPIPE. */
void vgpu_channel_shutdown(struct vgpu_channel *ch);

/* ---- records: the app sends on sq and receives from cq, the peer the reverse ---- */

/*
 * Room for a record of @length bytes, header included (rounded up to 8 here).
 * NULL, errno EAGAIN: the ring is full (wait for vgpu_record_room()); EMSGSIZE:
 * it will never fit. The memory is shared: build the record
 * by plain stores, read nothing back. The header's length and seq are filled
 * by vgpu_record_commit(). One reservation at a time.
 */
void *vgpu_record_reserve(struct vgpu_channel *ch, size_t length);
bool  vgpu_record_room(struct vgpu_channel *ch, size_t length);
/* The largest @length, header included; the least is the header alone. */
size_t vgpu_record_max(const struct vgpu_channel *ch);

/* Publish what was reserved, ring the bell if the other side sleeps; its seq. */
uint64_t vgpu_record_commit(struct vgpu_channel *ch, uint16_t opcode, uint16_t flags);

/* The seq that the next vgpu_record_commit() will give. */
uint64_t vgpu_record_next_seq(const struct vgpu_channel *ch);

/*
 * Copy the next record to @buf (@room bytes; vgpu_record_max() of the other
 * side always fits) and free its place. Length, or 0 when there is none.
 * The header of the copy has been checked: length, seq, not a pad.
 */
int vgpu_record_receive(struct vgpu_channel *ch, void *buf, size_t room);

/* Something to receive? One load, no barrier: for the way of every call. */
bool vgpu_record_pending(const struct vgpu_channel *ch);

/* ---- bulk bytes: the app sends on up and receives from down, the peer the reverse ---- */

/* The largest piece that is sure to find room: VGPU_CHUNK_MAX or half the ring. */
size_t vgpu_bytes_max(const struct vgpu_channel *ch);

/*
 * Room for @length (1..vgpu_bytes_max()) contiguous bytes; *@pos is the position
 * to tell the other side in a record. NULL: full (wait for vgpu_bytes_room()).
 */
void *vgpu_bytes_reserve(struct vgpu_channel *ch, size_t length, uint64_t *pos);
bool  vgpu_bytes_room(struct vgpu_channel *ch, size_t length);

/*
 * The piece of @length bytes at @pos is filled, and so are all before it: make them
 * visible. Before the commit of the record that names it. Afterwards they stay as
 * they are until the other side releases them.
 */
void vgpu_bytes_publish(struct vgpu_channel *ch, uint64_t pos, size_t length);

/*
 * The @length bytes at @pos that the other side named, checked against what it
 * published and this side did not release; NULL: a lie. The bytes can change
 * under the reader: copy before deciding anything on them.
 */
const void *vgpu_bytes_at(struct vgpu_channel *ch, uint64_t pos, size_t length);

/* The whole incoming bulk ring, to register it with a driver or device. */
void *vgpu_bytes_ring(struct vgpu_channel *ch, bool incoming, size_t *size);

/* All before @pos + @length is used up: the other side may write it again. */
void vgpu_bytes_release(struct vgpu_channel *ch, uint64_t pos, size_t length);

/* ---- waiting ---- */

/*
 * Return when @ready(@arg) is true: 0; the channel is lost: -EPIPE; @timeout_ms
 * (-1: none) is over: -ETIMEDOUT. Spins first (how long adapts to how often
 * spinning paid and to the number of processors), then sleeps until the other
 * side rings or a thread of this side calls vgpu_channel_kick(). @ready is
 * called without locks, often, by the calling thread alone; it may receive.
 * A call that finds @ready true at once costs one call of it.
 */
int vgpu_channel_wait(struct vgpu_channel *ch, bool (*ready)(void *arg),
		      void *arg, int timeout_ms);

/* Let every waiter of this process look at its condition again. */
void vgpu_channel_kick(struct vgpu_channel *ch);

/* ---- host memory both sides see: page-locked memory of the app ---- */

/*
 * App: make @size bytes (page multiple) and map them; *@handle names them to
 * the peer. The memory is shared with the peer from here on.
 */
int vgpu_hostmem_create(struct vgpu_channel *ch, size_t size, void **addr,
			uint64_t *handle);
/* App: unmap and forget @handle. The peer is told by a record of the caller's. */
void vgpu_hostmem_destroy(struct vgpu_channel *ch, void *addr, size_t size,
			  uint64_t handle);

/*
 * Peer: map what the app created as @handle, at @hint if that range is free
 * (so that host pointers mean the same on both sides), else elsewhere.
 * -ENOENT: no such handle; -EINVAL: size or seals are not as promised.
 */
int vgpu_hostmem_map(struct vgpu_channel *ch, uint64_t handle, size_t size,
		     void *hint, void **addr);
void vgpu_hostmem_unmap(struct vgpu_channel *ch, void *addr, size_t size);

/*
 * App: let the peer copy from and to [@addr, @addr + @size) of this process
 * (the module insists on it, the socket backend's process_vm_readv(2) does
 * not); no longer. -EINVAL, -EEXIST, -ENOENT, -ENOSPC as VGPU_IOC_REGISTER.
 */
int vgpu_appmem_register(struct vgpu_channel *ch, void *addr, size_t size);
int vgpu_appmem_unregister(struct vgpu_channel *ch, void *addr, size_t size);

/*
 * Peer: copy between own memory and the app's at @app_addr, for memory that
 * the app registered. 0, or -EPERM, -EFAULT, -ESRCH as process_vm_readv(2), or
 * -EPIPE.
 */
int vgpu_app_read(struct vgpu_channel *ch, void *to, uint64_t app_addr, size_t n);
int vgpu_app_write(struct vgpu_channel *ch, uint64_t app_addr, const void *from,
		   size_t n);

#endif /* VGPU_CHANNEL_H */
