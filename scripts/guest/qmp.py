#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""qmp: talks to a QEMU through its monitor socket.

    qmp.py SOCKET COMMAND [ARGUMENTS]     ARGUMENTS: one JSON object
    qmp.py SOCKET save FILE               device state of a stopped guest
    qmp.py SOCKET load FILE               the same, into a QEMU that waits

Prints what the command returns as JSON.  Exit: 0 done, 1 refused or no answer
within 60 s, 2 usage.  Source: QEMU docs/interop/qmp-spec.txt.
"""
import json
import os
import shlex
import socket
import sys
import time

TIMEOUT_S = 60


class QmpError(Exception):
    """QEMU refused a command, or ended."""


class Qmp:
    """One connection.  Events that arrive while a command is answered are
    kept for wait_event."""

    def __init__(self, path):
        self.events = []
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(path)
        self.file = self.sock.makefile("rw", encoding="utf-8")
        self._read()  # the greeting
        self.run("qmp_capabilities")

    def _read(self):
        line = self.file.readline()
        if not line:
            raise QmpError("QEMU closed the connection")
        return json.loads(line)

    def run(self, command, **arguments):
        """Execute command and return its answer."""
        self.file.write(json.dumps(
            {"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = self._read()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise QmpError(f"{command}: {answer['error']['desc']}")
            self.events.append(answer)

    def set_caps(self, **caps):
        """Switch migration capabilities; underscores stand for dashes."""
        self.run("migrate-set-capabilities", capabilities=[
            {"capability": name.replace("_", "-"), "state": on}
            for name, on in caps.items()])

    def next_event(self):
        """The oldest event that was not asked for yet; waits for it."""
        return self.events.pop(0) if self.events else self._read()

    def wait_migration(self):
        """Block until a migration that this QEMU takes part in is over.
        Needs the capability `events`."""
        while True:
            event = self.next_event()
            if event.get("event") != "MIGRATION":
                continue
            status = event["data"]["status"]
            if status == "completed":
                return
            if status in ("failed", "cancelled"):
                raise QmpError(f"migration {status}")

    def migrated(self):
        """The answer of query-migrate about a completed migration: the event
        for that comes a moment before the total time is known."""
        for _ in range(100):
            info = self.run("query-migrate")
            if info.get("total-time"):
                break
            time.sleep(0.01)
        return info

    def save(self, path):
        """Write the device state, without shared RAM, to path. A saved guest
        can resume, but not migrate again. QEMU is done before its child has
        written the last bytes: the name is there once all is."""
        part, whole = shlex.quote(path + ".part"), shlex.quote(path)
        if os.path.exists(path):
            os.unlink(path)
        self.set_caps(events=True, x_ignore_shared=True)
        self.run("migrate", uri=f"exec:cat >{part} && mv {part} {whole}")
        self.wait_migration()
        for _ in range(3000):
            if os.path.exists(path):
                return
            time.sleep(0.01)
        raise QmpError(f"{path}: not written")

    def load(self, path):
        """Read what save wrote into a QEMU started with -incoming defer."""
        self.set_caps(events=True, x_ignore_shared=True)
        self.run("migrate-incoming", uri=f"exec:cat {shlex.quote(path)}")
        self.wait_migration()
        self.set_caps(x_ignore_shared=False)


def main():
    if len(sys.argv) not in (3, 4):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    path, command, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    try:
        qmp = Qmp(path)
        if command in ("save", "load"):
            getattr(qmp, command)(rest[0])
        else:
            print(json.dumps(qmp.run(command, **json.loads(*rest or ["{}"]))))
    except (OSError, QmpError) as err:
        print(f"qmp: {path}: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
