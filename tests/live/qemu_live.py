#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""qemu_live: QEMU's own pre-copy of a running guest, timed.

    qemu_live.py SOURCE_DIR DESTINATION_DIR URI [DOWNTIME_MS | stopped [URI]]

The folders are those of live_guest.sh (start and incoming).  Bandwidth is not
limited; DOWNTIME_MS is QEMU's downtime-limit (default 300).  stopped: the guest
does not run meanwhile.  The second URI is where the destination waits, if that is
another one.

Seen in 2026: QEMU 7.2.22 with an emulated CPU loses writes of a guest that writes
5000 pages a second; the guest finds damage or panics after one to four moves.
QEMU 10.0.2 moved the same guest 18 times without.

Prints one JSON object: seconds (from the command until the destination runs),
rounds, bytes, bytes_later (after the first round, as far as QEMU says), downtime_ms
(as QEMU sees it), and the whole of query-migrate.
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)),
                                "../../scripts/guest"))
from qmp import Qmp, QmpError  # noqa: E402

BANDWIDTH = 1 << 40  # bytes/s: no limit that a link of today reaches
DOWNTIME_MS = 300


def first_round(source):
    """Bytes transferred when the second round began, by events."""
    while True:
        event = source.next_event()
        data = event.get("data", {})
        if event.get("event") == "MIGRATION_PASS" and data["pass"] == 2:
            return source.run("query-migrate")["ram"]["transferred"]
        if (event.get("event") == "MIGRATION"
                and data["status"] in ("completed", "failed", "cancelled")):
            source.events.insert(0, event)
            return None


def migrate(source_dir, destination_dir, uri, limit, incoming):
    source, destination = [Qmp(f"{d}/qmp.sock")
                           for d in (source_dir, destination_dir)]
    for end in (source, destination):
        end.set_caps(events=True, return_path=True)
    source.run("migrate-set-parameters", **{
        "max-bandwidth": BANDWIDTH,
        "downtime-limit": DOWNTIME_MS if limit == "stopped" else int(limit)})
    destination.run("migrate-incoming", uri=incoming)

    start = time.monotonic()
    if limit == "stopped":
        source.run("stop")
    source.run("migrate", uri=uri)
    first = first_round(source)
    source.wait_migration()
    destination.wait_migration()
    if limit == "stopped":
        destination.run("cont")
    for _ in range(500):
        if destination.run("query-status")["running"]:
            break
        time.sleep(0.01)
    else:
        raise QmpError("the destination does not run")
    seconds = time.monotonic() - start
    info = source.migrated()
    sent = info["ram"]["transferred"]
    return {
        "seconds": round(seconds, 4),
        "rounds": info["ram"]["dirty-sync-count"],
        "bytes": sent,
        "bytes_later": None if first is None else sent - first,
        "downtime_ms": info.get("downtime"),
        "query-migrate": info,
    }


def main():
    if not 4 <= len(sys.argv) <= 6:
        print(__doc__.split("\n\n")[1].strip(), file=sys.stderr)
        return 2
    limit = sys.argv[4] if len(sys.argv) > 4 else DOWNTIME_MS
    incoming = sys.argv[5] if len(sys.argv) > 5 else sys.argv[3]
    try:
        print(json.dumps(migrate(*sys.argv[1:4], limit, incoming)))
    except (OSError, QmpError) as err:
        print(f"qemu_live: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
