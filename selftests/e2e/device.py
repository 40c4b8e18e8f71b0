#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which virtual GPUs a program sees over /dev/vgpuN, and what it is told.

For a virtual machine, by with_module: two devices, group 4242. Prints TAP.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time

from harness import CTL, Process, Setup, Tap, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
WAIT = 60
USER, GROUP = 1000, 4242
NO_DEVICE, SYSTEM_NOT_READY, DEVICE_UNAVAILABLE = 100, 802, 46


def shown(number, attribute):
    """What sysfs says of a device."""
    with open("/sys/class/vgpu/vgpu%d/%s" % (number, attribute)) as file:
        return file.read().strip()


class Devices:
    def __init__(self, build, programs):
        self.build = build
        self.programs = programs
        self.setup = None       # of the test that runs

    # ---- what tests are made of ----

    def start_asking(self, user=None, **variables):
        env = dict(self.setup.environment(), **variables)
        return Process([sys.executable, HERE + "/ask.py"], env, user=user)

    @staticmethod
    def answer(process):
        """What a program saw, and what was said on the way."""
        status = process.wait(WAIT)
        text = process.output()
        process.end()
        assert status == 0, "status %s\n%s" % (status, text)
        *said, last = text.splitlines()
        return json.loads(last), said

    def ask(self, user=None, **variables):
        return self.answer(self.start_asking(user, **variables))

    def is_refused(self, init, *words, user=None, **variables):
        """cuInit() returns that, and one line has these words."""
        seen, said = self.ask(user, **variables)
        assert seen["init"] == init, "cuInit() is %d, not %d: %s" % (seen["init"], init, said)
        assert len(said) == 1, "not one line: %s" % said
        for word in words:
            assert word in said[0], "no '%s' in '%s'" % (word, said[0])

    def sees(self, numbers, user=None, **variables):
        """Those virtual GPUs, in that order, by their own UUIDs."""
        seen, said = self.ask(user, **variables)
        uuids = [device["uuid"] for device in seen["devices"]]
        expected = [shown(number, "uuid") for number in numbers]
        assert uuids == expected and not said, "%s, not %s; %s" % (uuids, expected, said)
        return seen["devices"]

    def run(self, *names, user=None):
        for name in names:
            process = Process([self.programs + "/" + name], self.setup.environment(), user=user)
            status = process.wait(WAIT)
            text = process.output()
            process.end()
            assert status == 0, "%s: status %s\n%s" % (name, status, text)

    def tool(self, *words):
        subprocess.run([self.build + "/vgpu", *words], check=True, stdout=subprocess.DEVNULL)

    # ---- tests: who sees what ----

    def bound_at_start(self):
        """Each device got a GPU, and its name and memory."""
        for number, device in enumerate(self.sees([0, 1])):
            assert shown(number, "backend") == "local:%d" % number
            assert shown(number, "name") == device["name"] != ""
            assert int(shown(number, "memory")) == device["memory"] > 0
            assert shown(number, "state") == "ready"

    def chosen_by_the_environment(self):
        self.sees([1], VGPU_DEVICES="1")
        self.sees([1, 0], VGPU_DEVICES="1,/dev/vgpu0")
        self.sees([1], VGPU_DEVICES="1,0", CUDA_VISIBLE_DEVICES="0")
        self.sees([1], CUDA_VISIBLE_DEVICES="GPU-" + shown(1, "uuid"))
        self.is_refused(NO_DEVICE, "VGPU_DEVICES=9", VGPU_DEVICES="9")
        self.is_refused(NO_DEVICE, "VGPU_DEVICES=x", VGPU_DEVICES="x")
        self.is_refused(NO_DEVICE, "VGPU_DEVICES=0,0", VGPU_DEVICES="0,0")
        self.is_refused(NO_DEVICE, "VGPU_DEVICES=/etc/passwd", VGPU_DEVICES="/etc/passwd")

    def socket_instead(self):
        """Whoever wants none of the devices still has the server's socket."""
        seen, said = self.ask(VGPU_DEVICES="none", VGPU_SOCKET=self.setup.socket_path)
        assert len(seen["devices"]) == 2 and not said, said
        assert seen["devices"][0]["uuid"] != shown(0, "uuid")

    def user_of_the_group(self):
        self.sees([0, 1], user=(USER, GROUP))

    def user_without_access(self):
        self.is_refused(NO_DEVICE, "/dev/vgpu0", "group %d" % GROUP, "member",
                        user=(USER, USER))
        self.is_refused(NO_DEVICE, "VGPU_DEVICES=1", user=(USER, USER), VGPU_DEVICES="1")

    def user_with_access_to_one(self):
        os.chown("/dev/vgpu1", 0, USER)
        try:
            self.sees([1], user=(USER, USER))
        finally:
            os.chown("/dev/vgpu1", 0, GROUP)

    def backend_that_is_none(self):
        """Not of this server: whoever opens that device is told, others go on."""
        for backend in "local:2", "elsewhere:0":
            self.tool("set", "1", "--backend", backend)
            self.is_refused(DEVICE_UNAVAILABLE, "/dev/vgpu1", backend)
            self.sees([0], VGPU_DEVICES="0")
        self.tool("set", "1", "--backend", "local:0")
        self.sees([0, 1])
        self.tool("set", "1", "--backend", "")
        assert wait_until(lambda: shown(1, "backend") == "local:1", WAIT) is not None

    def device_made_later(self):
        self.tool("add", "-n", "7")
        try:
            assert wait_until(lambda: os.path.exists("/dev/vgpu7") and
                              shown(7, "backend") == "local:1", WAIT) is not None
            self.sees([7], VGPU_DEVICES="7")
        finally:
            self.tool("rm", "7")

    def one_gpu_as_two_devices(self):
        """Of the same name, with UUIDs of their own; each is itself when reset."""
        assert shown(0, "backend") == shown(1, "backend") == "local:0"
        self.sees([0, 1])
        self.run("two_gpus", "device_reset", "device_query")

    # ---- tests: with and without a daemon ----

    def another_daemon(self):
        """There can be one: a second says so, and the first goes on."""
        other = Process([self.build + "/vgpu-server", "--socket", self.setup.folder + "/other",
                         "--libcuda", self.build + "/softgpu/libcuda.so.1", "--cache", "",
                         "--ctl", CTL], dict(os.environ))
        status, text = other.wait(WAIT), other.output()
        other.end()
        assert status == 1 and "another daemon has it" in text, text
        self.sees([0, 1])

    def no_daemon(self):
        self.setup.server.kill(signal.SIGTERM)
        self.setup.server.end()
        assert shown(0, "state") == "down"
        self.is_refused(SYSTEM_NOT_READY, "/dev/vgpu0", "vgpu-server")
        self.setup.start_server()
        self.sees([0, 1])

    def daemon_restarts_meanwhile(self):
        """The daemon ends before it looked at a program that is at cuInit()."""
        for _ in range(3):
            os.kill(self.setup.server.pid, signal.SIGSTOP)
            asking = self.start_asking()
            assert wait_until(lambda: shown(0, "counters/channels") != "0", WAIT) is not None
            self.setup.server.kill()
            self.setup.server.end()
            time.sleep(0.1)
            self.setup.start_server()
            seen, said = self.answer(asking)
            assert seen["init"] == 0 and not said, "%s %s" % (seen, said)

    TESTS = [bound_at_start, chosen_by_the_environment, socket_instead, user_of_the_group,
             user_without_access, user_with_access_to_one, backend_that_is_none,
             device_made_later, another_daemon, no_daemon, daemon_restarts_meanwhile]
    WITH_ONE_GPU = [one_gpu_as_two_devices]


def run(devices, tests, gpus, tap):
    for number in 0, 1:
        devices.tool("set", str(number), "--backend", "", "--name", "", "--memory", "0")
    with Setup(devices.build, "device", devices=gpus) as devices.setup:
        for test in tests:
            try:
                test(devices)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                tap.result(False, "device/" + test.__name__, "",
                           "%s\n--- server:\n%s" % (error, devices.setup.server_log()))
            else:
                tap.result(True, "device/" + test.__name__)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--programs", help="where the programs are (BUILD/e2e)")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    programs = os.path.abspath((options.programs or options.build + "/e2e") + "/static")
    devices, tap = Devices(build, programs), Tap()
    for tests, gpus in (Devices.TESTS, 2), (Devices.WITH_ONE_GPU, 1):
        tests = [t for t in tests if not options.names or t.__name__ in options.names]
        if tests:
            run(devices, tests, gpus, tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
