#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""qmp_keep.py SOCKET MONITOR HOLD: stands between clients and a QEMU's monitor, with
descriptors, and keeps a client's cont to itself while the file HOLD is there: HOLD.kept
is made then.  Ends when it is killed."""
import os
import selectors
import socket
import sys

own, monitor, hold = sys.argv[1:]


def carry(source, sink, is_client):
    """Carries what is there; returns whether there may be more."""
    try:
        data, fds, _, _ = socket.recv_fds(source, 65536, 4)
        if is_client and b'"cont"' in data and os.path.exists(hold):
            with open(hold + ".kept", "w", encoding="ascii"):
                return True
        if data:
            socket.send_fds(sink, [data], fds)
        for fd in fds:
            os.close(fd)
    except OSError:
        return False
    return bool(data)


with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(own)
    listener.listen(1)
    print("ready", flush=True)
    while True:
        client, _ = listener.accept()
        with client, socket.socket(socket.AF_UNIX) as qemu, \
                selectors.DefaultSelector() as ready:
            qemu.connect(monitor)
            ready.register(client, selectors.EVENT_READ, (qemu, True))
            ready.register(qemu, selectors.EVENT_READ, (client, False))
            while all(carry(key.fileobj, *key.data) for key, _ in ready.select()):
                pass
