#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Write a memory image with pages of every sort, the same for the same seed.

    make_image.py PATH [--pages N] [--seed N] [--tail BYTES]

About a fifth lies in runs of zero pages, up to 2 MiB long, as holes.  A
hundred of the others hold about 15 zero pages, written out, 15 that end in
zeroes, 8 that begin with zeroes, 20 with zero blocks inside, 8 that repeat an
earlier page, 4 with a single byte, and 30 full ones.  --tail adds a last page cut to that many bytes.
"""
import argparse
import random

PAGE = 4096
BLOCK = 64


def ends(rnd):
    """A page of data with zeroes after it, cut at any byte."""
    return rnd.randbytes(rnd.randrange(1, PAGE)).ljust(PAGE, b"\0")


def begins(rnd):
    return rnd.randbytes(rnd.randrange(1, PAGE)).rjust(PAGE, b"\0")


def inside(rnd):
    """Data in some blocks, none in others."""
    blocks = [rnd.randbytes(BLOCK) if rnd.random() < 0.6 else bytes(BLOCK)
              for _ in range(PAGE // BLOCK)]
    blocks[0] = blocks[-1] = rnd.randbytes(BLOCK)
    return b"".join(blocks)


def single(rnd):
    page = bytearray(PAGE)
    page[rnd.randrange(PAGE)] = rnd.randrange(1, 256)
    return bytes(page)


def full(rnd):
    return rnd.randbytes(PAGE)


def image(path, page_cnt, seed, tail_sz):
    rnd = random.Random(seed)
    made = [full(rnd)]
    with open(path, "wb") as out:
        at = 0
        while at < page_cnt:
            if rnd.random() < 0.001:
                at = min(page_cnt, at + rnd.randrange(1, 512))
                out.seek(at * PAGE)
                continue
            sort = rnd.randrange(100)
            if sort < 15:
                page = bytes(PAGE)
            elif sort < 30:
                page = ends(rnd)
            elif sort < 38:
                page = begins(rnd)
            elif sort < 58:
                page = inside(rnd)
            elif sort < 66:
                page = rnd.choice(made)
            elif sort < 70:
                page = single(rnd)
            else:
                page = full(rnd)
                made = made[-63:] + [page]
            out.write(page)
            at += 1
        out.write(full(rnd)[:tail_sz])
        out.truncate(page_cnt * PAGE + tail_sz)


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("path")
    args.add_argument("--pages", type=int, default=8192)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--tail", type=int, default=0, choices=range(PAGE),
                      metavar="BYTES")
    args = args.parse_args()
    image(args.path, args.pages, args.seed, args.tail)


if __name__ == "__main__":
    main()
