#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Templates: time and memory of their children (root, after make all tools).

    templates.py [--build DIR] [--mib N] [--writes N]
                              1, 20 and 100 plain children of one template of N MiB
                              (default 512), half of it data, with large pages and
                              without; what a holder takes
    templates.py --guest DIR [--runs N]
                              a QEMU child beside a QEMU whose RAM file is its own; DIR
                              has vm.ram and state, of scripts/live_guest.sh start
                              --size-mib 128 and qmp.py save

Prints Markdown tables.
"""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts/guest"))
from qmp import Qmp  # noqa: E402

GUEST_MIB = 128
COUNTS = (1, 20, 100)


def kib(pid, file, *keys):
    """The sum of the numbers behind the keys in a file of /proc/PID."""
    with open(f"/proc/{pid}/{file}", encoding="ascii", errors="replace") as lines:
        return sum(int(line.split()[1]) for line in lines
                   if line.split(":")[0] in keys)


class Template:
    """A template of a folder of its own, for a with block."""

    def __init__(self, build, image, *options):
        self.pagetrim, self.image, self.options = f"{build}/pagetrim", image, options

    def run(self, verb, *words):
        return subprocess.run([self.pagetrim, "template", verb, *words, "--folder",
                               self.folder], check=True, capture_output=True,
                              text=True).stdout

    def __enter__(self):
        self.folder = tempfile.mkdtemp()
        start = time.monotonic()
        self.run("put", "bench", self.image, *self.options)
        self.put_s = time.monotonic() - start
        self.info = json.loads(self.run("get", "bench", "--json"))
        return self

    def __exit__(self, *_):
        self.run("rm", "bench", "--force")
        shutil.rmtree(self.folder)


def make_image(path, mib):
    """Every second MiB is data that does not compress."""
    rnd = random.Random(7)
    with open(path, "wb") as out:
        for i in range(mib):
            out.seek(i << 20)
            if i % 2 == 0:
                out.write(rnd.randbytes(1 << 20))
        out.truncate(mib << 20)


def plain(args):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        image = f"{folder}/image"
        make_image(image, args.mib)
        print("| large pages | children | start, median / longest | all pages read | "
              "own memory: start / all read / "
              f"{args.writes} pages written |\n|---|---|---|---|---|")
        for large in ("data", "off"):
            with Template(args.build, image, "--large-pages", large) as template:
                for count in COUNTS:
                    told = json.loads(subprocess.run(
                        [f"{args.build}/tests/bench/template", template.folder,
                         "bench", str(count), str(args.writes)], check=True,
                        capture_output=True, text=True).stdout)
                    start, read, write = told["start"], told["read"], told["write"]
                    print(f"| {template.info['large-pages']} | {count} | "
                          f"{start['median_ms']:.2f} / {start['max_ms']:.2f} ms | "
                          f"{read['median_ms']:.1f} ms | {start['kib']:.0f} / "
                          f"{read['kib']:.0f} / {write['kib']:.0f} KiB |")
                pid = template.info["pid"]
                holder = (kib(pid, "smaps_rollup", "Pss"),
                          kib(pid, "smaps_rollup", "Anonymous"),
                          kib(pid, "status", "VmPTE"))
                print(f"<!-- put {template.put_s:.2f} s; holder: Pss {holder[0]} KiB, "
                      f"anonymous {holder[1]}, page tables {holder[2]} -->")


class Guest:
    """A QEMU that loads the state; start gives seconds until it is loaded and runs."""

    def __init__(self, folder, state, memory):
        self.folder, self.state = folder, state
        self.args = [
            "qemu-system-x86_64", "-name", "bench", "-accel", "tcg", "-M", "q35",
            "-cpu", "max", "-m", str(GUEST_MIB), "-machine", "memory-backend=ram",
            "-object", f"memory-backend-file,id=ram,size={GUEST_MIB}M,{memory}",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-device", "virtio-balloon-pci,id=balloon",
            "-serial", f"file:{folder}/serial", "-pidfile", f"{folder}/pid",
            "-qmp", f"unix:{folder}/qmp,server=on,wait=off", "-daemonize",
            "-incoming", "defer"]

    def start(self):
        start = time.monotonic()
        subprocess.run(self.args, check=True)
        qmp = Qmp(f"{self.folder}/qmp")
        qmp.load(self.state)
        qmp.run("cont")
        took = time.monotonic() - start
        with open(f"{self.folder}/pid", encoding="ascii") as pid:
            pid = int(pid.read())
        own = kib(pid, "smaps_rollup", "Anonymous") + kib(pid, "status", "VmPTE")
        qmp.run("quit")
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.005)
        return took * 1000, own


def guests(args):
    state, image = f"{args.guest}/state", f"{args.guest}/vm.ram"
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, \
            Template(args.build, image) as template:
        subprocess.run(["cp", "--sparse=always", image, f"{folder}/ram"], check=True)
        kinds = {
            "a child of a template": f"share=off,align=2M,mem-path={template.info['path']}",
            "a QEMU with a RAM file of its own": f"share=on,align=2M,mem-path={folder}/ram",
        }
        told = {kind: [] for kind in kinds}
        for _ in range(args.runs):
            for kind, memory in kinds.items():
                told[kind].append(Guest(folder, state, memory).start())
    print("| what starts | until its guest runs: least / median | anonymous memory and "
          "page tables, median |\n|---|---|---|")
    for kind, runs in told.items():
        times = [run[0] for run in runs]
        print(f"| {kind} | {min(times):.1f} / {statistics.median(times):.1f} ms | "
              f"{statistics.median(run[1] for run in runs):.0f} KiB |")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=f"{ROOT}/build")
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--writes", type=int, default=1000)
    parser.add_argument("--guest")
    parser.add_argument("--runs", type=int, default=11)
    args = parser.parse_args()
    if args.guest:
        guests(args)
    else:
        plain(args)


if __name__ == "__main__":
    main()
