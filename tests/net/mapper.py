#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""mapper.py FILE: maps the file in a process of its own, prints its number once that is
done, and ends; the other stays for 200 s."""
import mmap
import os
import sys
import time

ready, said = os.pipe()
pid = os.fork()
if not pid:
    with open(sys.argv[1], "r+b") as ram:
        memory = mmap.mmap(ram.fileno(), 4096)
    os.write(said, b".")
    for fd in range(3):
        os.close(fd)
    time.sleep(200)
    os._exit(0)
os.close(said)
if not os.read(ready, 1):
    sys.exit(1)
print(pid)
