#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# lint.sh: cppcheck on the C, shellcheck on the shell, and the project's rules
# that a program can check.
#
#     scripts/lint.sh     Exit: 0 nothing found, 1 findings, 2 usage.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/usage.sh
source scripts/usage.sh
usage_nothing "$@"

failed=0
say() { echo "lint: $*" >&2; }
finding() { say "$*"; failed=1; }

mapfile -t c < <(git ls-files '*.c' '*.h')
mapfile -t shell < <(git ls-files '*.sh' '*.bash' .ci/run debian/tests/transfer \
	debian/tests/embed debian/pagetrim.postrm)
mapfile -t all < <(git ls-files ':!LICENSES' ':!tests/fuzz/corpus' \
	':!tests/vectors/*.hex' ':!docs/*.svg' ':!debian/changelog' \
	':!debian/source/format')

for f in "${all[@]}"; do
	head -n 5 "$f" | grep -q 'SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only' ||
		finding "$f: no SPDX licence line in its first five lines"
done
for f in "${c[@]}"; do
	lines=$(wc -l <"$f")
	[ "$lines" -le 500 ] || finding "$f: $lines lines, over 500"
done

while read -r at; do
	finding "$at: a clock of its own (<pagetrim/clock.h>)"
done < <(git grep -n 'clock_gettime(CLOCK_MONOTONIC' -- user \
	include ':!include/pagetrim/clock.h' | cut -d: -f1,2)

# Tables and code may be longer.
while read -r at; do
	finding "$at: a line of more than 120 columns"
done < <(git grep -nE '^.{121}' -- README.md 'docs/*.md' |
	grep -vE '^[^:]+:[0-9]+:(\||    )' | cut -d: -f1,2)
# shellcheck disable=SC2016 # the backticks are Markdown's
while read -r path; do
	[ -e "$path" ] || finding "$path: named in the documents, and not there"
done < <(grep -Eoh '`(bpf|docs|include|scripts|tests|user)/[a-z0-9_./-]+`' \
	README.md docs/*.md | tr -d '`' | sort -u)

while read -r symbol; do
	finding "debian/libpagetrim0.symbols: $symbol: there or in user/api/pagetrim.map alone"
done < <(comm -3 <(sed -n 's/^\t\(pt_.*\);/\1/p' user/api/pagetrim.map | sort) \
	<(sed -n 's/^ \(pt_[a-z_]*\)@.*/\1/p' debian/libpagetrim0.symbols | sort))

[ "$(wc -w <docs/design.md)" -le 2500 ] ||
	finding "docs/design.md: more than 2500 words"
scripts/rooms.py || finding "rooms.py found something"
scripts/words.py || finding "words.py found something"
scripts/messages.py || finding "messages.py found something"

printf '%s\0' "${shell[@]}" | xargs -0 -n 4 -P "$(nproc)" \
	shellcheck -x -P SCRIPTDIR -P scripts -P tests/net ||
	finding "shellcheck found something"

# bpf/ is checked by clang with -Wall -Wextra -Werror, and by the verifier.
# unusedStructMember and similar checks do not see uses in other files.
# Arithmetic on void pointers is defined in GNU C, the dialect of this code.
# The suppressions with a file are errors of cppcheck 2.17: objects that are freed
# by way of their first member, arrays of at least one element that a loop fills,
# and a value that is set unless there is an error.
cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr -j 2 \
	--enable=warning,performance,portability \
	--suppress=missingIncludeSystem --suppress=unusedStructMember \
	--suppress=arithOperationsOnVoidPointer \
	--suppress=normalCheckLevelMaxBranches \
	--suppress=nullPointerRedundantCheck:tests/* \
	--suppress=memleak:user/image/ptrim_sink_life.c \
	--suppress=memleak:user/sink/sink_process.c \
	--suppress=memleak:user/source/source_regions.c \
	--suppress=uninitvar:user/cli/migrate.c \
	--suppress=uninitvar:user/cli/proxy.c \
	--suppress=uninitvar:user/cli/serve.c \
	--suppress=uninitvar:user/image/ptrim_sink_end.c \
	-D__x86_64__ -D__linux__ --include=scripts/cppcheck.h \
	-Iinclude -Iuser \
	user tests/net tests/bench tests/live tests/vectors ||
	finding "cppcheck found something"

[ "$failed" = 0 ] && say "clean"
exit "$failed"
