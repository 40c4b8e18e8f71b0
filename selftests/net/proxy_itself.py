#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of the proxy: bytes arrive as they were sent, cuts are where they should be.

Prints TAP.
"""

import os
import random
import socket
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from harness import Tap                     # noqa: E402
from proxy import (CLIENT, CONTROL, HEADER, MAGIC, PREFACE, PUBLISH, PUT, SERVER, SESSION,  # noqa
                   STORE, Proxy, Rule)      # noqa: E402

WAIT = 10


def preface(kind):
    return PREFACE.pack(MAGIC, 1, kind, 0, 0, b"s" * 16, 1, b"p" * 32)


def frame(kind, length):
    return HEADER.pack(length, kind, 0, 0, 0) + random.randbytes(length)


def frames():
    """Of all lengths, as a session sends them; ends with a store and a publication."""
    lengths = [0, 40, 1, 4079, 4080, 4081, 262144, 65536, 3]
    return [frame(PUT, n) for n in lengths] + [frame(STORE, 9000), frame(PUBLISH, 40)]


class Pair:
    """Both ends of a connection through a proxy."""

    def __init__(self, rule=None, kind=SESSION):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.proxy = Proxy(self.listener.getsockname(), rule).__enter__()
        self.client = socket.create_connection(("127.0.0.1", self.proxy.port), WAIT)
        self.client.sendall(preface(kind))
        self.server, _ = self.listener.accept()
        self.server.settimeout(WAIT)
        assert receive(self.server, PREFACE.size) == preface(kind)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proxy.__exit__()
        for sock in (self.client, self.server, self.listener):
            sock.close()


def receive(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data


def rest(sock):
    """All that comes, and whether a reset ended it."""
    data = b""
    while True:
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            return data, True
        if not piece:
            return data, False
        data += piece


def passes_on(rule, kind):
    with Pair(rule, kind) as pair:
        data = b"".join(frames())
        sender = threading.Thread(target=pair.client.sendall, args=(data,))
        sender.start()
        pair.server.sendall(data[::-1] if rule is None else data)
        assert receive(pair.server, len(data)) == data
        assert receive(pair.client, len(data)) == (data[::-1] if rule is None else data)
        sender.join()
        pair.client.shutdown(socket.SHUT_WR)
        assert rest(pair.server) == (b"", False), "no end"
        assert pair.proxy.cuts == 0


def all_bytes():
    """all bytes of a session pass, and the end of one direction"""
    passes_on(None, SESSION)


def all_frames():
    """all frames pass where a rule looks at them, too"""
    passes_on(Rule(), SESSION)


def control():
    """a control connection is not looked at"""
    passes_on(Rule(), CONTROL)


def limit():
    """after so many bytes there is a reset on both sides"""
    with Pair() as pair:
        pair.server.sendall(b"x" * 1000)
        assert receive(pair.client, 1000) == b"x" * 1000
        pair.proxy.cut_after(SERVER, 777)
        pair.server.sendall(b"y" * 5000)
        data, reset = rest(pair.client)
        assert data == b"y" * 777 and reset, "%d bytes, reset: %s" % (len(data), reset)
        assert rest(pair.server) == (b"", True) and pair.proxy.cuts == 1


def one_side():
    """a side that was not reset hears nothing"""
    with Pair() as pair:
        pair.proxy.cut("client")
        assert rest(pair.client) == (b"", True)
        pair.server.settimeout(0.2)
        try:
            raise AssertionError("the server got %r" % pair.server.recv(1))
        except socket.timeout:
            pass
        pair.server.settimeout(WAIT)         # until later
        assert rest(pair.server) == (b"", True)


def hole():
    """in silence nothing passes, and afterwards everything"""
    with Pair() as pair:
        pair.proxy.hole(True)
        pair.client.sendall(b"z" * 100000)
        pair.server.settimeout(0.2)
        try:
            raise AssertionError("the server got %r" % pair.server.recv(1))
        except socket.timeout:
            pass
        pair.proxy.hole(False)
        pair.server.settimeout(WAIT)
        assert receive(pair.server, 100000) == b"z" * 100000


class BeforePublish(Rule):
    def judge(self, connection, side, frame):
        return 0.05 if side == CLIENT and frame.type == PUBLISH else None


def exactly():
    """a rule cuts between two frames, when the first one has arrived"""
    with Pair(BeforePublish()) as pair:
        *before, _ = frames()
        data = b"".join(before)
        threading.Thread(target=pair.client.sendall, args=(b"".join(before + [frame(PUBLISH, 40)]),)
                         ).start()
        assert receive(pair.server, len(data)) == data
        assert rest(pair.server) == (b"", True)
        assert pair.proxy.cuts == 1


TESTS = [all_bytes, all_frames, control, limit, one_side, hole, exactly]


def main():
    tap = Tap()
    for test in TESTS:
        try:
            test()
        except (AssertionError, OSError) as error:
            tap.result(False, "proxy: " + test.__doc__, "", repr(error))
        else:
            tap.result(True, "proxy: " + test.__doc__)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
