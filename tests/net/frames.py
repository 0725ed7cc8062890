#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Data frames without a transfer, to test the wire itself.

    frames.py send --to ADDR --cnt N [--lanes N] [--sz BYTES] [--blind]
        N UDP datagrams of sz bytes that begin as pagetrim's data frames do,
        sequence numbers from 0 in each lane.  After each BURST of them one
        that is none, which takes the same way; when it has come back there is
        room for more.  --blind: at once, nobody answers.
    frames.py receive --listen ADDR
        until SIGTERM; then what came, as JSON: {"LANE": [SEQ, ...]} in order
        of arrival.  A datagram whose content is wrong fails it; one that is no
        data frame goes back.
    frames.py judge --cnt N --lanes N --wire WIRE.json --got GOT.json
                    [--overtaken N]
        compares what came with what the wire says it did, at least N frames
        being out of order; prints those that vanished
"""
import argparse
import json
import select
import signal
import socket
import struct
import sys
import zlib

PORT = 16644
MAGIC = 0x5054524D
VERSION = 3
DATA = 1
HEADER = struct.Struct("!IBBBBQQHH8s16sIBBHHH")  # include/pagetrim/wire.h
BURST = 32  # datagrams at once: fewer than a veth queue holds
ANSWER_S = 60  # far more than it takes


def udp_socket(addr):
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    return socket.socket(family, socket.SOCK_DGRAM)


def datagram(lane, seq, sz):
    body = (b"%d.%d " % (lane, seq)).ljust(sz - HEADER.size, b"x")
    auth = struct.pack("!I", zlib.crc32(body)).ljust(16, b"\0")
    return HEADER.pack(MAGIC, VERSION, DATA, 0, lane, 1, seq, 0, sz, bytes(8), auth,
                       1, 1, 0, 0, 0, 0) + body


def turn(sock, addr, i):
    """Waits until the earlier datagrams have left the path."""
    sock.settimeout(ANSWER_S)
    sock.sendto(b"turn %d" % i, addr)
    same("answer", sock.recv(100), b"turn %d" % i)


def send(args):
    with udp_socket(args.to) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for i in range(args.cnt):
            sock.sendto(datagram(i % args.lanes, i // args.lanes, args.sz),
                        (args.to, PORT))
            last = i % BURST == BURST - 1 or i == args.cnt - 1
            if last and not args.blind:
                turn(sock, (args.to, PORT), i)


def receive(args):
    wake, wake_write = socket.socketpair()
    wake_write.setblocking(False)
    signal.set_wakeup_fd(wake_write.fileno())
    signal.signal(signal.SIGTERM, lambda *_: None)
    got = {}
    sock = udp_socket(args.listen)
    sock.setsockopt(socket.SOL_SOCKET, 33, 1 << 28)  # SO_RCVBUFFORCE
    sock.bind((args.listen, PORT))
    sock.setblocking(False)
    print("frames: ready", file=sys.stderr, flush=True)
    stop = False
    while not stop:
        # When it is stopped, it reads the pending frames once more.
        stop = wake in select.select([sock, wake], [], [])[0]
        while True:
            try:
                data, sender = sock.recvfrom(1 << 16)
            except BlockingIOError:
                break
            if data.startswith(b"turn "):
                sock.sendto(data, sender)
                continue
            fields = HEADER.unpack_from(data)
            lane, seq, auth = fields[4], fields[6], fields[10]
            crc = struct.unpack_from("!I", auth)[0]
            if zlib.crc32(data[HEADER.size:]) != crc:
                sys.exit(f"frames: lane {lane} seq {seq}: content is wrong")
            got.setdefault(lane, []).append(seq)
    print(json.dumps(got))


def same(what, got, want):
    if got != want:
        sys.exit(f"frames: {what}: {got}, want {want}")


def judge(args):
    with open(args.wire, encoding="ascii") as file:
        wire = json.load(file)["forth"]
    with open(args.got, encoding="ascii") as file:
        got = {int(lane): seqs for lane, seqs in json.load(file).items()}
    came = [(lane, seq) for lane in got for seq in got[lane]]
    sent = {(i % args.lanes, i // args.lanes) for i in range(args.cnt)}
    overtaken = sum(seqs[i] < max(seqs[:i], default=-1)
                    for seqs in got.values() for i in range(len(seqs)))

    same("data_in", wire["data_in"], args.cnt)
    same("lost", wire["lost"], 0)
    same("datagrams that came", len(came), wire["data_out"])
    same("frames nobody sent", set(came) - sent, set())
    same("vanished", wire["vanished"], len(sent - set(came)))
    same("surplus", wire["surplus"], len(came) - len(set(came)))
    same("data_out", wire["data_out"],
         wire["data_in"] - wire["vanished"] + wire["surplus"])
    same("dropped + data_out", wire["dropped"] + wire["data_out"],
         wire["data_in"] + wire["repeated"])
    if wire["reordered"] == 0:
        same("frames out of order", overtaken, 0)
    elif overtaken < args.overtaken:
        sys.exit(f"frames: {overtaken} came out of order, "
                 f"want {args.overtaken} or more")
    print(json.dumps(sorted(sent - set(came))))


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("verb", choices=["send", "receive", "judge"])
    args.add_argument("--to")
    args.add_argument("--listen")
    args.add_argument("--cnt", type=int)
    args.add_argument("--lanes", type=int, default=1)
    args.add_argument("--sz", type=int, default=1400)
    args.add_argument("--blind", action="store_true")
    args.add_argument("--wire")
    args.add_argument("--got")
    args.add_argument("--overtaken", type=int, default=0)
    args = args.parse_args()
    {"send": send, "receive": receive, "judge": judge}[args.verb](args)


if __name__ == "__main__":
    main()
