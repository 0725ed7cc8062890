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


def main():
    verb, *rest = sys.argv[1:]
    if verb == "listen":
        listen(*rest)
    else:
        search(rest[0], rest[1], rest[2:])


if __name__ == "__main__":
    main()
