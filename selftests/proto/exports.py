#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""exports.py LIBCUDA [SOFTGPU]: the libraries export what the spec says, and
somebody wrote each function that it says is supported. Prints TAP."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools/vapigen"))
import emit_driver  # noqa: E402
from parse import Parser  # noqa: E402


def symbols(path):
    """{name: is it a default definition}"""
    nm = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True,
                        check=True).stdout
    return {line.split()[2]: line.split()[1] == "W" for line in nm.splitlines()}


def supported(spec):
    made = [s for s in spec.public if s.how != "stub"]
    return [n for s in made for n in (s.name, s.twin) if n]


def unsupported(spec):
    return [n for s in spec.public if s.how == "stub" for n in (s.name, s.twin) if n]


def check(number, name, wrong):
    print(f"{'not ' if wrong else ''}ok {number} - {name}")
    if wrong:
        print(f"# {' '.join(sorted(wrong))}")
    return bool(wrong)


def main():
    path = os.path.join(ROOT, "userspace/proto/cuda.vapi")
    with open(path, encoding="utf-8") as f:
        spec = Parser(path).parse(f.read())
    libcuda = symbols(sys.argv[1])
    exports = set(spec.exports)
    needed = [name for name, optional in emit_driver.names(spec) if not optional]
    checks = [
        ("libcuda exports the spec's symbols and no others", exports ^ set(libcuda)),
        ("libcuda has what the spec says is supported",
         [n for n in supported(spec) if libcuda.get(n, True)]),
        ("libcuda has nothing that the spec says is not",
         [n for n in unsupported(spec) if not libcuda.get(n, True)]),
    ]
    if len(sys.argv) > 2:
        softgpu = symbols(sys.argv[2])
        checks += [
            ("softgpu exports the spec's symbols and no others", exports ^ set(softgpu)),
            ("softgpu has what a worker needs", [n for n in needed if softgpu.get(n, True)]),
        ]
    failed = sum(check(n, *c) for n, c in enumerate(checks, 1))
    print(f"1..{len(checks)}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
