#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cuts connections between vgpud and vgpu-server under a program that checks all
its results; prints TAP.

    cut.py [--cuts N] [--seed N] [names...]

A proxy on loopback resets connections: at moments of chance, half-way through a
frame, on one side only, after a silence; and, reading the frames of plain TCP, at
exactly the places where something could be done twice or not at all. Whatever
was cut, the program must end with right results.
"""

import argparse
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from harness import Tap                     # noqa: E402
from network import Network                 # noqa: E402
from proxy import (CLIENT, DATA, PUBLISH, PUBLISHED, SERVER, STORE, Proxy, Rule)   # noqa: E402

DEADLINE = 120          # seconds that a program may take, however often it is cut
ROUNDS = "150"          # of mixed


class BeforePublish(Rule):
    """After bytes for the app's memory, before they are made visible."""

    def __init__(self, rng):
        self.rng = rng
        self.stored = None      # the connection that stored since it last published

    def judge(self, connection, side, frame):
        if side != SERVER:
            return None
        if frame.type == STORE:
            self.stored = connection
        elif frame.type == PUBLISH and self.stored is connection:
            self.stored = None
            if self.rng.random() < 0.3:
                return 0.02     # until the store was read
        return None


class BeforeAcknowledgement(Rule):
    """The app has its bytes and writes over them; the worker does not hear of it."""

    def __init__(self, rng):
        self.rng = rng
        self.done = {}          # session: how many stores its worker knows of

    def judge(self, connection, side, frame):
        if side != CLIENT or frame.type != PUBLISH:
            return None
        *_, stored = PUBLISHED.unpack(frame.body)
        session = connection.preface.session
        if stored <= self.done.get(session, 0):
            return None
        if self.rng.random() < 0.3:
            return 0.03         # for the app to see the completion and go on
        self.done[session] = stored
        return None


class WithinPull(Rule):
    """Some of the app's bytes that the worker asked for are there, not all."""

    def __init__(self, rng):
        self.rng = rng

    def judge(self, connection, side, frame):
        if side == CLIENT and frame.type == DATA and self.rng.random() < 0.1:
            return 0.005
        return None


# ---- moments of chance ----

def at_once(proxy, rng):
    proxy.cut()


def within_a_frame(proxy, rng):
    proxy.cut_after(rng.choice([CLIENT, SERVER]), int(2 ** rng.uniform(0, 18)))


def one_side(proxy, rng):
    """The other daemon believes that its connection is well."""
    proxy.cut(rng.choice(["client", "server"]))


def after_silence(proxy, rng):
    proxy.hole(True)
    time.sleep(rng.uniform(0.01, 0.4))
    proxy.hole(False)
    if rng.random() < 0.7:
        proxy.cut()


def control_as_well(proxy, rng):
    proxy.cut_control()
    proxy.cut()


WAYS = [at_once, at_once, within_a_frame, within_a_frame, one_side, after_silence,
        control_as_well]


class Cuts:
    def __init__(self, options, link, rule=None):
        self.rng = random.Random(options.seed)
        self.setup = Network(options.build, options.san, link=link,
                             through=lambda target: Proxy(target, rule and rule(self.rng)))
        self.program = options.programs + "/mixed"
        self.options = options
        self.wanted = options.cuts
        self.runs = self.operations = 0

    def start(self):
        self.runs += 1
        return self.setup.start([self.program, ROUNDS, str(self.rng.randrange(1 << 30))])

    def finish(self, process):
        """Its results are right."""
        status = process.wait(max(0, process.start + DEADLINE - time.monotonic()))
        text = process.output()
        process.end()
        assert status == 0 and text.endswith("PASS\n"), "mixed: status %s\n%s" % (status, text)
        assert not self.setup.dead(), "a daemon died"
        self.operations += int(text.split()[2])

    def by_chance(self):
        """Cuts at all times until there were enough; programs run one after the other."""
        proxy = self.setup.proxy
        while proxy.cuts < self.wanted:
            process = self.start()
            try:
                while process.popen.poll() is None:
                    assert time.monotonic() < process.start + DEADLINE, "mixed hangs"
                    time.sleep(self.rng.expovariate(1 / 0.08))
                    if proxy.cuts < self.wanted and proxy.sessions():
                        self.rng.choice(WAYS)(proxy, self.rng)
                self.finish(process)
            finally:
                proxy.hole(False)
                process.end()

    def by_rule(self):
        while self.setup.proxy.cuts < self.wanted:
            before = self.setup.proxy.cuts
            process = self.start()
            try:
                self.finish(process)
            finally:
                process.end()
            assert self.setup.proxy.cuts > before, "nothing was cut"

    def run(self, name, tap, run):
        try:
            with self.setup:
                try:
                    run(self)
                except AssertionError as error:
                    tap.result(False, name, "seed %d" % self.options.seed, "%s\n---\n%s" % (
                        error, self.setup.server_log(lines=40)))
                else:
                    reports = self.setup.findings("")
                    tap.result(not reports, name, "seed %d: %d cuts in %d runs, %d operations" % (
                        self.options.seed, self.setup.proxy.cuts, self.runs, self.operations),
                        "\n".join(reports))
        except RuntimeError as error:
            tap.result(False, name, "", str(error))


TESTS = {
    "tls": ("tls", None),
    "plain": ("plain", None),
    "before-publish": ("plain", BeforePublish),
    "before-acknowledgement": ("plain", BeforeAcknowledgement),
    "within-pull": ("plain", WithinPull),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--programs", help="where the programs are (BUILD/e2e)")
    parser.add_argument("--san", choices=["address", "thread"], default="")
    parser.add_argument("--cuts", type=int, default=20, help="of each test")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("names", nargs="*", help=", ".join(TESTS))
    options = parser.parse_args()
    options.programs = os.path.abspath((options.programs or options.build + "/e2e") + "/static")
    tap = Tap()
    for name, (link, rule) in TESTS.items():
        if options.names and name not in options.names:
            continue
        cuts = Cuts(options, link, rule)
        if cuts.setup.missing():
            tap.result(False, "cut/" + name, "not built: " + cuts.setup.missing())
            continue
        cuts.run("cut/" + name, tap, Cuts.by_rule if rule else Cuts.by_chance)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
