#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""words.py: the sentences of comments, messages, documents and man pages.

    scripts/words.py                    checks the folders of DONE for the patterns
                                        of PATTERNS, which make a reader stumble
    scripts/words.py --all              checks the other folders, too
    scripts/words.py --draw 100 --seed 7
                                        prints 100 comments and messages, drawn at
                                        random, to be read and judged
Exit: 0 nothing found, 1 findings (one line each on stderr).
"""
import argparse
import io
import pathlib
import random
import re
import subprocess
import sys
import tokenize

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ["user", "include", "bpf", "scripts", "docs", "README.md", "tests"]
DONE = ["README.md", "bpf", "docs", "include", "scripts", "user", "tests/bench/*.md",
        "tests/bpf", "tests/frames", "tests/fuzz", "tests/kernel", "tests/lib",
        "tests/net/lib_meanwhile.sh", "tests/net/test_*.sh", "tests/net/*.py", "tests/net/*.[ch]",
        "tests/nic", "tests/reference", "tests/unit", "tests/vectors"]

SUBJECT = r"(?:^|[.;:] |\b(?:so|and|but|since|because|if|then|while|for|that) )"
UNITS = (r"(?:command|copy|device|file|frame|interface|lane|line|message|page|peer|"
         r"piece|process|queue|region|second|sender|session|socket|subcommand|thread|"
         r"transfer|word)")
GIVES = r"(?:give|hand|cost|make|call|leave|tell|ask|send|take|show|allow|bring)\w*|gave|took"

# name: expression, searched in one sentence without its line breaks.
PATTERNS = {
    "a clause with 'who' as its subject":
        re.compile(SUBJECT + r"(?:who|whoever)\b(?!.*\?$)", re.I),
    "a clause with 'what' as its subject":
        re.compile(r"(?:^|[.;:] |\b(?:so|but|since|because|then|while) )what\b(?!.*\?$)", re.I),
    "'Of X, ...' in front":
        re.compile(r"^Of (?!course)|[;:] of [^,;.]*, "),
    "'a file a subcommand': write one file per subcommand":
        re.compile(rf"(?<!\w)(?:an?|one) [a-z-]+ an? {UNITS}\b"),
    "'let go': write release":
        re.compile(r"\blet(?:s|ting)? (?:\w+ )?go\b(?! on)", re.I),
}
NOT_A_RATE = re.compile(rf"\b(?:{GIVES}) (?:an?|one) [a-z-]+ an? {UNITS}\b")


class Text:
    """One comment, message or paragraph."""

    def __init__(self, path, line, kind, text):
        self.path, self.line, self.kind = path, line, kind
        self.text = re.sub(r"\s+", " ", text).strip()

    def sentences(self):
        return re.split(r"(?<=[.?!])\s+(?=[A-Z`*\"(])", self.text)


def paragraphs(lines):
    """(index of the first line, text) of each; pictures and tables are left out."""
    start, held = 0, []
    for i, line in enumerate(lines + [""]):
        if line.strip() and not re.match(r"(?:\t| {3,})|.*(?:--|==)[>|+]|\|", line):
            start = start if held else i
            held.append(line.strip())
        elif held:
            yield start, " ".join(held)
            held = []


C_TOKEN = re.compile(r"""
    (?P<block>/\*.*?\*/) | (?P<line>//[^\n]*)
    | (?P<string>"(?:\\.|[^"\\\n])*"(?:\s*(?:PRI\w+\s*)?"(?:\\.|[^"\\\n])*")*)
    | '(?:\\.|[^'\\\n])+' | ^[ \t]*\#[ \t]*include[^\n]*""", re.S | re.X | re.M)


def of_c(path, code):
    for m in C_TOKEN.finditer(code):
        line = code.count("\n", 0, m.start()) + 1
        if m.group("block"):
            body = [re.sub(r"^\s*\* ?", "", l)
                    for l in m.group("block")[2:-2].split("\n")]
            body[0] = body[0].lstrip()
            for at, text in paragraphs(body):
                yield Text(path, line + at, "comment", text)
        elif m.group("line"):
            yield Text(path, line, "comment", m.group("line")[2:])
        elif m.group("string"):
            text = "".join(re.findall(r'"((?:\\.|[^"\\])*)"', m.group("string")))
            if re.search(r"[a-z]{2,} [a-z]{2,}", text):
                yield Text(path, line, "message", text.replace("\\n", " "))


def of_script(path, code):
    held, first = [], 0
    for i, line in enumerate(code.split("\n") + [""], 1):
        m = re.match(r"\s*#(?!!) ?(.*)", line)
        if m:
            first = first if held else i
            held.append(m.group(1))
            continue
        for at, text in paragraphs(held):
            yield Text(path, first + at, "comment", text)
        held = []
    if path.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.STRING and token.string.startswith('"""'):
                for at, text in paragraphs(token.string.strip('"').split("\n")):
                    yield Text(path, token.start[0] + at, "comment", text)


def of_markdown(path, code):
    code = re.sub(r"```.*?```", lambda m: "\n" * m.group().count("\n"), code, flags=re.S)
    code = re.sub(r"<!--.*?-->", lambda m: "\n" * m.group().count("\n"), code, flags=re.S)
    lines = [("" if re.match(r"#|\|| {4}|!\[", l) else
              re.sub(r"^ *(?:[-*]|\d+\.) ", "\0", l).strip()) for l in code.split("\n")]
    spread = []
    for i, line in enumerate(lines, 1):
        if line.startswith("\0"):
            spread.append((i, ""))
        spread.append((i, line.lstrip("\0")))
    for at, text in paragraphs([l for _, l in spread]):
        yield Text(path, spread[at][0], "document", text)


def of_man(path, code):
    held, first, literal = [], 0, False
    for i, line in enumerate(code.split("\n") + [".Pp"], 1):
        literal = (literal or line.startswith(".Bd")) and not line.startswith(".Ed")
        inline = re.match(r"\.(?:Ar|Cm|Dv|Fl|Ic|Nm|Pa|Pq|Po|Ql|Sx|Va|Xr|Dq|Ns|Op)\b(.*)", line)
        if not literal and (inline or not line.startswith(".")):
            first = first if held else i
            text = inline.group(1) if inline else line
            held.append(re.sub(r" (?:Cm|Ar|Ns|Fl|Pa|Va|No) ", " ", " " + text).strip())
        elif held:
            text = re.sub(r" ([.,;:)])(?= |$)", r"\1", " ".join(held))
            yield Text(path, first, "man page", text)
            held = []


READERS = {".c": of_c, ".h": of_c, ".def": of_c, ".sh": of_script, ".bash": of_script,
           ".py": of_script, ".md": of_markdown, ".8": of_man, ".3": of_man, ".5": of_man}


def texts(folders):
    names = subprocess.run(["git", "-C", ROOT, "ls-files", "--", *folders], text=True,
                           stdout=subprocess.PIPE, check=True).stdout.split()
    for name in names:
        path = pathlib.Path(name)
        if path.suffix in READERS and (ROOT / path).exists():
            code = (ROOT / path).read_text(encoding="utf-8")
            for text in READERS[path.suffix](path, code):
                if "SPDX-License" not in text.text:
                    yield text


def check(folders):
    found = 0
    for text in texts(folders):
        for sentence in text.sentences():
            for name, pattern in PATTERNS.items():
                m = pattern.search(sentence)
                if m and not NOT_A_RATE.search(sentence):
                    found += 1
                    print(f"{text.path}:{text.line}: {name}: "
                          f"...{sentence[max(0, m.start() - 20):m.end() + 50]}",
                          file=sys.stderr)
    return found


def check_glossary():
    """Each name of the code in the glossary's last column is there."""
    rows = (ROOT / "docs/glossary.md").read_text(encoding="utf-8").split("\n")
    names = {name for row in rows if row.startswith("| ")
             for name in re.findall(r"`([A-Za-z_]+)`", row.rsplit("|", 2)[1])}
    gone = [name for name in sorted(names)
            if subprocess.run(["git", "-C", ROOT, "grep", "-q", name, "--", "user",
                               "include"], check=False).returncode]
    for name in gone:
        print(f"docs/glossary.md: {name}: no such name in the code", file=sys.stderr)
    return len(gone)


def draw(folders, cnt, seed):
    drawn = [t for t in texts(folders) if t.kind in ("comment", "message")
             and len(t.text.split()) > 3]
    drawn = random.Random(seed).sample(drawn, min(cnt, len(drawn)))
    for i, text in enumerate(drawn, 1):
        print(f"{i:3} {text.path}:{text.line} ({text.kind})\n    {text.text}")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--all", action="store_true")
    args.add_argument("--draw", type=int)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("folders", nargs="*")
    args = args.parse_args()
    if args.draw:
        draw(args.folders or FOLDERS, args.draw, args.seed)
        return 0
    found = check(args.folders or (FOLDERS if args.all else DONE))
    return 1 if found + check_glossary() else 0


if __name__ == "__main__":
    sys.exit(main())
