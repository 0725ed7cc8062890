#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""vmcore: compares a QEMU's dump-guest-memory with the image of its guest.

    vmcore.py CORE IMAGE

Guest addresses from 1 MiB on are compared: below, firmware may hide memory.  Prints how
many pages are alike.  Exit: 0 all, 1 some differ, which are named, or none was compared.
"""
import struct
import sys

PAGE = 4096
FIRST = 1 << 20
PT_LOAD = 1
NAMED_MAX = 5


def segments(core):
    """The (guest address, offset in the file, bytes) of what an ELF64 core has."""
    core.seek(0)
    header = struct.unpack("<16sHHIQQQIHHHHHH", core.read(64))
    table, size, count = header[5], header[9], header[10]
    for i in range(count):
        core.seek(table + i * size)
        kind, _, off, _, addr, sz = struct.unpack("<IIQQQQ", core.read(40))
        if kind == PT_LOAD:
            yield addr, off, sz


def main():
    """Compare page by page."""
    alike, differ = 0, []
    with open(sys.argv[1], "rb") as core, open(sys.argv[2], "rb") as image:
        image.seek(0, 2)
        end = image.tell()
        for addr, off, sz in list(segments(core)):
            for at in range(max(addr, FIRST), min(addr + sz, end), PAGE):
                core.seek(off + at - addr)
                image.seek(at)
                if core.read(PAGE) == image.read(PAGE):
                    alike += 1
                else:
                    differ.append(at)
    print(f"{alike} pages are alike")
    for at in differ[:NAMED_MAX]:
        print(f"the page at 0x{at:x} differs", file=sys.stderr)
    return 1 if differ or not alike else 0


sys.exit(main())
