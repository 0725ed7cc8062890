#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""large.py: the large pages of a file that a process has mapped.

    large.py make FILE            makes large pages of the 2 MiB with data in it
    large.py collapse PID FILE    makes its memory large pages, in that process
    large.py look PID FILE        prints JSON: large, how many large pages it has
                                  mapped; lacking, how many pages with data of the
                                  file it has not mapped
"""
import ctypes
import json
import mmap
import os
import re
import struct
import sys

LARGE = 2 << 20
MAP_FIXED = 0x10
MADV_COLLAPSE = 25
PROCESS_MADVISE = 440
PRESENT_OR_SWAPPED = 3 << 62


def data_of(fd, off, end):
    """Yields the pages of the file that hold data, as offsets."""
    while off < end:
        try:
            off = os.lseek(fd, off, os.SEEK_DATA)
        except OSError:
            return
        hole = min(os.lseek(fd, off, os.SEEK_HOLE), end)
        yield from range(off, hole, 4096)
        off = hole


def larges_of(fd, off, end):
    """The 2 MiB of the file that hold data, as offsets, in order."""
    return sorted({at // LARGE * LARGE for at in data_of(fd, off, end)})


def make(path):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    fd = os.open(path, os.O_RDWR)
    size = os.fstat(fd).st_size
    room = libc.mmap(None, ctypes.c_size_t(size + LARGE), 0,
                     mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    start = (room + LARGE - 1) // LARGE * LARGE
    libc.mmap(ctypes.c_void_p(start), ctypes.c_size_t(size),
              mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | MAP_FIXED,
              fd, 0)
    for off in larges_of(fd, 0, size):
        if libc.madvise(ctypes.c_void_p(start + off), ctypes.c_size_t(LARGE),
                        MADV_COLLAPSE):
            sys.exit(f"make: {os.strerror(ctypes.get_errno())}")


def mappings(pid, path):
    """Yields start, end, offset of each shared mapping of the file."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        for line in maps:
            m = re.match(r"(\w+)-(\w+) rw.s (\w+) \S+ \d+ +(.*)", line)
            if m and m.group(4) == path:
                yield tuple(int(n, 16) for n in m.groups()[:3])


def collapse(pid, path):
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    fd = os.open(path, os.O_RDONLY)
    for start, end, first in mappings(pid, path):
        for off in larges_of(fd, first, first + end - start):
            iovec = struct.pack("QQ", start + off - first, LARGE)
            if libc.syscall(PROCESS_MADVISE, pidfd, iovec, 1, MADV_COLLAPSE,
                            0) < 0:
                sys.exit(f"collapse: {os.strerror(ctypes.get_errno())}")


def lacking(pid, path):
    """Pages in a large page that nothing was written to are there, too."""
    fd = os.open(path, os.O_RDONLY)
    cnt = 0
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for start, end, off in mappings(pid, path):
            words = os.pread(pagemap.fileno(), (end - start) // 512,
                             start // 512)
            for at in data_of(fd, off, off + end - start):
                word, = struct.unpack_from("Q", words, (at - off) // 512)
                cnt += not word & PRESENT_OR_SWAPPED
    return cnt


def large(pid, path):
    """The kernel's own count."""
    inside, kib = False, 0
    with open(f"/proc/{pid}/smaps", encoding="ascii") as smaps:
        for line in smaps:
            if re.match(r"\w+-\w+ ", line):
                inside = line.rstrip().endswith(f" {path}")
            elif inside and line.startswith("ShmemPmdMapped:"):
                kib += int(line.split()[1])
    return kib // 2048


def main():
    if sys.argv[1] == "make":
        make(sys.argv[2])
        return
    what, pid, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if what == "collapse":
        collapse(pid, path)
    else:
        print(json.dumps({"large": large(pid, path),
                          "lacking": lacking(pid, path)}))


if __name__ == "__main__":
    main()
