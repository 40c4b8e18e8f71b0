# SPDX-License-Identifier: MIT
"""What a spec says, as the emitters see it: calls, symbols, arguments."""
from dataclasses import dataclass, field
from typing import Optional


@dataclass
class Place:
    """Where in a spec file something was said."""

    path: str
    line: int

    def __str__(self):
        return f"{self.path}:{self.line}"


class SpecError(Exception):
    """The spec is wrong at a place; the text says what to do about it."""

    def __init__(self, place, text):
        super().__init__(f"{place}: {text}")


@dataclass(frozen=True)
class Scalar:
    """A type whose value is one word of the record."""

    wire: str  # C type in the record
    size: int
    c: str  # C type in prototypes
    signed: bool = False


SCALARS = {
    "i32": Scalar("int32_t", 4, "int", True),
    "u8": Scalar("uint8_t", 1, "unsigned char"),
    "u16": Scalar("uint16_t", 2, "unsigned short"),
    "u32": Scalar("uint32_t", 4, "unsigned int"),
    "u64": Scalar("uint64_t", 8, "uint64_t"),
    "f32": Scalar("float", 4, "float", True),
    "size": Scalar("uint64_t", 8, "size_t"),
    "devptr": Scalar("uint64_t", 8, "CUdeviceptr"),
    "device": Scalar("uint32_t", 4, "int"),
    "enum": Scalar("uint32_t", 4, ""),
    "handle": Scalar("uint64_t", 8, "uint64_t"),
}

# The function that ends what a handle stands for; the others go with what they are of.
ENDS = {
    "ctx": "cuCtxDestroy_v2",
    "stream": "cuStreamDestroy_v2",
    "event": "cuEventDestroy_v2",
    "module": "cuModuleUnload",
    "library": "cuLibraryUnload",
}

# Kind of handle: its C type and what VGPU_KIND_ it is.
KINDS = {
    "ctx": ("CUcontext", "CONTEXT"),
    "stream": ("CUstream", "STREAM"),
    "event": ("CUevent", "EVENT"),
    "module": ("CUmodule", "MODULE"),
    "library": ("CUlibrary", "LIBRARY"),
    "kernel": ("CUkernel", "KERNEL"),
    "function": ("CUfunction", "FUNCTION"),
}


@dataclass
class Arg:
    place: Place
    out: bool
    type: str  # a key of SCALARS, or bytes, string, struct, chunk
    of: str  # which enum, struct or kind; else ""
    name: str
    min: Optional[int] = None
    max: Optional[int] = None
    mask: Optional[int] = None
    null: bool = False

    @property
    def variable(self):
        """Its bytes follow the fixed part of the record."""
        return self.type in ("bytes", "string")

    @property
    def made(self):
        """A handle that the client made and the worker is to use."""
        return self.out and self.type == "handle"

    @property
    def sent(self):
        """It is a field of the request, not of the reply."""
        return not self.out or self.made

    @property
    def end(self):
        """Function that undoes the making of a handle, or ""."""
        return ENDS.get(self.of, "") if self.made else ""

    @property
    def kind(self):
        return f"VGPU_KIND_{KINDS[self.of][1]}"

    @property
    def value_type(self):
        """C type of the value in the prototypes of vgpu_call_ and vgpu_hook_."""
        if self.type == "enum":
            return self.of
        if self.type == "struct":
            return f"struct {self.of}"
        return SCALARS[self.type].c


@dataclass
class Proc:
    """How cuGetProcAddress knows a symbol."""

    place: Place
    name: str
    since: int
    since_pt: int = 0
    suffix: str = ""


@dataclass
class Symbol:
    """A block of the spec: a call, or a function that libcuda answers alone."""

    place: Place
    how: str  # call, local or stub
    name: str
    opcode: int = 0
    proc: Optional[Proc] = None
    flow: str = ""
    words: set = field(default_factory=set)
    prototype: str = ""  # C arguments, where they are not those of the record
    args: list = field(default_factory=list)

    @property
    def internal(self):
        return "internal" in self.words

    @property
    def client_hook(self):
        return "client=hook" in self.words

    @property
    def server_hook(self):
        return "server=hook" in self.words

    @property
    def requests(self):
        return [a for a in self.args if a.sent]

    @property
    def replies(self):
        return [a for a in self.args if not a.sent]

    @property
    def twin(self):
        """Name of the variant with per-thread default stream, or ""."""
        return f"{self.name}_{self.proc.suffix}" if self.proc and self.proc.suffix else ""


@dataclass
class DriverName:
    """A function that the worker's hand-written code needs of the driver beneath."""

    place: Place
    name: str
    optional: bool


@dataclass
class Spec:
    path: str
    symbols: list = field(default_factory=list)
    drivers: list = field(default_factory=list)

    @property
    def calls(self):
        return sorted((s for s in self.symbols if s.how == "call"), key=lambda s: s.opcode)

    @property
    def public(self):
        """Symbols that a libcuda.so.1 exports, in the order of their names."""
        return sorted((s for s in self.symbols if not s.internal), key=lambda s: s.name)

    @property
    def exports(self):
        """All exported names: symbols and their twins."""
        names = [s.name for s in self.public] + [s.twin for s in self.public if s.twin]
        return sorted(names)
