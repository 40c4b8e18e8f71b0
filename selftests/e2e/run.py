#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the CUDA test programs with a given libcuda; prints TAP.

    run.py --mode direct|remote|device|network|native [--variant V] [names...]

direct: on the software GPU; remote: through vgpu and a server that this script
starts on the software GPU, over its socket; device: the same over /dev/vgpuN,
for which the module must be loaded and this be root; network: through vgpud and
a server on TCP, with --far over /dev/vgpuN to another machine; native: on
whatever libcuda the system has. With --user programs run as that user, in that
group. A program passes if it exits with 0 and says PASS, in time, and no
sanitizer has found anything; exit status 4 is a skip.
"""

import argparse
import glob
import os
import sys
import time

from harness import Setup, Tap
from network import Network

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
OLD = {"old-11.8": "11.8", "old-12.4": "12.4"}
# Programs with host threads: what ThreadSanitizer is for.
THREADED = ["threads", "busy", "streams", "host_functions", "pinned_copies", "two_gpus",
            "exit_dirty", "concurrent_kernels"]
# With ThreadSanitizer a forked child of a program with threads cannot go on.
NOT_WITH_SAN = {"thread": {"fork_child"}}
# Programs that watch the device's free memory.
ALONE = {"memory_info", "many_allocations", "device_reset"}


def user(text):
    uid, _, gid = text.partition(":")
    return int(uid), int(gid)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mode", default="direct",
                        choices=["direct", "remote", "device", "network", "native"])
    parser.add_argument("--link", choices=["tls", "plain", "verbs"], default="tls",
                        help="of the network")
    parser.add_argument("--far", nargs=2, metavar=("ADDRESS", "FOLDER"),
                        help="a GPU host that is there, and this host's certificates")
    parser.add_argument("--variant", default="static", help="static, shared, ptds, old-11.8, …")
    parser.add_argument("--build", default="build", help="where the libraries are")
    parser.add_argument("--programs", help="where the programs are (BUILD/e2e)")
    parser.add_argument("--san", choices=["address", "thread"], default="")
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--jobs", type=int, default=1, help="programs that run at once")
    parser.add_argument("--threaded", action="store_true", help="only programs with threads")
    parser.add_argument("--user", type=user, metavar="UID:GID", help="who runs the programs")
    parser.add_argument("--verbose", action="store_true", help="show output of what passes, too")
    parser.add_argument("names", nargs="*")
    return parser.parse_args()


def programs(options, folder):
    if options.names:
        return options.names
    if options.threaded:
        return THREADED
    # not all that lies in the folder: a program may have been removed since
    names = (os.path.basename(path)[:-len(".cu")] for path in glob.glob(SOURCES + "/*.cu"))
    return sorted(name for name in names if os.access(os.path.join(folder, name), os.X_OK))


def last_line(text):
    lines = text.rstrip().splitlines()
    return lines[-1] if lines else ""


def judge(status, text, reports):
    """None: passed; else what went wrong."""
    if status is None:
        return "did not end in time"
    if status < 0:
        return "killed by signal %d" % -status
    if reports:
        return "sanitizer report"
    if status:
        return "exit status %d" % status
    if "PASS" not in text.splitlines():
        return "did not say PASS"
    return None


class Run:
    """One program: started, and later judged."""

    def __init__(self, setup, path, label):
        self.setup = setup
        self.path = path
        self.label = label
        self.said = setup.said()
        self.process = setup.start([path])

    def finish(self, tap, options):
        left = self.process.start + options.timeout - time.monotonic()
        status = self.process.wait(max(left, 0))
        text = self.process.output()
        reports = self.setup.findings(text)
        dead = self.setup.dead()
        self.process.end()
        if status == 4:
            tap.skip(self.label, last_line(text).partition(" ")[2])
            return
        why = judge(status, text, reports) or ("a daemon died" if dead else "")
        if why and self.setup.daemons():
            text += "--- server:\n" + self.setup.server_log(self.said)
        tap.result(not why, self.label, why, "\n".join([text] + reports))
        if not why and options.verbose:
            print("".join("#   %s\n" % line for line in text.splitlines()), end="")
        if dead:
            self.setup.restart_dead()


def rdma_packets():
    """What the verbs devices of this host have sent, as they count it themselves."""
    total = 0
    for path in glob.glob("/sys/class/infiniband/*/ports/*/hw_counters/sent_pkts"):
        with open(path) as file:
            total += int(file.read())
    return total


def run_all(setup, tap, folder, prefix, options):
    """Keeps as many programs running as asked for; results come in order."""
    runs = []
    for name in programs(options, folder):
        if name in NOT_WITH_SAN.get(options.san, ()) or options.jobs > 1 and name in ALONE:
            continue
        runs.append(Run(setup, os.path.join(folder, name), prefix + "/" + name))
        if len(runs) >= options.jobs:
            runs.pop(0).finish(tap, options)
    for run in runs:
        run.finish(tap, options)


def main():
    options = arguments()
    folder = os.path.abspath(os.path.join(options.programs or options.build + "/e2e",
                                          options.variant))
    runtimes = os.path.join(os.path.dirname(folder), "runtimes")
    libraries = os.path.join(runtimes, OLD[options.variant]) if options.variant in OLD else None
    prefix = "/".join(filter(None, [options.mode, options.mode == "network" and options.link,
                                    options.far and "device", options.user and "user",
                                    options.variant, options.san]))
    if options.jobs > 1:
        prefix += "/%d-at-once" % options.jobs
    tap = Tap()
    if options.san:
        options.timeout *= 4
    if libraries and not os.path.isdir(libraries):
        tap.skip(prefix, "this runtime library could not be fetched")
        return tap.end()
    if options.mode == "network":
        setup = Network(options.build, options.san, libraries, user=options.user,
                        link=options.link, far=options.far)
    else:
        setup = Setup(options.build, options.mode, options.san, libraries, user=options.user)
    if setup.missing():
        tap.result(False, prefix, "not built: " + setup.missing())
        return tap.end()
    before = rdma_packets()
    with setup:
        run_all(setup, tap, folder, prefix, options)
    if options.mode == "network" and options.link == "verbs":
        sent = rdma_packets() - before
        tap.result(sent >= 10 * tap.count, prefix + "/device_counter", "%d packets" % sent)
    if not tap.count:
        tap.result(False, prefix, "no programs in " + folder)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
