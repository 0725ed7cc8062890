#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""report: the results of bench.sh, printed and written.

    report.py RESULTS [--write FILE.md]

Prints the tables.  With --write, document.md with its @NAME@ lines replaced by
tables goes to FILE.md, each chart to FILE-NAME.svg, and what verdicts.md says
about the targets that are not reached goes in, too.
"""
import argparse
import os
import re
import statistics
import sys
import textwrap

from bottleneck_tables import kept_section
from charts import svg
from live_tables import MARKS as LIVE_MARKS
from results import Results
from tables import (IMAGES, all_charts, contestants, images, left_out, limits,
                    memory, stages, targets, ways)
from targets import all_targets, bytes_of_qemu

HERE = os.path.dirname(os.path.realpath(__file__))
LINE_MAX = 120
BUSY = 0.05  # of the machine's CPUs, stolen or used by others


def verdicts(path):
    """key -> what is said of it; a heading may name several keys."""
    said = {}
    with open(path, encoding="utf-8") as file:
        parts = re.split(r"^## ", file.read(), flags=re.M)[1:]
    for part in parts:
        keys, _, text = part.partition("\n")
        for key in keys.split():
            said[key] = text.strip()
    return said


def missed(results, said):
    """What holds each target that is not reached; one text once."""
    texts = {}
    for t in all_targets(results):
        if t.is_measured and not t.is_reached:
            text = said.get(t.key, "Not looked into yet.")
            texts.setdefault(text, []).append(t)
    if not texts:
        return "All that was measured is reached."
    return "\n\n".join(
        "".join(f"- **{t.what}**: {t.text} of {t.goal:g}{t.unit}.\n"
                for t in ts) + f"\n{text}" for text, ts in texts.items())


def bytes_sealed(results):
    """The targets of bytes go by what is not sealed: what is true sealed."""
    said = [f"{share:.2f} at MTU {mtu}"
            for mtu, share in bytes_of_qemu(results, "pagetrim") if share]
    if not said:
        return "(bytes of sealed transfers: not measured)"
    return ("The targets of bytes go by `--insecure`, where pages that equal "
            "others go as copies. The same figure of the sealed transfers in "
            "these tables is " + ", ".join(said) + ".")


def stolen(results):
    """The share of the CPUs that the hypervisor took away during the cases."""
    cpu_s = sum(r["case_s"] for r in results.runs) * results.machine["cores"]
    return sum(r["steal_s"] for r in results.runs) / cpu_s


def others(results):
    """The share of the CPUs that others used between the rounds."""
    if not results.others_cpus:
        return 0
    return statistics.median(results.others_cpus) / results.machine["cores"]


def machine(results):
    m = results.machine
    guest = "a virtual machine, " if m["hypervisor"] == "yes" else ""
    lines = [
        f"{guest}{m['cpu']}, {m['cores']} cores, {m['memory_mib']} MiB of "
        f"memory, Linux {m['kernel']}; QEMU {m['qemu']}.",
        f"{m['date']}, commit {m['commit']}. Others used "
        f"{others(results) * 100:.1f} % of its CPUs between the rounds, and the "
        f"hypervisor took {stolen(results) * 100:.1f} % away.",
        f"Images of {m['size_mib']} MiB, the guest's work {m['work']}; "
        f"medians of {m['runs']} rounds.",
    ]
    if others(results) > BUSY or stolen(results) > BUSY:
        lines.append("**The machine was busy: doubt these figures.**")
    if m["huge"] != "never":
        lines.append("Memory in pages of 2 MiB.")
    if m["args"].strip():
        lines.append(f"Further options of pagetrim: `{m['args'].strip()}`.")
    lines += [f"Not run: {what}: {why}."
              for what, why in results.absent.items()]
    return lines


def parts(results):
    """The tables: heading -> table."""
    found = {"Targets": targets(results)}
    for image, name in IMAGES.items():
        found[f"The contestants: {name}"] = contestants(results, image)
    found["Images: seconds"] = images(results)
    found["Trimming and copies"] = left_out(results)
    found["Queues and trimming"] = ways(results)
    found["Stages: ms (GB/s)"] = stages(results)
    found["Limits"] = limits(results)
    found["Memory"] = memory(results)
    return {name: table for name, table in found.items() if table.rows}


def wrapped(line):
    """A paragraph in lines of at most 120 columns; tables and headings as they are."""
    if len(line) <= LINE_MAX or line.startswith(("|", "#", "!", "<")):
        return line
    return textwrap.fill(line, LINE_MAX, break_long_words=False, break_on_hyphens=False,
                         subsequent_indent="  " if line.startswith("- ") else "")


def write_document(results, path, said):
    stem = os.path.splitext(path)[0]
    with open(f"{HERE}/document.md", encoding="utf-8") as file:
        text = file.read()
    filled = {"machine": "\n".join(f"- {line}" for line in machine(results)),
              "targets": targets(results).markdown(),
              "missed": missed(results, said),
              "bytes-sealed": bytes_sealed(results),
              "guest": contestants(results, "guest").markdown(),
              "images": images(results).markdown(),
              "left-out": left_out(results).markdown(),
              "ways": ways(results).markdown(),
              "stages": stages(results).markdown(),
              "limits": limits(results).markdown(),
              "memory": memory(results).markdown(),
              "bottleneck": kept_section(path),
              "live": kept_section(path, LIVE_MARKS)}
    for name, chart in all_charts(results).items():
        with open(f"{stem}-{name}.svg", "w", encoding="utf-8") as file:
            file.write(svg(chart))
        filled[f"chart-{name}"] = \
            f"![{chart.title}]({os.path.basename(stem)}-{name}.svg)"
    text = re.sub(r"^@([a-z-]+)@$",
                  lambda match: filled.get(match[1], "(not measured)"), text,
                  flags=re.M)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(wrapped(line) for line in text.split("\n")))


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    args.add_argument("results")
    args.add_argument("--write", metavar="FILE.md")
    args.add_argument("--verdicts", default=f"{HERE}/verdicts.md")
    args = args.parse_args()
    try:
        with open(args.results, encoding="utf-8") as file:
            results = Results(file)
    except (OSError, ValueError) as err:
        print(f"report: {args.results}: {err}", file=sys.stderr)
        return 1
    if not results.runs or not results.machine:
        print(f"report: {args.results}: no results", file=sys.stderr)
        return 1
    sys.stdout.reconfigure(encoding="utf-8")
    said = verdicts(args.verdicts)
    print("\n".join(machine(results)))
    for name, table in parts(results).items():
        print(f"\n{name}\n\n{table.text()}")
    for t in all_targets(results):
        if t.is_measured and not t.is_reached and t.key not in said:
            print(f"report: verdicts.md says nothing of {t.key}, which is "
                  "missed", file=sys.stderr)
    if args.write:
        try:
            write_document(results, args.write, said)
        except OSError as err:
            print(f"report: {err}", file=sys.stderr)
            return 1
        print(f"\nWritten: {args.write}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
