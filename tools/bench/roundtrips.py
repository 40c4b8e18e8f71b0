#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What distance costs: programs with the GPU on another host, ever further away.

usage: roundtrips.py BUILD [--netem] [--delays MS,...] [--only WAY,...] [--times N]
                     [--programs FOLDER] [--json FILE] [NAME...]

What goes between the daemons is passed on so much later by tools/bench/far.c;
with --netem by the kernel, in a network of their own (tools/bench/delay). For
every program: how often it waits for an answer, counted by a libcuda that
counts; its time at each delay; and by how many round trips that grew from the
first delay to the last. The same for bursts of asynchronous calls, which must
grow by one or two however many calls they are. Times are medians.
"""
import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import threading
import time

import ways

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT = 300


def timed(command, env):
    """(seconds, exit status) of one run; killed when it takes too long."""
    start = time.monotonic()
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # Not wait(TIMEOUT), which looks at ever longer intervals.
    watchdog = threading.Timer(TIMEOUT, process.kill)
    watchdog.start()
    status = process.wait()
    took = time.monotonic() - start
    watchdog.cancel()
    return took, status


def count_waits(place, way, command):
    """How often the program waited; None if it failed."""
    counter = place.folder + "/waits"
    _, status = timed(command, ways.counting(way, place.build, counter))
    if status or not os.path.exists(counter):
        return None
    with open(counter, "rb") as file:
        return struct.unpack("<Q", file.read(8))[0]


def measure(options):
    """At one delay: JSON lines, one for each figure."""
    with ways.Place(options.build, options.only, 2, options.relay) as place:
        for way in place.ways:
            for name, seconds in bursts(place, way, options.times):
                say(way=way.name, what="burst", name=name, seconds=seconds, waits=None)
            for name in options.names:
                command = [os.path.join(options.programs, name)]
                waits = count_waits(place, way, command) if options.count else None
                runs = [timed(command, way.env) for _ in range(options.times)]
                failed = [status for _, status in runs if status]
                say(way=way.name, what="program", name=name, waits=waits,
                    seconds=None if failed else statistics.median(s for s, _ in runs))


def bursts(place, way, times):
    """(name, seconds) of each burst that the probe knows."""
    found = {}
    for _ in range(times):
        out = subprocess.run([place.build + "/bench/probe", "async"], env=way.env, check=True,
                             timeout=TIMEOUT, stdout=subprocess.PIPE, text=True).stdout
        for line in out.splitlines():
            name, _, nanoseconds = line.split()
            found.setdefault(name, []).append(float(nanoseconds) / 1e9)
    return [(name, statistics.median(values)) for name, values in found.items()]


def say(**figure):
    print(json.dumps(figure), flush=True)


def at_delay(options, delay):
    """Figures of measure() with that delay."""
    command = [HERE + "/delay", delay] if options.netem else []
    command += [sys.executable, "-B", os.path.abspath(__file__), options.build, "--measure",
                "--relay", "" if options.netem else delay,
                "--times", str(options.times), "--programs", options.programs,
                "--only", ",".join(options.only)]
    command += ["--count"] if delay == options.delays[0] else []
    found = []
    with subprocess.Popen(command + options.names, stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            found.append(json.loads(line))
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if run.returncode:
        sys.exit(run.returncode)
    return found


def merge(options, found):
    """One row for each figure, from those of each delay."""
    rows = []
    for same in zip(*found):
        seconds = [figure["seconds"] for figure in same]
        further = (float(options.delays[-1]) - float(options.delays[0])) / 1e3
        grown = None if None in seconds or not further else (seconds[-1] - seconds[0]) / further
        rows.append(dict(same[0], seconds=dict(zip(options.delays, seconds)), grown=grown))
    return rows


def show(options, rows):
    print("%-14s%-26s%9s%s%9s" % ("way", "what", "waits", "".join(
        "%11s" % (delay + " ms") for delay in options.delays), "grown by"))
    for row in rows:
        times = "".join("%11s" % ("failed" if s is None else "%.1f ms" % (s * 1e3))
                        for s in row["seconds"].values())
        waits = "-" if row["waits"] is None else row["waits"]
        grown = "-" if row["grown"] is None else "%.1f" % row["grown"]
        print("%-14s%-26s%9s%s%9s" % (row["way"], row["name"], waits, times, grown))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--netem", action="store_true", help="delays by the kernel")
    parser.add_argument("--delays", default="0,0.3,1", metavar="MS,...")
    parser.add_argument("--only", default=",".join(ways.NETWORK), metavar="WAY,...")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--programs", metavar="FOLDER", help="default: BUILD/e2e/static")
    parser.add_argument("--json")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--relay", default="", help=argparse.SUPPRESS)
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_intermixed_args()
    options.build = os.path.abspath(options.build)
    options.programs = os.path.abspath(options.programs or options.build + "/e2e/static")
    options.delays = options.delays.split(",")
    options.only = options.only.split(",")
    options.names = options.names or sorted(
        name for name in os.listdir(options.programs) if "." not in name)
    return options


def main():
    options = arguments()
    if options.measure:
        return measure(options)
    rows = merge(options, [at_delay(options, delay) for delay in options.delays])
    show(options, rows)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"rows": rows}, file, indent=1)
            file.write("\n")
    return 1 if any(None in row["seconds"].values() for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
