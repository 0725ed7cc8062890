# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""bottleneck_tables: the results of bottleneck.py as tables, plots and a part
of the document, between the two lines that MARKS names.  bottleneck.md has what
is said of them."""
import os
import re
import sys

from charts import Bar, Chart, svg
from lines import Panel, svg_of_panels

MARKS = ("<!-- bottleneck: made by tests/bench/bottleneck.py -->",
         "<!-- /bottleneck -->")

RATE, AGAIN, JAIN, BESIDE, ADDED = 0.9, 0.02, 0.9, 0.25, 1 / 3
ADDED_LEAST_MS = 20     # of the queue, for that target


def targets_of(case, fig):
    """(what, is reached) of each target that the case has; without figures, of
    a transfer that did not end, none is reached."""
    found = []
    if not fig:
        return [({"alone": "rate", "cubic": "ours",
                  "another": "jain"}[case["beside"]], False)]
    alone, lossless = case["beside"] == "alone", not case["loss_pm"]
    if alone:
        found.append(("rate", fig["rate_share"] >= RATE))
        if case["queue_ms"] >= ADDED_LEAST_MS and fig["delay_ms"] is not None:
            found.append(("delay", fig["delay_ms"] <=
                          ADDED * case["queue_ms"]))
    if lossless:
        found.append(("again", fig["again_share"] <= AGAIN))
    if case["beside"] == "cubic":
        found.append(("tcp", fig["tcp_share"] >= BESIDE))
        found.append(("ours", fig["our_share"] >= BESIDE))
    if case["beside"] == "another":
        found.append(("jain", fig["jain"] >= JAIN))
    return found


def rate_text(mbps):
    return f"{mbps:g} Mbit/s" if mbps < 1000 else f"{mbps / 1000:g} Gbit/s"


def marked(text, key, reached):
    """A figure of which the target is not reached is bold."""
    return f"**{text}**" if reached.get(key) is False else text


def row_of(r):
    case, fig = r["case"], r.get("figures")
    ok = dict(targets_of(case, fig))
    cells = [rate_text(case["rate_mbps"]), f"{case['rtt_ms']:g}",
             f"{case['queue_ms']:g}", f"{case['loss_pm'] / 10:g}",
             str(case["size_mib"])]
    if not fig:
        blank = len(TABLES[case["beside"]][1]) - len(cells) - 1
        return cells + [f"**{r['failed']}**"] + ["-"] * blank
    again = marked(f"{fig['again_share'] * 100:.2f}", "again", ok)
    added = "-" if fig["delay_ms"] is None else f"{fig['delay_ms']:.1f}"
    if case["beside"] == "cubic":
        return cells + [marked(f"{fig['our_share']:.2f}", "ours", ok),
                        marked(f"{fig['tcp_share']:.2f}", "tcp", ok),
                        again, added]
    if case["beside"] == "another":
        return cells + [" + ".join(f"{s:.2f}" for s in fig["shares"]),
                        marked(f"{fig['jain']:.3f}", "jain", ok),
                        again, added]
    return cells + [marked(f"{fig['rate_share']:.2f}", "rate", ok), again,
                    marked(added, "delay", ok)]


PATH = ["bottleneck", "round trip, ms", "queue, ms", "loss, %", "MiB"]
TABLES = {
    "alone": ("Alone", PATH + ["of the rate", "sent again, %",
                               "delay added, ms"]),
    "cubic": ("Beside one TCP CUBIC flow",
              PATH + ["our share", "TCP's share", "sent again, %",
                      "delay, ms"]),
    "another": ("Two transfers",
                PATH + ["their shares", "Jain's index", "sent again, %",
                        "delay, ms"]),
}


def table(results, beside):
    rows = [row_of(r) for r in results if r["case"]["beside"] == beside]
    head = TABLES[beside][1]
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in
                      [head, ["---:"] * len(head)] + rows]) if rows else ""


SUMS = {"rate": "alone: at least 0.9 of the rate",
        "again": "no random loss: at most 2 % sent again",
        "delay": "alone, queue of 20 ms or more: at most a third of it added",
        "tcp": "beside CUBIC: the TCP flow keeps a quarter",
        "ours": "beside CUBIC: the transfer keeps a quarter",
        "jain": "two transfers: Jain's index 0.9"}


def sums(results):
    counts = {key: [0, 0] for key in SUMS}
    for r in results:
        for key, reached in targets_of(r["case"], r.get("figures")):
            counts[key][0] += reached
            counts[key][1] += 1
    return "\n".join(["| target | reached in |", "|---|---:|"] +
                     [f"| {SUMS[key]} | {got} of {of} |"
                      for key, (got, of) in counts.items() if of])


def chart_of_rates(results):
    chart = Chart("Behind a bottleneck, alone: share of its rate", "share",
                  mark=RATE)
    for r in results:
        case = r["case"]
        if case["beside"] == "alone" and "figures" in r:
            chart.add(f"{rate_text(case['rate_mbps'])}, loss "
                      f"{case['loss_pm'] / 10:g} %",
                      Bar(f"rtt {case['rtt_ms']:g}, queue "
                          f"{case['queue_ms']:g} ms",
                          r["figures"]["rate_share"]))
    return chart if chart.groups else None


def plot_of_run(results):
    """The first run beside CUBIC with the longest queue."""
    runs = [r for r in results if r["case"]["beside"] == "cubic"
            and r.get("timeline", {}).get("rates")]
    if not runs:
        return None
    run = max(runs, key=lambda r: (r["case"]["queue_ms"],
                                   -r["case"]["rate_mbps"]))
    rates, queue = Panel("Mbit/s that each sends"), Panel("ping, ms")
    line = run["timeline"]["rates"]
    start = min(t for t, *_ in line)
    rates.add("pagetrim", "ours-line", [(t - start, a) for t, a, _ in line])
    rates.add("TCP CUBIC", "peer-line", [(t - start, c) for t, _, c in line])
    queue.add("round trip", "quiet-line",
              [(t - start, ms) for t, ms in run["timeline"]["queue"]
               if t >= start])
    case = run["case"]
    return svg_of_panels(
        f"{rate_text(case['rate_mbps'])}, round trip {case['rtt_ms']:g} ms, "
        f"queue {case['queue_ms']:g} ms, beside TCP CUBIC", [rates, queue])


TEXT = """
`bench.sh --only bottleneck`: three hosts on a bridge of MTU 1500, the way to the receiver through `tc` htb with a
queue (bfifo) of so many ms of the rate; a process as cable delays both directions by half of the round trip and
loses frames at random (`tests/bench/cable.c`). Random memory, `--insecure`, two lanes; beside another transfer one
each. *Of the rate*: Ethernet bytes of accepted frames, over the time of sending. *Sent again*: frames reported
missing, from the first of the transfer on, of all that were sent; 256 MiB a transfer, less where that would take
too long (the column MiB). *Delay*: mean of pings from the sender's host, every 20 ms while it sends, above the
least of the run. Shares beside another are of frames offered while both send, after the first second. One run of
each. Up to 1 Gbit/s with round trip and competitors; above alone and without delay, since the two cores that have
both ends, bridge and shaping do no more. More may be in flight than the receiver's ring holds, which drains
meanwhile: a lane's window is twice what it brings in a round trip, at most 8192 descriptors (12 MB in frames of
1500 bytes, 25 MB of two lanes; 24 MB in frames of 9000), so a path of 1 Gbit/s and 100 ms (12.5 MB) is where the
family ends. **Bold**: target not reached.
"""


def section(results, stem):
    parts = [TEXT.strip(), sums(results)]
    chart, plot = chart_of_rates(results), plot_of_run(results)
    name = os.path.basename(stem)
    for key, drawing in (("bottleneck", chart and svg(chart)),
                         ("bottleneck-run", plot)):
        if drawing:
            with open(f"{stem}-{key}.svg", "w", encoding="utf-8") as file:
                file.write(drawing)
            parts.append(f"![Behind a bottleneck]({name}-{key}.svg)")
    for beside, (title, _) in TABLES.items():
        text = table(results, beside)
        if text:
            parts.append(f"### {title}\n\n{text}")
    with open(f"{os.path.dirname(os.path.realpath(__file__))}/bottleneck.md",
              encoding="utf-8") as file:
        parts.append(file.read().split("-->\n", 1)[-1].strip())
    return "\n\n".join(parts)


def kept_section(path, marks=MARKS):
    """What stands between the marks of a document that is there."""
    try:
        with open(path, encoding="utf-8") as file:
            found = re.search(f"{marks[0]}(.*?){marks[1]}", file.read(), re.S)
    except FileNotFoundError:
        found = None
    return marks[0] + (found[1] if found else "\n(not measured)\n") + marks[1]


def render(results, write):
    sys.stdout.reconfigure(encoding="utf-8")
    print(sums(results))
    for beside, (title, _) in TABLES.items():
        text = table(results, beside)
        if text:
            print(f"\n{title}\n\n{text}")
    if not write:
        return
    with open(write, encoding="utf-8") as file:
        text = file.read()
    if MARKS[0] not in text:
        sys.exit(f"bottleneck: {write}: has no line '{MARKS[0]}'")
    part = section(results, os.path.splitext(write)[0])
    before, after = text.split(MARKS[0])[0], text.split(MARKS[1])[1]
    with open(write, "w", encoding="utf-8") as file:
        file.write(f"{before}{MARKS[0]}\n\n{part}\n\n{MARKS[1]}{after}")
