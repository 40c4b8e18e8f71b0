#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the documentation against the tree; prints TAP.

Man pages pass mandoc's lint; links and paths lead somewhere; targets of make
that are mentioned exist.
"""

import glob
import os
import re
import subprocess
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)]*)?\)")
CODE = re.compile(r"`([^`\n]+)`")
MAKE = re.compile(r"\bmake ((?:[A-Z_]+=\S+ )*)([a-z][a-z0-9-]*)")
# what a path in back quotes begins with, if it is one of the tree
ROOTS = ("kmod/", "userspace/", "uapi/", "tools/", "selftests/", "Documentation/", "LICENSES/",
         ".ci/")


def man_pages():
    for path in sorted(glob.glob("Documentation/man/*.[1-9]")):
        lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path],
                              capture_output=True, text=True)
        yield from lint.stdout.splitlines()


def documents():
    for path in ["README.md"] + sorted(glob.glob("Documentation/**/*.md", recursive=True)):
        if os.path.exists(path):
            with open(path) as file:
                yield path, file.read()


def paths():
    for name, text in documents():
        for link in LINK.finditer(text):
            target = link.group(1)
            if "://" not in target and not target.startswith("mailto:") and \
                    not os.path.exists(os.path.join(os.path.dirname(name), target)):
                yield "%s: link to %s leads nowhere" % (name, target)
        for code in CODE.finditer(text):
            path = code.group(1).split()[0]
            placeholder = "NAME" in path or "PART" in path
            if path.startswith(ROOTS) and not placeholder and not glob.glob(path):
                yield "%s: there is no %s" % (name, path)


def targets():
    known = set()
    for path in ["Makefile"] + glob.glob("*/*/build.mk") + glob.glob("selftests/*/*.inc"):
        with open(path) as file:
            for line in file:
                known.update(re.match(r"([\w\s.-]*):(?!=)", line).group(1).split()
                             if re.match(r"[a-z][\w\s.-]*:(?!=)", line) else [])
    for name, text in documents():
        for code in CODE.finditer(text):
            for target in MAKE.finditer(code.group(1)):
                if target.group(2) not in known:
                    yield "%s: make has no target %s" % (name, target.group(2))


def main():
    failed = 0
    checks = [man_pages, paths, targets]
    for number, check in enumerate(checks, 1):
        complaints = list(check())
        failed += bool(complaints)
        print("%sok %d - docs/%s" % ("not " if complaints else "", number, check.__name__))
        for complaint in complaints:
            print("#   " + complaint)
    print("1..%d" % len(checks))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
