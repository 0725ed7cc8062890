# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""charts: bar charts as SVG, readable on a light and on a dark page.

    group      name  =========|---|        1.23     a bar, its spread, its value
               name  =====|-|              0.71
"""
from dataclasses import dataclass, field
from html import escape

WIDTH, LEFT, RIGHT = 760, 210, 70
ROW, GAP, HEAD, FOOT = 20, 14, 46, 34

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .quiet { fill: #59636e }
  .grid { stroke: #d1d9e0 }
  .mark { stroke: #cf222e; stroke-width: 2; stroke-dasharray: 4 3 }
  .spread { stroke: #1f2328; stroke-width: 1.2 }
  .ours { fill: #1f77b4 } .sealed { fill: #0f4c81 }
  .peer { fill: #e08a1e } .warm { fill: #c2a36b }
  .limit { fill: #8c959f } .bad { fill: #c0392b } .good { fill: #2e8b57 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 }
    .grid { stroke: #3d444d } .spread { stroke: #e6edf3 }
    .mark { stroke: #ff7b72 }
    .ours { fill: #58a6ff } .sealed { fill: #2f6fd0 }
    .peer { fill: #f0a04b } .warm { fill: #9d8450 }
    .limit { fill: #6e7681 } .bad { fill: #e5675b } .good { fill: #3fb27f }
  }
"""


@dataclass
class Bar:
    name: str
    value: float
    kind: str = "ours"      # a class of STYLE
    spread: tuple = None    # (least, most)
    text: str = None        # its value, in words


@dataclass
class Chart:
    title: str
    axis: str
    groups: dict = field(default_factory=dict)  # name -> bars
    mark: float = None      # a line across, where something is met

    def add(self, group, bar):
        self.groups.setdefault(group, []).append(bar)

    @property
    def bars(self):
        return [bar for bars in self.groups.values() for bar in bars]


def steps(most):
    """Where the grid's lines stand: four to nine of a round size."""
    size = 1e-6
    while True:
        for times in (1, 2, 5):
            if most / (size * times) <= 8:
                step = size * times
                return [i * step for i in range(int(most / step) + 2)]
        size *= 10


def number(value):
    return f"{value:.3g}"


class Drawing:
    def __init__(self, most, height):
        self.parts, self.most, self.height = [], most, height

    def x(self, value):
        return LEFT + value / self.most * (WIDTH - LEFT - RIGHT)

    def text(self, x, y, words, kind="", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" '
                          f'text-anchor="{anchor}">{escape(words)}</text>')

    def line(self, x1, y1, x2, y2, kind):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" '
                          f'y2="{y2:.1f}" class="{kind}"/>')

    def bar(self, bar, y, mark):
        end, middle = self.x(bar.value), y + ROW / 2
        self.text(LEFT - 8, middle + 4, bar.name, anchor="end")
        self.parts.append(
            f'<rect x="{LEFT}" y="{y + 3:.1f}" '
            f'width="{max(end - LEFT, 1):.1f}" height="{ROW - 6}" rx="2" '
            f'class="{bar.kind}"/>')
        if bar.spread:
            least, most = (self.x(v) for v in bar.spread)
            self.line(least, middle, most, middle, "spread")
            for x in (least, most):
                self.line(x, middle - 4, x, middle + 4, "spread")
            end = max(end, most)
        if mark is not None and end < self.x(mark) + 6:
            end = max(end, self.x(mark))  # words do not stand on the mark
        self.text(end + 6, middle + 4, bar.text or number(bar.value))


def svg(chart):
    """The chart as the text of an SVG file."""
    height = HEAD + FOOT + ROW * len(chart.bars) + \
        (ROW + GAP) * len(chart.groups)
    ticks = steps(max([b.spread[1] if b.spread else b.value
                       for b in chart.bars] + [chart.mark or 0]))
    drawing = Drawing(ticks[-1], height)
    drawing.text(8, 22, chart.title, "title")
    bottom = height - FOOT
    for tick in ticks:
        x = drawing.x(tick)
        drawing.line(x, HEAD - 10, x, bottom, "grid")
        drawing.text(x, bottom + 14, number(tick), "quiet", "middle")
    drawing.text(WIDTH - RIGHT, bottom + 28, chart.axis, "quiet", "end")
    y = HEAD
    for name, bars in chart.groups.items():
        drawing.text(8, y + 14, name, "quiet")
        y += ROW
        for bar in bars:
            drawing.bar(bar, y, chart.mark)
            y += ROW
        y += GAP
    if chart.mark is not None:
        x = drawing.x(chart.mark)
        drawing.line(x, HEAD - 10, x, bottom, "mark")
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<title>{escape(chart.title)}</title>",
        f"<style>{STYLE}</style>", *drawing.parts, "</svg>", ""])
