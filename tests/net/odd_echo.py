#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""odd_echo: a server as tests/live/guest_net.c's, for client.py, that errs once.

    odd_echo.py all|lost|doubled|closed

Line ODD is answered as all others, not at all, twice, or the connection ends.
Says "ready" when it listens and "over" when line LAST is answered or the
connection has ended; it answers on until it is killed.
"""
import socket
import sys
import threading

PORT, ODD, LAST = 7, 20, 40


def say(word):
    print(word, flush=True)


def echo(datagrams):
    while True:
        datagram, client = datagrams.recvfrom(2048)
        datagrams.sendto(datagram, client)


def serve(connection, how):
    cnt = 0
    for line in connection.makefile("rb"):
        cnt += 1
        answer = b"%s %d\n" % (line.rstrip(), cnt)
        if cnt == ODD and how == "closed":
            connection.shutdown(socket.SHUT_RDWR)
            break
        if cnt != ODD or how != "lost":
            connection.sendall(answer * (2 if cnt == ODD and how == "doubled" else 1))
        if cnt == LAST:
            say("over")


def main():
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("", PORT))
    threading.Thread(target=echo, args=(datagrams,), daemon=True).start()
    with socket.create_server(("", PORT)) as server:
        say("ready")
        connection, _ = server.accept()
        serve(connection, sys.argv[1])
        if sys.argv[1] == "closed":
            say("over")
            threading.Event().wait()


main()
