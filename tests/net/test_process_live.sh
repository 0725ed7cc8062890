#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   process.c writes its memory
#        |  /proc/PID/mem
#   pagetrim send --pid --live ================= pagetrim receive --out copy
#
# A process is sent while it runs: the copy is its memory as it stood at the stop,
# which is read by another program meanwhile, with each tracker, with and without
# loss; the process goes on, however the transfer ends.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/net/lib_entry.sh
source "$here/lib_entry.sh"

# process_begin MIB WRITES [OPTION...]: sets pid.
process_begin()
{
	mkfifo ask
	"$build/tests/net/process" "$@" <ask >answers 2>process.err &
	pid=$!
	exec 5>ask
	wait_until 10 grep -qs ready answers
}

# It runs, is traced by nobody, and writes more than it had.
goes_on()
{
	same "the process" "$("$here/process_image.py" state "$pid")" runs
	ask
	wait_until 10 has_written_more "$(tail -n 1 answers)"
}

ask()
{
	local cnt

	cnt=$(wc -l <answers)
	echo >&5
	wait_until 10 answered $((cnt + 1))
}

answered() { [[ $(wc -l <answers) -ge $1 ]]; }
has_written_more() { ask; [[ $(tail -n 1 answers) -gt $1 ]]; }

# send_at KIND SYMBOL COMMAND [OPTION...]: sends the process, and runs the command
# there.
send_at()
{
	local -a words

	mapfile -t words < <(at "${@:1:3}")
	shift 3
	hosts_exec "$net" a "${words[@]}" "$pagetrim" send --json \
		"${security[@]}" --dev "$(dev_a)" --to "$HOSTS_B4" \
		--pid "$pid" --live --skip-shared "$@" >events 2>send.err &
	sender=$!
}

# send_live [OPTION...]: its memory at the stop is in the file memory.
send_live()
{
	send_at step LAST "$here/process_image.py take $pid memory >&2" \
		--max-rounds 6 --on-no-converge stop "$@"
}

receive_live() { receive_begin receive --listen "$HOSTS_B4" --out copy; }

# arrived TRACKER
arrived()
{
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	jq -s 'map(select(.event == "finished"))[0]' events >send.json
	jq -c 'select(.event == "round") | del(.at)' events >&2
	jq -c '.live | del(.last)' send.json >&2
	"$here/process_image.py" same memory copy >&2
	same tracker "$(field send .live.tracker)" "$1"
	balanced
	goes_on
}

# as_it_stood TRACKER WRITES [OPTION...]: the options are the process's.
as_it_stood()
{
	show hosts_up "$net" --mtu 9000
	receive_live
	process_begin 64 "${@:2}"
	send_live --tracker "$1"
	arrived "$1"
	same reason "$(field send '.live."tracker-reason"')" ""
	nothing_left
}

# at_rest: into an image at rest, whose pages come again in each round.
at_rest()
{
	show hosts_up "$net" --mtu 9000
	receive_begin receive --listen "$HOSTS_B4" --out x.ptrim
	process_begin 64 50
	send_live --tracker wp-async
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	"$pagetrim" image verify x.ptrim
	"$pagetrim" image unpack x.ptrim copy
	python3 "$root/tests/reference/ptrim.py" x.ptrim --raw read >&2 ||
		die "the reference reader: x.ptrim is damaged"
	same_file copy read
	# Bytes of the file, those that are stored, and those of an image that is
	# made at once.
	"$pagetrim" image pack copy packed.ptrim
	stat -c '%n: %s bytes, %b blocks' x.ptrim packed.ptrim >&2
	jq -c 'select(.event == "round") | {round, pages, transferred}' events >&2
	"$here/process_image.py" same memory copy >&2
	goes_on
}

disturbed()
{
	show hosts_up "$net" --wire --mtu 9000 --queues 2
	show hosts_wire_start "$net" wire "$wire" --drop 10 --repeat 5 \
		--hold 20
	receive_live
	process_begin 32 20
	send_live --tracker "$1"
	arrived "$1"
}

as_nobody()
{
	show hosts_up "$net"
	receive_live
	process_begin 16 20
	chmod 777 .
	send_live --user nobody
	arrived wp-async
}

# A process that no tracker can enter: the reason is told.
falls_back()
{
	show hosts_up "$net"
	receive_live
	process_begin 16 20 "$1"
	send_live
	arrived digest
	field send '.live."tracker-reason"' | grep -q "$2" ||
		die "$(field send '.live."tracker-reason"')"
}

# Page tables for all of the reservation would take 32 MiB.
sparse()
{
	local tables

	as_it_stood "$1" 20 sparse
	tables=$(awk '/^VmPTE/ { print $2 }' "/proc/$pid/status")
	within "page tables, KiB" "$tables" 0 16384
}

huge()
{
	local before pages=/proc/sys/vm/nr_hugepages

	only_one /sys/kernel/mm/hugepages/hugepages-2048kB
	before=$(<"$pages")
	echo $((before + 2)) >"$pages"
	if [[ $(<"$pages") -ge $((before + 2)) ]]; then
		as_it_stood "$1" 20 huge
	else
		echo "no huge pages" >&2
	fi
	kill -KILL "$pid"
	echo "$before" >"$pages"
}

# ---- failures ---------------------------------------------------------------

# fails_at KIND SYMBOL COMMAND EXIT: a pattern; there is no copy, and the process goes on.
fails_at()
{
	show hosts_up "$net"
	receive_live
	process_begin 16 20
	export RECEIVER=$receiver
	send_at "${@:1:3}"
	finish "$sender" 60
	[[ -e entered ]] || die "never entered $2: $(cat send.err)"
	# shellcheck disable=SC2053 # a pattern
	[[ $status == $4 ]] || die "exit of send: $status, want $4"
	finish "$receiver" 60
	[[ ! -e copy ]] || die "there is a copy"
	goes_on
	nothing_attached
}

# Without room for it, it is not sent as it is, and says so.
no_room()
{
	show hosts_up "$net"
	receive_live
	process_begin 64 20 maps
	send_begin send --to "$HOSTS_B4" --pid "$pid" --live --skip-shared --room 0 --tracker "$1"
	ended send "$sender" 60 1 'mapped memory at 0x[0-9a-f]* while.*--room'
	finish "$receiver" 60
	[[ ! -e copy ]] || die "there is a copy"
	goes_on
	nothing_attached
}

# A thread that does not stop is named, after one attempt to stop it.
no_stop()
{
	show hosts_up "$net"
	receive_live
	process_begin 16 20 vfork
	send_at step STOP "kill -USR1 $pid; until pgrep -P $pid; do sleep .01; done"
	ended send "$sender" 60 3 'its thread [0-9]* does not stop within 5 s'
	pkill -P "$pid"
	finish "$receiver" 60
	[[ ! -e copy ]] || die "there is a copy"
	goes_on
	nothing_attached
}

for tracker in digest wp-async; do
	case_run "process: $tracker, few writes" as_it_stood "$tracker" 2
	case_run "process: $tracker, many writes" as_it_stood "$tracker" 100
	case_run "process: $tracker, frames lost, repeated and late" \
		disturbed "$tracker"
	case_run "process: $tracker, a large reservation" sparse "$tracker"
	case_run "process: $tracker, huge pages" huge "$tracker"
	case_run "process: $tracker, it maps memory meanwhile" \
		as_it_stood "$tracker" 20 maps
	case_run "process: $tracker, code and memory that is locked away" \
		as_it_stood "$tracker" 20 code
	case_run "process: $tracker, no room for memory that it maps" \
		no_room "$tracker"
done
case_run "process: as another user" as_nobody
case_run "process: no thread waits in poll: digest" falls_back busy poll
case_run "process: a thread that does not stop" no_stop
case_run "process: a seccomp filter: digest" falls_back filter seccomp
for step in ARM ROUND LOOK BEGIN STOP LAST; do
	# shellcheck disable=SC2016 # TARGET is set there
	case_run "process: send is killed at $step" fails_at step "$step" \
		'kill -KILL $TARGET' 137
	# shellcheck disable=SC2016
	case_run "process: send is interrupted at $step" fails_at step "$step" \
		'kill -TERM $TARGET' 1
	# shellcheck disable=SC2016 # RECEIVER is, too
	case_run "process: the receiver is killed at $step" fails_at step "$step" \
		'kill -KILL $RECEIVER' 4
done
# The commit follows at once: it may or may not have been sent (6) when the end of
# the connection is seen (4).
# shellcheck disable=SC2016
case_run "process: send is killed at HAND_OVER" fails_at step HAND_OVER \
	'kill -KILL $TARGET' 137
# shellcheck disable=SC2016
case_run "process: the receiver is killed at HAND_OVER" fails_at step HAND_OVER \
	'kill -KILL $RECEIVER' '[46]'
case_run "process: into an image at rest" at_rest
cases_end
