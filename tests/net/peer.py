#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""TCP peers that tests need: honest ones, and odd ones.

    peer.py take ADDR PORT      accept one connection, copy it to stdout
    peer.py give ADDR PORT      connect, send stdin
    peer.py silent ADDR PORT    accept and say nothing, until killed
    peer.py garbage ADDR PORT   accept, answer as an HTTP server would
    peer.py version ADDR PORT   accept, be a pagetrim of version 77 only
    peer.py old ADDR PORT       connect, be a sender of version 2; print the ABORT
    peer.py small ADDR PORT     accept, be a receiver of frames of 64 bytes
    peer.py close ADDR PORT     accept and close at once
    peer.py pings ADDR PORT     accept, be a receiver that says PING, no more
    peer.py asks ADDR PORT FILE connect, be a sender that says PING, again and
                                again, until FILE exists; print the
                                milliseconds that the longest answer took, and
                                those of the longest of an echo meanwhile, of a
                                process that has nothing else to do
    peer.py chatter ADDR PORT   connect, be a sender that says PING without end
    peer.py proxy ADDR PORT TO_PORT MODE FILE
        copy connections to PORT to TO_PORT of the same address, both ways,
        until FILE exists; then cut (close both) or freeze (copy nothing more)
    peer.py plain ADDR PORT TO_PORT
        as proxy, of one connection, but neither end's HELLO says a capability
    peer.py forget ADDR PORT TO_PORT FILE
        as proxy, but the first connection is cut (both ways) when COMMITTED
        comes back on it, which is not passed on; later ones are accepted and
        copied once FILE exists

Each says "ready" on stderr when it can be connected to, or is connected.
"""
import array
import fcntl
import os
import select
import socket
import struct
import sys
import time

from messages import (ABORT, COMMITTED, HEAD_SZ, PONG, RECEIVER, SENDER,
                      abort_words, head, hello, message, offer, ping)

SIOCETHTOOL, ETHTOOL_GDRVINFO = 0x8946, 3
POLL_S = 0.005  # how soon a proxy sees its file


def listen(addr, port):
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((addr, port))
    sock.listen(8)
    print("peer: ready", file=sys.stderr, flush=True)
    return sock


def read_until_end(sock):
    while True:
        data = sock.recv(1 << 16)
        if not data:
            return
        yield data


def take(addr, port):
    sock, _ = listen(addr, port).accept()
    for data in read_until_end(sock):
        sys.stdout.buffer.write(data)


def give(addr, port):
    with socket.create_connection((addr, port)) as sock:
        while True:
            data = sys.stdin.buffer.read(1 << 16)
            if not data:
                return
            sock.sendall(data)


def silent(addr, port):
    server = listen(addr, port)
    kept = []
    while True:
        kept.append(server.accept())


def garbage(addr, port):
    sock, _ = listen(addr, port).accept()
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    for _ in read_until_end(sock):
        pass


def version(addr, port):
    sock, _ = listen(addr, port).accept()
    sock.sendall(hello(RECEIVER, version=77))
    for _ in read_until_end(sock):
        pass


def old(addr, port):
    with socket.create_connection((addr, port)) as sock:
        sock.sendall(hello(SENDER, version=2))
        said = b"".join(read_until_end(sock))
    while said:
        size, kind = head(said)
        if kind == ABORT:
            print(abort_words(said[HEAD_SZ:HEAD_SZ + size]))
        said = said[HEAD_SZ + size:]


def small(addr, port):
    sock, _ = listen(addr, port).accept()
    sock.sendall(hello(RECEIVER) + offer(frame_sz=64))
    for _ in read_until_end(sock):
        pass


def pings(addr, port):
    sock, _ = listen(addr, port).accept()
    sock.sendall(hello(RECEIVER))
    while True:
        sock.sendall(ping())
        time.sleep(0.1)


def exactly(sock, size):
    data = b""
    while len(data) < size:
        data += sock.recv(size - len(data)) or sys.exit("peer: closed")
    return data


def wait_for_rtnl(sock):
    """Holds the kernel's lock of all devices, of all network namespaces,
    once."""
    answer = array.array("B", struct.pack("I192x", ETHTOOL_GDRVINFO))
    try:
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack(
            "16sP8x", b"lo", answer.buffer_info()[0]))
    except OSError:
        pass    # lo has no answer, but it was asked


def echo_begin():
    """The socket of a process that answers with the time of its answer.

    Control checks its device now and then, and waits in the kernel for a
    process that changes one; so does this process."""
    ours, its = socket.socketpair()
    if os.fork():
        its.close()
        return ours
    ours.close()
    devices = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while its.recv(64):
        wait_for_rtnl(devices)
        its.sendall(struct.pack("d", time.monotonic()))
    os._exit(0)


def asks(addr, port, file):
    echo = echo_begin()
    longest_s = echo_longest_s = 0
    while not os.path.exists(file):
        # A receiver ends a connection without OPEN in time: a new one each
        # second.
        with socket.create_connection((addr, port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(hello(SENDER))
            until = time.monotonic() + 1
            while time.monotonic() < until and not os.path.exists(file):
                asked = time.monotonic()
                echo.sendall(b"?")
                sock.sendall(ping())
                kind = 0
                while kind != PONG:
                    size, kind = head(exactly(sock, HEAD_SZ))
                    exactly(sock, size)
                if not longest_s:
                    print("peer: ready", file=sys.stderr, flush=True)
                longest_s = max(longest_s, time.monotonic() - asked)
                echoed, = struct.unpack("d", exactly(echo, 8))
                echo_longest_s = max(echo_longest_s, echoed - asked)
                time.sleep(0.02)
    print(round(longest_s * 1000), round(echo_longest_s * 1000))


def chatter(addr, port):
    with socket.create_connection((addr, port)) as sock:
        sock.sendall(hello(SENDER))
        print("peer: ready", file=sys.stderr, flush=True)
        while True:
            sock.sendall(ping() * 4096)


def close(addr, port):
    sock, _ = listen(addr, port).accept()
    sock.close()


def proxy(addr, port, to_port, mode, file):
    server = listen(addr, port)
    to = {}
    while not os.path.exists(file):
        for sock in select.select([server, *to], [], [], POLL_S)[0]:
            if sock is server:
                client, _ = server.accept()
                host = socket.create_connection((addr, int(to_port)))
                to[client], to[host] = host, client
                continue
            try:
                data = sock.recv(1 << 16)
            except ConnectionError:
                data = b""
            if data:
                to[sock].sendall(data)
                continue
            other = to.pop(sock)
            to.pop(other, None)
            sock.close()
            other.close()
    if mode == "freeze":
        while True:
            time.sleep(60)
    for sock in list(to):
        sock.close()


def plain(addr, port, to_port):
    capabilities = range(16, 24)  # where HELLO has them
    client, _ = listen(addr, port).accept()
    host = socket.create_connection((addr, int(to_port)))
    come = {client: 0, host: 0}
    while True:
        for sock in select.select([client, host], [], [])[0]:
            data = bytearray(sock.recv(1 << 16))
            for i in range(len(data)):
                if come[sock] + i in capabilities:
                    data[i] = 0
                elif come[sock] + i >= capabilities.stop:
                    break
            come[sock] += len(data)
            (host if sock is client else client).sendall(data)
            if not data:
                client.close()
                host.close()
                return


def forget(addr, port, to_port, file):
    committed = message(COMMITTED, bytes(8))[:HEAD_SZ]
    server = listen(addr, port)
    cut = False
    to = {}
    while True:
        for sock in select.select([server, *to], [], [], POLL_S)[0]:
            if sock is server:
                if cut and not os.path.exists(file):
                    time.sleep(POLL_S)
                    continue
                client, _ = server.accept()
                host = socket.create_connection((addr, int(to_port)))
                to[client], to[host] = host, client
                continue
            if sock not in to:
                continue
            data = sock.recv(1 << 16)
            if data and (cut or committed not in data):
                to[sock].sendall(data)
                continue
            cut = cut or bool(data)
            for end in sock, to[sock]:
                del to[end]
                end.close()


def main():
    verb, addr, port, *rest = sys.argv[1:]
    {"take": take, "give": give, "silent": silent, "garbage": garbage,
     "version": version, "old": old, "small": small, "chatter": chatter, "pings": pings, "asks": asks,
     "close": close, "proxy": proxy, "plain": plain,
     "forget": forget}[verb](addr, int(port), *rest)


if __name__ == "__main__":
    main()
