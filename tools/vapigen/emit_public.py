# SPDX-License-Identifier: MIT
"""gen/public.c: public functions that do no more than their call, and the twins
with per-thread default stream of all that take a stream."""
from spec import KINDS
from text import banner, declare, function, wrapped


def parameter(arg):
    if arg.type == "handle":
        return declare(KINDS[arg.of][0] + (" *" if arg.out else ""), arg.name)
    if arg.type == "string":
        return f"const char *{arg.name}"
    if arg.type == "device":
        return f"CUdevice {arg.name}"
    return declare(arg.value_type + (" *" if arg.out else ""), arg.name)


def prototype(call):
    if call.prototype:
        return [p.strip() for p in call.prototype.split(",")]
    return [parameter(a) for a in call.args]


def name_of(param):
    return param.replace("*", " ").split()[-1]


def stream_of(call):
    """Name of the stream among the C arguments, or ""."""
    return next((name_of(p) for p in prototype(call) if p.startswith("CUstream ")), "")


def look_up(arg):
    """The wire number of a handle, or the ordinal of a device."""
    return [f"\tr = vgpu_wire_{'device' if arg.type == 'device' else arg.of}(&place, {arg.name}, "
            f"&wire_{arg.name});", "\tif (r)", "\t\treturn r;"]


def argument(arg):
    return f"wire_{arg.name}" if not arg.out and arg.type in ("handle", "device") else arg.name


def null_checks(call):
    bad = [f"!{a.name}" for a in call.replies if not a.null]
    if not bad:
        return []
    return wrapped("\tif (", bad, ")", " ||") + ["\t\treturn CUDA_ERROR_INVALID_VALUE;"]


def body(call):
    looked = [a for a in call.args if a.type in ("handle", "device")]
    lines = ["\tstruct vgpu_call_place place;"]
    lines += [f"\t{'int' if a.type == 'device' else 'uint64_t'} wire_{a.name};" for a in looked]
    lines += ["\tCUresult r;", "",
              f"\tr = {'vgpu_place_noctx' if 'noctx' in call.words else 'vgpu_place'}(&place);",
              "\tif (r)", "\t\treturn r;"] + null_checks(call)
    for arg in looked:
        lines += look_up(arg)
    args = ["place.session", "place.ctx", "place.flags"] + [argument(a) for a in call.args]
    return lines + wrapped(f"\treturn vgpu_call_{call.name}(", args, ");")


def twin_body(call, stream):
    names = [name_of(p) for p in prototype(call)]
    return [f"\tif (!{stream})", f"\t\t{stream} = CU_STREAM_PER_THREAD;",
            *wrapped(f"\treturn {call.name}(", names, ");")]


def source(spec):
    lines = banner(spec, "Public functions that do no more than their call.")
    lines += ['#include "proto/cuda_api.h"', '#include "libcuda/api.h"', ""]
    for call in spec.calls:
        if call.internal:
            continue
        if not call.client_hook:
            lines += function("VGPU_PUBLIC CUresult CUDAAPI ", call.name, prototype(call),
                              body(call))
        if call.twin and stream_of(call):
            lines += function("VGPU_PUBLIC CUresult CUDAAPI ", call.twin, prototype(call),
                              twin_body(call, stream_of(call)))
    return lines[:-1]
