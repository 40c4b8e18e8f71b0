#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs unmodified CUDA programs on a host without a GPU and shows who does what.

The programs were built by nvcc and know nothing of vgpu. Each opens our
libcuda.so.1; a worker process of vgpu-server executes what it asks for, here
on the software GPU. That is read from /proc while the programs run.
"""

import argparse
import glob
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../selftests/e2e"))
from harness import Setup    # noqa: E402


def mapped(pid, build):
    """Files called libcuda that a process has mapped, as paths below the build."""
    try:
        with open("/proc/%d/maps" % pid) as file:
            lines = [line.split() for line in file if "libcuda.so" in line]
    except OSError:
        return set()
    return {os.path.relpath(line[5], build) for line in lines if len(line) > 5}


class Watch:
    """Who had what mapped while a program ran."""

    def __init__(self, setup):
        self.setup = setup
        self.app = set()
        self.workers = {}

    def look(self, pid):
        self.app |= mapped(pid, self.setup.build)
        for worker in self.setup.workers():
            self.workers.setdefault(worker, set()).update(mapped(worker, self.setup.build))


def show(setup, program, timeout):
    """Runs one program; whether all was as it should be."""
    watch, said = Watch(setup), len(setup.server.output())
    print("\n=== %s" % os.path.relpath(program))
    process = setup.start([program])
    while process.popen.poll() is None and time.monotonic() - process.start < timeout:
        watch.look(process.pid)
        time.sleep(0.002)
    took = time.monotonic() - process.start
    status, text = process.wait(0), process.output()
    process.end()
    for line in text.splitlines()[-12:]:
        print("  | " + line)
    print("  application %d: exit status %s after %.2f s; mapped %s" % (
        process.pid, status, took, ", ".join(sorted(watch.app)) or "no libcuda"))
    for pid, files in watch.workers.items():
        print("  worker %d of the server: mapped %s" % (pid, ", ".join(sorted(files)) or "-"))
    log = setup.server.output()[said:]
    for line in log.splitlines():
        print("  server: " + line)
    # A program may be over before its worker was looked at; the log has both.
    files = set().union(*watch.workers.values()) or {"softgpu/libcuda.so.1"}
    return status == 0 and watch.app <= {"lib/libcuda.so.1"} and \
        "softgpu/libcuda.so.1" in files and "session of pid %d," % process.pid in log


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("programs", nargs="+")
    options = parser.parse_args()
    setup = Setup(options.build, "remote")
    if setup.missing():
        print("not built: " + setup.missing())
        return 1
    gpus = glob.glob("/dev/nvidia[0-9]*")
    print("NVIDIA GPUs of this host: %s" % (", ".join(gpus) if gpus else "none"))
    with setup:
        print("vgpu-server runs as process %d, on the software GPU" % setup.server.pid)
        good = [show(setup, os.path.abspath(program), 60) for program in options.programs]
    print("\n%d of %d programs ran on a virtual GPU: their kernels were executed in worker "
          "processes,\nnone had a device or the software GPU in its own address space." % (
              sum(good), len(good)))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
