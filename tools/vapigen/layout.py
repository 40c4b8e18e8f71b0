# SPDX-License-Identifier: MIT
"""Where the fields of a record lie: in the order of the spec, each naturally
aligned, gaps filled by named pads, the whole a multiple of 8."""
from dataclasses import dataclass, field

from spec import SCALARS

REQUEST, COMPLETION = 24, 32  # sizes of the heads, asserted in the generated code
PADS = {1: "uint8_t", 2: "uint16_t", 4: "uint32_t"}


@dataclass
class Field:
    c: str
    name: str
    size: int  # 0: a struct, whose size is a multiple of 8
    arg: object = None  # of the spec; None: a pad


@dataclass
class Layout:
    head: int
    fields: list = field(default_factory=list)

    @property
    def size(self):
        """Size as a C expression."""
        known = self.head + sum(f.size for f in self.fields)
        return " + ".join([str(known)] + [f"sizeof({f.c})" for f in self.fields if not f.size])

    @property
    def pads(self):
        return [f.name for f in self.fields if not f.arg]


def wire_field(arg):
    if arg.type == "struct":
        return Field(f"struct {arg.of}", arg.name, 0, arg)
    if arg.type == "chunk":
        return Field("struct vgpu_chunk", arg.name, 16, arg)
    if arg.variable:
        return Field("uint32_t", f"{arg.name}_len", 4, arg)
    scalar = SCALARS[arg.type]
    return Field(scalar.wire, arg.name, scalar.size, arg)


def make(head, args):
    layout, at = Layout(head), head

    def pad(align):
        nonlocal at
        while at % align:
            step = at & -at
            layout.fields.append(Field(PADS[step], f"pad{len(layout.pads)}", step))
            at += step

    for arg in args:
        f = wire_field(arg)
        pad(min(f.size or 8, 8))
        layout.fields.append(f)
        at += f.size
    pad(8)
    return layout


def request(call):
    return make(REQUEST, call.requests)


def reply(call):
    return make(COMPLETION, call.replies)
