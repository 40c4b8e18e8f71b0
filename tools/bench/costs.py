#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a call costs whom: processor time, sleeps and system calls by process.

usage: costs.py BUILD [--only WAY,...] [--times N] [--size BYTES] [WHAT...]

A program does one thing over and over (tools/bench/probe.c, loop); what the
program, vgpud and the worker spent meanwhile is divided by how often. A sleep
is a voluntary context switch of a thread. System calls are counted by perf,
where it is installed and may; elsewhere the column is empty.
"""
import argparse
import os
import shutil
import signal
import subprocess
import sys
import time

import ways

WHATS = ("call", "launch", "h2d", "d2h", "pageable")
LARGEST = 64 << 20


def spent(pid):
    """(ns of processor time, sleeps) of all threads of a process so far."""
    cpu = sleeps = 0
    for task in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/schedstat" % (pid, task)) as file:
                cpu += int(file.read().split()[0])
            with open("/proc/%d/task/%s/status" % (pid, task)) as file:
                lines = dict(line.split(":", 1) for line in file)
        except OSError:
            continue    # it has ended
        sleeps += int(lines["voluntary_ctxt_switches"])
    return cpu, sleeps


class SystemCalls:
    """Counts those of a process from here on until count()."""

    def __init__(self, pid):
        self.perf = None
        if shutil.which("perf"):
            self.perf = subprocess.Popen(
                ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", str(pid)],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def count(self):
        """None: perf could not."""
        if not self.perf:
            return None
        self.perf.send_signal(signal.SIGINT)
        said = self.perf.communicate()[1].split(",")[0]
        return int(said) if said.isdigit() else None


class Program:
    """The probe, which does what it is told."""

    def __init__(self, place, way, size):
        self.size = size
        self.process = subprocess.Popen([place.build + "/bench/probe", "loop"], env=way.env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid

    def do(self, what, times):
        """Nanoseconds that it took."""
        self.process.stdin.write("%s %d %d\n" % (what, times, self.size))
        self.process.stdin.flush()
        return int(self.process.stdout.readline().split()[2])

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def measure(program, pids, what, times):
    """(ns by time, {who: (ns of processor time, sleeps, system calls) by time})"""
    program.do(what, times)
    counters = {who: SystemCalls(pid) for who, pid in pids.items()}
    time.sleep(0.5)     # perf needs a while to attach
    before = {who: spent(pid) for who, pid in pids.items()}
    took = program.do(what, times)
    costs = {}
    for who, pid in pids.items():
        cpu, sleeps = (after - b for after, b in zip(spent(pid), before[who]))
        calls = counters[who].count()
        costs[who] = (cpu / times, sleeps / times, None if calls is None else calls / times)
    return took / times, costs


def who_is_who(way, program):
    pids = {"program": program.pid, "worker": way.setup.workers()[-1]}
    if way.name in ways.NETWORK:
        pids["vgpud"] = way.setup.vgpud.pid
    return pids


def show(way, what, took, costs):
    for who, (cpu, sleeps, calls) in costs.items():
        print("%-14s%-10s%11.2f us  %-8s%10.2f us%9.2f%9s" % (
            way.name, what, took / 1e3, who, cpu / 1e3, sleeps,
            "-" if calls is None else "%.2f" % calls), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--only", metavar="WAY,...")
    parser.add_argument("--times", type=int, default=5000)
    parser.add_argument("--size", type=int, default=65536, help="of copies")
    parser.add_argument("whats", nargs="*", metavar="WHAT", help=", ".join(WHATS))
    options = parser.parse_intermixed_args()
    build = os.path.abspath(options.build)
    names = options.only.split(",") if options.only else ways.known()
    if any(what not in WHATS for what in options.whats):
        parser.error("WHAT is one of " + ", ".join(WHATS))
    if not 0 < options.size <= LARGEST:
        parser.error("copies have 1 to %d bytes" % LARGEST)
    print("%-14s%-10s%14s  %-8s%13s%9s%9s" % ("way", "what", "each takes", "of whom",
                                              "processor", "sleeps", "syscalls"))
    with ways.Place(build, names) as place:
        for way in place.ways:
            program = Program(place, way, options.size)
            program.do("call", 100)
            pids = who_is_who(way, program)
            for what in options.whats or WHATS:
                show(way, what, *measure(program, pids, what, options.times))
            program.end()


if __name__ == "__main__":
    sys.exit(main())
