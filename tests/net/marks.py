#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""marks.py: whether two files are the same, from a page on, but for some pages.

    marks.py FILE COPY FIRST "PAGE..."     these pages of the copy are holes
"""
import os
import sys

PAGE = 4096


def main():
    name, copy, first, bad = sys.argv[1:]
    bad = {int(page) for page in bad.split()}
    # Read on beyond the page, those that cannot be read would be touched.
    with open(name, "rb", 0) as a, open(copy, "rb", 0) as b:
        size = os.fstat(a.fileno()).st_size
        if os.fstat(b.fileno()).st_size != size:
            sys.exit("not of one size")
        for page in range(int(first), size // PAGE):
            a.seek(page * PAGE)
            b.seek(page * PAGE)
            want = bytes(PAGE) if page in bad else a.read(PAGE)
            if b.read(PAGE) != want:
                sys.exit(f"page {page} differs")


main()
