#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""process_image.py: the memory of a process that stands still, and its image.

    process_image.py take PID FILE      copies the private memory, as /proc/PID/mem
                                        shows it, to FILE, and the table of its
                                        mappings to FILE.json
    process_image.py same FILE IMAGE    whether the image, by the table in
                                        IMAGE.with/segments.json, is that memory
    process_image.py state PID          whether it is stopped by a tracer or a signal
"""
import bisect
import json
import os
import struct
import sys

PAGE = 4096
CHUNK = 512 * PAGE


FILE_OR_SHARED = 1 << 61
PRESENT_OR_SWAPPED = 3 << 62


def has_own(pagemap, start, end):
    """Whether a page is the process's own.  The kernel's page of zeroes counts, too: it
    makes no difference."""
    words = os.pread(pagemap, (end - start) // PAGE * 8, start // PAGE * 8)
    return any(word & PRESENT_OR_SWAPPED and not word & FILE_OR_SHARED
               for word, in struct.iter_unpack("Q", words))


def mappings(pid, pagemap):
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as lines:
        for line in lines:
            fields = line.rstrip("\n").split(None, 5)
            path = fields[5] if len(fields) > 5 else ""
            if fields[1][3] != "p" or path.startswith(("[v", "[uprobes]")):
                continue
            start, end = (int(x, 16) for x in fields[0].split("-"))
            if fields[1][1] != "w" and not path.endswith(" (deleted)") and \
                    not has_own(pagemap, start, end):
                continue
            yield start, end, path


def chunks(pagemap, start, end, is_anonymous):
    """The chunks to be read.  Anonymous memory without a page is left out: a read would
    take memory."""
    span = 256 * CHUNK
    for at in range(start, end, span):
        words = os.pread(pagemap, (min(span, end - at)) // PAGE * 8, at // PAGE * 8)
        for part in range(0, len(words), CHUNK // PAGE * 8):
            if not is_anonymous or words[part:part + CHUNK // PAGE * 8].strip(b"\0"):
                first = at + part // 8 * PAGE
                yield first, min(CHUNK, end - first)


def take(pid, path):
    table, offset = [], 0
    mem = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    pagemap = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY)
    with open(path, "wb") as out:
        for start, end, name in mappings(pid, pagemap):
            is_anonymous = not name.startswith("/") or name.startswith("/anon_hugepage")
            table.append({"gfn": start // PAGE, "bytes": end - start, "offset": offset})
            for at, size in chunks(pagemap, start, end, is_anonymous):
                data = os.pread(mem, size, at)
                if len(data) != size:
                    sys.exit(f"short read at {at:#x}")
                if data.strip(b"\0"):
                    out.seek(offset + at - start)
                    out.write(data)
            offset += end - start
        out.truncate(offset)
    with open(f"{path}.json", "w", encoding="ascii") as out:
        json.dump(table, out)


class Memory:
    """A file, and the table of the addresses that it shows; all others read as zero."""

    def __init__(self, path, table):
        self.file = os.open(path, os.O_RDONLY)
        self.table = sorted((s["gfn"] * PAGE, s["bytes"], s["offset"]) for s in table)
        self.starts = [start for start, _, _ in self.table]
        if os.fstat(self.file).st_size != sum(size for _, size, _ in self.table):
            sys.exit(f"{path}: {os.fstat(self.file).st_size} bytes are not those of its table")

    def read(self, at):
        page = bytearray(PAGE)
        i = bisect.bisect_right(self.starts, at) - 1
        if i >= 0 and at < self.table[i][0] + self.table[i][1]:
            page[:] = os.pread(self.file, PAGE, self.table[i][2] + at - self.table[i][0])
        return bytes(page)

    def pages(self):
        """The addresses of all pages with data."""
        for start, size, offset in self.table:
            at = offset
            while at < offset + size:
                try:
                    at = os.lseek(self.file, at, os.SEEK_DATA)
                except OSError:
                    break
                end = min(os.lseek(self.file, at, os.SEEK_HOLE), offset + size)
                yield from range(start + (at - offset) // PAGE * PAGE, start + end - offset,
                                 PAGE)
                at = end


def same(path, image):
    with open(f"{path}.json", encoding="ascii") as file:
        want = Memory(path, json.load(file))
    with open(f"{image}.with/segments.json", encoding="ascii") as file:
        got = Memory(image, json.load(file)["segments"])
    differ = [at for at in sorted({*want.pages(), *got.pages()}) if want.read(at) != got.read(at)]
    if differ:
        sys.exit(f"{len(differ)} pages differ, the first at {differ[0]:#x}")


def state(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in lines)
    print("stopped" if status["State"][0] in "tT" or status["TracerPid"] != "0" else "runs")


if __name__ == "__main__":
    {"take": take, "same": same, "state": state}[sys.argv[1]](*sys.argv[2:])
