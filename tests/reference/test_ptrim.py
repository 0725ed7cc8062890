#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The reference reader of images at rest against tests/vectors/ptrim.txt."""
import sys
import tempfile
import unittest
from pathlib import Path

import xxhash

sys.dont_write_bytecode = True
import ptrim  # noqa: E402

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "ptrim.txt"


def entries():
    """Each image of the file: (name, opens, bytes, pages, files)."""
    for text in VECTORS.read_text(encoding="ascii").split("\n\n")[1:]:
        name, opens, raw, pages, files = None, None, b"", {}, []
        for line in text.strip().splitlines():
            key, *words = line.split()
            if key == "name":
                name = words[0]
            elif key == "opens":
                opens = words[0] == "yes"
            elif key == "hex":
                raw += bytes.fromhex(words[0])
            elif key == "fill":
                raw += bytes.fromhex(words[0]) * int(words[1])
            elif key == "page":
                pages[int(words[0])] = (words[1], int(words[2], 16))
            elif key == "pages":
                for gfn in range(int(words[0]), int(words[1]) + 1):
                    pages[gfn] = (words[2], None)
            elif key == "file":
                files.append(tuple(words))
            elif key != "why":
                raise ValueError(f"{name}: {key}")
        yield name, opens, raw, pages, files


def digest(raw):
    return xxhash.xxh3_64_intdigest(raw, seed=0)


def found(image):
    pages = {}
    for segment, number, state, page in image.walk():
        if state != "wrong":
            pages[segment.gfn + number] = (
                "lost" if state is None else ptrim.STATES[state],
                digest(page) if page else None)
    return pages, [(name or "-", f"{digest(raw):016x}" if raw is not None else "lost")
                   for name, raw in image.files()]


class Vectors(unittest.TestCase):
    def test_all(self):
        names = set()
        for name, opens, raw, pages, files in entries():
            names.add(name)
            with self.subTest(name), tempfile.NamedTemporaryFile() as file:
                file.write(raw)
                file.flush()
                if not opens:
                    self.assertRaises(ptrim.Damaged, ptrim.Image, file.name)
                    continue
                self.assertEqual(found(ptrim.Image(file.name)), (pages, files))
        self.assertGreaterEqual(len(names), 20)


if __name__ == "__main__":
    unittest.main()
