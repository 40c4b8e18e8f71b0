#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs unmodified CUDA programs on a host without a GPU and shows who does what.

The programs were built by nvcc and know nothing of vgpu. Each opens our
libcuda.so.1; a worker process of vgpu-server executes what it asks for, here
on the software GPU. That is read from /proc while the programs run.

They run in a virtual machine with vgpu.ko, on /dev/vgpu0. Where there is no
QEMU, they run here, and a unix socket takes the place of the module.
"""

import argparse
import glob
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VM = os.path.join(HERE, "../vm/vm")
NO_VM = 77      # exit status of vm: not installed

sys.path.insert(0, os.path.join(HERE, "../../selftests/e2e"))
from harness import Setup    # noqa: E402


def mapped(pid, build):
    """Files called libcuda that a process has mapped, as paths below the build."""
    try:
        with open("/proc/%d/maps" % pid) as file:
            lines = [line.split() for line in file if "libcuda.so" in line]
    except OSError:
        return set()
    return {os.path.relpath(line[5], build) for line in lines if len(line) > 5}


def nodes(pid):
    """Virtual GPUs that a process has open."""
    found = set()
    for link in glob.glob("/proc/%d/fd/*" % pid):
        try:
            path = os.readlink(link)
        except OSError:
            continue
        if path.startswith("/dev/vgpu"):
            found.add(path)
    return found


class Watch:
    """Who had what mapped and open while a program ran."""

    def __init__(self, setup):
        self.setup = setup
        self.app = set()
        self.nodes = set()
        self.workers = {}

    def look(self, pid):
        self.app |= mapped(pid, self.setup.build)
        self.nodes |= nodes(pid)
        for worker in self.setup.workers():
            self.workers.setdefault(worker, set()).update(mapped(worker, self.setup.build))


def title(text):
    print("\n=== " + text, flush=True)


def show_program(setup, program, timeout):
    """Runs one program; whether all was as it should be."""
    watch, said = Watch(setup), len(setup.server.output())
    title(os.path.relpath(program, setup.build))
    process = setup.start([program])
    while process.popen.poll() is None and time.monotonic() - process.start < timeout:
        watch.look(process.pid)
        time.sleep(0.002)
    took = time.monotonic() - process.start
    status, text = process.wait(0), process.output()
    process.end()
    for line in text.splitlines()[-12:]:
        print("  | " + line)
    print("  application %d: exit status %s after %.2f s; mapped %s%s" % (
        process.pid, status, took, ", ".join(sorted(watch.app)) or "no libcuda",
        "; open " + ", ".join(sorted(watch.nodes)) if watch.nodes else ""))
    for pid, files in watch.workers.items():
        print("  worker %d of the server: mapped %s" % (pid, ", ".join(sorted(files)) or "-"))
    log = setup.server.output()[said:]
    for line in log.splitlines():
        print("  server: " + line)
    # A program may be over before its worker was looked at; the log has both.
    files = set().union(*watch.workers.values()) or {"softgpu/libcuda.so.1"}
    return status == 0 and watch.app <= {"lib/libcuda.so.1"} and \
        "softgpu/libcuda.so.1" in files and "session of pid %d," % process.pid in log


def run_programs(options, mode):
    setup = Setup(options.build, mode)
    if setup.missing():
        print("not built: " + setup.missing())
        return 1
    with setup:
        title("vgpu-server is process %d; its GPUs are softgpu's" % setup.server.pid)
        if mode == "device":
            show(options.build + "/vgpu", "list")
        good = [show_program(setup, os.path.abspath(program), 60)
                for program in options.programs]
        if mode == "device":
            show_device(options)
    print("\n%d of %d programs ran on a virtual GPU: their kernels were executed in worker "
          "processes,\nnone had a device or the software GPU in its own address space." % (
              sum(good), len(good)), flush=True)
    return 0 if all(good) else 1


# ---- in the virtual machine ----

def show(*command):
    print("$ " + " ".join(os.path.basename(word) if i == 0 else word
                          for i, word in enumerate(command)), flush=True)
    subprocess.run(command, check=False)


def show_device(options):
    title("what the kernel says of /dev/vgpu0")
    show(options.build + "/vgpu", "show", "vgpu0")
    print("$ grep . /sys/class/vgpu/vgpu0/*", flush=True)
    for path in sorted(glob.glob("/sys/class/vgpu/vgpu0/*") +
                       glob.glob("/sys/class/vgpu/vgpu0/counters/*")):
        if os.path.isfile(path) and os.path.basename(path) not in ("dev", "uevent"):
            with open(path) as file:
                print("%s:%s" % (path, file.read().strip()))


def kernel_log():
    return subprocess.check_output(["dmesg", "--notime"], text=True).splitlines()


def let_in(path):
    """Workers are nobody's and must get to the libraries; this root is thrown away."""
    while path != "/":
        os.chmod(path, os.stat(path).st_mode | 0o555)
        path = os.path.dirname(path)


def guest(options):
    booted = len(kernel_log())
    let_in(options.build)
    title("insmod vgpu.ko ndevices=2")
    subprocess.run(["insmod", options.build + "/linux-debian/kmod/vgpu.ko", "ndevices=2"],
                   check=True)
    show("ls", "-l", *sorted(glob.glob("/dev/vgpu*")))
    status = run_programs(options, "device")
    subprocess.run(["rmmod", "vgpu"], check=True)
    title("the kernel's log since then (dmesg), after rmmod vgpu")
    print("\n".join(kernel_log()[booted:]))
    return status


def in_vm(options):
    """Exit status; None: there are no virtual machines here."""
    print("A virtual machine boots: Debian's kernel under QEMU, without a GPU; programs run "
          "there\na good deal slower than here.", flush=True)
    status = subprocess.call([VM, "run", "--", sys.executable, "-B", os.path.abspath(__file__),
                              "--guest", "--build", options.build, *options.programs])
    return None if status == NO_VM else status


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--guest", action="store_true", help="this is the virtual machine")
    parser.add_argument("programs", nargs="+")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.programs = [os.path.abspath(program) for program in options.programs]
    if options.guest:
        return guest(options)
    status = in_vm(options)
    if status is not None:
        return status
    print("No virtual machine can be had (see above), so the programs run here, over a unix "
          "socket\nin place of vgpu.ko and /dev/vgpu0.")
    gpus = glob.glob("/dev/nvidia[0-9]*")
    print("NVIDIA GPUs of this host: %s" % (", ".join(gpus) if gpus else "none"))
    return run_programs(options, "remote")


if __name__ == "__main__":
    sys.exit(main())
