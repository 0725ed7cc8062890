#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   pagetrim send -- ptNAMEa ================= ptNAMEb -- pagetrim receive
#     either runs under a debugger, which stops it where it enters a state,
#     and kills it there
#
# kill -9 in each state of the protocol.  The states are read from the headers
# (PT_RX_STATES, PT_SEND_PHASES): one that has no row here fails.  In each
# state: the other end reports the event, with the right exit code, in bounded
# time; the image is whole or absent; no program stays attached; and the same
# transfer then works.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# A row: the other end's exit code (waits: a receiver that was told of no
# transfer waits on for a sender), and whether the image is there then.  Up to
# COMMIT the other end knows that nothing was committed, from then on a sender
# cannot know.
# shellcheck disable=SC2034 # both are used by name
declare -A receiver_rows=(
	[OFFERED]="4 none"	# no OPEN yet
	[OPENING]="4 none"
	[DATA]="4 none"
	[VERIFYING]="4 none"
	[VERIFIED]="4 none"	# it has not sent it
	[COMMITTING]="6 none"	# it has COMMIT, but has not begun
	[DONE]="6 whole"	# it has not sent it
	[ENDED]="0 whole"	# the sender has sent BYE
)
# shellcheck disable=SC2034
declare -A sender_rows=(
	[CONNECT]="waits none"
	[SETUP]="waits none"	# connected, no OPEN yet
	[PROBE]="4 none"
	[COMPARE]="4 none"
	[SEND]="4 none"
	[VERIFY]="4 none"
	[COMMIT]="4 none"	# not sent yet
	[DONE]="0 whole"	# COMMITTED has come
)

# states_of AGENT: prints the symbols of its list.
states_of()
{
	local list=PT_RX_STATES header=receive/rx_session.h

	[[ $1 == receiver ]] || list=PT_SEND_PHASES header=send/sender.h
	sed -n "/^#define $list(X)/,/^\$/s/^\tX(\([A-Z_0-9]*\).*/\1/p" \
		"$root/user/$header"
}

# killed_at_entry AGENT STATE: prints a program to run in place of pagetrim,
# which dies by SIGKILL when it enters that state.  The debugger's output goes
# to debugger.log, its program's errors to stderr as always.
killed_at_entry()
{
	local where="pt_rx_session_enter if state == PT_RX_$2"

	[[ $1 == receiver ]] ||
		where="pt_sender_enter if phase == PT_SEND_$2"
	cat >killed <<-EOF
		#!/bin/sh
		exec gdb -batch -nx -iex 'set debuginfod enabled off' \\
			-iex 'set source open off' \\
			-iex 'set startup-with-shell off' \\
			-ex 'break $where' -ex run -ex kill \\
			--args '$pagetrim' "\$@" >debugger.log
	EOF
	chmod +x killed
	echo "$PWD/killed"
}

# begin [VICTIM STATE]: a receiver and a sender, one of them to die.  A sender
# asks for an unknown outcome as long as the peer timeout.
begin()
{
	local whole=$pagetrim dying=

	[[ ! ${1-} ]] || dying=$(killed_at_entry "$1" "$2")
	[[ ${1-} != receiver ]] || pagetrim=$dying
	receive_begin receive --listen "$HOSTS_B4" --out copy \
		--peer-timeout 2 "${resume[@]}"
	pagetrim=$whole
	[[ ${1-} != sender ]] || pagetrim=$dying
	send_begin send --to "$HOSTS_B4" --peer-timeout 2 "${resume[@]}" \
		"$(image small --pages 1024)"
	pagetrim=$whole
}
resume=()

# dies VICTIM STATE EXIT IMAGE: see the rows.
dies()
{
	local victim=$1 state=$2 want=$3 image=$4 survivor

	survivor=$([[ $victim == sender ]] && echo receiver || echo sender)
	begin "$victim" "$state"
	finish "${!victim}" 20
	grep -q '^\(Thread .* hit \)\?Breakpoint 1, ' debugger.log ||
		die "never in state $state: $(cat debugger.log)"
	if [[ $want == waits ]]; then
		! is_gone "$receiver" || die "the receiver does not wait"
		[[ ! -s receive.json ]] || die "a transfer it was not told of"
	else
		ended "${run_of[$survivor]}" "${!survivor}" 10 "$want"
		nothing_attached
	fi
	case $image in
	none)	[[ ! -e copy ]] || die "committed all the same" ;;
	whole)	same_file "$(image small)" copy ;;
	esac
	rm -f copy
}

works_now()
{
	ended send "$sender" 20 0
	ended receive "$receiver" 10 0
	same_file "$(image small)" copy
	nothing_left
}

killed()
{
	show hosts_up "$net" --mtu 9000
	dies "$@"
	if [[ $3 == waits ]]; then
		send_begin send --to "$HOSTS_B4" "$(image small)"
	else
		begin
	fi
	works_now
}

# killed_again: with --resume, it is killed again while it resumes the killed
# one's data.
killed_again()
{
	local resume=(--resume)

	show hosts_up "$net" --mtu 9000
	dies "$@"
	dies "$@"
	begin
	works_now
}

declare -A run_of=([receiver]=receive [sender]=send)

# each_has_a_row AGENT: the rows are the states of the list, no fewer, no more.
each_has_a_row()
{
	local -n rows=${1}_rows

	[[ $(states_of "$1" | wc -l) -gt 5 ]] || die "cannot read the list"
	same "states and rows of the $1" "$(states_of "$1" | sort)" \
		"$(printf '%s\n' "${!rows[@]}" | sort)"
}

# entered_in_one_place: only the function with the breakpoint assigns a state.
entered_in_one_place()
{
	! grep -nE '[^=!<>]=[[:space:]]*PT_(RX|SEND)_('"$(
		{ states_of receiver; states_of sender; } | paste -sd"|")"')\b' \
		"$root"/user/*/*.[ch] || die "a state is set by hand"
}

for agent in receiver sender; do
	declare -n agent_rows=${agent}_rows
	case_run "states: each of the $agent has a row" each_has_a_row "$agent"
	for state in $(states_of "$agent"); do
		read -r want image <<<"${agent_rows[$state]:-missing}"
		case_run "states: $agent killed in $state" \
			killed "$agent" "$state" "$want" "$image"
		[[ $want != waits && $image == none ]] || continue
		case_run "states: $agent killed in $state, twice, --resume" \
			killed_again "$agent" "$state" "$want" "$image"
	done
done
case_run "states: entered in one place" entered_in_one_place
cases_end
