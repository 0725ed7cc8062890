#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""choices: looks at a sender's compression while it sends, and shows them.

Usage: choices.py look SOCKET RESULTS.json PATH-RATE-FILE
       choices.py show RESULTS.json [PLOT.svg]

A look is the path's rate, by what the file says, and the sender's counts since its
start: seconds, Ethernet bytes, and bytes of blocks by method."""
import json
import socket
import sys
import time

from lines import Panel, svg_of_panels

EVERY_S, PATIENCE_S = 0.05, 30
METHODS = {"none": ("plain", "quiet-line"), "lz4": ("LZ4", "peer-line"),
           "zstd": ("zstd", "ours-line")}


def connect(path):
    """The sender's socket, once it listens."""
    end = time.monotonic() + PATIENCE_S
    while True:
        ctl = socket.socket(socket.AF_UNIX)
        try:
            ctl.connect(path)
            return ctl.makefile("rw")
        except (FileNotFoundError, ConnectionRefusedError):
            ctl.close()
            if time.monotonic() > end:
                sys.exit(f"choices: {path}: nobody listens")
            time.sleep(EVERY_S)


def look(ctl, rate_file):
    ctl.write("status\n")
    ctl.flush()
    status = json.loads(ctl.readline())
    with open(rate_file, encoding="utf-8") as file:
        mbps = int(file.read())
    return {"s": status["total-time"] / 1000, "path_mbps": mbps,
            "wire": status["ram"]["transferred"],
            "methods": {name: m["bytes"] for name, m in
                        status["compression"]["methods"].items()}}


def looks(path, rate_file):
    """Looks until the sender ends."""
    ctl, found = connect(path), []
    while True:
        try:
            found.append(look(ctl, rate_file))
        except (OSError, ValueError):   # it has ended
            return found
        time.sleep(EVERY_S)


def slopes(found, value):
    """Rates between looks, (second, MB/s), over a fifth of a second each."""
    points = []
    for i in range(4, len(found)):
        before, now = found[i - 4], found[i]
        spent = now["s"] - before["s"]
        if spent > 0:
            points.append((now["s"] - spent / 2,
                           (value(now) - value(before)) / 1e6 / spent))
    return points


def plot(found):
    path, rate = Panel("the path, Gbit/s"), Panel("blocks, MB/s")
    path.add("limit", "quiet-line", [(f["s"], f["path_mbps"] / 1000) for f in found])
    path.add("on the wire", "ours-line",
             [(s, mb * 8 / 1000) for s, mb in slopes(found, lambda f: f["wire"])])
    for method, (name, kind) in METHODS.items():
        rate.add(name, kind, slopes(found, lambda f, m=method: f["methods"][m]))
    return svg_of_panels("What --compress auto chooses while the path changes",
                         [path, rate])


def table(found):
    """MB of blocks by method, for each rate of the path in turn."""
    rows, start = [], found[0]
    for before, now in zip(found, found[1:] + [None]):
        if now and now["path_mbps"] == before["path_mbps"]:
            continue
        parts = [f"{before['methods'][m] / 1e6 - start['methods'][m] / 1e6:.0f}"
                 for m in METHODS]
        rows.append(f"| {before['path_mbps']} Mbit/s, "
                    f"{before['s'] - start['s']:.1f} s | " + " | ".join(parts) + " |")
        start = before
    head = "| path | " + " | ".join(f"{name}, MB of blocks"
                                    for name, _ in METHODS.values()) + " |"
    return "\n".join([head, "| --- |" + " ---: |" * len(METHODS), *rows])


def main():
    if sys.argv[1:2] == ["look"] and len(sys.argv) == 5:
        with open(sys.argv[3], "w", encoding="utf-8") as out:
            json.dump(looks(sys.argv[2], sys.argv[4]), out)
        return 0
    if sys.argv[1:2] != ["show"] or len(sys.argv) not in (3, 4):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    with open(sys.argv[2], encoding="utf-8") as file:
        found = json.load(file)
    if len(found) < 10:
        sys.exit(f"choices: {sys.argv[2]}: too few looks")
    print(table(found))
    if len(sys.argv) == 4:
        with open(sys.argv[3], "w", encoding="utf-8") as out:
            out.write(plot(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
