#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""beside.py: TCP beside a transfer, on every queue of two devices.

    netns A, DEV_A  --FLOWS connections, a port each-->  netns B, DEV_B
                    <--------- what was sent ----------

    beside.py A DEV_A B DEV_B ADDR_B

For each line of standard input, "EXCHANGES QUEUES_A QUEUES_B": opens
connections until each of the first QUEUES_A and QUEUES_B receive queues of the
devices brings the kernel frames of one, at least FLOWS_MIN; sends a message on
all of them EXCHANGES times; prints one line of JSON:

    flows       connections
    unanswered  messages that did not come back within PATIENCE_S
    longest_ms  the longest wait for an answer
    heard       frames by device and receive queue
    deaf        queues that brought none
    unnoted     frames of no such queue

The receive queue is the one that PACKET_FANOUT_QM sees: the queue that a driver
notes on a frame that XDP passed, so a frame counts only once the kernel has it.
"""
import ctypes
import json
import os
import select
import socket
import struct
import sys
import time

FLOWS_MIN = 8
FLOWS_MAX = 128
PATIENCE_S = 30.0
STEP_S = 0.05
PORT = 7177
MESSAGE_SZ = 64
SLOTS = 64          # fanout sockets of a device, more than it has queues
CLONE_NEWNET = 0x40000000
ETH_P_IP = 0x0800
PACKET_FANOUT = 18
PACKET_FANOUT_QM = 5
SOL_PACKET = 263

libc = ctypes.CDLL(None, use_errno=True)


def enter(netns):
    with open("/run/netns/" + netns, "rb") as f:
        if libc.setns(f.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns " + netns)


class Ear:
    """Counts frames of PORT by the receive queue of dev. Opened in its netns."""

    def __init__(self, dev, group):
        self.slots = []
        for _ in range(SLOTS):
            s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                              socket.htons(ETH_P_IP))
            s.bind((dev, ETH_P_IP))
            s.setsockopt(SOL_PACKET, PACKET_FANOUT,
                         group | PACKET_FANOUT_QM << 16)
            s.setblocking(False)
            self.slots.append(s)
        self.clear()

    def clear(self):
        self.heard = [0] * SLOTS

    def read(self, count=True):
        for i, s in enumerate(self.slots):
            while True:
                try:
                    frame = s.recv(256)
                except BlockingIOError:
                    break
                if count and self.is_ours(frame):
                    # The kernel notes queue N as N + 1; 0 is "none".
                    self.heard[(i - 1) % SLOTS] += 1

    @staticmethod
    def is_ours(frame):
        at = (frame[0] & 15) * 4
        return (frame[9] == socket.IPPROTO_TCP and len(frame) >= at + 4 and
                PORT in struct.unpack_from("!HH", frame, at))

    def deaf(self, queues):
        return [q for q in range(queues) if not self.heard[q]]


class Flows:
    """Connections from a to b, with both ends in this process."""

    def __init__(self, netns, addr, listener):
        self.netns, self.addr, self.listener = netns, addr, listener
        self.near, self.far = [], []
        self.unanswered = 0
        self.longest_s = 0.0

    def open(self):
        enter(self.netns)
        s = socket.socket()
        s.settimeout(PATIENCE_S)
        s.connect((self.addr, PORT))
        far, _ = self.listener.accept()
        for end in (s, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setblocking(False)
        self.near.append(s)
        self.far.append(far)

    def exchange(self, near):
        """Send a message on each of near, and back."""
        began, end = time.monotonic(), time.monotonic() + PATIENCE_S
        left = dict.fromkeys(near, MESSAGE_SZ)
        for s in near:
            s.send(b"m" * MESSAGE_SZ)
        while left and time.monotonic() < end:
            ready, _, _ = select.select(list(left) + self.far, [], [], STEP_S)
            for s in ready:
                got = s.recv(4096)
                if s not in left:
                    s.send(got)
                    continue
                left[s] -= len(got)
                if left[s] <= 0:
                    del left[s]
        self.unanswered += len(left)
        self.longest_s = max(self.longest_s, time.monotonic() - began)

    def close(self):
        for s in self.near + self.far:
            s.close()


def run(ears, queues, exchanges, flows):
    for ear in ears:
        ear.read(count=False)
        ear.clear()
    while len(flows.near) < FLOWS_MAX:
        flows.open()
        # A tap moves a flow to the queue of its last answer.
        flows.exchange(flows.near[-1:])
        for ear in ears:
            ear.read(count=False)
        flows.exchange(flows.near[-1:])
        for ear in ears:
            ear.read()
        if len(flows.near) >= FLOWS_MIN and not any(
                ear.deaf(n) for ear, n in zip(ears, queues)):
            break
    for _ in range(exchanges):
        flows.exchange(flows.near)
        time.sleep(STEP_S)
        for ear in ears:
            ear.read()
    return {
        "flows": len(flows.near),
        "unanswered": flows.unanswered,
        "longest_ms": round(flows.longest_s * 1000),
        "heard": [ear.heard[:n] for ear, n in zip(ears, queues)],
        "deaf": [ear.deaf(n) for ear, n in zip(ears, queues)],
        "unnoted": [sum(ear.heard[n:]) for ear, n in zip(ears, queues)],
    }


def main():
    a, dev_a, b, dev_b, addr = sys.argv[1:]
    enter(a)
    ears = [Ear(dev_a, 1)]
    enter(b)
    ears.append(Ear(dev_b, 2))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((addr, PORT))
    listener.listen(FLOWS_MAX)
    listener.settimeout(PATIENCE_S)
    for line in iter(sys.stdin.readline, ""):
        exchanges, *queues = map(int, line.split())
        flows = Flows(a, addr, listener)
        try:
            said = run(ears, queues, exchanges, flows)
        except OSError as err:
            said = {"error": str(err), "flows": len(flows.near)}
        flows.close()
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
