#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""bytes_tables: tables and plots of what bytes.sh has measured.

    bytes_tables.py RESULTS [--write DOCUMENT]

Prints the tables as Markdown.  --write puts them between the marks of DOCUMENT,
and plots, DOCUMENT's name with -MTU.svg, beside it.
"""
import json
import os
import sys
from statistics import median

from lines import Panel, svg_of_panels

BEGIN, END = "<!-- bytes -->", "<!-- /bytes -->"
IMAGES = {"guest": "Debian 12, files and programs",
          "database": "Debian 13, PostgreSQL"}
NAMES = {"auto": "pagetrim, `--compress auto`",
         "off": "pagetrim, `--compress off`",
         "lz4": "pagetrim, `--compress lz4`",
         "zstd": "pagetrim, `--compress zstd`",
         "qemu": "QEMU, plain", "qemu-multifd": "QEMU, multifd",
         "qemu-zstd2": "QEMU, multifd zstd, 2 channels",
         "qemu-zstd4": "QEMU, multifd zstd, 4 channels",
         "tcp": "plain TCP, zero pages left out",
         "tcp-lz4": "TCP through `lz4 -1`",
         "tcp-zstd": "TCP through `zstd -1`"}
PLOTTED = {"auto": "ours-line", "qemu10": "peer-line",
           "qemu10-zstd2": "quiet-line"}


def name(who):
    warm = who.endswith("-warm")
    who = who.removesuffix("-warm")
    clear = who.endswith("-insecure")
    who = who.removesuffix("-insecure")
    text = NAMES[who.replace("qemu10", "qemu")]
    if who.startswith("qemu10"):
        text = text.replace("QEMU", "QEMU 10")
    return text + (", not sealed" if clear else "") + \
        (", sink allocated before" if warm else "")


class Results:
    """Medians of the cells."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file if line.strip()]
        self.blast = {r["mtu"]: r["blast_mbps"] for r in rows
                      if "blast_mbps" in r}
        self.rows = [r for r in rows if r.get("seconds")]

    def values(self, key):
        found = {r[key]: None for r in self.rows}
        return list(found)

    def cell(self, what, **keys):
        """The median of `what` in the runs that have these keys; None."""
        found = [r[what] for r in self.rows
                 if all(r[k] == v for k, v in keys.items())]
        return median(found) if found else None

    def run_cnt(self, **keys):
        return len([r for r in self.rows
                    if all(r[k] == v for k, v in keys.items())])


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |",
             "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows])


def text(value, form, scale=1):
    return "" if value is None else format(value * scale, form)


def bytes_table(results, image, mtus):
    """MB on the wire.  They hardly depend on the rate: of the lowest one that was
    measured."""
    rows = []
    for who in results.values("who"):
        row = [name(who)]
        for mtu in mtus:
            links = sorted(r["link_mbps"] for r in results.rows if
                           (r["image"], r["mtu"], r["who"]) == (image, mtu, who))
            value = results.cell("link_bytes", image=image, mtu=mtu, who=who,
                                 link_mbps=links[0]) if links else None
            row.append(text(value, ".1f", 1e-6))
        if any(row[1:]):
            rows.append(row)
    return table(["MB on the wire"] + [f"MTU {m}" for m in mtus], rows)


def time_table(results, image, mtu, links):
    rows = []
    for who in results.values("who"):
        row = [name(who)]
        for link in links:
            keys = {"image": image, "mtu": mtu, "link_mbps": link, "who": who}
            seconds = results.cell("seconds", **keys)
            row.append("" if seconds is None else
                       f"{seconds:.2f} ({results.cell('cpu_s', **keys):.2f})")
        if any(row[1:]):
            rows.append(row)
    return table([f"seconds (CPU seconds), MTU {mtu}"] +
                 [f"{link / 1000:g} Gbit/s" for link in links], rows)


def plot(results, image, mtus, links):
    panels = []
    for mtu in mtus:
        panel = Panel(f"seconds, MTU {mtu}")
        for who, kind in PLOTTED.items():
            points = [(link / 1000, results.cell(
                "seconds", image=image, mtu=mtu, link_mbps=link, who=who))
                for link in sorted(links)]
            points = [p for p in points if p[1] is not None]
            if len(points) > 1:
                panel.add(name(who).replace("`", ""), kind, points)
        if panel.curves:
            panels.append(panel)
    if not panels:
        return None
    return svg_of_panels(f"{IMAGES[image]}: time against the link's rate", panels,
                         axis="Gbit/s")


def document(results, base):
    """The tables as Markdown, and the plots, {file name: SVG}."""
    mtus = sorted(results.values("mtu"), reverse=True)
    links = sorted(link for link in results.values("link_mbps") if link)
    parts, plots = [], {}
    for image in results.values("image"):
        parts += [f"### {IMAGES[image]}", bytes_table(results, image, mtus)]
        for mtu in mtus:
            here = [link for link in links
                    if results.run_cnt(image=image, mtu=mtu, link_mbps=link)]
            if here:
                parts.append(time_table(results, image, mtu, here))
        picture = plot(results, image, mtus, links)
        if picture:
            plots[f"{base}-{image}.svg"] = picture
            parts.append(f"![Time against rate]({base}-{image}.svg)")
    if results.blast:
        parts.append("AF_XDP frames alone, without a limit: " + ", ".join(
            f"{mbps / 1000:.1f} Gbit/s at MTU {mtu}"
            for mtu, mbps in results.blast.items()) + ". Cells of which that "
            "does not fill the rate 1.2 times over are left out.")
    return "\n\n".join(parts), plots


def write(path, tables, plots):
    with open(path, encoding="utf-8") as file:
        old = file.read()
    if old.count(BEGIN) != 1 or old.count(END) != 1:
        sys.exit(f"bytes_tables: {path}: not one {BEGIN} and {END}")
    before, after = old.split(BEGIN)[0], old.split(END)[1]
    for file_name, picture in plots.items():
        with open(os.path.join(os.path.dirname(path), file_name), "w",
                  encoding="utf-8") as file:
            file.write(picture)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}")


def main():
    if len(sys.argv) not in (2, 4) or sys.argv[2:3] not in ([], ["--write"]):
        print(__doc__.split("\n\n")[1].strip(), file=sys.stderr)
        return 2
    target = sys.argv[3] if len(sys.argv) == 4 else "bytes.md"
    base = os.path.splitext(os.path.basename(target))[0]
    tables, plots = document(Results(sys.argv[1]), base)
    print(tables)
    if len(sys.argv) == 4:
        write(target, tables, plots)
    return 0


if __name__ == "__main__":
    sys.exit(main())
