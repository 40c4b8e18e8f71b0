# SPDX-License-Identifier: MIT
"""Setups whose GPU is on another host: vgpud here, vgpu-server over TCP.

A Gpus is the GPU host. It can be this very host, over loopback, or a virtual
machine in which host.py gives one away; Far is that one, with the same methods.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time

from harness import CTL, Setup, alive, descendants, start_daemon, start_server

PORT = 7667             # the default one
AGENT_PORT = 7001
CLIENT = "apphost"      # of the client's certificate
RESTING = 10            # times the same, a tenth of a second apart
CONFIG = """\
[daemon]
ctl = {ctl}
socket = {folder}/vgpu.sock
status = {folder}/vgpud.status
grace = {grace}

[tls]
ca = {tls}/ca.crt
cert = {tls}/host.crt
key = {tls}/host.key
crl = {tls}/crl.pem

[server gpuhost]
address = {address}
plain = {plain}
"""
DEVICE = """
[device {number}]
server = gpuhost
gpu = {number}
link = {link}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def open_files(pid):
    """How many descriptors a process has."""
    return len(os.listdir("/proc/%d/fd" % pid))


def cpu_time(pid):
    """Seconds of processor time that a process has used, its threads' included."""
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    """KiB of memory of its own that a process has, and KiB that it shares with programs."""
    with open("/proc/%d/status" % pid) as file:
        fields = dict(line.split(":", 1) for line in file)
    return [int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem")]


def mapped(pid, build):
    """Files called libcuda that a process has mapped, as paths below the build."""
    try:
        with open("/proc/%d/maps" % pid) as file:
            lines = [line.split() for line in file if "libcuda.so" in line]
    except OSError:
        return []
    return sorted({os.path.relpath(line[5], build) for line in lines if len(line) > 5})


class Certificates:
    """A certificate authority of `vgpu pki`, and what it gives to hosts."""

    def __init__(self, build, folder):
        self.tool = build + "/vgpu"
        self.folder = folder
        self.pki("init")

    def pki(self, *words):
        subprocess.run([self.tool, "pki", *words, self.folder], check=True,
                       stdout=subprocess.DEVNULL)

    def server(self, name, *addresses):
        self.pki("server", name, *(word for each in addresses for word in ("--address", each)))
        return self.folder + "/" + name

    def client(self, name, *options):
        self.pki("client", name, *options)
        return self.folder + "/" + name


class Gpus:
    """vgpu-server on the software GPU, for clients over the network."""

    def __init__(self, build, folder, san, devices, link, address="127.0.0.1", grace=60,
                 port=None):
        self.build = build
        self.folder = folder
        self.san = san
        self.devices = devices
        self.link = link
        self.address = address
        self.port = port or free_port()
        self.grace = grace
        self.certificates = None
        if link == "tls":
            self.certificates = Certificates(build, folder + "/pki")
            self.tls = self.certificates.server("gpuhost", address)
            self.client_tls = self.certificates.client(CLIENT)
        self.process = None

    def start(self):
        self.process = start_server(
            self.build, self.folder, self.san, self.devices,
            ["--socket", self.folder + "/server.sock", "--ctl", "none",
             "--status", self.folder + "/server.status",
             "--listen", "%s:%d" % (self.address, self.port), "--grace", str(self.grace),
             *(["--tls", self.tls] if self.link == "tls" else ["--plain"])])

    def kill(self, number=signal.SIGKILL):
        self.process.kill(number)

    def end(self):
        if self.process:
            self.process.end()

    def restart(self, grace):
        self.end()
        self.grace = grace
        self.start()

    def workers(self):
        return descendants(self.process.pid)

    def kill_workers(self, pids):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def alive(self, pids):
        return alive(pids)

    def open_files(self):
        return open_files(self.process.pid)

    def maps(self):
        """Which libcuda each worker has mapped."""
        return {pid: mapped(pid, self.build) for pid in self.workers()}

    def tool(self, *words):
        """What `vgpu` says on this host."""
        return subprocess.run([self.build + "/vgpu", *words, "--server-status",
                               self.folder + "/server.status"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False).stdout

    @staticmethod
    def unplug(seconds):
        """This host's wire, in a moment."""
        subprocess.Popen(["sh", "-c", "sleep 0.1; ip link set eth0 down; sleep %f; "
                                      "ip link set eth0 up" % seconds])

    def log(self):
        return self.process.output()

    def revoke(self, name):
        """From here on the server refuses that client."""
        self.certificates.pki("revoke", name)
        os.kill(self.process.pid, signal.SIGHUP)


class Far:
    """The Gpus of another machine: every method is called there."""

    def __init__(self, address):
        self.address = address

    def __getattr__(self, name):
        def call(*arguments):
            with socket.create_connection((self.address, AGENT_PORT), 60) as peer:
                peer.sendall(json.dumps([name, *arguments]).encode() + b"\n")
                answer = json.loads(peer.makefile().read())
            if "error" in answer:
                raise RuntimeError("%s on the GPU host: %s" % (name, answer["error"]))
            return answer["result"]
        return call


class Network(Setup):
    """Programs use vgpud, by its socket or, with `far`, over /dev/vgpuN.

    link: tls, plain, or verbs: TLS, and RDMA for data. through: a Proxy's
    class or the like, made with the server's address; vgpud connects to it.
    far: (address, folder of certificates) of a GPU host that is another machine.
    """

    def __init__(self, build, san="", libraries=None, devices=2, user=None, link="tls",
                 grace=60, through=None, far=None):
        super().__init__(build, "network", san, libraries, devices, user)
        self.link = link
        self.grace = grace
        self.through = through
        self.far = far
        self.vgpud = None
        self.proxy = None
        self.gpus = None

    def __enter__(self):
        try:
            if self.far:
                self.gpus = Far(self.far[0])
                self.gpus.restart(self.grace)
            else:
                self.gpus = Gpus(self.build, self.folder, self.san, self.devices, self.link,
                                 grace=self.grace)
                self.gpus.start()
            self.start_vgpud()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.vgpud:
            self.vgpud.end()
        if self.proxy:
            self.proxy.__exit__()
        if self.gpus and not self.far:
            self.gpus.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- vgpud ----

    def server_address(self):
        if self.far:
            return self.far[0]
        if self.through and not self.proxy:
            self.proxy = self.through(("127.0.0.1", self.gpus.port)).__enter__()
        return "127.0.0.1:%d" % (self.proxy.port if self.proxy else self.gpus.port)

    def tls_folder(self):
        if self.far:
            return self.far[1]
        return self.gpus.client_tls if self.link != "plain" else "/nonexistent"

    def configure(self, tls=None):
        path = self.folder + "/vgpud.conf"
        with open(path, "w") as file:
            file.write(CONFIG.format(
                ctl=CTL if self.far else "none", folder=self.folder, grace=self.grace,
                tls=tls or self.tls_folder(), address=self.server_address(),
                plain="yes" if self.link == "plain" else "no"))
            for number in range(self.devices if self.far else 0):
                file.write(DEVICE.format(
                    number=number, link="verbs" if self.link == "verbs" else "auto"))
        return path

    def start_vgpud(self, tls=None):
        self.vgpud = start_daemon([self.build + "/vgpud", "--config", self.configure(tls)],
                                  dict(os.environ), self.san)

    # ---- what Setup has ----

    def missing(self):
        for path in ("lib/libcuda.so.1", "vgpud", "vgpu", "vgpu-server", "softgpu/libcuda.so.1",
                     *([CTL] if self.far else [])):
            if not os.path.exists(os.path.join(self.build, path)):
                return os.path.join(self.build, path)
        return None

    def environment(self):
        env = super().environment()
        env.pop("SOFTGPU_DEVICES", None)
        if not self.far:
            env["VGPU_DEVICES"] = "none"
            env["VGPU_SOCKET"] = self.socket_path
        return env

    def daemons(self):
        server = None if self.far or not self.gpus else self.gpus.process
        return [daemon for daemon in (self.vgpud, server) if daemon]

    def start_server(self):
        self.gpus.start()

    def restart_dead(self):
        for daemon in self.dead():
            daemon.end()
            if daemon is self.vgpud:
                self.start_vgpud()
            else:
                self.start_server()

    def server_log(self, since=(), lines=20):
        log = super().server_log(since, lines)
        if self.far:
            log += "\n--- GPU host:\n" + "\n".join(self.gpus.log().splitlines()[-lines:])
        return log

    def workers(self):
        return self.gpus.workers()

    def kill_workers(self, pids):
        self.gpus.kill_workers(pids)

    def alive(self, pids):
        return self.gpus.alive(pids)

    def kill_server(self):
        self.gpus.kill()

    def restart_server(self):
        self.gpus.end()
        self.gpus.start()

    def restart_vgpud(self):
        self.vgpud.end()
        self.start_vgpud()

    def restart_all(self):
        self.restart_server()
        self.restart_vgpud()

    def open_files(self):
        """Descriptors of both daemons."""
        return open_files(self.vgpud.pid), self.gpus.open_files()

    def resting_files(self):
        """The same when sessions whose workers have ended are buried, too."""
        seen = []
        while len(seen) < RESTING or len(set(seen[-RESTING:])) > 1:
            time.sleep(0.1)
            seen.append(self.open_files())
        return seen[-1]
