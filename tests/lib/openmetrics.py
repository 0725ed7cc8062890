#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""openmetrics: reads OpenMetrics text, written from the standard (OpenMetrics
1.0, "Text Format") and not from our code.

    openmetrics.py <TEXT        prints {"NAME{LABELS}": VALUE, ...} as JSON; at
                                text that is no OpenMetrics it exits with 1

It knows the types that pagetrim uses: gauge, counter and stateset.
"""
import json
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL}(?:,{LABEL})*)?)\}})? "
                    r"(-?(?:\d+\.?\d*(?:e[+-]?\d+)?|Inf)|NaN)$")
SUFFIX = {"gauge": "", "counter": "_total", "stateset": ""}


class Wrong(Exception):
    """The text is no OpenMetrics."""


class Family:
    """The descriptors and samples of one metric family."""

    def __init__(self, name):
        self.name, self.said = name, {}
        self.has_samples = False

    def describe(self, kind, text):
        if kind in self.said or self.has_samples:
            raise Wrong(f"{self.name}: {kind} again, or behind a sample")
        if kind == "TYPE" and text not in SUFFIX:
            raise Wrong(f"{self.name}: type {text}")
        if kind == "UNIT" and not self.name.endswith("_" + text):
            raise Wrong(f"{self.name}: does not end in its unit, {text}")
        self.said[kind] = text

    def check(self, name, labels, value):
        kind = self.said.get("TYPE")
        if kind is None or name != self.name + SUFFIX[kind]:
            raise Wrong(f"{name}: not of the family before it, {self.name}")
        if kind == "counter" and value < 0:
            raise Wrong(f"{name}: a counter below 0")
        if kind == "stateset" and (value not in (0, 1) or
                                   self.name not in labels):
            raise Wrong(f"{name}: no state")
        self.has_samples = True


def read(text):
    """The samples of the text, by name and labels."""
    if not text.endswith("# EOF\n"):
        raise Wrong("no # EOF at the end")
    samples, names, family = {}, set(), None
    for line in text.removesuffix("# EOF\n").splitlines():
        if line.startswith("# "):
            _, kind, name, rest = line.split(" ", 3)
            if kind not in ("TYPE", "UNIT", "HELP") or \
                    not re.fullmatch(NAME, name):
                raise Wrong(line)
            if family is None or name != family.name:
                if name in names:
                    raise Wrong(f"{name}: its lines stand apart")
                names.add(name)
                family = Family(name)
            family.describe(kind, rest)
            continue
        found = SAMPLE.match(line)
        if not found or family is None:
            raise Wrong(f"no sample: {line}")
        labels = re.findall(LABEL, found[2] or "")
        keys = [label.split("=", 1)[0] for label in labels]
        if len(set(keys)) != len(keys):
            raise Wrong(f"a label twice: {line}")
        family.check(found[1], keys, float(found[3]))
        key = f"{found[1]}{{{','.join(sorted(labels))}}}"
        if key in samples:
            raise Wrong(f"twice: {key}")
        value = float(found[3])
        samples[key] = int(value) if value.is_integer() else value
    return samples


if __name__ == "__main__":
    try:
        print(json.dumps(read(sys.stdin.read())))
    except (Wrong, ValueError) as wrong:
        sys.exit(f"openmetrics.py: {wrong}")
