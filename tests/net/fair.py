#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Starts senders at once, without a limit, and measures how alike their shares
are.

    fair.py SZ DEV CONTROL...

Each sends SZ bytes of memory and listens at a CONTROL socket; each has a queue
of DEV, the receiving veth, of its own.  The counters of all queues are
read at one moment, by a process that waits for no sender, nor long for a CPU.

Prints JSON: the bytes that came on each queue from the moment when all were
under way to the last look before the first had brought SZ, how often it was
looked between, and Jain's index of the bytes: 1 if all are alike, 1/n if one
had all.
"""
import array
import fcntl
import json
import os
import re
import socket
import struct
import sys
import time

UNDER_WAY = 256 << 10    # bytes that came without a limit
LOOK_S = 0.005

SIOCETHTOOL = 0x8946
ETHTOOL_GDRVINFO, ETHTOOL_GSTRINGS, ETHTOOL_GSTATS = 3, 0x1b, 0x1d
ETH_SS_STATS = 1


class Sender:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.lines = self.socket.makefile()

    def ask(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def answer(self):
        return json.loads(self.lines.readline() or "{}")


def all_of(senders, line):
    """Ask all before the first answers."""
    for s in senders:
        s.ask(line)
    return [s.answer() for s in senders]


class Queues:
    """The bytes received on each queue of a veth that has an XDP program, by
    ethtool -S."""

    def __init__(self, dev):
        self.dev = dev.encode()
        self.socket = socket.socket()
        info = self.ioctl(struct.pack("I192x", ETHTOOL_GDRVINFO))
        self.stat_cnt = struct.unpack_from("I", info, 180)[0]
        names = self.ioctl(struct.pack("III%dx" % (32 * self.stat_cnt),
                                       ETHTOOL_GSTRINGS, ETH_SS_STATS,
                                       self.stat_cnt))[12:]
        names = [names[i:i + 32].rstrip(b"\0").decode()
                 for i in range(0, len(names), 32)]
        self.at = [i for i, name in enumerate(names)
                   if re.fullmatch(r"rx_queue_\d+_xdp_bytes", name)]

    def ioctl(self, request):
        bytes_ = array.array("B", request)
        fcntl.ioctl(self.socket, SIOCETHTOOL,
                    struct.pack("16sP8x", self.dev, bytes_.buffer_info()[0]))
        return bytes_.tobytes()

    def came(self):
        """The bytes so far, one number for each queue."""
        stats = self.ioctl(struct.pack("II%dx" % (8 * self.stat_cnt),
                                       ETHTOOL_GSTATS, self.stat_cnt))
        return [struct.unpack_from("Q", stats, 8 + 8 * i)[0] for i in self.at]


def less(now, before):
    return [n - b for n, b in zip(now, before)]


def main():
    size, queues = int(sys.argv[1]), Queues(sys.argv[2])
    senders = [Sender(path) for path in sys.argv[3:]]
    os.nice(-10)
    while {a.get("status") for a in all_of(senders, "status")} != {"active"}:
        pass
    held = queues.came()
    if len(held) != len(senders):
        sys.exit(f"fair: {len(held)} queues, {len(senders)} senders")
    for s in senders:
        s.ask("set max-bandwidth 0")
    begun = sent = None
    look_cnt = 0
    while max(now := less(queues.came(), held)) < size:
        if begun:
            look_cnt += 1
            sent = less(now, begun)
        elif min(now) >= UNDER_WAY:
            begun = now
        time.sleep(LOOK_S)
    got = sent or [0]
    squares = len(got) * sum(g * g for g in got)
    print(json.dumps({"looks": look_cnt, "sent": got,
                      "jain": sum(got) ** 2 / squares if squares else 0}))


if __name__ == "__main__":
    main()
