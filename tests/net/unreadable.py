#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""unreadable.py: the pages of an image that could not be read where it came from.

    unreadable.py list IMAGE            prints their numbers, of a process's image
    unreadable.py pattern IMAGE GFN CNT whether the CNT pages from GFN on are those of
                                        poisoned.c: each of its own number, and the
                                        listed ones zero
"""
import json
import sys

PAGE = 4096


def load(name):
    with open(name, encoding="ascii") as file:
        return json.load(file)


def rows(image):
    return load(f"{image}.with/segments.json")["segments"]


def listed(image):
    """The numbers of the listed pages."""
    for part in load(f"{image}.with/unreadable.json")["unreadable"]:
        for off in range(part["offset"], part["offset"] + part["bytes"], PAGE):
            row = max((r for r in rows(image) if r["offset"] <= off),
                      key=lambda r: r["offset"])
            yield row["gfn"] + (off - row["offset"]) // PAGE


def pattern(image, first, cnt):
    lost = set(listed(image))
    with open(image, "rb") as file:
        for i in range(cnt):
            row = max((r for r in rows(image) if r["gfn"] <= first + i),
                      key=lambda r: r["gfn"])
            file.seek(row["offset"] + (first + i - row["gfn"]) * PAGE)
            want = 0 if first + i in lost else i + 1
            if file.read(PAGE) != want.to_bytes(8, "little") * (PAGE // 8):
                sys.exit(f"page {i} is not as it was")


if sys.argv[1] == "list":
    print(" ".join(str(gfn) for gfn in listed(sys.argv[2])))
else:
    pattern(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
