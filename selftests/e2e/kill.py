#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills the application, its worker, vgpud or the server in the middle of work.

Nobody may hang; processes and device memory of the dead must be gone within a
second (where a connection has to be given up, within the grace period and five
seconds), descriptors of the daemons as well; a new program must run at once.
Prints TAP.
"""

import argparse
import os
import random
import re
import signal
import sys
import time

from harness import Setup, Tap, session_members, wait_until
from network import Network, memory

GONE_IN = 1.0
SPARE = 2048    # KiB that malloc() may keep of what was freed
GRACE = 2       # seconds, over the network;
FAR_GRACE = 15  # emulated machines: a daemon takes seconds to start


class Kills:
    def __init__(self, setup, programs, factor):
        self.setup = setup
        self.programs = programs
        self.factor = factor    # sanitizers and emulated machines are slow
        self.without_server = GONE_IN
        self.all_free = self.free_memory()
        self.workers_end()

    def start_busy(self, *extra):
        return self.setup.start([self.programs + "/busy", "0", *extra])

    def start_ready(self, *extra):
        busy = self.start_busy(*extra)
        if not busy.wait_output("READY", 30 * self.factor):
            text = busy.output()
            busy.end()
            raise AssertionError("busy never got ready:\n" + text)
        assert self.setup.workers(), "the server has no worker process"
        return busy

    def run(self, name):
        """A program's output; it must pass and be quick."""
        process = self.setup.start([self.programs + "/" + name])
        status = process.wait(10 * self.factor)
        text = process.output()
        process.end()
        assert status == 0, "%s afterwards: status %s\n%s" % (name, status, text)
        return text

    def free_memory(self):
        """MiB free on the first device, as a new program sees it."""
        return int(re.search(r"(\d+) of \d+ MiB are free", self.run("device_query")).group(1))

    def workers_end(self, within=GONE_IN):
        took = wait_until(lambda: not self.setup.workers(), within * self.factor)
        assert took is not None, "workers %s live on" % self.setup.workers()

    def all_is_well(self):
        self.workers_end()
        self.run("vector_add")
        free = self.free_memory()
        assert free >= self.all_free - 4, "%d MiB are free, not %d" % (free, self.all_free)

    def nothing_is_left(self):
        """When all programs have ended, children of theirs as well."""

    def app_ends(self, busy, within=GONE_IN):
        """It gets an error, which busy answers by exit status 1."""
        status = busy.wait(within * self.factor)
        assert status is not None, "the application hangs\n" + busy.output()
        assert status == 1, "the application ended with %d\n%s" % (status, busy.output())
        assert "cudaError" in busy.output(), "no CUDA error was seen\n" + busy.output()

    # ---- tests: what is killed, and who must notice ----

    def app(self):
        busy = self.start_ready()
        busy.kill()
        self.all_is_well()
        busy.end()

    def app_by_sigterm(self):
        busy = self.start_ready()
        busy.kill(signal.SIGTERM)
        self.all_is_well()
        busy.end()

    def app_with_child(self):
        """A sleeping child has copies of all the application's descriptors."""
        busy = self.start_ready("child")
        busy.kill()
        try:
            assert session_members(busy.pid), "the child is gone: nothing is tested"
            self.all_is_well()
        finally:
            busy.end()

    def app_at_any_time(self):
        """Also while it connects, loads code, allocates."""
        for _ in range(12):
            busy = self.start_busy()
            time.sleep(random.uniform(0, 0.4))
            busy.kill()
            self.workers_end()
            busy.end()
        self.all_is_well()

    def app_stopped_then_killed(self):
        """A stopped application must not keep others from working."""
        busy = self.start_ready()
        os.kill(busy.pid, signal.SIGSTOP)
        self.run("vector_add")
        busy.kill()
        self.all_is_well()
        busy.end()

    def worker(self):
        busy = self.start_ready()
        self.setup.kill_workers(self.setup.workers())
        self.app_ends(busy)
        busy.end()
        self.all_is_well()

    def worker_of_another(self):
        """The death of one worker is nothing to another client."""
        one = self.start_ready()
        first = self.setup.workers()
        two = self.start_ready()
        self.setup.kill_workers(first)
        self.app_ends(one)
        time.sleep(0.3)
        assert two.popen.poll() is None, "the other application died\n" + two.output()
        two.kill()
        one.end()
        two.end()
        self.all_is_well()

    def server(self):
        busy = self.start_ready()
        workers = self.setup.workers()
        self.setup.kill_server()
        self.app_ends(busy, self.without_server)
        assert wait_until(lambda: not self.setup.alive(workers),
                          GONE_IN * self.factor) is not None, \
            "workers %s outlive the server" % self.setup.alive(workers)
        busy.end()
        self.setup.restart_server()
        self.all_is_well()

    TESTS = [app, app_by_sigterm, app_with_child, app_at_any_time, app_stopped_then_killed,
             worker, worker_of_another, server]


class NetworkKills(Kills):
    """The application's host and the GPU's are two, vgpud is between them."""

    def __init__(self, setup, programs, factor):
        super().__init__(setup, programs, factor)
        self.without_server = setup.grace + 5
        self.files = setup.resting_files()
        self.most = memory(setup.vgpud.pid)[0] + SPARE

    def all_is_well(self):
        super().all_is_well()
        self.workers_end()
        took = wait_until(lambda: self.setup.open_files() == self.files, GONE_IN * self.factor)
        assert took is not None, "descriptors of vgpud and the server: %s, not %s" % (
            self.setup.open_files(), self.files)
        own = memory(self.setup.vgpud.pid)[0]
        assert self.setup.san.kind or own <= self.most, "vgpud has %d KiB, not %d at most" % (
            own, self.most)

    def vgpud(self):
        """Without the module nobody keeps its channels: they are lost, the workers later."""
        busy = self.start_ready()
        self.setup.vgpud.kill()
        self.app_ends(busy)
        busy.end()
        self.workers_end(self.without_server)
        self.setup.restart_vgpud()
        self.all_is_well()

    def vgpud_and_server(self):
        busy = self.start_ready()
        self.setup.vgpud.kill()
        self.setup.kill_server()
        self.app_ends(busy)
        busy.end()
        self.setup.restart_server()
        self.setup.restart_vgpud()
        self.all_is_well()

    TESTS = Kills.TESTS + [vgpud, vgpud_and_server]


class FarKills(NetworkKills):
    """The module keeps the channels of a dead vgpud for the next one."""

    def nothing_is_left(self):
        for name in "channels", "charged":
            path = "/sys/class/vgpu/vgpu0/counters/" + name
            assert wait_until(lambda: self.counter(path) == "0", self.factor) is not None, \
                "%s of /dev/vgpu0: %s" % (name, self.counter(path))

    @staticmethod
    def counter(path):
        with open(path) as file:
            return file.read().strip()

    def vgpud(self):
        """Whatever is under way goes on, as often as it is killed."""
        mixed = self.setup.start([self.programs + "/mixed", "150"])
        kills = 0
        while mixed.popen.poll() is None and kills < 10:
            time.sleep(random.uniform(0.2, 1.5))
            self.setup.vgpud.kill()
            self.setup.restart_vgpud()
            kills += 1
        status, text = mixed.wait(60 * self.factor), mixed.output()
        mixed.end()
        assert status == 0 and "PASS" in text, "mixed: status %s after %d kills\n%s" % (
            status, kills, text)
        self.all_is_well()

    def app_while_vgpud_is_dead(self):
        busy = self.start_ready()
        self.setup.vgpud.kill()
        busy.kill()
        busy.end()
        self.setup.restart_vgpud()
        self.workers_end(self.without_server)
        self.all_is_well()

    def server_while_vgpud_is_dead(self):
        busy = self.start_ready()
        self.setup.vgpud.kill()
        self.setup.kill_server()
        self.setup.restart_server()
        self.setup.restart_vgpud()
        self.app_ends(busy, self.without_server)
        busy.end()
        self.all_is_well()

    TESTS = Kills.TESTS + [vgpud, app_while_vgpud_is_dead, server_while_vgpud_is_dead]


def run(kills, test, tap):
    name = "kill/" + test.__name__
    try:
        test(kills)
        kills.nothing_is_left()
    except (AssertionError, RuntimeError) as error:
        log = kills.setup.server_log()
        tap.result(False, name, "", "%s\n--- daemons:\n%s" % (error, log))
        kills.setup.restart_all()
    else:
        reports = kills.setup.findings("")
        tap.result(not reports, name, "", "\n".join(reports))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--programs", help="where the programs are (BUILD/e2e)")
    parser.add_argument("--mode", choices=["remote", "device", "network"],
                        default="remote")
    parser.add_argument("--link", choices=["tls", "plain", "verbs"], default="tls",
                        help="of the network")
    parser.add_argument("--far", nargs=2, metavar=("ADDRESS", "FOLDER"),
                        help="a GPU host that is there, and this host's certificates")
    parser.add_argument("--san", choices=["address", "thread"], default="")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    programs = os.path.abspath((options.programs or options.build + "/e2e") + "/static")
    tap = Tap()
    emulated = options.mode == "device" or options.far
    kind = Kills
    if options.mode == "network":
        setup = Network(options.build, options.san, link=options.link, far=options.far,
                        grace=FAR_GRACE if options.far else GRACE)
        kind = FarKills if options.far else NetworkKills
    else:
        setup = Setup(options.build, options.mode, options.san)
    if setup.missing():
        tap.result(False, "kill", "not built: " + setup.missing())
        return tap.end()
    with setup:
        kills = kind(setup, programs, 5 if options.san or emulated else 1)
        for test in kind.TESTS:
            if not options.names or test.__name__ in options.names:
                run(kills, test, tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
