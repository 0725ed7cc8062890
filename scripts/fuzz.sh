#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# fuzz.sh: run the fuzz targets, tests/fuzz/fuzz_TARGET.c, under libFuzzer with
# ASan and UBSan, and end with a table of results (root, for the targets that
# use namespaces or BPF).
#
#     scripts/fuzz.sh [--keep] [MINUTES] [TARGET...]
#
#     MINUTES   for each target, 1 by default; fractions are fine
#     TARGET    only these, e.g. frame message; default: all
#     --keep    afterwards add to tests/fuzz/corpus some of what reaches new
#               code: KEEP_FILES a target, small ones and large ones
#
# Each starts from its corpus in the tree and the inputs of earlier runs in
# build/fuzz/corpus.  Findings, smallest input last, are in build/fuzz/findings;
# build/fuzz/tests/fuzz/fuzz_TARGET FILE runs one again.
#
# Environment: JOBS, targets at once (default 2); B, the build folder.
# Exit: 0 nothing found, 1 findings, or a target that did not run; 2 usage.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

KEEP_FILES=24		# new inputs in the tree, a target and a call, at most
KEEP_EACH=2048		# bytes of one of them, at most
INPUT_BYTES=4096	# of an input that the fuzzer tries, at most

build=${B:-build/fuzz}
say() { echo "fuzz: $*" >&2; }
# shellcheck source=scripts/usage.sh
source scripts/usage.sh

keep='' minutes=1
if [[ ${1-} == --keep ]]; then
	keep=1
	shift
fi
usage_options "$@"
if [[ ${1-} =~ ^[0-9]+(\.[0-9]+)?$ ]]; then
	minutes=$1
	shift
fi
(($#)) || mapfile -t all < <(basename -a -s .c tests/fuzz/fuzz_*.c)
(($#)) || set -- "${all[@]#fuzz_}"
for target; do
	[[ -e tests/fuzz/fuzz_$target.c ]] ||
		usage_misuse "$target: not a target (one a tests/fuzz/fuzz_TARGET.c)"
done
seconds=$(awk -v m="$minutes" 'BEGIN { print int(m * 60 + 0.5) }')
((seconds > 0)) || usage_misuse "$minutes: less than a second"

scripts/deps.sh || exit 1
say "building $*"
make -s -j 2 B="$build" CC=clang HARDEN= FUZZ_MAIN= \
	CFLAGS="-O1 -g -fsanitize=fuzzer-no-link,address,undefined \
		-fno-sanitize-recover=all" \
	LDFLAGS=-fsanitize=fuzzer "${@/#/$build/tests/fuzz/fuzz_}" || exit 1

# This folder also has the leftovers of targets that a finding ended.
export TMPDIR
TMPDIR=$(mktemp -d -p /dev/shm) || exit 1
trap 'rm -rf "$TMPDIR"' EXIT
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1

# fuzz TARGET: runs it with output to build/fuzz/TARGET.log.
fuzz()
{
	local findings=$build/findings/$1/ corpus=$build/corpus/$1

	mkdir -p "$findings" "$corpus"
	timeout -k 10 $((seconds + 120)) \
		"$build/tests/fuzz/fuzz_$1" -max_total_time="$seconds" \
		-max_len="$INPUT_BYTES" -timeout=20 -rss_limit_mb=2560 \
		-print_final_stats=1 -artifact_prefix="$findings" \
		"$corpus" "tests/fuzz/corpus/$1" >"$build/$1.log" 2>&1
}

# keep TARGET: adds every n-th, by size, of the inputs that reach new code.
keep()
{
	local new=$TMPDIR/keep-$1 tree=tests/fuzz/corpus/$1 i
	local -a files

	mkdir -p "$new"
	cp "$tree"/* "$new"
	"$build/tests/fuzz/fuzz_$1" -merge=1 -max_len="$KEEP_EACH" "$new" \
		"$build/corpus/$1" >"$build/$1.merge.log" 2>&1 || return 1
	for i in "$tree"/*; do
		rm "$new/${i##*/}"
	done
	mapfile -t files < <(find "$new" -type f -printf '%s %f\n' | sort -n |
		cut -d ' ' -f 2)
	for ((i = 0; i < ${#files[@]};
	      i += (${#files[@]} + KEEP_FILES - 1) / KEEP_FILES)); do
		cp "$new/${files[i]}" "$tree/"
	done
}

# row TARGET STATUS: prints a row of the table.
row()
{
	local log=$build/$1.log cov ft runs corpus verdict=none

	cov=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)
	ft=$(grep -o 'ft: [0-9]*' "$log" | tail -n 1)
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	corpus=$(find "$build/corpus/$1" -type f | wc -l)
	if [[ $2 -ne 0 || -z $runs ]]; then
		verdict=$(grep -m 1 -oE 'SUMMARY: .*|pagetrim: bug: .*' "$log")
		verdict=${verdict:-"exit $2, see $log"}
	fi
	printf '%-14s %12s %8s %8s %8s  %s\n' "$1" "${runs:--}" \
		"${cov#cov: }" "${ft#ft: }" "$corpus" "$verdict"
	[[ $verdict == none ]]
}

jobs=0
for target; do
	while ((jobs >= ${JOBS:-2})); do
		wait -n
		jobs=$((jobs - 1))
	done
	say "$target for $seconds s"
	(renice -n 19 $BASHPID >/dev/null; fuzz "$target"
	 echo $? >"$TMPDIR/status-$target") &
	jobs=$((jobs + 1))
done
wait

failed=0
printf '%-14s %12s %8s %8s %8s  %s\n' target executions edges features \
	inputs finding
for target; do
	row "$target" "$(<"$TMPDIR/status-$target")" || failed=1
	[[ -z $keep ]] || keep "$target" || failed=1
done
exit "$failed"
