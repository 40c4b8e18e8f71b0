/* SPDX-License-Identifier: MIT */
/* Made by tools/vapigen of small.vapi; do not edit. */
/* Names of the calls. */
#include "gen/calls.h"

const uint8_t vgpu_call_opcodes[VGPU_OPCODES / 8] = {
	[0x000] = 0x06,
	[0x01f] = 0xc0,
	[0x020] = 0x0f,
};

const char *vgpu_opcode_name(unsigned opcode)
{
	switch (opcode) {
	case VGPU_OP_vgpu_note:
		return "vgpu_note";
	case VGPU_OP_vgpu_ask:
		return "vgpu_ask";
	case VGPU_OP_cuCtxGetCacheConfig:
		return "cuCtxGetCacheConfig";
	case VGPU_OP_cuEventRecord:
		return "cuEventRecord";
	case VGPU_OP_cuEventCreate:
		return "cuEventCreate";
	case VGPU_OP_cuModuleGetGlobal_v2:
		return "cuModuleGetGlobal_v2";
	case VGPU_OP_cuKernelSetAttribute:
		return "cuKernelSetAttribute";
	case VGPU_OP_cuLaunchHostFunc:
		return "cuLaunchHostFunc";
	default:
		return "?";
	}
}
