# SPDX-License-Identifier: MIT
"""Makes C, documentation and test data of a spec; see userspace/proto/cuda.vapi."""
import argparse
import os
import sys

import check
import emit_calls
import emit_client
import emit_corpus
import emit_doc
import emit_driver
import emit_exports
import emit_fakes
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


def write_corpus(folder, spec):
    os.makedirs(folder, exist_ok=True)
    for name, record in emit_corpus.records(spec):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(record)


def emit(spec, args):
    if args.output:
        os.makedirs(args.output, exist_ok=True)
        for name, lines in FILES.items():
            write(os.path.join(args.output, name), lines(spec))
    if args.doc:
        write(args.doc, emit_doc.page(spec))
    if args.corpus:
        write_corpus(args.corpus, spec)
    if args.fakes:
        write(args.fakes, emit_fakes.source(spec))


def arguments():
    p = argparse.ArgumentParser(prog="vapigen", description=__doc__)
    p.add_argument("spec", help="the spec file")
    p.add_argument("-o", "--output", metavar="DIR", help="write all C files there")
    p.add_argument("--doc", metavar="FILE", help="write the API reference")
    p.add_argument("--corpus", metavar="DIR", help="write a valid record of each call there")
    p.add_argument("--fakes", metavar="FILE", help="write hooks and a driver for tests")
    return p.parse_args()


def main():
    args = arguments()
    try:
        spec = load(args.spec)
    except (SpecError, OSError, UnicodeDecodeError) as e:
        print(f"vapigen: {e}", file=sys.stderr)
        return 1
    emit(spec, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
