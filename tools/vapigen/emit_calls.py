# SPDX-License-Identifier: MIT
"""gen/calls.h and gen/calls.c: numbers and records of calls, for both sides."""
import layout
from text import banner, declare, wrapped


def struct(name, head, fields):
    lines = [f"struct {name} {{", f"\t{head};"]
    lines += [f"\t{declare(f.c, f.name)};" for f in fields]
    return lines + ["};"]


def size_check(name, made):
    lines = [f"_Static_assert(sizeof({f.c}) % 8 == 0, \"{f.c}\");"
             for f in made.fields if not f.size]
    size = f"sizeof(struct {name}) == {made.size}"
    return lines + wrapped("_Static_assert(", [size, f'"{name}"'], ");")


def bounds(call):
    return [f"#define VGPU_MAX_{call.name}_{a.name}\t{a.max}" for a in call.args if a.variable]


def records(call):
    request, reply = layout.request(call), layout.reply(call)
    name = f"vgpu_{call.name}"
    lines = ["", f"/* {call.opcode:#05x} {call.name} */"] + bounds(call)
    lines += struct(f"{name}_in", "struct vgpu_request q", request.fields)
    lines += struct(f"{name}_out", "struct vgpu_completion c", reply.fields)
    return lines + size_check(f"{name}_in", request) + size_check(f"{name}_out", reply)


def header(spec):
    lines = banner(spec, "Numbers and records of the calls.")
    lines += ["#ifndef VGPU_GEN_CALLS_H", "#define VGPU_GEN_CALLS_H", "", "#include <stdint.h>",
              '#include "proto/proto.h"', "", "enum vgpu_opcode {"]
    lines += [f"\tVGPU_OP_{c.name} = {c.opcode:#05x}," for c in spec.calls]
    lines += ["};", "", "/* Bit n: there is a call n. For the hello. */",
              "extern const uint8_t vgpu_call_opcodes[VGPU_OPCODES / 8];", "",
              "/* \"?\" for a number that is no call's. */",
              "const char *vgpu_opcode_name(unsigned opcode);", "", "/*",
              " * The fixed part of each record. Bytes and strings follow it in the order of",
              " * their lengths, each filled up with zeros to a multiple of 8; the length of a",
              " * string counts its NUL. Pads are zero. All members are naturally aligned, so",
              " * that the asserted size fixes each offset, too.", " */"]
    for call in spec.calls:
        lines += records(call)
    return lines + ["", "#endif /* VGPU_GEN_CALLS_H */"]


def bitmap(spec):
    bytes_ = {}
    for call in spec.calls:
        bytes_[call.opcode // 8] = bytes_.get(call.opcode // 8, 0) | 1 << call.opcode % 8
    return [f"\t[{i:#05x}] = {b:#04x}," for i, b in sorted(bytes_.items())]


def source(spec):
    lines = banner(spec, "Names of the calls.")
    lines += ['#include "gen/calls.h"', "", "const uint8_t vgpu_call_opcodes[VGPU_OPCODES / 8] = {"]
    lines += bitmap(spec) + ["};", "", "const char *vgpu_opcode_name(unsigned opcode)", "{",
                             "\tswitch (opcode) {"]
    for call in spec.calls:
        lines += [f"\tcase VGPU_OP_{call.name}:", f'\t\treturn "{call.name}";']
    return lines + ["\tdefault:", '\t\treturn "?";', "\t}", "}"]
