# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""tables: the bench's results as tables and charts."""
import statistics

from charts import Bar, Chart
from results import GIB, TRIMS
from targets import all_targets, cpu_per_gib, ratio

NAMES = {
    "insecure": "pagetrim --insecure",
    "no-copies": "--insecure, no copies",
    "pagetrim": "pagetrim, sealed",
    "insecure-warm": "--insecure, warm sink",
    "pagetrim-warm": "sealed, warm sink",
    "qemu": "QEMU, warm sink",
    "qemu-cold": "QEMU",
    "multifd": "QEMU multifd, warm sink",
    "multifd-cold": "QEMU multifd",
    "tcp": "plain TCP",
    "criu": "CRIU page server",
    "blast": "AF_XDP blast",
}
KINDS = {"insecure": "ours", "pagetrim": "sealed", "qemu": "warm",
         "multifd": "warm", "blast": "limit", "insecure-warm": "ours",
         "pagetrim-warm": "sealed", "no-copies": "ours"}  # all others: peer
IMAGES = {
    "guest": "real guest",
    "filled": "real guest, no holes",
    "worked": "real guest, after work",
    "random": "incompressible",
    "half": "every page half zero",
    "zero": "wholly zero",
}


class Table:
    """A head and rows of text; the first column is words, others figures."""

    def __init__(self, *head):
        self.head, self.rows = head, []

    def add(self, *row):
        self.rows.append([str(cell) for cell in row])

    def markdown(self):
        if not self.rows:
            return "(not measured)"
        lines = ["| " + " | ".join(row) + " |"
                 for row in (self.head, *self.rows)]
        lines.insert(1, "|---" + "|---:" * (len(self.head) - 1) + "|")
        return "\n".join(lines)

    def text(self):
        widths = [max(len(row[i]) for row in (self.head, *self.rows))
                  for i in range(len(self.head))]
        return "\n".join(
            "  ".join(cell.rjust(w) if i else cell.ljust(w)
                      for i, (cell, w) in enumerate(zip(row, widths))).rstrip()
            for row in (self.head, *self.rows))


def fixed(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def spread(cell, *path):
    least, most = cell.spread(*path)
    return f"{least:.3f}..{most:.3f}"


def targets(results):
    table = Table("what", "key", "target", "figure", "both sinks warm",
                  "reached")
    for t in all_targets(results):
        goal = f"{'≥' if t.at_least else '≤'} {t.goal:g}{t.unit}"
        if not t.is_measured:
            table.add(t.what, t.key, goal, "not measured", "-", "-")
            continue
        table.add(t.what, t.key, goal, t.text, fixed(t.warm),
                  "yes" if t.is_reached else "**no**")
    return table


def contestants(results, image):
    """Everyone, at every MTU, the base's queues and trimming."""
    table = Table("MTU, who", "seconds", "least..most", "x QEMU",
                  "MB on the link", "CPU s per GiB", "machine's CPU s",
                  "lost")
    for mtu in results.mtus(image):
        qemu = results.cell(image, "qemu-cold", mtu).seconds
        for what, name in NAMES.items():
            cell = results.cell(image, what, mtu)
            if not cell:
                continue
            lost = cell.median("lost")
            table.add(
                f"{mtu}, {name}", fixed(cell.seconds, 3),
                spread(cell, "seconds"),
                fixed(qemu / cell.seconds if qemu else None),
                fixed(cell.median("link_bytes") / 1e6, 1),
                fixed(cpu_per_gib(results, cell)),
                fixed(cell.median("machine_s")),
                "-" if lost is None else f"{lost * 100:.1f} %")
    return table


def images(results):
    whats = [w for w in NAMES if w in results.values("what")
             and w in ("insecure", "pagetrim", "tcp", "qemu-cold", "blast")]
    table = Table("image, MTU", *(NAMES[w] for w in whats))
    for image, name in IMAGES.items():
        for mtu in results.mtus(image):
            cells = [results.cell(image, what, mtu) for what in whats]
            if any(cells):
                table.add(f"{name}, {mtu}", *(
                    f"{c.seconds:.3f} ({spread(c, 'seconds')})" if c else "-"
                    for c in cells))
    return table


def ways(results):
    """What is varied alone: queues, methods of trimming."""
    table = Table("image, MTU, who", "queues", "--trim", "seconds",
                  "least..most", "of the base", "MB on the link",
                  "CPU s per GiB")
    for image, name in IMAGES.items():
        for mtu in results.mtus(image):
            for what in ("insecure", "pagetrim"):
                add_ways(table, results, (image, what, mtu),
                         f"{name}, {mtu}, {NAMES[what]}")
    return table


def add_ways(table, results, where, name):
    image, what, mtu = where
    base = results.cell(*where)
    found = [(queues, trim, results.cell(*where, queues, trim))
             for queues in sorted(results.values("queues"))
             for trim in TRIMS]
    found = [way for way in found if way[2]]
    if len(found) < 2:
        return
    for queues, trim, cell in found:
        table.add(name, queues, trim, fixed(cell.seconds, 3),
                  spread(cell, "seconds"),
                  fixed(cell.seconds / base.seconds if base else None),
                  fixed(cell.median("link_bytes") / 1e6, 1),
                  fixed(cpu_per_gib(results, cell)))


def left_out(results):
    """What of a guest's pages with data does not travel, and why."""
    table = Table("MTU", "pages whole, MB", "trimmed", "trimmed, copies",
                  "trimming saves", "copies save", "pages sent as copies")
    for mtu in results.mtus("guest"):
        whole = results.cell("guest", "no-copies", mtu, trim="none")
        trimmed = results.cell("guest", "no-copies", mtu)
        copied = results.cell("guest", "insecure", mtu)
        if not (whole and trimmed and copied):
            continue
        sizes = [c.median("link_bytes") for c in (whole, trimmed, copied)]
        pages = ratio(copied.median("report", "copies", "pages"),
                      copied.median("report", "ram", "normal"))
        table.add(mtu, *(fixed(sz / 1e6, 1) for sz in sizes),
                  *(f"{(a - b) / sizes[0] * 100:.1f} %"
                    for a, b in zip(sizes, sizes[1:])),
                  "-" if pages is None else f"{pages * 100:.1f} %")
    return table


def limits(results):
    table = Table("what", "GB/s", "by")
    for image, name in IMAGES.items():
        cell = results.cell(image, "memory", None)
        for key, what in (("read", "read"), ("scan", "scan"),
                          ("copy", "memcpy")):
            if cell:
                table.add(f"{what}, {name}",
                          fixed(results.memory_sz /
                                cell.median(f"{key}_s") / 1e9),
                          cell.runs[0].get(f"{key}_by", "libc"))
        for mtu in results.mtus(image):
            cell = results.cell(image, "blast", mtu)
            if cell:
                table.add(f"blast, MTU {mtu}, frames of {name}",
                          fixed(cell.median("bytes") / cell.seconds / 1e9),
                          f"{cell.median('frame_sz'):.0f} bytes a frame")
    return table


def stages(results):
    """Where the time of pagetrim's threads goes, by --profile."""
    columns = [(image, what, mtu) for image in IMAGES
               for what in ("stages", "stages-sealed")
               for mtu in results.mtus(image)
               if results.cell(image, what, mtu)]
    table = Table("end, stage", *(
        f"{IMAGES[image]}, {mtu}{', sealed' if 'sealed' in what else ''}"
        for image, what, mtu in columns))
    for end, report in (("send", "report"), ("receive", "receive_report")):
        for stage in stage_names(results, report):
            table.add(f"{end}, {stage}", *(
                stage_text(results.cell(*column), report, stage)
                for column in columns))
    return table


def stage_names(results, report):
    return list(dict.fromkeys(
        stage for what in ("stages", "stages-sealed")
        for profile in results.all_of(what).values(report, "profile")
        for stage in profile["stages"]))


def stage_text(cell, report, stage):
    # Reading the source again is done beside the lanes.
    thread = ("profile", "control") if stage == "recheck" else ("profile",)
    path = (report, *thread, "stages", stage)
    ms, sz = cell.median(*path, "time"), cell.median(*path, "bytes")
    if not ms:
        return "-"
    rate = f" ({sz / ms / 1e6:.1f})" if sz and ms > 1 else ""
    return f"{ms:.0f}{rate}"


def memory(results):
    table = Table("who", "sender, MiB", "receiver, MiB",
                  "with what it maps: sender", "receiver")
    for what in ("insecure", "pagetrim", "tcp", "criu"):
        cell = results.all_of(what)
        if cell:
            table.add(NAMES[what], *(
                fixed(max(cell.values(end, key)) / 1024, 1)
                for key in ("anon_kib", "resident_kib")
                for end in ("send", "receive")))
    return table


# ---------------------------------------------------------------------- charts

def bar(results, cell, what, figure):
    values = [figure(run) for run in cell.runs]
    return Bar(NAMES[what], statistics.median(values),
               KINDS.get(what, "peer"), (min(values), max(values)))


def by_mtu(results, title, axis, figure, leave_out=()):
    chart = Chart(title, axis)
    for mtu in results.mtus("guest"):
        for what in NAMES:
            cell = results.cell("guest", what, mtu)
            if cell and what not in leave_out:
                chart.add(f"MTU {mtu}", bar(results, cell, what, figure))
    return chart


def chart_images(results):
    mtu = max((m for i in IMAGES if i != "guest" for m in results.mtus(i)),
              default=None)
    chart = Chart(f"Other memories, MTU {mtu}",
                  "seconds; less is better; bars: medians, lines: least to "
                  "most")
    for image, name in IMAGES.items():
        for what in ("insecure", "pagetrim", "qemu-cold", "tcp", "blast"):
            cell = results.cell(image, what, mtu)
            if cell:
                chart.add(name, bar(results, cell, what,
                                    lambda r: r["seconds"]))
    return chart


def chart_trim(results):
    chart = Chart("What trimming and copies save on the link",
                  "% of the memory's size; less is better")
    for image, name in IMAGES.items():
        for mtu in results.mtus(image)[-1:]:
            for what, tail in (("no-copies", ", no copies"), ("insecure", "")):
                for trim in TRIMS:
                    cell = results.cell(image, what, mtu, trim=trim)
                    if cell:
                        chart.add(f"{name}, MTU {mtu}", Bar(
                            f"--trim {trim}{tail}",
                            cell.median("link_bytes") * 100 /
                            results.memory_sz,
                            "ours" if trim == results.base_trim and
                            what == "insecure" else "limit"))
    return chart


def chart_targets(results):
    chart = Chart("Targets", "how far: 1 is the target, more is better; "
                  "bars end at 3", mark=1)
    for t in all_targets(results):
        if t.is_measured:
            chart.add("", Bar(t.key, min(t.progress, 3),
                              "good" if t.is_reached else "bad",
                              text=f"{t.text} of {t.goal:g}{t.unit}"))
    return chart


def all_charts(results):
    """name -> chart, those that have anything to show."""
    gib = results.memory_sz / GIB
    charts = {
        "targets": chart_targets(results),
        "time": by_mtu(results, "A real guest: total time", "seconds; less is "
                       "better; bars: medians, lines: least to most",
                       lambda r: r["seconds"]),
        "cpu": by_mtu(results, "A real guest: CPU time of both ends",
                      "seconds per GiB of guest; less is better",
                      lambda r: r["cpu_s"] / gib),
        "images": chart_images(results),
        "trim": chart_trim(results),
    }
    return {name: chart for name, chart in charts.items() if chart.bars}
