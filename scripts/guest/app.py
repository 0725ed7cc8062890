# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""app: simulates an application server: a parent that loads the logs into
ordinary Python objects, and workers forked from it that keep results of their
own. No process frees anything.

    app.py WORK DATA_DIR UP_FILE     creates UP_FILE when the workers are up
"""
import json
import os
import signal
import sys

WORKERS = 6


def load(path):
    """One dict per log line."""
    with open(path, encoding="ascii") as log:
        names = log.readline().split()
        return [dict(zip(names, line.split())) for line in log]


def worker(n, hits, up):
    """Index the n-th share of the hits and hold on to the answer."""
    by_host = {}
    for hit in hits[n::WORKERS]:
        by_host.setdefault(hit["host"], []).append(int(hit["size"]))
    answer = json.dumps({h: sum(s) for h, s in by_host.items()})
    os.write(up, b".")
    while answer:
        signal.pause()


def main():
    work, data, up_file = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    hits = []
    for i in range(1, work + 1):
        hits += load(f"{data}/access-{i}.log")[::4]
    down, up = os.pipe()
    for n in range(WORKERS):
        if os.fork() == 0:
            worker(n, hits, up)
    for _ in range(WORKERS):
        os.read(down, 1)
    with open(up_file, "w", encoding="ascii"):
        pass
    while hits:
        signal.pause()


main()
