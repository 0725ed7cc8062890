#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""criu_pages: are the pages that CRIU's page server wrote those of the image?

    criu_pages.py FOLDER IMAGE

FOLDER/pages-*.img holds all pages of a process that was dumped, one after the
other; those of the image among them, its holes left out.  Says what differs and
exits 1, or says nothing.
"""
import glob
import mmap
import os
import sys

PAGE = 4096


def extents(file):
    """(offset, end) of what is not a hole."""
    end, size = 0, os.fstat(file.fileno()).st_size
    while end < size:
        try:
            start = os.lseek(file.fileno(), end, os.SEEK_DATA)
        except OSError:  # nothing but a hole up to the end
            return
        end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
        yield start, end


def compare(pages, image, runs):
    """The image's runs of data, one after the other, somewhere in pages."""
    first = bytes(image[runs[0][0]:runs[0][0] + 16 * PAGE])
    at = pages.find(first)
    while at >= 0 and at % PAGE:
        at = pages.find(first, at + 1)
    if at < 0:
        return f"the page at {runs[0][0]:#x} is not there"
    for start, end in runs:
        if pages[at:at + end - start] != image[start:end]:
            return f"the run {start:#x}..{end:#x} differs"
        at += end - start
    return None


def main():
    if len(sys.argv) != 3:
        print(__doc__.split("\n\n")[1].strip(), file=sys.stderr)
        return 2
    with open(sys.argv[2], "rb") as file:
        runs = list(extents(file))
        image = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    problem = f"no pages in {sys.argv[1]}"
    for path in glob.glob(f"{sys.argv[1]}/pages-*.img"):
        with open(path, "rb") as file:
            pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        problem = compare(pages, image, runs) if runs else None
        if not problem:
            return 0
    print(f"criu_pages: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
