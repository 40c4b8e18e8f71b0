# SPDX-License-Identifier: MIT
"""Helpers to write C that reads as if it were written by hand."""

COLUMNS = 100
TAB = 8


def width(line):
    return len(line.expandtabs(TAB))


def made_of(spec):
    return f"Made by tools/vapigen of {spec.path.rsplit('/', 1)[-1]}; do not edit."


def banner(spec, what):
    """The head of a generated file."""
    return ["/* SPDX-License-Identifier: MIT */", f"/* {made_of(spec)} */", f"/* {what} */"]


def wrapped(head, items, tail, comma=","):
    """head + items joined by commas + tail, broken at COLUMNS and aligned
    behind the opening parenthesis that ends head."""
    column = width(head)
    if column > COLUMNS - 40:
        lines, line, indent = [head], "\t\t", "\t\t"
    else:
        lines, line, indent = [], head, "\t" * (column // TAB) + " " * (column % TAB)
    for i, item in enumerate(items):
        item += comma if i + 1 < len(items) else tail
        fresh = line in (head, indent)
        if not fresh and width(line + " " + item) > COLUMNS:
            lines.append(line)
            line = indent + item
        else:
            line += item if fresh else " " + item
    return lines + [line if items else head + tail]


def function(result, name, params, body):
    """A whole function."""
    return wrapped(f"{result}{name}(", params or ["void"], ")") + ["{", *body, "}", ""]


def assigned(left, right):
    """An assignment or initialisation as a line, or as two if it is long."""
    line = f"\t{left} = {right};"
    return [line] if width(line) <= COLUMNS else [f"\t{left} =", f"\t\t{right};"]


def declare(c_type, name):
    """'int *' and 'x' make 'int *x'."""
    return f"{c_type}{name}" if c_type.endswith("*") else f"{c_type} {name}"


def hexadecimal(n):
    return str(n) if -1024 < n < 1024 else f"{n:#x}"
