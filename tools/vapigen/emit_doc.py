# SPDX-License-Identifier: MIT
"""Documentation/api.md: what each function of the driver API does here."""
from text import made_of

HEAD = """# The driver API

Every function that `libcuda.so.1` exports, the version of CUDA that brought it, the version that
brought its twin with per-thread default stream (exported as NAME_ptsz or NAME_ptds), and where it
is answered:

- **worker**: the call travels to the worker as a record. *Asynchronous*: it returns at once, its
  errors are reported by a later call. *Cached*: libcuda remembers the answer.
- **libcuda**: answered without a record of its own, or made of other calls.
- **no**: returns CUDA_ERROR_NOT_SUPPORTED. VGPU_TRACE_UNSUPPORTED=1 shows who asks for it."""

FLOWS = {"sync": "worker", "async": "worker, asynchronous", "cached": "worker, cached"}


def state(symbol):
    if symbol.how == "call":
        return f"{FLOWS[symbol.flow]} ({symbol.opcode:#05x})"
    return "libcuda" if symbol.how == "local" else "no"


def version(since):
    return f"{since // 1000}.{since % 1000 // 10}"


def row(symbol):
    p = symbol.proc
    twin = f"{version(p.since_pt)} ({p.suffix})" if symbol.twin else ""
    return f"| {symbol.name} | {version(p.since)} | {twin} | {state(symbol)} |"


def page(spec):
    public = spec.public
    supported = sum(s.how != "stub" for s in public)
    lines = ["<!-- SPDX-License-Identifier: MIT -->", f"<!-- {made_of(spec)} -->"]
    lines += HEAD.split("\n") + ["", f"{supported} of {len(public)} functions are supported.", "",
              "| Function | Since | Twin since | Answered by |", "|---|---|---|---|"]
    return lines + [row(s) for s in public]
