#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pki.py VGPU: the small authority of `vgpu pki`. Prints TAP.

That certificates are good is seen by Python's TLS: a handshake between the two
hosts. What breaks off half-way must leave nothing half-made.
"""
import json
import os
import resource
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import tempfile

VGPU = os.path.abspath(sys.argv[1])
HOST_FILES = ["ca.crt", "crl.pem", "host.crt", "host.key"]
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


class Result:
    def __init__(self, process):
        self.out, self.err = process.communicate(timeout=60)
        self.status = process.returncode

    def __str__(self):
        return "status %d, %r, %r" % (self.status, self.out, self.err)


def begin(*words, limit=None, ignore=False):
    """vgpu pki WORDS; limit: of the bytes that a file may have."""
    def restrict():
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN if ignore else signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return subprocess.Popen([VGPU, "pki", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, preexec_fn=restrict, restore_signals=False)


def pki(*words, **limits):
    return Result(begin(*words, **limits))


def good(*words):
    result = pki(*words)
    expect(result.status == 0 and not result.err, "%s: %s" % (words, result))
    return result.out


def refused(part, *words, status=1, **limits):
    result = pki(*words, **limits)
    expect(result.status == status and not result.out and part in result.err,
           "%s: %s" % (words, result))


def listed(folder):
    return json.loads(good("list", "-j", folder))["certificates"]


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def contents(folder):
    """All that is in it: {path: bytes}"""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


# ---- handshakes ----

def context(host, server):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(host + "/ca.crt")
    made.load_verify_locations(host + "/crl.pem")
    made.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN | ssl.VERIFY_X509_STRICT
    made.load_cert_chain(host + "/host.crt", host + "/host.key")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def shake(server, client, name):
    """What is wrong between the folders of two hosts; None: nothing."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [context(client, False).wrap_bio(down, up, server_hostname=name),
            context(server, True).wrap_bio(up, down, server_side=True)]
    for _ in range(10):
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                return str(error)
    return "unfinished" if ends else None


# ---- tests ----

@test
def init(folder):
    place = folder + "/of/hosts/pki"
    good("init", place)
    expect(sorted(os.listdir(place)) == ["ca.crt", "ca.key", "crl.pem", "index"],
           os.listdir(place))
    expect(mode(place) == 0o700 and mode(place + "/ca.key") == 0o600, "modes")
    before = contents(place)
    refused("nothing was changed", "init", place)
    expect(contents(place) == before, "an authority was changed")
    os.mkdir(folder + "/empty")
    good("init", folder + "/empty/")
    os.mkdir(folder + "/full")
    open(folder + "/full/file", "w").close()
    refused("nothing was changed", "init", folder + "/full")
    refused("nothing was changed", "init", folder + "/full/file")
    expect(sorted(os.listdir(folder)) == ["empty", "full", "of"], os.listdir(folder))
    expect(os.listdir(folder + "/of/hosts") == ["pki"], "what was not finished was left")


@test
def hosts(folder):
    good("init", folder + "/pki")
    good("server", "gpu1", "--address", "10.9.0.2", "--address", "fd00::2",
         "--address=gpu1.example", folder + "/pki")
    good("client", "node1", folder + "/pki")
    gpu, node = folder + "/pki/gpu1", folder + "/pki/node1"
    for host in gpu, node:
        expect(sorted(os.listdir(host)) == HOST_FILES, os.listdir(host))
        expect(mode(host) == 0o700 and mode(host + "/host.key") == 0o600, "modes")
    for name in "gpu1", "10.9.0.2", "fd00::2", "gpu1.example":
        expect(shake(gpu, node, name) is None, shake(gpu, node, name))
    expect("Hostname mismatch" in shake(gpu, node, "gpu2"), "a name that is not its own")
    expect("IP address mismatch" in shake(gpu, node, "10.9.0.3"), "an address not its own")
    expect("unsuitable" in shake(node, node, "node1"), "a client's certificate as a server's")
    expect("unsuitable" in shake(gpu, gpu, "gpu1"), "a server's certificate as a client's")
    keys = {open(h + "/host.key").read() for h in (gpu, node)}
    expect(len(keys) == 2, "the same key twice")


@test
def another_authority(folder):
    good("init", folder + "/a")
    good("init", folder + "/b")
    good("server", "gpu1", folder + "/a")
    good("client", "node1", folder + "/b")
    expect(shake(folder + "/a/gpu1", folder + "/b/node1", "gpu1"), "a foreign certificate")


@test
def revoking(folder):
    place = folder + "/pki"
    good("init", place)
    good("server", "gpu1", place)
    good("client", "node1", place)
    good("client", "node2", place)
    shutil.copytree(place + "/node1", folder + "/node1")
    before = contents(place + "/node1")
    refused("revoke it first", "client", "node1", place)
    refused("revoke it first", "server", "node1", place)
    expect(contents(place + "/node1") == before, "a key was overwritten")
    good("revoke", "node1", place)
    expect(not os.path.exists(place + "/node1"), "the folder is still there")
    expect(contents(place + "/revoked/" + listed(place)[1]["serial"])["host.key"] ==
           before["host.key"], "the key is gone")
    lists = {open(path + "/crl.pem").read()
             for path in (place, place + "/gpu1", place + "/node2")}
    expect(len(lists) == 1, "the list did not get to every host")
    expect("certificate revoked" in shake(place + "/gpu1", folder + "/node1", "gpu1"), "revoked")
    expect(shake(place + "/gpu1", place + "/node2", "gpu1") is None, "another host")
    good("client", "node1", place)
    expect(shake(place + "/gpu1", place + "/node1", "gpu1") is None, "a new one of that name")
    expect("revoked" in shake(place + "/gpu1", folder + "/node1", "gpu1"), "the old one")
    refused("no certificate of that name", "revoke", "node3", place)


@test
def revoking_what_was_moved(folder):
    good("init", folder + "/pki")
    good("server", "gpu1", folder + "/pki")
    good("client", "node1", folder + "/pki")
    shutil.move(folder + "/pki/node1", folder + "/node1")
    good("revoke", "node1", folder + "/pki")
    expect("revoked" in shake(folder + "/pki/gpu1", folder + "/node1", "gpu1"), "revoked")
    before = contents(folder + "/pki")
    good("revoke", "node1", folder + "/pki")
    after = contents(folder + "/pki")
    expect(before["index"] == after["index"], "revoked twice")


@test
def lists(folder):
    good("init", folder + "/pki")
    expect(listed(folder + "/pki") == [], "something in nothing")
    good("server", "gpu1", "--days", "10", folder + "/pki")
    good("client", "node1", "--days", "36500", folder + "/pki")
    good("revoke", "gpu1", folder + "/pki")
    server, client = listed(folder + "/pki")
    expect(server["name"] == "gpu1" and server["kind"] == "server" and
           server["state"] == "revoked" and server["revoked"] > 0, server)
    expect(client["kind"] == "client" and client["state"] == "valid" and
           client["revoked"] == 0, client)
    # not longer than the authority
    years = (client["expires"] - server["expires"]) / 86400 / 365
    expect(9 < years < 11, "%s years" % years)
    lines = good("list", folder + "/pki").splitlines()
    expect([line.split()[:3] for line in lines[1:]] ==
           [["gpu1", "server", "revoked"], ["node1", "client", "valid"]], lines)


@test
def expired(folder):
    """Its name is free: an entry of the index is made old by hand."""
    place = folder + "/pki"
    good("init", place)
    good("client", "node1", place)
    with open(place + "/index") as file:
        head, line = file.read().splitlines()
    words = line.split()
    with open(place + "/index", "w") as file:
        file.write("%s\n%s\n" % (head, " ".join(words[:2] + ["1000"] + words[3:])))
    expect([e["state"] for e in listed(place)] == ["expired"], listed(place))
    old = contents(place + "/node1")["host.key"]
    good("client", "node1", place)
    expect([e["state"] for e in listed(place)] == ["expired", "valid"], listed(place))
    expect(contents(place + "/node1")["host.key"] != old, "the same key")
    expect(contents(place + "/revoked/" + words[0])["host.key"] == old, "the old key is gone")


@test
def command_line(folder):
    place = folder + "/pki"
    good("init", place)
    before = contents(folder)
    for words in (["server"], ["client", "../x", place], ["client", ".x", place],
                  ["client", "", place], ["client", "a/b", place], ["client", "a b", place],
                  ["client", "ca.key", place], ["client", "index", place],
                  ["client", "revoked", place], ["client", "x" * 65, place],
                  ["client", "node1", place, "more"], ["client", "node1", "--days", "0", place],
                  ["client", "node1", "--days", "36501", place],
                  ["client", "node1", "--days", "x", place],
                  ["client", "node1", "--address", "a", place],
                  ["server", "gpu1", "--address", "10.0.0.1:80", place],
                  ["server", "gpu1", "--address", "a,DNS:b", place],
                  ["server", "gpu1", "--address", "", place],
                  ["server", "gpu1", *["--address=a"] * 33, place],
                  ["server", "gpu1", "-j", place], ["revoke", "--days", "1", "gpu1", place],
                  ["list", "--days", "1", place], ["init", "a", "b"], ["list", "--nothing"],
                  ["nothing"], []):
        refused("vgpu", *words, status=2)
    expect(contents(folder) == before, "something was done")
    good("client", "x" * 64, place)
    expect("usage" in good("--help") and "usage" in good("init", "--help"), "help")


@test
def damage(folder):
    place = folder + "/pki"
    refused("vgpu pki init", "client", "node1", place)
    refused("vgpu pki init", "list", place)
    good("init", place)
    good("init", folder + "/other")
    os.chmod(place + "/ca.key", 0o640)
    refused("chmod 600", "client", "node1", place)
    os.chmod(place + "/ca.key", 0o600)
    whole = contents(place)
    for name, text, part in (
            ("ca.key", contents(folder + "/other")["ca.key"], "not the key of ca.crt"),
            ("ca.key", b"rubbish", "not the key of ca.crt"),
            ("ca.crt", b"rubbish", "not a certificate"),
            ("index", b"rubbish\n", "line 1"),
            ("index", b"#\n" + b"0" * 32 + b" client 1 0 ../x\n", "line 2"),
            ("index", b"0" * 32 + b" client 1 0 x y\n", "line 1"),
            ("index", b"0" * 31 + b"g client 1 0 x\n", "line 1"),
            ("index", b"0" * 32 + b" other 1 0 x\n", "line 1"),
            ("index", b"0" * 500, "line 1")):
        with open(place + "/" + name, "wb") as file:
            file.write(text)
        refused(part, "client", "node1", place)
        with open(place + "/" + name, "wb") as file:
            file.write(whole[name])
    for name in "ca.key", "ca.crt", "index":
        os.rename(place + "/" + name, folder + "/" + name)
        refused("%s/%s: No such file" % (place, name), "client", "node1", place)
        os.rename(folder + "/" + name, place + "/" + name)
    os.mkdir(place + "/node1")
    refused("File exists", "client", "node1", place)
    expect(listed(place) == [], "an entry without a certificate")


@test
def breaking_off(folder):
    """A full disk, and a process that is killed: at its first file or a later one."""
    place = folder + "/pki"
    good("init", place)
    good("server", "gpu1", place)
    for limit in 0, 300, 500:
        for ignore in True, False:
            what = "limit %d, %s" % (limit, "told" if ignore else "killed")
            result = pki("client", "node1", place, limit=limit, ignore=ignore)
            expect(result.status, "%s: %s" % (what, result))
            expect(not ignore or "File too large" in result.err, "%s: %s" % (what, result))
            expect(len(listed(place)) == 1, what)
            expect(not os.path.exists(place + "/node1"), what)
            result = pki("init", folder + "/new", limit=limit, ignore=ignore)
            expect(result.status and not os.path.exists(folder + "/new"), what)
            if ignore:
                expect(not [n for n in os.listdir(folder) if n != "pki"], os.listdir(folder))
            for name in os.listdir(folder):
                if name.startswith("new."):
                    shutil.rmtree(folder + "/" + name)
    # between the index and the folder: nothing is lost that could not be revoked
    with open(place + "/index", "a") as file:
        file.write("%s client 4000000000 0 node1\n" % ("ab" * 16))
    os.makedirs(place + "/.host", exist_ok=True)
    open(place + "/.host/host.key", "w").close()
    refused("revoke it first", "client", "node1", place)
    good("revoke", "node1", place)
    good("client", "node1", place)
    expect(shake(place + "/gpu1", place + "/node1", "gpu1") is None, "after all")


@test
def all_at_once(folder):
    place = folder + "/pki"
    good("init", place)
    running = [begin("client", "node%d" % i, place) for i in range(12)]
    running += [begin("client", "same", place) for i in range(4)]
    ended = [Result(process) for process in running]
    expect(all(r.status == 0 for r in ended[:12]), [str(r) for r in ended])
    expect([r.status for r in ended[12:]].count(0) == 1, [str(r) for r in ended])
    names = [e["name"] for e in listed(place)]
    expect(sorted(names) == sorted(["node%d" % i for i in range(12)] + ["same"]), names)
    expect(len({e["serial"] for e in listed(place)}) == 13, "serial numbers")


def main():
    failed = 0
    for number, function in enumerate(TESTS, 1):
        folder = tempfile.mkdtemp(prefix="vgpu-pki-")
        try:
            function(folder)
            print("ok %d - %s" % (number, function.__name__))
        except (AssertionError, OSError, subprocess.SubprocessError, ValueError) as error:
            failed += 1
            for line in str(error).split("\\n"):
                print("# " + line)
            print("not ok %d - %s" % (number, function.__name__))
        finally:
            shutil.rmtree(folder)
        sys.stdout.flush()
    print("1..%d" % len(TESTS))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
