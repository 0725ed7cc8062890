#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# run.sh: process 1 of the machine that scripts/test-kernel.sh boots.  Mounts
# what a Linux has mounted, runs tests, and switches off.  The second serial
# line tells what comes of them, the first is the kernel's.
#
#     run.sh BUILD             BPF tests, the net tests of the file `cases`,
#                              and the tests of this folder
#     run.sh BUILD TEST...     these, all their cases
set -uo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LC_ALL=C.UTF-8 PAGETRIM_BUILD=$1 TMPDIR=/run
here=$(dirname "$0")
shift

mount -t devtmpfs dev /dev
stty -F /dev/ttyS1 raw
exec </dev/null >/dev/ttyS1 2>&1
# Process 1 must not end: it waits here for the power to go.
trap 'echo o >/proc/sysrq-trigger; while :; do :; done' EXIT
mount -t proc proc /proc
ln -s /proc/self/fd /dev/fd
mount -t sysfs sys /sys
mount -t bpf bpf /sys/fs/bpf
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs run /run
ip link set lo up
cd "$here/../.." || exit 1

# bpf_tests: those that need no frames of several buffers: there Linux 6.1 is
# another, and the tests of this folder say how.
bpf_tests()
{
	local name passed=0 failed=0

	for name in object sessions verdicts differential; do
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

# listed_cases: runs the net tests that have a listed case, and fails for each
# that did not run: its name has changed.
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
