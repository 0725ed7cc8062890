#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a: QEMU, its guest runs --- moves ---> host b: QEMU, the guest runs on
#                    \                              /
#                     `------ client in host c ----'
#
# A guest that writes and checks its memory, with a slow disk and a network
# client, moves while it runs; and both would see damage.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/live/lib.sh
source "$root/tests/live/lib.sh"

# begin SETTINGS [UP-OPTION...]: guest in host a, slow disk, client.  Reads are in
# flight for longer than it takes to compare the pages that were written; those
# that only the recheck at the stop can find are some at each move.  A disk of less
# than 20 ms is drained, once the tracker is armed.
begin()
{
	live=$dir
	live_options=(--set "$1")
	trap 'code=$?; set +e; live_down; (exit $code); case_end' EXIT
	show hosts_up "$net" --lan "${@:2}"
	cp "$tmp/keys.psk" "$live/psk"
	[[ $1 != *DISK* ]] || live_disk_begin 64 "${disk_ms:-300}"
	live_launch start a
	live_client_begin
}

# interrupted: a script that uses these parts gets SIGTERM with all its processes, as
# scripts/demo.sh does by the terminal's Ctrl-C; the slow disk's server dies first.
interrupted()
{
	local group folder=$dir/interrupted

	mkdir "$folder"
	cat >parts.sh <<-'END'
		set -euo pipefail
		net=$1 live=$2/live pagetrim=true
		source "$3/scripts/hosts.sh"
		source "$3/tests/live/lib.sh"
		trap 'live_down; rm -rf "$2"' EXIT
		trap 'exit 1' INT TERM
		mkdir "$live"
		live_disk_begin 4 50
		kill "$live_disk"
		wait "$live_disk" || true
		echo ready
		while :; do sleep 0.1; done
	END
	setsid bash parts.sh "$net" "$folder" "$root" >said &
	group=$!
	wait_until 20 grep -qs ready said
	kill -TERM -- "-$group"
	finish "$group" 20
	! grep -F " $folder" /proc/self/mounts || die "still mounted"
	[[ ! -e $folder ]] || die "still there"
}

# tells TRACKER: the control socket tells how far the move is.
tells()
{
	"$pagetrim" ctl status --json --control "$live/control" 2>/dev/null |
		jq -e ".live.tracker == \"$1\" and .live.last.round > 0"
}

# there_and_back TRACKER LOSS: to b and, while it gives up memory, to a again, per
# mille of the frames lost; nothing is damaged, and the client gets each answer.
# (A QEMU that is busy with its balloon has hardly a read in flight.)
there_and_back()
{
	local way asker

	mover=pagetrim
	live_migrate_args=(--tracker "$1" --control "$dir/control")
	if (($2 > 0)); then
		begin "MIB=96 RATE=500 DISK=8" --wire
		hosts_wire_start "$net" wire "$wire" --drop "$2"
	else
		begin "MIB=96 RATE=500 DISK=8"
	fi
	wait_until 120 tells "$1" &
	asker=$!
	for way in "a b" "b a"; do
		[[ $way == "a b" ]] || live_balloon b 200
		# shellcheck disable=SC2086 # two words
		move $way
		jq -c 'del(.report)' "$live/move.json"
		live_is_sound "${way#* }"
		same tracker "$(jq -r .report.live.tracker "$live/move.json")" "$1"
	done
	wait "$asker" || die "status told nothing of the move"
	live_client_end
	(($2 == 0)) || hosts_wire_stop
}

# damage_found: a write that got lost, in one block or a whole page, is found.
damage_found()
{
	begin "MIB=16 RATE=4000 BLOCKS=8 CHECK=0"
	harm keep old
	wait_until 60 harm changed old
	live_guest tell "rate 0" --dir "$live/a"
	verified 0
	harm keep sound
	harm block old
	verified 1
	harm page sound
	verified 0
	harm page old
	verified 1
	! live_guest beats --dir "$live/a" || die "beats: sees no damage"
	live_client_end
}

# harm WHAT FILE: see damage.py.
harm() { "$root/tests/live/damage.py" "$(live_ram a)" "$@"; }

# verified CNT: the guest checks all of its pages; so many are damaged.
verified()
{
	live_guest tell verify --dir "$live/a" >verified
	same "damaged pages" "$(sed 's/.* //' verified)" "$1"
}

# client_finds ANSWERS WANT: a server that answers so is found out.
client_finds()
{
	show hosts_up "$net"
	hosts_exec "$net" b "$here/odd_echo.py" "$1" >echo.said &
	wait_until 30 grep -qs ready echo.said
	hosts_exec "$net" a "$root/tests/live/client.py" "$HOSTS_B4" 5 5 \
		>client.json &
	client=$!
	wait_until 60 grep -qs ready client.json
	wait_until 60 grep -qs over echo.said
	kill "$client"
	finish "$client" 40
	cat client.json
	same "exit" "$status" "$2"
	tail -n 1 client.json | jq -e "$3"
}

case_run "live: the client sees that all is well" \
	client_finds all 0 '.lost == 0 and .wrong == 0 and .error == null'
case_run "live: the client sees that an answer is lost" \
	client_finds lost 1 '.wrong > 0'
case_run "live: the client sees that an answer is doubled" \
	client_finds doubled 1 '.wrong > 0'
case_run "live: the client sees that the connection ends" \
	client_finds closed 1 '.error != null'
case_run "live: the guest finds a write that got lost" damage_found
case_run "live: there and back, wp-async" there_and_back wp-async 0
disk_ms=10
case_run "live: there and back, wp-async, a disk that is drained" \
	there_and_back wp-async 0
disk_ms=
case_run "live: there and back, digest, 1 % lost" there_and_back digest 10
case_run "live: its parts, interrupted" interrupted
cases_end
