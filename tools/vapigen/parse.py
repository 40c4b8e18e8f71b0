# SPDX-License-Identifier: MIT
"""Reads a spec file line by line. What is wrong with a line alone is found
here; what is wrong with a block or the whole file, in check.py."""
import re

from spec import Arg, DriverName, KINDS, Place, Proc, SCALARS, Spec, SpecError, Symbol

FLOWS = ("sync", "async", "cached")
FLOW_WORDS = ("block", "noctx", "internal", "client=hook", "server=hook")
SUFFIXES = ("ptds", "ptsz")
PLAIN_TYPES = [t for t in SCALARS if t not in ("enum", "handle")] + ["bytes", "string", "chunk"]
TYPES_OF = ("enum", "handle", "struct")

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")
OPCODE = re.compile(r"0x[0-9a-f]{3}$")


def identifier(place, word, what):
    if not IDENTIFIER.match(word):
        raise SpecError(place, f"'{word}' cannot be the name of {what}: use letters, digits and _")
    return word


def number(place, word, text):
    try:
        return int(text, 0)
    except ValueError:
        raise SpecError(place, f"'{word}': '{text}' is not a number (123 or 0x7b)") from None


class Parser:
    def __init__(self, path):
        self.spec = Spec(path)
        self.block = None
        self.place = Place(path, 0)

    def error(self, text):
        return SpecError(self.place, text)

    def parse(self, text):
        for n, line in enumerate(text.split("\n"), 1):
            self.place = Place(self.spec.path, n)
            self.line(line)
        return self.spec

    def line(self, line):
        if line.startswith("#") or line == "":
            return
        if line != line.rstrip():
            raise self.error("blanks at the end of the line: remove them")
        if line.startswith(" "):
            raise self.error("indented by blanks: indent by one tab")
        if line.startswith("\t\t"):
            raise self.error("indented twice: a line of a block is indented by one tab")
        words = line.split()
        if line.startswith("\t"):
            self.body(words)
        else:
            self.head(words)

    # ---- head lines ----

    def head(self, words):
        heads = {"call": self.head_call, "local": self.head_plain, "stub": self.head_plain,
                 "driver": self.head_driver}
        if words[0] not in heads:
            raise self.error(f"'{words[0]}' begins no block: use {', '.join(heads)}, "
                             "or indent a line of a block by a tab")
        heads[words[0]](words)

    def head_call(self, words):
        if len(words) != 3 or not OPCODE.match(words[1]):
            raise self.error("write 'call 0xNNN NAME', the number in three hex digits")
        self.open("call", words[2], int(words[1], 16))

    def head_plain(self, words):
        if len(words) != 2:
            raise self.error(f"write '{words[0]} NAME'")
        self.open(words[0], words[1])

    def head_driver(self, words):
        if len(words) not in (2, 3) or words[2:] not in ([], ["optional"]):
            raise self.error("write 'driver NAME' or 'driver NAME optional'")
        name = identifier(self.place, words[1], "a function")
        self.spec.drivers.append(DriverName(self.place, name, len(words) == 3))
        self.block = None

    def open(self, how, name, opcode=0):
        identifier(self.place, name, "a function")
        self.block = Symbol(self.place, how, name, opcode)
        self.spec.symbols.append(self.block)

    # ---- lines of a block ----

    def body(self, words):
        lines = {"proc": self.proc, "flow": self.flow, "args": self.prototype,
                 "in": self.argument, "out": self.argument}
        if not self.block:
            raise self.error("this line belongs to no block: begin one with call, local or stub")
        if words[0] not in lines:
            raise self.error(f"'{words[0]}' is not known in a block: use {', '.join(lines)}")
        if self.block.how != "call" and words[0] != "proc":
            raise self.error(f"'{words[0]}' is for calls: a {self.block.how} has a proc line only")
        lines[words[0]](words)

    def proc(self, words):
        if self.block.proc:
            raise self.error("a second proc line: each symbol has one version")
        if len(words) not in (3, 4):
            raise self.error("write 'proc BASE since=VERSION [pt=VERSION:ptds|ptsz]'")
        proc = Proc(self.place, identifier(self.place, words[1], "a function"), 0)
        for word in words[2:]:
            key, _, value = word.partition("=")
            if key == "since" and not proc.since:
                proc.since = self.version(word, value)
            elif key == "pt" and not proc.suffix:
                version, _, proc.suffix = value.partition(":")
                proc.since_pt = self.version(word, version)
                if proc.suffix not in SUFFIXES:
                    raise self.error(f"'{word}': the suffix of a twin is ptds or ptsz")
            else:
                raise self.error(f"'{word}': a proc line has since=VERSION and "
                                 "pt=VERSION:SUFFIX, each once")
        if not proc.since:
            raise self.error("proc without since=VERSION")
        self.block.proc = proc

    def version(self, word, text):
        v = number(self.place, word, text)
        if not 2000 <= v <= 99990 or v % 10:
            raise self.error(f"'{word}': a version of CUDA is 1000 * major + 10 * minor")
        return v

    def flow(self, words):
        if self.block.flow:
            raise self.error("a second flow line")
        if len(words) < 2 or words[1] not in FLOWS:
            raise self.error(f"write 'flow {'|'.join(FLOWS)} [words]'")
        self.block.flow = words[1]
        for word in words[2:]:
            if word not in FLOW_WORDS:
                raise self.error(f"'{word}' is not a word of flow: use {', '.join(FLOW_WORDS)}")
            if word in self.block.words:
                raise self.error(f"'{word}' twice")
            self.block.words.add(word)

    def prototype(self, words):
        if self.block.prototype:
            raise self.error("a second args line")
        if len(words) < 2:
            raise self.error("write 'args' and the arguments of the C prototype")
        self.block.prototype = " ".join(words[1:])

    def argument(self, words):
        arg, rest = self.typed(words)
        for word in rest:
            self.word(arg, word)
        self.block.args.append(arg)

    def typed(self, words):
        """An Arg of the words 'in TYPE [OF] NAME', and the words after them."""
        form = f"write '{words[0]} TYPE NAME [words]'"
        if len(words) < 3:
            raise self.error(form)
        kind, of, rest = words[1], "", words[2:]
        if kind in TYPES_OF:
            of, rest = identifier(self.place, rest[0], f"a type of {kind}"), rest[1:]
            if not rest:
                raise self.error(f"write '{words[0]} {kind} WHICH NAME [words]'")
            if kind == "handle" and of not in KINDS:
                raise self.error(f"'{of}' is no kind of handle: use {', '.join(KINDS)}")
        elif kind not in PLAIN_TYPES:
            raise self.error(f"'{kind}' is no type: use {', '.join(list(TYPES_OF) + PLAIN_TYPES)}")
        name = identifier(self.place, rest[0], "an argument")
        return Arg(self.place, words[0] == "out", kind, of, name), rest[1:]

    def word(self, arg, word):
        key, sep, value = word.partition("=")
        if word == "null":
            if arg.null:
                raise self.error("'null' twice")
            arg.null = True
        elif sep and key in ("min", "max", "mask"):
            if getattr(arg, key) is not None:
                raise self.error(f"'{key}=' twice")
            setattr(arg, key, number(self.place, word, value))
        else:
            raise self.error(f"'{word}' is not a word of arguments: use min=, max=, mask=, null")
