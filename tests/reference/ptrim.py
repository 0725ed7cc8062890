#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Reference reader of images at rest, written from docs/image-format.md alone.

It is slow and plain on purpose; the comments name the document's sections.

    ptrim.py IMAGE [--parent PATH] [--raw PATH]

prints what the image is and what of it is lost, one line each, and with --raw
writes the raw image. Exit: 0 whole, 5 damaged, as pagetrim's.
"""
import argparse
import hashlib
import struct
import sys
from pathlib import Path

import xxhash

sys.dont_write_bytecode = True
from reader import read_lz4, read_zstd  # noqa: E402

PAGE, BLOCK, REGION = 4096, 64, 512
ABSENT, ZERO, UNREADABLE, PARENT, DATA = range(5)
STATES = ("absent", "zero", "unreadable", "parent", "data")
CHAIN_MAX = 16


class Damaged(Exception):
    """Nothing of the image can be read."""


class Lost(Exception):
    """A part of it cannot."""


def xxh3(seed, data):
    return xxhash.xxh3_64_intdigest(data, seed=seed)


def require(true, what, error=Lost):
    if not true:
        raise error(what)


class Segment:
    def __init__(self, raw, region):
        name, self.gfn, self.size = struct.unpack(">64sQQ", raw)
        require(b"\0" in name, "a segment's name", Damaged)
        self.name = name.split(b"\0")[0].decode("latin-1")
        self.pages = -(-self.size // PAGE)
        self.region = region        # the number of its first
        self.regions = -(-self.pages // REGION)


class Image:
    def __init__(self, path, parent=None, depth=1):
        self.bytes = Path(path).read_bytes()
        self.read_header()
        self.read_segments()
        self.parent = None
        if any(self.parent_id):     # section 9
            require(depth < CHAIN_MAX, "the chain", Damaged)
            self.parent = Image(parent or Path(path).parent / self.parent_name,
                                depth=depth + 1)
            require(self.parent.id == self.parent_id, "another parent", Damaged)

    def read_header(self):
        """Section 3."""
        require(len(self.bytes) >= 512 and self.bytes[:4] == b"PTIM", "no image", Damaged)
        require(self.bytes[4:6] == b"\0\1", "another version", Damaged)
        (self.file_size, self.key, self.segment_cnt, self.file_cnt, self.region_cnt,
         self.files_at, self.segments_check, self.files_check, self.parent_id,
         name) = struct.unpack(">QQIIQQQQ32s256s", self.bytes[8:352])
        self.id = self.bytes[472:504]
        check, = struct.unpack(">Q", self.bytes[504:512])
        require(check == xxh3(0, self.bytes[:504]), "the header", Damaged)
        require(1 <= self.segment_cnt <= 65536 and self.file_cnt <= 1024 and
                1 <= self.region_cnt <= 1 << 27, "the header", Damaged)
        self.parent_name = name.split(b"\0")[0].decode()

    def read_segments(self):
        """Section 4."""
        self.regions_at = 512 + 80 * self.segment_cnt
        self.data_at = self.regions_at + 32 * self.region_cnt
        require(len(self.bytes) >= self.data_at, "the front", Damaged)
        table = self.bytes[512:self.regions_at]
        require(self.segments_check == xxh3(512, table), "the segments", Damaged)
        self.segments, region, end = [], 0, 0
        for at in range(0, len(table), 80):
            segment = Segment(table[at:at + 80], region)
            require(segment.size and segment.gfn >= end and
                    segment.gfn + segment.pages <= 1 << 40, "a segment", Damaged)
            end = segment.gfn + segment.pages
            region += segment.regions
            self.segments.append(segment)
        require(region == self.region_cnt, "the segments", Damaged)

    def at(self, off, size):
        require(off >= self.data_at and off + size <= len(self.bytes),
                "it lies outside of the file")
        return self.bytes[off:off + size]

    def region(self, number):
        """Section 5: the region's digest and where its table is, or its state."""
        off = self.regions_at + 32 * number
        raw = self.bytes[off:off + 32]
        digest, table, table_check, check = struct.unpack(">QQQQ", raw)
        require(check == xxh3(number, raw[:24]), "a region")
        return digest, table, table_check

    def entries(self, number, page_cnt):
        _, table, table_check = self.region(number)
        if table < DATA:
            return [table << 60] * page_cnt
        raw = self.at(table, 8 * page_cnt)
        require(table_check == xxh3(table, raw), "a page table")
        return list(struct.unpack(f">{page_cnt}Q", raw))

    def unit(self, off):
        """Section 6: the unit's pages."""
        check, page_cnt, compression, block_cnt, stored_size = struct.unpack(
            ">QBBHI", self.at(off, 16))
        stored = self.at(off + 16, stored_size)
        require(check == xxh3(off, self.bytes[off + 8:off + 16] + stored), "a unit")
        require(1 <= page_cnt <= 16 and page_cnt <= block_cnt <= 64 * page_cnt and
                compression <= 2, "a unit's head")
        size = 64 * block_cnt + 8 * page_cnt
        if compression:
            require(stored_size < size, "a unit's size")
            stored = (read_lz4, read_zstd)[compression - 1](stored, size)
        require(stored is not None and len(stored) == size, "a unit's bytes")
        masks = struct.unpack(f">{page_cnt}Q", stored[64 * block_cnt:])
        require(all(masks) and sum(m.bit_count() for m in masks) == block_cnt, "masks")
        pages, used = [], 0
        for mask in masks:
            page = bytearray(PAGE)
            for block in range(64):
                if mask >> block & 1:
                    page[64 * block:64 * block + 64] = stored[64 * used:64 * used + 64]
                    used += 1
            pages.append(bytes(page))
        return pages

    def page(self, gfn):
        """Section 10: the page's state, never PARENT, and its bytes or None."""
        for s in self.segments:
            if s.gfn <= gfn < s.gfn + s.pages:
                break
        else:
            raise Lost("no such page")
        number, index = divmod(gfn - s.gfn, REGION)
        page_cnt = min(REGION, s.pages - number * REGION)
        return self.entry(gfn, self.entries(s.region + number, page_cnt)[index])

    def entry(self, gfn, entry):
        state, slot, at = entry >> 60, entry >> 56 & 15, entry & (1 << 56) - 1
        require(state <= DATA and (state == DATA or not entry << 4 & (1 << 64) - 1),
                "an entry")
        if state == PARENT:
            require(self.parent, "no parent")
            return self.parent.page(gfn)
        if state != DATA:
            return state, None
        pages = self.cached_unit(at)
        require(slot < len(pages), "a slot")
        return DATA, pages[slot]

    cache = (None, None)

    def cached_unit(self, at):
        if self.cache[0] != at:
            self.cache = (at, self.unit(at))
        return self.cache[1]

    def files(self):
        """Section 7: (name, bytes or None if lost)."""
        if not self.file_cnt:
            return
        try:
            table = self.at(self.files_at, 280 * self.file_cnt)
            require(self.files_check == xxh3(self.files_at, table), "the files")
        except Lost:
            yield from [("", None)] * self.file_cnt
            return
        for off in range(0, len(table), 280):
            name, at, size, check = struct.unpack(">256sQQQ", table[off:off + 280])
            name = name.split(b"\0")[0].decode()
            try:
                raw = self.at(at, size)
                yield name, raw if check == xxh3(at, raw) else None
            except Lost:
                yield name, None

    def id_is_right(self):
        """Section 8."""
        hashed = hashlib.sha256(self.bytes[self.data_at:self.file_size])
        hashed.update(self.bytes[512:self.data_at])
        hashed.update(self.bytes[:472])
        return len(self.bytes) == self.file_size and hashed.digest() == self.id

    def digest(self, gfn, state, page):
        """Section 8: a page's digest."""
        content = (xxh3(self.key, page) if state == DATA else
                   (1 << 64) - 1 if state == UNREADABLE else 0)
        return xxh3(gfn, struct.pack(">Q", content)) if content else 0

    def walk(self):
        """Yields (segment, number of the page in it, state or None, bytes or None),
        and (segment, number, "wrong", None) behind a region with a wrong digest."""
        for s in self.segments:
            for number in range(s.regions):
                first = number * REGION
                cnt = min(REGION, s.pages - first)
                total, lost = 0, False
                try:
                    entries = self.entries(s.region + number, cnt)
                except Lost:
                    yield from ((s, first + i, None, None) for i in range(cnt))
                    continue
                for i, entry in enumerate(entries):
                    try:
                        state, page = self.entry(s.gfn + first + i, entry)
                        total += self.digest(s.gfn + first + i, state, page)
                        yield s, first + i, state, page
                    except Lost:
                        lost = True
                        yield s, first + i, None, None
                if not lost and total % (1 << 64) != self.region(s.region + number)[0]:
                    yield s, first, "wrong", None


def tell(image, raw):
    """Prints what is in it; returns whether it is whole."""
    counts = dict.fromkeys(STATES, 0)
    lost, wrong = [], 0
    start = dict(zip(map(id, image.segments),
                     accumulate_sizes(image.segments)))
    for segment, number, state, page in image.walk():
        if state == "wrong":
            wrong += 1
        elif state is None:
            lost.append(segment.gfn + number)
        else:
            counts[STATES[state]] += 1
            if page and raw:
                raw.seek(start[id(segment)] + number * PAGE)
                raw.write(page[:segment.size - number * PAGE])
    if raw:
        last = image.segments[-1]
        raw.truncate(start[id(last)] + last.size)
    files = list(image.files())
    print("pages", " ".join(f"{k} {v}" for k, v in counts.items()))
    print("lost", len(lost), *map(hex, lost[:8]))
    print("wrong", wrong)
    print("files", *(f"{name}:{len(b) if b is not None else 'lost'}" for name, b in files))
    print("id", image.id.hex(), "right" if image.id_is_right() else "wrong")
    return (not lost and not wrong and image.id_is_right() and
            all(b is not None for _, b in files))


def accumulate_sizes(segments):
    at = 0
    for segment in segments:
        yield at
        at += segment.pages * PAGE


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("image")
    parser.add_argument("--parent")
    parser.add_argument("--raw")
    args = parser.parse_args()
    try:
        image = Image(args.image, args.parent)
    except (Damaged, OSError) as error:
        print("damaged", error)
        return 5
    if not args.raw:
        return 0 if tell(image, None) else 5
    with open(args.raw, "wb") as raw:
        return 0 if tell(image, raw) else 5


if __name__ == "__main__":
    sys.exit(main())
