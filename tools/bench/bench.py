#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures vgpu beside its bare mechanisms, in one run, and prints a table.

usage: bench.py BUILD [--rounds N] [--largest BYTES] [--json FILE]

BUILD is the build folder. Starts a server of its own on softgpu. Copies are
compared with memcpy, round trips with a ping-pong through shared memory,
launches and start-up with the same program directly on the libcuda beneath.
Where the module is loaded, its channels are measured beside the socket's. Of
several rounds each figure is the median.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

LINK = "local"
CTL = "/dev/vgpuctl"


def figures(command, env):
    """What a benchmark printed, as {(metric, size): value}."""
    out = subprocess.run(command, env=env, check=True, timeout=300,
                         stdout=subprocess.PIPE, text=True).stdout
    return {(m, int(s)): float(v) for m, s, v in (line.split() for line in out.splitlines())}


def environment(library, **more):
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("VGPU_", "SOFTGPU_", "CUDA_"))}
    env["LD_LIBRARY_PATH"] = library
    env.update(more)
    return env


class Bench:
    """Ways to run a program: on the libcuda beneath, or over each backend."""

    def __init__(self, build, socket, largest):
        self.build = build
        self.largest = [str(largest)] if largest else []
        self.direct = environment(f"{build}/softgpu")
        self.backends = {"socket": environment(f"{build}/lib", VGPU_SOCKET=socket,
                                               VGPU_DEVICES="none")}
        if os.path.exists(CTL):
            self.backends["module"] = environment(f"{build}/lib")

    def command(self, name, *words):
        return [f"{self.build}/bench/{name}", *words]

    def each(self, command):
        """(backend, what the command printed over it)"""
        for name, env in self.backends.items():
            yield name, figures(command, env)


def row(metric, backend, size, value, unit, bare):
    return {"metric": metric, "backend": backend, "link": LINK, "size": size, "value": value,
            "unit": unit, "bare": bare}


def call_rows(bench):
    beneath = figures(bench.command("probe", "calls"), bench.direct)
    ping = figures(bench.command("bare", "pingpong"), bench.direct)
    for backend, ours in bench.each(bench.command("probe", "calls")):
        yield row("launch_cpu", backend, 0, ours["launch_cpu", 0], "ns", beneath["launch_cpu", 0])
        yield row("launches", backend, 0, ours["launches", 0], "1/s", beneath["launches", 0])
        for p in "p50", "p99":
            yield row(f"round_trip_{p}", backend, 0, ours[f"round_trip_{p}", 0], "ns",
                      ping[f"pingpong_{p}", 0])


def copy_rows(bench):
    memcpy = figures(bench.command("bare", "memcpy", *bench.largest), bench.direct)
    for backend, ours in bench.each(bench.command("probe", "copies", *bench.largest)):
        for (metric, size), value in ours.items():
            yield row(metric, backend, size, value, "GB/s", memcpy["memcpy", size])


def start_rows(bench):
    command = bench.command("bare", "start", f"{bench.build}/bench/first_kernel")
    beneath = figures(command, bench.direct)["start", 0]
    for backend, ours in bench.each(command):
        yield row("start_to_first_kernel", backend, 0, ours["start", 0] / 1e6, "ms",
                  beneath / 1e6)


def median_rows(rounds):
    """One list of rows out of several, which have the same rows in the same order."""
    rows = []
    for same in zip(*rounds):
        value = statistics.median(r["value"] for r in same)
        bare = statistics.median(r["bare"] for r in same)
        rows.append(dict(same[0], value=round(value, 3), bare=round(bare, 3),
                         ratio=round(value / bare, 3) if bare else None))
    return rows


def server_start(build, folder):
    socket = f"{folder}/server.sock"
    server = subprocess.Popen(
        [f"{build}/vgpu-server", "--socket", socket, "--libcuda",
         f"{build}/softgpu/libcuda.so.1", "--cache", f"{folder}/cache",
         "--ctl", CTL if os.path.exists(CTL) else "none"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment(f"{build}/softgpu"))
    if "ready" not in server.stdout.readline():
        sys.exit("bench: the server did not start")
    return server, socket


def against_socket(rows):
    """{row of the module: its value by that of the socket}"""
    socket = {(r["metric"], r["size"]): r["value"] for r in rows if r["backend"] == "socket"}
    return {(r["metric"], r["size"]): r["value"] / socket[r["metric"], r["size"]]
            for r in rows if r["backend"] == "module" and socket[r["metric"], r["size"]]}


def show(rows):
    beside = against_socket(rows)
    print(f"{'metric':24}{'backend':>8}{'size':>12}{'value':>14} {'unit':5}{'bare':>14}{'ratio':>9}"
          + ("   by socket" if beside else ""))
    for r in sorted(rows, key=lambda r: (r["metric"], r["size"])):
        size = f"{r['size'] // 1024} KiB" if r["size"] else "-"
        by = beside.get((r["metric"], r["size"])) if r["backend"] == "module" else None
        print(f"{r['metric']:24}{r['backend']:>8}{size:>12}{r['value']:>14.1f} {r['unit']:5}"
              f"{r['bare']:>14.1f}{r['ratio']:>9.2f}" + (f"{by:>12.2f}" if by else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--largest", type=int, metavar="BYTES", help="of copies")
    parser.add_argument("--json")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        server, socket = server_start(build, folder)
        bench = Bench(build, socket, args.largest)
        try:
            for _ in range(args.rounds):
                rounds.append([r for part in (call_rows, start_rows, copy_rows)
                               for r in part(bench)])
        finally:
            server.terminate()
            server.wait(10)
    rows = median_rows(rounds)
    show(rows)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"rows": rows}, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
