#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A peer that opens transfers of 64 lanes, sets them all on queue 0, and sends
nothing, until it is refused.

    many_lanes.py ADDR PORT TRANSFERS

Prints the number of lanes taken, then the text of ABORT, if there was one.
"""
import sys

from messages import (ABORT, LANE_READY, OPENED, abort_words, lane_set,
                      open_transfer, segment)
from odd_sender import Peer

LANES = 64


def main():
    addr, port, transfers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    kept, taken = [], 0
    for i in range(transfers):
        peer = Peer(addr, port)
        kept.append(peer)
        peer.send(open_transfer(i + 1, addr, LANES, 1, b"idle%d" % i),
                  segment(0, 4096))
        peer.expect(OPENED)
        for lane in range(LANES):
            peer.send(lane_set(lane))
            while True:
                got = peer.read()
                if got and got[0] == LANE_READY:
                    taken += 1
                    break
                if not got or got[0] == ABORT:
                    print(taken, abort_words(got[1]) if got else "closed")
                    return
    print(taken)


if __name__ == "__main__":
    main()
