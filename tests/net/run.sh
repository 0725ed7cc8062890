#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# run.sh: all net tests, tests/net/test_*.sh, several at a time (root), each in
# namespaces of its own (scripts/isolate.sh).  The tests of the list `alone` run
# last, one after another.
#
#     tests/net/run.sh [--jobs N] [TEST...]
#                        only these, e.g. tests/net/test_wire.sh; N at a time
#                        (1..64; default: one more than there are CPUs)
#
# Each test's output is printed whole, a line per case, in the order in which the
# tests begin; at the end the cases that failed, once more, and 'N passed, N
# failed'.  SIGINT and SIGTERM end the tests, and nothing is left of them.
#
# Environment: JOBS, for --jobs; and see lib.sh.  Exit: 0 all passed, 1 something
# failed, or a test ended without a case, or nothing ran; 2 wrong usage.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
say() { echo "run: $*" >&2; }

# Tests that run while no other does, and why.
declare -A alone=(
	[bench]="its transfers take all CPUs, and it refuses figures of a busy machine"
	[bottleneck]="a congestion controller finds its rate by measured delays"
	[profile]="CPU time per stage must add up to time that passed, within 3 %"
	[rate]="bytes per second, within 5 %"
	[reorder]="the share of the bytes that frames later by 100 ms cost"
	[scale]="memory, and how fairly 16 transfers share the CPUs"
)
# Tests that take longest.  They begin first, so that none of them is the last.
long=(guest live_death resume death stop)

# ---- one test, in its namespaces ----------------------------------------------

# left: prints files that the tests share in BPF's file system and in memory.
left() { find /sys/fs/bpf /dev/shm -mindepth 1 ! -path /sys/fs/bpf/pagetrim | sort; }

# inside TEST: runs it, and fails a case more if it leaves pins or files.
inside()
{
	local before status after

	trap : INT TERM		# the test ends by them, cleans up, and ends this
	before=$(left)
	"$1"
	status=$?
	after=$(comm -13 <(echo "$before") <(left))
	[[ -z $after ]] ||
		echo "not ok $(basename "$1"): it leaves ${after//$'\n'/ }"
	exit "$status"
}

if [[ ${1-} == --inside ]]; then
	inside "$2"
fi

# ---- which tests ----------------------------------------------------------------

jobs=${JOBS:-$(($(nproc) + 1))}
if [[ ${1-} == --jobs ]]; then
	jobs=${2-}
	shift 2
fi
if ! [[ $jobs =~ ^[1-9][0-9]?$ && $jobs -le 64 ]]; then
	say "--jobs $jobs: not a number 1..64"
	exit 2
fi
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
(($#)) || set -- "$root"/tests/net/test_*.sh

# name TEST: test_wire.sh is called wire.
name() { local name=${1##*/test_}; echo "${name%.sh}"; }

first=() others=() last=()
for test; do
	test=$(realpath "$test")
	if [[ ${alone[$(name "$test")]-} && $jobs -gt 1 ]]; then
		last+=("$test")
	elif [[ " ${long[*]} " == *" $(name "$test") "* && $jobs -gt 1 ]]; then
		first+=("$test")
	else
		others+=("$test")
	fi
done
tests=("${first[@]}" "${others[@]}" "${last[@]}")
together_cnt=$((${#first[@]} + ${#others[@]}))

# ---- running them ---------------------------------------------------------------

tmp=$(mktemp -d)
chmod 711 "$tmp"	# some cases are another user's
failures=$tmp/failures
: >"$failures"
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0 begun=0 shown=0 follower=''
pid_of=() status_of=() begun_at=() took=()

# fail LINE: counts it, and keeps it for the end.
fail()
{
	echo "not ok $1"
	echo "not ok $1" >>"$failures"
	failed=$((failed + 1))
}

running() { echo $((begun - ${#status_of[@]})); }

begin_next()
{
	mkdir -m 755 "$tmp/$begun"
	TMPDIR=$tmp/$begun "$root/scripts/isolate.sh" "$0" --inside \
		"${tests[begun]}" >"$tmp/$begun.log" 2>&1 &
	pid_of[begun]=$! begun_at[begun]=$SECONDS
	begun=$((begun + 1))
}

# await_one: until a child has ended; notes it, if it is a test.
await_one()
{
	local i ended='' status=0

	wait -n -p ended || status=$?
	for ((i = 0; i < begun; i++)); do
		[[ ${pid_of[i]} == "$ended" ]] || continue
		status_of[i]=$status took[i]=$((SECONDS - begun_at[i]))
		rm -rf "${tmp:?}/$i"
	done
}

# judge INDEX: counts the cases of a test that has ended.
judge()
{
	local log=$tmp/$1.log ok not_ok file=${tests[$1]##*/}

	ok=$(grep -c '^ok ' "$log")
	not_ok=$(grep '^not ok ' "$log" | tee -a "$failures" | wc -l)
	echo "== $file: exit ${status_of[$1]} after ${took[$1]} s"
	# A test that ended early, or without a case, has failed as a whole.
	if [[ ${status_of[$1]} -ne 0 && $not_ok -eq 0 ]] ||
	   [[ $((ok + not_ok)) -eq 0 && -z ${ONLY-} ]]; then
		fail "$file: exit ${status_of[$1]} after $ok cases"
	fi
	passed=$((passed + ok))
	failed=$((failed + not_ok))
}

# show: prints what has not been printed: all of the tests that have ended, in
# their order, and of the next one what there is, as it comes.
show()
{
	while ((shown < begun)); do
		if [[ ! $follower ]]; then
			tail -n +1 -s 0.1 -f --pid="${pid_of[shown]}" \
				"$tmp/$shown.log" &
			follower=$!
		fi
		[[ ${status_of[shown]-} ]] || return
		wait "$follower"
		follower=''
		judge "$shown"
		shown=$((shown + 1))
	done
}

# interrupted SIGNAL CODE: the tests get time to clean up what is not in their
# namespaces.
interrupted()
{
	local pid i

	trap '' INT TERM PIPE
	say "SIG$1: ends the tests"
	for pid in "${pid_of[@]}"; do
		kill -TERM -- "-$pid" || kill -KILL "$pid"
	done 2>/dev/null
	for ((i = 0; i < 300; i++)); do
		kill -0 "${pid_of[@]}" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "${pid_of[@]}" $follower 2>/dev/null
	wait
	exit "$2"
}
trap 'interrupted INT 130' INT
trap 'interrupted TERM 143' TERM

while ((shown < ${#tests[@]})); do
	while ((begun < together_cnt && $(running) < jobs)); do
		begin_next
	done
	if ((begun >= together_cnt && begun < ${#tests[@]} &&
	     $(running) == 0)); then
		begin_next
	fi
	show
	(($(running) == 0)) || await_one
	show
done
cat "$failures"
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
