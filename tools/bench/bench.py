#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures vgpu beside its bare mechanisms, in one run, and prints a table.

usage: bench.py BUILD [--json FILE]

BUILD is the build folder. Starts a server of its own on softgpu. Copies are
compared with memcpy, round trips with a ping-pong through shared memory,
launches and start-up with the same program directly on the libcuda beneath.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

BACKEND, LINK = "socket", "local"


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


def row(metric, size, value, unit, bare):
    return {"metric": metric, "backend": BACKEND, "link": LINK, "size": size, "value": value,
            "unit": unit, "bare": bare, "ratio": round(value / bare, 3) if bare else None}


def call_rows(build, remote, direct):
    bench = f"{build}/bench"
    ours = figures([f"{bench}/probe", "calls"], remote)
    beneath = figures([f"{bench}/probe", "calls"], direct)
    ping = figures([f"{bench}/bare", "pingpong"], direct)
    yield row("launch_cpu", 0, ours["launch_cpu", 0], "ns", beneath["launch_cpu", 0])
    yield row("launches", 0, ours["launches", 0], "1/s", beneath["launches", 0])
    for p in "p50", "p99":
        yield row(f"round_trip_{p}", 0, ours[f"round_trip_{p}", 0], "ns", ping[f"pingpong_{p}", 0])


def copy_rows(build, remote, direct):
    bench = f"{build}/bench"
    memcpy = figures([f"{bench}/bare", "memcpy"], direct)
    ours = figures([f"{bench}/probe", "copies"], remote)
    for (metric, size), value in ours.items():
        yield row(metric, size, value, "GB/s", memcpy["memcpy", size])


def start_rows(build, remote, direct):
    command = [f"{build}/bench/bare", "start", f"{build}/bench/first_kernel"]
    ours = figures(command, remote)["start", 0] / 1e6
    beneath = figures(command, direct)["start", 0] / 1e6
    yield row("start_to_first_kernel", 0, round(ours, 3), "ms", round(beneath, 3))


def server_start(build, folder):
    socket = f"{folder}/server.sock"
    server = subprocess.Popen(
        [f"{build}/vgpu-server", "--socket", socket, "--libcuda",
         f"{build}/softgpu/libcuda.so.1", "--cache", f"{folder}/cache"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment(f"{build}/softgpu"))
    if "ready" not in server.stdout.readline():
        sys.exit("bench: the server did not start")
    return server, socket


def show(rows):
    print(f"{'metric':24}{'size':>12}{'value':>14} {'unit':5}{'bare':>14}{'ratio':>9}")
    for r in rows:
        size = f"{r['size'] // 1024} KiB" if r["size"] else "-"
        print(f"{r['metric']:24}{size:>12}{r['value']:>14.1f} {r['unit']:5}"
              f"{r['bare']:>14.1f}{r['ratio']:>9.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--json")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        server, socket = server_start(build, folder)
        remote = environment(f"{build}/lib", VGPU_SOCKET=socket)
        direct = environment(f"{build}/softgpu")
        try:
            for part in call_rows, start_rows, copy_rows:
                rows += part(build, remote, direct)
        finally:
            server.terminate()
            server.wait(10)
    show(rows)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"rows": rows}, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
