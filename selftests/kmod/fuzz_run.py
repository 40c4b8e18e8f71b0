#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs fuzz_sequences and says which code of the module it did not reach.

    fuzz_run.py [--least PERCENT] [OPTION OF fuzz_sequences...]

Needs a kernel with KCOV, the module loaded from $VGPU_KO, and the fuzzer in
$VGPU_BUILD. A basic block is a call of __sanitizer_cov_trace_pc, which the
compiler put into each; those of loading and unloading do not count, as nobody
looks then. What runs in a kernel thread, as the end of a channel that nobody
accepts does, is not seen by KCOV and counts as not reached. Prints TAP.
"""

import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile

SECTIONS = (".text", ".text.unlikely")
FUNCTION = re.compile(r"[0-9a-f]+ <([^>]+)>:$")
CALL = re.compile(r"\s*([0-9a-f]+): R_X86_64_\w+\s+__sanitizer_cov_trace_pc\b")

Block = collections.namedtuple("Block", "section offset function")


def blocks(module):
    """All of the module; their offsets are those that KCOV tells."""
    found = []
    for section in SECTIONS:
        text = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", "-j", section, module],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=False).stdout
        function = None
        for line in text.splitlines():
            begin, call = FUNCTION.match(line), CALL.match(line)
            if begin:
                function = begin.group(1)
            elif call:
                # the address that the call returns to: behind the 4 bytes
                found.append(Block(section, int(call.group(1), 16) + 4,
                                   function.removesuffix(".cold")))
    return found


def read_coverage(path):
    """(addresses of sections, addresses that were reached)"""
    bases, reached = {}, set()
    with open(path) as file:
        for line in file:
            words = line.split()
            if words[0] == "base":
                bases[words[1]] = int(words[2], 16)
            else:
                reached.add(int(words[1], 16))
    return bases, reached


def show(all_blocks, missed):
    """The functions that were not reached as a whole."""
    total = collections.Counter(block.function for block in all_blocks)
    for function, n in sorted(collections.Counter(block.function for block in missed).items()):
        print("# not reached: %s, %d of %d" % (function, n, total[function]))


def judge(module, path, least):
    """0 or 1, after the lines on it."""
    bases, reached = read_coverage(path)
    all_blocks = blocks(module)
    missed = [block for block in all_blocks
              if bases.get(block.section, 0) + block.offset not in reached]
    count = len(all_blocks) - len(missed)
    show(all_blocks, missed)
    good = all_blocks and count * 100 >= least * len(all_blocks)
    print("%sok 4 %d of %d basic blocks were reached, at least %d %% have to be" %
          ("" if good else "not ", count, len(all_blocks), least))
    return 0 if good else 1


def fuzz(path, more):
    """The fuzzer's exit status; what it prints but the number of its tests is passed on."""
    program = os.path.join(os.environ["VGPU_BUILD"], "tests/kmod/fuzz_sequences")
    with subprocess.Popen([program, "--coverage", path, *more], stdout=subprocess.PIPE,
                          text=True, errors="replace") as process:
        for line in process.stdout:
            print("1..4" if line.startswith("1..") else line.rstrip("\n"), flush=True)
    return process.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--least", type=int, default=0, help="percent of the blocks")
    options, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "coverage")
        status = fuzz(path, more)
        if not os.path.exists(path):
            return status or 1
        return judge(os.environ["VGPU_KO"], path, options.least) or status


if __name__ == "__main__":
    sys.exit(main())
