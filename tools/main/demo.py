#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs unmodified CUDA programs on a host without a GPU and shows who does what.

The programs were built by nvcc and know nothing of vgpu. Each opens our
libcuda.so.1; vgpud mirrors what it writes into its rings to the GPU's host over
TLS, where a worker process of vgpu-server executes it, here on the software GPU.
Who has what mapped is read from /proc of both hosts while the programs run.

The hosts are two virtual machines: a client with vgpu.ko and /dev/vgpu0, and a
GPU host. Where there is no QEMU, both daemons run here, with a unix socket in
place of the module.
"""

import argparse
import glob
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "../.."))
NO_VM = 77      # exit status of vm: not installed
GPU_HOST = "10.9.0.2"
CERTIFICATES = "/run/vgpu-tls"

sys.path.insert(0, os.path.join(ROOT, "selftests/e2e"))
from network import Network, mapped    # noqa: E402


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
        self.sessions = ""      # as the GPU host's vgpu shows them

    def look(self, pid):
        self.app.update(mapped(pid, self.setup.build))
        self.nodes |= nodes(pid)

    def look_far(self):
        for worker, files in self.setup.gpus.maps().items():
            self.workers.setdefault(worker, set()).update(files)
        if self.workers and not self.sessions:
            self.sessions = self.setup.gpus.tool("sessions")


def title(text):
    print("\n=== " + text, flush=True)


def show(*command):
    print("$ " + " ".join(os.path.basename(word) if i == 0 else word
                          for i, word in enumerate(command)), flush=True)
    subprocess.run(command, check=False)


class Demo:
    def __init__(self, setup, programs):
        self.setup = setup
        self.programs = programs
        self.far_said = 0       # characters of the server's log that were shown

    def far_log(self):
        """Lines of the server's log that are new."""
        log = self.setup.gpus.log()
        new, self.far_said = log[self.far_said:], len(log)
        return new.splitlines()

    def watch(self, process, timeout):
        """Looks at both hosts until the process ends."""
        watch, far = Watch(self.setup), 0
        while process.popen.poll() is None and time.monotonic() - process.start < timeout:
            watch.look(process.pid)
            if time.monotonic() > far:
                watch.look_far()
                far = time.monotonic() + (0.3 if self.setup.far else 0.05)
            time.sleep(0.002)
        return watch

    def program(self, path, timeout=60):
        """Runs one; whether all was as it should be."""
        vgpud, said = self.setup.vgpud, len(self.setup.vgpud.output())
        title(os.path.relpath(path, self.setup.build))
        process = self.setup.start([path])
        watch = self.watch(process, timeout)
        took = time.monotonic() - process.start
        status, text = process.wait(0), process.output()
        process.end()
        for line in text.splitlines()[-12:]:
            print("  | " + line)
        print("  client host, application %d: exit status %s after %.2f s; mapped %s%s" % (
            process.pid, status, took, ", ".join(sorted(watch.app)) or "no libcuda",
            "; open " + ", ".join(sorted(watch.nodes)) if watch.nodes else ""))
        for line in vgpud.output()[said:].splitlines():
            print("  client host, log: " + line)
        for line in watch.sessions.splitlines():
            print("  GPU host, vgpu sessions: " + line)
        for pid, files in watch.workers.items():
            print("  GPU host, worker %s: mapped %s" % (pid, ", ".join(sorted(files)) or "-"))
        log = self.far_log()
        for line in log:
            print("  GPU host, log:    " + line)
        # A program may be over before its worker was looked at; the log has both.
        files = set().union(*watch.workers.values()) or {"softgpu/libcuda.so.1"}
        return status == 0 and watch.app <= {"lib/libcuda.so.1"} and \
            "softgpu/libcuda.so.1" in files and any(str(process.pid) in line for line in log)

    def tool(self, *words):
        show(self.setup.build + "/vgpu", *words,
             "--vgpud-status", self.setup.folder + "/vgpud.status")

    def run(self):
        far = "on the GPU host, " + GPU_HOST if self.setup.far else "of this host"
        title("vgpud is process %d, vgpu-server one %s; TLS by `vgpu pki`" % (
            self.setup.vgpud.pid, far))
        for line in self.setup.vgpud.output().splitlines():
            print("  client host, log: " + line)
        for line in self.far_log():
            print("  GPU host, log:    " + line)
        self.setup.vgpud.wait_output("connected", 20)
        self.tool("servers")
        if self.setup.far:
            self.tool("list")
        good = [self.program(os.path.abspath(program)) for program in self.programs]
        if self.setup.far:
            self.show_device()
        print("\n%d of %d programs ran on a virtual GPU: their kernels were executed on the GPU "
              "host,\nnone had a device or the software GPU in its own address space." % (
                  sum(good), len(good)), flush=True)
        return all(good)

    def show_device(self):
        title("what the client's kernel says of /dev/vgpu0")
        self.tool("show", "vgpu0")
        print("$ grep . /sys/class/vgpu/vgpu0/counters/*", flush=True)
        for path in sorted(glob.glob("/sys/class/vgpu/vgpu0/counters/*")):
            with open(path) as file:
                print("%s:%s" % (path, file.read().strip()))


def run_programs(options, far):
    setup = Network(options.build, far=far)
    if setup.missing():
        print("not built: " + setup.missing())
        return 1
    with setup:
        return 0 if Demo(setup, options.programs).run() else 1


# ---- in the client's virtual machine, by with_gpu_host: the module is loaded ----

def guest(options):
    title("the client host: no GPU, vgpu.ko is loaded")
    show("ls", "-l", *sorted(glob.glob("/dev/vgpu*")))
    status = run_programs(options, (GPU_HOST, CERTIFICATES))
    title("the kernel's log (dmesg)")
    log = subprocess.check_output(["dmesg", "--notime"], text=True).splitlines()
    print("\n".join(line for line in log if "vgpu" in line))
    return status


def in_vms(options):
    """Exit status; None: there are no virtual machines here."""
    print("Two virtual machines boot, a client and a GPU host: Debian's kernel under QEMU, "
          "neither has\na GPU. Programs run there a good deal slower than here.", flush=True)
    command = [ROOT + "/selftests/net/two_hosts", options.build, sys.executable, "-B",
               os.path.abspath(__file__), "--guest", "--build", options.build, *options.programs]
    status = subprocess.call(command)
    return None if status == NO_VM else status


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--guest", action="store_true", help="this is the client's machine")
    parser.add_argument("programs", nargs="+")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.programs = [os.path.abspath(program) for program in options.programs]
    if options.guest:
        return guest(options)
    status = in_vms(options)
    if status is not None:
        return status
    print("No virtual machine can be had (see above), so both daemons run here, TCP and TLS "
          "between\nthem, and a unix socket in place of vgpu.ko and /dev/vgpu0.")
    gpus = glob.glob("/dev/nvidia[0-9]*")
    print("NVIDIA GPUs of this host: %s" % (", ".join(gpus) if gpus else "none"))
    return run_programs(options, None)


if __name__ == "__main__":
    sys.exit(main())
