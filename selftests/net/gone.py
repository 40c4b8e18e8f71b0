#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The server's host is gone, for a while or for good; prints TAP.

For good: the application gets an error within the grace period and five seconds,
and not before the grace period is over. For a while: it goes on with right
results. A proxy on loopback plays the network.
"""

import argparse
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from harness import Tap, wait_until         # noqa: E402
from network import Network                 # noqa: E402
from proxy import Proxy                     # noqa: E402

GRACE = 3
LATE = 5
WHILE = 2       # seconds, less than GRACE


class Gone:
    def __init__(self, setup, programs):
        self.setup = setup
        self.programs = programs
        self.process = None

    def start(self, name, *arguments):
        self.process = self.setup.start([self.programs + "/" + name, *arguments])
        return self.process

    def busy(self):
        busy = self.start("busy", "0")
        assert busy.wait_output("READY", 30), "busy never got ready:\n" + busy.output()
        return busy

    def gets_error(self, busy):
        begin = time.monotonic()
        status = busy.wait(GRACE + LATE)
        took = time.monotonic() - begin
        assert status is not None, "the application hangs"
        assert status == 1 and "cudaError" in busy.output(), "status %s\n%s" % (
            status, busy.output())
        assert took >= GRACE - 1, "an error after %.1f s of %d" % (took, GRACE)
        return "an error after %.1f s" % took

    def workers_end(self):
        assert wait_until(lambda: not self.setup.workers(), GRACE + LATE) is not None, \
            "workers %s live on" % self.setup.workers()

    def goes_on(self, process):
        status = process.wait(60)
        assert status == 0, "status %s\n%s" % (status, process.output())

    # ---- tests ----

    def refused(self):
        """connections end, and nobody takes new ones"""
        busy, proxy = self.busy(), self.setup.proxy
        proxy.refuse()
        proxy.cut_control()
        proxy.cut()
        said = self.gets_error(busy)
        self.workers_end()
        return said

    def silent(self):
        """nothing is heard any more, and no connection ends"""
        busy = self.busy()
        self.setup.proxy.hole(True)
        said = self.gets_error(busy)
        self.setup.proxy.hole(False)    # what else ends a worker is TCP's affair
        self.workers_end()
        return said

    def stopped(self):
        """the server and its workers stand still"""
        busy = self.busy()
        pids = [self.setup.gpus.process.pid, *self.setup.workers()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            return self.gets_error(busy)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            self.workers_end()

    def start_connected(self, *words):
        """A program, in the midst of its work, and the proxy."""
        process, proxy = self.start(*words), self.setup.proxy
        assert wait_until(proxy.sessions, 30) is not None, "there is no session"
        time.sleep(0.1)
        return process, proxy

    def for_a_while(self):
        """connections end, and for a while there are no others"""
        mixed, proxy = self.start_connected("mixed", "150")
        proxy.hole(True)
        proxy.cut_control()
        cut = proxy.cut()
        time.sleep(WHILE)
        proxy.hole(False)
        assert cut, "nothing was cut"
        self.goes_on(mixed)

    def silent_for_a_while(self):
        """nothing is heard for a while"""
        mixed, proxy = self.start_connected("mixed", "150")
        proxy.hole(True)
        time.sleep(WHILE)
        proxy.hole(False)
        self.goes_on(mixed)

    def program_comes_later(self):
        """a program that starts while the server's host is gone waits for it"""
        self.setup.proxy.hole(True)
        self.setup.proxy.cut_control()
        mixed = self.start("mixed", "20")
        time.sleep(WHILE)
        self.setup.proxy.hole(False)
        self.goes_on(mixed)

    TESTS = [for_a_while, silent_for_a_while, program_comes_later, stopped, silent, refused]


def run(options, test, tap):
    """Each with daemons of its own."""
    name = "gone/%s: %s" % (test.__name__, test.__doc__)
    programs = os.path.abspath((options.programs or options.build + "/e2e") + "/static")
    setup = Network(options.build, options.san, link=options.link, grace=GRACE, through=Proxy)
    if setup.missing():
        tap.result(False, name, "not built: " + setup.missing())
        return
    with setup:
        gone = Gone(setup, programs)
        try:
            said = test(gone)
        except AssertionError as error:
            tap.result(False, name, "", "%s\n---\n%s" % (error, setup.server_log(lines=40)))
        else:
            reports = setup.findings("")
            tap.result(not reports, name, said or "", "\n".join(reports))
        finally:
            if gone.process:
                gone.process.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--programs", help="where the programs are (BUILD/e2e)")
    parser.add_argument("--link", choices=["tls", "plain"], default="tls")
    parser.add_argument("--san", choices=["address", "thread"], default="")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    tap = Tap()
    for test in Gone.TESTS:
        if not options.names or test.__name__ in options.names:
            run(options, test, tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
