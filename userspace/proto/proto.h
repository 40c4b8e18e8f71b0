/* SPDX-License-Identifier: MIT */
/*
 * What libcuda and a worker say to each other: the hello, the heads of records
 * in both directions, the notices, the form of a handle. The calls themselves
 * are in cuda.vapi, from which gen/calls.h is made. All words are little-endian
 * and every struct has the same layout on both sides; a length or position
 * here is a claim of the other side until it was checked.
 */
#ifndef VGPU_PROTO_H
#define VGPU_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "channel/channel.h"

/* ---- hello ---- */

#define VGPU_HELLO_MAGIC	0x75706776u	/* "vgpu" */
#define VGPU_HELLO_VERSION	1
#define VGPU_OPCODES		4096		/* opcodes of calls are below this */
#define VGPU_RANGES_MAX		512

/* A range of the client's address space that the worker keeps free of device memory. */
struct vgpu_range {
	uint64_t	start;
	uint64_t	end;
};

struct vgpu_hello {
	uint32_t	magic;
	uint16_t	version;
	uint16_t	nranges;		/* entries of ranges that follow */
	uint64_t	features;		/* none yet: zero */
	uint8_t		opcodes[VGPU_OPCODES / 8];	/* bit n: the client may send n */
	struct vgpu_range ranges[VGPU_RANGES_MAX];	/* sent up to nranges */
};

/*
 * Of an answer: the worker is on another host, and nothing of the client's memory
 * can be mapped for the GPU; what it copies from page-locked memory it has to ask for.
 */
#define VGPU_FEATURE_REMOTE	(1ull << 0)
#define VGPU_ANSWER_FEATURES	VGPU_FEATURE_REMOTE

struct vgpu_answer {
	uint32_t	magic;
	uint16_t	version;
	uint16_t	ndevices;		/* virtual devices of this session */
	uint64_t	features;		/* VGPU_ANSWER_FEATURES */
	uint32_t	status;			/* CUresult: 0, or why there is no session */
	int32_t		driver_version;		/* of the libcuda underneath */
	int32_t		worker_pid;		/* as the worker sees it; for messages only */
	uint32_t	reserved;
	uint8_t		opcodes[VGPU_OPCODES / 8];	/* bit n: the worker serves n */
	char		text[256];		/* of a refusal: a line for the user */
};

/*
 * The checks of a hello or answer of @length bytes. NULL if good, else what is
 * wrong with it. (hello.c)
 */
const char *vgpu_hello_check(const struct vgpu_hello *h, size_t length);
const char *vgpu_answer_check(const struct vgpu_answer *a, size_t length);
static inline size_t vgpu_hello_length(unsigned nranges)
{
	return offsetof(struct vgpu_hello, ranges) + nranges * sizeof(struct vgpu_range);
}

/* ---- handles ---- */

/*
 * The client makes a handle's number before it tells the server, from an index
 * into its table and the generation of that slot, so a stale handle is known
 * on both sides. As a pointer it is not canonical: nobody can follow it.
 */
enum vgpu_kind {
	VGPU_KIND_CONTEXT = 0x51,
	VGPU_KIND_STREAM,
	VGPU_KIND_EVENT,
	VGPU_KIND_MODULE,
	VGPU_KIND_LIBRARY,
	VGPU_KIND_KERNEL,	/* CUkernel; taken where a function is, too */
	VGPU_KIND_FUNCTION,
	VGPU_KIND_HOSTMEM,	/* page-locked memory; not seen by the app */
};

#define VGPU_HANDLE_SLOTS	(1u << 20)	/* of a session */

static inline uint64_t vgpu_handle_make(enum vgpu_kind kind, uint32_t generation,
					uint32_t index)
{
	return (uint64_t)kind << 56 | (uint64_t)(generation & 0xffffff) << 32 | index;
}

static inline enum vgpu_kind vgpu_handle_kind(uint64_t h)
{
	return (enum vgpu_kind)(h >> 56);
}

static inline uint32_t vgpu_handle_generation(uint64_t h)
{
	return h >> 32 & 0xffffff;
}

static inline uint32_t vgpu_handle_index(uint64_t h)
{
	return (uint32_t)h;
}

/* ---- sq: calls ---- */

/* Flags of a call's record. */
#define VGPU_CALL_REPLY		0x0001	/* the client waits for a completion */
#define VGPU_CALL_CAPTURE_MODE	0x0006	/* CUstreamCaptureMode of the thread */
#define VGPU_CALL_CAPTURE_SHIFT	1
#define VGPU_CALL_FLAGS		0x0007

/* The head of every record of sq. */
struct vgpu_request {
	struct vgpu_record	r;
	uint64_t		ctx;	/* current context of the calling thread, or 0 */
};

/* Bytes of a call that lie in up: one chunk. */
struct vgpu_chunk {
	uint64_t	pos;
	uint32_t	length;
	uint32_t	reserved;	/* zero */
};

/* ---- cq: completions and notices ---- */

/* The head of every record of cq that answers a call; its opcode is the call's. */
struct vgpu_completion {
	struct vgpu_record	r;
	uint64_t		seq;		/* of the call's record */
	uint32_t		status;		/* CUresult */
	uint32_t		reserved;
};

/* Notices: opcodes above those of calls. */
#define VGPU_NOTICE_ERROR	0xf001
#define VGPU_NOTICE_DATA	0xf002
#define VGPU_NOTICE_HOSTFN	0xf003
#define VGPU_NOTICE_OUTPUT	0xf004

/*
 * A call without reply failed, or the GPU reported a fault. A fault, which stays
 * until the context is reset, is told once for each context and status; other
 * errors each time.
 */
struct vgpu_notice_error {
	struct vgpu_record	r;
	uint64_t		seq;		/* of the call; 0: none in particular */
	uint64_t		ctx;
	uint32_t		status;
	uint32_t		opcode;
};

/* A CUresult that came from the GPU and stays until the context is reset. (status.c) */
bool vgpu_status_sticky(uint32_t status);

/* May a CUjit_option be sent with its value? Log buffers are the worker's own. (jit.c) */
bool vgpu_jit_option_travels(uint32_t option);

/* Bytes for a transfer that a waiting call named. */
struct vgpu_notice_data {
	struct vgpu_record	r;
	uint64_t		transfer;	/* as the call named it */
	uint64_t		offset;		/* from the start of the transfer */
	struct vgpu_chunk	chunk;		/* in down */
};

/* A stream reached a host function; the client answers with vgpu_hostfn_done. */
struct vgpu_notice_hostfn {
	struct vgpu_record	r;
	uint64_t		token;
	uint32_t		status;		/* of the stream, for cuStreamAddCallback */
	uint32_t		reserved;
};

/* What a kernel printed. */
struct vgpu_notice_output {
	struct vgpu_record	r;
	uint32_t		fd;		/* 1 or 2 */
	uint32_t		reserved;
	struct vgpu_chunk	chunk;		/* in down */
};

/* ---- structs that calls carry whole ---- */

#define VGPU_ATTRIBUTES		160	/* CUdevice_attribute 0..159 */

struct vgpu_device_info {
	uint64_t	total_memory;
	uint8_t		uuid[16];
	char		name[256];
	char		pci_bus_id[32];
	int32_t		attributes[VGPU_ATTRIBUTES];
	uint8_t		known[VGPU_ATTRIBUTES / 8];	/* bit n: the driver knows n */
	int32_t		priority_least;
	int32_t		priority_greatest;
	uint32_t	reserved[3];
};

#define VGPU_FUNC_ATTRIBUTES	16	/* CUfunction_attribute 0..15 */
#define VGPU_PARAMS_MAX		1024

struct vgpu_function_info {
	int32_t		attributes[VGPU_FUNC_ATTRIBUTES];
	uint32_t	param_bytes;
	uint32_t	nparams;
};

struct vgpu_param {
	uint32_t	offset;
	uint32_t	size;
};

/*
 * A status of cuLibraryLoadData and cuModuleLoadData that CUDA does not have:
 * the worker has no image of that hash; send it by vgpu_image_put and ask again.
 */
#define VGPU_STATUS_NEED_IMAGE	0x7fff0001

#define VGPU_IMAGE_MAX		(1u << 30)

/* vgpu_memcpy_pinned, vgpu_memcpy_registered: which way */
#define VGPU_COPY_TO_DEVICE	0
#define VGPU_COPY_TO_HOST	1
/* Nothing that comes before this copy changes its source: it may be read at once. */
#define VGPU_COPY_TO_DEVICE_EARLY	2

#endif /* VGPU_PROTO_H */
