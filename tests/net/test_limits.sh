#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Limits of the system for one process, lowered until nothing works: open files
# (RLIMIT_NOFILE), memory (RLIMIT_AS), locked memory (RLIMIT_MEMLOCK, without
# CAP_IPC_LOCK), the size of a file (RLIMIT_FSIZE, whose signal is SIGXFSZ).  Each command, at each step, either does all of its work, or says in
# one line why not, with a documented exit code, and leaves nothing.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

security=(--insecure)
files_steps=({0..26} 32 48 64)
memory_steps=(4 6 8 12 16 24 32 48 64 96 128 192 256 384 512 1024)	# MiB
locked_steps=(0 65536 1048576 4194304 8388608 12582912 33554432)	# bytes
size_steps=(0 1 4096 65536 1048576 4194304 67108864)			# bytes

# A thread that cannot start has several causes, and its message names them all.
declare -A remedy=([nofile]='ulimit -n|ulimit -u or -n' [as]='ulimit -v|memory'
		   [fsize]='ulimit -f' [memlock]='RLIMIT_MEMLOCK|ulimit -l')

# Root is bound by the limit of locked memory only without this.
unlocked=(setpriv --bounding-set=-ipc_lock)

# judged WHAT RUN STATUS: the words of a command that failed under $limit.
judged()
{
	local what=$1 run=$2 status=$3 line

	line=$(grep -vE '^[^ ]+Z (warning: |listening on |transfer )' "$run.err" || true)
	echo "$what: exit $status: $line" >&2
	# 127 and 126: the loader's, before main.
	case $status in
	127)	[[ $line == *'error while loading shared libraries'* ]] ||
			die "$what: exit 127, not the loader's" ;;
	3 | 4)
		[[ $(grep -c . <<<"$line") == 1 ]] || die "$what: not one line"
		grep -qE "${remedy[$limit]}" <<<"$line" || die "$what: no remedy" ;;
	*)	die "$what: exit $status" ;;
	esac
}

# lowered LIMIT STEPS COMMAND...: runs it under each step of the limit until it
# succeeds, which it must in the end; before that it must have failed.  $check is run
# after each.
lowered()
{
	local limit=$1 step status fails=0 steps

	read -ra steps <<<"$2"
	shift 2
	for step in "${steps[@]}"; do
		status=0
		# Through a pipe: the limit of a file's size is that of its words, too.
		timeout -k 5 60 prlimit "--$limit=$step:$step" "$@" 2>&1 >/dev/null |
			cat >limited.err || status=${PIPESTATUS[0]}
		if ((status == 0)); then
			((fails)) || die "$limit=$step: no failure"
			return
		fi
		fails=$((fails + 1))
		judged "$limit=$step ${*: -1}" limited "$status"
		left_nothing "$limit=$step"
	done
	die "$limit: never enough"
}

left_nothing() { same "left at $1" "$(ls out* 2>/dev/null)" ''; }

mib() { local m; for m; do echo -n "$((m << 20)) "; done; }

inspect_limited()
{
	local ram

	ram=$(image look --pages 2048)
	lowered nofile "${files_steps[*]}" "$pagetrim" inspect "$ram"
	lowered as "$(mib "${memory_steps[@]}")" "$pagetrim" inspect "$ram"
}

pack_limited()
{
	local ram

	ram=$(image look --pages 2048)
	lowered nofile "${files_steps[*]}" "$pagetrim" image pack "$ram" out.ptrim
	rm out.ptrim
	lowered as "$(mib "${memory_steps[@]}")" "$pagetrim" image pack "$ram" out.ptrim
	rm out.ptrim
	lowered fsize "${size_steps[*]}" "$pagetrim" image pack "$ram" out.ptrim
	mv out.ptrim packed
	lowered nofile "${files_steps[*]}" "$pagetrim" image unpack packed out
	rm out
	lowered as "$(mib "${memory_steps[@]}")" "$pagetrim" image unpack packed out
	rm out
	lowered fsize "${size_steps[*]}" "$pagetrim" image unpack packed out
	same_file "$ram" out
}

# send_limited LIMIT STEPS [WRAPPER...]
send_limited()
{
	local ram

	ram=$(image look --pages 2048)
	show hosts_up "$net"
	mkdir served
	receive_begin receive --serve --listen "$HOSTS_B4" --out "$dir/served"
	lowered "$1" "$2" nsenter --net="/run/netns/$(hosts_netns "$net" a)" \
		"${@:3}" "$pagetrim" send --json --dev "$(dev_a)" "${security[@]}" --to "$HOSTS_B4" "$ram"
	kill -TERM "$receiver"
	ended receive "$receiver" 20 0
	same_file "$ram" "served/$(basename "$ram")"
	same partials "$(find served -name '*partial*')" ''
}

listens_or_is_gone() { says_it_listens receive || is_gone "$receiver"; }

# receive_limited LIMIT STEPS [WRAPPER...]
receive_limited()
{
	local ram limit=$1 step status steps fails=0

	ram=$(image look --pages 2048)
	show hosts_up "$net"
	read -ra steps <<<"$2"
	for step in "${steps[@]}"; do
		status=0
		rm -f receive.err	# or its last line is taken for this one's
		hosts_exec "$net" b prlimit "--$limit=$step:$step" "${@:3}" "$pagetrim" \
			receive --json --dev "$(dev_b)" "${security[@]}" \
			--listen "$HOSTS_B4" --out "$dir/out" >receive.json 2>receive.err &
		receiver=$!
		wait_until 60 listens_or_is_gone
		if ! is_gone "$receiver"; then
			send_begin send --to "$HOSTS_B4" "$ram"
			finish "$sender" 60
			((status == 0)) || judged "send to $limit=$step" send "$status"
		fi
		finish "$receiver" 60
		if ((status == 0)); then
			((fails)) || die "no failure"
			same_file "$ram" out
			return
		fi
		fails=$((fails + 1))
		judged "receive $limit=$step" receive "$status"
		left_nothing "$limit=$step"
		wait_until 10 gone_from_b
	done
	die "$limit: never enough"
}

# serve_limited LIMIT STEPS: one that serves may also refuse the transfer, and
# serves on.
serve_limited()
{
	local ram limit=$1 step status steps fails=0 sent

	ram=$(image look --pages 2048)
	show hosts_up "$net"
	mkdir served
	read -ra steps <<<"$2"
	for step in "${steps[@]}"; do
		rm -f receive.err
		hosts_exec "$net" b prlimit "--$limit=$step:$step" "$pagetrim" \
			receive --serve --dev "$(dev_b)" "${security[@]}" \
			--listen "$HOSTS_B4" --out "$dir/served" 2>receive.err &
		receiver=$!
		wait_until 60 listens_or_is_gone
		sent=none
		if ! is_gone "$receiver"; then
			send_begin send --to "$HOSTS_B4" "$ram"
			status=0
			finish "$sender" 60
			sent=$status
			((sent == 0)) || judged "send to $limit=$step" send "$sent"
			kill -TERM "$receiver" || true
		fi
		status=0
		finish "$receiver" 60
		if [[ $sent == 0 ]]; then
			((status == 0)) || die "receive $limit=$step: exit $status"
			((fails)) || die "no failure"
			same_file "$ram" "served/$(basename "$ram")"
			return
		fi
		fails=$((fails + 1))
		((status == 0)) || judged "receive $limit=$step" receive "$status"
		same "left at $limit=$step" "$(ls served)" ''
		wait_until 10 gone_from_b
	done
	die "$limit: never enough"
}

case_run "inspect with few files, little memory" inspect_limited
case_run "image pack and unpack with few files, little memory, small files" pack_limited
case_run "send with few files" send_limited nofile "${files_steps[*]}"
case_run "send with little memory" send_limited as "$(mib "${memory_steps[@]}")"
case_run "receive with few files" receive_limited nofile "8 10 12 18 22 26 48 64"
case_run "receive with little memory" receive_limited as "$(mib "${memory_steps[@]}")"
case_run "receive with small files" receive_limited fsize "${size_steps[*]:3}"
case_run "send with little locked memory" send_limited memlock "${locked_steps[*]}" \
	"${unlocked[@]}"
case_run "receive with little locked memory" receive_limited memlock \
	"${locked_steps[*]}" "${unlocked[@]}"
case_run "receive --serve with few files" serve_limited nofile "8 10 12 18 22 26 48 64"
case_run "receive --serve with little memory" serve_limited as \
	"$(mib "${memory_steps[@]}")"
case_run "receive --serve with small files" serve_limited fsize "${size_steps[*]:3}"
cases_end
