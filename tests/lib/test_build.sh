#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test_build.sh: the program is hardened, the caller's flags have precedence, and a
# warning is an error by WERROR=1 alone.
#     tests/lib/test_build.sh BUILD
# Exit: 0 all is right, else 1; each fault is a line.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

build=${1:?usage: tests/lib/test_build.sh BUILD}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
fault() { echo "test_build: $*"; failed=1; }

# flags ARG...: prints the command that compiles an object.
flags() {
	make -nB --no-print-directory B="$tmp/none" V=1 "$@" \
		"$tmp/none/user/base/size.o" | grep -- ' -c user/base/size.c'
}

readelf -hldW "$build/pagetrim" >"$tmp/elf"
nm -D --undefined-only "$build/pagetrim" >"$tmp/symbols"
grep -q 'Type: *DYN' "$tmp/elf" || fault "pagetrim has a fixed address"
grep -q GNU_RELRO "$tmp/elf" || fault "pagetrim: no RELRO"
grep -qE 'BIND_NOW|FLAGS.* NOW' "$tmp/elf" || fault "pagetrim is bound lazily"
grep -q '__stack_chk_fail' "$tmp/symbols" || fault "pagetrim: no stack protector"
grep -q '__[a-z]*_chk@' "$tmp/symbols" || fault "pagetrim: no fortified function"
if [[ $(uname -m) == x86_64 ]]; then
	readelf -nW "$build/user/base/size.o" | grep -q IBT ||
		fault "size.o: no branch targets are marked"
fi

# A compiler for another processor, as far as it says; the headers are there.
# shellcheck disable=SC2016 # the script's own
printf '#!/bin/sh\n[ "$1" = -dumpmachine ] || exec gcc "$@"\necho s390x-linux-gnu\n' \
	>"$tmp/other-gcc"
chmod +x "$tmp/other-gcc"
flags CC="$tmp/other-gcc" | grep -q IPSEC_MB && fault "libipsec-mb for s390x"
if [[ $(uname -m) == x86_64 && -e /usr/include/intel-ipsec-mb.h ]]; then
	flags CC=gcc | grep -q IPSEC_MB || fault "x86-64 without libipsec-mb"
fi

flags WERROR= | grep -q -e -Werror && fault "warnings are errors by default"
flags WERROR=1 | grep -q -e -Werror || fault "WERROR=1 has no effect"
flags HARDEN= | grep -qE 'stack-protector|FORTIFY|fPIE' &&
	fault "HARDEN= has no effect"
flags CFLAGS=-O0 | grep -q FORTIFY && fault "functions are fortified at -O0"
flags CPPFLAGS=-D_FORTIFY_SOURCE=2 | grep -q FORTIFY_SOURCE=3 &&
	fault "the caller's _FORTIFY_SOURCE is overridden"

exit "$failed"
