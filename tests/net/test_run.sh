#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   run.sh -- isolate.sh -- test_one.sh    made by the cases: they wait for each
#         `-- isolate.sh -- test_two.sh    other, leave files, or never end
#
# Net tests run beside each other, their output is whole and in order, and nothing
# is left of tests that are interrupted.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# run_sh ARG...: run.sh in place of this (sub)shell, with temporary files in ./tmp.
run_sh()
{
	unset ONLY PAGETRIM_CASES JOBS
	# A background job starts with SIGINT ignored.
	TMPDIR=$PWD/tmp exec env --default-signal=INT "$here/run.sh" "$@"
}

# a_test NAME: makes test_NAME.sh with the cases from stdin.
a_test()
{
	{
		printf '%s\n' '#!/usr/bin/env bash' "source '$here/lib.sh'" \
			"at='$PWD'"
		cat
		echo cases_end
	} >"test_$1.sh"
	chmod +x "test_$1.sh"
	mkdir -p tmp
	chmod 711 . "$tmp"
}

# ended_with EXIT LINE...: so run.sh ended, and these lines are its output, without
# seconds and what a case printed.
ended_with()
{
	local want=$1

	shift
	cat said >&2
	same exit "$status" "$want"
	same output "$(grep -E '^(ok|not ok|==|[0-9]+ passed)' said |
		sed -E 's/ \([0-9]+ s\)$//; s/ after [0-9]+ s$//')" \
		"$(printf '%s\n' "$@")"
	same "temporary files" "$(ls tmp)" ''
}

beside()
{
	a_test one <<-'END'
		meets() { : >"$at/one.runs"; wait_until 60 test -e "$at/two.runs"; }
		case_run "one: meets two" meets
		# shellcheck disable=SC2016 # the inner shell's
		interrupts() { ! sh -c 'kill -INT $$'; }
		case_run "one: SIGINT is not ignored" interrupts
	END
	a_test two <<-'END'
		meets() { : >"$at/two.runs"; wait_until 60 test -e "$at/one.runs"; }
		case_run "two: meets one" meets
	END
	status=0
	(run_sh --jobs 2 test_one.sh test_two.sh) >said || status=$?
	ended_with 0 "ok one: meets two" "ok one: SIGINT is not ignored" \
		"== test_one.sh: exit 0" "ok two: meets one" \
		"== test_two.sh: exit 0" "3 passed, 0 failed"
}

failures()
{
	a_test one <<-'END'
		case_run "one: fails" false
	END
	a_test two <<-'END'
		exit 3
	END
	a_test three <<-'END'
		leaves() { : >/dev/shm/left; }
		case_run "three: leaves a file" leaves
	END
	status=0
	(run_sh test_one.sh test_two.sh test_three.sh) >said || status=$?
	ended_with 1 "not ok one: fails" "== test_one.sh: exit 1" \
		"== test_two.sh: exit 3" \
		"not ok test_two.sh: exit 3 after 0 cases" \
		"ok three: leaves a file" \
		"not ok test_three.sh: it leaves /dev/shm/left" \
		"== test_three.sh: exit 0" \
		"not ok one: fails" "not ok test_two.sh: exit 3 after 0 cases" \
		"not ok test_three.sh: it leaves /dev/shm/left" \
		"1 passed, 3 failed"
}

nonsense()
{
	local jobs

	for jobs in 0 65 x -1 ''; do
		status=0
		(run_sh --jobs "$jobs" test_one.sh) 2>said || status=$?
		same "exit of --jobs '$jobs'" "$status" 2
		grep -qF -- "--jobs $jobs: not a number 1..64" said ||
			die "--jobs '$jobs': $(<said)"
	done
}

namespaces() { lsns --noheadings --output NS | sort; }

stragglers() { pgrep -f "^$PWD/straggler" || true; }

is_over() { [[ -z $(stragglers) && $(namespaces) == "$before" ]]; }

# interrupted SIGNAL EXIT: run.sh gets it while a case has hosts, a pin, a file in
# memory, one that it cleans up by itself, and processes that left its session.
interrupted()
{
	local before runner

	cp "$(command -v sleep)" straggler
	a_test one <<-'END'
		holds()
		{
			hosts_up "$net"
			bpftool prog load "$build/wire.bpf.o" "/sys/fs/bpf/pt$net-other"
			: >"/dev/shm/pagetrim-$net"
			litter=("$at/outside")
			: >"$at/outside"
			hosts_exec "$net" a setsid "$at/straggler" 3600 &
			setsid "$at/straggler" 3600 &
			: >"$at/holds"
			sleep 3600
		}
		case_run "one: never ends" holds
	END
	before=$(namespaces)
	run_sh test_one.sh >said 2>&1 &
	runner=$!
	wait_until 60 test -e holds
	wait_until 60 two_straggle
	kill -"$1" "$runner"
	finish "$runner" 60
	same exit "$status" "$2"
	wait_until 60 is_over
	[[ $1 != KILL ]] || return 0
	same "temporary files" "$(ls tmp)" ''
	[[ ! -e outside ]] || die "the case did not clean up"
}

two_straggle() { [[ $(stragglers | wc -l) -eq 2 ]]; }

case_run "run: two tests at a time, their output in order" beside
case_run "run: failures, and what a test leaves, are told" failures
case_run "run: nonsense for --jobs" nonsense
case_run "run: nothing is left at SIGTERM" interrupted TERM 143
case_run "run: nothing is left at SIGINT" interrupted INT 130
case_run "run: nothing is left when it is killed" interrupted KILL 137
cases_end
