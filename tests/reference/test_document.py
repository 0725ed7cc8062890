#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""docs/wire-format.md against the headers that it describes, and its examples
against the reference reader.

    test_document.py
"""
import re
import sys
import unittest
from pathlib import Path

import xxhash

sys.dont_write_bytecode = True  # build products go only below build/
import reader  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
HEADERS = ["include/pagetrim/wire.h", "include/pagetrim/maps.h",
           "include/pagetrim/outer.h", "include/pagetrim/error.h",
           "user/base/role.h", "user/channel/messages.h"]
U64_MAX = 2 ** 64 - 1
SIZES = {"__u8": 1, "__be16": 2, "__be32": 4, "__be64": 8}


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def code(name):
    """A C source without comments and line continuations."""
    return re.sub(r"/\*.*?\*/", "", text(name).replace("\\\n", " "),
                  flags=re.DOTALL)


DOC = text("docs/wire-format.md")


def section(number):
    found = re.search(rf"^## {number}\. .*?(?=^## |\Z)", DOC,
                      re.DOTALL | re.MULTILINE)
    return found.group(0)


def between(name):
    found = re.search(rf"<!-- {name}: begin .*?-->(.*?)<!-- {name}: end -->",
                      DOC, re.DOTALL)
    return found.group(1)


def rows(markdown):
    """The rows of a table, each a list of its cells."""
    for line in markdown.splitlines():
        if line.startswith("|") and not re.match(r"\| *-", line):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def constants():
    """#define NAME NUMBER and NAME = NUMBER of the headers."""
    found = {}
    for name in HEADERS:
        source = code(name)
        for key, value in (
                re.findall(r"^#define\s+(PT_\w+)\s+(.+)$", source, re.M) +
                re.findall(r"\b(PT_\w+)\s*=\s*(\w+)\s*[,}]", source)):
            found[key] = value
    return found


CONSTANTS = constants()


def value(expression):
    """A constant expression of C as a number."""
    def look_up(match):
        return f"({value(CONSTANTS[match.group(0)])})"
    expression = re.sub(r"\bPT_\w+", look_up, expression)
    expression = re.sub(r"(?<=[0-9a-f])(ULL|u)\b", "", expression)
    if not re.fullmatch(r"[\s0-9a-fx()+*<~-]+", expression):
        raise ValueError(expression)
    return eval(expression) & U64_MAX   # numbers and operators alone


def number_text(number):
    if number >= 2 ** 20 and number & (number - 1) == 0:
        return f"2^{number.bit_length() - 1}"
    if number >= 2 ** 32 - 1 and number & (number + 1) == 0:
        return f"2^{number.bit_length()} - 1"
    return str(number)


def field_text(kind, name, low, high):
    low, high = value(low), value(high)
    if kind == "cap":
        return f"*with bit {low.bit_length() - 1}*"
    if kind in ("addr", "ledger") or (kind == "u64" and
                                      (low, high) == (0, U64_MAX)):
        return f"{kind} {name}"
    if low == high:
        return f"{kind} {name} 0x{low:x}"
    return f"{kind} {name} {number_text(low)}..{number_text(high)}"


def message_rows():
    """The table of section 13, as messages.h has it."""
    source = code("user/channel/messages.h")
    body = re.search(r"#define PT_MESSAGES\(X\)(.*)", source).group(1)
    for symbol, number, who in re.findall(
            r"X\((\w+),\s*\w+,\s*(\d+),\s*(\w+)\)", body):
        fields = re.search(rf"#define PT_MSG_{symbol}_FIELDS\(X\)(.*)",
                           source).group(1)
        yield [number, symbol,
               {"SENDER": "S", "RECEIVER": "R", "BOTH": "SR"}[who],
               "; ".join(field_text(*(f.strip() for f in found)) for found in
                         re.findall(r"X\((\w+),([^,]+),([^,]+),([^)]+)\)",
                                    fields))]


def struct_fields(name):
    """offset, bytes, field of a packed struct of wire.h."""
    source = code("include/pagetrim/wire.h")
    body = re.search(rf"struct {name} {{(.*?)}}", source, re.DOTALL).group(1)
    off = 0
    for kind, field, cnt in re.findall(r"(__\w+)\s+(\w+)(?:\[(\w+)\])?;",
                                       body):
        size = SIZES[kind] * (value(cnt) if cnt else 1)
        yield [str(off), str(size), field]
        off += size


class Document(unittest.TestCase):
    def test_messages(self):
        table = list(rows(between("messages")))[1:]
        self.assertEqual(table, list(message_rows()))
        self.assertEqual(len(table), 37)

    def test_ledger(self):
        counted = re.findall(r"X\((\w+), \"", code("include/pagetrim/ledger.h"))
        self.assertGreater(len(counted), 10)
        listed = between("ledger").split(":", 1)[1]
        self.assertEqual(re.findall(r"\w+", listed), counted)

    def test_payload_limit(self):
        self.assertIn(f"at most {value('PT_PAYLOAD_SZ_MAX')} bytes",
                      section(13))

    def test_structs(self):
        for number, name in ((5, "pt_frame_hdr"), (6, "pt_record")):
            want = list(struct_fields(name))
            table = [row[:3] for row in rows(section(number))
                     if row[0].isdigit() and len(row) > 3 or
                     name == "pt_record" and row[2:3] in
                     [[f[2]] for f in want]]
            self.assertEqual(table, want)

    def test_verdicts(self):
        names = re.findall(r"X\(\w+, (\w+), \"",
                           code("include/pagetrim/verdict.h"))
        self.assertGreater(len(names), 5)
        last_cells = {row[-1] for row in rows(section(10))}
        self.assertEqual([n for n in names if n not in last_cells], [])

    def test_limits(self):
        limits = {row[0]: row[1] for row in rows(section(1))}
        self.assertEqual(limits["records of a frame"],
                         str(value("PT_RECORDS_MAX")))
        self.assertEqual(limits["lanes of a session"],
                         str(value("PT_LANES_MAX")))
        self.assertEqual(limits["guest page number"],
                         f"0..{number_text(value('PT_GFN_MAX'))}")
        self.assertEqual(limits["MTU (IP header and all behind it)"],
                         f"{value('PT_MTU_MIN')}..{value('PT_MTU_MAX')}")
        self.assertEqual(
            limits["from the Ethernet header to the last record"],
            str(value("PT_HEADERS_MAX")))
        self.assertEqual(limits["pages of one record of zeroes"],
                         str(value("PT_ZEROES_MAX")))
        self.assertIn(str(value("PT_UDP_PORT")), section(4))
        self.assertIn(f"0x{value('PT_FRAME_MAGIC'):X}", section(5))

    def test_record_kinds(self):
        source = code("include/pagetrim/wire.h")
        known = {number: name.lower() for name, number in
                 re.findall(r"PT_RECORD_(\w+)\s*= (\d+),", source)}
        table = {row[0]: row[1] for row in rows(section(6))
                 if len(row) == 2 and row[0].isdigit()}
        self.assertEqual({k: v for k, v in table.items()
                          if not v.startswith(("set aside", "never"))}, known)
        self.assertIn("record kind 6 |", section(15))

    def test_capabilities(self):
        found = re.findall(r"PT_CAP_(\w+)\s+\(1ULL << (\d+)\)",
                           code("user/channel/messages.h"))
        self.assertGreater(len(found), 0)
        text = " ".join(section(13).split())
        for name, bit in found:
            self.assertIn(f"Bit {bit}, *{name.lower()}*:", text)

    def test_windows(self):
        source = code("user/rxq/seqmap.h")
        ahead = 2 ** int(re.search(r"PT_SEQ_AHEAD\s+\(1u << (\d+)\)",
                                   source).group(1))
        kept = 2 ** int(re.search(r"PT_SEQMAP_SZ\s+\(1u << (\d+)\)",
                                  source).group(1))
        self.assertIn(f"seq >= upto + {ahead}", section(12))
        self.assertIn(f"seq {kept - 64} or more below", section(12))

    def test_key_schedule(self):
        secret = bytes(range(0x20))
        wide = reader.Seal("aes-256-gcm", secret, b"")
        narrow = reader.Seal("aes-128-gcm", secret, b"")
        table = list(rows(between("keys")))[1:]
        self.assertEqual([row[0] for row in table],
                         ["epoch 0", "epoch 1", "epoch 2", "probes"])
        for (_, key, iv), (kind, epoch) in zip(table, ((1, 0), (1, 1), (1, 2),
                                                       (2, 0))):
            raw, raw_iv = wide.key_and_iv(kind, epoch)
            self.assertEqual([key, iv], [f"`{raw.hex()}`", f"`{raw_iv.hex()}`"])
            self.assertEqual(narrow.key_and_iv(kind, epoch), (raw[:16], raw_iv))

    def test_ciphers(self):
        source = code("user/seal/cipher.h")
        numbers = dict(re.findall(r"PT_CIPHER_(\w+)\s*= (\d)", source))
        del numbers["NONE"]
        table = {row[0]: row[1:3] for row in rows(section(11))}
        self.assertEqual(
            {name.replace("-", "_").upper(): row[0]
             for name, row in table.items() if "-" in name and
             row[0].isdigit()}, numbers)
        for name, (key_sz, _) in reader.CIPHERS.items():
            row = {k.lower(): v for k, v in table.items()}[name]
            self.assertEqual(row[1], str(key_sz))
        source = code("include/pagetrim/wire.h")
        for name in ("MIN", "MAX"):
            self.assertIn(f"PT_REKEY_LOG2_{name}", source)
        self.assertIn(f"{value('PT_REKEY_LOG2_MIN')}.."
                      f"{value('PT_REKEY_LOG2_MAX')}, agreed", section(11))
        for name in ("SEQ", "PROBE"):
            limit = number_text(value(f"PT_SEALED_{name}_MAX"))
            self.assertIn(limit, section(11))

    def test_hashes(self):
        table = [row[1].strip("`") for row in rows(section(8))][1:]
        inputs = [b"", bytes(range(64)), bytes(range(256)) * 4]
        self.assertEqual(table,
                         [xxhash.xxh3_128(i).hexdigest() for i in inputs])

    def test_digests(self):
        key, page, gfn = 7, bytes([1]) * 4096, 5
        content = xxhash.xxh3_64(page, seed=key).intdigest()
        digest = xxhash.xxh3_64(content.to_bytes(8, "big"), seed=gfn)
        unreadable = xxhash.xxh3_64((1).to_bytes(8, "big"), seed=gfn)
        self.assertEqual(re.findall(r"`([0-9a-f]{16})`", section(13)),
                         [f"{content:016x}", digest.hexdigest(),
                          unreadable.hexdigest()])

    def test_record_examples(self):
        examples = [row for row in rows(section(6)) if "`" in row[1]
                    and " " in row[1]]
        self.assertEqual(len(examples), 8)
        for what, example in examples:
            raw, follows = re.fullmatch(r"`([0-9a-f ]+)`, (\d+ blocks?|none)",
                                        example).groups()
            record = reader.read_record(bytes.fromhex(raw))
            self.assertEqual(record.block_cnt(),
                             0 if follows == "none" else
                             int(follows.split()[0]), what)

    def test_frame_example(self):
        data = b""
        for off, line in re.findall(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+)",
                                    between("example"), re.M):
            self.assertEqual(int(off, 16), len(data))
            data += bytes.fromhex(line)
        self.assertEqual(len(data), 192)
        vectors = text("tests/vectors/good.txt")
        first = vectors.split("name one-block\n")[1].split("\n\n")[0]
        self.assertEqual("".join(re.findall(r"^hex ([0-9a-f]+)", first, re.M)),
                         data.hex())
        frame = reader.read(data)
        self.assertTrue(frame.auth_ok)
        self.assertEqual([r.text() for r in frame.records],
                         ["blocks 0x1234 0 63 0x0000000000000020"])
        self.check_sealed_example(bytearray(data))

    def check_sealed_example(self, data):
        """The values that section 11 changes in section 14's frame."""
        blocks = bytes(data[0x80:])
        for off, line in re.findall(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+)",
                                    between("sealed"), re.M):
            raw = bytes.fromhex(line)
            data[int(off, 16):int(off, 16) + len(raw)] = raw
        seal = reader.Seal("aes-128-gcm", bytes(range(0x20)),
                           bytes(range(0x20, 0x30)), 16)
        frame = reader.read(bytes(data), None, seal)
        self.assertTrue(frame.auth_ok)
        self.assertEqual(frame.blocks, blocks)
        self.assertNotIn(blocks[:16], data)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
