#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#     lane   |--probe--|-map-|-scan-|--build--|-seal-|--tx--|-wait-| ...
#     queue  |--idle---|-poll-|-check-|-open-|--place--|-ack-|-idle| ...
#
# --profile: the stages add up to a thread's time, and their bytes equal the
# report's.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

outer_sz=42	# Ethernet, IPv4, UDP

# bytes RUN STAGE
bytes() { field "$1" ".profile.stages[\"$2\"].bytes"; }

# is_close WHAT GOT WANT: times in ms, within 3 % and 10 ms.
is_close()
{
	echo "$1: $2 ms, by another clock $3 ms" >&2
	jq -ne "($2 - $3 | fabs) <= $3 * 0.03 + 10" >/dev/null
}

stage_sum() { jq -e "[$2.stages[].time] | add" "$1.json"; }

# is_tiled QUEUES: compares lanes with their start and end, queues with OPEN and
# the end.
is_tiled()
{
	same "threads of send" "$(field send .profile.threads)" "$1"
	same "threads of receive" "$(field receive .profile.threads)" "$1"
	same "placers" "$(field receive .profile.placers.threads)" "$1"
	is_close "stages of the lanes" "$(stage_sum send .profile)" \
		"$(field send .profile.time)" &&
	is_close "stages of control" "$(stage_sum send .profile.control)" \
		"$(field send '."total-time"')" &&
	is_close "stages of the queues" "$(stage_sum receive .profile)" \
		"$(field receive ".\"total-time\" * $1")" &&
	is_close "stages of the placers" \
		"$(stage_sum receive .profile.placers)" \
		"$(field receive .profile.placers.time)"
}

# tiled QUEUES IMAGE SEND-OPTION...: transfers; in at least one of them the
# stages add up to all of the time.  A thread that loses its CPU between its
# reads of two clocks is late with one of them: on a busy machine this is
# chance, while a wrong sum is wrong each time.
tiled()
{
	local queues=$1

	shift
	for _ in 1 2 3; do
		on_time transfer "$@"
		! is_tiled "$queues" || return 0
	done
	die "in no transfer are the stages all of the time"
}

# counted: on a path without loss, each byte passes each stage once; where pages
# go as copies, the source is read twice near a page that was put off.
counted()
{
	local wire blocks covered memory again

	wire=$(field send .ram.transferred)
	blocks=$(field send '."block-bytes"')
	covered=$((wire - $(field send .frames) * outer_sz))
	memory=$(field send '.pages * 4096')
	same "tx" "$(bytes send tx)" "$wire"
	same "build" "$(bytes send build)" "$blocks"
	same "seal" "$(bytes send seal)" "$covered"
	again=$memory
	[[ $(field send '.copies."put-off"') -eq 0 ]] || again=$((2 * memory))
	within "map" "$(bytes send map)" "$memory" "$again"
	within "scan" "$(bytes send scan)" "$memory" "$again"
	same "recheck" "$(field send .profile.control.stages.recheck.bytes)" \
		"$memory"
	same "poll" "$(bytes receive poll)" "$wire"
	same "open" "$(bytes receive open)" "$covered"
	same "place" "$(bytes receive place)" 0
	same "place, by placers" "$(field receive \
		.profile.placers.stages.place.bytes)" "$blocks"
}

# took RUN STAGE...: each of them took time.
took()
{
	local run=$1 stage

	shift
	for stage; do
		field "$run" ".profile.stages[\"$stage\"].time > 0" >/dev/null
	done
}

# profiled QUEUES [OPTION...]
profiled()
{
	local queues=$1
	local -a receive_options=(--queues "$queues" --profile)

	shift
	on_disk		# placers are for disks
	show hosts_up "$net" --mtu 9000 --queues "$queues"
	# Without holes, which no stage reads.
	cp --sparse=never "$(image full --pages 20000)" whole
	tiled "$queues" "$PWD/whole" --queues "$queues" --profile "$@"
	counted
	took send map scan build seal tx
	took receive poll check open place ack
	field receive ".profile.placers.stages.place.time > 0" >/dev/null
	nothing_left
}

in_clear()
{
	local -a security=(--insecure)

	profiled "$@"
}

# limited: the time of a limit is in its own stage, and only there.
limited()
{
	local -a receive_options=(--profile)

	on_disk
	show hosts_up "$net" --mtu 9000
	tiled 1 "$(image even)" --profile --max-bandwidth 40M
	jq . send.json >&2
	field send '.profile.stages.wait.time > ."send-time" * 0.4' >/dev/null
}

unasked()
{
	show hosts_up "$net" --mtu 9000
	transfer "$(image small --pages 64)"
	same "profile of send" "$(jq .profile send.json)" null
	same "profile of receive" "$(jq .profile receive.json)" null
}

ahead case_run "profile: sealed, one queue" profiled 1
ahead case_run "profile: sealed, two queues" profiled 2
ahead case_run "profile: in clear, one queue" in_clear 1
ahead case_run "profile: time under a limit is waiting" limited
case_run "profile: none that was not asked for" unasked
cases_end
