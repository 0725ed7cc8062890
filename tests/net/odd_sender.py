#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A sender of a memory that is all zero: that needs no data frames, so control
messages alone bring it to its commit, where it does something odd.

    odd_sender.py ADDR PORT SZ ODDITY

    late-message    a SYNC in one segment with COMMIT
    late-abort      an ABORT in one segment with COMMIT
    abort-at-end    an ABORT once COMMITTED came
    twice           COMMIT again, then BYE
    hangs-up        the end of the connection in place of BYE

It then asks on a new connection for the transfer's result, if the first was
closed, and prints COMMITTED, or the other answer, on stdout.
"""
import socket
import struct
import sys

from messages import (ABORT, ASK, BYE, COMMIT, COMMITTED, HEAD_SZ, OFFER, OPENED,
                      SENDER, SYNC, VERIFIED, VERIFY, abort_words,
                      digests_of_zeroes, head, hello, message, numbers,
                      open_transfer, segment, text)

TRANSFER = 0x0123456789ABCDEF


class Peer:
    def __init__(self, addr, port):
        self.sock = socket.create_connection((addr, port), timeout=20)
        self.sock.sendall(hello(SENDER))
        self.expect(OFFER)

    def send(self, *messages):
        self.sock.sendall(b"".join(messages))

    def read(self):
        """The next message, or None when the connection was closed."""
        begin = self.exactly(HEAD_SZ)
        if not begin:
            return None
        size, kind = head(begin)
        return kind, self.exactly(size)

    def exactly(self, size):
        got = b""
        while len(got) < size:
            try:
                data = self.sock.recv(size - len(got))
            except ConnectionError:
                data = b""
            if not data:
                return b""
            got += data
        return got

    def expect(self, *kinds):
        """Skips other messages; None: closed before one of kinds came."""
        while True:
            got = self.read()
            if not got or got[0] in kinds:
                return got
            if got[0] == ABORT:
                sys.exit("aborted: %s" % abort_words(got[1]))


def verified(addr, port, size):
    peer = Peer(addr, port)
    peer.send(open_transfer(TRANSFER, addr, 1, 1, b"odd"), segment(0, size))
    peer.expect(OPENED)
    peer.send(digests_of_zeroes(size), message(VERIFY, numbers(0)))
    if not peer.expect(VERIFIED):
        sys.exit("not verified")
    return peer


def main():
    addr, port, size, oddity = sys.argv[1:]
    port = int(port)
    peer = verified(addr, port, int(size))
    commit = message(COMMIT, struct.pack("!Q", TRANSFER))
    abort = message(ABORT, struct.pack("!H", 1) + text(b"interrupted"))
    if oddity == "late-message":
        peer.send(commit, message(SYNC, struct.pack("!HQ", 0, 1)))
    elif oddity == "late-abort":
        peer.send(commit, abort)
    elif oddity == "twice":
        peer.send(commit, commit)
    else:
        peer.send(commit)
    got = peer.expect(COMMITTED, ABORT)
    if oddity == "abort-at-end":
        peer.send(abort)
    elif got and oddity == "hangs-up":
        peer.sock.shutdown(socket.SHUT_WR)
        got = peer.expect()  # the peer may have missed it, so it is asked
    elif got:
        peer.send(message(BYE))
        if not peer.expect(BYE) or peer.read():
            sys.exit("BYE was not answered by BYE, and then the end")
    if not got:
        peer = Peer(addr, port)
        peer.send(message(ASK, struct.pack("!Q", TRANSFER)))
        got = peer.expect(COMMITTED, ABORT)
    if not got:
        print("no answer")
    elif got[0] == COMMITTED:
        print("COMMITTED")
    else:
        print(abort_words(got[1]))


if __name__ == "__main__":
    main()
