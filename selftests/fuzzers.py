#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs fuzz targets for some seconds each, from their corpus; prints TAP.

    fuzzers.py [--seconds N] [--findings DIR] PROGRAM...

A PROGRAM fuzz_NAME starts from selftests/fuzz/corpus/NAME. What it finds stays
in DIR, and is a failure.
"""

import argparse
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + "/e2e")
from harness import Process, Tap    # noqa: E402


def fuzz(program, options, tap):
    name = os.path.basename(program)
    corpus = os.path.join(HERE, "fuzz/corpus", name[len("fuzz_"):])
    os.makedirs(options.findings, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vgpu-fuzz-") as new:
        command = [program, "-max_total_time=%d" % options.seconds, "-timeout=10",
                   "-rss_limit_mb=2048", "-print_final_stats=1",
                   "-artifact_prefix=%s/%s-" % (options.findings, name), new]
        if os.path.isdir(corpus):
            command.append(corpus)
        process = Process(command, dict(os.environ))
        status = process.wait(options.seconds * 3 + 60)
        text = process.output()
        process.end()
    why = "did not end in time" if status is None else \
        "exit status %d, see %s" % (status, options.findings) if status else ""
    tap.result(not why, "fuzz/" + name, why, "\n".join(text.splitlines()[-60:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--findings", default="build/fuzz/findings")
    parser.add_argument("programs", nargs="*")
    options = parser.parse_args()
    tap = Tap()
    for program in options.programs:
        fuzz(os.path.abspath(program), options, tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
