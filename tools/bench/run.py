#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures through vgpu and directly on the libcuda underneath, side by side.

Runs alternate, so that a noisy machine hits both; the best of the rounds counts.
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../selftests/e2e"))
from harness import Setup    # noqa: E402

PROGRAMS = ["vector_add", "matrix_product", "reduction", "histogram", "scan", "nbody", "streams",
            "large_copy", "many_allocations"]


def run(setup, command):
    """Output and seconds of a program that must succeed."""
    process = setup.start(command)
    status = process.wait(300)
    took = time.monotonic() - process.start
    text = process.output()
    process.end()
    if status != 0:
        raise SystemExit("%s failed:\n%s" % (" ".join(command), text))
    return text, took


def measure(setup, options):
    """{name: (value, unit)} of one round."""
    text, _ = run(setup, [options.calls, str(options.largest << 20)])
    figures = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            figures[words[0]] = (float(words[1]), words[2])
    for name in PROGRAMS:
        _, took = run(setup, [os.path.join(options.programs, name)])
        figures["program/" + name] = (took * 1e3, "ms")
    return figures


def better(a, b):
    if a is None:
        return b
    return max(a, b) if b[1] == "GB/s" else min(a, b)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--programs", default="build/e2e/static")
    parser.add_argument("--calls", default="build/bench/calls")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--largest", type=int, default=256, help="largest copy in MiB")
    options = parser.parse_args()
    best = {"direct": {}, "remote": {}}
    for _ in range(options.rounds):
        for mode, figures in best.items():
            with Setup(options.build, mode, devices=1) as setup:
                for name, figure in measure(setup, options).items():
                    figures[name] = better(figures.get(name), figure)
    print("%-26s %12s %12s %8s" % ("", "directly", "through vgpu", "ratio"))
    for name, (value, unit) in best["direct"].items():
        through = best["remote"][name][0]
        print("%-26s %12.4g %12.4g %8.2f %s" % (name, value, through, through / value, unit))
    return 0


if __name__ == "__main__":
    sys.exit(main())
