#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The wire between the two hosts is unplugged, on either side; prints TAP.

    wire.py --far ADDRESS FOLDER

For the client's virtual machine of two (two_hosts). Connections do not end by
that: bytes get lost, and whoever waits for them has to find out.
"""

import argparse
import os
import random
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from harness import Tap, wait_until         # noqa: E402
from network import Network                 # noqa: E402

GRACE = 4               # when it is for good; else
LONG = 40               # TCP takes its time to find that the wire is there again
LATE = 5
KEEPALIVE = 25          # until TCP tells the server that nobody is there
SLOW = 3                # emulated machines: a program's end after the error
DEADLINE = 240


def unplug(seconds):
    subprocess.run(["ip", "link", "set", "eth0", "down"], check=True)
    time.sleep(seconds)
    subprocess.run(["ip", "link", "set", "eth0", "up"], check=True)


class Wire:
    def __init__(self, setup, options):
        self.setup = setup
        self.programs = options.programs
        self.times = options.times
        self.rng = random.Random(options.seed)
        self.process = None

    def start(self, name, *arguments):
        self.process = self.setup.start([self.programs + "/" + name, *arguments])
        return self.process

    def again_and_again(self, pull):
        """Under a program that has right results in the end."""
        done = runs = 0
        while done < self.times:
            mixed = self.start("mixed", "60", str(self.rng.randrange(1 << 30)))
            runs += 1
            while mixed.popen.poll() is None and done < self.times:
                time.sleep(self.rng.uniform(0.3, 1.5))
                pull(self.rng.uniform(0.05, 2))
                done += 1
            status = mixed.wait(DEADLINE)
            assert status == 0, "mixed: status %s\n%s" % (status, mixed.output())
            mixed.end()
        return "%d times, %d runs" % (done, runs)

    def at_the_client(self):
        """the client's end, again and again"""
        return self.again_and_again(unplug)

    def at_the_server(self):
        """the server's end, again and again"""
        def pull(seconds):
            self.setup.gpus.unplug(seconds)
            time.sleep(seconds + 0.5)
        return self.again_and_again(pull)

    def for_good(self):
        """and left so: an error within the grace period and five seconds"""
        busy = self.start("busy", "0")
        assert busy.wait_output("READY", 60), "busy never got ready\n" + busy.output()
        subprocess.run(["ip", "link", "set", "eth0", "down"], check=True)
        try:
            begin = time.monotonic()
            status = busy.wait(GRACE + LATE + SLOW)
            took = time.monotonic() - begin
            assert status == 1 and "cudaError" in busy.output(), "status %s after %.1f s\n%s" % (
                status, took, busy.output())
        finally:
            subprocess.run(["ip", "link", "set", "eth0", "up"], check=True)
        assert wait_until(lambda: not self.setup.workers(), KEEPALIVE + GRACE + LATE) is not None, \
            "the GPU host keeps the worker"
        return "after %.1f s" % took

    TESTS = [at_the_client, at_the_server, for_good]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--programs", help="where the programs are (BUILD/e2e)")
    parser.add_argument("--far", nargs=2, metavar=("ADDRESS", "FOLDER"), required=True)
    parser.add_argument("--link", choices=["tls", "verbs"], default="tls")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.programs = os.path.abspath((options.programs or options.build + "/e2e") + "/static")
    tap = Tap()
    for test in Wire.TESTS:
        if options.names and test.__name__ not in options.names:
            continue
        name = "wire: " + test.__doc__
        grace = GRACE if test is Wire.for_good else LONG
        with Network(options.build, link=options.link, grace=grace, far=options.far) as setup:
            wire = Wire(setup, options)
            try:
                said = test(wire)
            except AssertionError as error:
                tap.result(False, name, "seed %d" % options.seed, "%s\n---\n%s" % (
                    error, setup.server_log(lines=40)))
            else:
                tap.result(True, name, "seed %d: %s" % (options.seed, said))
            if wire.process:
                wire.process.end()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
