#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The interface that programs were compiled against: sizes, offsets and types of the
structs of pagetrim.h and live.h, and values of its enums, as the compiler has them,
and the types of its functions and their parameters.

    tests/lib/abi.py            compares them with tests/lib/abi.list
    tests/lib/abi.py --write    writes abi.list: for a field that was added behind the
                                last, a value of its own, or a function that is new.
                                Any other change needs another SONAME.
"""
import difflib
import os
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = os.path.join(ROOT, "include")
HEADERS = ["pagetrim.h", "live.h"]
LICENCE = "# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only\n"
LIST = os.path.join(ROOT, "tests/lib/abi.list")


def field_of(text):
    """the name that a declaration without its semicolon declares"""
    pointer = re.search(r"\(\*(\w+)\)\(", text)
    plain = re.search(r"(\w+)(\[\w+\])?$", text)
    return (pointer or plain).group(1)


def type_of(text):
    """the declaration without the names that it declares, parameters' too"""
    text = re.sub(r"\s+", " ", text).strip()
    callback = re.fullmatch(r"(.*?) ?\(\*\w+\)\((.*)\)", text)
    if callback:
        return f"{callback[1]} (*)({types_of(callback[2])})"
    if re.fullmatch(r"\w+|(struct|enum) \w+", text):
        return text
    return re.sub(r" ?\b\w+((\[\w+\])?)$", r"\1", text)


def types_of(parameters):
    """the types of parameters, some of which may be callbacks with commas"""
    parts, depth = [""], 0
    for char in parameters:
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return ", ".join(map(type_of, parts))


def lines_of(header):
    """statements that print a line each"""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    for kind, name, body in re.findall(r"^(struct|enum) (\w+) \{(.*?)^\};", text,
                                       re.S | re.M):
        if kind == "enum":
            for value in re.findall(r"^\s*(\w+)\s*=", body, re.M):
                yield f'printf("enum {name} {value} %d\\n", {value});'
            continue
        yield f'printf("struct {name} %zu\\n", sizeof(struct {name}));'
        for part in re.sub(r"\s+", " ", body).split(";")[:-1]:
            field = field_of(part.strip())
            yield (f'printf("struct {name} {field} %zu %zu {type_of(part)}\\n", '
                   f'offsetof(struct {name}, {field}), '
                   f'sizeof(((struct {name} *)0)->{field}));')
    for returned, name, parameters in re.findall(
            r"^PT_API ([^;]*?)(pt_\w+)\(([^;]*)\);", text, re.M):
        yield (f'puts("function {returned.strip()} {name}'
               f'({types_of(parameters)})");')


def main():
    body = ""
    for header in HEADERS:
        with open(os.path.join(INCLUDE, "pagetrim", header),
                  encoding="ascii") as file:
            body += "\n".join(lines_of(file.read())) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "abi")
        subprocess.run(
            shlex.split(os.environ.get("CC", "cc")) +
            ["-I", INCLUDE, "-x", "c", "-",
             "-o", program], check=True, text=True,
            input="#include <stdio.h>\n#include <pagetrim/pagetrim.h>\n"
                  "int main(void)\n{\n" + body + "\nreturn 0;\n}\n")
        now = subprocess.run([program], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    now = LICENCE + now
    if sys.argv[1:] == ["--write"]:
        with open(LIST, "w", encoding="ascii") as file:
            file.write(now)
        return 0
    with open(LIST, encoding="ascii") as file:
        before = file.read()
    diff = list(difflib.unified_diff(before.splitlines(), now.splitlines(),
                                     "abi.list", "pagetrim.h", lineterm="", n=0))
    print("\n".join(diff))
    return 1 if diff else 0


if __name__ == "__main__":
    sys.exit(main())
