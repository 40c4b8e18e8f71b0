#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures vgpu beside its bare mechanisms, in one run, and prints a table.

usage: bench.py BUILD [--rounds N] [--largest BYTES] [--only WAY,...]
                [--parts calls,start,copies] [--json FILE]

BUILD is the build folder. Starts servers of its own on softgpu. Programs run
over the socket of a server of this host and, where the module is loaded, over
its devices; and over loopback as if the GPU were on another host, in plain TCP
and in TLS. Each figure stands beside what the bare mechanism does in the same
run; of several rounds it is the median. See Documentation/benchmarks.md.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

import ways

PARTS = ("calls", "start", "copies")
UNITS = {"launch_cpu": "ns", "launches": "1/s", "round_trip_p50": "ns", "round_trip_p99": "ns",
         "start_to_first_kernel": "ms"}


def figures(command, env):
    """What a benchmark printed, as {(metric, size): value}."""
    run = subprocess.run(command, env=env, timeout=900, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit("bench: %s ended with %d" % (" ".join(command), run.returncode))
    return {(m, int(s)): float(v)
            for m, s, v in (line.split() for line in run.stdout.splitlines())}


class Round:
    """One round of measuring: every way, and the bare mechanisms beside them."""

    def __init__(self, place, largest):
        self.place = place
        self.largest = [str(largest)] if largest else []
        self.kinds = sorted({way.link for way in place.ways} - {"local"})
        self.bare = {}
        self.rows = []

    def run(self, name, *words, env=None):
        return figures(["%s/bench/%s" % (self.place.build, name), *words],
                       env or self.place.direct)

    def row(self, way, metric, size, value, against):
        """against: names of bare figures, which are added up."""
        bare = sum(self.bare[name, at] for name, at in against)
        self.rows.append({
            "metric": metric, "backend": way.name, "link": way.link, "size": size,
            "value": value, "unit": UNITS.get(metric, "GB/s"),
            "against": "+".join(name.replace("_p50", "").replace("_p99", "")
                                for name, _ in against),
            "bare": bare})

    def calls(self):
        for (metric, size), value in self.run("probe", "calls").items():
            self.bare["direct_" + metric, size] = value
        self.bare.update(self.run("bare", "pingpong"))
        self.bare.update(self.run("bare", "wake"))
        for kind in self.kinds:
            self.bare.update(self.run("net", "echo", kind))
        for way in self.place.ways:
            ours = self.run("probe", "calls", env=way.env)
            for metric in "launch_cpu", "launches":
                self.row(way, metric, 0, ours[metric, 0], [("direct_" + metric, 0)])
            for p in "p50", "p99":
                self.round_trip(way, p, ours["round_trip_" + p, 0])

    def round_trip(self, way, p, value):
        """Over the network there are two hops: to the daemon, and to the worker."""
        metric = "round_trip_" + p
        if way.link == "local":
            self.row(way, metric, 0, value, [("pingpong_" + p, 0)])
            return
        echo = ("echo_%s_%s" % (way.link, p), 64)
        self.row(way, metric, 0, value, [echo])
        self.row(way, metric, 0, value, [echo, ("wake_" + p, 0)])

    def start(self):
        program = self.place.build + "/bench/first_kernel"
        for name, value in self.run("bare", "start", program).items():
            self.bare["direct_" + name[0], name[1]] = value / 1e6
        for way in self.place.ways:
            took = self.run("bare", "start", program, env=way.env)["start", 0]
            self.row(way, "start_to_first_kernel", 0, took / 1e6, [("direct_start", 0)])

    def copies(self):
        self.bare.update(self.run("bare", "memcpy", *self.largest))
        for kind in self.kinds:
            for metric in "stream", "exchange":
                self.bare.update(self.run("net", metric, kind, *self.largest))
        for way in self.place.ways:
            ours = self.run("probe", "copies", *self.largest, env=way.env)
            for (metric, size), value in ours.items():
                self.copy(way, metric, size, value)

    def copy(self, way, metric, size, value):
        """Copies to pageable memory wait for each other: they are an exchange, too."""
        if way.link == "local":
            self.row(way, metric, size, value, [("memcpy", size)])
            return
        self.row(way, metric, size, value, [("stream_" + way.link, size)])
        if metric == "d2h_pageable":
            self.row(way, metric, size, value, [("exchange_" + way.link, size)])


def median_rows(rounds):
    """One list of rows out of several, which have the same rows in the same order."""
    rows = []
    for same in zip(*rounds):
        value = statistics.median(r["value"] for r in same)
        bare = statistics.median(r["bare"] for r in same)
        rows.append(dict(same[0], value=round(value, 3), bare=round(bare, 3),
                         ratio=round(value / bare, 3) if bare else None))
    return rows


def against_socket(rows):
    """{row of the module: its value by that of the socket}"""
    socket = {(r["metric"], r["size"]): r["value"] for r in rows if r["backend"] == "socket"}
    return {(r["metric"], r["size"]): r["value"] / socket[r["metric"], r["size"]]
            for r in rows if r["backend"] == "module" and
            socket.get((r["metric"], r["size"]))}


def show(rows):
    beside = against_socket(rows)
    print("%-23s%14s%12s%13s %-4s%12s%8s  %s%s" % (
        "metric", "backend", "size", "value", "unit", "bare", "ratio", "against",
        " (by socket)" if beside else ""))
    for r in sorted(rows, key=lambda r: (r["metric"], r["size"])):
        size = "%d KiB" % (r["size"] // 1024) if r["size"] else "-"
        by = beside.get((r["metric"], r["size"])) if r["backend"] == "module" else None
        digits = 2 if r["unit"] == "GB/s" else 1
        print("%-23s%14s%12s%13.*f %-4s%12.*f%8s  %s%s" % (
            r["metric"], r["backend"], size, digits, r["value"], r["unit"], digits, r["bare"],
            "-" if r["ratio"] is None else "%.2f" % r["ratio"], r["against"],
            " (%.2f)" % by if by else ""), flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--largest", type=int, metavar="BYTES", help="of copies")
    parser.add_argument("--only", metavar="WAY,...",
                        help=",".join(ways.LINKS) + "; default: all there are")
    parser.add_argument("--parts", default=",".join(PARTS), metavar="PART,...")
    parser.add_argument("--json")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.only = options.only.split(",") if options.only else ways.known()
    options.parts = options.parts.split(",")
    for word in options.only:
        if word not in ways.LINKS:
            parser.error("there is no way %s" % word)
    for word in options.parts:
        if word not in PARTS:
            parser.error("there is no part %s" % word)
    return options


def main():
    options = arguments()
    rounds = []
    with ways.Place(options.build, options.only) as place:
        for _ in range(options.rounds):
            one = Round(place, options.largest)
            for part in options.parts:
                getattr(one, part)()
            rounds.append(one.rows)
    rows = median_rows(rounds)
    show(rows)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"rows": rows}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
