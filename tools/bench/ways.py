# SPDX-License-Identifier: MIT
"""Ways to give a program a libcuda, for what is measured beside each other: the one
beneath, a server of this host, and a server of another host, which is this one
over loopback. What starts them is that of the end-to-end tests.
"""

import contextlib
import functools
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../selftests/e2e"))
from harness import CTL, Setup      # noqa: E402
from network import Network         # noqa: E402

LINKS = {"socket": "local", "module": "local", "network-plain": "tcp", "network-tls": "tls"}
NETWORK = ("network-plain", "network-tls")
# What a user may have set must not change what is measured.
NOT_OURS = ("VGPU_", "SOFTGPU_", "CUDA_VISIBLE")


class Way:
    """One way to run a program: its environment, and what goes between."""

    def __init__(self, name, setup):
        self.name = name
        self.setup = setup
        self.link = LINKS[name]     # local, tcp, tls
        self.env = setup.environment()


class Far:
    """The server is further away: its port of this host, behind tools/bench/far.c."""

    def __init__(self, build, milliseconds, server):
        self.process = subprocess.Popen(
            [build + "/bench/far", str(server[1]), "%d" % (float(milliseconds) * 1e3)],
            stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def setup(build, name, devices, relay):
    """Of the end-to-end tests; not yet entered."""
    if name in NETWORK:
        through = functools.partial(Far, build, relay) if relay else None
        link = LINKS[name].replace("tcp", "plain")
        return Network(build, devices=devices, link=link, through=through)
    return Setup(build, {"socket": "remote", "module": "device"}[name], devices=devices)


class Place:
    """All ways that are wanted, with their daemons.

    devices: of the software GPU. relay: milliseconds that a round trip over the network
    is made longer by, as text; empty: nothing is in between.
    """

    def __init__(self, build, names, devices=1, relay=""):
        for variable in [v for v in os.environ if v.startswith(NOT_OURS)]:
            del os.environ[variable]
        self.build = os.path.abspath(build)
        self.names = names
        self.devices = devices
        self.relay = relay
        self.ways = []
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        beneath = self.stack.enter_context(Setup(self.build, "direct", devices=self.devices))
        self.direct = beneath.environment()
        self.folder = beneath.folder
        with contextlib.ExitStack() as undo:
            undo.callback(self.stack.close)
            for name in self.names:
                this = setup(self.build, name, self.devices, self.relay)
                if this.missing():
                    sys.exit("bench: %s: there is no %s" % (name, this.missing()))
                self.ways.append(Way(name, self.stack.enter_context(this)))
            undo.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()


def known():
    """All that can be measured on this host, the most local first."""
    return [name for name in LINKS if name != "module" or os.path.exists(CTL)]


def counting(way, build, counter):
    """The way's environment with the libcuda that counts what it waits for."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(counter)
    path = build + "/bench/counting:" + way.env["LD_LIBRARY_PATH"]
    return dict(way.env, LD_LIBRARY_PATH=path, VGPU_BENCH_WAITS=counter)
