#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A peer that answers every PING, and stops somewhere.

    pretender.py sender ADDR PORT STOP [LANES]
    pretender.py receiver ADDR PORT STOP

STOP of a sender, of a memory that is all zero: it never says
    OPEN, SEGMENT, data (nothing behind OPENED), VERIFY (digests all told),
    COMMIT, BYE; or
    slow        60000 SEGMENTs, ten a second
    flood       SEGMENTs without pause, then PINGs without pause
    lanes       data, but a way for each of its lanes
    unbalanced  VERIFY of one frame more than was sent
    works       WORKING, with more done each time, for 8 s, then nothing more
    idles       WORKING, with nothing done, for ever
STOP of a receiver, which believes whatever it is sent: it never says
    OFFER, OPENED, LANE_READY, LEDGER, VERIFIED, COMMITTED; or
    deaf        it reads nothing behind OPEN
    flood       PINGs without pause in place of COMMITTED
    early       COMMITTED, but before COMMIT
    other       COMMITTED, but of another transfer
    early-ledger  LEDGER, but before VERIFY
    unbalanced  a LEDGER of one frame more than were sent
    no-lane     PROBE_SEEN of a lane that there is not

Each says "ready" on stderr when it can be connected to, or when it stops going
on.  Both print what they were told at the end, a receiver by each who came.
"""
import itertools
import os
import socket
import struct
import sys
import time

from messages import (ABORT, ACK, ASK, CAP_WORKING, COMMIT, COMMITTED, HEAD_SZ,
                      LANE_READY, LANE_SET, OFFER, OPEN, OPENED, PING, PONG,
                      PROBE_SEEN, RECEIVER, SEGMENT, SENDER, SYNC, VERIFIED,
                      VERIFY, WORKING, abort_words, digests_of_zeroes, head,
                      hello, lane_set, ledger, message, numbers, offer,
                      open_transfer, ping, segment)

SIZE = 4 << 20
TICK_S = 0.1


def ready():
    print("peer: ready", file=sys.stderr, flush=True)


class Closed(Exception):
    """The next message, or that the connection was closed."""


class Peer:
    """Answers PING, while it waits for any message."""

    def __init__(self, sock, role):
        self.sock, self.have = sock, b""
        self.send(hello(role, CAP_WORKING))

    def send(self, *messages):
        try:
            self.sock.sendall(b"".join(messages))
        except OSError:
            self.drain()

    def drain(self):
        while True:
            self.take(5)

    def take(self, seconds):
        """The next message but PING, or None when there was none."""
        end = time.monotonic() + seconds
        while True:
            if len(self.have) >= HEAD_SZ:
                size, kind = head(self.have)
                if len(self.have) >= HEAD_SZ + size:
                    payload = self.have[HEAD_SZ:HEAD_SZ + size]
                    self.have = self.have[HEAD_SZ + size:]
                    if kind == ABORT:
                        raise Closed(abort_words(payload))
                    if kind != PING:
                        return kind, payload
                    self.send(message(PONG, payload))
                    continue
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(1 << 16)
            except TimeoutError:
                return None
            except OSError:
                data = b""
            finally:
                self.sock.settimeout(20)
            if not data:
                raise Closed("closed")
            self.have += data

    def expect(self, *kinds):
        while True:
            got = self.take(20)
            if got and got[0] in kinds:
                return got

    def answers_only(self, say=None):
        """PINGs and answers PINGs, until it is closed; say() each time, too."""
        ready()
        while True:
            self.send(ping(1))
            if say:
                self.send(say())
            end = time.monotonic() + TICK_S
            while time.monotonic() < end:
                self.take(end - time.monotonic())

    def floods(self):
        ready()
        self.sock.setblocking(True)
        pings = ping(1) * 1024
        while True:
            self.send(pings)
            for _ in range(2048):
                if not self.take(0.001):
                    break


# ---- the sender ----


def segments(start, cnt):
    return b"".join(segment(512 * i, 4096, b"r%d" % i)
                    for i in range(start, start + cnt))


def send_to(peer, stop, addr, lanes):
    peer.expect(OFFER)
    if stop == "OPEN":
        peer.answers_only()
    many = {"slow": 60000, "flood": 65536}.get(stop, 1)
    name = b"pretender-%s-%d" % (stop.encode(), os.getpid())
    peer.send(open_transfer(os.getpid(), addr, lanes, many, name))
    if stop == "SEGMENT":
        peer.answers_only()
    if stop == "slow":
        cnt = itertools.count()
        peer.answers_only(lambda: segments(next(cnt), 1))
    if stop == "flood":
        for start in range(0, many - 64, 64):
            peer.send(segments(start, 64))
        peer.floods()
    peer.send(segment(0, SIZE))
    peer.expect(OPENED)
    if stop == "data":
        peer.answers_only()
    if stop == "lanes":
        for lane in range(lanes):
            peer.send(lane_set(lane))
            peer.expect(LANE_READY)
        peer.answers_only()
    if stop in ("works", "idles"):
        end = time.monotonic() + 8
        done = itertools.count(1 << 20, (1 << 20) if stop == "works" else 0)
        peer.answers_only(
            lambda: message(WORKING, struct.pack("!BQ", 1, next(done)))
            if stop == "idles" or time.monotonic() < end else b"")
    peer.send(digests_of_zeroes(SIZE))
    if stop == "VERIFY":
        peer.answers_only()
    claims = 1 if stop == "unbalanced" else 0
    peer.send(message(VERIFY, numbers(*[claims] * lanes)))
    peer.expect(VERIFIED)
    if stop == "COMMIT":
        peer.answers_only()
    peer.send(message(COMMIT, struct.pack("!Q", os.getpid())))
    peer.expect(COMMITTED)
    peer.answers_only()


def sender(addr, port, stop, lanes="1"):
    peer = Peer(socket.create_connection((addr, port)), SENDER)
    begun = time.monotonic()
    try:
        send_to(peer, stop, addr, int(lanes))
    except Closed as why:
        print("%.1f s: %s" % (time.monotonic() - begun, why))


# ---- the receiver ----


def ack(payload):
    lane, upto = struct.unpack("!HQ", payload)
    return message(ACK, struct.pack("!HQQII", lane, upto, upto, 2048, 0))


def take_from(peer, stop):
    if stop == "OFFER":
        peer.answers_only()
    peer.send(offer())
    kind, payload = peer.expect(OPEN, ASK)
    if kind == ASK or stop == "OPENED":
        peer.answers_only()
    if stop == "deaf":
        ready()
        time.sleep(3600)
    transfer_id = payload[:8]
    lanes = struct.unpack("!H", payload[32:34])[0]
    peer.expect(SEGMENT)
    peer.send(message(OPENED, struct.pack("!QB", 1, 0)))
    if stop == "early-ledger":
        peer.send(ledger(0))
    while True:
        got = peer.take(TICK_S)
        kind, payload = got or (0, b"")
        if not kind:
            more = 1 if stop == "no-lane" else 0
            for lane, probe in itertools.product(range(lanes + more), range(4)):
                peer.send(message(PROBE_SEEN,
                                  struct.pack("!HQIH", lane, probe, 1514, 0)))
        elif kind == LANE_SET and stop == "LANE_READY":
            peer.answers_only()
        elif kind == LANE_SET:
            if stop == "early":
                peer.send(message(COMMITTED, transfer_id))
            peer.send(message(LANE_READY, payload[:2] +
                              struct.pack("!I", 2048)))
        elif kind == SYNC:
            peer.send(ack(payload))
        elif kind == VERIFY and stop == "VERIFIED":
            peer.answers_only()
        elif kind == VERIFY and stop in ("LEDGER", "early-ledger"):
            peer.send(message(VERIFIED))
        elif kind == VERIFY:
            sent = struct.unpack("!%dQ" % lanes, payload[4:])
            more = 1 if stop == "unbalanced" else 0
            peer.send(ledger(sum(sent) + more), message(VERIFIED))
        elif kind == COMMIT and stop == "other":
            peer.send(message(COMMITTED, struct.pack("!Q", 1)))
        elif kind == COMMIT and stop == "flood":
            peer.floods()
        elif kind == COMMIT:
            peer.answers_only()


def receiver(addr, port, stop):
    server = socket.create_server((addr, port))
    if stop == "deaf":
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    ready()
    while True:
        sock, _ = server.accept()
        try:
            take_from(Peer(sock, RECEIVER), stop)
        except Closed as why:
            print(why, flush=True)
            sock.close()


def main():
    role, addr, port, *rest = sys.argv[1:]
    {"sender": sender, "receiver": receiver}[role](addr, int(port), *rest)


if __name__ == "__main__":
    main()
