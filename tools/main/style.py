#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the style of the tree; prints file:line: what is wrong, and TAP.

clang-format gives its opinion of C files, of which spacing inside lines and the
indentation of statements count. Where lines are broken and what is aligned in
columns is left to who writes: tables and lists of members read better so.
"""

import argparse
import difflib
import os
import re
import subprocess
import sys

COLUMNS = 100
LINES = 800
FUNCTION_LINES = 60
C_FILES = (".c", ".h")
TEXT_FILES = C_FILES + (".cu", ".py", ".mk", ".sh", ".vapi", ".inc")
SPDX = re.compile(r"^(/\*|//|#|\.\\\") SPDX-License-Identifier: (MIT|GPL-2\.0-only|"
                  r"GPL-2\.0 WITH Linux-syscall-note)( \*/)?$")


def tracked():
    names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "-z"],
                                    text=True).split("\0")
    return [name for name in names if name and os.path.isfile(name) and not os.path.islink(name)]


def is_source(name, lines):
    return name.endswith(TEXT_FILES) or os.path.basename(name) == "Makefile" or \
        bool(lines) and lines[0].startswith("#!")


def check_text(name, lines):
    first = lines[1] if lines and lines[0].startswith("#!") and len(lines) > 1 else \
        lines[0] if lines else ""
    if not SPDX.match(first):
        yield 1, "no SPDX-License-Identifier"
    if name.endswith(".h") or name.endswith(".c"):
        wanted = "/* " if name.endswith(".h") else ("/* ", "// ")
        if not first.startswith(wanted):
            yield 1, "the licence line is a comment of another kind"
    if len(lines) > LINES and not name.endswith(".vapi"):
        yield len(lines), "more than %d lines" % LINES
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "blanks at the end"
        if len(line.expandtabs(8)) > COLUMNS and not name.endswith(".vapi"):
            yield number, "longer than %d columns" % COLUMNS


def check_c(lines):
    """What clang-format cannot say without breaking lines anew."""
    begin = None
    for number, line in enumerate(lines, 1):
        before = lines[number - 2] if number > 1 else ""
        if re.match(r" {8}", line):
            yield number, "indented with blanks"
        if re.match(r"\t+\{$", line) and before.endswith(")"):
            yield number, "the brace belongs on the line before"
        if re.match(r"\t*else\b", line) and re.match(r"\t*\}$", before):
            yield number, "else belongs behind the brace"
        if line == "{":
            begin = number
        if line == "}" and begin:
            if number - begin > FUNCTION_LINES:
                yield begin, "a function of %d lines" % (number - begin)
            begin = None


def words(lines):
    """Pieces between white space, each with the number of its line; no macros."""
    found, macro = [], False
    for number, line in enumerate(lines, 1):
        macro = macro or line.lstrip().startswith("#")
        if not macro:
            found += [(piece, number) for piece in line.split()]
        macro = macro and line.endswith("\\")
    return found


def misread(ours, theirs):
    """clang-format takes C for C++: comparisons for templates, names for key words."""
    return "( " in theirs or "* const" in ours or \
        re.search(r"\w>|<\w|\) ?[-&*]|^\* \w+;|^&\w|\bclass\b", theirs)


def check_spacing(lines, formatted):
    """Places where clang-format puts in or takes out white space within a line."""
    old, new = words(lines), words(formatted)
    matcher = difflib.SequenceMatcher(None, [w for w, _ in old], [w for w, _ in new], False)
    for what, i, j, k, m in matcher.get_opcodes():
        ours, theirs = " ".join(w for w, _ in old[i:j]), " ".join(w for w, _ in new[k:m])
        if what == "equal" or ours.replace(" ", "") != theirs.replace(" ", ""):
            continue
        if len({n for _, n in old[i:j]}) == 1 and not misread(ours, theirs):
            yield old[i][1], "spacing: '%s', not '%s'" % (theirs, ours)


def statement_starts(lines):
    """(text, indentation, number) of lines that begin after a finished one."""
    before = ";"
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and before.endswith((";", "{", "}")) and text[0] not in "#/*{.[":
            yield text, line[:len(line) - len(line.lstrip())], number
        before = text or before


def check_indentation(lines, formatted):
    old, new = list(statement_starts(lines)), list(statement_starts(formatted))
    matcher = difflib.SequenceMatcher(None, [s[0] for s in old], [s[0] for s in new], False)
    for i, k, n in matcher.get_matching_blocks():
        for a, b in zip(old[i:i + n], new[k:k + n]):
            if a[1] != b[1]:
                yield a[2], "indentation"


def check_format(name, lines):
    formatted = subprocess.run(["clang-format", name], capture_output=True, text=True, check=True)
    formatted = formatted.stdout.splitlines()
    yield from check_spacing(lines, formatted)
    yield from check_indentation(lines, formatted)


# What checkpatch may not say, and why. Lines may have as many columns as elsewhere.
CHECKPATCH_IGNORE = {
    # uapi headers have no BIT(); names that macros paste are used as often as needed
    "": "BIT_MACRO,MACRO_ARG_PRECEDENCE,MACRO_ARG_REUSE",
    # looking at the kernel's version is what it is for
    "kmod/compat.h": "LINUX_VERSION_CODE,CONSTANT_COMPARISON",
    # a language of its own
    "kmod/trace.h": "OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT,COMPLEX_MACRO",
}


def is_kernel(name):
    return name.startswith(("kmod/", "uapi/")) and name.endswith(C_FILES)


def check_kernel(name, checkpatch):
    ignore = ",".join(CHECKPATCH_IGNORE[key] for key in ("", name) if key in CHECKPATCH_IGNORE)
    said = subprocess.run(
        [checkpatch, "--no-tree", "--strict", "--terse", "--max-line-length=%d" % COLUMNS,
         "--ignore", ignore, "--file", name], capture_output=True, text=True, check=False)
    for line in said.stdout.splitlines():
        found = re.match(re.escape(name) + r":(\d+): (.*)", line)
        if found:
            yield int(found.group(1)), found.group(2)
    if said.returncode not in (0, 1):
        yield 1, "checkpatch failed: " + said.stderr.strip()


def check_file(name, checkpatch):
    with open(name, errors="surrogateescape") as file:
        text = file.read()
    if "\0" in text[:4096]:
        return
    lines = text.splitlines()
    if not is_source(name, lines) or "/golden/" in name or "/corpus/" in name:
        return
    yield from check_text(name, lines)
    if text and not text.endswith("\n"):
        yield len(lines), "no newline at the end"
    if name.endswith(C_FILES):
        yield from check_c(lines)
        if name != "kmod/trace.h":
            yield from check_format(name, lines)
    if is_kernel(name) and checkpatch:
        yield from check_kernel(name, checkpatch)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--checkpatch", help="the kernel's script, for kernel code")
    parser.add_argument("files", nargs="*", help="default: all of the tree")
    options = parser.parse_args()
    count = 0
    for name in options.files or tracked():
        for number, what in check_file(name, options.checkpatch):
            print("%s:%d: %s" % (name, number, what))
            count += 1
    print("%sok 1 - style # %d complaints\n1..1" % ("not " if count else "", count))
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
