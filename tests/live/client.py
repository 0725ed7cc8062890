#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""client: talks to the guest's server without a pause, and measures its gaps.

    client.py ADDRESS [TCP_MS [UDP_MS]]

TCP: a numbered line each TCP_MS (default 20).  The guest answers each with its
own count of the lines; no answer may be lost, doubled or out of order, over one
connection.  UDP: a numbered datagram each UDP_MS (default 4), which may get lost.
A gap is the longest time without an answer; that of UDP is the downtime, since
TCP's is also the time until it sends again.

Prints one JSON object per line:
    {"ready": true}      the first answers of both came
    {"gap_ms": ...}      at each SIGUSR1: the longest gaps since the one before
    {"lost": 0, ...}     at SIGTERM, when all lines are answered or 15 s are over
Exit: 0 no answer lost or doubled, 1 any, or no connection.
"""
import json
import selectors
import signal
import socket
import sys
import time

PORT = 7
CONNECT_S = 30
LAST_ANSWERS_S = 15


class Gap:
    """The longest time between two answers."""

    def __init__(self):
        self.last = time.monotonic()
        self.longest = 0.0

    def answered(self):
        now = time.monotonic()
        self.longest = max(self.longest, now - self.last)
        self.last = now

    def take_ms(self):
        """The longest one up to now; begins anew."""
        longest = max(self.longest, time.monotonic() - self.last)
        self.longest = 0.0
        return round(longest * 1000, 1)


def connected(address):
    """A connection to the guest, whose server may begin to listen later."""
    end = time.monotonic() + CONNECT_S
    while True:
        try:
            return socket.create_connection((address, PORT), CONNECT_S)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Lines:
    """TCP: every line must be answered once, in order."""

    def __init__(self, address):
        self.sock = connected(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.sent = self.answered = self.wrong = 0
        self.unsent = self.partial = b""
        self.gap = Gap()
        self.first_wrong = None
        self.error = None

    def tick(self):
        if self.error is None:
            self.sent += 1
            self.unsent += b"%d\n" % self.sent
            self.flush()

    def flush(self):
        try:
            self.unsent = self.unsent[self.sock.send(self.unsent):]
        except BlockingIOError:
            pass
        except OSError as err:
            self.error = str(err)

    def read(self):
        try:
            got = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as err:
            got, self.error = b"", str(err)
        if not got:
            self.error = self.error or "the guest closed the connection"
            return
        *lines, self.partial = (self.partial + got).split(b"\n")
        for line in lines:
            self.answered += 1
            if line != b"%d %d" % (self.answered, self.answered):
                self.wrong += 1
                self.first_wrong = self.first_wrong or line.decode(errors="replace")
        self.gap.answered()


class Datagrams:
    """UDP: may get lost, and so needs no time to recover."""

    def __init__(self, address):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.connect((address, PORT))
        self.sent = self.answered = 0
        self.gap = Gap()

    def tick(self):
        try:
            self.sock.send(b"%d" % (self.sent + 1))
            self.sent += 1
        except OSError:
            pass    # no route for a moment, or a full queue

    def read(self):
        try:
            while self.sock.recv(2048):
                self.answered += 1
                self.gap.answered()
        except OSError:
            pass


def say(**what):
    print(json.dumps(what), flush=True)


class Client:
    def __init__(self, address, tcp_ms, udp_ms):
        self.lines, self.datagrams = Lines(address), Datagrams(address)
        self.every_s = {self.lines: tcp_ms / 1000, self.datagrams: udp_ms / 1000}
        now = time.monotonic()
        self.due = {end: now for end in self.every_s}
        self.poll = selectors.DefaultSelector()
        for end in self.every_s:
            self.poll.register(end.sock, selectors.EVENT_READ, end)
        self.is_asked = self.is_over = False
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "is_asked", True))
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "is_over", True))

    def step(self, is_sending):
        now = time.monotonic()
        for end, due in self.due.items():
            if is_sending and now >= due:
                end.tick()
                # What was missed is not made up for.
                self.due[end] = max(due + self.every_s[end], now)
        if self.lines.unsent:
            self.lines.flush()
        timeout = min(self.due.values()) - now if is_sending else 0.02
        for key, _ in self.poll.select(max(timeout, 0)):
            key.data.read()
        if self.lines.error and self.lines.sock in self.poll.get_map():
            self.poll.unregister(self.lines.sock)

    def gaps(self):
        return {"gap_ms": self.datagrams.gap.take_ms(),
                "tcp_gap_ms": self.lines.gap.take_ms()}

    def run(self):
        is_ready = False
        while not self.is_over:
            self.step(True)
            if not is_ready and self.lines.answered and self.datagrams.answered:
                is_ready = True
                self.gaps()
                say(ready=True)
            if self.is_asked:
                self.is_asked = False
                say(**self.gaps())
        end = time.monotonic() + LAST_ANSWERS_S
        gaps = self.gaps()
        lines = self.lines
        while (lines.answered < lines.sent and lines.error is None
               and not lines.wrong and time.monotonic() < end):
            self.step(False)
        lost = max(lines.sent - lines.answered, 0)
        say(lost=lost, wrong=lines.wrong, first_wrong=lines.first_wrong,
            error=lines.error, lines=lines.sent, answers=lines.answered,
            datagrams=self.datagrams.sent,
            datagram_answers=self.datagrams.answered, **gaps)
        return 0 if lost == lines.wrong == 0 and not lines.error else 1


def main():
    if not 2 <= len(sys.argv) <= 4:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    times = [float(ms) for ms in sys.argv[2:]] + [20, 4][len(sys.argv) - 2:]
    try:
        return Client(sys.argv[1], *times).run()
    except OSError as err:
        print(f"client: {sys.argv[1]}: {err}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
