#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""fair.py PATH...: lets the senders whose --control sockets these are go, at
once and without a limit, and says how alike they were treated.

Prints JSON: the bytes that each sent from the moment when all were under way to
the one when the first was no longer active, and Jain's index of them: 1 if all
are alike, 1/n if one had all.
"""
import json
import socket
import sys


UNDER_WAY = 256 << 10    # bytes sent without a limit


class Sender:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.lines = self.socket.makefile()

    def ask(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def answer(self):
        return json.loads(self.lines.readline() or "{}")


def all_of(senders, line):
    """Ask all before the first answers."""
    for s in senders:
        s.ask(line)
    return [s.answer() for s in senders]


senders = [Sender(path) for path in sys.argv[1:]]
while {a.get("status") for a in all_of(senders, "status")} != {"active"}:
    pass
held = [a["transferred"] for a in all_of(senders, "status")]
all_of(senders, "set max-bandwidth 0")
begun = sent = None
look_cnt = 0
try:
    while True:
        answers = all_of(senders, "status")
        if {a.get("status") for a in answers} != {"active"}:
            break
        sent = [a["transferred"] for a in answers]
        if begun:
            look_cnt += 1
        elif all(s - h >= UNDER_WAY for h, s in zip(held, sent)):
            begun = sent
except (OSError, ValueError):
    pass        # one has ended, and its socket with it
got = [s - b for b, s in zip(begun or [0], sent or [0])]
squares = len(got) * sum(g * g for g in got)
print(json.dumps({"looks": look_cnt, "sent": got,
                  "jain": sum(got) ** 2 / squares if squares else 0}))
