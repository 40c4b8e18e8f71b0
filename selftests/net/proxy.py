# SPDX-License-Identifier: MIT
"""A TCP proxy for between vgpud and vgpu-server that breaks connections on demand.

It reads the preface of each connection, which is in clear, and so knows those of
sessions from the control connection. What follows it passes on as it comes; with
plain TCP a Rule (cut.py has some) sees the frames and says where to cut. A
connection is cut by resets, of either side or of both.

One thread moves all bytes; whoever calls is another.
"""

import collections
import math
import selectors
import socket
import struct
import threading
import time

PREFACE = struct.Struct("<IHHII16sQ32s")
MAGIC, CONTROL, SESSION = 0x6c706776, 1, 2
CLIENT, SERVER = 0, 1           # whose bytes a flow carries

RESUME, PUT, PUBLISH, PULL, DATA, STORE, FAILED, FORGET, BYE = range(1, 10)
HEADER = struct.Struct("<IBBHQ")
PUBLISHED = struct.Struct("<2Q2QQ")     # tails, heads, stored
SMALL = 4096                    # frames up to here are judged when they are whole
CHUNK = 1 << 16
HALF_OPEN = 1.0                 # seconds until a side that was left waiting hears of it

Preface = collections.namedtuple("Preface", "magic version kind flags reserved session epoch proof")
Frame = collections.namedtuple("Frame", "type lane at body")


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self):
        self.rest = b""         # of a frame that is not whole
        self.long = 0           # bytes to come of a long frame that was judged

    def feed(self, data):
        """Pairs of a frame, None for more of the one before, and its bytes."""
        while self.long and data:
            piece, data = data[:self.long], data[self.long:]
            self.long -= len(piece)
            yield None, piece
        data = self.rest + data
        while len(data) >= HEADER.size:
            length, kind, lane, _, at = HEADER.unpack_from(data)
            whole = HEADER.size + length
            if len(data) < whole and whole <= SMALL:
                break
            piece, data = data[:whole], data[whole:]
            self.long = whole - len(piece)
            yield Frame(kind, lane, at, piece[HEADER.size:]), piece
        self.rest = data


class Rule:
    """Where to cut. One object sees all connections of sessions."""

    def judge(self, connection, side, frame):
        """Before a frame is passed on. Seconds: hold this side back and cut then."""
        return None


class Flow:
    """One direction of a connection."""

    def __init__(self, side, source, sink, frames):
        self.side = side
        self.source = source
        self.sink = sink
        self.frames = frames
        self.buffer = bytearray()
        self.limit = None       # bytes that may still pass before it is cut
        self.held = False       # nothing passes any more
        self.ended = False      # the source has no more


def close_hard(sock):
    """By a reset, whatever is still to be sent."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()


class Connection:
    def __init__(self, proxy, client):
        self.proxy = proxy
        self.client = client
        self.server = socket.create_connection(proxy.target, 5)
        self.preface = None
        self.start = b""
        self.cut_at = None      # when to cut, as a rule said
        self.dead = False
        for sock in (self.client, self.server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rule = proxy.rule
        self.flows = [Flow(CLIENT, self.client, self.server, Frames() if rule else None),
                      Flow(SERVER, self.server, self.client, Frames() if rule else None)]

    @property
    def of_session(self):
        return self.preface is not None and self.preface.kind == SESSION

    def take_preface(self, data):
        """Returns what passes on: all of the preface at once."""
        self.start += data
        if len(self.start) < PREFACE.size:
            return b"", b""
        first, rest = self.start[:PREFACE.size], self.start[PREFACE.size:]
        self.preface = Preface(*PREFACE.unpack(first))
        if self.of_session:
            self.proxy.prefaces.append(first)
            if self.proxy.catch(first):
                self.flows[CLIENT].held = True
                self.cut_at = time.monotonic() + 0.3
                return b"", b""
        return first, rest

    def take(self, flow):
        """Reads what there is and puts what may pass into the flow's buffer."""
        data = flow.source.recv(CHUNK)
        if not data:
            flow.ended = True
        if flow.held:
            return
        if flow.side == CLIENT and self.preface is None:
            first, data = self.take_preface(data)
            flow.buffer += first
        if not self.of_session or not flow.frames:
            flow.buffer += data
            return
        for frame, piece in flow.frames.feed(data):
            if frame and self.cut_at is None:
                delay = self.proxy.rule.judge(self, flow.side, frame)
                if delay is not None:
                    flow.held = True
                    self.cut_at = time.monotonic() + delay
                    return
            flow.buffer += piece

    def give(self, flow):
        piece = flow.buffer if flow.limit is None else flow.buffer[:flow.limit]
        if piece:
            sent = flow.sink.send(piece)
            del flow.buffer[:sent]
            if flow.limit is not None:
                flow.limit -= sent
        if flow.limit == 0:
            self.proxy.cut_now(self)
        elif flow.ended and not flow.buffer and not flow.held:
            flow.sink.shutdown(socket.SHUT_WR)
            flow.held = True

    def interest(self):
        """What to wait for on each socket."""
        wanted = {self.client: 0, self.server: 0}
        for flow in self.flows:
            if not flow.ended and len(flow.buffer) < CHUNK:
                wanted[flow.source] |= selectors.EVENT_READ
            if flow.buffer:
                wanted[flow.sink] |= selectors.EVENT_WRITE
        return wanted

    def over(self):
        return all(flow.ended and not flow.buffer for flow in self.flows)


class Proxy:
    """To `target`, (address, port). Use as a context; `port` is where it listens."""

    def __init__(self, target, rule=None):
        self.target = target
        self.rule = rule
        self.cuts = 0           # connections of sessions that were cut
        self.prefaces = []      # of sessions, as bytes
        self.catch = lambda preface: False      # true: is not passed on
        self.lock = threading.RLock()
        self.connections = []
        self.abandoned = []     # halves of which the other half was reset, and since when
        self.silent = False     # a black hole: nothing is taken nor passed
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.ending = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        self.thread.join()
        self.refuse()
        for connection in list(self.connections):
            self.reset(connection, "both")
        self.bury(math.inf)
        self.selector.close()

    # ---- the thread ----

    def run(self):
        while not self.ending:
            with self.lock:
                self.watch()
            events = self.selector.select(0.01)
            with self.lock:
                self.serve(events)

    def watch(self):
        """Tells the selector what all sockets wait for."""
        wanted = {}
        if not self.silent:
            if self.listener:
                wanted[self.listener] = (selectors.EVENT_READ, None)
            for connection in self.connections:
                wanted.update({sock: (mask, connection)
                               for sock, mask in connection.interest().items() if mask})
        for key in list(self.selector.get_map().values()):
            if key.fileobj not in wanted:
                self.selector.unregister(key.fileobj)
            elif (key.events, key.data) != wanted[key.fileobj]:
                self.selector.modify(key.fileobj, *wanted[key.fileobj])
            wanted.pop(key.fileobj, None)
        for sock, (mask, data) in wanted.items():
            self.selector.register(sock, mask, data)

    def serve(self, events):
        for key, _ in events:
            if key.fileobj is self.listener:
                self.accept()
            elif key.data and not key.data.dead and not self.silent:
                self.move(key.data)
        now = time.monotonic()
        for connection in list(self.connections):
            if connection.cut_at is not None and now >= connection.cut_at:
                self.cut_now(connection)
        self.bury(now - HALF_OPEN)

    def accept(self):
        try:
            client, _ = self.listener.accept()
        except OSError:
            return
        try:
            self.connections.append(Connection(self, client))
        except OSError:
            close_hard(client)          # there is no server

    def move(self, connection):
        try:
            for flow in connection.flows:
                if not flow.ended and len(flow.buffer) < CHUNK:
                    try:
                        connection.take(flow)
                    except BlockingIOError:
                        pass
                try:
                    connection.give(flow)
                except BlockingIOError:
                    pass
                if connection.dead:
                    return
            if connection.over():
                self.reset(connection, "both")
        except OSError:
            self.reset(connection, "both")

    def forget(self, *socks):
        for sock in socks:
            if sock.fileno() >= 0 and sock in self.selector.get_map():
                self.selector.unregister(sock)

    def reset(self, connection, sides):
        """The side that is not reset is left waiting for a while."""
        if connection.dead:
            return
        connection.dead = True
        self.connections.remove(connection)
        self.forget(connection.client, connection.server)
        for name in ("client", "server"):
            sock = getattr(connection, name)
            if sides in (name, "both"):
                close_hard(sock)
            else:
                self.abandoned.append((time.monotonic(), sock))

    def cut_now(self, connection, sides="both"):
        self.cuts += not connection.dead
        self.reset(connection, sides)

    # ---- for others ----

    def sessions(self):
        return [c for c in self.connections if c.of_session]

    def cut(self, sides="both"):
        """Resets the connections of all sessions: how many there were."""
        with self.lock:
            found = self.sessions()
            for connection in found:
                self.cut_now(connection, sides)
            return len(found)

    def cut_after(self, side, count):
        """Lets so many more bytes pass, which may end within a frame."""
        with self.lock:
            for connection in self.sessions():
                connection.flows[side].limit = count

    def cut_control(self):
        with self.lock:
            for connection in [c for c in self.connections if not c.of_session]:
                self.reset(connection, "both")

    def hole(self, silent):
        """Nothing passes and nothing ends, in either direction, until told otherwise."""
        with self.lock:
            self.silent = silent

    def refuse(self):
        """Nobody can connect any more."""
        with self.lock:
            if self.listener:
                self.forget(self.listener)
                self.listener.close()
                self.listener = None

    def bury(self, before):
        """Ends what has been left waiting since before then."""
        with self.lock:
            for since, sock in [pair for pair in self.abandoned if pair[0] < before]:
                self.abandoned.remove((since, sock))
                close_hard(sock)
