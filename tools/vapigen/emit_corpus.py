# SPDX-License-Identifier: MIT
"""One valid record for each call, for the fuzzer and the tests of the decoders."""
import struct

import layout
from spec import KINDS

KIND_NUMBERS = {kind: 0x51 + i for i, kind in enumerate(KINDS)}  # enum vgpu_kind
CONTEXT = KIND_NUMBERS["ctx"] << 56 | 1 << 32
CALL_REPLY = 1
CHUNK = (0, 64)


def payload(arg):
    """The bytes of a bytes or string argument."""
    if arg.type == "string":
        return b"name"[:arg.max - 1] + b"\0"
    return bytes(range(1, 1 + max(arg.min or 0, min(arg.max, 40))))


def value(arg, n):
    """A value that the spec allows; different for each handle of a record."""
    if arg.type == "handle":
        return KIND_NUMBERS[arg.of] << 56 | 1 << 32 | n
    if arg.type == "f32":
        return struct.unpack("<I", struct.pack("<f", 1.5))[0]
    if arg.mask is not None:
        return arg.mask
    if arg.type == "device":
        return 0
    low = arg.min or 0
    return max(low, min(arg.max, 3)) if arg.max is not None else max(low, 64 + n)


def pack(field, n):
    arg = field.arg
    if not arg:
        return bytes(field.size)
    if arg.type == "chunk":
        return struct.pack("<QII", *CHUNK, 0)
    if arg.variable:
        return struct.pack("<I", len(payload(arg)))
    return (value(arg, n) & (1 << 8 * field.size) - 1).to_bytes(field.size, "little")


def pad8(data):
    return data + bytes(-len(data) % 8)


def record(call):
    """The record, or None: a struct's contents are beyond the spec."""
    made = layout.request(call)
    if any(not f.size for f in made.fields):
        return None
    body = b"".join(pack(f, n) for n, f in enumerate(made.fields))
    body += b"".join(pad8(payload(a)) for a in call.requests if a.variable)
    flags = 0 if call.flow == "async" else CALL_REPLY
    head = struct.pack("<IHHQQ", layout.REQUEST + len(body), call.opcode, flags, 1, CONTEXT)
    return head + body


def records(spec):
    """(name, bytes) of each call."""
    made = [(call.name, record(call)) for call in spec.calls]
    return [(name, data) for name, data in made if data]
