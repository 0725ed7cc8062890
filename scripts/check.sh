#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Runs the built test programs below BUILD/tests, one after another, and ends
# with one line of counts.
#   scripts/check.sh BUILD         unit, bpf, fuzz corpora, reference reader
#   scripts/check.sh BUILD unit    unit and fuzz corpora only
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

build=${1:?usage: scripts/check.sh BUILD [unit]}
only=${2:-all}
passed=0 failed=0

run() {
	local log
	log=$(mktemp)
	if timeout 300 "$@" >"$log" 2>&1; then
		passed=$((passed + 1))
		printf 'ok      %s\n' "$*"
	else
		failed=$((failed + 1))
		printf 'not ok  %s\n' "$*"
		tail -n 40 "$log"
	fi
	rm -f "$log"
}

for t in tests/unit/test_*.c; do run "$build/${t%.c}"; done
for t in tests/fuzz/fuzz_*.c; do
	[ -e "$t" ] || continue
	name=$(basename "${t%.c}")
	run "$build/${t%.c}" "tests/fuzz/corpus/${name#fuzz_}"
done
if [ "$only" = all ]; then
	for t in tests/bpf/test_*.c; do run "$build/${t%.c}"; done
	run /usr/bin/python3 tests/reference/test_reader.py "$build"
	run /usr/bin/python3 tests/reference/test_document.py
fi

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
