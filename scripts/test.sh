#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test.sh: runs all tests on a bare Debian 12 machine, as root: installs missing
# packages, builds, lints, runs units (plain and under sanitizers), units and
# transfers under ThreadSanitizer, the XDP program under BPF_PROG_TEST_RUN, the
# reference reader, the namespace tests, and a real guest's memory.  Nothing is
# skipped: a test that cannot run fails.
#
# The end has the failures once more, and 'N passed, N failed'.  SIGINT and SIGTERM
# end the tests, and nothing is left of them.
#
#     scripts/test.sh     Exit: 0 all passed, 1 not, 2 usage.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/usage.sh
source scripts/usage.sh
usage_nothing "$@"

export WERROR=1	# for each make below
log=$(mktemp) failures=$(mktemp)
trap 'rm -f "$log" "$failures"' EXIT
passed=0 failed=0 running=''

say() { printf '\n== %s\n' "$*"; }

# interrupted CODE: the stage that runs gets time to clean up.
interrupted()
{
	trap '' INT TERM PIPE
	[[ $running ]] || exit "$1"
	kill -TERM -- "-$running" 2>/dev/null || kill -KILL "$running"
	for _ in {1..600}; do
		kill -0 "$running" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$running" 2>/dev/null
	wait
	exit "$1"
}
trap 'interrupted 130' INT
trap 'interrupted 143' TERM

# stage NAME COMMAND...: counts COMMAND's own 'N passed, N failed' line, or
# the stage as one test if it prints none.
stage()
{
	local name=$1 status counts
	local start=$SECONDS

	shift
	say "$name: $*"
	: >"$log"
	scripts/isolate.sh "$@" >"$log" 2>&1 &
	running=$!
	tail -n +1 -s 0.1 -f --pid="$running" "$log" &
	wait "$running"
	status=$?
	wait
	running=''
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
# Three builds of all that is here: only the first run compiles all of it.
if [[ -z ${CC-} ]] && hash ccache 2>/dev/null; then
	export CC="ccache gcc" CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
fi
say "build"
make -j "$(nproc)" all tools tests || exit 1

stage lint make --no-print-directory lint
stage check make --no-print-directory check
stage sanitizers make --no-print-directory -j "$(nproc)" san
stage threads make --no-print-directory -j "$(nproc)" tsan
stage mutations tests/bpf/mutate.sh
stage "mutations of user/" tests/unit/mutate.sh
stage net make --no-print-directory check-net

echo
cat "$failures"
printf '%d passed, %d failed\n' "$passed" "$failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
