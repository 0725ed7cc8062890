#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""slow_disk: a slow disk as one file, FOLDER/still, by FUSE, without a page cache.

    slow_disk.py FOLDER MIB DELAY_MS

Each word of 8 bytes of its page n is n + 1, in host byte order.  A read is
answered DELAY_MS after it came, others meanwhile: so long the kernel holds the
reader's memory, and writes to it at the end, as a slow disk's DMA would.  Says
"ready" when it is mounted, and ends when it is unmounted.
"""
import ctypes
import heapq
import os
import select
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)),
                                "../net"))
from still_fs import (BATCH_FORGET, DESTROY, FORGET, IN, INTERRUPT, OUT, READ,  # noqa: E402
                      Still)

PAGE_SZ = 4096
REQUEST_SZ = 1 << 18


class Disk(Still):
    """Its answers to all but reads are those of still_fs.py."""

    def __init__(self, size):  # pylint: disable=super-init-not-called
        self.size, self.is_direct = size, True

    def read(self, at, size):
        end = min(at + size, self.size)
        if end <= at:
            return b""
        first = at // PAGE_SZ
        pages = range(first, -(-end // PAGE_SZ))
        content = b"".join(struct.pack("=Q", page + 1) * (PAGE_SZ // 8)
                           for page in pages)
        return content[at - first * PAGE_SZ:end - first * PAGE_SZ]


def answer(fuse, unique, got):
    code, body = (0, got) if isinstance(got, bytes) else (-got, b"")
    try:
        os.write(fuse, OUT.pack(OUT.size + len(body), code, unique) + body)
    except OSError:
        pass    # no reader waits for it any more


def serve(fuse, disk, delay_s):
    late = []   # heap of (when, unique, request)
    while True:
        timeout = max(late[0][0] - time.monotonic(), 0) if late else None
        if select.select([fuse], [], [], timeout)[0]:
            try:
                request = os.read(fuse, REQUEST_SZ)
            except OSError as error:
                if error.errno in (2, 4, 11):   # it was interrupted
                    continue
                return      # ENODEV: it is not mounted any more
            _, opcode, unique, node, *_ = IN.unpack_from(request)
            if opcode == DESTROY:
                return
            if opcode == READ:
                heapq.heappush(late, (time.monotonic() + delay_s, unique, request))
            elif opcode not in (FORGET, BATCH_FORGET, INTERRUPT):
                answer(fuse, unique, disk.answer(opcode, node, request[IN.size:]))
        while late and late[0][0] <= time.monotonic():
            _, unique, request = heapq.heappop(late)
            answer(fuse, unique, disk.answer(READ, 0, request[IN.size:]))


def main():
    folder, mib, delay_ms = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    disk = Disk(int(mib) << 20)
    fuse = os.open("/dev/fuse", os.O_RDWR)
    if libc.mount(b"slow", folder.encode(), b"fuse", 0,
                  b"fd=%d,rootmode=40000,user_id=0,group_id=0" % fuse):
        sys.exit("mount: %s" % os.strerror(ctypes.get_errno()))
    print("ready", flush=True)
    serve(fuse, disk, int(delay_ms) / 1000)


if __name__ == "__main__":
    main()
