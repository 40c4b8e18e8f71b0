#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who is let in: certificates of clients and servers, connections of sessions.

Whoever has the wrong certificate gets nothing but a line in both logs, and its
programs a CUDA error. Who connects for a session without its secret, or with a
copy of what was sent before, is turned away while the session goes on. Prints TAP.
"""

import argparse
import hashlib
import hmac
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from harness import Tap, wait_until         # noqa: E402
from network import CLIENT, Certificates, Network   # noqa: E402
from proxy import CONTROL, MAGIC, PREFACE, Preface, Proxy   # noqa: E402

WAIT = 15
REFUSED = {800, 802}    # CUDA_ERROR_NOT_PERMITTED, CUDA_ERROR_SYSTEM_NOT_READY
PLAIN = 1               # of the flags of a preface

# `openssl ca` signs for any time; there is nothing to keep.
CA_CONFIG = """\
[ca]
default_ca = it
[it]
database = {folder}/index
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
[any]
commonName = supplied
[usage]
extendedKeyUsage = clientAuth
"""


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def signed_for(pki, source, folder, begin, end):
    """A copy of a host's files whose certificate is valid from begin to end."""
    shutil.copytree(source, folder)
    for name, text in (("index", ""), ("serial", "1234\n"),
                       ("ca.cnf", CA_CONFIG.format(folder=folder))):
        with open(folder + "/" + name, "w") as file:
            file.write(text)
    openssl("req", "-new", "-key", folder + "/host.key", "-subj", "/CN=" + CLIENT,
            "-out", folder + "/request")
    openssl("ca", "-batch", "-config", folder + "/ca.cnf", "-cert", pki + "/ca.crt",
            "-keyfile", pki + "/ca.key", "-in", folder + "/request", "-notext",
            "-startdate", begin, "-enddate", end, "-extensions", "usage",
            "-out", folder + "/host.crt")
    return folder


class Trust:
    def __init__(self, setup, programs):
        self.setup = setup
        self.programs = programs
        self.pki = setup.gpus.certificates
        self.folder = setup.folder
        self.processes = []

    # ---- what tests are made of ----

    def start(self, *command):
        process = self.setup.start(list(command))
        self.processes.append(process)
        return process

    def says(self, where, log, words, since=0):
        """A line of the log has all these words, in whatever case."""
        def found():
            return any(all(re.search(word, line, re.IGNORECASE) for word in words)
                       for line in log()[since:].splitlines())
        assert wait_until(found, WAIT) is not None, "%s says nothing of %s:\n%s" % (
            where, words, log()[since:])

    def program_is_refused(self):
        asking = self.start(sys.executable, HERE + "/../e2e/ask.py")
        status = asking.wait(WAIT)
        text = asking.output()
        assert status == 0, "status %s\n%s" % (status, text)
        error = int(re.search(r'"init": (\d+)', text).group(1))
        assert error in REFUSED, "cuInit() is %d\n%s" % (error, text)
        assert len(text.splitlines()) == 2, "not one line to the user:\n" + text

    def program_runs(self):
        process = self.start(self.programs + "/vector_add")
        status = process.wait(WAIT)
        assert status == 0, "vector_add: %s\n%s" % (status, process.output())

    def refused(self, tls, server_says, vgpud_says):
        """A vgpud with those files gets nowhere, and both logs say why."""
        said = len(self.setup.gpus.log())
        self.setup.vgpud.end()
        self.setup.start_vgpud(tls)
        self.program_is_refused()
        self.says("vgpud", self.setup.vgpud.output, vgpud_says)
        self.says("the server", self.setup.gpus.log, server_says, said)
        assert not self.setup.workers(), "there is a worker"
        self.setup.restart_vgpud()
        self.program_runs()

    def other_authority(self):
        return Certificates(self.setup.build, self.folder + "/other-%f" % time.time())

    # ---- certificates ----

    def client_of_another_authority(self):
        """the server does not know who signed the client's certificate"""
        tls = self.other_authority().client(CLIENT)
        shutil.copy(self.pki.folder + "/ca.crt", tls + "/ca.crt")
        os.unlink(tls + "/crl.pem")
        shutil.copy(self.setup.gpus.client_tls + "/crl.pem", tls + "/crl.pem")
        self.refused(tls, ["authority|issuer", "127.0.0.1"], ["gpuhost", "authority|unknown ca"])

    def server_of_another_authority(self):
        """the client does not know who signed the server's certificate"""
        tls = self.other_authority().client(CLIENT)
        self.refused(tls, ["authority|unknown ca"], ["gpuhost", "authority|issuer"])

    def useless(self, tls, vgpud_says, server_says):
        """Neither does vgpud start with it, nor is another program let in with it."""
        self.setup.vgpud.end()
        try:
            self.setup.start_vgpud(tls)
            raise AssertionError("vgpud starts with it")
        except RuntimeError as error:
            assert re.search("host.crt: .*" + vgpud_says, str(error)), error
        said = len(self.setup.gpus.log())
        self.stranger(tls)
        self.says("the server", self.setup.gpus.log, server_says, said)
        self.setup.restart_vgpud()
        self.program_runs()

    def for_time(self, name, begin, end):
        return signed_for(self.pki.folder, self.setup.gpus.client_tls, self.folder + "/" + name,
                          begin, end)

    def expired(self):
        """the client's certificate was good until some day"""
        self.useless(self.for_time("expired", "20200101000000Z", "20210101000000Z"),
                     "expired", ["expired", CLIENT])

    def not_yet_valid(self):
        """the client's certificate will be good some day"""
        self.refused(self.for_time("future", "20700101000000Z", "20710101000000Z"),
                     ["not (yet )?valid", CLIENT], ["gpuhost", "not (yet )?valid"])

    def expires(self):
        """the client's certificate expires while vgpud runs"""
        seconds = 15
        until = time.monotonic() + seconds
        end = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))
        tls = self.for_time("short", "20200101000000Z", end)
        self.setup.vgpud.end()
        self.setup.start_vgpud(tls)
        self.program_runs()
        said = len(self.setup.gpus.log())
        time.sleep(max(0, until + 1 - time.monotonic()))
        self.setup.proxy.cut_control()
        self.says("the server", self.setup.gpus.log, ["expired", CLIENT], said)
        self.says("vgpud", self.setup.vgpud.output, ["gpuhost", "expired"])
        self.program_is_refused()
        self.setup.restart_vgpud()
        self.program_runs()

    def of_a_server(self):
        """the client shows a certificate that is for servers"""
        self.useless(self.pki.server("third", "127.0.0.1"), "not a certificate of a client",
                     ["third", "not .*client|purpose|usage"])

    def server_of_another_name(self):
        """the server's certificate is for another host"""
        gpus = self.setup.gpus
        tls, gpus.tls = gpus.tls, self.pki.server("elsewhere", "192.0.2.1")
        self.setup.restart_all()
        try:
            self.program_is_refused()
            self.says("vgpud", self.setup.vgpud.output, ["gpuhost", "127.0.0.1"])
        finally:
            gpus.tls = tls
            self.setup.restart_all()
        self.program_runs()

    def stranger(self, tls=None):
        """Somebody who is not vgpud, with that certificate or none, gets not a byte."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if tls:
            context.load_cert_chain(tls + "/host.crt", tls + "/host.key")
        with self.connect() as sock:
            sock.sendall(PREFACE.pack(MAGIC, 1, CONTROL, 0, 0, b"\0" * 16, 0, b"\0" * 32))
            try:
                with context.wrap_socket(sock) as stream:
                    got = stream.recv(1)
            except OSError:
                return
            assert not got, "the server speaks to a stranger"

    def none(self):
        """a client without a certificate"""
        said = len(self.setup.gpus.log())
        self.stranger()
        self.says("the server", self.setup.gpus.log, ["certificate", "127.0.0.1"], said)
        self.program_runs()

    def plain(self):
        """a client without TLS"""
        said = len(self.setup.gpus.log())
        with self.connect() as sock:
            sock.sendall(PREFACE.pack(MAGIC, 1, CONTROL, PLAIN, 0, b"\0" * 16, 0, b"\0" * 32))
            assert self.is_closed(sock), "a plain connection is served"
        self.says("the server", self.setup.gpus.log, ["plain|TLS", "127.0.0.1"], said)
        self.program_runs()

    def revoked(self):
        """a client's certificate is revoked while its programs run"""
        gpus = self.setup.gpus
        said = len(gpus.log())
        busy = self.start(self.programs + "/busy", "0")
        assert busy.wait_output("READY", WAIT), busy.output()
        gpus.revoke(CLIENT)
        status = busy.wait(WAIT)
        assert status == 1 and "cudaError" in busy.output(), "status %s\n%s" % (
            status, busy.output())
        assert wait_until(lambda: not self.setup.workers(), WAIT) is not None, "workers live on"
        self.says("the server", gpus.log, ["revoked", CLIENT], said)
        self.says("vgpud", self.setup.vgpud.output, ["revoked"])
        self.program_is_refused()
        gpus.client_tls = self.pki.client("apphost2")
        self.setup.restart_vgpud()
        self.program_runs()

    # ---- connections of sessions ----

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.setup.gpus.port), WAIT)

    @staticmethod
    def is_closed(sock):
        """Whether the server ends the connection, without a word."""
        sock.settimeout(WAIT)
        try:
            return sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def turned_away(self, preface, while_running):
        with self.connect() as sock:
            sock.sendall(preface)
            assert self.is_closed(sock), "the server keeps the connection"
        assert while_running.popen.poll() is None, "the session ended: nothing is tested"

    def prefaces(self):
        """forged, replayed, of a session that is not there: turned away, counted"""
        said = len(self.setup.gpus.log())
        mixed = self.start(self.programs + "/mixed", "600")
        proxy = self.setup.proxy
        seen = len(proxy.prefaces)
        assert wait_until(lambda: len(proxy.prefaces) > seen, WAIT) is not None, "no session"
        real = proxy.prefaces[-1]
        p = Preface(*PREFACE.unpack(real))

        def forged(secret, **other):
            unsigned = PREFACE.pack(*p._replace(proof=b"", **other))[:-32]
            return unsigned + hmac.new(secret, unsigned, hashlib.sha256).digest()

        self.turned_away(real, mixed)                                   # a copy
        self.turned_away(PREFACE.pack(*p._replace(epoch=p.epoch + 1)), mixed)
        self.turned_away(forged(b"\0" * 32, epoch=p.epoch + 1), mixed)
        self.turned_away(forged(b"\0" * 32, epoch=2 ** 64 - 1), mixed)
        self.turned_away(forged(b"x" * 32, session=b"\x55" * 16), mixed)
        self.turned_away(struct.pack("<I", MAGIC ^ 1) + real[4:], mixed)
        proxy.cut()                     # and then the real one is let in
        status = mixed.wait(60)
        assert status == 0, "mixed: status %s\n%s" % (status, mixed.output())
        again = Preface(*PREFACE.unpack(proxy.prefaces[-1]))
        assert again.session == p.session and again.epoch > p.epoch, "no new connection"
        self.says("the server", self.setup.gpus.log, ["127.0.0.1"], said)

    def without_the_secret(self):
        """a preface that was caught before it arrived, and no key for what follows"""
        proxy = self.setup.proxy
        mixed = self.start(self.programs + "/mixed", "300")
        seen = len(proxy.prefaces)
        assert wait_until(lambda: len(proxy.prefaces) > seen, WAIT) is not None, "no session"
        caught = []
        proxy.catch = lambda preface: not caught and not caught.append(preface)
        proxy.cut()
        assert wait_until(lambda: caught, WAIT) is not None, "no new connection"
        with self.connect() as sock:
            sock.sendall(caught[0] + os.urandom(2000))
            assert self.is_closed(sock), "the server keeps the connection"
        status = mixed.wait(60)
        assert status == 0, "mixed: status %s\n%s" % (status, mixed.output())

    TESTS = [client_of_another_authority, server_of_another_authority, expired, not_yet_valid,
             expires, of_a_server, server_of_another_name, none, plain,
             prefaces, without_the_secret,
             revoked]


def run(options, tests, tap):
    programs = os.path.abspath((options.programs or options.build + "/e2e") + "/static")
    setup = Network(options.build, options.san, through=Proxy)
    if setup.missing():
        tap.result(False, "trust", "not built: " + setup.missing())
        return
    with setup:
        trust = Trust(setup, programs)
        for test in tests:
            name = "trust/%s: %s" % (test.__name__, test.__doc__)
            try:
                test(trust)
            except (AssertionError, RuntimeError) as error:
                tap.result(False, name, "", "%s\n---\n%s" % (error, setup.server_log()))
                setup.restart_all()
            else:
                reports = setup.findings("")
                tap.result(not reports, name, "", "\n".join(reports))
            while trust.processes:
                trust.processes.pop().end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--programs", help="where the programs are (BUILD/e2e)")
    parser.add_argument("--san", choices=["address", "thread"], default="")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    tap = Tap()
    run(options, [test for test in Trust.TESTS
                  if not options.names or test.__name__ in options.names], tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
