#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Strangers at a receiver's TCP port, and their cost for the receiver.

    strangers.py ADDR PORT PID [--at-once N] [--kinds KIND,...]

Keeps N connections open, a newcomer for each that ends, until SIGTERM; then
prints, as JSON, how many of each kind came and went, and what process PID had
at once while they did: sockets, and resident memory before and at most, KiB.

    idle       says nothing
    loris      a byte of a ClientHello now and then
    garbage    random bytes
    cut        half a HELLO, and goes
    oversized  a HELLO, then a message of 4 GiB
    hello      the head of a TLS handshake, then garbage as the rest of it
    record     TLS records of every type and length
    ping       a HELLO, then PING for ever
"""
import argparse
import errno
import json
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
import time

import messages

TURN_S = 0.02  # between looks at all of them
BURST = 64     # newcomers of a turn

HELLO = messages.hello(messages.SENDER)
PING = messages.ping()


def client_hello(rnd):
    """A ClientHello's first bytes: TLS 1.3, a key exchange nobody knows."""
    body = (b"\x03\x03" + rnd.randbytes(32) + b"\x20" + rnd.randbytes(32) +
            b"\x00\x02\x13\x01\x01\x00")
    extensions = (b"\x00\x2b\x00\x03\x02\x03\x04" +
                  struct.pack("!HH", 51, 100) + rnd.randbytes(100))
    body += struct.pack("!H", len(extensions)) + extensions
    shake = b"\x01" + struct.pack("!I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack("!H", len(shake)) + shake


def says(kind, rnd):
    """The bytes that one sends: pieces, and whether it then closes."""
    if kind == "idle":
        return [], False
    if kind == "loris":
        return [bytes([b]) for b in client_hello(rnd)], False
    if kind == "garbage":
        return [rnd.randbytes(rnd.randrange(1, 3000))], False
    if kind == "cut":
        return [HELLO[:rnd.randrange(1, len(HELLO))]], True
    if kind == "oversized":
        return [HELLO, b"\xff\xff\xff\xff\x00\x03\x00\x00", bytes(4096)], False
    if kind == "hello":
        return [client_hello(rnd), rnd.randbytes(2000)], False
    if kind == "record":
        return [bytes([rnd.randrange(256), 3, 3]) +
                struct.pack("!H", rnd.randrange(0x4200)) +
                rnd.randbytes(rnd.randrange(600)) for _ in range(5)], False
    return [HELLO] + [PING] * 10000, False


KINDS = ["idle", "loris", "garbage", "cut", "oversized", "hello", "record",
         "ping"]


class Stranger:
    def __init__(self, kind, addr, rnd):
        self.kind = kind
        self.pieces, self.goes = says(kind, rnd)
        self.at = 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        # It closes without TIME_WAIT: ports must not run out.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        code = self.sock.connect_ex(addr)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))

    def turn(self):
        """Sends the next piece; returns whether it is still connected."""
        try:
            if self.at < len(self.pieces):
                self.sock.send(self.pieces[self.at])
                self.at += 1
            elif self.goes:
                return False
            if not self.sock.recv(65536):
                return False
        except BlockingIOError:
            pass
        except OSError as error:
            return error.errno in (errno.EINPROGRESS, errno.ENOTCONN)
        return True


class Watch:
    """The process's sockets and memory, now and at most."""

    def __init__(self, pid):
        self.dir = "/proc/%d/" % pid
        self.before_kib = self.rss_kib()
        self.most_kib = self.most_sockets = 0

    def rss_kib(self):
        with open(self.dir + "status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        return 0

    def sockets(self):
        cnt = 0
        for fd in os.listdir(self.dir + "fd"):
            try:
                cnt += os.readlink(self.dir + "fd/" + fd).startswith("socket:")
            except OSError:
                pass
        return cnt

    def look(self):
        try:
            self.most_kib = max(self.most_kib, self.rss_kib())
            self.most_sockets = max(self.most_sockets, self.sockets())
        except OSError:
            pass  # it has ended


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("addr")
    parser.add_argument("port", type=int)
    parser.add_argument("pid", type=int)
    parser.add_argument("--at-once", type=int, default=3000)
    parser.add_argument("--kinds", default=",".join(KINDS))
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE,
                       (args.at_once + 64, resource.getrlimit(
                           resource.RLIMIT_NOFILE)[1]))
    kinds = args.kinds.split(",")
    rnd = random.Random(1)
    watch = Watch(args.pid)
    came = dict.fromkeys(kinds, 0)
    went = dict.fromkeys(kinds, 0)
    here, most, failed, told, stopped = [], 0, 0, False, []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    while not stopped:
        began = time.monotonic()
        for _ in range(min(BURST, args.at_once - len(here))):
            kind = kinds[sum(came.values()) % len(kinds)]
            try:
                here.append(Stranger(kind, (args.addr, args.port), rnd))
                came[kind] += 1
            except OSError:
                failed += 1
        still = []
        for stranger in here:
            if stranger.turn():
                still.append(stranger)
            else:
                went[stranger.kind] += 1
                stranger.sock.close()
        here = still
        most = max(most, len(here))
        watch.look()
        if not told and sum(came.values()) >= args.at_once:
            told = True
            print("strangers: all here", file=sys.stderr, flush=True)
        select.select([], [], [], max(0, TURN_S + began - time.monotonic()))
    json.dump({"came": came, "went": went, "failed": failed, "most": most,
               "sockets": watch.most_sockets, "rss-before": watch.before_kib,
               "rss": watch.most_kib}, sys.stdout)


if __name__ == "__main__":
    main()
