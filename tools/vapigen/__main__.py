# SPDX-License-Identifier: MIT
"""vapigen SPEC -o DIR: C files made of a spec; see userspace/proto/cuda.vapi."""
import argparse
import os
import sys

import check
import emit_calls
import emit_client
import emit_driver
import emit_exports
import emit_public
import emit_serve
from parse import Parser
from spec import SpecError

FILES = {
    "calls.h": emit_calls.header,
    "calls.c": emit_calls.source,
    "client.h": emit_client.header,
    "client.c": emit_client.source,
    "serve.h": emit_serve.header,
    "serve.c": emit_serve.source,
    "driver.h": emit_driver.header,
    "driver.c": emit_driver.source,
    "public.c": emit_public.source,
    "procs.c": emit_exports.procs,
    "unsupported.h": emit_exports.unsupported_header,
    "unsupported.c": emit_exports.unsupported,
    "exports.map": emit_exports.version_script,
}


def load(path):
    with open(path, encoding="utf-8") as f:
        spec = Parser(path).parse(f.read())
    check.check(spec)
    return spec


def write(path, lines):
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def arguments():
    p = argparse.ArgumentParser(prog="vapigen", description=__doc__)
    p.add_argument("spec", help="the spec file")
    p.add_argument("-o", "--output", metavar="DIR", help="write all C files there")
    return p.parse_args()


def main():
    args = arguments()
    try:
        spec = load(args.spec)
    except (SpecError, OSError, UnicodeDecodeError) as e:
        print(f"vapigen: {e}", file=sys.stderr)
        return 1
    if args.output:
        os.makedirs(args.output, exist_ok=True)
        for name, emit in FILES.items():
            write(os.path.join(args.output, name), emit(spec))
    return 0


if __name__ == "__main__":
    sys.exit(main())
