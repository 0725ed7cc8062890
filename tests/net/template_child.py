#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A child of a template, and one that attacks it.

    template_child.py PATH WORD       maps it privately, writes WORD to each page, says
                                      ready; at SIGUSR1 says mine, if all pages have it
                                      and are else as the file is; ends at SIGTERM
    template_child.py PATH --attack   tries to write, punch, cut, grow, map shared and
                                      unseal; exit 1 if anything succeeds
"""
import ctypes
import fcntl
import mmap
import os
import signal
import sys

PAGE = 4096
F_ADD_SEALS = 1033
FALLOC_PUNCH = 3  # PUNCH_HOLE | KEEP_SIZE


def say(word):
    os.write(1, word.encode() + b"\n")


def live(path, word):
    fd = os.open(path, os.O_RDONLY)
    size = os.fstat(fd).st_size
    memory = mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE,
                       prot=mmap.PROT_READ | mmap.PROT_WRITE)
    for at in range(0, size, PAGE):
        memory[at:at + len(word)] = word

    def look(*_):
        for at in range(0, size, PAGE):
            page = os.pread(fd, PAGE, at)
            if memory[at:at + PAGE] != word + page[len(word):]:
                say(f"page {at // PAGE} is another's")
                return
        say("mine")

    signal.signal(signal.SIGUSR1, look)
    say("ready")
    while True:
        signal.pause()


def attack(path):
    fd = os.open(path, os.O_RDWR)
    size = os.fstat(fd).st_size
    libc = ctypes.CDLL(None, use_errno=True)

    def punch():
        if libc.fallocate(fd, FALLOC_PUNCH, ctypes.c_long(0), ctypes.c_long(PAGE)):
            raise OSError(ctypes.get_errno(), "fallocate")

    ways = {
        "write": lambda: os.pwrite(fd, b"x", 0),
        "punch": punch,
        "cut": lambda: os.ftruncate(fd, size - PAGE),
        "grow": lambda: os.ftruncate(fd, size + PAGE),
        "map shared": lambda: mmap.mmap(fd, size, flags=mmap.MAP_SHARED),
        "seal": lambda: fcntl.fcntl(fd, F_ADD_SEALS, 1),
    }
    for name, way in ways.items():
        try:
            way()
        except OSError as err:
            say(f"{name}: {err.strerror}")
        else:
            sys.exit(f"{name} succeeded")


if sys.argv[2] == "--attack":
    attack(sys.argv[1])
else:
    live(sys.argv[1], sys.argv[2].encode())
