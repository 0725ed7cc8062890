#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""bottleneck.py: pagetrim behind a path that is slower than its device.

    host a  --- p0 [        bridge          ]                         host b
    host c  --- p1 [ (or: c0 === c1, cable) ] --- p2: htb, bfifo --- receiver

Host a sends; host c is the competitor: TCP CUBIC (iperf3) or another sender.
p2's htb is the bottleneck, its queue so many ms of the rate.  The cable delays
both directions by half of the round trip, and may lose frames at random before
the bottleneck.  ping from a to b measures the queue.

    bottleneck.py --build DIR [--quick] [--json FILE] [--cases WORD] [--mtu N]
                  [--write FILE.md] [--list] [--render FILE]

Prints the tables; --write puts them and the plots into the document.  Root.
"""
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import bottleneck_world
from bottleneck_tables import render
from bottleneck_world import NotEnded, World, die

MIB = 1 << 20


class Case(dict):
    """rate_mbps, rtt_ms, queue_ms, loss_pm, beside, size_mib."""

    @property
    def name(self):
        return (f"{self['rate_mbps']} Mbit/s, rtt {self['rtt_ms']:g} ms, "
                f"queue {self['queue_ms']:g} ms, loss "
                f"{self['loss_pm'] / 10:g} %, {self['beside']}")


def case(rate, rtt, queue, loss=0, beside="alone", size=None):
    return Case(rate_mbps=rate, rtt_ms=rtt, queue_ms=queue, loss_pm=loss,
                beside=beside,
                size_mib=size or (256 if rate >= 1000 or beside == "alone"
                                  else 128))


def all_cases(quick):
    if quick:
        return [case(100, 0, 20, size=24), case(100, 20, 20, size=24),
                case(100, 20, 20, 10, size=12),
                case(100, 20, 100, beside="cubic", size=32),
                case(100, 20, 20, beside="another", size=24),
                case(1000, 0, 20, size=128)]
    cases = []
    for rate in (100, 1000):
        few = 3 if rate == 100 else 0.5     # a few dozen packets
        for rtt in (0, 10, 100):
            cases += [case(rate, rtt, queue) for queue in (5, 20, 100)]
        cases.append(case(rate, 0, few))
        for rtt in (0, 10, 100):
            cases.append(case(rate, rtt, 20, 10))
        for rtt, queue in ((1, 20), (20, 20), (20, 100)):
            cases.append(case(rate, rtt, queue, beside="cubic"))
            cases.append(case(rate, rtt, queue, beside="another"))
    cases += [case(2500, 0, q, size=512) for q in (5, 20)]
    cases += [case(5000, 0, q, size=1024) for q in (5, 20)]
    cases += [case(10000, 0, q, size=1024) for q in (5, 20)]
    return cases


def rate_between(samples, device, start, end):
    """Bytes a second that came in at the device in that time."""
    part = [s for s in samples if start <= s["t"] <= end]
    if len(part) < 2:
        return 0.0
    first, last = part[0], part[-1]
    return (last[device] - first[device]) / max(last["t"] - first["t"], 1e-9)


def jain(rates):
    squares = sum(r * r for r in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares else 0


def delays_ms(pings, start, end):
    return [ms for t, ms in pings if start <= t <= end]


def judge(c, sends, samples, pings):
    """The figures of a run, from what was seen."""
    first = sends[0]
    report = first["report"]
    sent_s = report["send-time"] / 1000
    end = first["ended"] - (report["total-time"] - report["send-time"] -
                            report["setup-time"]) / 1000
    start = end - sent_s
    rate = c["rate_mbps"] * 1e6 / 8
    lost = report["frames-lost"] / max(report["frames"], 1)
    ledger = report["ledger"]
    wire = report["ram"]["transferred"]
    goodput = wire * (1 - lost) / sent_s
    seen = delays_ms(pings, start, end)
    idle = min([ms for _, ms in pings], default=0)
    figures = {
        "seconds": sent_s, "rate_share": goodput / rate,
        "again_share": lost, "late": ledger["late"],
        "frames": report["frames"], "bytes": wire,
        "delay_ms": statistics.fmean(seen) - idle if seen else None,
        "delay_max_ms": max(seen) - idle if seen else None,
        "pings": len(seen), "unaccounted": ledger["unaccounted"],
    }
    if c["beside"] == "cubic":
        window = (start + 1, end)
        ours = rate_between(samples, "a", *window) * (1 - lost)
        theirs = rate_between(samples, "c", *window)
        figures |= {"tcp_share": theirs / rate, "our_share": ours / rate}
    if c["beside"] == "another":
        ends = min(s["ended"] for s in sends)
        begin = max(s["started"] for s in sends) + 1
        rates = [rate_between(samples, which, begin, ends - 0.3)
                 for which in ("a", "c")]
        figures |= {"jain": jain(rates),
                    "shares": [r / rate for r in rates],
                    "again_share_other": sends[1]["report"]["frames-lost"] /
                    max(sends[1]["report"]["frames"], 1)}
    return figures


def timeline(samples, pings, t0):
    """rates of a and c in Mbit/s, and the ping's ms, over time."""
    line, last = [], None
    for s in samples:
        if last and s["t"] - last["t"] < 0.1:
            continue
        if last:
            took = s["t"] - last["t"]
            line.append([round(s["t"] - t0, 3)] +
                        [round((s[k] - last[k]) * 8e-6 / took, 1)
                         for k in ("a", "c")])
        last = s
    return {"rates": line,
            "queue": [[round(t - t0, 3), ms] for t, ms in pings]}


def run(c, build, tmp):
    image = f"{tmp}/image-{c['size_mib']}"
    if not os.path.exists(image):
        subprocess.run(["dd", "if=/dev/urandom", f"of={image}", "bs=1M",
                        f"count={c['size_mib']}", "status=none"], check=True)
    with World(c, build, tmp) as world:
        pings, sampler = world.ping_start(), world.sampler_start()
        time.sleep(0.3)
        if c["beside"] == "cubic":
            world.cubic_start()
            time.sleep(2.0)
        t0 = time.time()
        sends = [world.send_start("a", image)]
        if c["beside"] == "another":
            sends.append(world.send_start("c", image))
        for s in sends:
            world.send_finish(s)
        samples, pings = world.samples(sampler), world.pings(pings)
        world.check(image, sends)
        figures = judge(c, sends, samples, pings)
        figures["cable_lost"] = world.cable_lost()
        return figures, timeline(samples, pings, t0)


def main():
    args = argparse.ArgumentParser(
        description=__doc__.split("\n", 1)[0],
        formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--build", default="build")
    args.add_argument("--quick", action="store_true")
    args.add_argument("--json", metavar="FILE")
    args.add_argument("--write", metavar="FILE.md")
    args.add_argument("--cases", default="", metavar="WORD")
    args.add_argument("--mtu", type=int, default=bottleneck_world.MTU,
                      help="of all devices; the tables are of the default")
    args.add_argument("--list", action="store_true")
    args.add_argument("--render", metavar="FILE")
    args = args.parse_args()
    if args.render:
        with open(args.render, encoding="utf-8") as file:
            render([json.loads(line) for line in file], args.write)
        return 0
    bottleneck_world.MTU = args.mtu
    cases = [c for c in all_cases(args.quick)
             if re.search(args.cases, c.name)]
    if not cases:
        die(f"--cases {args.cases}: none of that name (--list prints them)")
    if args.list:
        print("\n".join(c.name for c in cases))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = []
    path = args.json or f"{args.build}/bottleneck.json"
    with tempfile.TemporaryDirectory() as tmp, \
            open(path, "w", encoding="utf-8") as file:
        for c in cases:
            print(f"bottleneck: {c.name}", file=sys.stderr, flush=True)
            try:
                figures, line = run(c, os.path.realpath(args.build), tmp)
                results.append({"case": dict(c), "figures": figures,
                                "timeline": line})
            except NotEnded as err:
                results.append({"case": dict(c), "failed": str(err)})
            file.write(json.dumps(results[-1]) + "\n")
            file.flush()
    render(results, args.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
