#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many sessions at once between one vgpud and one vgpu-server: all have right
results, idle ones cost no processor time. Prints TAP, with figures.

    many.py [--sessions N] [--link tls|plain]
"""

import argparse
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from harness import Tap, wait_until             # noqa: E402
from network import Network, cpu_time, memory, open_files   # noqa: E402

IDLE = 2.0              # seconds that are looked at
IDLE_COST = 0.02        # of a processor that all idle sessions may take in vgpud
ROUNDS = 3


class Many:
    def __init__(self, setup, program, sessions):
        self.setup = setup
        self.sessions = sessions
        subprocess.run([program, "1"], env=setup.environment(), stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, check=True)
        wait_until(lambda: not setup.workers(), 5)
        self.daemons = [("vgpud", setup.vgpud.pid), ("vgpu-server", setup.gpus.process.pid)]
        self.before = {name: memory(pid) for name, pid in self.daemons}
        self.files = setup.resting_files()
        self.process = subprocess.Popen(
            [program, str(sessions)], env=setup.environment(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def ready(self):
        line = self.process.stdout.readline()
        assert line == "READY\n", line + self.process.stdout.read()

    def start(self):
        """all work"""
        begin = time.monotonic()
        self.ready()
        workers = self.setup.workers()
        assert len(workers) == self.sessions, "%d workers" % len(workers)
        print("# %d sessions after %.1f s" % (self.sessions, time.monotonic() - begin))
        for name, pid in self.daemons:
            own, shared = (now - before for now, before in zip(memory(pid), self.before[name]))
            print("# %s: %.1f KiB a session, %.1f KiB of rings; %d descriptors" % (
                name, own / self.sessions, shared / self.sessions, open_files(pid)))
        print("# a worker: %d KiB, %d KiB of rings and the software GPU's" % tuple(
            memory(workers[0])))

    def idle(self):
        """when idle they cost nothing"""
        time.sleep(1)
        pids = [pid for _, pid in self.daemons] + self.setup.workers()
        before = [cpu_time(pid) for pid in pids]
        time.sleep(IDLE)
        vgpud, server, *workers = (cpu_time(pid) - b for pid, b in zip(pids, before))
        print("# in %.0f s: vgpud %.2f s, vgpu-server %.2f s, workers %.2f s" % (
            IDLE, vgpud, server, sum(workers)))
        assert vgpud <= IDLE * IDLE_COST and server <= IDLE * IDLE_COST, "they do cost something"
        assert sum(workers) <= IDLE * 2 * IDLE_COST, "the workers cost something"

    def again(self):
        """woken all at once they work again"""
        for _ in range(ROUNDS):
            begin = time.monotonic()
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            self.ready()
            print("# %d round trips of all in %.2f s" % (3, time.monotonic() - begin))

    def end(self):
        """they end, and nothing of them is left"""
        self.process.stdin.close()
        said = self.process.stdout.read()
        assert self.process.wait(60) == 0 and said == "PASS\n", said
        assert wait_until(lambda: not self.setup.workers(), 20) is not None, \
            "%d workers are left" % len(self.setup.workers())
        assert wait_until(lambda: self.setup.open_files() == self.files, 5) is not None, \
            "descriptors: %s, not %s" % (self.setup.open_files(), self.files)

    TESTS = [start, idle, again, end]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--link", choices=["tls", "plain"], default="tls")
    parser.add_argument("--sessions", type=int, default=256)
    options = parser.parse_args()
    tap = Tap()
    setup = Network(options.build, link=options.link)
    if setup.missing():
        tap.result(False, "many", "not built: " + setup.missing())
        return tap.end()
    with setup:
        many = Many(setup, os.path.abspath(options.build) + "/tests/net/many", options.sessions)
        try:
            for test in Many.TESTS:
                name = "many/%d sessions: %s" % (options.sessions, test.__doc__)
                try:
                    test(many)
                except AssertionError as error:
                    tap.result(False, name, "", "%s\n---\n%s" % (error, setup.server_log()))
                    break
                tap.result(True, name)
        finally:
            many.process.kill()
            many.process.wait()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
