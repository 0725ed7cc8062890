#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""qemu_migrate: QEMU's own pre-copy of a stopped guest, timed.

    qemu_migrate.py SOURCE_DIR DESTINATION_DIR URI [CHANNELS [COMPRESSION]]

The folders are those of guest.sh (load and incoming).  CHANNELS 0, the
default, is plain pre-copy over one connection; more is multifd, plain or with
COMPRESSION (zlib or zstd, at QEMU's own level).  Bandwidth is not limited.  Waits by events, so that nothing polls while it runs.

Prints one JSON object: seconds (from the command until the destination says
that it has all), source_s (query-migrate's total time, which ends when the last
byte is in a socket: up to a second earlier), bytes, cpu_s of both QEMUs,
machine_s of the whole machine meanwhile, and the whole of query-migrate.
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)),
                                "../../scripts/guest"))
from qmp import Qmp, QmpError  # noqa: E402

BANDWIDTH = 1 << 40  # bytes/s: no limit that a link of today reaches
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(folder):
    """User and system time of the folder's QEMU, all threads."""
    with open(f"{folder}/qemu.pid", encoding="ascii") as file:
        pid = int(file.read())
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def machine_s():
    """CPU time of the whole machine, idle and stolen time apart."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(n) for n in file.readline().split()[1:]]
    return sum(ticks[i] for i in (0, 1, 2, 5, 6)) / TICKS_PER_S


def migrate(source, destination, uri, channels, compression):
    ends = [Qmp(f"{d}/qmp.sock") for d in (source, destination)]
    for end in ends:
        end.set_caps(events=True, multifd=channels > 0)
        if channels:
            end.run("migrate-set-parameters", **{
                "multifd-channels": channels,
                "multifd-compression": compression})
    ends[0].run("migrate-set-parameters", **{"max-bandwidth": BANDWIDTH})
    ends[1].run("migrate-incoming", uri=uri)

    cpu = -cpu_s(source) - cpu_s(destination)
    machine = -machine_s()
    start = time.monotonic()
    ends[0].run("migrate", uri=uri)
    for end in ends:
        end.wait_migration()
    end_to_end = time.monotonic() - start
    cpu += cpu_s(source) + cpu_s(destination)
    machine += machine_s()

    info = ends[0].migrated()
    return {
        "seconds": round(end_to_end, 4),
        "source_s": info["total-time"] / 1000,
        "bytes": info["ram"]["transferred"],
        "cpu_s": round(cpu, 3),
        "machine_s": round(machine, 3),
        "query-migrate": info,
    }


def main():
    if not 4 <= len(sys.argv) <= 6:
        print(__doc__.split("\n\n")[1].strip(), file=sys.stderr)
        return 2
    channels = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    compression = sys.argv[5] if len(sys.argv) > 5 else "none"
    try:
        print(json.dumps(migrate(*sys.argv[1:4], channels, compression)))
    except (OSError, QmpError) as err:
        print(f"qemu_migrate: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
