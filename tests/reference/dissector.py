#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A capture as the dissectors of examples/wireshark read it, by tshark.

    dissector.py FILE

prints what is in FILE (pcap or pcapng) as one JSON object: data, probes, compressed and
records, how many; verdicts, how many of each; messages, how many of each type; faults,
those of messages; and ledger, the counters of the last LEDGER.
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "examples" / "wireshark"
NOBODY = 65534
LEDGER = ("received accepted duplicate late missing refused_auth refused_record "
          "refused_window refused_unit placed stale refused_version records probes "
          "steered xdp_dropped socket_dropped queue_unaccounted").split()


def write_pcap(path, frames, kept=1 << 18):
    """frames, of each at most kept bytes."""
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1))
        for i, frame in enumerate(frames):
            part = frame[:kept]
            out.write(struct.pack("<IIII", i, 0, len(part), len(frame)) + part)


def read(capture, fields, *options):
    """A dict of lists of texts for each frame: the values of each field."""
    with tempfile.TemporaryDirectory() as home:
        # tshark runs no scripts as root, and another user may not read our files.
        os.chmod(home, 0o755)
        script_options = []
        for script in sorted(SCRIPTS.glob("*.lua")):
            shutil.copy(script, home)
            script_options += ["-X", f"lua_script:{home}/{script.name}"]
        shutil.copy(capture, f"{home}/capture")
        os.chmod(f"{home}/capture", 0o644)
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                     "--clear-groups"] if os.geteuid() == 0 else []
        done = subprocess.run(
            as_nobody + ["tshark", *script_options, "-r", f"{home}/capture",
                         "-T", "fields", "-E", "separator=/t",
                         "-E", "aggregator=|", *options] +
            [word for field in fields for word in ("-e", field)],
            env={"PATH": os.environ["PATH"], "HOME": home, "LC_ALL": "C.UTF-8"},
            capture_output=True, text=True, check=False, timeout=600)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode or said:
        raise AssertionError(f"tshark: exit {done.returncode}: {done.stderr}")
    return [dict(zip(fields, ([v for v in cell.split("|") if v] for cell in
                              line.split("\t"))))
            for line in done.stdout.splitlines()]


def summary(capture):
    frames = read(capture, ["pagetrim.verdict", "pagetrim.kind",
                            "pagetrim.unit", "pagetrim.record.kind", "pagetrim_control.type",
                            "pagetrim_control.wrong", "_ws.expert.message"] +
                  [f"pagetrim_control.ledger.{name}" for name in LEDGER])
    found = {"data": 0, "probes": 0, "compressed": 0, "records": 0,
             "verdicts": Counter(),
             "messages": Counter(), "faults": [], "ledger": {}}
    for frame in frames:
        found["verdicts"].update(frame["pagetrim.verdict"])
        found["data"] += frame["pagetrim.kind"] == ["1"]
        found["probes"] += frame["pagetrim.kind"] == ["2"]
        found["compressed"] += len(frame["pagetrim.unit"])
        found["records"] += len(frame["pagetrim.record.kind"])
        found["messages"].update(frame["pagetrim_control.type"])
        if frame["pagetrim_control.wrong"]:
            found["faults"] += frame["_ws.expert.message"]
        for name in LEDGER:
            for value in frame[f"pagetrim_control.ledger.{name}"]:
                found["ledger"][name] = int(value)
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: dissector.py FILE")
    print(json.dumps(summary(sys.argv[1])))
