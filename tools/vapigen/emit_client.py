# SPDX-License-Identifier: MIT
"""gen/client.h and gen/client.c: libcuda's side of each call."""
import layout
from limits import conditions, refuse
from text import banner, declare, function, wrapped

COMMENT = """/*
 * Each sends a call to the worker on behalf of the context that is current (a
 * wire number). A call of flow async waits for its status only if VGPU_CALL_REPLY
 * is in call_flags. Out pointers may be NULL. *NAME_len of out bytes is the room
 * in and their number out; more is cut. Out bytes are stored also if the call
 * failed in the worker. Handles are wire numbers that the caller has checked;
 * those to be made are the caller's choice.
 */"""


def parameters(arg):
    if arg.type == "bytes":
        sized = ("void *", "size_t *") if arg.out else ("const void *", "size_t ")
        return [f"{sized[0]}{arg.name}", f"{sized[1]}{arg.name}_len"]
    if arg.type == "string":
        return [f"const char *{arg.name}"]
    if arg.type == "chunk":
        return [f"uint64_t {arg.name}_pos", f"uint32_t {arg.name}_len"]
    if not arg.sent:
        return [f"{arg.value_type} *{arg.name}"]
    if arg.type == "struct":
        return [f"const {arg.value_type} *{arg.name}"]
    return [declare(arg.value_type, arg.name)]


def prototype(call):
    params = ["struct vgpu_session *session", "uint64_t current", "unsigned call_flags"]
    for arg in call.args:
        params += parameters(arg)
    return "CUresult ", f"vgpu_call_{call.name}", params


def header(spec):
    lines = banner(spec, "The calls, as libcuda makes them.")
    lines += ["#ifndef VGPU_GEN_CLIENT_H", "#define VGPU_GEN_CLIENT_H", "",
              '#include "gen/calls.h"', '#include "proto/cuda_api.h"', "",
              "struct vgpu_session;", ""]
    lines += COMMENT.split("\n")
    for call in spec.calls:
        result, name, params = prototype(call)
        lines += wrapped(f"{result}{name}(", params, ");")
    return lines + ["", "#endif /* VGPU_GEN_CLIENT_H */"]


# ---- bodies ----


def bad_arguments(call):
    bad = []
    for arg in call.requests:
        if arg.type == "bytes":
            length = f"{arg.name}_len"
            bad += [f"{length} < {arg.min}"] if arg.min else []
            bad += [f"{length} > VGPU_MAX_{call.name}_{arg.name}"]
            bad += [f"(!{arg.name} && {length})"]
        elif arg.type == "chunk":
            bad += [f"!{arg.name}_len", f"{arg.name}_len > VGPU_CHUNK_MAX"]
        elif arg.type == "struct":
            bad += [f"!{arg.name}"]
        elif arg.type == "device":
            bad += [f"{arg.name} < 0"]
        elif arg.type == "string":
            bad += [f"!{arg.name}_len"] if not arg.null else [f"({arg.name} && !{arg.name}_len)"]
        elif arg.type == "enum":
            bad += conditions(arg, f"(uint32_t){arg.name}")
        else:
            bad += conditions(arg, arg.name)
    return refuse(bad)


def initialiser(call):
    """The fixed part, as a compound literal that zeroes head and pads."""
    values = []
    for arg in call.requests:
        if arg.type == "chunk":
            values.append(f".{arg.name} = {{ .pos = {arg.name}_pos, .length = {arg.name}_len }}")
        elif arg.type == "struct":
            values.append(f".{arg.name} = *{arg.name}")
        elif arg.variable:
            values.append(f".{arg.name}_len = {arg.name}_len")
        else:
            values.append(f".{arg.name} = {arg.name}")
    name = f"struct vgpu_{call.name}_in"
    if not values:
        return [f"\t*in = ({name}){{}};"]
    return [f"\t*in = ({name}){{", *[f"\t\t{v}," for v in values], "\t};"]


def build(call):
    """Reserve the record and fill it."""
    sent = [a for a in call.requests if a.variable]
    size = " + ".join(["sizeof(*in)"] + [f"vgpu_pad8({a.name}_len)" for a in sent])
    lines = wrapped("\tin = vgpu_submit_begin(", ["session", size], ");")
    lines += ["\tif (!in)", "\t\treturn vgpu_submit_lost(session);"] + initialiser(call)
    where = "in + 1"
    for i, arg in enumerate(sent):
        put = f"vgpu_put_bytes({where}, {arg.name}, {arg.name}_len);"
        lines.append(f"\tat = {put}" if i + 1 < len(sent) else f"\t{put}")
        where = "at"
    return lines


def string_lengths(call):
    return [f"\tsize_t {a.name}_len = vgpu_string_len({a.name}, VGPU_MAX_{call.name}_{a.name});"
            for a in call.requests if a.type == "string"]


def at_declared(call):
    return ["\tvoid *at;"] if sum(a.variable for a in call.requests) > 1 else []


def plain_body(call):
    """A call whose answer is its status alone."""
    end = "finish" if call.flow == "async" else "wait_status"
    lines = [f"\tstruct vgpu_{call.name}_in *in;"] + string_lengths(call) + at_declared(call) + [""]
    lines += bad_arguments(call) + build(call)
    return lines + [f"\treturn {end}(session, current, VGPU_OP_{call.name}, call_flags);"]


def store(arg):
    value = f"({arg.of})out->{arg.name}" if arg.type == "enum" else f"out->{arg.name}"
    return [f"\tif ({arg.name})", f"\t\t*{arg.name} = {value};"]


def wait(call, reply, size):
    return wrapped("\tr = vgpu_submit_wait(", [
        "session", "current", f"VGPU_OP_{call.name}", "call_flags | VGPU_CALL_REPLY", reply, size,
        "&got"], ");")


def reply_body(call):
    """A call with scalars and structs for an answer."""
    lines = [f"\tstruct vgpu_{call.name}_in *in;"] + string_lengths(call) + at_declared(call)
    lines += [f"\tstruct vgpu_{call.name}_out reply, *out = &reply;", "\tsize_t got = 0;",
              "\tCUresult r;", ""]
    lines += bad_arguments(call) + build(call) + wait(call, "out", "sizeof(*out)")
    lines += ["\tif (r)", "\t\treturn r;", "\tif (got != sizeof(*out))",
              "\t\treturn vgpu_submit_broken(session);"]
    for arg in call.replies:
        lines += store(arg)
    return lines + ["\treturn CUDA_SUCCESS;"]


def bytes_reply_body(call):
    """A call that has bytes in its answer, which may come with a failure."""
    taken = [a for a in call.replies if a.variable]
    lines = [f"\tstruct vgpu_{call.name}_in *in;"] + string_lengths(call) + at_declared(call)
    lines += ["\tstruct {", f"\t\tstruct vgpu_{call.name}_out out;"]
    lines += [f"\t\tuint8_t {a.name}[vgpu_pad8(VGPU_MAX_{call.name}_{a.name})];" for a in taken]
    lines += ["\t} reply;", f"\tstruct vgpu_{call.name}_out *out = &reply.out;",
              "\tstruct vgpu_cursor cursor;", "\tsize_t got = 0;", "\tCUresult r;", ""]
    lines += bad_arguments(call) + build(call) + wait(call, "&reply", "sizeof(reply)")
    lines += ["\tif (got < sizeof(*out))", "\t\treturn r ? r : vgpu_submit_broken(session);",
              "\tcursor = vgpu_cursor(out, sizeof(*out), got);"]
    for arg in taken:
        lines += wrapped("\tif (!vgpu_cursor_copy(", [
            "&cursor", f"out->{arg.name}_len", f"sizeof(reply.{arg.name})", arg.name,
            f"{arg.name}_len"], "))") + ["\t\treturn vgpu_submit_broken(session);"]
    lines += refuse(["!vgpu_cursor_done(&cursor)"], "vgpu_submit_broken(session)")
    scalars = [a for a in call.replies if not a.variable]
    if scalars:
        lines += ["\tif (r)", "\t\treturn r;"]
    for arg in scalars:
        lines += store(arg)
    return lines + ["\treturn CUDA_SUCCESS;" if scalars else "\treturn r;"]


def body(call):
    if any(a.variable for a in call.replies):
        return bytes_reply_body(call)
    return reply_body(call) if call.replies else plain_body(call)


PRELUDE = """#include "gen/client.h"
#include "libcuda/submit.h"
#include "proto/marshal.h"

static CUresult wait_status(struct vgpu_session *session, uint64_t current, uint16_t opcode,
			    unsigned call_flags)
{
	struct vgpu_completion c;
	size_t got = 0;

	return vgpu_submit_wait(session, current, opcode, call_flags | VGPU_CALL_REPLY, &c,
				sizeof(c), &got);
}

static CUresult finish(struct vgpu_session *session, uint64_t current, uint16_t opcode,
		       unsigned call_flags)
{
	if (call_flags & VGPU_CALL_REPLY)
		return wait_status(session, current, opcode, call_flags);
	return vgpu_submit_end(session, current, opcode, call_flags);
}
"""


def source(spec):
    lines = banner(spec, "The calls, as libcuda makes them.") + PRELUDE.split("\n")
    for call in spec.calls:
        lines += function(*prototype(call), body(call))
    return lines[:-1]
