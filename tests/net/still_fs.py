#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A file system that hangs, or fails, at some point: one file, FOLDER/still, by FUSE.

    still_fs.py FOLDER FILE AFTER [direct|broken]

The file has FILE's content.  Once AFTER bytes of it were read, the next request
is not answered, nor any other, before a SIGUSR1.  direct: no page cache, so that
its readers wait for the answer, whatever signal comes.  broken: instead, the bytes
from AFTER on cannot be read.  Says "ready" when it is
mounted, and "still" when it stands still.
"""
import ctypes
import errno
import os
import signal
import struct
import sys

LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE = 1, 2, 3, 14, 15, 18
INIT, OPENDIR, RELEASEDIR, INTERRUPT, DESTROY = 26, 27, 29, 36, 38
BATCH_FORGET = 42
ROOT, FILE = 1, 2
ASYNC_READ = 1      # who waits for the page cache can be killed
DIRECT_IO = 1
VALID_S = 3600
IN, OUT = struct.Struct("=IIQQIIII"), struct.Struct("=IiQ")


class Still:
    def __init__(self, path, after, how):
        self.content = open(path, "rb")
        self.size = os.stat(path).st_size
        self.left, self.is_direct = after, how == "direct"
        self.broken_at = after if how == "broken" else None

    def attr(self, node):
        mode, links = (0o40755, 2) if node == ROOT else (0o100644, 1)
        size = 0 if node == ROOT else self.size
        return struct.pack("=6Q10I", node, size, -(-size // 512), 0, 0, 0,
                           0, 0, 0, mode, links, 0, 0, 0, 4096, 0)

    def answer(self, opcode, node, body):
        """Bytes, or an errno."""
        if opcode == INIT:
            return struct.pack("=IIIIHHIIHHI28x", 7, 31, 1 << 17,
                               ASYNC_READ, 12, 9, 1 << 17, 1, 32, 0, 0)
        if opcode == LOOKUP:
            if node != ROOT or body != b"still\0":
                return errno.ENOENT
            return struct.pack("=QQQQII", FILE, 0, VALID_S, VALID_S, 0,
                               0) + self.attr(FILE)
        if opcode == GETATTR:
            return struct.pack("=QII", VALID_S, 0, 0) + self.attr(node)
        if opcode in (OPEN, OPENDIR):
            return struct.pack("=QII", 0, DIRECT_IO if self.is_direct else 0,
                               0)
        if opcode == READ:
            at, size = struct.unpack_from("=QI", body, 8)
            return self.read(at, size)
        return b"" if opcode in (RELEASE, RELEASEDIR) else errno.ENOSYS

    def read(self, at, size):
        if self.broken_at is not None:
            if at + size > self.broken_at:
                return errno.EIO
            self.left = size + 1
        if self.left <= 0:
            print("still", flush=True)
            signal.sigwait([signal.SIGUSR1])
            self.left = float("inf")
        self.left -= size
        self.content.seek(at)
        return self.content.read(size)


def serve(fuse, still):
    while True:
        try:
            request = os.read(fuse, 1 << 18)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                continue
            return      # ENODEV: it is not mounted any more
        _, opcode, unique, node, *_ = IN.unpack_from(request)
        if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
            continue
        if opcode == DESTROY:
            return
        got = still.answer(opcode, node, request[IN.size:])
        code, body = (0, got) if isinstance(got, bytes) else (-got, b"")
        try:
            os.write(fuse, OUT.pack(OUT.size + len(body), code, unique) + body)
        except OSError:
            pass        # no reader waits for it any more


def main():
    folder, path, after, *how = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    still = Still(path, int(after), "".join(how))
    fuse = os.open("/dev/fuse", os.O_RDWR)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    if libc.mount(b"still", folder.encode(), b"fuse", 0,
                  b"fd=%d,rootmode=40000,user_id=0,group_id=0" % fuse):
        sys.exit("mount: %s" % os.strerror(ctypes.get_errno()))
    print("ready", flush=True)
    serve(fuse, still)


if __name__ == "__main__":
    main()
