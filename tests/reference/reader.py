#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Reference reader of pagetrim frames, written from docs/wire-format.md alone.

It is slow and plain on purpose: each line implements a sentence of the
document, and the comments name its section.

    reader.py [--endpoint ADDRESS PORT]... [--verdicts]
              [--cipher NAME --secret HEX --header-key HEX [--rekey-log2 N]]
              < HEX-FRAMES

reads frames as hex, one per line, from the Ethernet header on, and prints the
meaning of each, or with --verdicts only its verdict. Without --endpoint, any
endpoint counts as open. With --cipher the session is sealed, with these
secrets; without, sealed frames are judged as far as that is possible without
keys.
"""
import argparse
import hashlib
import hmac
import ipaddress
import sys
from dataclasses import dataclass, field

import xxhash
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import (
    AESGCM, ChaCha20Poly1305)

# Section 1
BLOCK = 64
PAGE_BLOCKS = 64
HEADER = 64
RECORD = 16
RECORDS_MAX = 96
LANES_MAX = 64
GFN_CNT = 1 << 40
ZEROES_MAX = 512

MAC_OFF, AUTH_OFF, AUTH, HIDDEN_OFF = 28, 36, 16, 52
KIND_DATA, KIND_PROBE = 1, 2
RECORD_BLOCKS, RECORD_ZEROES, RECORD_DELTA, RECORD_COPY = 1, 2, 3, 4
RECORD_UNREADABLE = 5
FLAG_SEALED = 1
LZ4, ZSTD = 1, 2
MAPPED = ipaddress.ip_network("::ffff:0:0/96")

# Section 11: bytes of key, and what opens
CIPHERS = {
    "aes-128-gcm": (16, AESGCM),
    "aes-256-gcm": (32, AESGCM),
    "chacha20-poly1305": (32, ChaCha20Poly1305),
}


class Refused(Exception):
    """Carries the verdict of the first rule that a frame breaks."""


def expand(secret, label, size):
    """Section 11: Expand of RFC 5869, of one block at most."""
    return hmac.new(secret, label.encode("ascii") + b"\x01",
                    hashlib.sha256).digest()[:size]


def siphash(key, data):
    """SipHash-2-4, as its paper describes it; the 8 bytes of the result."""
    def word(raw):
        return int.from_bytes(raw, "little")

    def left(value, by):
        return (value << by | value >> (64 - by)) & (1 << 64) - 1

    def rounds(v, cnt):
        for _ in range(cnt):
            for a, b, c, d, turn_b, turn_d in ((0, 1, 2, 3, 13, 16),
                                               (2, 1, 0, 3, 17, 21)):
                v[a] = v[a] + v[b] & (1 << 64) - 1
                v[c] = v[c] + v[d] & (1 << 64) - 1
                v[b] = left(v[b], turn_b) ^ v[a]
                v[d] = left(v[d], turn_d) ^ v[c]
                v[a] = left(v[a], 32)

    k = word(key[:8]), word(key[8:])
    v = [k[i % 2] ^ word(b"somepseudorandomlygeneratedbytes"[8 * i:8 * i + 8]
                         [::-1]) for i in range(4)]
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) % 256])
    for i in range(0, len(padded), 8):
        m = word(padded[i:i + 8])
        v[3] ^= m
        rounds(v, 2)
        v[0] ^= m
    v[2] ^= 0xFF
    rounds(v, 4)
    return (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")


@dataclass
class Seal:
    """The state that the two ends of a lane share: section 11."""
    cipher: str
    secret: bytes
    header_key: bytes
    rekey_log2: int = 22

    def epoch(self, kind, seq):
        return seq >> self.rekey_log2 if kind == KIND_DATA else 0

    def key_and_iv(self, kind, epoch):
        secret = self.secret
        if kind == KIND_PROBE:
            secret = expand(secret, "pagetrim probe", 32)
        for _ in range(epoch):
            secret = expand(secret, "pagetrim epoch", 32)
        return (expand(secret, "pagetrim key", CIPHERS[self.cipher][0]),
                expand(secret, "pagetrim iv", 12))

    def open(self, frame, payload):
        """The payload of a frame, in clear; None if the tag is wrong."""
        epoch = self.epoch(frame.kind, frame.seq)
        if frame.key_epoch != epoch % 65536:
            return None
        key, iv = self.key_and_iv(frame.kind, epoch)
        number_of = frame.kind.to_bytes(4, "big") + frame.seq.to_bytes(8, "big")
        nonce = bytes(a ^ b for a, b in zip(iv, number_of))
        clear = payload[:AUTH_OFF]
        tag = payload[AUTH_OFF:HIDDEN_OFF]
        try:
            hidden = CIPHERS[self.cipher][1](key).decrypt(
                nonce, payload[HIDDEN_OFF:] + tag, clear)
        except InvalidTag:
            return None
        return clear + tag + hidden


def require(condition, verdict):
    if not condition:
        raise Refused(verdict)


@dataclass
class Record:
    kind: int
    first: int
    last: int
    gfn: int
    mask: int

    def start(self):
        if self.kind == RECORD_DELTA:
            return self.gfn * PAGE_BLOCKS
        return self.gfn * PAGE_BLOCKS + self.first

    def end(self):
        if self.kind == RECORD_DELTA:
            return (self.gfn + 1) * PAGE_BLOCKS
        if self.kind in (RECORD_ZEROES, RECORD_UNREADABLE):
            return (self.gfn + self.mask) * PAGE_BLOCKS
        return self.gfn * PAGE_BLOCKS + self.last + 1

    def original(self):
        """Section 6: a copy's original, below its version."""
        return self.mask % GFN_CNT

    def base_low(self):
        """Section 6: the low 16 bits of a delta's base."""
        return self.first * 256 + self.last

    def base(self, generation):
        """Section 12: the version that a delta of this generation changes; None
        if there is none."""
        age = (generation - self.base_low()) % 65536
        return generation - age if 0 < age < generation else None

    def has_blocks(self):
        return self.kind in (RECORD_BLOCKS, RECORD_DELTA)

    def block_cnt(self):
        return bin(self.mask).count("1") if self.has_blocks() else 0

    def text(self):
        if self.kind == RECORD_ZEROES:
            return f"zeroes 0x{self.gfn:x} {self.mask}"
        if self.kind == RECORD_UNREADABLE:
            return f"unreadable 0x{self.gfn:x} {self.mask}"
        if self.kind == RECORD_COPY:
            return f"copy 0x{self.gfn:x} 0x{self.original():x} " \
                   f"{self.mask // GFN_CNT}"
        if self.kind == RECORD_DELTA:
            return f"delta 0x{self.gfn:x} {self.base_low()} " \
                   f"0x{self.mask:016x}"
        return f"blocks 0x{self.gfn:x} {self.first} {self.last} " \
               f"0x{self.mask:016x}"


@dataclass
class Frame:
    verdict: str = "steered"
    endpoint: tuple = None
    kind: int = 0
    session: int = 0
    seq: int = 0
    generation: int = 0
    lane: int = 0
    flags: int = 0
    key_epoch: int = 0
    data_off: int = 0
    block_cnt: int = 0
    compression: int = 0
    compressed_sz: int = 0
    decompressed: bool = False
    auth_ok: bool = False
    contents: str = "hidden"    # "good" or "bad" once they can be judged
    auth_right: bytes = b""     # what auth should be, of a checksum
    records: list = field(default_factory=list)
    blocks: bytes = b""


def number(data, off, size):
    return int.from_bytes(data[off:off + size], "big")


def take(data, off, size, verdict):
    """The size bytes at off, which must be there."""
    require(off + size <= len(data), verdict)
    return data[off:off + size]


def read_ipv4(data, off):
    """Section 4: the end of IPv4's payload and datagram, and the
    destination."""
    ip = take(data, off, 20, "passed")
    require(ip[0] == 0x45, "passed")
    require(number(ip, 6, 2) & 0x3FFF == 0, "passed")
    require(ip[9] == 17, "passed")
    return off + 20, off + number(ip, 2, 2), ipaddress.ip_address(ip[16:20])


def read_ipv6(data, off):
    ip = take(data, off, 40, "passed")
    require(ip[0] >> 4 == 6, "passed")
    require(ip[6] == 17, "passed")
    dst = ipaddress.ip_address(ip[24:40])
    require(dst not in MAPPED, "passed")
    return off + 40, off + 40 + number(ip, 4, 2), dst


def read_outer(data, endpoints):
    """Rules 1 to 5 and the data for rule 8: the UDP payload, its end by IP, and
    the endpoint."""
    take(data, 0, 14, "passed")
    off = 14
    if number(data, 12, 2) == 0x8100:
        take(data, 14, 4, "passed")
        off = 18
    ethertype = number(data, off - 2, 2)
    require(ethertype in (0x0800, 0x86DD), "passed")
    read_ip = read_ipv4 if ethertype == 0x0800 else read_ipv6
    udp_off, ip_end, dst = read_ip(data, off)

    udp = take(data, udp_off, 8, "passed")
    endpoint = (dst, number(udp, 2, 2))
    require(endpoints is None or endpoint in endpoints, "passed")

    udp_end = udp_off + number(udp, 4, 2)
    require(udp_end <= ip_end and udp_end <= len(data), "truncated")
    require(udp_end - (udp_off + 8) >= HEADER, "truncated")
    return data[udp_off + 8:udp_end], udp_end == ip_end, endpoint


def read_header(payload, ends_with_ip, frame):
    """Rules 6 to 11, section 5."""
    require(payload[0:4] == b"PTRM", "bad_magic")
    require(payload[4] == 3, "bad_version")
    require(ends_with_ip, "bad_header")

    frame.kind = payload[5]
    frame.flags = payload[6]
    frame.lane = payload[7]
    frame.session = number(payload, 8, 8)
    frame.seq = number(payload, 16, 8)
    frame.key_epoch = number(payload, 24, 2)
    payload_sz = number(payload, 26, 2)

    require(frame.kind in (KIND_DATA, KIND_PROBE), "bad_header")
    require(frame.session != 0, "bad_header")
    require(frame.lane < LANES_MAX, "bad_header")
    require(frame.flags in (0, FLAG_SEALED), "bad_header")
    if frame.flags == 0:
        require(frame.key_epoch == 0, "bad_header")
        require(number(payload, MAC_OFF, 8) == 0, "bad_header")
    require(len(payload) >= payload_sz, "truncated")
    require(len(payload) <= payload_sz, "bad_header")


def read_contents(payload, frame):
    """Rules 12 and 13, section 5, and the records: of a payload in clear."""
    frame.generation = number(payload, 52, 4)
    record_cnt = payload[56]
    frame.compression = payload[57]
    frame.data_off = number(payload, 58, 2)
    frame.block_cnt = number(payload, 60, 2)
    frame.compressed_sz = number(payload, 62, 2)
    pad = frame.data_off - HEADER - RECORD * record_cnt

    if frame.kind == KIND_DATA:
        require(1 <= record_cnt <= RECORDS_MAX, "bad_header")
        require(frame.generation != 0, "bad_header")
    else:
        require(record_cnt == 0 and frame.generation == 0, "bad_header")
    if frame.compression:
        require(frame.kind == KIND_DATA, "bad_header")
        require(frame.compression in (LZ4, ZSTD), "bad_header")
        unused = BLOCK * frame.block_cnt - frame.compressed_sz
        require(frame.block_cnt > 0 and 0 <= unused < BLOCK, "bad_header")
    else:
        require(frame.compressed_sz == 0, "bad_header")
    require(0 <= pad <= 63, "bad_header")
    require(len(payload) == frame.data_off + BLOCK * frame.block_cnt,
            "bad_header")
    read_records(payload, record_cnt, frame)


def read_record(raw):
    """Section 6, one record alone."""
    record = Record(kind=raw[0], first=raw[1], last=raw[2],
                    gfn=number(raw, 3, 5), mask=number(raw, 8, 8))
    require(record.kind in (RECORD_BLOCKS, RECORD_ZEROES, RECORD_DELTA,
                            RECORD_COPY, RECORD_UNREADABLE), "bad_record")
    if record.kind == RECORD_DELTA:
        return record
    if record.kind == RECORD_BLOCKS:
        require(record.first <= record.last <= 63, "bad_record")
        spoken = sum(1 << b for b in range(record.first, record.last + 1))
        require(record.mask & ~spoken == 0, "bad_record")
    else:
        require(record.first == 0 and record.last == 63, "bad_record")
    if record.kind in (RECORD_ZEROES, RECORD_UNREADABLE):
        require(1 <= record.mask <= ZEROES_MAX, "bad_record")
        require(record.gfn + record.mask <= GFN_CNT, "bad_record")
    elif record.kind == RECORD_COPY:
        require(record.original() != record.gfn, "bad_record")
    return record


def read_records(payload, record_cnt, frame):
    """Rules 19 and 20; sealed, rule 24."""
    end = 0
    for i in range(record_cnt):
        off = HEADER + RECORD * i
        record = read_record(payload[off:off + RECORD])
        require(record.start() >= end, "bad_record")
        end = record.end()
        frame.records.append(record)
    named = sum(r.block_cnt() for r in frame.records)
    if frame.compression:
        require(named > frame.block_cnt, "bad_record")
    elif frame.flags & FLAG_SEALED:
        require(named <= frame.block_cnt, "bad_record")
    elif frame.kind == KIND_DATA:
        require(named == frame.block_cnt, "bad_record")


def read_lz4(unit, size):
    """One block of the LZ4 block format; None if it is not, or of another
    size."""
    out, at = bytearray(), 0

    def length(nibble):
        nonlocal at
        total = nibble
        while nibble == 15 and total - 15 <= size:
            more = unit[at]
            at += 1
            total += more
            if more < 255:
                break
        return total

    try:
        while True:
            token = unit[at]
            at += 1
            literals = length(token >> 4)
            if at + literals > len(unit):
                return None
            out += unit[at:at + literals]
            at += literals
            if at == len(unit):
                return bytes(out) if len(out) == size else None
            offset = unit[at] | unit[at + 1] << 8
            at += 2
            match = length(token & 15) + 4
            if not 1 <= offset <= len(out) or len(out) + match > size:
                return None
            for _ in range(match):
                out.append(out[-offset])
    except IndexError:
        return None


def read_zstd(unit, size):
    """One zstd frame; None if it is not as section 7 has it."""
    if unit[:4] != b"\x28\xb5\x2f\xfd" or len(unit) < 6:
        return None
    if not unit[4] & 0x20 or unit[4] & 0x0f:
        return None
    width = (1, 2, 4, 8)[unit[4] >> 6]
    content = int.from_bytes(unit[5:5 + width], "little")
    content += 256 if width == 2 else 0
    if content != size:
        return None
    reader = zstandard.ZstdDecompressor().decompressobj()
    try:
        out = reader.decompress(unit)
    except zstandard.ZstdError:
        return None
    if not reader.eof or reader.unused_data or len(out) != size:
        return None
    return out


def decompress(frame):
    """Section 7: the blocks that the records name; None if they are not there."""
    size = BLOCK * sum(r.block_cnt() for r in frame.records)
    unit = frame.blocks[:frame.compressed_sz]
    if any(frame.blocks[frame.compressed_sz:]):
        return None
    read_one = read_lz4 if frame.compression == LZ4 else read_zstd
    return read_one(unit, size)


def checksum(payload):
    """Section 8."""
    hashed = payload[:AUTH_OFF] + bytes(AUTH) + payload[AUTH_OFF + AUTH:]
    return xxhash.xxh3_128(hashed, seed=0).digest()


def judge_sender(payload, frame, seal):
    """Rules 15 and 16, for a sealed session."""
    require(frame.flags & FLAG_SEALED, "bad_header")
    require(payload[MAC_OFF:AUTH_OFF] ==
            siphash(seal.header_key, payload[:MAC_OFF]), "bad_mac")


def open_contents(payload, frame, seal):
    """Section 11: the contents of a frame with a right tag, good or bad."""
    payload = seal.open(frame, payload)
    frame.auth_ok = payload is not None
    if not frame.auth_ok:
        return
    try:
        read_contents(payload, frame)
        frame.contents = "good"
        frame.blocks = payload[frame.data_off:]
    except Refused:
        frame.contents = "bad"
        frame.records = []


def read(data, endpoints=None, seal=None):
    """The meaning of a frame for a receiver with these open endpoints, a set of
    (address, port), or with all if None; every session is open, on any queue,
    and sealed if there is a seal."""
    frame = Frame()
    try:
        payload, ends_with_ip, frame.endpoint = read_outer(data, endpoints)
        read_header(payload, ends_with_ip, frame)
        if seal:
            judge_sender(payload, frame, seal)
        if not frame.flags & FLAG_SEALED:
            read_contents(payload, frame)
    except Refused as refused:
        return Frame(verdict=str(refused))
    if not frame.flags & FLAG_SEALED:
        frame.contents = "good"
        frame.auth_right = checksum(payload)
        frame.auth_ok = payload[AUTH_OFF:HIDDEN_OFF] == frame.auth_right
        frame.blocks = payload[frame.data_off:]
    elif seal:
        open_contents(payload, frame, seal)
    if frame.compression and frame.contents == "good":
        raw = decompress(frame) if frame.auth_ok else None
        frame.decompressed = raw is not None
        frame.blocks = raw or b""
    return frame


def blocks_of(frame):
    """Section 7: gfn, block, bytes of each block that travels and can be read;
    not the filler, which no record names."""
    off = 0
    if not frame.blocks:
        return
    for record in frame.records:
        if not record.has_blocks():
            continue
        for b in range(PAGE_BLOCKS):
            if record.mask >> b & 1:
                yield record.gfn, b, frame.blocks[off:off + BLOCK]
                off += BLOCK


def describe(frame):
    lines = [f"verdict {frame.verdict}"]
    if frame.verdict != "steered":
        return lines
    lines += [
        f"endpoint {frame.endpoint[0]} {frame.endpoint[1]}",
        f"auth {'right' if frame.auth_ok else 'wrong, or no key for it'}"
        f"{', should be ' if not frame.auth_ok and frame.auth_right else ''}"
        f"{'' if frame.auth_ok else frame.auth_right.hex()}",
        f"flags {frame.flags}", f"key_epoch {frame.key_epoch}",
        f"kind {'data' if frame.kind == KIND_DATA else 'probe'}",
        f"session 0x{frame.session:016x}", f"seq {frame.seq}",
        f"lane {frame.lane}", f"contents {frame.contents}",
    ]
    if frame.contents != "good":
        return lines
    lines += [f"generation {frame.generation}",
              f"data_off {frame.data_off}", f"block_cnt {frame.block_cnt}"]
    if frame.compression:
        lines += [f"compression {frame.compression}",
                  f"compressed_sz {frame.compressed_sz}",
                  f"decompressed {'yes' if frame.decompressed else 'no'}"]
    lines += [f"record {r.text()}" for r in frame.records]
    lines += [f"block 0x{gfn:x} {b} {data.hex()}"
              for gfn, b, data in blocks_of(frame)]
    return lines


def main():
    parser = argparse.ArgumentParser(description="What pagetrim frames mean.")
    parser.add_argument("--endpoint", nargs=2, action="append",
                        metavar=("ADDRESS", "PORT"),
                        help="an endpoint that is open (default: all are)")
    parser.add_argument("--verdicts", action="store_true",
                        help="print each frame's verdict only")
    parser.add_argument("--cipher", choices=CIPHERS,
                        help="the session is sealed")
    parser.add_argument("--secret", type=bytes.fromhex, metavar="HEX",
                        help="the lane's, 32 bytes")
    parser.add_argument("--header-key", type=bytes.fromhex, metavar="HEX",
                        help="16 bytes")
    parser.add_argument("--rekey-log2", type=int, default=22, metavar="N")
    args = parser.parse_args()
    if args.cipher and not (args.secret and args.header_key):
        parser.error("--cipher needs --secret and --header-key")
    seal = Seal(args.cipher, args.secret, args.header_key,
                args.rekey_log2) if args.cipher else None
    endpoints = None
    if args.endpoint:
        endpoints = {(ipaddress.ip_address(address), int(port))
                     for address, port in args.endpoint}
    for line_no, line in enumerate(sys.stdin, 1):
        try:
            data = bytes.fromhex(line)
        except ValueError:
            sys.exit(f"reader.py: line {line_no}: not a frame in hex")
        frame = read(data, endpoints, seal)
        if args.verdicts:
            print(frame.verdict)
        else:
            print("\n".join(describe(frame)), end="\n\n")


if __name__ == "__main__":
    main()
