#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""damage: harms the memory of a guest of guest.c from outside, as a mover that
loses a write would.

    damage.py RAM_FILE keep|changed|block|page FILE

keep: copies one of the guest's checked pages to FILE, as it is now.  changed:
exits 0 if it has changed in block 0 and in another one since.  block: puts back
the first such other block of FILE.  page: puts back all of FILE.
"""
import struct
import sys

PAGE_SZ, BLOCK_SZ = 4096, 64
SEED = 0x70616765747269
NUMBER = 5


def page_at(ram):
    """Where in the RAM file page NUMBER is."""
    head = struct.pack("=QQ", SEED, NUMBER)
    at = ram.find(head)
    while at % PAGE_SZ:
        if at < 0:
            sys.exit("damage: no page of the guest")
        at = ram.find(head, at + 1)
    return at


def main():
    path, what, kept = sys.argv[1:]
    with open(path, "r+b") as file:
        at = page_at(file.read())
        file.seek(at)
        now = file.read(PAGE_SZ)
        if what == "keep":
            with open(kept, "wb") as copy:
                copy.write(now)
            return 0
        with open(kept, "rb") as copy:
            old = copy.read()
        blocks = [i for i in range(0, PAGE_SZ, BLOCK_SZ)
                  if old[i:i + BLOCK_SZ] != now[i:i + BLOCK_SZ]]
        if what == "changed":
            return 0 if len(blocks) > 1 and blocks[0] == 0 else 1
        if what == "block":
            at, old = at + blocks[1], old[blocks[1]:blocks[1] + BLOCK_SZ]
        file.seek(at)
        file.write(old)
    return 0


sys.exit(main())
