#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# run.sh: all net tests, tests/net/test_*.sh, one after another (root).  Each
# prints a line per case; at the end stand the cases that failed, once more, and
# 'N passed, N failed'.
#
#     tests/net/run.sh [TEST...]     only these, e.g. tests/net/test_wire.sh
#
# Environment: see lib.sh.  Exit: 0 all passed, 1 something failed, or a test
# ended without a case, or nothing ran.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
say() { echo "run: $*" >&2; }

if [[ $EUID -ne 0 ]]; then
	say "needs root, for namespaces and XDP"
	exit 1
fi
build=$(realpath -m "${PAGETRIM_BUILD:-$root/build}")
export PAGETRIM_BUILD=$build
for program in pagetrim tests/net/wire; do
	if [[ ! -x $build/$program ]]; then
		say "no $build/$program (run: make all tools)"
		exit 1
	fi
done

log=$(mktemp) failures=$(mktemp)
trap 'rm -f "$log" "$failures"' EXIT

# bpffs: what stands there, but for what the cases themselves look after.
bpffs()
{
	find /sys/fs/bpf -mindepth 1 -maxdepth 1 ! -name pagetrim \
		! -name 'ptt*' | sort
}
before=$(bpffs)
passed=0 failed=0

# fail LINE: counts it, and keeps it for the end.
fail()
{
	echo "not ok $1"
	echo "not ok $1" >>"$failures"
	failed=$((failed + 1))
}

(($#)) || set -- "$root"/tests/net/test_*.sh
for test; do
	"$(realpath "$test")" | tee "$log"
	status=${PIPESTATUS[0]}
	ok=$(grep -c '^ok ' "$log")
	not_ok=$(grep '^not ok ' "$log" | tee -a "$failures" | wc -l)
	# A test that ended early, or without a case, has failed as a whole.
	if [[ $status -ne 0 && $not_ok -eq 0 ]] ||
	   [[ $((ok + not_ok)) -eq 0 && -z ${ONLY-} ]]; then
		fail "$(basename "$test"): exit $status after $ok cases"
	fi
	passed=$((passed + ok))
	failed=$((failed + not_ok))
done
left=$(comm -13 <(echo "$before") <(bpffs))
if [[ -n $left ]]; then
	fail "nothing is left in the BPF file system: ${left//$'\n'/ }"
fi
cat "$failures"
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
