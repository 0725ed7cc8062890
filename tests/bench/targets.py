# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""targets: what pagetrim is held against, and how far a set of results is.

A target has a key (verdicts.md explains, by key, what holds one that is not
reached), a goal, a figure, and, where QEMU is the peer, a second figure: both
destinations had all their memory allocated beforehand.
"""
from dataclasses import dataclass

from results import GIB, Cell

MIB = 1 << 20
FIXED_MIB, PAGE_BYTES = 64, 8


@dataclass
class Target:
    key: str
    what: str
    goal: float
    figure: float = None    # None: not measured
    warm: float = None      # where both sinks are allocated before
    at_least: bool = True   # else at most
    unit: str = ""

    @property
    def is_measured(self):
        return self.figure is not None

    @property
    def is_reached(self):
        if self.at_least:
            return self.figure >= self.goal
        return self.figure <= self.goal

    @property
    def text(self):
        """The figure; where it is near the goal, so that one sees which side."""
        digits = 2 if abs(self.progress - 1) > 0.02 else 4
        return f"{self.figure:.{digits}f}{self.unit}"

    @property
    def progress(self):
        """1 where the goal is met, less where it is missed."""
        if self.at_least:
            return self.figure / self.goal
        return self.goal / self.figure


def ratio(over, under):
    return over / under if over and under else None


def of_both(results, mtu, what, peer, field):
    """The medians of a field: ours, the peer's, of a real guest."""
    return (results.cell("guest", what, mtu).median(field),
            results.cell("guest", peer, mtu).median(field))


def against_qemu(results):
    for mtu, plain, sealed in ((65535, 3, 2), (9000, 2.2, 1.6),
                               (1500, 1.2, None)):
        for what, goal, tail in (("insecure", plain, ""),
                                 ("pagetrim", sealed, "-sealed")):
            if not goal:
                continue
            ours, qemu = of_both(results, mtu, what, "qemu-cold", "seconds")
            ours_warm, qemu_warm = of_both(results, mtu, f"{what}-warm",
                                           "qemu", "seconds")
            yield Target(
                f"total-{mtu}{tail}",
                f"Real guest, MTU {mtu}{', sealed' if tail else ''}: "
                "times faster than QEMU pre-copy", goal,
                ratio(qemu, ours), ratio(qemu_warm, ours_warm))


def as_sealed(results, mtu):
    """The guest unsealed, with copies of pages if sealed transfers have them."""
    if any(results.cell("guest", "pagetrim", mtu).values("report", "copies",
                                                         "used")):
        return results.cell("guest", "insecure", mtu)
    plain = results.cell("guest", "no-copies", mtu)
    if plain:
        return plain
    plain = results.cell("guest", "insecure", mtu)
    return Cell([]) if any(plain.values("report", "copies", "used")) else plain


def against_limits(results):
    for mtu in (9000, 65535):
        ours = results.cell("random", "insecure", mtu)
        blast = results.cell("random", "blast", mtu)
        # Same frames on both sides: the blast's payload is the same part.
        yield Target(
            f"blast-{mtu}",
            f"Full pages, MTU {mtu}: payload rate of that of a raw AF_XDP "
            "blast of the same frames", 0.85,
            ratio(blast.seconds, ours.seconds))
    yield Target("tcp-65535", "Real guest, MTU 65535: times faster than the "
                 "plain-TCP sender", 1.2,
                 ratio(results.cell("guest", "tcp", 65535).seconds,
                       results.cell("guest", "insecure", 65535).seconds))
    yield Target("sealed-9000", "Real guest, MTU 9000: speed sealed of that "
                 "unsealed, both with copies or without", 0.75,
                 ratio(as_sealed(results, 9000).seconds,
                       results.cell("guest", "pagetrim", 9000).seconds))
    scan = results.cell("guest", "memory", None)
    yield Target("scan", "Real guest: speed of the scan of that of a plain "
                 "read of the same memory", 0.95,
                 ratio(scan.median("read_s"), scan.median("scan_s")))
    for mtu in (9000, 65535):
        yield Target(
            f"governor-{mtu}",
            f"Incompressible memory, MTU {mtu}: speed with --trim blocks of "
            "that with none", 0.98,
            ratio(results.cell("random", "insecure", mtu, trim="none").seconds,
                  results.cell("random", "insecure", mtu).seconds))


def bytes_of_qemu(results, what):
    """(MTU, all Ethernet bytes of what by QEMU's `transferred`) each."""
    for mtu in (65535, 9000, 1500):
        yield mtu, ratio(
            results.cell("guest", what, mtu).median("link_bytes"),
            results.cell("guest", "qemu-cold", mtu).median("bytes"))


def costs(results):
    for mtu in (65535, 9000, 1500):
        yield Target(
            f"cpu-{mtu}", f"Real guest, MTU {mtu}: CPU seconds per GiB, both "
            "ends, of QEMU's", 0.6,
            ratio(*of_both(results, mtu, "insecure", "qemu-cold", "cpu_s")),
            ratio(*of_both(results, mtu, "insecure-warm", "qemu", "cpu_s")),
            at_least=False)
    for mtu, share in bytes_of_qemu(results, "insecure"):
        yield Target(
            f"bytes-{mtu}", f"Real guest, MTU {mtu}: all Ethernet bytes, of "
            "QEMU's `transferred`", 0.92 if mtu >= 9000 else 1.0, share,
            at_least=False)
    allowed = FIXED_MIB + PAGE_BYTES * results.memory_sz / 4096 / MIB
    for end in ("send", "receive"):
        kib = [k for what in ("insecure", "pagetrim")
               for k in results.all_of(what).values(end, "anon_kib")]
        yield Target(
            f"memory-{end}", f"Memory of the agent that {end}s, the most that was "
            "seen", allowed, max(kib) / 1024 if kib else None,
            at_least=False, unit=" MiB")


def all_targets(results):
    return [*against_qemu(results), *against_limits(results),
            *costs(results)]


def cpu_per_gib(results, cell):
    cpu = cell.median("cpu_s")
    return cpu * GIB / results.memory_sz if cpu is not None else None
