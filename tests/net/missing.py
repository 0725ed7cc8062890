#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Compares an image with another file, byte by byte, and prints the missing
parts.

    missing.py IMAGE PARTIAL

Prints a JSON object: pages, those of the image that PARTIAL holds otherwise or
not at all; bytes, those of their 64-byte blocks that are not all zero; held,
pages of the image that are not zero and are there.
"""
import json
import sys

PAGE = 4096
BLOCK = 64
ZEROES = bytes(PAGE)


def blocks(page):
    """The number of a page's blocks that hold data."""
    return sum(page[at:at + BLOCK].strip(b"\0") != b""
               for at in range(0, len(page), BLOCK))


def main(image, partial):
    pages = sz = held = 0
    with open(image, "rb") as want, open(partial, "rb") as got:
        while page := want.read(PAGE):
            there = got.read(PAGE).ljust(len(page), b"\0")
            if there != page:
                pages += 1
                sz += blocks(page) * BLOCK
            elif page != ZEROES[:len(page)]:
                held += 1
    print(json.dumps({"pages": pages, "bytes": sz, "held": held}))


main(*sys.argv[1:])
