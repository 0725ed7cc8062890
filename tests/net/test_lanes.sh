#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                            a hub                      host b
#   lanes 0 .. 7 --> TX queue 0 ====> by UDP source port ======> RX queues 0 .. 3
#
# More lanes than TX queues share a queue and its thread.  Each has a path of its
# own, which may die without the others.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# lanes_of FIELD: the different values of the lanes' field, and their count.
lanes_of() { field send "[.lanes[].\"$1\"] | unique | length"; }

# one_queue LANES OPTION...: all lanes on the only queue of both ends.
one_queue()
{
	local cnt=$1

	shift
	show hosts_up "$net" --mtu 9000
	transfer "$(image big --pages 32768)" --lanes "$cnt" "$@"
	same "lanes" "$(field send '.lanes | length')" "$cnt"
	same "TX queues" "$(lanes_of tx-queue)" 1
	same "lanes with frames" \
		"$(field send '[.lanes[] | select(.frames > 0)] | length')" "$cnt"
	nothing_left
}

# spread: the lanes of one TX queue come by several queues of the receiver.
spread()
{
	local -a receive_options=(--queues 4)

	show hosts_up "$net" --hub --queues 4 --mtu 9000
	transfer "$(image big --pages 32768)" --queues 1 --lanes 8
	same "TX queues" "$(lanes_of tx-queue)" 1
	[[ $(lanes_of rx-queue) -gt 1 ]] || die "all came by one queue"
	nothing_left
}

# two_queues: three lanes go round two queues.
two_queues()
{
	local -a receive_options=(--queues 2)

	show hosts_up "$net" --queues 2
	transfer "$(image small)" --queues 2 --lanes 3
	same "TX queues" "$(field send '[.lanes[]."tx-queue"] | map(tostring) | join(" ")')" "0 1 0"
	nothing_left
}

too_few()
{
	show hosts_up "$net" --queues 2
	send_begin send --to "$HOSTS_B4" --queues 2 --lanes 1 "$(image small)"
	finish "$sender" 30
	same "exit" "$status" 2
	one_error send "--lanes 1: fewer than the 2 --queues"
}

# cut PORT...: the hub passes no frame of these UDP source ports of host a any more:
# they are of a class whose queue takes none.
cut()
{
	local dev port

	dev=$(hosts_dev "$net" y)
	on w tc qdisc add dev "$dev" root handle 1: htb default 1
	on w tc class add dev "$dev" parent 1: classid 1:1 htb rate 10gbit quantum 60000
	on w tc class add dev "$dev" parent 1: classid 1:2 htb rate 1mbit
	on w tc qdisc add dev "$dev" parent 1:2 pfifo limit 0
	for port; do
		on w tc filter add dev "$dev" parent 1: protocol ip u32 \
			match ip protocol 17 0xff match ip sport "$port" 0xffff \
			flowid 1:2
	done
}

# begin OPTION...: a transfer of two lanes is under way.
begin()
{
	show hosts_up "$net" --hub --mtu 9000
	receive_begin receive --listen "$HOSTS_B4" --out copy "${receive_options[@]}"
	send_begin send --to "$HOSTS_B4" --lanes 2 --max-bandwidth 16M "$@" \
		"$(image big --pages 32768)"
	wait_until 30 has_sent 8000000
}

# The lane finds another port, and the other lane goes on.
one_path_dies()
{
	begin
	cut 49153
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image big)" copy
	balanced
	[[ $(field send ".[\"frames-lost\"]") -gt 0 ]] || die "no frame was lost"
	nothing_left
}

# No port of the lane is left: it fails, by name, in time.
one_path_ends()
{
	local -a receive_options=(--peer-timeout 2) ports

	mapfile -t ports < <(seq 49153 64 $((49153 + 7 * 64)))
	begin --peer-timeout 2
	cut "${ports[@]}"
	ended send "$sender" 30 4 "lane 1: no frame was accepted"
	finish "$receiver" 20
}

case_run "lanes: 4 on one queue" one_queue 4
case_run "lanes: 4 on one queue, in clear, not trimmed" one_queue 4 --trim none
case_run "lanes: 8 on one queue, to 4" spread
case_run "lanes: 3 on two queues" two_queues
case_run "lanes: fewer than queues" too_few
case_run "lanes: the path of one dies" one_path_dies
case_run "lanes: all paths of one die" one_path_ends
cases_end
