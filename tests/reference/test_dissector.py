#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The dissectors of examples/wireshark against the vectors, the reference reader and
the table of messages.

    test_dissector.py
"""
import random
import re
import socket
import struct
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # build products go only below build/
import dissector  # noqa: E402
import reader  # noqa: E402
import test_document as document  # noqa: E402
import test_reader as vectors  # noqa: E402

SEED = 33
MUTANT_CNT = 6000
HEADER_FIELDS = ("kind", "session_id", "seq", "lane", "flags", "key_epoch")
CONTENT_FIELDS = ("generation", "data_off", "block_cnt", "compression",
                  "compressed_sz")
RECORD_FIELDS = ("kind", "first", "last", "gfn", "mask")
FRAME_FIELDS = ([f"pagetrim.{f}" for f in
                 ("verdict", "magic", "blocks", "unit", "unit_end", "probe_blocks",
                  "decompressed_sz", "contents", "pad", "cut", *HEADER_FIELDS,
                  *CONTENT_FIELDS)] +
                [f"pagetrim.record.{f}" for f in
                 (*RECORD_FIELDS, "block_cnt", "page_cnt", "original", "version",
                  "base_low", "base")] +
                ["_ws.expert.message"])
# UDP's own dissector keeps these: they have no byte of payload.
WITHOUT_PAYLOAD = {"udp-length-7", "udp-length-8"}
TYPES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}


def read(frames, fields, **pcap):
    with tempfile.NamedTemporaryFile() as capture:
        dissector.write_pcap(capture.name, frames, **pcap)
        return dissector.read(capture.name, fields)


def number(seen, name):
    return int(seen[name][0], 0)


def raw(seen, name):
    return bytes.fromhex("".join(seen[f"pagetrim.{name}"]))


class Frames(unittest.TestCase):
    """tshark shows of each vector the meaning that the reference reader gives it."""

    def check_records(self, seen, frame):
        found = [reader.Record(*(int(v, 0) for v in values)) for values in
                 zip(*(seen[f"pagetrim.record.{f}"] for f in RECORD_FIELDS))]
        self.assertEqual(found, frame.records)
        derived = {
            "block_cnt": [r.block_cnt() for r in found if r.has_blocks()],
            "page_cnt": [r.mask for r in found if r.kind in (2, 5)],
            "original": [r.original() for r in found if r.kind == 4],
            "version": [r.mask >> 40 for r in found if r.kind == 4],
            "base_low": [r.base_low() for r in found if r.kind == 3],
            "base": [r.base(frame.generation) for r in found if r.kind == 3 and
                     r.base(frame.generation) is not None],
        }
        for name, want in derived.items():
            self.assertEqual([int(v, 0) for v in seen[f"pagetrim.record.{name}"]],
                             want, name)

    def check_contents(self, seen, frame, data):
        for name in CONTENT_FIELDS:
            self.assertEqual(number(seen, f"pagetrim.{name}"),
                             getattr(frame, name), name)
        self.check_records(seen, frame)
        tail = data[len(data) - 64 * frame.block_cnt:]
        if frame.compression:
            self.assertEqual(raw(seen, "unit") + raw(seen, "unit_end"), tail)
            self.assertEqual(len(raw(seen, "unit")), frame.compressed_sz)
            self.assertEqual(number(seen, "pagetrim.decompressed_sz"),
                             64 * sum(r.block_cnt() for r in frame.records))
        else:
            self.assertEqual(raw(seen, "blocks") + raw(seen, "probe_blocks"), tail)
        self.assertEqual(len(raw(seen, "pad")), frame.data_off - 64 -
                         16 * len(frame.records))

    def check(self, vector, endpoints, seen):
        # The dissector knows of no endpoints.
        frame = reader.read(vector.frame)
        if not seen["pagetrim.verdict"]:
            self.assertTrue(reader.read(vector.frame, endpoints).verdict ==
                            "passed" or vector.name in WITHOUT_PAYLOAD)
            return "none"
        self.assertEqual(seen["pagetrim.verdict"], [frame.verdict])
        if frame.verdict != "steered":
            self.assertTrue(any(text.startswith(f"{frame.verdict}: ")
                                for text in seen["_ws.expert.message"]))
            return frame.verdict
        for name in HEADER_FIELDS:
            self.assertEqual(number(seen, f"pagetrim.{name}"),
                             getattr(frame, name.removesuffix("_id")), name)
        udp = vector.frame.index(b"PTRM")
        payload = vector.frame[udp:udp + int.from_bytes(
            vector.frame[udp + 26:udp + 28], "big")]
        if frame.flags & reader.FLAG_SEALED:
            self.assertEqual(raw(seen, "contents"), payload[reader.HIDDEN_OFF:])
            self.assertEqual(seen["pagetrim.generation"], [])
            return "sealed"
        self.check_contents(seen, frame, payload)
        return frame.verdict

    def test_vectors(self):
        results = {}
        for name in vectors.FILES:
            entries, endpoints = vectors.load(name)
            shown = read([v.frame for v in entries], FRAME_FIELDS)
            self.assertEqual(len(shown), len(entries))
            for vector, seen in zip(entries, shown):
                with self.subTest(vector.name):
                    result = self.check(vector, endpoints, seen)
                    results[result] = results.get(result, 0) + 1
        self.assertEqual(set(results), vectors.STRUCTURAL | {"none", "sealed"})
        self.assertGreater(results["steered"], 100)
        self.assertGreater(results["sealed"], 60)
        self.assertLess(results["none"], 25)

    def test_mutants(self):
        """Verdicts of frames whose frame header or records were changed."""
        dice = random.Random(SEED)
        good = [v.frame for v in vectors.load_all()[0]
                if v.verdict == "steered" and 130 < len(v.frame) < 3000]
        mutants = []
        for _ in range(MUTANT_CNT):
            frame = bytearray(dice.choice(good))
            start = frame.index(b"PTRM")
            records = start + reader.HEADER
            if dice.random() < 0.5:
                at = dice.randrange(start, min(len(frame), records + 60))
            elif records + 16 <= len(frame):    # the end of a mask
                at = dice.randrange(records + 15, min(len(frame), records + 64), 16)
            frame[at] = (frame[at] + dice.choice([1, 255, 64, 128])) % 256
            mutants.append(bytes(frame))
        seen = read(mutants, ["pagetrim.verdict"])
        wants = [reader.read(frame).verdict for frame in mutants]
        for frame, want, got in zip(mutants, wants, seen):
            self.assertEqual(got["pagetrim.verdict"], [want], frame.hex())
        self.assertEqual(set(wants), vectors.STRUCTURAL - {"passed"})

    def test_longest_run(self):
        """512 pages of zeroes are a record, 513 are none."""
        frame = next(bytearray(v.frame) for v in vectors.load("good.txt")[0]
                     if len(v.records) == 1 and v.records[0].startswith("zeroes"))
        at = frame.index(b"PTRM") + reader.HEADER
        runs = []
        for page_cnt in (512, 513):
            frame[at:at + 16] = struct.pack("!BBBBIQ", 2, 0, 63, 0, 8, page_cnt)
            runs.append(bytes(frame))
        self.assertEqual([seen["pagetrim.verdict"] for seen in
                          read(runs, ["pagetrim.verdict"])],
                         [["steered"], ["bad_record"]])

    def test_captured_in_part(self):
        """A capture may keep the first bytes of frames only: then no verdict is given
        that needs the others, and no script fails."""
        good = [v.frame for v in vectors.load("good.txt")[0] if len(v.frame) > 200]
        for kept in (70, 104, 110, 150, 190):
            for seen in read(good, FRAME_FIELDS, kept=kept):
                self.assertEqual(seen["pagetrim.verdict"], [])
                self.assertEqual(len(seen["pagetrim.cut"]), 1)
                self.assertFalse([text for text in seen["_ws.expert.message"]
                                  if "Lua" in text])


def field_kinds(fields):
    """kind, name, least, most of a row of the table; None for limits that it lacks, and
    the bit of a capability as the kind."""
    for text in fields.split("; ") if fields else ():
        bit = re.fullmatch(r"\*with bit (\d+)\*", text)
        if bit:
            yield int(bit.group(1)), None, None, None
            continue
        kind, name, *limits = text.split(" ", 2)
        least = most = None
        if limits and ".." in limits[0]:
            least, most = (eval(limit.replace("^", "**"))   # of the document
                           for limit in limits[0].split(".."))
        elif limits and limits[0].startswith("0x"):
            least = most = int(limits[0], 16)
        yield kind, name, least, most


class Maker:
    """Makes messages at random, with the values that tshark should show."""

    def __init__(self):
        self.dice = random.Random(SEED)

    def number(self, size, least, most):
        most = 256 ** size - 1 if most is None else most
        least = least or 0
        return self.dice.choice([least, most, self.dice.randint(least, most)])

    def field(self, kind, name, least, most):
        """The bytes of a field, and its values by filter name."""
        if kind in TYPES:
            value = self.number(TYPES[kind], least, most)
            return value.to_bytes(TYPES[kind], "big"), {name: [value]}
        if kind == "addr":
            value = self.dice.randbytes(16)
            return value, {name: [socket.inet_ntop(socket.AF_INET6, value)]}
        if kind == "ledger":
            values = [self.number(8, 0, None) for _ in dissector.LEDGER]
            return struct.pack("!18Q", *values), {
                key: [value] for key, value in zip(dissector.LEDGER, values)}
        cnt = self.dice.randint(least, min(most, 40))
        if kind == "str":
            value = "".join(self.dice.choice("abcxyz_ 0189") for _ in range(cnt))
            return (struct.pack("!H", cnt) + value.encode(),
                    {name: [value] if cnt else []})
        if kind == "bytes":
            value = self.dice.randbytes(cnt)
            return (struct.pack("!I", cnt) + value,
                    {name: [value.hex()] if cnt else []})
        if kind == "range_array":
            ranges = [(self.number(8, 0, None), self.number(4, 1, None))
                      for _ in range(cnt)]
            return (struct.pack("!I", cnt) +
                    b"".join(struct.pack("!QI", *r) for r in ranges),
                    {f"{name}.first": [r[0] for r in ranges],
                     f"{name}.cnt": [r[1] for r in ranges]})
        size = TYPES[kind.split("_")[0]]
        values = [self.number(size, 0, None) for _ in range(cnt)]
        return (struct.pack("!I", cnt) +
                b"".join(v.to_bytes(size, "big") for v in values), {name: values})

    def message(self, row, capabilities):
        """A message of this row: its bytes, its values."""
        payload, values, skip = b"", {}, False
        for kind, *field in field_kinds(row[3]):
            if isinstance(kind, int):
                skip = not capabilities >> kind & 1
            elif not skip:
                more, shown = self.field(kind, *field)
                payload += more
                values |= shown
        return head(len(payload), int(row[0])) + payload, values


def head(size, kind, zero=0):
    return struct.pack("!IHH", size, kind, zero)


def hello(role, capabilities):
    return head(17, 1) + struct.pack("!IHHQB", 0x50544354, 3, 3, capabilities, role)


class Connection:
    """The frames of one TCP connection, sender to receiver and back."""

    def __init__(self, port):
        self.port, self.frames, self.seq = port, [], {"S": 1, "R": 1}

    def say(self, by, data, piece=1400):
        """Adds the words of one end, in segments of at most piece bytes."""
        ports = (self.port, 16644) if by == "S" else (16644, self.port)
        addrs = (b"\x0a\x4d\0\1", b"\x0a\x4d\0\2")
        addrs = addrs if by == "S" else addrs[::-1]
        for at in range(0, len(data), piece):
            part = data[at:at + piece]
            tcp = struct.pack("!HHIIBBHHH", *ports, self.seq[by],
                              self.seq["R" if by == "S" else "S"], 0x50, 0x18,
                              65535, 0, 0) + part
            self.seq[by] += len(part)
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0,
                             *addrs)
            self.frames.append(bytes(12) + b"\x08\0" + ip + tcp)


class Control(unittest.TestCase):
    ROWS = [row for row in document.rows(document.between("messages"))
            if row[0].isdigit()]

    def test_same_table(self):
        """The dissector holds the document's table and list, word for word."""
        script = (dissector.SCRIPTS / "pagetrim_control.lua").read_text()
        held = re.search(r"MESSAGES = \[\[\n(.*?)\]\]", script, re.DOTALL).group(1)
        self.assertEqual(list(document.rows(held)), self.ROWS)
        self.assertGreater(len(self.ROWS), 25)
        held = re.search(r"LEDGER = \[\[\n(.*?)\]\]", script, re.DOTALL).group(1)
        self.assertEqual(re.findall(r"\w+", held), dissector.LEDGER)
        self.assertIn(" ".join(dissector.LEDGER), " ".join(
            re.findall(r"\w+", document.between("ledger"))))

    def show(self, connections, names):
        frames = [f for c in connections for f in c.frames]
        return read(frames, ["pagetrim_control.type", "pagetrim_control.wrong",
                             "_ws.expert.message"] +
                    [f"pagetrim_control.{name}" for name in names])

    def check_message(self, row, wants, shown):
        self.assertEqual(len(shown), len(wants))
        for want, got in zip(wants, shown):
            self.assertEqual(got["pagetrim_control.wrong"], [],
                             got["_ws.expert.message"])
            for name, values in want.items():
                found = [str(int(v, 16)) if v.startswith("0x") else v for v in
                         got[f"pagetrim_control.{row[1].lower()}.{name}"]]
                self.assertEqual(found, [str(v) for v in values], name)

    def test_every_message(self):
        """Each kind of message, with capabilities and without, in pieces and whole."""
        maker, made = Maker(), []
        for capabilities in (0, 0x7f):
            for row in self.ROWS[1:]:
                connection = Connection(61000 + len(made))
                connection.say("S", hello(1, capabilities))
                connection.say("R", hello(2, capabilities))
                wants = []
                for piece in (1400, 1, 7):
                    data, values = maker.message(row, capabilities)
                    wants.append(values)
                    connection.say(row[2][-1], data, piece)
                made.append((connection, row, wants))
        names = {f"{row[1].lower()}.{name}" for _, row, wants in made
                 for want in wants for name in want}
        seen = iter(self.show([c for c, _, _ in made], sorted(names)))
        for connection, row, wants in made:
            shown = [next(seen) for _ in connection.frames]
            with self.subTest(row[1], port=connection.port):
                self.check_message(row, wants, [
                    s for s in shown if s["pagetrim_control.type"] == [row[0]]])

    def broken(self):
        """Messages that break one rule each, who says them, and what is said of it."""
        maker = Maker()
        rows = {row[1]: row for row in self.ROWS}
        for row in self.ROWS[1:]:
            data, _ = maker.message(row, 0x7f)
            by, other = row[2][-1], "S" if row[2] == "R" else "R"
            size, kind = len(data) - 8, int(row[0])
            yield by, head(size + 1, kind) + data[8:] + b"\0", "goes on behind"
            yield by, head(size, kind, 1) + data[8:], "not zero"
            if size > 0:
                yield (by, head(size - 1, kind) + data[8:-1],
                       "ends before|outside its limits")
            if row[2] != "SR":
                yield other, data, "not for this end"
        yield "S", head(0, 99), "no such type"
        yield "S", head(65601, 23) + bytes(100), "too large"
        for name, fields in (("OPENED", (0, 0)), ("OPENED", (1, 2))):
            yield ("R", head(9, int(rows[name][0])) + struct.pack("!QB", *fields),
                   "outside its limits")
        yield "S", head(10, 11) + struct.pack("!HQ", 0, 1 << 62), "seq_end is outside"
        yield "R", head(6, 10) + struct.pack("!HI", 0, (1 << 24) + 1), "window"
        yield "R", head(2, 13) + struct.pack("!H", 64), "lane is outside"
        yield "R", head(4, 22) + struct.pack("!HH", 7, 0), "exit is outside"

    def test_broken(self):
        connections, wants = [], []
        for i, (by, data, want) in enumerate(self.broken()):
            connection = Connection(20000 + i)
            connection.say("S", hello(1, 0x7f))
            connection.say("R", hello(2, 0x7f))
            connection.say(by, data)
            connections.append(connection)
            wants.append(want)
        frames = iter(self.show(connections, []))
        for connection, want in zip(connections, wants):
            seen = [next(frames) for _ in connection.frames]
            said = [t for s in seen for t in s["_ws.expert.message"]
                    if s["pagetrim_control.wrong"]]
            with self.subTest(want, port=connection.port):
                self.assertEqual(len(said), 1)
                self.assertRegex(said[0], want)
        self.assertGreater(len(wants), 100)

    def test_from_the_middle(self):
        """Without a HELLO a connection is not taken for ours."""
        connection = Connection(50000)
        connection.say("S", head(8, 23) + bytes(8))
        self.assertEqual(self.show([connection], [])[0]["pagetrim_control.type"], [])


if __name__ == "__main__":
    unittest.main()
