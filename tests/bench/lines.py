# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""lines: panels of curves over one time axis, as SVG."""
from dataclasses import dataclass, field
from html import escape

from charts import STYLE, number, steps

WIDTH, LEFT, RIGHT, HEAD, FOOT = 760, 60, 20, 34, 30
PANEL, GAP = 150, 34

LINES = """
  .curve { fill: none; stroke-width: 1.5 }
  .ours-line { stroke: #1f77b4 } .peer-line { stroke: #e08a1e }
  .quiet-line { stroke: #8c959f }
"""


@dataclass
class Panel:
    axis: str
    curves: list = field(default_factory=list)  # (name, kind, [(x, y)])

    def add(self, name, kind, points):
        self.curves.append((name, kind, points))

    @property
    def most(self):
        return max(y for _, _, points in self.curves for _, y in points)


def panel_parts(panel, top, longest):
    ticks = steps(panel.most or 1)
    bottom = top + PANEL

    def at(x, y):
        return (LEFT + x / longest * (WIDTH - LEFT - RIGHT),
                bottom - y / ticks[-1] * PANEL)

    parts = []
    for tick in ticks:
        y = at(0, tick)[1]
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" '
                     f'y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" class="quiet" '
                     f'text-anchor="end">{number(tick)}</text>')
    parts.append(f'<text x="{LEFT}" y="{top - 8}">{escape(panel.axis)}</text>')
    x = WIDTH - RIGHT
    for name, kind, points in reversed(panel.curves):
        dots = " ".join("{:.1f},{:.1f}".format(*at(*p)) for p in points)
        parts.append(f'<polyline class="curve {kind}" points="{dots}"/>')
        parts.append(f'<text x="{x}" y="{top - 8}" text-anchor="end">'
                     f'{escape(name)}</text>')
        x -= 7 * len(name) + 12
        parts.append(f'<line x1="{x - 14}" y1="{top - 12}" x2="{x}" '
                     f'y2="{top - 12}" class="curve {kind}"/>')
        x -= 26
    return parts


def svg_of_panels(title, panels, axis="seconds"):
    longest = max(x for p in panels for _, _, points in p.curves
                  for x, _ in points)
    height = HEAD + len(panels) * (PANEL + GAP) + FOOT
    parts = [f'<text x="8" y="20" class="title">{escape(title)}</text>']
    for i, panel in enumerate(panels):
        parts += panel_parts(panel, HEAD + GAP * (i + 1) + PANEL * i - 6,
                             longest)
    bottom = HEAD + len(panels) * (PANEL + GAP) - 6
    for tick in steps(longest)[:-1]:
        x = LEFT + tick / longest * (WIDTH - LEFT - RIGHT)
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" class="quiet" '
                     f'text-anchor="middle">{number(tick)}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{bottom + 30}" class="quiet" '
                 f'text-anchor="end">{escape(axis)}</text>')
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<title>{escape(title)}</title>", f"<style>{STYLE}{LINES}</style>",
        *parts, "</svg>", ""])
