#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""redis_load: keeps the guest's Redis busy, and checks what it stores.

    redis_load.py ADDRESS

8000 keys of 2000 random bytes each; then batches of 8 values that are stored
anew and 8 that are read and compared, by one connection, without a pause.

Prints one JSON object per line:
    {"ready": true}          all keys are stored
    {"time": ..., "operations": ...}   at each SIGUSR1: the operations so far
    {"operations": ..., "wrong": 0}    at SIGTERM
Exit: 0 all values that were read were as stored, 1 one was not, or no connection.
"""
import json
import random
import signal
import socket
import sys
import time

PORT = 6379
KEYS = 8000
VALUE_SZ = 2000
BATCH = 8
WAIT_S = 60  # a move is shorter


def say(**what):
    print(json.dumps(what), flush=True)


def value(key, version):
    return random.Random(key << 32 | version).randbytes(VALUE_SZ)


def command(*words):
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Load:
    def __init__(self, address):
        self.sock = connect(address)
        self.answers = self.sock.makefile("rb")
        self.versions = [0] * KEYS
        self.operations = self.wrong = 0
        self.is_asked = self.is_over = False
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "is_asked", True))
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "is_over", True))

    def answer(self):
        """The value that is read, or None where one was stored."""
        line = self.answers.readline()
        if line == b"+OK\r\n":
            return None
        if not line.startswith(b"$"):
            raise OSError(f"Redis answers {line[:80]!r}")
        return self.answers.read(int(line[1:]) + 2)[:-2]

    def batch(self, stored, read):
        request = []
        for key in stored:
            self.versions[key] += 1
            request.append(command(b"SET", b"key:%d" % key,
                                   value(key, self.versions[key])))
        request += [command(b"GET", b"key:%d" % key) for key in read]
        self.sock.sendall(b"".join(request))
        for _ in stored:
            if self.answer() is not None:
                raise OSError("Redis reads where it is to store")
        for key in read:
            self.wrong += self.answer() != value(key, self.versions[key])
        self.operations += len(request)

    def run(self):
        for first in range(0, KEYS, BATCH):
            self.batch(range(first, first + BATCH), [])
        say(ready=True)
        draw = random.Random(1)
        while not self.is_over:
            self.batch(draw.sample(range(KEYS), BATCH),
                       draw.sample(range(KEYS), BATCH))
            if self.is_asked:
                self.is_asked = False
                say(time=time.monotonic(), operations=self.operations)
        say(operations=self.operations, wrong=self.wrong)
        return 1 if self.wrong else 0


def connect(address):
    end = time.monotonic() + WAIT_S
    while True:
        try:
            return socket.create_connection((address, PORT), WAIT_S)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def main():
    if len(sys.argv) != 2:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    try:
        return Load(sys.argv[1]).run()
    except OSError as err:
        print(f"redis_load: {sys.argv[1]}: {err}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
