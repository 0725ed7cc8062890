# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""results: what bench.sh wrote, one JSON object a line, and medians of it.

The first object is {"machine": ...}, some are {"absent": {WHAT: why}} or
{"others_cpus": what others used of the machine between rounds}, all others are
runs: image, run, what, mtu, queues, trim, and figures.
"""
import json
import statistics

GIB = 1 << 30
TRIMS = ("none", "ends", "blocks")


class Cell:
    """All runs of one case; false if there are none."""

    def __init__(self, runs):
        self.runs = runs

    def __bool__(self):
        return bool(self.runs)

    def values(self, *path):
        found = []
        for run in self.runs:
            for key in path:
                run = run.get(key) if isinstance(run, dict) else None
            if run is not None:
                found.append(run)
        return found

    def median(self, *path):
        values = self.values(*path)
        return statistics.median(values) if values else None

    def spread(self, *path):
        values = self.values(*path)
        return (min(values), max(values)) if values else None

    @property
    def seconds(self):
        return self.median("seconds")


class Results:
    def __init__(self, lines):
        self.machine, self.absent, self.runs = {}, {}, []
        self.others_cpus = []
        for line in lines:
            entry = json.loads(line)
            self.machine.update(entry.get("machine", {}))
            self.absent.update(entry.get("absent", {}))
            if "others_cpus" in entry:
                self.others_cpus.append(entry["others_cpus"])
            if "what" in entry:
                self.runs.append(entry)
        # What the others are varied from.
        self.base_queues = min((r["queues"] for r in self.runs), default=1)
        self.base_trim = max((r["trim"] for r in self.runs
                              if r["trim"] in TRIMS),
                             key=TRIMS.index, default=TRIMS[-1])

    def cell(self, image, what, mtu, queues=None, trim=None):
        """The runs of a case; the base's queues and trimming, if not told."""
        trims = (trim,) if trim else (self.base_trim, "-")
        want = {"image": image, "what": what,
                "queues": queues or self.base_queues}
        if what != "memory":  # of which no link is part
            want["mtu"] = mtu
        return Cell([r for r in self.runs if r["trim"] in trims and
                     all(r[key] == want[key] for key in want)])

    def all_of(self, what):
        return Cell([r for r in self.runs if r["what"] == what])

    def values(self, key, **want):
        """The different values of key, in order of their first appearance."""
        return list(dict.fromkeys(
            r[key] for r in self.runs
            if all(r[k] == w for k, w in want.items())))

    @property
    def memory_sz(self):
        return self.machine["size_mib"] << 20

    def mtus(self, image):
        return sorted(self.values("mtu", image=image))
