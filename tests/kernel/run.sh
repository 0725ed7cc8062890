#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# run.sh: process 1 of the machine that scripts/test-kernel.sh boots.  It mounts
# the usual file systems, runs tests, and powers off.  The second serial line
# carries the results, the first is the kernel's.
#
#     run.sh BUILD             BPF tests, the net tests of the file `cases`,
#                              and the tests of this folder
#     run.sh BUILD TEST...     these, all their cases
set -uo pipefail
export PAGETRIM_BUILD=$1 JOBS=1	# emulated CPUs are slow enough for one test
export PAGETRIM_POISON=break	# as memory errors do: the machine is thrown away
here=$(dirname "$0")
shift
# shellcheck source=scripts/guest/process1.sh
source "$here/../../scripts/guest/process1.sh"
cd "$here/../.." || exit 1

# bpf_tests runs the tests that need no frames of several buffers: Linux 6.1
# differs there, as the tests of this folder show.
bpf_tests()
{
	local name passed=0 failed=0

	for name in object sessions verdicts differential pass; do
		if timeout 300 "$PAGETRIM_BUILD/tests/bpf/test_$name" \
			>/run/log 2>&1; then
			echo "ok bpf: $name"
			grep '^verifier' /run/log
			passed=$((passed + 1))
		else
			echo "not ok bpf: $name"
			sed 's/^/    /' /run/log
			failed=$((failed + 1))
		fi
	done
	echo "$passed passed, $failed failed"
}

# listed_cases runs the net tests that have a listed case, and fails for each
# case that did not run: its name has changed.
listed_cases()
{
	local name missing=0
	local -a tests

	export PAGETRIM_CASES=$here/cases
	mapfile -t tests < <(sed -n 's/^\([a-z]*\): .*/\1/p' "$PAGETRIM_CASES" |
		uniq | sed 's|.*|tests/net/test_&.sh|')
	tests/net/run.sh "${tests[@]}" | tee /run/log
	while read -r name; do
		grep -qF "ok $name" /run/log && continue
		echo "not ok $name: no such case"
		missing=$((missing + 1))
	done < <(grep '^[a-z]*: ' "$PAGETRIM_CASES")
	unset PAGETRIM_CASES
	((!missing)) || echo "0 passed, $missing failed"
}

echo "Linux $(uname -r), $(nproc) CPUs"
if (($#)); then
	tests/net/run.sh "$@"
else
	bpf_tests
	tests/net/run.sh "$here"/test_*.sh
	listed_cases
fi
echo "all tests ran"
