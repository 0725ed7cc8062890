#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# tsan.sh BUILD UNIT...: tests shared data under ThreadSanitizer (root; run by
# `make tsan`, which builds BUILD for it): unit tests of hand-overs between
# threads, and transfers with loss, kill, resume and a frozen file system, several
# at a time.  The sink is on a disk, so that each lane has a placer thread.
#
# A report of any process fails the test and is shown, also if the process is
# killed later.  No race is suppressed: rings that the kernel writes, and
# libraries without instrumentation, have caused none.  Threads that were not
# joined are no finding, since a receiver exits without joining after a second
# signal.  The tracker wp-async has a process of its own that shares this
# one's memory, which ThreadSanitizer takes for races.
#
# The last line is 'N passed, N failed'.  Exit: 0 all passed, 1 not, 2 usage.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

# shellcheck source=scripts/usage.sh
source scripts/usage.sh
usage_options "$@"
(($# > 1)) || usage_misuse "no BUILD, or no UNIT"
build=$(realpath "$1")
shift
units=("$@")
nets=(tests/net/test_{faults,resume,storage,stop,meanwhile,shared,rounds})
cases=(
	"faults: 10 % lost, MTU 9000, 4 queues"
	"faults: all kinds at once, MTU 1500"
	"faults: all kinds at once, unsealed"
	"rounds: digest, many writes"
	"rounds: digest, frames lost, repeated and late"
	"resume: receiver killed"
	"resume: killed again while it is taken up"
	"resume: both ends killed on a path that loses"
	"resume: files that go along are sent anew"
	"resume: what the .partial holds is proved"
	"storage: four transfers, frozen in their midst"
	"storage: frozen while files and memory come"
	"storage: SIGTERM while it is frozen"
	"stop: a receiver of senders in each state"
	"stop: a receiver frozen in commit"
	"stop: a receiver frozen in commit, twice"
	"meanwhile: the sink's disk full, and room again"
	"shared: a lane moved to another queue"
)
# GCC 12's ThreadSanitizer does not start if addresses have more than 28 random
# bits.
run=(setarch -R)
"${run[@]}" true 2>/dev/null || run=(env)	# a container may forbid it

# On a disk, since pages of a sink in memory are placed without a thread.
export TMPDIR=/var/tmp
case $(stat -f -c %T $TMPDIR) in
tmpfs | ramfs)
	echo "tsan: $TMPDIR is in memory (mount a disk there)" >&2
	exit 1 ;;
esac
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM	# when the test that runs has cleaned up
export TSAN_OPTIONS="halt_on_error=0 exitcode=66 second_deadlock_stack=1
	report_thread_leaks=0 log_path=$tmp/report"
passed=0 failed=0

# verdict STATUS NAME: counts a test; reports are shown and fail it.
verdict()
{
	local report status=$1

	for report in "$tmp"/report.*; do
		[[ -e $report ]] || continue
		status=1
		cat "$report"
	done
	rm -f "$tmp"/report.*
	if [[ $status -eq 0 ]]; then
		passed=$((passed + 1))
		echo "ok      $2"
	else
		failed=$((failed + 1))
		echo "not ok  $2"
	fi
}

# race: a deliberate race must be reported with the options above, or the rest
# proves nothing.
race()
{
	cat >"$tmp/race.c" <<'END'
#include <pthread.h>
static int shared;
static void *add(void *arg) { shared++; return arg; }
int main(void)
{
	pthread_t thread;
	pthread_create(&thread, 0, add, 0);
	add(0);
	return pthread_join(thread, 0);
}
END
	# shellcheck disable=SC2086 # words
	${CC:-gcc} -fsanitize=thread -g -pthread -o "$tmp/race" "$tmp/race.c" ||
		return
	"${run[@]}" "$tmp/race"
	[[ $? -eq 66 ]] && grep -qs 'data race' "$tmp"/report.* ||
		return
	rm "$tmp"/report.*
	grep -q __tsan_func_entry "$build/pagetrim"
}

race
verdict $? "a race is reported, and pagetrim is built so"

for unit in "${units[@]}"; do
	timeout 300 "${run[@]}" "$build/tests/unit/test_$unit" \
		>"$tmp/log" 2>&1
	status=$?
	[[ $status -eq 0 ]] || tail -n 40 "$tmp/log"
	verdict $status "$unit"
done

printf '%s\n' "${cases[@]}" >"$tmp/cases"
# Such programs are slower by far than what the cases expect.
export PAGETRIM_PATIENCE=${PAGETRIM_PATIENCE:-3}
PAGETRIM_BUILD=$build PAGETRIM_CASES=$tmp/cases "${run[@]}" tests/net/run.sh \
	"${nets[@]/%/.sh}" 2>&1 | tee "$tmp/log"
# A case that was renamed has not passed.
grep -c '^ok ' "$tmp/log" | grep -qx ${#cases[@]}
verdict $? "${#cases[@]} cases between hosts"

printf '%d passed, %d failed\n' "$passed" "$failed"
[[ $failed -eq 0 ]]
