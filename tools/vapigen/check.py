# SPDX-License-Identifier: MIT
"""What must hold of whole blocks and of the whole spec."""
from spec import SCALARS, SpecError

OPCODES = 0x1000  # VGPU_OPCODES of proto.h
BYTES_MAX = 1 << 16  # no record is longer: see vgpu_record_max()

# Names that generated functions use themselves.
RESERVED = {"session", "current", "call_flags", "in", "out", "reply", "got", "cursor", "place",
            "r", "w", "q", "p", "record_len"}


def check(spec):
    check_names(spec)
    for symbol in spec.symbols:
        if symbol.how == "call":
            check_call(symbol)
    check_drivers(spec)


def check_names(spec):
    names, opcodes, versions = {}, {}, {}
    for symbol in spec.symbols:
        once(names, symbol.name, symbol.place, f"'{symbol.name}'")
        if symbol.twin:
            once(names, symbol.twin, symbol.proc.place, f"'{symbol.twin}'")
        if symbol.how == "call":
            once(opcodes, symbol.opcode, symbol.place, f"number {symbol.opcode:#05x}")
        if not symbol.proc and not symbol.internal:
            raise SpecError(symbol.place, f"'{symbol.name}' has no proc line: cuGetProcAddress "
                            "would not find it")
        if symbol.proc:
            version = (symbol.proc.name, symbol.proc.since)
            once(versions, version, symbol.proc.place, f"'{version[0]}' of version {version[1]}")
            if not symbol.name.startswith(symbol.proc.name):
                raise SpecError(symbol.proc.place, f"'{symbol.name}' is no variant of "
                                f"'{symbol.proc.name}': a symbol begins with its base name")


def once(seen, key, place, what):
    if key in seen:
        raise SpecError(place, f"{what} is taken by line {seen[key].line}: each is used once")
    seen[key] = place


def check_drivers(spec):
    seen = {s.name: s.place for s in spec.calls if not s.internal}
    for driver in spec.drivers:
        once(seen, driver.name, driver.place, f"driver function '{driver.name}'")
    for arg in (a for call in spec.calls if not call.server_hook for a in call.args):
        if arg.end and arg.end not in seen:
            raise SpecError(arg.place, f"the worker may have to end '{arg.name}' by {arg.end}: "
                            f"add 'driver {arg.end}'")


def check_call(call):
    if not 0 < call.opcode < OPCODES:
        raise SpecError(call.place, f"number {call.opcode:#05x} is out of range: use 0x001 to "
                        f"{OPCODES - 1:#05x}")
    if not call.flow:
        raise SpecError(call.place, f"'{call.name}' has no flow line: add 'flow sync', "
                        "'flow async' or 'flow cached'")
    if call.internal:
        check_internal(call)
    names = {}
    for arg in call.args:
        if arg.name in RESERVED:
            raise SpecError(arg.place, f"'{arg.name}' is used by the generated code: "
                            "take another name")
        once(names, arg.name, arg.place, f"argument '{arg.name}'")
        check_arg(arg)
        check_fit(call, arg)
    made = [a for a in call.args if a.made]
    if len(made) > 1 and not call.server_hook:
        raise SpecError(made[1].place, "a second handle to be made: add server=hook")
    if call.twin and not call.client_hook or call.proc and call.proc.suffix == "ptsz":
        check_twin(call)


def check_internal(call):
    if call.proc:
        raise SpecError(call.proc.place, f"'{call.name}' is internal: it has no proc line")
    if call.client_hook:
        raise SpecError(call.place, f"'{call.name}' is internal: there is no public function "
                        "for client=hook")
    if not call.server_hook:
        raise SpecError(call.place, f"'{call.name}' is internal: no driver has it, add server=hook")


def check_twin(call):
    if call.proc.suffix == "ptds" and not call.client_hook:
        raise SpecError(call.proc.place, f"'{call.twin}' is written by hand: add client=hook")
    streams = [a for a in call.args if a.type == "handle" and a.of == "stream" and not a.out]
    if call.prototype or streams:
        return
    raise SpecError(call.proc.place, f"'{call.name}' takes no stream: give its C arguments in "
                    "an args line, or use pt=VERSION:ptds")


def check_fit(call, arg):
    """What generated code of either side can do with an argument."""
    if call.flow == "async" and not arg.sent:
        raise SpecError(arg.place, f"'{call.name}' is async: nobody waits for '{arg.name}', "
                        "use 'flow sync'")
    if arg.type in ("bytes", "chunk", "struct") and not call.server_hook:
        raise SpecError(arg.place, f"no driver function takes a {arg.type} as it is: "
                        "add server=hook")
    if call.internal or call.client_hook:
        return
    if arg.type in ("bytes", "chunk", "struct") or arg.made:
        raise SpecError(arg.place, f"'{arg.name}' cannot be made of a C argument: add client=hook")


def check_arg(arg):
    if arg.variable:
        check_variable(arg)
    elif arg.type in ("struct", "chunk", "handle", "device", "f32") and \
            (arg.min, arg.max, arg.mask) != (None, None, None):
        raise SpecError(arg.place, f"min=, max= and mask= do not apply to a {arg.type}")
    else:
        check_limits(arg)
    if arg.out and arg.type in ("string", "chunk", "device"):
        raise SpecError(arg.place, f"a {arg.type} cannot be out: use bytes or a number")
    if arg.null and not arg.out and arg.type not in ("handle", "string"):
        raise SpecError(arg.place, "'null' is for handles, strings and out arguments")


def check_variable(arg):
    if arg.max is None:
        raise SpecError(arg.place, f"'{arg.name}' has no bound: add max=BYTES")
    if not 0 < arg.max <= BYTES_MAX:
        raise SpecError(arg.place, f"max={arg.max} is out of range: use 1 to {BYTES_MAX}")
    if arg.mask is not None or arg.min is not None and arg.type == "string":
        raise SpecError(arg.place, "the length of bytes has min= and max=, of a string only max=")
    if arg.min is not None and not 0 < arg.min <= arg.max:
        raise SpecError(arg.place, f"min={arg.min} is out of range: use 1 to {arg.max}")


def check_limits(arg):
    if (arg.min, arg.max, arg.mask) == (None, None, None):
        return
    if arg.out:
        raise SpecError(arg.place, "min=, max= and mask= are for in arguments")
    scalar = SCALARS[arg.type]
    bits = 8 * scalar.size - (1 if scalar.signed else 0)
    for key in ("min", "max", "mask"):
        value = getattr(arg, key)
        lowest = -(1 << bits) if scalar.signed else 1 if key == "min" else 0
        if value is not None and not lowest <= value < 1 << bits:
            raise SpecError(arg.place, f"{key}={value} is out of range of {arg.type}")
    if arg.mask is not None and scalar.signed:
        raise SpecError(arg.place, "mask= is for unsigned types")
    if None not in (arg.min, arg.max) and arg.min > arg.max:
        raise SpecError(arg.place, f"min={arg.min} is above max={arg.max}")
