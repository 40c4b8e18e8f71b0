#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vgpu against the daemons themselves: servers, sessions; prints TAP.

    daemons.py [--device] --build FOLDER

vgpud and vgpu-server run on this host over loopback; with --device vgpud has the
module's devices, in a virtual machine. What vgpu makes of documents, right and wrong
ones, is tested in status.c; of devices without daemons, in selftests/kmod/vgpu_tool.py.
"""

import argparse
import json
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from harness import Tap, wait_until    # noqa: E402
from network import Network            # noqa: E402

# A program with a context that stays until it is told to go on, then fails or not.
PROGRAM = """
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
assert not cuda.cuInit(0) and not cuda.cuDeviceGet(ctypes.byref(device), 0)
assert not cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
assert not cuda.cuCtxSetCurrent(context)
assert not cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(1 << 20))
print("ready", flush=True)
for line in sys.stdin:
    data = ctypes.create_string_buffer(1 << 20)
    print(cuda.cuMemcpyHtoD_v2(memory, data, ctypes.c_size_t(1 << 20)), flush=True)
"""
# What makes vgpud serve the module; /dev/vgpu1 is left alone.
DROPIN = """
[daemon]
ctl = /dev/vgpuctl
[device 0]
server = gpuhost
gpu = 1
"""
TESTS = []
DEVICE_TESTS = []


def test(function):
    TESTS.append(function)
    return function


def device_test(function):
    DEVICE_TESTS.append(function)
    return function


class World:
    """Both daemons, and the command."""

    def __init__(self, net):
        self.net = net
        self.options = ["--vgpud-status", net.folder + "/vgpud.status",
                        "--server-status", net.folder + "/server.status"]

    def vgpu(self, *words):
        return subprocess.run([self.net.build + "/vgpu", *words, *self.options],
                              capture_output=True, text=True, timeout=60, check=False)

    def does(self, *words):
        done = self.vgpu(*words)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def refuses(self, text, *words):
        done = self.vgpu(*words)
        assert done.returncode == 1 and not done.stdout and text in done.stderr, done

    def json(self, what):
        return json.loads(self.does(what, "-j"))

    def until(self, what, condition):
        """Of a document of `vgpu @what`, soon."""
        seen = []

        def holds():
            seen[:] = [self.json(what)]
            return condition(seen[0])
        assert wait_until(holds, 20), seen
        return seen[0]

    def server(self):
        return self.json("servers")["servers"][0]


class Program:
    """PROGRAM, from when it has its context on."""

    def __init__(self, world, **environment):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], text=True,
            env={**world.net.environment(), **environment},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        assert self.process.stdout.readline() == "ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def copy(self):
        """CUresult of a copy of 1 MiB."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@test
def a_server(world):
    world.until("servers", lambda seen: seen["servers"][0]["state"] == "up")
    server = world.server()
    assert server["name"] == "gpuhost" and server["link"] == "tcp" and server["error"] == ""
    assert server["address"] == "127.0.0.1:%d" % world.net.gpus.port and server["sessions"] == 0
    head, line = world.does("servers").splitlines()
    assert head.split() == "NAME ADDRESS STATE LINK RTT SESSIONS ERROR".split()
    assert line.split()[:4] == ["gpuhost", server["address"], "up", "tcp"]


@test
def no_session(world):
    assert world.json("sessions") == {"sessions": [], "served": []}
    assert [line.split()[0] for line in world.does("sessions").splitlines() if line] == [
        "PID", "CLIENT"]


@test
def a_session_on_both_hosts(world):
    with Program(world) as program:
        seen = world.until("sessions", lambda seen: seen["served"] and seen["sessions"] and
                           seen["sessions"][0]["state"] == "running")
        near, far = seen["sessions"][0], seen["served"][0]
        name = os.path.basename(os.path.realpath(sys.executable))
        assert len(seen["sessions"]) == len(seen["served"]) == 1
        assert near["id"] == far["id"] and len(near["id"]) == 32, seen
        assert near["pid"] == far["pid"] == program.process.pid
        assert near["uid"] == far["uid"] == os.getuid()
        assert near["program"] == far["program"] == name
        assert (near["server"], near["link"], far["link"]) == ("gpuhost", "tcp", "tcp")
        assert (near["devices"], far["gpus"]) == ([], list(range(world.net.devices)))
        assert near["attaches"] == 1 and far["state"] == "running" and far["client"]
        assert far["worker"] in world.net.workers()
        before = near["bytes_out"]
        assert program.copy() == 0
        world.until("sessions", lambda seen:
                    seen["sessions"][0]["bytes_out"] >= before + (1 << 20))
        assert world.server()["sessions"] == 1
        lines = world.does("sessions").splitlines()
        assert len(lines) == 5 and lines[2] == "" and near["id"][:8] in lines[1]
        assert near["id"][:8] in lines[4]
    world.until("sessions", lambda seen: seen == {"sessions": [], "served": []})


@test
def round_trips(world):
    with Program(world):
        world.until("servers", lambda seen: seen["servers"][0]["rtt_us"] > 0)
        assert "us" in world.does("servers") or "ms" in world.does("servers")


@test
def a_server_that_is_gone(world):
    with Program(world) as program:
        world.net.kill_server()
        seen = world.until("servers", lambda seen: seen["servers"][0]["state"] == "connecting" and
                           seen["servers"][0]["error"])
        assert seen["servers"][0]["link"] == ""
        # the worker has ended with its server: the session cannot go on
        assert wait_until(lambda: program.copy() != 0, 20)
        world.until("sessions", lambda seen: seen == {"sessions": [], "served": None})
    world.net.restart_dead()
    world.until("servers", lambda seen: seen["servers"][0]["state"] == "up")


@test
def a_vgpud_that_does_not_answer(world):
    os.kill(world.net.vgpud.pid, signal.SIGSTOP)
    try:
        world.refuses("there was no answer in time", "servers")
    finally:
        os.kill(world.net.vgpud.pid, signal.SIGCONT)
    world.until("servers", lambda seen: seen["servers"][0]["state"] == "up")


@test
def a_vgpud_that_is_not_there(world):
    world.net.vgpud.kill()
    world.refuses("vgpud does not run on this host", "servers")
    seen = world.json("sessions")
    assert seen["sessions"] is None and seen["served"] == []
    assert world.does("sessions").startswith("CLIENT")
    world.net.restart_dead()
    world.until("servers", lambda seen: seen["servers"][0]["state"] == "up")


@test
def the_other_daemon(world):
    world.options = ["--vgpud-status", world.net.folder + "/server.status",
                     "--server-status", "/nonexistent/status"]
    world.refuses("that is not vgpud", "servers")
    world.refuses("that is not vgpud", "sessions")
    world.options[1] = "/nonexistent/status"
    world.refuses("neither vgpud nor vgpu-server runs on this host", "sessions")


# ---- with the module ----

def device(world, number):
    """What `vgpu list` says of a device's other end, and its line for people."""
    devices = {each["device"]: each for each in world.json("list")["devices"]}
    shown = json.loads(world.does("show", "-j", str(number)))
    assert shown == devices[number], (shown, devices)
    lines = {line.split()[0]: line.split() for line in world.does("list").splitlines()}
    return devices[number]["server"], lines["vgpu%d" % number][-4:]


@device_test
def devices_lead_to_a_server(world):
    world.until("servers", lambda seen: seen["servers"][0]["state"] == "up")
    server, words = device(world, 0)
    assert words == ["gpuhost", "tcp", "up", "0"], words
    assert server == world.server(), server
    assert device(world, 1) == (None, ["-"] * 4)
    text = world.does("show", "0")
    for line in ("backend          gpuhost:1", "server           gpuhost",
                 "address          127.0.0.1:%d" % world.net.gpus.port, "link             tcp",
                 "connection       up", "sessions         0"):
        assert line + "\n" in text, text
    assert "sessions  " not in world.does("show", "1")


@device_test
def sessions_of_devices(world):
    with Program(world, VGPU_DEVICES="0") as program:
        seen = world.until("sessions", lambda seen: seen["sessions"] and
                           seen["sessions"][0]["state"] == "running")
        assert seen["sessions"][0]["devices"] == [0] and seen["served"][0]["gpus"] == [1]
        assert seen["sessions"][0]["pid"] == program.process.pid
        server, words = device(world, 0)
        assert server["sessions"] == 1 and words == ["gpuhost", "tcp", "up", "1"]
    world.until("sessions", lambda seen: seen == {"sessions": [], "served": []})


@device_test
def a_server_that_is_gone_shows_at_the_device(world):
    world.net.kill_server()
    world.until("servers", lambda seen: seen["servers"][0]["state"] == "connecting" and
                "refused" in seen["servers"][0]["error"])
    server, words = device(world, 0)
    assert server["error"] and words == ["gpuhost", "-", "connecting", "0"], words
    assert "error            Connection refused\n" in world.does("show", "0")
    world.net.restart_dead()
    world.until("servers", lambda seen: seen["servers"][0]["state"] == "up")


@device_test
def without_vgpud_nobody_says_where_devices_lead(world):
    world.net.vgpud.kill()
    assert device(world, 0) == (None, ["-"] * 4)
    world.net.restart_dead()
    world.until("servers", lambda seen: seen["servers"][0]["state"] == "up")


# ---- run ----

class NetworkOfDevices(Network):
    """The module's devices instead of the socket."""

    def configure(self, tls=None):
        os.makedirs(self.folder + "/conf.d", exist_ok=True)
        with open(self.folder + "/conf.d/device.conf", "w") as file:
            file.write(DROPIN)
        return super().configure(tls)


def attempt(function, world):
    """None, or why it failed."""
    try:
        world.net.restart_dead()
        function(world)
    except (AssertionError, OSError, ValueError, LookupError,
            subprocess.TimeoutExpired) as error:
        line = error.__traceback__
        while line.tb_next:
            line = line.tb_next
        return "line %d: %s: %s\n%s" % (line.tb_lineno, type(error).__name__, error,
                                        world.net.server_log())
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--device", action="store_true")
    options = parser.parse_args()
    tap = Tap()
    network = NetworkOfDevices if options.device else Network
    with network(os.path.abspath(options.build), link="plain", grace=3) as net:
        missing = net.missing()
        if missing:
            sys.exit("Bail out! %s is not built" % missing)
        world = World(net)
        for function in DEVICE_TESTS if options.device else TESTS:
            why = attempt(function, world)
            tap.result(not why, function.__name__, details=why or "")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
