#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""messages.py: the messages of the program, and the condition of each.

    tests/messages/ROOM.txt     MESSAGE
                                        CONDITION in which it is printed, and true

    scripts/messages.py         checks that each message of user/ has a condition there,
                                and each entry a message
    scripts/messages.py --list  prints the messages without a condition, in the order of
                                the source; with FOLDER... those of these folders

Messages are the strings that the source gives to the functions of errors, or keeps
as a cause or remedy for them, and the findings of doctor.  A condition is a line that
begins with a tab; '|' in a finding separates its text from its remedy.

Exit: 0 no fault, 1 faults (one line each on stderr).
"""
import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = ROOT / "tests" / "messages"
STRING = r'"(?:\\.|[^"\\\n])*"'
STRINGS = re.compile(rf"{STRING}(?:\s*{STRING})*")
CALL = re.compile(r"\b(?:pt_error_(?:set|print|own)|pt_out_(?:usage|log|warn|fail)|"
                  r"gather_not_tried|pt_findings_add|fputs|fprintf|too_\w+|unsure|"
                  r"\w*(?:refuse|fail|mistake|explain|complain|why|wrong|cannot)\w*)\(")
KEPT = re.compile(r"\b(?:\w*remedy|hint|who|whose|why|cause|own|root|arp|memlock)(?:\[[^]\n]*\])?"
                  r" =\s|\bsnprintf\((?:remedy|memlock|text|arp|why|of)\b"
                  r"|\breturn (?:[^;\"]*\?\s+)?(?=\")")
DEFINED = re.compile(r"^#define (?:REMEDY|FORM)\s.*", re.M)
FINDING = re.compile(r"^X\([A-Z_]+, \"[a-z-]+\", [A-Z]+, [A-Z]+,", re.M)
# Formats that only put parts together say nothing by themselves.
CONVERSION = re.compile(r"%[-+ #0-9.*]*(?:hh|h|ll|l|z)?[a-zA-Z]")
PLAIN = re.compile(r"[A-Za-z]{2,}.*[^A-Za-z][A-Za-z]{2,}")


def without_comments(code):
    """code with comments blanked, strings as they are."""
    return re.sub(rf"{STRING}|'(?:\\.|[^'\\\n])+'|/\*.*?\*/|//[^\n]*",
                  lambda m: m.group() if m.group()[0] in "\"'" else
                  re.sub(r"[^\n]", " ", m.group()), code, flags=re.S)


def end_of(code, start, closers):
    """The index behind the call or statement that begins at start."""
    depth, at = 0, start
    while at < len(code):
        if code[at] == '"':
            at = re.compile(STRING).match(code, at).end()
            continue
        if code[at] == "'":
            at = re.compile(r"'(?:\\.|[^'\\\n])+'").match(code, at).end()
            continue
        depth += code[at] in "({"
        depth -= code[at] in ")}"
        if (depth < 0 or (depth == 0 and code[at] in closers)):
            return at
        at += 1
    return at


def texts_in(code):
    for strings in STRINGS.finditer(code):
        text = "".join(s[1:-1] for s in re.findall(STRING, strings.group()))
        text = text.replace("\\n", " ").replace('\\"', '"').strip()
        plain = CONVERSION.sub("", text).strip()
        if PLAIN.search(plain) and " " in plain and text[0] != "<":
            yield text


def messages_of(path):
    code = without_comments(path.read_text(encoding="utf-8"))
    for m in DEFINED.finditer(code.replace("\\\n", "")):
        yield from texts_in(m.group())
    code = code.replace("\\\n", " \n")
    spans = [(m.end() - 1, ")") for m in CALL.finditer(code)]
    spans += [(m.start(), ";,") for m in KEPT.finditer(code)]
    for start, closers in sorted(spans):
        yield from texts_in(code[start:end_of(code, start, closers)])
    if path.name == "finding.def":
        for m in FINDING.finditer(code):
            row = code[m.end():end_of(code, m.end(), "")]
            yield " | ".join(t for t in (
                "".join(s[1:-1] for s in re.findall(STRING, part.group()))
                for part in STRINGS.finditer(row)) if t)


def rooms():
    return sorted(p.relative_to(ROOT) for p in (ROOT / "user").iterdir() if p.is_dir())


def messages(folders):
    """Room and text of each, in the order of the source, each once."""
    found = {}
    for folder in folders:
        path = ROOT / folder
        for file in [path] if path.is_file() else sorted([*path.glob("*.[ch]"), *path.glob("*.def")]):
            for text in messages_of(file):
                found.setdefault((file.parent.name, text))
    return list(found)


def conditions(faults):
    """(room, text) -> condition."""
    known = {}
    for file in sorted(FILES.glob("*.txt")):
        key = None
        for i, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
            if line.startswith("\t"):
                if not key or known[key]:
                    faults.append(f"{file.relative_to(ROOT)}:{i}: a condition of no message")
                else:
                    known[key] = line.strip()
            elif line and not line.startswith("# SPDX"):
                key = file.stem, line
                if key in known:
                    faults.append(f"{file.relative_to(ROOT)}:{i}: the second entry of this message")
                known[key] = ""
    return known


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--list", action="store_true")
    args.add_argument("folders", nargs="*")
    args = args.parse_args()
    faults = []
    known = conditions(faults)
    if args.list:
        for room, text in messages(args.folders or rooms()):
            if (room, text) not in known:
                print(f"{room}: {text}")
        return 0
    there = messages(rooms())
    for room, text in there:
        if not known.get((room, text)):
            faults.append(f"user/{room}: no condition in tests/messages/{room}.txt: {text}")
    for room, text in known:
        if (room, text) not in there:
            faults.append(f"tests/messages/{room}.txt: no such message: {text}")
    for fault in faults:
        print(f"messages: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
