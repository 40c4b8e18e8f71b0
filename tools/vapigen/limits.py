# SPDX-License-Identifier: MIT
"""The checks that both sides make of an argument's value."""
from text import hexadecimal, wrapped


def conditions(arg, value):
    """C conditions that are true of a value that the spec does not allow."""
    bad = []
    if arg.min is not None:
        bad.append(f"{value} < {hexadecimal(arg.min)}")
    if arg.max is not None:
        bad.append(f"{value} > {hexadecimal(arg.max)}" if arg.max or arg.type == "i32" else value)
    if arg.mask is not None:
        bad.append(f"{value} & ~{suffixed(arg)}")
    return bad


def suffixed(arg):
    """The mask as wide as the type, or ~ would leave the upper half free."""
    wide = arg.type in ("u64", "size", "devptr")
    return f"(uint64_t){arg.mask:#x}" if wide else f"{arg.mask:#x}u"


def refuse(bad, answer="CUDA_ERROR_INVALID_VALUE"):
    """An if for the conditions; none without conditions."""
    if not bad:
        return []
    if len(bad) > 1:
        bad = [f"({b})" if " & " in b else b for b in bad]
    return wrapped("\tif (", bad, ")", " ||") + [f"\t\treturn {answer};"]
