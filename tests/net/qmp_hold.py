#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""qmp_hold.py: a monitor socket before a QEMU's own.

    qmp_hold.py SOCKET QEMU_SOCKET COMMAND

When the guest runs, the shell runs COMMAND; only then does the client have the answer
to its `cont`.
"""
import os
import select
import socket
import subprocess
import sys


def is_answer(text):
    """Also one behind an event."""
    return any(b'"event"' not in line for line in text.splitlines())


def serve(client, qemu, command):
    """Until one of the two ends.  The client waits for each answer."""
    is_asked = False
    while True:
        for sock in select.select([client, qemu], [], [])[0]:
            text, fds = socket.recv_fds(sock, 65536, 4)[:2]
            if not text:
                return
            if sock is client:
                is_asked = is_asked or b'"cont"' in text
            elif is_asked and is_answer(text):
                is_asked = False
                subprocess.run(command, shell=True, check=True)
            to = qemu if sock is client else client
            if fds:
                socket.send_fds(to, [text], fds)
            else:
                to.sendall(text)
            for fd in fds:
                os.close(fd)


def main():
    path, qemu_path, command = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path + ".new")
        listener.listen()
        os.rename(path + ".new", path)
        while True:
            client = listener.accept()[0]
            qemu = socket.socket(socket.AF_UNIX)
            qemu.connect(qemu_path)
            with client, qemu:
                serve(client, qemu, command)


main()
