#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test.sh: runs all tests on a bare Debian 12 machine, as root: installs missing
# packages, builds, lints, runs units (plain and under sanitizers), units and
# transfers under ThreadSanitizer, the XDP program under BPF_PROG_TEST_RUN, the
# reference reader, the namespace tests, and a real guest's memory.  Nothing is
# skipped: a test that cannot run fails.
#
# The end has the failures once more, and 'N passed, N failed'.  Exit: 0 all
# passed, else 1.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

export WERROR=1	# for each make below
log=$(mktemp) failures=$(mktemp)
trap 'rm -f "$log" "$failures"' EXIT
passed=0 failed=0

say() { printf '\n== %s\n' "$*"; }

# stage NAME COMMAND...: counts COMMAND's own 'N passed, N failed' line, or
# the stage as one test if it prints none.
stage()
{
	local name=$1 status counts
	local start=$SECONDS

	shift
	say "$name: $*"
	"$@" 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
	if [[ $counts =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
		[[ $status -eq 0 || ${BASH_REMATCH[2]} -gt 0 ]] ||
			failed=$((failed + 1))
	elif [[ $status -eq 0 ]]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
	grep '^not ok ' "$log" | sort -u | sed "s/^/$name: /" >>"$failures"
	echo "== $name: exit $status after $((SECONDS - start)) s"
}

# shellcheck source=scripts/hosts.sh
source scripts/hosts.sh
hosts_bpffs || exit 1
scripts/deps.sh || exit 1
say "build"
make -j "$(nproc)" all tools tests || exit 1

stage lint make --no-print-directory lint
stage check make --no-print-directory check
stage sanitizers make --no-print-directory -j "$(nproc)" san
stage threads make --no-print-directory -j "$(nproc)" tsan
stage mutations tests/bpf/mutate.sh
stage net make --no-print-directory check-net

echo
cat "$failures"
printf '%d passed, %d failed\n' "$passed" "$failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
