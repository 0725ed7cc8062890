#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A peer that opens transfers of 64 lanes, sets them all on queue 0, and sends
nothing, until it is refused.

    many_lanes.py ADDR PORT TRANSFERS

Prints how many lanes were taken, then what ABORT said, if one did.
"""
import socket
import struct
import sys

from odd_sender import ABORT, OPEN, OPENED, SEGMENT, Peer, message, text

LANE_SET, LANE_READY = 9, 10
LANES = 64


def main():
    addr, port, transfers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    dst = b"\0" * 10 + b"\xff\xff" + socket.inet_aton(addr)
    kept, taken = [], 0
    for i in range(transfers):
        peer = Peer(addr, port)
        kept.append(peer)
        peer.send(message(OPEN, struct.pack(
            "!QQ16sHBBBBII", i + 1, 7, dst, LANES, 2, 0, 16, 0, 1, 0) +
            text(b"idle%d" % i)),
            message(SEGMENT, struct.pack("!QQ", 0, 4096) + text(b"ram")))
        peer.expect(OPENED)
        for lane in range(LANES):
            peer.send(message(LANE_SET, struct.pack("!HHI", lane, 0, 1514)))
            while True:
                got = peer.read()
                if got and got[0] == LANE_READY:
                    taken += 1
                    break
                if not got or got[0] == ABORT:
                    print(taken, got[1][4:].decode() if got else "closed")
                    return
    print(taken)


if __name__ == "__main__":
    main()
