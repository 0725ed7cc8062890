#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# run.sh: all net tests, tests/net/test_*.sh, one after another (root).  Each
# prints a line per case; the last line here is 'N passed, N failed'.
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

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# bpffs: what stands there, but for what the cases themselves look after.
bpffs()
{
	find /sys/fs/bpf -mindepth 1 -maxdepth 1 ! -name pagetrim \
		! -name 'ptt*' | sort
}
before=$(bpffs)
passed=0 failed=0

(($#)) || set -- "$root"/tests/net/test_*.sh
for test; do
	"$(realpath "$test")" | tee "$log"
	status=${PIPESTATUS[0]}
	ok=$(grep -c '^ok ' "$log")
	not_ok=$(grep -c '^not ok ' "$log")
	# A test that ended early, or without a case, has failed as a whole.
	if [[ $status -ne 0 && $not_ok -eq 0 ]] ||
	   [[ $((ok + not_ok)) -eq 0 && -z ${ONLY-} ]]; then
		echo "not ok $(basename "$test"): exit $status after $ok cases"
		not_ok=$((not_ok + 1))
	fi
	passed=$((passed + ok))
	failed=$((failed + not_ok))
done
left=$(comm -13 <(echo "$before") <(bpffs))
if [[ -n $left ]]; then
	echo "not ok nothing is left in the BPF file system: ${left//$'\n'/ }"
	failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
