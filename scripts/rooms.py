#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""rooms.py: the folders of user/, and the uses between them.

One header of each room says "Room NAME: ..." and "may use ROOM ROOM ...".

    scripts/rooms.py                  checks the files against these headers:
                                      includes, circles, sizes, and the picture;
                                      and include guards, and circles of files
    scripts/rooms.py --write          draws docs/rooms.svg

Exit: 0 no fault, 1 faults (one line each on stderr), 2 usage.
"""
import argparse
import pathlib
import re
import sys
import textwrap
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).resolve().parent.parent
USER = ROOT / "user"
PICTURE = ROOT / "docs" / "rooms.svg"
PART_MAX = 0.12         # of all lines, in one room
BOX_W, BOX_H, GAP_X, GAP_Y, EDGE = 212, 66, 24, 46, 16
TITLE_CHARS = 32

# Circles of files of more than one noun.  The list is to become shorter.
CIRCLES = {
    "channel/fields channel/messages",
    "lane/lane lane/worker",
    "qmp/line qmp/qmp",
    "receive/receiver receive/rx_fill receive/rx_guest receive/rx_intake receive/rx_large "
    "receive/rx_messages receive/rx_open receive/rx_resume receive/rx_session "
    "receive/rx_storage receive/rx_watch",
    "rxq/intake rxq/placer rxq/rx_lane",
    "template/folder template/template",
    "track/enter track/inject",
    "xdp/occupant xdp/program",
}


class Room:
    """A room's header, and the includes of its files."""

    def __init__(self, folder):
        self.name = folder.name
        self.files = sorted(folder.glob("*.[ch]"))
        self.line_cnt = sum(len(f.read_text().splitlines()) for f in self.files)
        self.includes = {}
        for file in self.files:
            for used in re.findall(r'^#include "([a-z_]+)/', file.read_text(), re.M):
                if used != self.name:
                    self.includes.setdefault(used, file)
        said = [f for f in self.files if "/* Room " in f.read_text()]
        self.heads = [re.search(r"/\* Room (\w+): (.*?)\n \*/", f.read_text(), re.S)
                      for f in said]

    def read_head(self):
        """Reads title and uses from the room's one head."""
        text = re.sub(r"\n \*", "\n", self.heads[0].group(2))
        self.title = text.split("\n")[0].rstrip(".")
        uses = re.search(r"may use\s+(.*?)must not know", text, re.S).group(1).split()
        self.uses = [] if uses == ["no", "other"] else uses


def read_rooms(faults):
    rooms = {}
    for folder in sorted(p for p in USER.iterdir() if p.is_dir()):
        room = Room(folder)
        if len(room.heads) != 1 or room.heads[0] is None:
            faults.append(f"user/{room.name}: {len(room.heads)} headers say 'Room ...', "
                          "one must")
            continue
        room.read_head()
        if room.heads[0].group(1) != room.name:
            faults.append(f"user/{room.name}: its header says Room {room.heads[0].group(1)}")
        rooms[room.name] = room
    return rooms


def check_includes(rooms, faults):
    for room in rooms.values():
        for used, file in sorted(room.includes.items()):
            if used in rooms and used not in room.uses:
                faults.append(f"{file.relative_to(ROOT)}: includes {used}, which room "
                              f"{room.name} may not use")
        for used in room.uses:
            if used not in room.includes:
                faults.append(f"user/{room.name}: says that it may use {used}, and does not")


def levels_of(rooms, faults):
    """Level 0 uses no room; each other level only rooms below it."""
    levels, left = {}, dict(rooms)
    while left:
        ready = [n for n, r in left.items()
                 if all(u in levels for u in r.uses if u in rooms)]
        if not ready:
            faults.append("a circle among rooms: " + " ".join(sorted(left)))
            return None
        for name in ready:
            below = [levels[u] for u in left[name].uses if u in rooms]
            levels[name] = 1 + max(below, default=-1)
        for name in ready:
            del left[name]
    return levels


def raised(rooms, levels):
    """levels again, each room just below the lowest of those that use it."""
    raised_to = {}
    for name in sorted(rooms, key=lambda n: -levels[n]):
        users = [raised_to[n] for n in raised_to if name in rooms[n].uses]
        raised_to[name] = min(users) - 1 if users else levels[name]
    return raised_to


def circles_of(uses):
    """The sets of names that use each other, directly or by others, in order."""
    def reach(start):
        seen, left = set(), [start]
        while left:
            for used in uses.get(left.pop(), set()) - seen:
                seen.add(used)
                left.append(used)
        return seen

    reached = {name: reach(name) for name in uses}
    return sorted({" ".join(sorted({name} | {n for n in reached[name]
                                             if name in reached.get(n, ())}))
                   for name in uses if name in reached[name]})


def check_files(rooms, faults):
    """Guards of headers, and circles: no header may be in one, nor a .c and .h pair
    but with files of its own noun, such as image and image_impl."""
    headers, pairs = {}, {}
    for file in (f for room in rooms.values() for f in room.files):
        text, name = file.read_text(), f"{file.parent.name}/{file.stem}"
        used = set(re.findall(r'^#include "([a-z_]+/[a-z_0-9]+)\.h"', text, re.M))
        pairs.setdefault(re.sub("_(impl|internal)$", "", name), set()).update(
            re.sub("_(impl|internal)$", "", n) for n in used)
        if file.suffix == ".h":
            headers[name] = used
            guard = name.upper().replace("/", "_") + "_H"
            if not re.search(rf"^#ifndef {guard}\n#define {guard}$", text, re.M):
                faults.append(f"user/{name}.h: its include guard is not {guard}")
    faults += [f"a circle of headers: {c}" for c in circles_of(headers)]
    for name, used in pairs.items():
        used.discard(name)
    found = set()
    for circle in circles_of(pairs):
        noun = min(circle.split(), key=len)
        if any(n != noun and not n.startswith(noun + "_") for n in circle.split()):
            found.add(circle)
    faults += [f"a new circle of files: {c}" for c in sorted(found - CIRCLES)]
    faults += [f"no circle of files, CIRCLES names it: {c}" for c in sorted(CIRCLES - found)]


def check_sizes(rooms, faults):
    all_cnt = sum(r.line_cnt for r in rooms.values())
    for room in rooms.values():
        if room.line_cnt > PART_MAX * all_cnt:
            faults.append(f"user/{room.name}: {room.line_cnt} of {all_cnt} lines, more than "
                          f"{100 * PART_MAX:.0f} %: it holds more than one concern")


def direct_uses(rooms, name):
    """The uses that no other use implies, which the picture shows."""
    def reach(start):
        seen = set()
        for used in rooms[start].uses:
            seen |= {used} | reach(used)
        return seen

    return [u for u in rooms[name].uses
            if not any(u in reach(v) for v in rooms[name].uses if v != u)]


def place(rooms, levels):
    """x and y of each box: one row per level, near the rooms that it uses."""
    at, rows = {}, {}
    for name in sorted(rooms):
        rows.setdefault(levels[name], []).append(name)
    width = max(len(row) for row in rows.values()) * (BOX_W + GAP_X) - GAP_X
    for level in sorted(rows):
        row = rows[level]
        row.sort(key=lambda n: (sum(at[u][0] for u in direct_uses(rooms, n)) /
                                max(1, len(direct_uses(rooms, n))), n))
        left = (width - len(row) * (BOX_W + GAP_X) + GAP_X) / 2
        for i, name in enumerate(row):
            at[name] = (EDGE + left + i * (BOX_W + GAP_X),
                        EDGE + (max(rows) - level) * (BOX_H + GAP_Y))
    return at, width + 2 * EDGE, EDGE * 2 + (max(rows) + 1) * (BOX_H + GAP_Y) - GAP_Y


def draw(rooms, levels):
    at, width, height = place(rooms, levels)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
           'font-family="sans-serif">',
           "<title>The rooms of user/: who uses whom</title>",
           f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>']
    for name in sorted(rooms):
        x, y = at[name]
        for used in direct_uses(rooms, name):
            to_x, to_y = at[used]
            from_x, from_y, to_x = x + BOX_W / 2, y + BOX_H, to_x + BOX_W / 2
            bend = (to_y - from_y) / 2
            out.append(f'<path d="M{from_x:.0f} {from_y:.0f} C{from_x:.0f} {from_y + bend:.0f} '
                       f'{to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y:.0f}" fill="none" '
                       'stroke="#8a94a6" stroke-width="1.2"/>')
    for name, room in sorted(rooms.items()):
        x, y = at[name]
        out += [f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX_W}" height="{BOX_H}" rx="6" '
                'fill="#f2f5fa" stroke="#3b5b8c"/>',
                f'<text x="{x + 12:.0f}" y="{y + 22:.0f}" font-size="15" font-weight="bold" '
                f'fill="#1d2b45">{escape(name)}</text>']
        for i, line in enumerate(textwrap.wrap(room.title, TITLE_CHARS)):
            out.append(f'<text x="{x + 12:.0f}" y="{y + 40 + 14 * i:.0f}" font-size="11" '
                       f'fill="#445066">{escape(line)}</text>')
    return "\n".join(out + ["</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="draw the picture anew")
    write = parser.parse_args().write
    faults = []
    rooms = read_rooms(faults)
    check_includes(rooms, faults)
    check_sizes(rooms, faults)
    check_files(rooms, faults)
    levels = levels_of(rooms, faults)
    if levels is not None:
        picture = draw(rooms, raised(rooms, levels))
        if write:
            PICTURE.write_text(picture)
        elif not PICTURE.exists() or PICTURE.read_text() != picture:
            faults.append("docs/rooms.svg: not as the rooms are (run: scripts/rooms.py --write)")
    for fault in faults:
        print(f"rooms: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
