#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of tools/vapigen: what becomes of a small spec, what is refused, and
whether the spec and the files made of it agree. Prints TAP.
--update writes the expected files anew."""
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from bad_specs import BAD  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
GOLDEN = os.path.join(HERE, "golden")
SPEC = os.path.join(ROOT, "userspace/proto/cuda.vapi")
CUDA = os.environ.get("CUDA_HOME", "/usr/local/cuda")
count = failed = 0


def report(name, problem=None, skip=None):
    global count, failed
    count += 1
    failed += problem is not None
    print(f"{'not ' if problem else ''}ok {count} - {name}{f' # SKIP {skip}' if skip else ''}")
    for line in (problem or "").splitlines():
        print(f"# {line}")


def vapigen(*args):
    run = [sys.executable, "-B", os.path.join(ROOT, "tools/vapigen"), *args]
    return subprocess.run(run, capture_output=True, text=True, check=False)


def generate(spec, folder):
    return vapigen(spec, "-o", f"{folder}/gen", "--doc", f"{folder}/api.md", "--fakes",
                   f"{folder}/fakes.c", "--corpus", f"{folder}/corpus")


def files_below(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder)
                  for at, _, names in os.walk(folder) for name in names)


def content(path):
    with open(path, "rb") as f:
        return f.read()


def differences(expected, made):
    names = set(files_below(expected)) | set(files_below(made))
    for name in sorted(names - {"small.vapi"}):
        paths = [os.path.join(folder, name) for folder in (expected, made)]
        if not all(map(os.path.exists, paths)) or content(paths[0]) != content(paths[1]):
            yield name


# ---- tests ----


def test_golden(folder):
    result = generate(os.path.join(GOLDEN, "small.vapi"), folder)
    if result.returncode:
        return result.stderr
    different = list(differences(GOLDEN, folder))
    return f"not as expected: {' '.join(different)}" if different else None


def test_golden_compiles(folder):
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
             "-Wmissing-prototypes", "-fsyntax-only"]
    paths = [f"-I{HERE}/fake", f"-I{HERE}", f"-I{ROOT}/uapi", f"-I{ROOT}/userspace", f"-I{folder}"]
    sources = [f"{folder}/{name}" for name in files_below(folder) if name.endswith(".c")]
    run = [os.environ.get("CC", "cc"), *flags, *paths, "-isystem", f"{CUDA}/include", *sources]
    return subprocess.run(run, capture_output=True, text=True, check=False).stderr or None


def test_bad(text, line, says):
    with tempfile.NamedTemporaryFile("w", suffix=".vapi") as f:
        f.write(text)
        f.flush()
        result = vapigen(f.name)
        if result.returncode == 0:
            return "it was accepted"
        if f"{f.name}:{line}: " not in result.stderr or says not in result.stderr:
            return f"expected line {line} and '{says}', not: {result.stderr}"
    return None


def test_up_to_date(made, name, committed):
    made, committed = os.path.join(made, name), os.path.join(ROOT, committed)
    if os.path.isdir(made):
        same = not list(differences(committed, made))
    else:
        same = os.path.exists(committed) and content(made) == content(committed)
    return None if same else f"{committed} is not what the spec says now"


def test_exports(folder):
    """Every symbol of the toolkit's stub library is exported."""
    nm = subprocess.run(["nm", "-D", f"{CUDA}/lib64/stubs/libcuda.so"], capture_output=True,
                        text=True, check=True).stdout
    ours = set(re.findall(r"\t(cu\w+);", content(f"{folder}/gen/exports.map").decode()))
    missing = set(re.findall(r" T (cu\w+)", nm)) - ours
    return f"missing: {' '.join(sorted(missing))}" if missing else None


def test_versions(folder):
    """Every version of cudaTypedefs.h is known, with and without twin."""
    procs = re.sub(r"\n\t\s+", " ", content(f"{folder}/gen/procs.c").decode())
    ours = set()
    for base, since, _, rest in re.findall(r"(?:PROC|PAIR)\((\w+), (\d+), (\w+)([^)\n]*)\)", procs):
        ours.add((base, since, ""))
        twin = re.fullmatch(r", (\d+), \w+_(ptds|ptsz)", rest)
        if twin:
            ours.add((base, *twin.groups()))
    header = content(f"{CUDA}/include/cudaTypedefs.h").decode()
    theirs = set(re.findall(r"PFN_(cu\w+?)_v(\d+)(?:_(pt[ds][sz]))?\)", header))
    missing = {" ".join(t) for t in theirs - ours}
    return f"missing: {', '.join(sorted(missing))}" if missing else None


def main():
    if "--update" in sys.argv:
        return generate(os.path.join(GOLDEN, "small.vapi"), GOLDEN).returncode
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as whole:
        report("small spec", test_golden(small))
        report("what is made of it compiles", test_golden_compiles(small))
        for name, text, line, says in BAD:
            report(f"refused: {name}", test_bad(text, line, says))
        result = generate(SPEC, whole)
        report("the spec", result.stderr or None)
        report("API reference is up to date",
               test_up_to_date(whole, "api.md", "Documentation/api.md"))
        report("fuzz corpus is up to date",
               test_up_to_date(whole, "corpus", "selftests/fuzz/corpus/serve"))
        if os.path.exists(f"{CUDA}/lib64/stubs/libcuda.so"):
            report("all symbols are exported", test_exports(whole))
        else:
            report("all symbols are exported", skip="no stub library in CUDA_HOME")
        report("all versions are known", test_versions(whole))
    print(f"1..{count}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
