#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                            the wire                        host b
#   frames.py send --> ptNAMEa === ptNAMEx  -- ptNAMEy === ptNAMEb --> frames.py
#   ping, TCP      <------------------------------------------------>  receive
#
# The test wire itself: it follows its plan and counts exactly, the same plan
# gives the same result, and it passes frames that are not pagetrim's data.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# frames_through RUN QUEUES MTU ADDR CNT LANES WIRE-OPTION...: sends frames
# through a wire, checks its counts, leaves the lost ones in RUN.vanished. The
# wire stays on one CPU: host b without XDP keeps order per CPU only.
frames_through()
{
	local run=$1 queues=$2 mtu=$3 addr=$4 cnt=$5 lanes=$6
	local sz=$((mtu - 28)) receiver

	[[ $addr != *:* ]] || sz=$((mtu - 48))
	shift 6
	show hosts_up "$net" --wire --queues "$queues" --mtu "$mtu"
	show hosts_wire_start "$net" "$run" taskset -c 0 "$wire" "$@"
	hosts_exec "$net" b "$here/frames.py" receive --listen "$addr" \
		>"$run.got" 2>"$run.ready" &
	receiver=$!
	wait_until 10 grep -q ready "$run.ready"
	# Or the first frames overflow the queue of an unresolved neighbour.
	show hosts_run "$net" a ping -q -c 1 "$addr"
	show hosts_run "$net" a "$here/frames.py" send --to "$addr" \
		--cnt "$cnt" --lanes "$lanes" --sz "$sz"
	show hosts_wire_stop
	kill -TERM "$receiver"
	finish "$receiver" 10
	same "frames.py receive" "$status" 0
	show "$here/frames.py" judge --cnt "$cnt" --lanes "$lanes" \
		--wire "$run.json" --got "$run.got" \
		--overtaken "${overtaken:-0}" >"$run.vanished"
	hosts_down "$net"
}

# count RUN FIELD: of the direction from a to b.
count() { jq ".forth.$2" "$1.json"; }

undisturbed()
{
	frames_through run "$@"
	same dropped "$(count run dropped)" 0
	same repeated "$(count run repeated)" 0
	same reordered "$(count run reordered)" 0
}

disturbed()
{
	local overtaken=500

	frames_through run 2 1500 "$HOSTS_B4" 4000 3 --drop 100 --repeat 50 \
		--reorder 200 --span 16
	# The effect of seed 1 on these frames.
	[[ $(count run dropped) -gt 300 && $(count run repeated) -gt 100 &&
	   $(count run reordered) -gt 500 ]] || die "hardly disturbed"
}

repeatable()
{
	frames_through one 1 1500 "$HOSTS_B4" 3000 2 --drop 100 --seed 5
	frames_through two 4 1500 "$HOSTS_B4" 3000 2 --drop 100 --seed 5 \
		--reorder 100
	frames_through other 1 1500 "$HOSTS_B4" 3000 2 --drop 100 --seed 6
	cmp one.vanished two.vanished || die "same seed, other frames vanish"
	! cmp -s one.vanished other.vanished || die "another seed, same frames"
}

# The tail of the stream: no later frame comes that could overtake it.
tail_released()
{
	frames_through run 1 1500 "$HOSTS_B4" 10 1 --reorder 1000 --span 1024
	same reordered "$(count run reordered)" 10
	same data_out "$(count run data_out)" 10
}

all_dropped()
{
	frames_through run 1 1500 "$HOSTS_B4" 100 1 --drop 1000
	same vanished "$(count run vanished)" 100
}

others_pass()
{
	show hosts_up "$net" --wire --queues 2 --mtu 9000
	show hosts_wire_start "$net" run "$wire" --drop 1000
	show hosts_run "$net" a ping -q -c 50 -i 0.01 -s 8000 "$HOSTS_B4"
	show hosts_run "$net" a ping -q -c 50 -i 0.01 "$HOSTS_B6"
	head -c 20000000 /dev/urandom >sent
	hosts_exec "$net" b "$here/peer.py" take "$HOSTS_B4" 5001 >got 2>ready &
	local taker=$!
	wait_until 10 grep -q ready ready
	show hosts_run "$net" a "$here/peer.py" give "$HOSTS_B4" 5001 <sent
	finish "$taker" 10
	same_file sent got
	show hosts_wire_stop
	same data_in "$(count run data_in)" 0
	same out "$(count run out)" "$(count run in)"
}

# A stopped wire with room for 64 of 200 frames loses the others, and reports
# it. The kernel may send a frame or two of its own.
own_loss()
{
	local data lost

	show hosts_up "$net" --wire
	show hosts_wire_start "$net" run "$wire" --posted 64
	show hosts_run "$net" a ping -q -c 1 "$HOSTS_B4"
	kill -STOP "$HOSTS_WIRE_PID"
	show hosts_run "$net" a "$here/frames.py" send --to "$HOSTS_B4" \
		--cnt 200 --blind
	kill -CONT "$HOSTS_WIRE_PID"
	! hosts_wire_stop || die "a wire that lost frames exits 0"
	data=$(count run data_in) lost=$(count run lost)
	[[ $data -le 64 && $lost -ge 136 && $((data + lost)) -ge 200 ]] ||
		die "$data frames came in, $lost lost: want 64 and 136"
}

for mtu in 1280 1500 3506 9000 65535; do
	case_run "wire: frames of MTU $mtu pass whole" \
		undisturbed 2 "$mtu" "$HOSTS_B4" 2000 4
done
case_run "wire: 4 queues, IPv6" undisturbed 4 9000 "$HOSTS_B6" 2000 4
case_run "wire: drops, repeats, reorders and counts it" disturbed
case_run "wire: the seed decides which frames" repeatable
case_run "wire: time releases the tail" tail_released
case_run "wire: drops all" all_dropped
case_run "wire: what it loses itself makes it fail" own_loss
case_run "wire: ping and TCP pass undisturbed" others_pass
cases_end
