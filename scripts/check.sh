#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# check.sh: runs the built test programs below BUILD/tests, as many at once as there
# are CPUs, and ends with one line of counts.
#
#     scripts/check.sh BUILD         unit, bpf, fuzz corpora, reference reader,
#                                    what make install installs
#     scripts/check.sh BUILD unit    unit and fuzz corpora only
#
# A program that exits with 77 says in its last line why this machine cannot run
# it; it is shown, and counts neither as passed nor as failed.
# Exit: 0 all passed, 1 one failed, 2 usage.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

# shellcheck source=scripts/usage.sh
source scripts/usage.sh
usage_options "$@"
(($#)) || usage_misuse "no build folder"
build=$1 only=${2:-all}
[[ $only == all || $only == unit ]] || usage_misuse "$only: want unit, or nothing"
at_once=$(nproc)
if [ "$only" = all ]; then
	# shellcheck source=scripts/hosts.sh
	source scripts/hosts.sh
	hosts_bpffs || exit 1
fi
[ -d "$build/tests" ] || {
	echo "check: $build/tests: no such folder (run: make check)" >&2
	exit 1
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
begun=0

# run_one N COMMAND...: prints its result and seconds in one piece, and notes
# it in N.passed or N.skipped.
run_one() {
	local log=$tmp/$1 start=$SECONDS status=0

	shift
	timeout 300 "$@" >"$log" 2>&1 || status=$?
	if [[ $status -eq 0 ]]; then
		: >"$log.passed"
		printf 'ok      %s (%d s)\n' "$*" $((SECONDS - start))
	elif [[ $status -eq 77 ]]; then
		: >"$log.skipped"
		printf 'skip    %s: %s\n' "$*" "$(tail -n 1 "$log")"
	else
		printf 'not ok  %s: exit %d after %d s\n%s\n' "$*" $status \
			$((SECONDS - start)) "$(tail -n 40 "$log")"
	fi
}

run() {
	while (($(jobs -rp | wc -l) >= at_once)); do wait -n; done
	begun=$((begun + 1))
	run_one "$begun" "$@" &
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
	run /usr/bin/python3 tests/reference/test_ptrim.py
	run tests/lib/test_install.sh "$build"
	run tests/lib/test_without.sh "$build"
	run tests/lib/test_build.sh "$build"
	run tests/lib/test_scripts.sh
fi
wait

passed=$(find "$tmp" -name '*.passed' | wc -l)
skipped=$(find "$tmp" -name '*.skipped' | wc -l)
failed=$((begun - passed - skipped))
((skipped == 0)) || printf '%d skipped\n' "$skipped"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
