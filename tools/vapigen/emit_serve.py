# SPDX-License-Identifier: MIT
"""gen/serve.h and gen/serve.c: the worker's side of each call: a checked
decoder that calls the driver or a hook."""
from limits import conditions, refuse
from spec import KINDS
from text import assigned, banner, declare, function, wrapped
import layout

HEADER = """#ifndef VGPU_GEN_SERVE_H
#define VGPU_GEN_SERVE_H

#include "proto/cuda_api.h"
#include "gen/calls.h"

struct vgpu_worker;
struct vgpu_reply;

#define VGPU_SERVE_BLOCK	1	/* may wait: runs on a helper */
#define VGPU_SERVE_ASYNC	2	/* no completion unless VGPU_CALL_REPLY is set */
#define VGPU_SERVE_NOCTX	4	/* needs no current context */

/*
 * serve() is given a private copy of a record, record_len bytes long (aligned to
 * 8, head included), and returns the status of its completion. Whatever was
 * wrong with the record: CUDA_ERROR_INVALID_VALUE, or what the functions below say.
 */
struct vgpu_serve_entry {
	const char *name;
	uint32_t fixed;			/* least record_len */
	uint32_t flags;			/* VGPU_SERVE_ */
	CUresult (*serve)(struct vgpu_worker *w, const struct vgpu_request *q, size_t record_len,
			  struct vgpu_reply *p);
};

/* By opcode; serve is NULL where there is no such call. */
extern const struct vgpu_serve_entry vgpu_serve_table[VGPU_OPCODES];

/* ---- what the decoders need, written by hand in userspace/server ---- */

/* Device of the session's @ordinal; CUDA_ERROR_INVALID_DEVICE. */
CUresult vgpu_worker_device(struct vgpu_worker *w, unsigned ordinal, CUdevice *dev);

/* What the client's number stands for; one that is not live, or of another kind, is refused. */
CUresult vgpu_handle_get(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind,
			 void **driver_handle);

/* Let a number that the client made stand for @driver_handle; one that is in use is refused. */
CUresult vgpu_handle_put(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind, uint64_t ctx,
			 void *driver_handle);

/* The reply's fixed part of @fixed bytes, completion included, zeroed; bytes go behind it. */
void *vgpu_reply_out(struct vgpu_reply *p, size_t fixed);
/* Append @length bytes, filled up with zeros to a multiple of 8. */
void vgpu_reply_bytes(struct vgpu_reply *p, const void *bytes, size_t length);

/*
 * ---- hooks, written by hand in userspace/server ----
 *
 * All arguments have been checked against the spec. A handle is a wire number
 * that is live and of its kind (or 0 where the spec says null); one that the
 * client made is put by the hook. A device is an ordinal. Out arguments are
 * zero before; *NAME_len of out bytes is, too, and the room is VGPU_MAX_<call>_NAME.
 */"""


PRELUDE = """/* The handle for a number that may be 0, which stands for @none. */
static inline CUresult handle_or(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind,
				 void *none, void **handle)
{
	*handle = none;
	return wire ? vgpu_handle_get(w, wire, kind, handle) : CUDA_SUCCESS;
}
"""

# ---- prototypes of hooks ----


def hook_parameters(arg):
    if arg.type == "bytes":
        return ([f"void *{arg.name}", f"uint32_t *{arg.name}_len"] if arg.out else
                [f"const void *{arg.name}", f"uint32_t {arg.name}_len"])
    if arg.type == "string":
        return [f"const char *{arg.name}"]
    if arg.type == "chunk":
        return [f"const struct vgpu_chunk *{arg.name}"]
    if not arg.sent:
        return [f"{arg.value_type} *{arg.name}"]
    if arg.type == "struct":
        return [f"const {arg.value_type} *{arg.name}"]
    return [declare(arg.value_type, arg.name)]


def hook_prototype(call, end=");"):
    params = ["struct vgpu_worker *w", "const struct vgpu_request *q"]
    for arg in call.args:
        params += hook_parameters(arg)
    return wrapped(f"CUresult vgpu_hook_{call.name}(", params, end)


def header(spec):
    lines = banner(spec, "The calls, as a worker serves them.") + HEADER.split("\n")
    for call in spec.calls:
        if call.server_hook:
            lines += hook_prototype(call)
    return lines + ["", "#endif /* VGPU_GEN_SERVE_H */"]


# ---- decoders ----


def locals_of(call):
    lines = []
    for arg in call.args:
        if arg.type == "device":
            lines.append(f"\tCUdevice {arg.name};")
        elif arg.type == "handle" and (not call.server_hook or not arg.out):
            lines.append(f"\tvoid *{arg.name};")
        elif arg.type == "string":
            lines.append(f"\tconst char *{arg.name};")
        elif arg.type == "bytes" and arg.out:
            lines += [f"\tuint8_t {arg.name}[VGPU_MAX_{call.name}_{arg.name}];",
                      f"\tuint32_t {arg.name}_len = 0;"]
        elif arg.type == "bytes":
            lines.append(f"\tconst void *{arg.name};")
        elif arg.out and not arg.made:
            lines.append(f"\t{declare(arg.value_type, arg.name)} = "
                         f"{'{}' if arg.type == 'struct' else '0'};")
    return lines


def fixed_checks(call):
    """Conditions of a record whose fixed part is wrong."""
    bad = [f"in->{pad}" for pad in layout.request(call).pads]
    for arg in call.requests:
        if arg.type == "bytes":
            bad += [f"in->{arg.name}_len < {arg.min}"] if arg.min else []
        elif arg.type == "chunk":
            chunk = f"in->{arg.name}"
            bad += [f"!{chunk}.length", f"{chunk}.length > VGPU_CHUNK_MAX", f"{chunk}.reserved"]
        elif not arg.variable:
            bad += conditions(arg, f"in->{arg.name}")
    return bad


def take(call, arg):
    """Bytes or a string behind the fixed part."""
    items = ["&cursor", f"in->{arg.name}_len", f"VGPU_MAX_{call.name}_{arg.name}"]
    missing = f"!{arg.name} && in->{arg.name}_len" if arg.null else f"!{arg.name}"
    return wrapped(f"\t{arg.name} = vgpu_cursor_{arg.type}(", items, ");") + refuse([missing])


def decode(call):
    sent = [a for a in call.requests if a.variable]
    if not sent:
        return refuse(["record_len != sizeof(*in)"] + fixed_checks(call))
    lines = refuse(["record_len < sizeof(*in)"] + fixed_checks(call))
    lines += ["\tcursor = vgpu_cursor(in, sizeof(*in), record_len);"]
    for arg in sent:
        lines += take(call, arg)
    return lines + ["\tif (!vgpu_cursor_done(&cursor))", "\t\treturn CUDA_ERROR_INVALID_VALUE;"]


def look_up(arg):
    """The driver's handle or device for a number of the client's."""
    if arg.type == "device":
        return [f"\tr = vgpu_worker_device(w, in->{arg.name}, &{arg.name});", "\tif (r)",
                "\t\treturn r;"]
    none = ["CU_STREAM_LEGACY" if arg.of == "stream" else "NULL"] if arg.null else []
    get = "handle_or" if arg.null else "vgpu_handle_get"
    items = ["w", f"in->{arg.name}", arg.kind] + none + [f"&{arg.name}"]
    return wrapped(f"\tr = {get}(", items, ");") + ["\tif (r)", "\t\treturn r;"]


def hook_argument(arg):
    if arg.type == "bytes":
        return [arg.name, f"&{arg.name}_len" if arg.out else f"in->{arg.name}_len"]
    if arg.type == "string":
        return [arg.name]
    if not arg.sent:
        return [f"&{arg.name}"]
    if arg.type in ("chunk", "struct"):
        return [f"&in->{arg.name}"]
    return [f"(int)in->{arg.name}" if arg.type == "device" else f"in->{arg.name}"]


def driver_argument(arg):
    if arg.out:
        return f"({KINDS[arg.of][0]} *)&{arg.name}" if arg.made else f"&{arg.name}"
    if arg.type in ("handle", "device", "string"):
        return arg.name
    return f"({arg.of})in->{arg.name}" if arg.type == "enum" else f"in->{arg.name}"


def execute(call, keep):
    """Call the hook or the driver; into r, or straight out if nothing follows."""
    head = "\tr = " if keep else "\treturn "
    if call.server_hook:
        args = ["w", "q"] + [x for a in call.args for x in hook_argument(a)]
        return wrapped(f"{head}vgpu_hook_{call.name}(", args, ");")
    args = [driver_argument(a) for a in call.args]
    return wrapped(f"{head}w->driver->{call.name}(", args, ");")


def put(call):
    """Bind the client's number to what the driver made, or end that again."""
    made = next((a for a in call.args if a.made and not call.server_hook), None)
    if not made:
        return []
    lines = wrapped("\tr = vgpu_handle_put(", ["w", f"in->{made.name}", made.kind, "q->ctx",
                                               made.name], ");")
    undo = ["\tif (r)", f"\t\tw->driver->{made.end}({made.name});"] if made.end else []
    return lines + undo


def write(call):
    lines = ["\tout = vgpu_reply_out(p, sizeof(*out));"]
    for arg in call.replies:
        name = f"{arg.name}_len" if arg.variable else arg.name
        lines.append(f"\tout->{name} = {name};")
    return lines + [f"\tvgpu_reply_bytes(p, {a.name}, {a.name}_len);"
                    for a in call.replies if a.variable]


def finish(call):
    """What follows the call proper."""
    made, bytes_out = put(call), any(a.variable for a in call.replies)
    lines = []
    if not bytes_out:
        lines += ["\tif (r)", "\t\treturn r;"]
    if made:
        lines += made
        if not call.replies:
            return lines + ["\treturn r;"]
        lines += ["\tif (r)", "\t\treturn r;"]
    too_long = [f"{a.name}_len > sizeof({a.name})" for a in call.replies if a.variable]
    lines += refuse(too_long, "CUDA_ERROR_UNKNOWN") + write(call)
    return lines + [f"\treturn {'r' if bytes_out else 'CUDA_SUCCESS'};"]


def body(call):
    follows = bool(call.replies or put(call))
    looked = [a for a in call.args if a.type == "device" or a.type == "handle" and not a.out]
    lines = assigned(f"const struct vgpu_{call.name}_in *in", "(const void *)q")
    if call.replies:
        lines.append(f"\tstruct vgpu_{call.name}_out *out;")
    if any(a.variable for a in call.requests):
        lines.append("\tstruct vgpu_cursor cursor;")
    lines += locals_of(call)
    if follows or looked:
        lines.append("\tCUresult r;")
    lines += [""] + decode(call)
    for arg in looked:
        lines += look_up(arg)
    return lines + execute(call, follows) + (finish(call) if follows else [])


def entry(call):
    flags = [f"VGPU_SERVE_{name}" for word, name in (("block", "BLOCK"), ("noctx", "NOCTX"))
             if word in call.words]
    flags += ["VGPU_SERVE_ASYNC"] if call.flow == "async" else []
    return [f"\t[VGPU_OP_{call.name}] = {{", f'\t\t.name = "{call.name}",',
            f"\t\t.fixed = sizeof(struct vgpu_{call.name}_in),",
            f"\t\t.flags = {' | '.join(flags) or '0'},", f"\t\t.serve = serve_{call.name},", "\t},"]


def source(spec):
    lines = banner(spec, "The calls, as a worker serves them.")
    lines += ['#include "gen/driver.h"', '#include "gen/serve.h"',
              '#include "proto/marshal.h"', '#include "server/worker.h"', ""] + PRELUDE.split("\n")
    params = ["struct vgpu_worker *w", "const struct vgpu_request *q", "size_t record_len",
              "struct vgpu_reply *p"]
    for call in spec.calls:
        lines += function("static CUresult ", f"serve_{call.name}", params, body(call))
    lines += ["const struct vgpu_serve_entry vgpu_serve_table[VGPU_OPCODES] = {"]
    for call in spec.calls:
        lines += entry(call)
    return lines + ["};"]
