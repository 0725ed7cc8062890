#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""pairs: the results of pairs.sh as a table.

Usage: pairs.py RESULTS.json

A ratio is new/old of one pair.  The interval is that of the median: the ranks that
hold it with 95 %, whatever the distribution."""
import json
import sys
from math import comb
from statistics import median


def interval(values):
    """The order statistics around the median that it lies between with 95 %."""
    ranked, cnt = sorted(values), len(values)
    low, tail = 0, comb(cnt, 0) / 2 ** cnt
    while low < cnt // 2 and tail + comb(cnt, low + 1) / 2 ** cnt <= 0.025:
        low += 1
        tail += comb(cnt, low) / 2 ** cnt
    return ranked[low], ranked[cnt - 1 - low]


def ratios(runs, mtu, key):
    pairs = {}
    for run in runs:
        if run["mtu"] == mtu and run["pair"]:
            pairs.setdefault(run["pair"], {})[run["which"]] = run[key]
    return [p["new"] / p["old"] for p in pairs.values() if len(p) == 2]


def cell(values):
    low, high = interval(values)
    return f"{median(values):.3f} ({low:.3f}..{high:.3f})"


def main():
    if len(sys.argv) != 2:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        runs = [json.loads(line) for line in file]
    print("| MTU | pairs | time, new/old | CPU seconds, new/old | old, s |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for mtu in sorted({run["mtu"] for run in runs}, reverse=True):
        times = ratios(runs, mtu, "seconds")
        if not times:
            continue
        old = median(r["seconds"] for r in runs
                     if r["mtu"] == mtu and r["pair"] and r["which"] == "old")
        print(f"| {mtu} | {len(times)} | {cell(times)} "
              f"| {cell(ratios(runs, mtu, 'cpu_s'))} | {old:.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
