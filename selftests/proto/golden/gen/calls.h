/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* Numbers and records of the calls. */
#ifndef VGPU_GEN_CALLS_H
#define VGPU_GEN_CALLS_H

#include <stdint.h>
#include "proto/proto.h"

enum vgpu_opcode {
	VGPU_OP_vgpu_note = 0x001,
	VGPU_OP_vgpu_ask = 0x002,
	VGPU_OP_cuCtxGetCacheConfig = 0x0fe,
	VGPU_OP_cuEventRecord = 0x0ff,
	VGPU_OP_cuEventCreate = 0x100,
	VGPU_OP_cuModuleGetGlobal_v2 = 0x101,
	VGPU_OP_cuKernelSetAttribute = 0x102,
	VGPU_OP_cuLaunchHostFunc = 0x103,
};

/* Bit n: there is a call n. For the hello. */
extern const uint8_t vgpu_call_opcodes[VGPU_OPCODES / 8];

/* "?" for a number that is no call's. */
const char *vgpu_opcode_name(unsigned opcode);

/*
 * The fixed part of each record. Bytes and strings follow it in the order of
 * their lengths, each filled up with zeros to a multiple of 8; the length of a
 * string counts its NUL. Pads are zero. All members are naturally aligned, so
 * that the asserted size fixes each offset, too.
 */

/* 0x001 vgpu_note */
#define VGPU_MAX_vgpu_note_text	100
#define VGPU_MAX_vgpu_note_s	16
struct vgpu_vgpu_note_in {
	struct vgpu_request q;
	uint32_t text_len;
	uint8_t a;
	uint8_t pad0;
	uint16_t b;
	uint64_t c;
	uint32_t s_len;
	uint32_t pad1;
};
struct vgpu_vgpu_note_out {
	struct vgpu_completion c;
};
_Static_assert(sizeof(struct vgpu_vgpu_note_in) == 48, "vgpu_vgpu_note_in");
_Static_assert(sizeof(struct vgpu_vgpu_note_out) == 32, "vgpu_vgpu_note_out");

/* 0x002 vgpu_ask */
#define VGPU_MAX_vgpu_ask_text	64
#define VGPU_MAX_vgpu_ask_more	8
struct vgpu_vgpu_ask_in {
	struct vgpu_request q;
	struct vgpu_param where;
	uint8_t depth;
	uint8_t pad0;
	uint16_t pad1;
	uint32_t pad2;
	struct vgpu_chunk data;
};
struct vgpu_vgpu_ask_out {
	struct vgpu_completion c;
	uint16_t count;
	uint16_t pad0;
	uint32_t pad1;
	struct vgpu_param answer;
	uint32_t text_len;
	uint32_t more_len;
};
_Static_assert(sizeof(struct vgpu_param) % 8 == 0, "struct vgpu_param");
_Static_assert(sizeof(struct vgpu_vgpu_ask_in) == 48 + sizeof(struct vgpu_param),
	       "vgpu_vgpu_ask_in");
_Static_assert(sizeof(struct vgpu_param) % 8 == 0, "struct vgpu_param");
_Static_assert(sizeof(struct vgpu_vgpu_ask_out) == 48 + sizeof(struct vgpu_param),
	       "vgpu_vgpu_ask_out");

/* 0x0fe cuCtxGetCacheConfig */
struct vgpu_cuCtxGetCacheConfig_in {
	struct vgpu_request q;
};
struct vgpu_cuCtxGetCacheConfig_out {
	struct vgpu_completion c;
	uint32_t pconfig;
	uint32_t pad0;
};
_Static_assert(sizeof(struct vgpu_cuCtxGetCacheConfig_in) == 24, "vgpu_cuCtxGetCacheConfig_in");
_Static_assert(sizeof(struct vgpu_cuCtxGetCacheConfig_out) == 40, "vgpu_cuCtxGetCacheConfig_out");

/* 0x0ff cuEventRecord */
struct vgpu_cuEventRecord_in {
	struct vgpu_request q;
	uint64_t hEvent;
	uint64_t hStream;
};
struct vgpu_cuEventRecord_out {
	struct vgpu_completion c;
};
_Static_assert(sizeof(struct vgpu_cuEventRecord_in) == 40, "vgpu_cuEventRecord_in");
_Static_assert(sizeof(struct vgpu_cuEventRecord_out) == 32, "vgpu_cuEventRecord_out");

/* 0x100 cuEventCreate */
struct vgpu_cuEventCreate_in {
	struct vgpu_request q;
	uint64_t phEvent;
	uint32_t Flags;
	uint32_t pad0;
};
struct vgpu_cuEventCreate_out {
	struct vgpu_completion c;
};
_Static_assert(sizeof(struct vgpu_cuEventCreate_in) == 40, "vgpu_cuEventCreate_in");
_Static_assert(sizeof(struct vgpu_cuEventCreate_out) == 32, "vgpu_cuEventCreate_out");

/* 0x101 cuModuleGetGlobal_v2 */
#define VGPU_MAX_cuModuleGetGlobal_v2_name	256
struct vgpu_cuModuleGetGlobal_v2_in {
	struct vgpu_request q;
	uint64_t hmod;
	uint32_t name_len;
	uint32_t pad0;
};
struct vgpu_cuModuleGetGlobal_v2_out {
	struct vgpu_completion c;
	uint64_t dptr;
	uint64_t bytes;
};
_Static_assert(sizeof(struct vgpu_cuModuleGetGlobal_v2_in) == 40, "vgpu_cuModuleGetGlobal_v2_in");
_Static_assert(sizeof(struct vgpu_cuModuleGetGlobal_v2_out) == 48, "vgpu_cuModuleGetGlobal_v2_out");

/* 0x102 cuKernelSetAttribute */
struct vgpu_cuKernelSetAttribute_in {
	struct vgpu_request q;
	uint32_t attrib;
	int32_t val;
	uint64_t kernel;
	uint32_t dev;
	uint32_t pad0;
};
struct vgpu_cuKernelSetAttribute_out {
	struct vgpu_completion c;
};
_Static_assert(sizeof(struct vgpu_cuKernelSetAttribute_in) == 48, "vgpu_cuKernelSetAttribute_in");
_Static_assert(sizeof(struct vgpu_cuKernelSetAttribute_out) == 32, "vgpu_cuKernelSetAttribute_out");

/* 0x103 cuLaunchHostFunc */
struct vgpu_cuLaunchHostFunc_in {
	struct vgpu_request q;
	uint64_t hStream;
	uint64_t token;
};
struct vgpu_cuLaunchHostFunc_out {
	struct vgpu_completion c;
};
_Static_assert(sizeof(struct vgpu_cuLaunchHostFunc_in) == 40, "vgpu_cuLaunchHostFunc_in");
_Static_assert(sizeof(struct vgpu_cuLaunchHostFunc_out) == 32, "vgpu_cuLaunchHostFunc_out");

#endif /* VGPU_GEN_CALLS_H */
