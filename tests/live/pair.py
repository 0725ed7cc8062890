#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""pair: watches two QEMUs between which a guest of counter.S moves.

    pair.py MONITOR_A RAM_A MONITOR_B RAM_B

Prints `ready` when both answer, and watches until its input ends: by their
events, whose time stamps are QEMU's own, and by questions.  Then it prints one
JSON object:

    a, b       the state of each: QEMU's word, or gone
    both       whether both ever ran at once
    polls      how often both were asked
    back_ms    the longest time that a stood still and then ran again; null: never
    passes     of the guest at the end

A guest that runs must count, and its memory be that of one moment; if none runs,
the source is continued, and the same must hold then.  Exit: 0 it does, 1 it does
not (and why, on stderr).
"""
import json
import mmap
import os
import select
import socket
import struct
import sys
import time

POLL_S = 0.01
LAUNCH_S = 60
COUNT_S = 30
WORDS = range(0x10000, 0x90000, 1024)
DAMAGE_AT = 0x90000  # the words that counter.S found to be wrong
STILL_AT = 0x100000  # from here on memory does not change


class Guest:
    """A QEMU.  runs: since when its guest runs; None: it does not."""

    def __init__(self, path, ram):
        self.ram = ram
        self.sock = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + LAUNCH_S
        while self.sock.connect_ex(path):
            if time.monotonic() > end:
                raise RuntimeError(f"{path}: QEMU has not started")
            time.sleep(0.01)
        self.buffer = b""
        self.state = None
        self.times = []  # of (moment, whether it runs from then on)
        self._take(self._line())
        self.run("qmp_capabilities")
        status = self.run("query-status")
        self.times.append((time.time(), status["running"]))
        self.state = status["status"]

    def _line(self):
        while b"\n" not in self.buffer:
            try:
                got = self.sock.recv(65536)
            except ConnectionError:
                got = b""
            if not got:
                self.times.append((time.time(), False))
                self.state = "gone"
                return b"{}"
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def _take(self, line):
        answer = json.loads(line)
        if answer.get("event") in ("STOP", "RESUME"):
            stamp = answer["timestamp"]
            self.times.append((stamp["seconds"] + stamp["microseconds"] / 1e6,
                               answer["event"] == "RESUME"))
        return answer

    def run(self, command, **arguments):
        """Executes command; {}: QEMU is gone."""
        if self.state == "gone":
            return {}
        try:
            self.sock.sendall(json.dumps(
                {"execute": command, "arguments": arguments}).encode() + b"\n")
        except OSError:
            pass
        while self.state != "gone":
            answer = self._take(self._line())
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
        return {}

    def asked(self):
        """Whether it runs, by a question."""
        status = self.run("query-status")
        self.state = status.get("status", "gone")
        return status.get("running", False)

    def words(self, where=WORDS):
        """Words of its memory: those of counter.S, in its order."""
        with open(self.ram, "rb") as file, \
                mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as ram:
            return [struct.unpack_from("<I", ram, at)[0] for at in where]

    def still(self):
        """The memory that does not change."""
        with open(self.ram, "rb") as file:
            file.seek(STILL_AT)
            return file.read()

    def periods(self, until):
        """(from, to) for each time that it ran."""
        since, found = None, []
        for moment, runs in sorted(self.times) + [(until, False)]:
            if runs and since is None:
                since = moment
            elif not runs and since is not None:
                found.append((since, moment))
                since = None
        return found


def must(holds, text):
    """Fails with text unless holds."""
    if not holds:
        raise RuntimeError(text)


def judge(guest):
    """The guest counts, and its memory is that of one moment."""
    first = guest.words()[0]
    end = time.monotonic() + COUNT_S
    while guest.words()[0] < first + 1:
        must(time.monotonic() < end, f"{guest.ram}: the guest does not count")
        time.sleep(0.01)
    guest.run("stop")
    words = guest.words()
    must(all(0 <= a - b <= 1 for a, b in zip(words, words[1:])) and
         words[0] - words[-1] <= 1,
         f"{guest.ram}: memory of several moments: {sorted(set(words))}")
    damage = guest.words([DAMAGE_AT])[0]
    must(damage == 0, f"{guest.ram}: the guest found {damage} wrong words")
    return words[0]


def watch(a, b):
    """Asks both until the input ends; returns how often, and if both ran."""
    polls, both = 0, False
    while not select.select([0], [], [], POLL_S)[0]:
        polls += 1
        both |= a.asked() and b.asked() and a.asked()
    os.read(0, 1)
    return polls, both


def main():
    """See above."""
    a, b = Guest(*sys.argv[1:3]), Guest(*sys.argv[3:5])
    still = a.still()
    print("ready", flush=True)
    polls, both = watch(a, b)
    runs = [guest for guest in (a, b) if guest.asked()]
    now = time.time()
    said = {"a": a.state, "b": b.state, "polls": polls}
    ran_a, ran_b = a.periods(now), b.periods(now)
    both |= any(start < to and since < end
                for start, end in ran_a for since, to in ran_b)
    said["both"] = both or len(runs) > 1
    stood = [round((after[0] - before[1]) * 1000)
             for before, after in zip(ran_a, ran_a[1:])]
    said["back_ms"] = max(stood, default=None)
    if not runs and a.state != "gone":
        a.run("cont")
        runs = [a]
    for guest in runs:
        said["passes"] = judge(guest)
        must(guest.still() == still, f"{guest.ram}: differs")
    print(json.dumps(said))


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as err:
        sys.exit(f"pair: {err}")
