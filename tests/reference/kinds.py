#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The kinds of all that an image at rest holds, by the reference reader: a JSON object.

    kinds.py IMAGE

    pages        by the state of their entries, as `pagetrim image info` counts them
    units        by compression
    copies       pages whose unit and slot an earlier page has, too
    unreadable   their offsets in the raw image, parents' too
    segments, files, chain (the images, this one too)
"""
import json
import sys

sys.dont_write_bytecode = True
import ptrim  # noqa: E402

COMPRESSIONS = ("off", "lz4", "zstd")


def places(image):
    """Each page's (gfn, entry)."""
    for s in image.segments:
        for number in range(s.regions):
            first = number * ptrim.REGION
            cnt = min(ptrim.REGION, s.pages - first)
            for i, entry in enumerate(image.entries(s.region + number, cnt)):
                yield s.gfn + first + i, entry


def kinds(image):
    pages = dict.fromkeys(ptrim.STATES, 0)
    units, data, chain = dict.fromkeys(COMPRESSIONS, 0), set(), 1
    for gfn, entry in places(image):
        pages[ptrim.STATES[entry >> 60]] += 1
        if entry >> 60 == ptrim.DATA:
            data.add(entry)
    for at in {entry & (1 << 56) - 1 for entry in data}:
        units[COMPRESSIONS[image.at(at, 16)[9]]] += 1
    parent = image.parent
    while parent:
        chain, parent = chain + 1, parent.parent
    start = dict(zip(map(id, image.segments), ptrim.accumulate_sizes(image.segments)))
    return {"pages": pages, "units": units, "copies": pages["data"] - len(data),
            "unreadable": [start[id(s)] + number * ptrim.PAGE
                           for s, number, state, _ in image.walk()
                           if state == ptrim.UNREADABLE],
            "segments": len(image.segments), "files": len(list(image.files())),
            "chain": chain}


if __name__ == "__main__":
    print(json.dumps(kinds(ptrim.Image(sys.argv[1]))))
