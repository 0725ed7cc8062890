#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The reference reader against the vectors, and against the C parser on frames
that were built and broken at random.

    test_reader.py BUILD

BUILD holds tests/vectors/judge and tests/vectors/corpus, built.
"""
import ipaddress
import random
import subprocess
import sys
import unittest
from collections import Counter
from pathlib import Path

import xxhash

sys.dont_write_bytecode = True  # build products go only below BUILD
import reader  # noqa: E402

TESTS = Path(__file__).resolve().parent.parent
BUILD = None
SEED = 20
CORPUS_CNT = 4000
MUTANT_CNT = 3000

# The destinations of the corpus tool's frames; see tests/frames/frame.h.
CORPUS_ENDPOINTS = {(ipaddress.ip_address("10.1.2.3"), 16644),
                    (ipaddress.ip_address("fd00:0:0:1::17"), 16644)}

# The verdicts that a frame's structure alone can lead to.
STRUCTURAL = {"passed", "steered", "truncated", "bad_magic", "bad_version",
              "bad_header", "bad_record"}
FILES = ("good.txt", "odd.txt", "damaged.txt", "bad.txt", "sealed.txt",
         "compressed.txt")


def entries(path):
    """The entries of a vector file: lists of (key, values)."""
    entry = []
    for line in path.read_text(encoding="ascii").splitlines() + [""]:
        words = line.split("#")[0].split()
        if words:
            entry.append((words[0], words[1:]))
        elif entry and not line.strip():
            yield entry
            entry = []


class Vector:
    def __init__(self, entry):
        self.frame = b""
        self.records = []
        for key, values in entry:
            if key == "hex":
                self.frame += bytes.fromhex(values[0])
            elif key == "fill":
                self.frame += bytes.fromhex(values[0]) * int(values[1])
            elif key == "record":
                self.records.append(" ".join(values))
            else:
                setattr(self, key, values[0] if values else "")

    def seal(self):
        if not hasattr(self, "cipher"):
            return None
        return reader.Seal(self.cipher, bytes.fromhex(self.secret),
                           bytes.fromhex(self.header_key),
                           int(self.rekey_log2))


def load(name):
    """The vectors of a file, and the endpoints open to them."""
    first, *others = entries(TESTS / "vectors" / name)
    endpoints = {(ipaddress.ip_address(v[0]), int(v[1])) for _, v in first}
    return [Vector(e) for e in others], endpoints


def load_all():
    vectors = []
    for name in FILES:
        more, endpoints = load(name)
        vectors += more
    return vectors, endpoints


def tool(name, *args, stdin=None):
    """The lines that a tool of the build prints."""
    done = subprocess.run([BUILD / "tests" / "vectors" / name, *args],
                          input=stdin, capture_output=True, text=True,
                          check=False, timeout=120)
    if done.returncode:
        raise AssertionError(f"{name} {' '.join(args)}: {done.stderr}")
    return done.stdout.splitlines()


def judge(frames, *args):
    return tool("judge", *args, stdin="".join(f.hex() + "\n" for f in frames))


def mutate(frame, dice):
    """Changes some bytes of the headers, and sometimes cuts the end off."""
    frame = bytearray(frame)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(min(len(frame), 200))
        frame[at] = dice.choice([0, 255, frame[at] ^ 1 << dice.randrange(8),
                                 (frame[at] + 1) & 255, dice.randrange(256)])
    if dice.random() < 0.1:
        del frame[dice.randrange(len(frame)):]
    return bytes(frame)


class Vectors(unittest.TestCase):
    def check(self, vector, endpoints):
        frame = reader.read(vector.frame, endpoints, vector.seal())
        self.assertEqual(frame.verdict, vector.verdict)
        if frame.verdict != "steered":
            return
        self.assertEqual("right" if frame.auth_ok else "wrong", vector.auth)
        self.assertEqual({1: "data", 2: "probe"}[frame.kind], vector.kind)
        self.assertEqual(frame.session, int(vector.session, 0))
        for key in ("seq", "lane"):
            self.assertEqual(getattr(frame, key), int(getattr(vector, key)))
        self.assertEqual(frame.flags, int(getattr(vector, "flags", 0)))
        self.assertEqual(frame.key_epoch, int(getattr(vector, "key_epoch", 0)))
        want = "hidden" if frame.flags and not frame.auth_ok else "good"
        self.assertEqual(frame.contents, getattr(vector, "contents", want))
        if frame.contents == "good":
            for key in ("generation", "data_off", "block_cnt", "compression"):
                self.assertEqual(getattr(frame, key),
                                 int(getattr(vector, key, 0)))
        self.assertEqual([r.text() for r in frame.records], vector.records)
        blocks = frame.blocks
        if frame.kind == reader.KIND_DATA:
            blocks = b"".join(data for _, _, data in reader.blocks_of(frame))
            filler = len(frame.blocks) - len(blocks)
            if frame.auth_ok:
                self.assertEqual(filler, reader.BLOCK *
                                 int(getattr(vector, "filler", 0)))
            self.assertEqual(blocks, frame.blocks[:len(blocks)])
        self.assertEqual(xxhash.xxh3_128(blocks).hexdigest(), vector.blocks)

    def check_file(self, name, least, verdicts):
        vectors, endpoints = load(name)
        self.assertGreaterEqual(len(vectors), least)
        for vector in vectors:
            with self.subTest(vector.name):
                self.check(vector, endpoints)
        self.assertEqual({v.verdict for v in vectors}, verdicts)

    def test_good(self):
        self.check_file("good.txt", 30, {"steered"})

    def test_odd(self):
        self.check_file("odd.txt", 20, {"steered"})

    def test_damaged(self):
        self.check_file("damaged.txt", 20, {"steered"})

    def test_bad(self):
        self.check_file("bad.txt", 90, STRUCTURAL - {"steered"})

    def test_sealed(self):
        self.check_file("sealed.txt", 30, {"steered", "bad_mac", "bad_header"})
        vectors, _ = load("sealed.txt")
        self.assertEqual({v.cipher for v in vectors}, set(reader.CIPHERS))

    def test_compressed(self):
        self.check_file("compressed.txt", 20,
                        {"steered", "bad_header", "bad_record"})

    def test_not_without_the_keys(self):
        """A sealed frame yields neither the contents nor a right auth with no
        keys, or with keys that differ in a bit."""
        for vector in load("sealed.txt")[0]:
            if vector.verdict != "steered":
                continue
            frame = reader.read(vector.frame)
            self.assertEqual((frame.auth_ok, frame.contents), (False, "hidden"))
            seal = vector.seal()
            seal.secret = bytes([seal.secret[0] ^ 1]) + seal.secret[1:]
            frame = reader.read(vector.frame, None, seal)
            self.assertEqual((frame.auth_ok, frame.contents), (False, "hidden"))
            seal.header_key = seal.secret[:16]
            frame = reader.read(vector.frame, None, seal)
            self.assertEqual(frame.verdict, "bad_mac")

    def test_names_are_unique(self):
        names = Counter(v.name for v in load_all()[0])
        self.assertEqual([n for n, cnt in names.items() if cnt > 1], [])

    def test_cut_anywhere(self):
        """No beginning of a good frame is taken for a frame."""
        vectors, endpoints = load("good.txt")
        for vector in vectors:
            if len(vector.frame) > 2000:
                continue
            for sz in range(len(vector.frame)):
                frame = reader.read(vector.frame[:sz], endpoints)
                self.assertIn(frame.verdict, {"passed", "truncated"})


class Agreement(unittest.TestCase):
    """The C parser and the reader come to the same verdict."""

    def agree(self, frames, c_verdicts, endpoints):
        self.assertEqual(len(frames), len(c_verdicts))
        for frame, verdict in zip(frames, c_verdicts):
            mine = reader.read(frame, endpoints).verdict
            self.assertEqual(mine, verdict, frame.hex())
        return set(c_verdicts)

    def test_vectors(self):
        vectors, _ = load_all()
        frames = [v.frame for v in vectors]
        self.agree(frames, judge(frames), None)

    def test_rows(self):
        rows = [line.split(" ", 2) for line in tool("corpus", "rows")]
        self.assertGreater(len(rows), 100)
        for want, frame, name in rows:
            mine = reader.read(bytes.fromhex(frame), CORPUS_ENDPOINTS)
            self.assertEqual(mine.verdict, want, name)

    def test_corpus(self):
        frames = [bytes.fromhex(line) for line in
                  tool("corpus", str(SEED), str(CORPUS_CNT))]
        self.assertEqual(len(frames), CORPUS_CNT)
        seen = self.agree(frames, judge(frames, "--endpoints"),
                          CORPUS_ENDPOINTS)
        self.assertEqual(seen, STRUCTURAL)

    def test_mutants(self):
        dice = random.Random(SEED)
        vectors = [v for v in load_all()[0] if len(v.frame) < 10000]
        frames = [mutate(dice.choice(vectors).frame, dice)
                  for _ in range(MUTANT_CNT)]
        self.assertEqual(self.agree(frames, judge(frames), None), STRUCTURAL)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: test_reader.py BUILD")
    BUILD = Path(sys.argv.pop()).resolve()
    unittest.main()
