#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""In systemd's place: prints each datagram that comes to a socket, a line each.

    listen_notify.py SOCKET

Line breaks in a datagram become " | ".  It ends by a signal.
"""
import socket
import sys

sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(sys.argv[1])
while True:
    print(sock.recv(4096).decode().rstrip("\n").replace("\n", " | "), flush=True)
