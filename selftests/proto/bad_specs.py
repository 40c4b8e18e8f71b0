# SPDX-License-Identifier: MIT
"""Specs that must be refused: (what is wrong, the spec, line of the error, a part of its text)."""

CALL = "call 0x001 cuInit\n\tproc\tcuInit since=2000\n\tflow sync client=hook server=hook\n"


def arg(line):
    """A spec whose fourth line is an argument."""
    return f"{CALL}\t{line}\n"


def internal(line, flow="sync internal server=hook"):
    return f"call 0x001 vgpu_ask\n\tflow {flow}\n\t{line}\n"


BAD = [
    # lines
    ("unknown head", "func cuInit\n", 1, "'func' begins no block"),
    ("line without a block", "\tflow sync\n", 1, "belongs to no block"),
    ("indented by blanks", "stub cuInit\n  proc cuInit since=2000\n", 2, "indent by one tab"),
    ("indented twice", "stub cuInit\n\t\tproc cuInit since=2000\n", 2, "indented twice"),
    ("blanks at the end", "stub cuInit \n", 1, "blanks at the end"),
    ("unknown line of a block", "stub cuInit\n\tsince 2000\n", 2, "'since' is not known"),
    ("flow of a stub", "stub cuInit\n\tflow sync\n", 2, "'flow' is for calls"),
    ("body after driver", "driver cuInit\n\tproc cuInit since=2000\n", 2, "belongs to no block"),
    ("driver with a word", "driver cuInit maybe\n", 1, "write 'driver NAME"),
    # names and numbers
    ("number without 0x", "call 1 cuInit\n", 1, "in three hex digits"),
    ("number too large", "call 0x1000 cuInit\n", 1, "in three hex digits"),
    ("number zero", CALL.replace("0x001", "0x000"), 1, "out of range"),
    ("duplicate number", CALL + internal("in\tu32\tx"), 4, "taken by line 1"),
    ("duplicate name", "stub cuInit\n\tproc\tcuInit since=2000\nstub cuInit\n"
     "\tproc\tcuInit since=3000\n", 3, "'cuInit' is taken by line 1"),
    ("name like a twin", "stub cuA\n\tproc\tcuA since=2000 pt=7000:ptsz\nstub cuA_ptsz\n"
     "\tproc\tcuA_ptsz since=2000\n", 3, "'cuA_ptsz' is taken by line 2"),
    ("duplicate version", "stub cuA\n\tproc\tcuA since=2000\nstub cuA_v2\n\tproc\tcuA since=2000\n",
     4, "of version 2000 is taken"),
    ("dangling base name", "stub cuA_v2\n\tproc\tcuB since=2000\n", 2, "no variant of 'cuB'"),
    ("name that is none", "stub cu-Init\n", 1, "cannot be the name"),
    ("driver twice", "driver cuInit\ndriver cuInit\n", 2, "taken by line 1"),
    ("driver of a call", CALL + "driver cuInit\n", 4, "taken by line 1"),
    # proc
    ("no proc", "stub cuInit\n", 1, "has no proc line"),
    ("second proc", "stub cuInit\n\tproc\tcuInit since=2000\n\tproc\tcuInit since=3000\n", 3,
     "a second proc line"),
    ("proc without since", "stub cuInit\n\tproc\tcuInit pt=7000:ptsz\n", 2, "without since="),
    ("version that is none", "stub cuInit\n\tproc\tcuInit since=12.4\n", 2,
     "'12.4' is not a number"),
    ("odd version", "stub cuInit\n\tproc\tcuInit since=2001\n", 2, "1000 * major + 10 * minor"),
    ("unknown suffix", "stub cuInit\n\tproc\tcuInit since=2000 pt=7000:pt\n", 2, "is ptds or ptsz"),
    ("unknown word of proc", "stub cuInit\n\tproc\tcuInit since=2000 until=3000\n", 2,
     "'until=3000'"),
    ("twin without stream", "call 0x001 cuInit\n\tproc\tcuInit since=2000 pt=7000:ptsz\n"
     "\tflow sync\n", 2, "takes no stream"),
    ("ptds twin made by nobody", "call 0x001 cuInit\n\tproc\tcuInit since=2000 pt=7000:ptds\n"
     "\tflow sync\n", 2, "add client=hook"),
    # flow
    ("no flow", "call 0x001 cuInit\n\tproc\tcuInit since=2000\n", 1, "has no flow line"),
    ("second flow", CALL + "\tflow sync\n", 4, "a second flow line"),
    ("unknown flow", "call 0x001 cuInit\n\tflow fast\n", 2, "write 'flow sync|async|cached"),
    ("unknown word of flow", "call 0x001 cuInit\n\tflow sync slow\n", 2, "'slow' is not a word"),
    ("word of flow twice", "call 0x001 cuInit\n\tflow sync block block\n", 2, "'block' twice"),
    ("internal with proc", "call 0x001 vgpu_a\n\tproc\tvgpu_a since=2000\n"
     "\tflow sync internal server=hook\n", 2, "it has no proc line"),
    ("internal without hook", "call 0x001 vgpu_a\n\tflow sync internal\n", 1, "add server=hook"),
    ("internal with client=hook",
     "call 0x001 vgpu_a\n\tflow sync internal client=hook server=hook\n", 1,
     "no public function"),
    ("out of an async call", internal("out\tu32\tx", "async internal server=hook"), 3,
     "nobody waits for 'x'"),
    # arguments
    ("argument without name", arg("in\tu32"), 4, "write 'in TYPE NAME"),
    ("dangling type", arg("in\tint\tx"), 4, "'int' is no type"),
    ("dangling kind", arg("in\thandle texture\tx"), 4, "'texture' is no kind"),
    ("kind without name", arg("in\thandle stream"), 4, "write 'in handle WHICH NAME"),
    ("argument twice", arg("in\tu32\tx\n\tin\tu32\tx"), 5, "taken by line 4"),
    ("reserved name", arg("in\tu32\tsession"), 4, "used by the generated code"),
    ("unknown word", arg("in\tu32\tx\tbig"), 4, "'big' is not a word of arguments"),
    ("word twice", arg("in\tu32\tx\tmax=1 max=2"), 4, "'max=' twice"),
    ("limit that is no number", arg("in\tu32\tx\tmax=many"), 4, "'many' is not a number"),
    ("limit out of range", arg("in\tu8\tx\tmax=256"), 4, "out of range of u8"),
    ("limit that says nothing", arg("in\tu32\tx\tmin=0"), 4, "out of range of u32"),
    ("signed limit", arg("in\ti32\tx\tmax=0x80000000"), 4, "out of range of i32"),
    ("min above max", arg("in\tu32\tx\tmin=5 max=4"), 4, "min=5 is above max=4"),
    ("mask of a signed type", arg("in\ti32\tx\tmask=3"), 4, "for unsigned types"),
    ("limit of an out", arg("out\tu32\tx\tmax=3"), 4, "for in arguments"),
    ("limit of a handle", arg("in\thandle event\tx\tmax=3"), 4, "do not apply"),
    ("bytes without bound", arg("in\tbytes\tx"), 4, "'x' has no bound: add max="),
    ("string without bound", arg("in\tstring\tx"), 4, "'x' has no bound: add max="),
    ("bytes out of bounds", arg("in\tbytes\tx\tmax=65537"), 4, "use 1 to 65536"),
    ("least bytes above most", arg("in\tbytes\tx\tmin=9 max=8"), 4, "min=9 is out of range"),
    ("least length of a string", arg("in\tstring\tx\tmin=2 max=8"), 4, "of a string only max="),
    ("out string", arg("out\tstring\tx\tmax=8"), 4, "cannot be out"),
    ("null number", arg("in\tu32\tx\tnull"), 4, "'null' is for handles"),
    ("bytes for a driver", CALL.replace(" server=hook", "") + "\tin\tbytes\tx\tmax=8\n", 4,
     "add server=hook"),
    ("bytes of a C argument", CALL.replace("client=hook ", "") + "\tin\tbytes\tx\tmax=8\n", 4,
     "add client=hook"),
    ("made handle of a C argument",
     CALL.replace("client=hook ", "") + "\tout\thandle event\tx\n", 4, "add client=hook"),
    ("made handle that nobody can end", CALL.replace(" server=hook", "") +
     "\tout\thandle event\tx\n", 4, "add 'driver cuEventDestroy_v2'"),
    ("two handles to be made", CALL.replace(" server=hook", "") +
     "\tout\thandle event\tx\n\tout\thandle event\ty\n", 5, "add server=hook"),
    ("second args", CALL + "\targs\tint x\n\targs\tint y\n", 5, "a second args line"),
]
