#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Records the frames that a host on the network sees of a transfer, and
searches them for the memory.

    capture.py listen DEV FILE
        writes all that arrives on DEV, one frame behind the other, to FILE,
        until SIGTERM; then says on stdout how many frames went to UDP port
        16644.  Fails if the kernel dropped any.
    capture.py search FILE IMAGE [WORD...]
        looks at every byte of FILE for 16 bytes that stand, at a multiple of
        16, in a block of IMAGE, and are no mere repetition; then for the bytes
        of each WORD (hex).  Says on stdout how many of the image's blocks were
        seen, how many it has, and how many words were found.
    capture.py records FILE IMAGE
        reads each data frame as if its contents were in clear.  Says on stdout
        how many data frames there are, in how many the counts add up, how many
        of IMAGE's pages their records name, and how many of its page numbers
        stand anywhere in FILE as the record of a whole page has them.
"""
import signal
import socket
import struct
import sys

BLOCK = 64
PIECE = 16
PORT = 16644
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_STATISTICS = 263, 1, 6
PACKET_MR_PROMISC = 1
SO_RCVBUFFORCE = 33
PAGE = 4096
DATA = b"PTRM\x03\x01"  # of a data frame: magic, version, kind
ZEROES = 2
# include/pagetrim/wire.h: up to payload_sz; auth; contents
FRAME = struct.Struct("!6sBBQQHH24xIBBHHH")
RECORD = struct.Struct("!BBBBIQ")


def is_ours(frame):
    """An IPv4 UDP frame to PORT."""
    return (frame[12:14] == b"\x08\x00" and frame[23] == 17 and
            frame[36:38] == struct.pack("!H", PORT))


def listen(dev, path):
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
    sock.bind((dev, 3))
    sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP,
                    struct.pack("iHH8s", socket.if_nametoindex(dev),
                                PACKET_MR_PROMISC, 0, b""))
    sock.settimeout(0.1)
    print("capture: ready", file=sys.stderr, flush=True)
    cnt = 0
    with open(path, "wb") as out:
        while True:
            try:
                frame = sock.recv(1 << 17)
            except TimeoutError:
                if stop:  # and nothing is left
                    break
                continue
            cnt += is_ours(frame)
            out.write(frame)
    _, dropped = struct.unpack(
        "II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    if dropped:
        sys.exit(f"capture: the kernel dropped {dropped} frames")
    print(cnt)


def search(path, image_path, words):
    with open(image_path, "rb") as file:
        image = file.read()
    with open(path, "rb") as file:
        seen = file.read()
    owner = {}
    for at in range(0, len(image), PIECE):
        piece = image[at:at + PIECE]
        if len(set(piece)) > 4:
            owner.setdefault(piece, at // BLOCK)
    # The first four bytes are compared first: a slice and a hash at each byte
    # is slow.
    heads = {piece[:4] for piece in owner}
    found = set()
    for at in range(len(seen) - PIECE + 1):
        if seen[at:at + 4] in heads and seen[at:at + PIECE] in owner:
            found.add(owner[seen[at:at + PIECE]])
    print(len(found), len(set(owner.values())),
          sum(bytes.fromhex(word) in seen for word in words))


def pages_of(frame):
    """The pages that the records of a frame of ours name; None if its counts, or
    its records, cannot be those of a frame in clear."""
    hdr = FRAME.unpack_from(frame)
    size, generation, cnt, method, data_off, block_cnt, used = hdr[6:]
    pad = data_off - FRAME.size - 16 * cnt
    if (not generation or not 1 <= cnt <= 96 or method > 2 or
            not 0 <= pad <= 63 or size != data_off + BLOCK * block_cnt or
            used > BLOCK * block_cnt or size > len(frame)):
        return None
    pages = set()
    for at in range(FRAME.size, FRAME.size + 16 * cnt, 16):
        kind, _, _, high, low, mask = RECORD.unpack_from(frame, at)
        if not 1 <= kind <= 4:
            return None
        pages.update(range(high << 32 | low, (high << 32 | low) +
                           (mask if kind == ZEROES else 1)))
    return pages


def records(path, image_path):
    with open(image_path, "rb") as file:
        pages = range(file.seek(0, 2) // PAGE)
    with open(path, "rb") as file:
        seen = file.read()
    frame_cnt = sound_cnt = 0
    named = set()
    at = seen.find(DATA)
    while at >= 0:
        found = pages_of(seen[at:at + (1 << 16)])
        frame_cnt += 1
        sound_cnt += found is not None
        named.update(found or ())
        at = seen.find(DATA, at + 1)
    anywhere = sum(struct.pack("!BBBBI", 1, 0, 63, 0, page) in seen
                   for page in pages)
    print(frame_cnt, sound_cnt, len(named.intersection(pages)), anywhere)


def main():
    verb, *rest = sys.argv[1:]
    if verb == "listen":
        listen(*rest)
    elif verb == "records":
        records(*rest)
    else:
        search(rest[0], rest[1], rest[2:])


if __name__ == "__main__":
    main()
