#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What anybody on the network may try with vgpu-server, and what it does for hosts.

Speaks the wire by itself: prefaces, control messages, the first frame of a
session. Whatever is sent, the server neither crashes nor leaks nor keeps others
waiting, and ends with the descriptors it began with. Prints TAP.

    strangers.py [--build DIR] [--san address|thread]
"""

import argparse
import hashlib
import hmac
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from harness import FINDING, Process, Tap, alive, descendants, wait_until    # noqa: E402

PREFACE = struct.Struct("<IHHII16sQ")   # and a proof of 32 bytes
MAGIC, CONTROL, SESSION, PLAIN = 0x6c706776, 1, 2, 1
FRAME = struct.Struct("<IBBHQ")
RESUME = 1
NOTHING = b"\0" * 16
WAIT = 20
GRACE = 3
UID_BASE = 0x70000000
SIZES = {"sq": 131072, "cq": 65536, "up": 1048576, "down": 1048576}
UUID = "00112233445566778899aabbccddeeff"
INVALID_DEVICE, UNAVAILABLE = 101, 46


def preface(kind, flags=PLAIN, session=NOTHING, epoch=0, secret=None, magic=MAGIC, version=1,
            reserved=0):
    head = PREFACE.pack(magic, version, kind, flags, reserved, session, epoch)
    proof = hmac.new(secret, head, hashlib.sha256).digest() if secret else b"\0" * 32
    return head + proof


def is_closed(sock, timeout=WAIT):
    """By the server, after whatever it still says."""
    sock.settimeout(timeout)
    try:
        while sock.recv(65536):
            pass
        return True
    except socket.timeout:
        return False
    except OSError:
        return True


class Host:
    """A control connection."""

    def __init__(self, sock, hello=True):
        self.sock = sock
        self.sock.settimeout(WAIT)
        self.requests = 0
        if hello:
            self.send({"type": "hello", "version": 1, "host": "tester"})
            self.hello = self.receive()
            assert self.hello["type"] == "hello", self.hello

    def send(self, message):
        self.send_raw(json.dumps(message).encode())

    def send_raw(self, text):
        self.sock.sendall(struct.pack("<I", len(text)) + text)

    def read(self, n):
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def receive(self):
        return json.loads(self.read(struct.unpack("<I", self.read(4))[0]))

    def ask(self, message):
        self.requests += 1
        self.send(dict(message, request=self.requests))
        answer = self.receive()
        assert answer["request"] == self.requests, answer
        return answer

    def ping(self):
        """Seconds that the answer took."""
        start = time.monotonic()
        assert self.ask({"type": "ping"})["type"] == "pong"
        return time.monotonic() - start

    def open(self, ordinals=(0,), **others):
        message = {"type": "open", "rings": SIZES, "pid": 4711, "uid": 42, "program": "tested",
                   "gpus": [{"ordinal": k, "number": i, "uuid": UUID}
                            for i, k in enumerate(ordinals)]}
        answer = self.ask(dict(message, **others))
        assert answer["type"] == "opened", answer
        return answer

    def adopt(self, opened, nonce=None, secret=None):
        session = bytes.fromhex(opened["session"])
        nonce = bytes.fromhex(nonce or self.hello["nonce"])
        proof = hmac.new(secret or bytes.fromhex(opened["secret"]), b"adopt" + session + nonce,
                         hashlib.sha256)
        return self.ask({"type": "adopt", "session": opened["session"],
                         "proof": proof.hexdigest()})

    def close(self):
        self.sock.close()


class Server:
    def __init__(self, build, san, folder, *options):
        self.socket = folder + "/server.sock"
        self.folder = folder
        env = dict(os.environ, ASAN_OPTIONS="exitcode=99:detect_leaks=1",
                   TSAN_OPTIONS="exitcode=99")
        self.process = Process(
            [build + "/vgpu-server", "--socket", self.socket, "--ctl", "none", "--cache", "",
             "--libcuda", build + "/softgpu/libcuda.so.1", "--grace", str(GRACE), *options],
            env, san == "thread")
        if not self.process.wait_output("ready", 30):
            raise RuntimeError("no server:\n" + self.process.output())
        self.port = int(re.search(r"127\.0\.0\.1:(\d+)", self.process.output()).group(1))

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), WAIT)

    def stranger(self, first):
        sock = self.connect()
        sock.sendall(first)
        return sock

    def host(self, hello=True):
        return Host(self.stranger(preface(CONTROL)), hello)

    def secure_host(self, tls, hello=True):
        """With the certificate of that folder."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(tls + "/ca.crt")
        context.load_cert_chain(tls + "/host.crt", tls + "/host.key")
        sock = self.stranger(preface(CONTROL, 0))
        return Host(context.wrap_socket(sock, server_hostname="127.0.0.1"), hello)

    def data(self, opened, epoch, **changes):
        """A data connection."""
        fields = {"session": bytes.fromhex(opened["session"]), "epoch": epoch,
                  "secret": bytes.fromhex(opened["secret"])}
        fields.update(changes)
        return self.stranger(preface(SESSION, **fields))

    def workers(self):
        return descendants(self.process.pid)

    def files(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def memory(self):
        """KiB."""
        with open("/proc/%d/status" % self.process.pid) as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def status(self):
        time.sleep(0.03)    # it may be 20 ms old
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self.folder + "/server.status")
            return json.loads(sock.makefile().read())

    def says(self, word):
        assert self.process.wait_output(word, WAIT), "no line with '%s':\n%s" % (
            word, self.process.output())


def is_attached(sock):
    """The worker says where it is."""
    sock.settimeout(WAIT)
    head = sock.recv(FRAME.size, socket.MSG_WAITALL)
    return len(head) == FRAME.size and FRAME.unpack(head)[1] == RESUME


class Tests:
    """On one server, by docstring; each leaves it as it found it."""

    def __init__(self, build, san, folder):
        self.folder = folder
        self.build = build
        self.san = san
        self.server = Server(build, san, folder, "--listen", "127.0.0.1:0", "--max-sessions",
                             "6", "--max-sessions-per-client", "4")

    # ---- hosts ----

    def hello(self):
        """a host says hello and pings"""
        host = self.server.host()
        hello = host.hello
        assert hello["version"] == 1 and hello["grace"] == GRACE, hello
        assert len(hello["nonce"]) == 32 and hello["gpus"][0]["memory"] > 0, hello
        other = self.server.host()
        assert other.hello["nonce"] != hello["nonce"], "a nonce twice"
        host.ping()
        other.close()
        host.close()

    def session(self):
        """a session is opened, connected, shown and closed"""
        host = self.server.host()
        opened = host.open()
        shown = self.server.status()["sessions"]
        assert len(shown) == 1 and shown[0]["id"] == opened["session"], shown
        assert shown[0]["state"] == "opening" and shown[0]["program"] == "tested", shown
        with self.server.data(opened, 1) as sock:
            assert is_attached(sock), "no RESUME"
            shown = self.server.status()["sessions"][0]
            assert (shown["state"], shown["link"]) == ("running", "tcp"), shown
            assert shown["worker"] in self.server.workers(), shown
            host.send({"type": "close", "session": opened["session"]})
            assert is_closed(sock), "the connection stays"
        # of an end that was asked for nothing is said
        host.ping()
        host.close()

    def users(self):
        """each worker of a server that is root has a user of its own"""
        host = self.server.host()
        opened = [host.open(), host.open()]
        workers = [each["worker"] for each in self.server.status()["sessions"]]
        wanted = range(UID_BASE, UID_BASE + 256)
        def users():
            found = set()
            for pid in workers:
                with open("/proc/%d/status" % pid) as file:
                    found.update(map(int, re.search(r"Uid:\t(.*)", file.read())[1].split()))
            return found
        if os.geteuid() == 0:
            assert wait_until(lambda: len(users()) == 2 and all(
                uid in wanted for uid in users()), WAIT) is not None, users()
        else:
            assert users() == {os.geteuid()}
        for each in opened:
            host.send({"type": "close", "session": each["session"]})
        host.close()

    def limits(self):
        """more sessions than there are, a GPU that there is not"""
        host = self.server.host()
        answer = host.open((0, 63))
        assert answer["status"] == INVALID_DEVICE and "GPU 63" in answer["text"], answer
        for _ in range(4):
            assert host.open()["status"] == 0
        answer = host.open()
        assert answer["status"] == UNAVAILABLE and "one client" in answer["text"], answer
        for each in self.server.status()["sessions"]:
            host.send({"type": "close", "session": each["id"]})
        assert wait_until(lambda: not self.server.workers(), WAIT) is not None
        assert host.open()["status"] == 0
        host.close()

    def worker_dies(self):
        """the host is told how a worker ended"""
        host = self.server.host()
        opened = host.open()
        os.kill(self.server.status()["sessions"][0]["worker"], signal.SIGKILL)
        ended = host.receive()
        assert ended["type"] == "ended" and ended["session"] == opened["session"], ended
        assert "signal 9" in ended["text"], ended
        host.ping()
        host.close()

    def adoption(self):
        """sessions outlive their control connection, for who can prove that they are its own"""
        first = self.server.host()
        nonce = first.hello["nonce"]
        opened, left = first.open(), first.open()
        workers = {each["id"]: each["worker"] for each in self.server.status()["sessions"]}
        first.close()
        closed = time.monotonic()
        host = self.server.host()
        for answer in (host.adopt(opened, secret=b"x" * 32), host.adopt(opened, nonce=nonce),
                       host.adopt(dict(opened, session="0" * 32))):
            assert answer["status"] and "no such session" in answer["text"], answer
        assert host.adopt(opened)["status"] == 0
        shown = {each["id"]: each["state"] for each in self.server.status()["sessions"]}
        assert shown == {opened["session"]: "opening", left["session"]: "lost"}, shown
        with self.server.data(opened, 1) as sock:
            assert is_attached(sock)
            gone = wait_until(lambda: not alive([workers[left["session"]]]), GRACE + 5)
            after = time.monotonic() - closed
            assert gone is not None and after > GRACE - 0.5, "after %s s" % after
            assert alive([workers[opened["session"]]]), "the adopted one went, too"
            assert host.adopt(left)["status"], "one that is over was adopted"
            host.send({"type": "close", "session": opened["session"]})
            assert is_closed(sock)
        host.close()

    def other_hosts_session(self):
        """a session is closed by its own host only"""
        host, other = self.server.host(), self.server.host()
        opened = host.open()
        other.send({"type": "close", "session": opened["session"]})
        other.ping()
        with self.server.data(opened, 1) as sock:
            assert is_attached(sock)
        os.kill(self.server.status()["sessions"][0]["worker"], signal.SIGKILL)
        assert host.receive()["type"] == "ended"
        host.close()
        other.close()

    # ---- who is refused ----

    def prefaces(self):
        """prefaces that are wrong"""
        for first in (preface(CONTROL, magic=0x47455420), preface(CONTROL, version=2),
                      preface(CONTROL, flags=PLAIN | 2), preface(CONTROL, reserved=1),
                      preface(0), preface(3), preface(CONTROL, session=b"x" * 16),
                      preface(CONTROL, epoch=1), preface(CONTROL, secret=b"x" * 32),
                      preface(CONTROL, flags=0), preface(SESSION, epoch=1, secret=b"x" * 32)):
            with self.server.stranger(first) as sock:
                assert is_closed(sock), "not refused: %r" % first

    def connections(self):
        """forged, replayed and unknown connections, while the session goes on"""
        host = self.server.host()
        opened = host.open()
        good = self.server.data(opened, 5)
        assert is_attached(good)
        for epoch, changes in ((6, {"secret": b"x" * 32}), (5, {}), (4, {}), (0, {}),
                               (6, {"session": b"x" * 16}), (6, {"flags": 0}),
                               (6, {"flags": PLAIN | 4}), (2 ** 64 - 1, {"secret": b"y" * 32})):
            with self.server.data(opened, epoch, **changes) as sock:
                assert is_closed(sock), (epoch, changes)
        assert not is_closed(good, 0.2), "the session's own connection was closed"
        with self.server.data(opened, 6) as sock:
            assert is_attached(sock), "the next one was not taken"
            assert is_closed(good), "there are two"
        self.server.says("copy of a former one")
        self.server.says("whose secret it does not have")
        host.send({"type": "close", "session": opened["session"]})
        good.close()
        host.close()

    def messages(self):
        """control messages that are wrong, or out of order"""
        hello = {"type": "hello", "version": 1, "host": "tester"}
        for text in (b"", b"{}", b"[]", b"\xff" * 100, b"[" * 65536, b"{\"a\":" * 10000,
                     b"1" * 65536, json.dumps({"type": "ping", "request": 1}).encode(),
                     json.dumps(dict(hello, version=2)).encode(),
                     json.dumps(dict(hello, host="x" * 64)).encode()):
            host = self.server.host(hello=False)
            host.send_raw(text)
            assert is_closed(host.sock), "not refused: %r" % text[:40]
            host.close()
        for message in (hello, {"type": "pong", "request": 1},
                        {"type": "ended", "session": "0" * 32, "text": ""},
                        {"type": "opened", "request": 1, "status": 1, "text": ""},
                        {"type": "open", "request": 1}, {"type": "adopt", "request": 1}):
            host = self.server.host()
            host.send(message)
            assert is_closed(host.sock), "not refused: %r" % message
            host.close()
        host = self.server.host()
        host.sock.sendall(struct.pack("<I", 65537))
        assert is_closed(host.sock), "too long, and not refused"
        host.close()

    # ---- who is a nuisance ----

    def random_bytes(self):
        """random bytes, at once or behind what is right"""
        source = random.Random(7667)
        host = self.server.host()
        for i in range(150):
            data = source.randbytes(source.randrange(1, 5000))
            with self.server.connect() as sock:
                try:
                    sock.sendall((preface(CONTROL) if i % 2 else b"") + data)
                except OSError:
                    pass
        assert host.ping() < 2
        host.close()

    def half_open(self):
        """connections that say nothing, or one byte a while"""
        host = self.server.host()
        silent = [self.server.connect() for _ in range(300)]
        # there is a limit, and the oldest go first
        for sock in silent[:40]:
            assert is_closed(sock, 2), "the oldest stays"
        late = self.server.host()
        slow = self.server.connect()
        start = time.monotonic()
        while time.monotonic() - start < 5.5:
            try:
                slow.sendall(b"v")
            except OSError:
                break
            assert host.ping() < 2 and late.ping() < 2
            time.sleep(0.25)
        assert is_closed(slow, 2) and is_closed(silent[-1], 2), "no limit of time"
        stalled = self.server.stranger(preface(CONTROL))
        assert not is_closed(stalled, 7), "a hello has more time than a preface"
        assert is_closed(stalled, 10), "no limit of time for a hello"
        for each in silent + [slow, stalled, host, late]:
            each.close()

    def many_connects(self):
        """a thousand connections, from many at once"""
        host = self.server.host()
        for _ in range(5):
            socks = [self.server.connect() for _ in range(200)]
            for i, sock in enumerate(socks):
                if i % 3:
                    sock.sendall(preface(CONTROL)[:i % 72])
                if i % 7 == 0:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
            assert host.ping() < 2
        host.close()

    def never_reads(self):
        """a host that asks and does not read the answers"""
        host, deaf = self.server.host(), self.server.host()
        before = self.server.memory()
        text = json.dumps({"type": "ping", "request": 1}).encode()
        batch = (struct.pack("<I", len(text)) + text) * 1000
        deaf.sock.settimeout(0.5)
        def goes_on():
            try:
                deaf.sock.sendall(batch)
            except socket.timeout:
                pass
            except OSError:
                return False
            assert host.ping() < 2
            return True
        assert wait_until(lambda: not goes_on(), 60) is not None, "it is not dropped"
        assert self.san or self.server.memory() < before + 8192, "KiB: %d, were %d" % (
            self.server.memory(), before)
        deaf.close()
        host.close()

    def deaf_worker(self):
        """a worker that does not take its connections"""
        host = self.server.host()
        opened = host.open()
        worker = self.server.status()["sessions"][0]["worker"]
        with self.server.data(opened, 1) as sock:
            assert is_attached(sock)
        os.kill(worker, signal.SIGSTOP)
        socks = []
        while len(socks) < 1000 and not (socks and is_closed(socks[-1], 0.001)):
            socks.append(self.server.data(opened, len(socks) + 2))
            assert host.ping() < 2
        assert len(socks) < 1000, "it takes any number"
        for sock in socks:
            sock.close()
        # it cannot end either, as it is asked to, so it is made to
        host.send({"type": "close", "session": opened["session"]})
        assert wait_until(lambda: not alive([worker]), WAIT) is not None, "it stays"
        host.close()

    # ---- the end ----

    def shut_down(self):
        """a server that ends says so, leaves nothing, and nothing was found in it"""
        host = self.server.host()
        opened = host.open()
        with self.server.data(opened, 1) as sock:
            assert is_attached(sock)
            workers = self.server.workers()
            os.kill(self.server.process.pid, signal.SIGTERM)
            assert is_closed(sock)
        ended = host.receive()
        assert "shut down" in ended["text"], ended
        status = self.server.process.wait(WAIT)
        assert status == 0, "exit status %s\n%s" % (status, self.server.process.output())
        assert not alive(workers), "workers are left"
        assert not os.path.exists(self.server.socket), "the socket is left"
        host.close()


class SecureTests:
    """The same with TLS."""

    def __init__(self, build, san, folder):
        self.tool = build + "/vgpu"
        self.pki = folder + "/pki"
        self.make("init")
        self.make("server", "gpuhost", "--address", "127.0.0.1")
        for name in ("first", "second"):
            self.make("client", name)
        self.tls = self.pki + "/gpuhost"
        self.server = Server(build, san, folder, "--listen", "127.0.0.1:0", "--tls", self.tls)

    def make(self, *words):
        subprocess.run([self.tool, "pki", *words, self.pki], check=True,
                       stdout=subprocess.DEVNULL)

    def host(self, name, hello=True):
        return self.server.secure_host(self.pki + "/" + name, hello)

    def certified(self):
        """a host with a certificate has sessions, which others cannot adopt"""
        host = self.host("first")
        opened = host.open()
        assert self.server.status()["sessions"][0]["identity"] == "first"
        assert self.server.status()["sessions"][0]["link"] == "tls"
        with self.server.data(opened, 1) as sock:
            assert is_closed(sock), "a connection without TLS of a session with it"
        other = self.host("second")
        assert other.adopt(opened)["status"], "another certificate adopts it"
        with self.server.stranger(preface(CONTROL)) as sock:
            assert is_closed(sock), "a host without TLS"
        self.server.says("another certificate opened it")
        again = self.host("first")
        assert again.adopt(opened)["status"] == 0
        again.send({"type": "close", "session": opened["session"]})
        for each in (host, other, again):
            each.close()

    def uncertified(self):
        """a host that has no certificate, or does not speak TLS, gets nothing"""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        sock = self.server.stranger(preface(CONTROL, 0))
        try:
            with context.wrap_socket(sock) as tls:
                assert not tls.recv(1), "the server speaks to it"
        except OSError:
            pass
        self.server.says("certificate")
        source = random.Random(1)
        for _ in range(20):
            with self.server.stranger(preface(CONTROL, 0)) as sock:
                sock.sendall(source.randbytes(2000))
                assert is_closed(sock), "no TLS, and not refused"

    def half_shaken(self):
        """handshakes that stop half-way keep nobody waiting"""
        host = self.host("second")
        begun = []
        for i in range(300):
            sock = self.server.stranger(preface(CONTROL, 0))
            sock.sendall(b"\x16\x03\x01\x02\x00"[:1 + i % 5])
            begun.append(sock)
        assert host.ping() < 2
        self.host("second").close()
        assert is_closed(begun[0], 2), "the oldest stays"
        for sock in begun:
            sock.close()
        host.close()

    def until_lost(self, opened):
        """The server knows that the host is gone."""
        def lost():
            return any(each["id"] == opened["session"] and each["state"] == "lost"
                       for each in self.server.status()["sessions"])
        return wait_until(lost, WAIT) is not None

    def revoked(self):
        """a certificate that is revoked ends its sessions, and no others"""
        host, other = self.host("first"), self.host("second")
        opened, kept = host.open(), other.open()
        absent = self.host("first")
        left = absent.open()
        absent.close()
        assert self.until_lost(left)
        workers = {each["id"]: each["worker"] for each in self.server.status()["sessions"]}
        os.kill(self.server.process.pid, signal.SIGHUP)
        self.server.says("read again")
        assert host.ping() < 2
        assert alive([workers[left["session"]]]), "a good one's session ended"
        shutil.copytree(self.pki + "/first", self.pki + "/stolen")
        # it has shown its certificate, and says who it is later
        waiting = self.host("stolen", hello=False)
        self.make("revoke", "first")
        os.kill(self.server.process.pid, signal.SIGHUP)
        ended = host.receive()
        assert ended["type"] == "ended" and ended["session"] == opened["session"], ended
        assert "revoked" in ended["text"], ended
        assert is_closed(host.sock), "its control connection stays"
        assert is_closed(waiting.sock), "one that has not said hello yet stays"
        waiting.close()
        gone = [workers[opened["session"]], workers[left["session"]]]
        assert wait_until(lambda: not alive(gone), GRACE / 2) is not None, "workers stay"
        assert other.ping() < 2 and alive([workers[kept["session"]]])
        try:
            refused = self.host("stolen", hello=False)
            assert is_closed(refused.sock), "it gets in again"
            refused.close()
        except OSError:
            pass
        self.server.says("refused: certificate")
        other.send({"type": "close", "session": kept["session"]})
        host.close()
        other.close()

    def bad_files(self):
        """certificates that cannot be read change nothing"""
        host = self.host("second")
        opened = host.open()
        os.rename(self.tls + "/host.crt", self.tls + "/kept")
        os.kill(self.server.process.pid, signal.SIGHUP)
        self.server.says("that were read before stay")
        os.rename(self.tls + "/kept", self.tls + "/host.crt")
        assert host.ping() < 2
        self.host("second").close()
        host.send({"type": "close", "session": opened["session"]})
        host.close()

    def ends(self):
        """a server with TLS ends, and nothing was found in it"""
        os.kill(self.server.process.pid, signal.SIGTERM)
        status = self.server.process.wait(WAIT)
        assert status == 0, "exit status %s" % status


def unchanged(server, test):
    """Runs it; no descriptor and no worker more is there afterwards."""
    before = server.files()
    test()
    assert wait_until(lambda: server.files() == before and not server.workers(), WAIT) \
        is not None, "%d descriptors, were %d; workers: %s" % (server.files(), before,
                                                               server.workers())


def run(tap, server, tests, last):
    """Each by itself; what the server said is shown if one fails."""
    for test in [*tests, last]:
        try:
            if test == last:
                test()
            else:
                unchanged(server, test)
            why = ""
        except (AssertionError, OSError, EOFError, KeyError, ValueError) as error:
            why = "%s: %s" % (type(error).__name__, error)
        text = server.process.output()
        if not why and FINDING.search(text):
            why = "a sanitizer found something"
        tap.result(not why, test.__doc__, why.split("\n")[0],
                   "\n".join([why] + text.splitlines()[-40:]))


def test_plain(tap, build, san, folder):
    t = Tests(build, san, folder)
    try:
        run(tap, t.server, [t.hello, t.session, t.users, t.limits, t.worker_dies, t.adoption,
                            t.other_hosts_session, t.prefaces, t.connections, t.messages,
                            t.random_bytes, t.half_open, t.many_connects, t.never_reads,
                            t.deaf_worker], t.shut_down)
    finally:
        t.server.process.end()


def test_secure(tap, build, san, folder):
    t = SecureTests(build, san, folder)
    try:
        run(tap, t.server, [t.certified, t.revoked, t.bad_files, t.uncertified, t.half_shaken],
            t.ends)
    finally:
        t.server.process.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--san", default="", choices=("", "address", "thread"))
    options = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limit[1]), limit[1]))
    tap = Tap()
    for test in (test_plain, test_secure):
        with tempfile.TemporaryDirectory(prefix="vgpu-strangers-") as folder:
            test(tap, os.path.abspath(options.build), options.san, folder)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
