#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""live_tables: the results of live.sh as tables and plots.

Usage: live_tables.py RESULTS.jsonl [DOCUMENT.md]

Prints the tables; with a document puts them, and plots beside it, between the
two lines that MARKS names.  live.md has what is said of them."""
import json
import os
import sys
from statistics import median

from bottleneck_tables import rate_text
from charts import Bar, Chart, svg

MARKS = ("<!-- live: made by tests/bench/live_tables.py -->",
         "<!-- /live -->")
PACES = {"idle": "an idle guest", "few": "500 pages/s, 4 blocks of each",
         "hot": "5000 pages/s among 512 pages", "redis": "Redis, kept busy"}
NAMES = {"pagetrim10": "pagetrim, QEMU 10", "qemu10": "QEMU 10",
         "pagetrim": "pagetrim, QEMU 7.2", "qemu": "QEMU 7.2",
         "digest": "pagetrim, digest", "nodelta10": "without deltas"}


class Cell:
    """The runs of one contestant with one guest on one link."""

    def __init__(self, runs):
        self.runs = [r for r in runs if r.get("seconds")]
        self.is_damaged = any(not r.get("sound") for r in runs)

    def values(self, key):
        found = [key(r) for r in self.runs]
        return [v for v in found if v is not None]

    def median(self, key):
        values = self.values(key)
        return median(values) if values else None


def seconds(run):
    return run["seconds"]


def gap_ms(run):
    return run["gap_ms"]


def sent_mb(run):
    return run["link_bytes"] / 1e6


def slower(run):
    return run["loop_during_us"] / run["loop_before_us"]


def kept_ops(run):
    before = run.get("ops_before")
    return run["ops_during"] / before if before else None


def later_mb(run):
    """Of the second round and all that followed."""
    rounds = run.get("round_bytes")
    return (run["bytes"] - rounds[0]) / 1e6 if rounds else None


def cells(runs):
    found = {}
    for r in runs:
        key = (r["link_mbps"], r["size_mib"], r["pace"], r["who"])
        found.setdefault(key, []).append(r)
    return {key: Cell(of) for key, of in found.items()}


def link_text(mbps):
    return rate_text(mbps) if mbps else "open veth"


def figure(value, form="{:.2f}"):
    return form.format(value) if value is not None else "-"


def ratio(all_cells, key, value):
    """Of QEMU's figure on the same link with the same guest."""
    peer = {"pagetrim10": "qemu10", "pagetrim": "qemu"}.get(key[3])
    own, other = all_cells[key].median(value), None
    if peer and key[:3] + (peer,) in all_cells:
        other = all_cells[key[:3] + (peer,)].median(value)
    return own / other if own is not None and other else None


def row(all_cells, key):
    cell = all_cells[key]
    if not cell.runs:
        return [NAMES[key[3]], "damages its guest"] + ["-"] * 7
    gaps = cell.values(gap_ms)
    return [NAMES[key[3]] + (" (damaged its guest)" if cell.is_damaged else ""),
            figure(cell.median(seconds)),
            figure(ratio(all_cells, key, seconds)),
            f"{median(gaps):.0f} ({max(gaps):.0f})",
            figure(ratio(all_cells, key, gap_ms)),
            figure(cell.median(sent_mb), "{:.0f}"),
            figure(ratio(all_cells, key, sent_mb)),
            figure(cell.median(slower)), figure(cell.median(kept_ops))]


HEADS = ["who", "seconds", "of QEMU's", "longest gap, ms (worst)", "of QEMU's",
         "MB on the link", "of QEMU's", "guest's loop slower by",
         "Redis operations kept"]


def markdown(heads, rows):
    lines = ["| " + " | ".join(heads) + " |",
             "|---" + "|---:" * (len(heads) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows])


def who_is(key):
    return list(NAMES).index(key[3])


def compared(all_cells):
    """A table per link and guest, of the common size."""
    parts, seen = [], []
    for key in all_cells:
        if key[:3] not in seen and key[1] == 512:
            seen.append(key[:3])
    for link, size, pace in seen:
        keys = sorted((k for k in all_cells if k[:3] == (link, size, pace)
                       and not k[3].startswith("nodelta")), key=who_is)
        parts.append(f"**{link_text(link)}, {PACES[pace]}**\n\n" + markdown(
            HEADS, [row(all_cells, key) for key in keys]))
    return "\n\n".join(parts)


def deltas(all_cells):
    rows = []
    for key, cell in all_cells.items():
        without = all_cells.get(key[:3] + ("nodelta10",))
        if key[3] != "pagetrim10" or not without:
            continue
        if not cell.values(later_mb) or not without.values(later_mb):
            continue
        a, b = cell.median(later_mb), without.median(later_mb)
        rows.append([f"{PACES[key[2]]}, {link_text(key[0])}", figure(b),
                     figure(a), figure(a / b)])
    return rows and markdown(
        ["guest", "MB from the second round on, without", "with", "ratio"],
        rows)


def part_ms(name):
    return lambda run: (run.get("parts") or {}).get(name)


def by_size(all_cells):
    parts, rows = first_parts(all_cells), []
    for key, cell in sorted(all_cells.items(), key=lambda i: i[0][1]):
        if key[0] != 10000 or key[2] != "few" or not cell.runs:
            continue
        rows.append([str(key[1]), NAMES[key[3]], figure(cell.median(seconds))] +
                    [figure(cell.median(of), "{:.0f}") for of in
                     [gap_ms, lambda run: run.get("downtime_ms")] +
                     [part_ms(p) for p in parts]])
    return rows and markdown(
        ["MiB", "who", "seconds", "client's longest gap, ms", "downtime, ms"] +
        parts, rows)


def first_parts(all_cells):
    for cell in all_cells.values():
        for r in cell.runs:
            if r.get("parts"):
                return list(r["parts"])
    return []


def chart(all_cells, link, value, title, axis):
    drawn = Chart(title, axis)
    for key in sorted(all_cells, key=lambda k: (list(PACES).index(k[2]),
                                                who_is(k))):
        cell = all_cells[key]
        if key[:2] != (link, 512) or not cell.runs or \
           key[3].startswith("nodelta"):
            continue
        values = cell.values(value)
        drawn.add(PACES[key[2]], Bar(
            NAMES[key[3]], median(values),
            "peer" if key[3].startswith("qemu") else "sealed",
            (min(values), max(values))))
    return drawn


CHARTS = [("live-time", seconds, "Total time at 1 Gbit/s", "seconds"),
          ("live-gap", gap_ms, "Longest gap that a client sees, 1 Gbit/s",
           "ms"),
          ("live-bytes", sent_mb, "Bytes on the link, 1 Gbit/s", "MB")]


def section(all_cells, stem):
    parts = []
    for name, value, title, axis in CHARTS:
        drawn = chart(all_cells, 1000, value, title, axis)
        if drawn.bars:
            with open(f"{stem}-{name}.svg", "w", encoding="utf-8") as file:
                file.write(svg(drawn))
            parts.append(f"![{title}]({os.path.basename(stem)}-{name}.svg)")
    here = os.path.dirname(os.path.realpath(__file__))
    with open(f"{here}/live.md", encoding="utf-8") as file:
        text = file.read().split("-->\n", 1)[-1].strip()
    tables = {"compared": compared(all_cells), "by-size": by_size(all_cells),
              "deltas": deltas(all_cells), "charts": "\n\n".join(parts)}
    for name, table in tables.items():
        text = text.replace(f"@{name}@", table or "(not measured)")
    return text


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        all_cells = cells(json.loads(line) for line in file)
    for table in (compared, deltas, by_size):
        print(table(all_cells) or "(not measured)", end="\n\n")
    if len(sys.argv) == 2:
        return
    with open(sys.argv[2], encoding="utf-8") as file:
        text = file.read()
    if MARKS[0] not in text:
        sys.exit(f"live_tables: {sys.argv[2]}: has no line '{MARKS[0]}'")
    part = section(all_cells, os.path.splitext(sys.argv[2])[0])
    before, after = text.split(MARKS[0])[0], text.split(MARKS[1])[1]
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(f"{before}{MARKS[0]}\n\n{part}\n\n{MARKS[1]}{after}")


if __name__ == "__main__":
    main()
