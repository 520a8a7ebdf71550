# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that does to a connection what networks do.

    with Proxy(server.port) as p:
        p.fault = Fault('cut', 'up', after=5000)      # the connection that carries byte 5000 to the server ends
        ... connect to p.port ...
        p.heal()

Directions: 'up' to the server, 'down' from it, 'both'. Bytes count over all connections of one direction, from
the last `heal`. Kinds:

    delay       every piece comes `ms` later            throttle    `rate` bytes a second
    slice       single bytes                            cut, reset  the end of one connection (FIN, RST), once
    hole        from then on nothing passes in either direction, on any connection, old or new; nothing closes
    corrupt     one byte is another one, once           none

`at`: a pattern (bytes) instead of a count; the `nth` time it is seen going by. before: the piece that holds it
is not let through first (cut, reset, hole)."""
import re
import select
import socket
import struct
import threading
import time

PIECE = 16384


class Fault:
    def __init__(self, kind='none', way='both', after=0, ms=0, rate=0, at=None, nth=1, before=False):
        self.kind, self.way, self.after, self.ms, self.rate = kind, way, after, ms, rate
        self.at, self.nth, self.before = re.compile(at) if at else None, nth, before
        self.done = False   # what happens once has happened
        self.seen = 0

    def concerns(self, way):
        return self.way in (way, 'both')


class Proxy:
    def __init__(self, port, host='127.0.0.1'):
        self.upstream = (host, port)
        self.fault, self.lock, self.closing = Fault(), threading.Lock(), False
        self.bytes = {'up': 0, 'down': 0}
        self.open = set()
        self.listener = socket.create_server((host, 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing = True
        self.listener.close()
        self.drop()

    def heal(self, drop=False):
        """The network is well again: what a hole held back goes on. drop: every connection ends. Counts
        begin anew."""
        with self.lock:
            self.fault, self.bytes = Fault(), {'up': 0, 'down': 0}
        if drop:
            self.drop()

    def drop(self):
        with self.lock:
            pairs, self.open = list(self.open), set()
        for pair in pairs:
            end(pair, True)

    def accept(self):
        while not self.closing:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            server = socket.create_connection(self.upstream, timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        pair = (client, server)
        for s in pair:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.open.add(pair)
        try:
            self.pump(pair)
        except (OSError, ValueError):   # it was closed by somebody else
            pass
        with self.lock:
            self.open.discard(pair)
        end(pair, False)

    def pump(self, pair):
        client, server = pair
        while True:
            if self.holed():
                time.sleep(0.05)
                if client.fileno() < 0:
                    return
                continue
            for s in select.select([client, server], [], [], 0.1)[0]:
                way = 'up' if s is client else 'down'
                data = s.recv(PIECE)
                if not data:
                    return
                if not self.pass_on(pair, way, data):
                    return

    def holed(self):
        return self.fault.kind == 'hole' and self.fault.done

    def pass_on(self, pair, way, data):
        """False when the connection is at its end."""
        to = pair[1] if way == 'up' else pair[0]
        with self.lock:
            fault, first = self.fault, self.bytes[way]
            self.bytes[way] += len(data)
            strike = self.struck(fault, way, first, data)
        if strike is None:
            send(to, data, fault if fault.concerns(way) else Fault())
            return True
        if fault.kind == 'corrupt':
            to.sendall(data[:strike] + bytes([data[strike] ^ 0x41]) + data[strike + 1:])
            return True
        to.sendall(data[:strike])
        if fault.kind == 'hole':
            while self.holed() and to.fileno() >= 0:
                time.sleep(0.05)
            to.sendall(data[strike:])
            return True
        if not fault.before:
            time.sleep(0.2)   # what was let through arrives and is answered; nobody hears the answer
        end(pair, fault.kind == 'reset')
        return False

    def struck(self, fault, way, first, data):
        """Where in this piece the fault strikes, or None."""
        if fault.done or fault.kind not in ('cut', 'reset', 'hole', 'corrupt') or not fault.concerns(way):
            return None
        where = None
        if fault.at:
            for m in fault.at.finditer(data):
                fault.seen += 1
                if fault.seen == fault.nth:
                    where = 0 if fault.before else len(data)
        elif first + len(data) > fault.after:
            where = max(0, fault.after - first)
        if where is not None:
            fault.done = True
        return where


def send(to, data, fault):
    if fault.kind == 'delay':
        time.sleep(fault.ms / 1000)
    if fault.kind == 'slice':
        for i in range(len(data)):
            to.sendall(data[i:i + 1])
        return
    to.sendall(data)
    if fault.kind == 'throttle':
        time.sleep(len(data) / fault.rate)


def end(pair, reset):
    for s in pair:
        try:
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            s.close()
        except OSError:
            pass
