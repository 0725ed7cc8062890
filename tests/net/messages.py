# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Control messages as bytes, for the peers that tests need; docs/wire-format.md describes their
fields."""
import socket
import struct

HELLO, OFFER, OPEN, SEGMENT, OPENED, PROBE_SEEN = 1, 2, 3, 4, 7, 8
LANE_SET, LANE_READY, SYNC, ACK, DIGESTS = 9, 10, 11, 12, 14
VERIFY, VERIFIED, COMMIT, COMMITTED, ASK = 15, 16, 18, 19, 20
LEDGER, ABORT, PING, PONG, BYE, WORKING = 21, 22, 23, 24, 25, 27
SENDER, RECEIVER = 1, 2
CAP_WORKING = 1 << 2
VERSION = 3
HEAD_SZ = 8
LEDGER_FIELDS = ("received accepted duplicate late missing refused_auth "
                 "refused_record refused_window refused_unit placed stale "
                 "refused_version records probes steered xdp_dropped "
                 "socket_dropped queue_unaccounted").split()
PAGE_SZ, REGION_SZ = 4096, 2 << 20


def message(kind, payload=b""):
    return struct.pack("!IHH", len(payload), kind, 0) + payload


def head(data):
    """The size of the payload and the kind, from a message's first HEAD_SZ bytes."""
    return struct.unpack("!IHH", data[:HEAD_SZ])[:2]


def text(words):
    return struct.pack("!H", len(words)) + words


def numbers(*items):
    return struct.pack("!I%dQ" % len(items), len(items), *items)


def hello(role, capabilities=0, version=VERSION):
    return message(HELLO, b"PTCT" + struct.pack("!HHQB", version, version,
                                                capabilities, role))


def ping(number=0):
    return message(PING, struct.pack("!Q", number))


def offer(frame_sz=1514):
    """LANES of one queue, 0."""
    return message(OFFER, struct.pack("!HIIIHIH", 16644, 1500, frame_sz, 3840,
                                      0, 1, 0))


def open_transfer(transfer, addr, lanes, segments, name):
    """Frames go to addr, of IPv4."""
    dst = b"\0" * 10 + b"\xff\xff" + socket.inet_aton(addr)
    return message(OPEN, struct.pack("!QQ16sHBBBBII", transfer, 7, dst, lanes,
                                     2, 0, 16, 0, segments, 0) + text(name))


def segment(gfn, size, name=b"ram"):
    return message(SEGMENT, struct.pack("!QQ", gfn, size) + text(name))


def lane_set(lane):
    return message(LANE_SET, struct.pack("!HHI", lane, 0, 1514))


def digests_of_zeroes(size):
    """OPEN of a whole memory of size bytes."""
    return message(DIGESTS, struct.pack("!Q", 0) +
                   numbers(*[0] * -(-size // REGION_SZ)))


def ledger(frames):
    """A ledger that balances: all these frames came and were accepted, one
    record each."""
    counts = dict.fromkeys(("received", "accepted", "placed", "records",
                            "steered"), frames)
    return message(LEDGER, struct.pack("!%dQ" % len(LEDGER_FIELDS),
                                       *[counts.get(name, 0)
                                         for name in LEDGER_FIELDS]))


def abort_words(payload):
    return payload[4:].decode()
